//! From nothing to ready, damage, and the end.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::ResourceExt;
use kube::api::{ListParams, Patch, PatchParams};
use portico_cluster::{Level, wait_for, wanted};
use portico_crds::InferenceModel;
use serde_json::json;

use super::{
    active, apply, on_volume, pods, revisions, said, selected, until, until_ready, until_said, volume,
};
use crate::models::downloads::downloaded;
use crate::world::{SOON, World};

#[tokio::test]
async fn a_model_on_a_volume_is_placed_on_its_gpu_loaded_and_ready_under_restricted_pod_security() {
    if !wanted(Level::Kwok) {
        return;
    }
    let world = World::start().await;
    let mut spec = on_volume("a.gguf");
    spec["gpu"] = json!({"count": 1, "product": "NVIDIA-H100-80GB-HBM3"});
    apply(&world, "chat", spec).await;
    until_said(&world, "chat", "False ReferenceNotFound").await;
    volume(&world).await;
    let model = until_ready(&world, "chat").await;
    for (kind, expected) in [
        ("ArtifactReady", "True ArtifactMounted"),
        ("Scheduled", "True Placed"),
        ("ModelLoaded", "True Loaded"),
        ("Available", "True MinimumReplicasAvailable"),
        ("Stalled", "False NotApplicable"),
    ] {
        assert_eq!(said(&model, kind), expected, "{kind}");
    }
    let nodes: Vec<_> =
        pods(&world, "chat", true).await.into_iter().map(|pod| pod.spec.unwrap().node_name).collect();
    assert_eq!(nodes, [Some("gpu-h100".to_owned())]);
    let url = format!("http://chat-model.{}.svc:8080/v1", world.namespace.name());
    assert_eq!(model.status.as_ref().unwrap().url.as_deref(), Some(url.as_str()));
    assert_eq!(active(&model), Some(selected(&world, "chat").await));
}

#[tokio::test]
async fn each_other_way_to_a_model_becomes_ready_too() {
    if !wanted(Level::Kwok) {
        return;
    }
    let world = World::start().await;
    let image = json!({"source": {"image": {"reference": "example/weights:1", "path": "a.gguf"}}, "engine": {"vllm": {}}});
    let cache = json!({"persistentVolumeClaim": {"size": "1Gi", "storageClassName": "simulated"}});
    let ollama = json!({"engine": {"ollama": {"model": "llama3.2:3b"}}, "cache": cache});
    let mut scratch = downloaded("one");
    scratch["cache"] = json!({"emptyDir": {}});
    let external = json!({"engine": {"external": {"url": "https://api.example.com/v1", "model": "x"}}});
    let all = [
        ("image", image, "RolledOut"),
        ("ollama", ollama, "RolledOut"),
        ("scratch", scratch, "RolledOut"),
        ("external", external, "Registered"),
    ];
    for (name, spec, _) in &all {
        apply(&world, name, spec.clone()).await;
    }
    for (name, _, reason) in &all {
        let model = until_ready(&world, name).await;
        assert_eq!(said(&model, "Ready"), format!("True {reason}"), "{name}");
    }
    assert_eq!(revisions(&world, "external").await, Vec::<String>::new());
    apply(
        &world,
        "embedded",
        json!({"source": {"claim": {"name": "x", "path": "y"}}, "engine": {"embedded": {}}}),
    )
    .await;
    until_said(&world, "embedded", "False NotIncluded").await;
}

/// Waits until none of the operator's children is left but `kept`.
async fn until_left(world: &World, kept: &[String]) {
    // The garbage collector looks for new kinds every 30 seconds, and this one may be seconds old.
    wait_for("the end of children and pods", SOON * 2, async || {
        let (children, pods) = (world.children().await, pods(world, "chat", true).await.len());
        if children == kept && pods == 0 { Ok(Some(())) } else { Err(format!("{children:?}, {pods} pods")) }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_deleted_model_leaves_nothing_and_one_that_retains_its_volume_that_alone() {
    if !wanted(Level::Kwok) {
        return;
    }
    let world = World::start().await;
    apply(&world, "chat", downloaded("one")).await;
    until_ready(&world, "chat").await;
    let claims = |children: Vec<String>| -> Vec<String> {
        children.into_iter().filter(|child| child.starts_with("persistentvolumeclaim/")).collect()
    };
    world.delete::<InferenceModel>("chat").await;
    until_left(&world, &[]).await;
    let mut retained = downloaded("one");
    retained["cache"]["persistentVolumeClaim"]["whenDeleted"] = json!("Retain");
    apply(&world, "chat", retained.clone()).await;
    until_ready(&world, "chat").await;
    let kept = claims(world.children().await);
    assert_eq!(kept.len(), 1);
    world.delete::<InferenceModel>("chat").await;
    until_left(&world, &kept).await;
    // A model of the same name finds its file there, and takes the volume over.
    let mark = world.cluster.audit_mark().unwrap();
    apply(&world, "chat", downloaded("one")).await;
    until_ready(&world, "chat").await;
    assert!(!world.writes(mark, "operator").iter().any(|event| event.resource == "jobs"));
    world.delete::<InferenceModel>("chat").await;
    until_left(&world, &[]).await;
}

/// Deletes each child, or damages it.
async fn damage(world: &World, revision: &str) {
    world.delete::<Deployment>(&format!("chat-model-{revision}")).await;
    world.delete::<ServiceAccount>("chat-model").await;
    world.delete::<PodDisruptionBudget>("chat-model").await;
    world.delete::<NetworkPolicy>("chat-fetch").await;
    let by_hand = PatchParams::default();
    let change =
        json!({"metadata": {"labels": {"app.kubernetes.io/managed-by": null}}, "spec": {"egress": null}});
    world.api::<NetworkPolicy>().patch("chat-model", &by_hand, &Patch::Merge(change)).await.unwrap();
    let change = json!({"spec": {"selector": {"portico.dev/revision": "other"}}});
    world.api::<Service>().patch("chat-model", &by_hand, &Patch::Merge(change)).await.unwrap();
    let claim = claim(world).await.name_any();
    let change = json!({"metadata": {"labels": {"app.kubernetes.io/part-of": "other"}}});
    world.api::<PersistentVolumeClaim>().patch(&claim, &by_hand, &Patch::Merge(change)).await.unwrap();
}

async fn claim(world: &World) -> PersistentVolumeClaim {
    let mut all = world.api::<PersistentVolumeClaim>().list(&ListParams::default()).await.unwrap().items;
    all.pop().unwrap()
}

async fn is_whole(world: &World, before: &[String], revision: &str) -> Result<(), String> {
    let children = world.children().await;
    if children != before {
        return Err(format!("{children:?}"));
    }
    if selected(world, "chat").await != revision {
        return Err("the Service selects another revision".to_owned());
    }
    let policy: NetworkPolicy = world.api().get("chat-model").await.map_err(|error| error.to_string())?;
    if policy.spec.unwrap().egress.is_none() {
        return Err("the NetworkPolicy has no egress rule".to_owned());
    }
    match claim(world).await.labels()["app.kubernetes.io/part-of"].as_str() {
        "portico" => Ok(()),
        other => Err(format!("the volume is part of {other}")),
    }
}

#[tokio::test]
async fn every_child_deleted_or_damaged_by_hand_is_restored_long_before_the_operator_looks_by_itself() {
    if !wanted(Level::Kwok) {
        return;
    }
    let world = World::start().await;
    apply(&world, "chat", downloaded("one")).await;
    let revision = active(&until_ready(&world, "chat").await).unwrap();
    let before = world.children().await;
    assert_eq!(before.len(), 7, "{before:?}");
    damage(&world, &revision).await;
    wait_for("the healed children", SOON, async || is_whole(&world, &before, &revision).await.map(Some))
        .await
        .unwrap();
    until_ready(&world, "chat").await;
}

#[tokio::test]
async fn a_download_that_somebody_deletes_begins_again() {
    if !wanted(Level::Kwok) {
        return;
    }
    let world = World::start().await;
    apply(&world, "chat", super::downloads::slow("one", "127.77.0.1")).await;
    until_said(&world, "chat", "False Downloading").await;
    let job = |jobs: Vec<Job>| jobs.first().map(|job| (job.name_any(), job.uid()));
    let jobs = async || job(world.api::<Job>().list(&ListParams::default()).await.unwrap().items);
    let (name, uid) = jobs().await.unwrap();
    world.delete::<Job>(&name).await;
    wait_for("another Job of that name", SOON, async || {
        let found = jobs().await;
        let healed = found.clone().filter(|(now, other)| *now == name && *other != uid);
        healed.map(Some).ok_or(format!("{found:?}"))
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_model_that_moves_elsewhere_loses_its_children() {
    if !wanted(Level::Kwok) {
        return;
    }
    let world = World::start().await;
    apply(&world, "chat", downloaded("one")).await;
    until_ready(&world, "chat").await;
    apply(
        &world,
        "chat",
        json!({"engine": {"external": {"url": "https://api.example.com/v1", "model": "x"}}}),
    )
    .await;
    let model = until_said(&world, "chat", "True Registered").await;
    assert_eq!(model.status.unwrap().replicas, None);
    until_left(&world, &[]).await;
}

#[tokio::test]
async fn whoever_scales_a_model_is_left_to_it_and_a_new_revision_takes_the_number_over() {
    if !wanted(Level::Kwok) {
        return;
    }
    let world = World::start().await;
    volume(&world).await;
    let unscaled = |path: &str| {
        let mut spec = on_volume(path);
        spec.as_object_mut().unwrap().remove("replicas");
        spec
    };
    apply(&world, "chat", unscaled("a.gguf")).await;
    let first = active(&until_ready(&world, "chat").await).unwrap();
    world.kubectl(&["scale", &format!("deployment/chat-model-{first}"), "--replicas=3"]).await;
    let instances = |text: &'static str| {
        move |model: &InferenceModel| model.status.as_ref().unwrap().instances.as_deref() == Some(text)
    };
    until(&world, "chat", "three instances", instances("3/3")).await;
    apply(&world, "chat", unscaled("b.gguf")).await;
    let other = |model: &InferenceModel| {
        active(model).is_some_and(|revision| revision != first) && instances("3/3")(model)
    };
    let model = until(&world, "chat", "three instances of the new revision", other).await;
    let second = active(&model).unwrap();
    world.kubectl(&["scale", &format!("deployment/chat-model-{second}"), "--replicas=0"]).await;
    let model = until_said(&world, "chat", "True ScaledToZero").await;
    assert_eq!(active(&model), Some(second));
    apply(&world, "chat", unscaled("c.gguf")).await;
    let model = until_said(&world, "chat", "True ScaledToZero").await;
    assert_eq!(revisions(&world, "chat").await, [active(&model).unwrap()]);
}

#[tokio::test]
async fn pods_on_one_volume_of_one_node_run_on_that_node_also_those_of_the_next_revision() {
    if !wanted(Level::Kwok) {
        return;
    }
    let world = World::start().await;
    let mut spec = downloaded("one");
    spec["replicas"] = json!(4);
    apply(&world, "chat", spec.clone()).await;
    let one_node = async || {
        let nodes = pods(&world, "chat", true).await.into_iter().map(|pod| pod.spec.unwrap().node_name);
        nodes.collect::<std::collections::BTreeSet<_>>().len() == 1
    };
    until_ready(&world, "chat").await;
    assert!(one_node().await);
    spec["engine"] = json!({"llamaCpp": {"contextLength": 1024}});
    apply(&world, "chat", spec).await;
    until_ready(&world, "chat").await;
    assert!(one_node().await);
}
