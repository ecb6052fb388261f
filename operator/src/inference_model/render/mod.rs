//! From a validated model to the objects it should have. Pure and infallible: no client, no clock, no environment,
//! nothing random.

mod engine;
mod fetch;
mod network;
mod pod;
mod volume;

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment},
        batch::v1::Job,
        core::v1::{PersistentVolumeClaim, Service, ServiceAccount},
        networking::v1::NetworkPolicy,
        policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec},
    },
    apimachinery::pkg::{
        apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference},
        util::intstr::IntOrString,
    },
};
use kube::Resource as _;
use portico_crds::{InferenceModel, labels};

pub use engine::threads;
pub use network::service;
pub use pod::ENGINE;
pub use volume::{beside, claim_name};

use super::{
    source::{self, Storage, Weights, digest},
    validate::ValidatedModel,
};
use crate::marks::{is_left_unmarked, is_marked};

/// Name of the container that downloads, in a Job or before the engine.
pub const FETCH: &str = "fetch";
/// Port on which every engine listens.
pub const PORT: i32 = 8080;
/// Name of that port.
pub const PORT_NAME: &str = "http";
/// Value of `app.kubernetes.io/name` on the pods of engines.
const SERVING: &str = "inference-model";
/// The same of downloads.
const DOWNLOAD: &str = "model-download";
/// Time that a rollout may take besides loading, in seconds: what Kubernetes allows by default.
const ROLLOUT_SECONDS: i32 = 600;

/// The objects of one model that do not depend on what serves. `apply` takes it apart field by field, so that a new kind
/// of child cannot be forgotten there.
#[derive(Clone, Debug, Default)]
pub struct Desired {
    /// Identity of the pods, without rights and without a token.
    pub service_account: Option<ServiceAccount>,
    /// Who may talk to the engine, and to whom it may talk.
    pub serving_policy: Option<NetworkPolicy>,
    /// The same of the download.
    pub download_policy: Option<NetworkPolicy>,
    /// Where the download is kept.
    pub claim: Option<PersistentVolumeClaim>,
    /// The download.
    pub job: Option<Job>,
    /// How many pods may be evicted at once.
    pub disruption_budget: Option<PodDisruptionBudget>,
    /// The pods of the target.
    pub deployment: Option<Deployment>,
}

/// The objects that `model` should have; none where nothing is deployed.
#[must_use]
pub fn render(model: &ValidatedModel) -> Desired {
    if !model.is_deployed() {
        return Desired::default();
    }
    let by_job = matches!((model.weights(), &model.storage), (Weights::File(_), Storage::Claim { .. }));
    Desired {
        service_account: Some(service_account(model)),
        serving_policy: Some(network::serving(model)),
        download_policy: by_job.then(|| network::download(model)),
        claim: volume::claim(model),
        job: by_job.then(|| fetch::job(model)),
        disruption_budget: Some(disruption_budget(model)),
        deployment: Some(deployment(model)),
    }
}

/// Whether the spec's `podTemplate` can be merged.
///
/// # Errors
/// Says what of the merged template Kubernetes would not take.
pub fn check_patch(model: &ValidatedModel) -> Result<(), String> {
    if !model.is_deployed() {
        return Ok(());
    }
    pod::patched_template(model, "").map(|_| ()).map_err(|error| format!("spec.podTemplate: {error}"))
}

/// Digest of what decides the weights and the pods. Portico's own image is left out, so that a newer operator switches
/// no model; so are the label of pods that serve, and a restart that was asked for, which replaces the pods of the same revision.
#[must_use]
pub fn revision(model: &ValidatedModel) -> String {
    let bare =
        ValidatedModel { portico_image: String::new(), restarted_at: None, marked: false, ..model.clone() };
    match &model.program {
        super::validate::Program::External(external) => digest(external, 8),
        _ => digest(&pod::template(&bare, ""), 8),
    }
}

/// Name of the children of which there is one a model.
#[must_use]
pub fn child_name(model: &str) -> String {
    format!("{model}-model")
}

/// Name of a revision's Deployment.
#[must_use]
pub fn deployment_name(model: &str, revision: &str) -> String {
    format!("{model}-model-{revision}")
}

/// Name of the policy of downloads.
#[must_use]
pub fn download_policy_name(model: &str) -> String {
    format!("{model}-fetch")
}

/// Base URL of the model's HTTP API, as the gateway uses it.
#[must_use]
pub fn url(model: &ValidatedModel) -> String {
    match &model.program {
        super::validate::Program::External(external) => external.url.clone(),
        _ => service_url(&model.namespace, &model.name),
    }
}

/// The same of a model that is deployed.
#[must_use]
pub fn service_url(namespace: &str, model: &str) -> String {
    format!("http://{}.{namespace}.svc:{PORT}/v1", child_name(model))
}

/// Portico's own image for the pods of the target: the one that `live` runs, as long as nothing else of it changes. So a
/// newer operator restarts no pod.
#[must_use]
pub fn own_image(model: &ValidatedModel, live: Option<&Deployment>) -> String {
    let newest = model.portico_image.clone();
    let Some(annotations) = live.and_then(|live| live.metadata.annotations.as_ref()) else { return newest };
    let (image, written) = (annotations.get(labels::PORTICO_IMAGE), annotations.get(labels::TEMPLATE_DIGEST));
    match (image, written) {
        // The digest goes over the image as well: an annotation edited by hand is not believed.
        (Some(image), Some(written)) if *written == template_digest(model, image) => image.clone(),
        _ => newest,
    }
}

/// `model` with what of the pods of its target is kept as `live` has it, as long as nothing else of them changes (`service` is theirs): Portico's
/// own image, and whether they are marked as serving.
#[must_use]
pub fn kept(model: &ValidatedModel, live: Option<&Deployment>, service: Option<&Service>) -> ValidatedModel {
    let with_image = |model: ValidatedModel| {
        let portico_image = own_image(&model, live);
        ValidatedModel { portico_image, ..model }
    };
    if live.is_none_or(is_marked) {
        return with_image(model.clone());
    }
    let unmarked = with_image(ValidatedModel { marked: false, ..model.clone() });
    if is_left_unmarked(render(&unmarked).deployment.as_ref(), live, service) {
        unmarked
    } else {
        with_image(model.clone())
    }
}

/// Portico's own image for the download: the one that the Job has, whose template can never change.
#[must_use]
pub fn fetch_image(model: &ValidatedModel, live: Option<&Job>) -> String {
    let pod = live.and_then(|job| job.spec.as_ref()?.template.spec.as_ref());
    let image =
        pod.and_then(|pod| pod.containers.iter().find(|container| container.name == FETCH)?.image.clone());
    image.unwrap_or_else(|| model.portico_image.clone())
}

/// Digest of the pod template with `image` as Portico's own.
fn template_digest(model: &ValidatedModel, image: &str) -> String {
    let bare = ValidatedModel { portico_image: image.to_owned(), restarted_at: None, ..model.clone() };
    digest(&pod::template(&bare, image), 32)
}

/// Labels that select the pods of a model's engine, of every revision.
#[must_use]
pub fn selector(model: &str) -> BTreeMap<String, String> {
    strings(&[(labels::NAME, SERVING), (labels::INFERENCE_MODEL, model)])
}

/// Labels that select the pods of one revision. They can never change.
fn revision_selector(model: &ValidatedModel, revision: &str) -> BTreeMap<String, String> {
    let mut all = selector(&model.name);
    all.insert(labels::REVISION.to_owned(), revision.to_owned());
    all
}

fn download_selector(model: &ValidatedModel) -> BTreeMap<String, String> {
    strings(&[(labels::NAME, DOWNLOAD), (labels::INFERENCE_MODEL, &model.name)])
}

/// Labels of a child, those that select it among them.
fn child_labels(model: &ValidatedModel, selector: BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut all = selector;
    all.extend(strings(&[
        (labels::INSTANCE, &model.name),
        (labels::COMPONENT, super::COMPONENT),
        (labels::PART_OF, labels::PORTICO),
        (labels::MANAGED_BY, labels::OPERATOR),
    ]));
    all
}

fn strings(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn meta(model: &ValidatedModel, name: String) -> ObjectMeta {
    ObjectMeta {
        name: Some(name),
        namespace: Some(model.namespace.clone()),
        labels: Some(child_labels(model, selector(&model.name))),
        owner_references: Some(vec![owner(model)]),
        ..ObjectMeta::default()
    }
}

fn owner(model: &ValidatedModel) -> OwnerReference {
    OwnerReference {
        api_version: InferenceModel::api_version(&()).into_owned(),
        kind: InferenceModel::kind(&()).into_owned(),
        name: model.name.clone(),
        uid: model.uid.clone(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}

fn service_account(model: &ValidatedModel) -> ServiceAccount {
    ServiceAccount {
        metadata: meta(model, child_name(&model.name)),
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    }
}

/// One pod at a time may be evicted; pods that are not ready do not hold a drain up.
fn disruption_budget(model: &ValidatedModel) -> PodDisruptionBudget {
    PodDisruptionBudget {
        metadata: meta(model, child_name(&model.name)),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(1)),
            selector: Some(label_selector(selector(&model.name))),
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".into()),
            ..PodDisruptionBudgetSpec::default()
        }),
        ..PodDisruptionBudget::default()
    }
}

fn label_selector(labels: BTreeMap<String, String>) -> LabelSelector {
    LabelSelector { match_labels: Some(labels), ..LabelSelector::default() }
}

/// `replicas` stays out where the spec says none: whoever scales the Deployment owns the field then.
fn deployment(model: &ValidatedModel) -> Deployment {
    let revision = revision(model);
    let in_pod = if matches!(model.storage, Storage::Scratch(_)) { model.spec.download_seconds() } else { 0 };
    Deployment {
        metadata: ObjectMeta {
            labels: Some(child_labels(model, revision_selector(model, &revision))),
            annotations: Some(strings(&[
                (labels::MODEL_SOURCE, &source::shown(&model.spec, &model.weights())),
                (labels::PORTICO_IMAGE, &model.portico_image),
                (labels::TEMPLATE_DIGEST, &template_digest(model, &model.portico_image)),
            ])),
            ..meta(model, deployment_name(&model.name, &revision))
        },
        spec: Some(DeploymentSpec {
            replicas: model.spec.replicas,
            selector: label_selector(revision_selector(model, &revision)),
            // A new pod must serve before an old one goes, so that a restart interrupts nobody.
            strategy: Some(DeploymentStrategy {
                type_: Some("RollingUpdate".into()),
                rolling_update: Some(RollingUpdateDeployment {
                    max_surge: Some(IntOrString::Int(1)),
                    max_unavailable: Some(IntOrString::Int(0)),
                }),
            }),
            revision_history_limit: Some(1),
            progress_deadline_seconds: Some(ROLLOUT_SECONDS + model.spec.load_seconds() + in_pod),
            template: pod::template(model, &revision),
            ..DeploymentSpec::default()
        }),
        ..Deployment::default()
    }
}
