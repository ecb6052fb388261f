//! The model's volume, and where its pods see it.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{
        EmptyDirVolumeSource, ImageVolumeSource, KeyToPath, PersistentVolumeClaim, PersistentVolumeClaimSpec,
        PersistentVolumeClaimVolumeSource, PodAffinityTerm, PodSpec, SecretVolumeSource, Volume, VolumeMount,
        VolumeResourceRequirements,
    },
    apimachinery::pkg::{
        api::resource::Quantity,
        apis::meta::v1::{LabelSelector, ObjectMeta},
    },
};
use kube::ResourceExt as _;
use portico_crds::{
    inference_model::WhenDeleted, labels, mcp_server::Quantity as Amount, secret_value::SecretValue,
};

use super::{
    super::{
        source::{DIRECTORY, Storage, Weights, artifact, digest},
        validate::{Program, ValidatedModel},
    },
    meta, strings,
};
use crate::{child::outlive, pod::mount, quantity::thousandths};

const MODEL: &str = "model";
const SCRATCH: &str = "portico-tmp";
const SHARED_MEMORY: &str = "shared-memory";
const TOKEN: &str = "token";
/// Where a download finds its token.
pub const TOKEN_DIRECTORY: &str = "/run/token";
/// Name of the file in it.
pub const TOKEN_FILE: &str = "token";

/// Name of the volume that a model's download is kept on.
#[must_use]
pub fn claim_name(model: &str, digest: &str) -> String {
    format!("{model}-model-{digest}")
}

/// The volume for the download. One that outlives its model names no owner.
pub fn claim(model: &ValidatedModel) -> Option<PersistentVolumeClaim> {
    let Storage::Claim { cache, digest } = &model.storage else { return None };
    let mut metadata = meta(model, claim_name(&model.name, digest));
    if cache.when_deleted == WhenDeleted::Retain {
        outlive(&mut metadata);
    }
    Some(PersistentVolumeClaim {
        metadata,
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(vec![cache.access_mode.as_str().to_owned()]),
            storage_class_name: cache.storage_class_name.clone(),
            resources: Some(VolumeResourceRequirements {
                requests: Some([("storage".to_owned(), Quantity(cache.size.0.clone()))].into()),
                limits: None,
            }),
            ..PersistentVolumeClaimSpec::default()
        }),
        ..PersistentVolumeClaim::default()
    })
}

/// The volume as it is written beside `live`: never smaller than it is, since a volume only grows; and, with `stored`,
/// with the mark that the file lies there whole. The mark goes to that very volume or to none.
#[must_use]
pub fn beside(
    model: &ValidatedModel,
    mut claim: PersistentVolumeClaim,
    live: Option<&PersistentVolumeClaim>,
    stored: bool,
) -> PersistentVolumeClaim {
    let Some(live) = live else { return claim };
    if let (Some(wanted), Some(had)) = (storage_request(&mut claim), request_of(live)) {
        let size = |quantity: &Quantity| thousandths(&Amount(quantity.0.clone()));
        if size(&had) > size(wanted) {
            *wanted = had;
        }
    }
    if stored {
        let metadata: &mut ObjectMeta = &mut claim.metadata;
        metadata.uid = live.uid();
        metadata
            .annotations
            .get_or_insert_default()
            .extend(strings(&[(labels::ARTIFACT, &artifact(&model.weights()))]));
    }
    claim
}

fn storage_request(claim: &mut PersistentVolumeClaim) -> Option<&mut Quantity> {
    claim.spec.as_mut()?.resources.as_mut()?.requests.as_mut()?.get_mut("storage")
}

fn request_of(claim: &PersistentVolumeClaim) -> Option<Quantity> {
    claim.spec.as_ref()?.resources.as_ref()?.requests.as_ref()?.get("storage").cloned()
}

/// `labels` of a pod with the one that says which volume of a single node it uses.
pub fn with_label(model: &ValidatedModel, mut labels: BTreeMap<String, String>) -> BTreeMap<String, String> {
    labels.extend(volume_label(model));
    labels
}

/// Keeps the pods that use a volume of a single node on that node: a surge pod, a second pod or the next revision on
/// another would wait for the volume for ever. The first of them goes wherever it fits.
pub fn keep_together(pod: &mut PodSpec, model: &ValidatedModel) {
    let label_selector = volume_label(model)
        .map(|label| LabelSelector { match_labels: Some([label].into()), ..LabelSelector::default() });
    if label_selector.is_some() {
        let affinity = pod.affinity.get_or_insert_default().pod_affinity.get_or_insert_default();
        let terms = affinity.required_during_scheduling_ignored_during_execution.get_or_insert_default();
        let topology_key = "kubernetes.io/hostname".to_owned();
        terms.push(PodAffinityTerm { label_selector, topology_key, ..PodAffinityTerm::default() });
    }
}

/// A digest, since names of volumes are longer than values of labels may be.
fn volume_label(model: &ValidatedModel) -> Option<(String, String)> {
    let name = model.one_node_volume.as_ref()?;
    Some((labels::MODEL_VOLUME.to_owned(), digest(name, 16)))
}

/// The volumes of the engine's pods.
pub fn serving(model: &ValidatedModel) -> Vec<Volume> {
    let mut all = vec![scratch(SCRATCH, EmptyDirVolumeSource::default())];
    if matches!(model.program, Program::Vllm(..)) {
        let memory = EmptyDirVolumeSource { medium: Some("Memory".into()), size_limit: None };
        all.push(scratch(SHARED_MEMORY, memory));
    }
    all.extend(weights(model));
    if let (Weights::File(remote), Storage::Scratch(_)) = (model.weights(), &model.storage) {
        all.extend(remote.token().map(token));
    }
    all
}

/// Where the engine sees them. What the engine does not fetch itself, it cannot change.
pub fn serving_mounts(model: &ValidatedModel) -> Vec<VolumeMount> {
    let mut all = vec![mount(SCRATCH, "/tmp")];
    if matches!(model.program, Program::Vllm(..)) {
        all.push(mount(SHARED_MEMORY, "/dev/shm"));
    }
    let own = matches!(model.weights(), Weights::Repository(_) | Weights::Library(_));
    all.push(VolumeMount { read_only: (!own).then_some(true), ..model_mount() });
    all
}

/// The volumes of the download's pods.
pub fn download(model: &ValidatedModel) -> Vec<Volume> {
    let mut all: Vec<Volume> = weights(model).into_iter().collect();
    if let Weights::File(remote) = model.weights() {
        all.extend(remote.token().map(token));
    }
    all
}

/// Where a download sees them.
pub fn download_mounts(model: &ValidatedModel) -> Vec<VolumeMount> {
    let mut all = vec![model_mount()];
    if let Weights::File(remote) = model.weights() {
        let token = |_| VolumeMount { read_only: Some(true), ..mount(TOKEN, TOKEN_DIRECTORY) };
        all.extend(remote.token().map(token));
    }
    all
}

/// The writable place of an init step that pulls into the model's volume.
pub fn pull_mounts() -> Vec<VolumeMount> {
    vec![mount(SCRATCH, "/tmp"), model_mount()]
}

fn model_mount() -> VolumeMount {
    mount(MODEL, DIRECTORY)
}

/// The volume with the weights.
fn weights(model: &ValidatedModel) -> Option<Volume> {
    let claim = |claim_name: String| PersistentVolumeClaimVolumeSource { claim_name, read_only: None };
    let mut volume = Volume { name: MODEL.into(), ..Volume::default() };
    match (&model.storage, model.weights()) {
        (Storage::Claim { digest, .. }, _) => {
            volume.persistent_volume_claim = Some(claim(claim_name(&model.name, digest)));
        }
        (Storage::Scratch(given), _) => {
            let size_limit = given.size_limit.clone().map(|limit| Quantity(limit.0));
            volume.empty_dir = Some(EmptyDirVolumeSource { size_limit, medium: None });
        }
        (Storage::None, Weights::Claim { name, .. }) => {
            volume.persistent_volume_claim = Some(claim(name.to_owned()));
        }
        (Storage::None, _) => {
            let image = model.spec.source.as_ref()?.image.as_ref()?;
            volume.image = Some(ImageVolumeSource {
                reference: Some(image.reference.clone()),
                pull_policy: image.pull_policy.map(|policy| policy.as_str().to_owned()),
            });
        }
    }
    Some(volume)
}

fn scratch(name: &str, source: EmptyDirVolumeSource) -> Volume {
    Volume { name: name.into(), empty_dir: Some(source), ..Volume::default() }
}

fn token(value: &SecretValue) -> Volume {
    Volume {
        name: TOKEN.into(),
        secret: Some(SecretVolumeSource {
            secret_name: Some(value.secret_ref.clone()),
            items: Some(vec![KeyToPath { key: value.key.clone(), path: TOKEN_FILE.into(), mode: None }]),
            default_mode: Some(0o440),
            ..SecretVolumeSource::default()
        }),
        ..Volume::default()
    }
}
