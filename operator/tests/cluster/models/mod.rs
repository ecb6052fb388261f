//! Models: downloaded, placed, loaded, switched, healed.

mod downloads;
mod fallbacks;
mod life;
mod switches;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Service};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;
use kube::api::{ListParams, Patch, PatchParams};
use portico_cluster::wait_for;
use portico_crds::{InferenceModel, labels};
use serde_json::{Value, json};

use crate::world::{SOON, World};

/// Models in every state that lasts: ready after a download, elsewhere, on a volume that is not there, and with a download
/// that waits for ever.
pub async fn at_rest(world: &World) {
    apply(world, "stored", downloads::downloaded("one")).await;
    apply(
        world,
        "external",
        json!({"engine": {"external": {"url": "https://api.example.com/v1", "model": "x"}}}),
    )
    .await;
    apply(world, "missing", on_volume("a.gguf")).await;
    apply(world, "waiting", downloads::slow("two", "127.77.0.9")).await;
    for name in ["stored", "external"] {
        until_ready(world, name).await;
    }
    until_said(world, "missing", "False ReferenceNotFound").await;
    until_said(world, "waiting", "False Downloading").await;
}

/// Puts a volume with models there, as a person would have made it.
async fn volume(world: &World) {
    let spec = json!({"spec": {"accessModes": ["ReadWriteMany"], "storageClassName": "simulated",
        "resources": {"requests": {"storage": "1Gi"}}}});
    world.put::<PersistentVolumeClaim>("models", spec).await;
}

/// A model on that volume; `path` tells one revision from another.
fn on_volume(path: &str) -> Value {
    json!({"source": {"claim": {"name": "models", "path": path}}, "engine": {"llamaCpp": {}}, "replicas": 1})
}

/// The same, whose pods have an annotation that steers their play.
fn steered(path: &str, annotation: &str, value: &str) -> Value {
    let mut spec = on_volume(path);
    spec["podTemplate"] = json!({"metadata": {"annotations": {annotation: value}}});
    spec
}

async fn apply(world: &World, name: &str, spec: Value) -> InferenceModel {
    world.put::<InferenceModel>(name, json!({"spec": spec})).await;
    world.api().get(name).await.unwrap()
}

fn condition(model: &InferenceModel, name: &str) -> Condition {
    let conditions = model.status.iter().flat_map(|status| &status.conditions);
    conditions.into_iter().find(|condition| condition.type_ == name).cloned().unwrap()
}

/// A condition as `status reason`.
fn said(model: &InferenceModel, name: &str) -> String {
    let condition = condition(model, name);
    format!("{} {}", condition.status, condition.reason)
}

fn is_observed(model: &InferenceModel) -> bool {
    model.status.as_ref().is_some_and(|status| status.observed_generation == model.metadata.generation)
}

/// Waits until a model is as wanted; its status is part of the message when it never is.
async fn until(
    world: &World,
    name: &str,
    what: &str,
    wanted: impl Fn(&InferenceModel) -> bool,
) -> InferenceModel {
    let api = world.api::<InferenceModel>();
    wait_for(&format!("{name}: {what}"), SOON, async || {
        let model = api.get(name).await.map_err(|error| error.to_string())?;
        if is_observed(&model) && wanted(&model) {
            Ok(Some(model))
        } else {
            Err(serde_json::to_string(&model.status).unwrap())
        }
    })
    .await
    .unwrap()
}

async fn until_ready(world: &World, name: &str) -> InferenceModel {
    until(world, name, "Ready", |model| condition(model, "Ready").status == "True").await
}

/// Waits until Ready is `said`, for the present generation.
async fn until_said(world: &World, name: &str, ready: &str) -> InferenceModel {
    until(world, name, &format!("Ready {ready}"), |model| said(model, "Ready") == ready).await
}

fn active(model: &InferenceModel) -> Option<String> {
    Some(model.status.as_ref()?.active.as_ref()?.revision.clone())
}

/// The revision that a model's Service selects.
async fn selected(world: &World, name: &str) -> String {
    let service: Service = world.api().get(&format!("{name}-model")).await.unwrap();
    service.spec.unwrap().selector.unwrap()[labels::REVISION].clone()
}

/// The revisions of which there is a Deployment.
async fn revisions(world: &World, name: &str) -> Vec<String> {
    let own = ListParams::default().labels(&format!("{}={name}", labels::INFERENCE_MODEL));
    let all = world.api::<Deployment>().list(&own).await.unwrap().items;
    all.iter().map(|deployment| deployment.labels()[labels::REVISION].clone()).collect()
}

/// The pods of a model's engine, or of its download.
async fn pods(world: &World, name: &str, of_engine: bool) -> Vec<Pod> {
    let own = ListParams::default().labels(&format!("{}={name}", labels::INFERENCE_MODEL));
    let all = world.api::<Pod>().list(&own).await.unwrap().items;
    all.into_iter().filter(|pod| pod.labels().contains_key(labels::REVISION) == of_engine).collect()
}

/// Waits for the one pod of a model's download that runs.
async fn download_pod(world: &World, name: &str) -> String {
    wait_for("the download's pod", SOON, async || {
        let running = |pod: &&Pod| pod.status.as_ref().unwrap().phase.as_deref() == Some("Running");
        let all = pods(world, name, false).await;
        Ok::<_, portico_cluster::Error>(all.iter().find(running).map(ResourceExt::name_any))
    })
    .await
    .unwrap()
}

/// Ends a container as the kubelet would tell it.
async fn end(world: &World, pod: &str, (phase, container): (&str, &str), code: i32, message: &str) {
    let reason = if code == 0 { "Completed" } else { "Error" };
    let ended = json!({"exitCode": code, "reason": reason, "message": message});
    let status = json!({"status": {"phase": phase, "containerStatuses": [{
        "name": container, "image": "", "imageID": "", "ready": false, "started": false, "restartCount": 1,
        "state": {"terminated": ended},
    }], "conditions": [{"type": "Ready", "status": "False"}, {"type": "ContainersReady", "status": "False"}]}});
    let api = world.api::<Pod>();
    api.patch_status(pod, &PatchParams::default(), &Patch::Strategic(status)).await.unwrap();
}
