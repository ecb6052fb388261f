//! The pod template: restricted Pod Security, no token, one engine.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{Container, ContainerPort, EnvVar, PodSpec, PodTemplateSpec, Probe},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use portico_crds::{labels, mcp_server::Opaque};

use super::{
    super::{
        source::{Storage, Weights},
        validate::ValidatedModel,
    },
    PORT, PORT_NAME, child_labels, child_name, engine, fetch, label_selector, revision_selector, selector,
    strings, volume,
};
use crate::{
    marks,
    pod::{self, Devices, container_security, none_if_empty, patch, variable},
};

/// Name of the container that runs the engine.
pub const ENGINE: &str = "engine";

pub fn template(model: &ValidatedModel, revision: &str) -> PodTemplateSpec {
    // `check_patch` has tried the merge before a model counts as valid.
    patched_template(model, revision).unwrap_or_else(|_| plain_template(model, revision))
}

/// The template with the spec's own patch applied.
pub fn patched_template(
    model: &ValidatedModel,
    revision: &str,
) -> Result<PodTemplateSpec, serde_json::Error> {
    merged(plain_template(model, revision), model.spec.pod_template.as_ref())
}

/// A template of another kind of pod with the labels and annotations that the spec's own patch adds.
pub fn with_metadata_of(model: &ValidatedModel, template: PodTemplateSpec) -> PodTemplateSpec {
    let metadata = model.spec.pod_template.as_ref().and_then(|patch| patch.get("metadata"));
    let change = metadata.map(|metadata| Opaque::from_iter([("metadata".to_owned(), metadata.clone())]));
    merged(template.clone(), change.as_ref()).unwrap_or(template)
}

fn merged(plain: PodTemplateSpec, change: Option<&Opaque>) -> Result<PodTemplateSpec, serde_json::Error> {
    let Some(change) = change else { return Ok(plain) };
    let serde_json::Value::Object(mut merged) = serde_json::to_value(plain)? else {
        return Ok(PodTemplateSpec::default());
    };
    patch::merge(&mut merged, change);
    serde_json::from_value(serde_json::Value::Object(merged))
}

fn plain_template(model: &ValidatedModel, revision: &str) -> PodTemplateSpec {
    let mut labels = volume::with_label(model, child_labels(model, revision_selector(model, revision)));
    marks::mark(&mut labels, model.marked);
    PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(labels),
            annotations: Some(annotations(model)),
            ..ObjectMeta::default()
        }),
        spec: Some(pod(model)),
    }
}

fn annotations(model: &ValidatedModel) -> BTreeMap<String, String> {
    let mut all = strings(&[(labels::INPUTS_DIGEST, &model.inputs_digest)]);
    all.extend(model.restarted_at.clone().map(|time| (labels::RESTARTED_AT.to_owned(), time)));
    all
}

fn pod(model: &ValidatedModel) -> PodSpec {
    let spec = &model.spec;
    let mut pod = PodSpec {
        service_account_name: Some(child_name(&model.name)),
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        // The images of the engines name root as their user, and need it for nothing.
        security_context: Some(pod::pod_security(Some(pod::USER))),
        init_containers: none_if_empty(init_containers(model)),
        containers: container(model).into_iter().collect(),
        volumes: Some(volume::serving(model)),
        resource_claims: pod::claims(&spec.resource_claims),
        ..PodSpec::default()
    };
    let (gpu, affinity) = (spec.gpu.as_ref(), model.affinity.clone());
    let pods = label_selector(selector(&model.name));
    pod::place(&mut pod, &spec.placement.clone().unwrap_or_default(), gpu, affinity, &pods);
    volume::keep_together(&mut pod, model);
    pod
}

fn init_containers(model: &ValidatedModel) -> Vec<Container> {
    let in_pod = matches!((model.weights(), &model.storage), (Weights::File(_), Storage::Scratch(_)));
    let fetch = in_pod.then(|| fetch::init_container(model));
    fetch.into_iter().chain(engine::pull(model)).collect()
}

fn container(model: &ValidatedModel) -> Option<Container> {
    let parts = engine::parts(model)?;
    let spec = &model.spec;
    let devices =
        Devices { resources: spec.resources.as_ref(), gpu: spec.gpu.as_ref(), claims: &spec.resource_claims };
    Some(Container {
        name: ENGINE.into(),
        image: Some(parts.image),
        command: none_if_empty(parts.command),
        args: none_if_empty(parts.args),
        env: Some(environment(model, parts.env)),
        ports: Some(vec![ContainerPort {
            name: Some(PORT_NAME.into()),
            container_port: PORT,
            protocol: Some("TCP".into()),
            ..ContainerPort::default()
        }]),
        resources: pod::resources(devices),
        security_context: Some(container_security()),
        volume_mounts: Some(volume::serving_mounts(model)),
        startup_probe: Some(parts.startup),
        readiness_probe: Some(steady(parts.health, 5, 2)),
        liveness_probe: Some(steady(parts.health, 10, 6)),
        // What the engine said last is why it did not load the model.
        termination_message_policy: Some("FallbackToLogsOnError".into()),
        ..Container::default()
    })
}

/// The engine's own variables, but for those that the spec sets; then the spec's.
fn environment(model: &ValidatedModel, own: Vec<EnvVar>) -> Vec<EnvVar> {
    let given = &model.spec.env;
    let is_given = |name: &str| given.iter().any(|variable| variable.name == name);
    own.into_iter().filter(|variable| !is_given(&variable.name)).chain(given.iter().map(variable)).collect()
}

fn steady(path: &str, period: i32, failures: i32) -> Probe {
    Probe { period_seconds: Some(period), failure_threshold: Some(failures), ..engine::http(path) }
}
