//! From a loose spec and what it refers to, to a model that can be rendered. Pure.

use k8s_openapi::api::core::v1::{Affinity, PodTemplateSpec};
use kube::ResourceExt as _;
use portico_crds::{
    InferenceModel, InferenceModelSpec,
    inference_model::{AccessMode, External, LlamaCpp, Ollama, Vllm},
    labels,
};

use super::{
    render,
    source::{self, Storage, Weights},
};
use crate::{
    kind::Refusal,
    mcp_server::validate::{Peers, Settings},
    pod::{self, parse},
    reference::References,
};

/// Variables by which an engine would move away from where it is looked for.
const RESERVED: [&str; 2] = ["OLLAMA_HOST", "OLLAMA_MODELS"];

/// What a model's references lead to.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    /// What the engine reads or needs.
    pub engine: References,
    /// What the download reads.
    pub download: References,
}

/// A model whose spec is valid and whose references exist.
#[derive(Clone, Debug)]
pub struct ValidatedModel {
    /// `metadata.name`.
    pub name: String,
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.uid`; empty where no API server gave one.
    pub uid: String,
    /// The spec, with opaque parts checked.
    pub spec: InferenceModelSpec,
    /// What runs the model.
    pub program: Program,
    /// Where downloaded weights are kept.
    pub storage: Storage,
    /// Name of the volume with the weights, if one node alone can have it: all pods that use it must run there.
    pub one_node_volume: Option<String>,
    /// Portico's own image, which downloads.
    pub portico_image: String,
    /// Whether the pods carry the label [`portico_crds::labels::SERVING`]. Those of a workload that an older version made do
    /// not, until something else about them changes.
    pub marked: bool,
    /// Who may reach the pods.
    pub peers: Peers,
    /// Parsed `spec.placement.affinity`.
    pub affinity: Option<Affinity>,
    /// The annotation that asks for a restart, as it is.
    pub restarted_at: Option<String>,
    /// Digest of everything outside the spec that the engine reads.
    pub inputs_digest: String,
    /// The same of the download.
    pub download_digest: String,
}

/// What runs a model.
#[derive(Clone, Debug, PartialEq)]
pub enum Program {
    /// The server of llama.cpp in an image.
    LlamaCpp(String, LlamaCpp),
    /// The vLLM server in an image.
    Vllm(String, Vllm),
    /// Ollama in an image.
    Ollama(String, Ollama),
    /// Nothing is deployed.
    External(External),
}

impl ValidatedModel {
    /// How the weights get to the engine.
    #[must_use]
    pub fn weights(&self) -> Weights<'_> {
        source::weights(&self.spec).unwrap_or(Weights::Elsewhere)
    }

    /// Whether anything is deployed.
    #[must_use]
    pub const fn is_deployed(&self) -> bool {
        !matches!(self.program, Program::External(_))
    }

    /// Whether the pods are given a device that is not the CPU.
    #[must_use]
    pub const fn is_accelerated(&self) -> bool {
        self.spec.gpu.is_some() || !self.spec.resource_claims.is_empty()
    }
}

/// Checks a model.
///
/// # Errors
/// [`Refusal::Invalid`] lists every fault of the spec with its field; [`Refusal::Missing`] every reference that leads
/// nowhere, with the field that makes it; [`Refusal::NotIncluded`] for an engine that this version does not contain.
pub fn validate(
    model: &InferenceModel,
    inputs: &Inputs,
    settings: &Settings,
) -> Result<ValidatedModel, Refusal> {
    if model.spec.engine.embedded.is_some() {
        let what = "spec.engine.embedded: this version of Portico does not contain the embedded engine; use `llamaCpp`";
        return Err(Refusal::NotIncluded(what.to_owned()));
    }
    let faults = faults(model);
    if !faults.is_empty() {
        return Err(Refusal::Invalid(faults));
    }
    let missing = [inputs.engine.missing.as_slice(), &inputs.download.missing].concat();
    if !missing.is_empty() {
        return Err(Refusal::Missing(missing));
    }
    let invalid = |fault: String| Refusal::Invalid(vec![fault]);
    let weights =
        source::weights(&model.spec).ok_or_else(|| invalid("spec.source: has no known member".into()))?;
    let storage = source::storage(&model.spec, &weights);
    let validated = ValidatedModel {
        name: model.name_any(),
        namespace: model.namespace().unwrap_or_default(),
        uid: model.uid().unwrap_or_default(),
        spec: model.spec.clone(),
        program: program(&model.spec, settings)
            .ok_or_else(|| invalid("spec.engine: has no known member".into()))?,
        one_node_volume: one_node_volume(&model.name_any(), &storage, &weights, &inputs.engine),
        storage,
        portico_image: settings.portico_image.clone(),
        marked: true,
        peers: settings.peers.clone(),
        affinity: pod::affinity(model.spec.placement.as_ref()).map_err(invalid)?,
        restarted_at: model.annotations().get(labels::RESTARTED_AT).cloned(),
        inputs_digest: inputs.engine.digest([]),
        download_digest: inputs.download.digest([]),
    };
    render::check_patch(&validated).map_err(invalid)?;
    Ok(validated)
}

fn one_node_volume(
    model: &str,
    storage: &Storage,
    weights: &Weights<'_>,
    references: &References,
) -> Option<String> {
    match (storage, weights) {
        (Storage::Claim { cache, digest }, _) => {
            (cache.access_mode == AccessMode::ReadWriteOnce).then(|| render::claim_name(model, digest))
        }
        (_, Weights::Claim { name, .. }) => references.is_on_one_node(name).then(|| (*name).to_owned()),
        _ => None,
    }
}

fn faults(model: &InferenceModel) -> Vec<String> {
    let mut faults: Vec<String> = model
        .spec
        .env
        .iter()
        .enumerate()
        .filter(|(_, variable)| RESERVED.contains(&variable.name.as_str()))
        .map(|(index, variable)| {
            format!("spec.env[{index}].name: '{}' is set by the operator; remove it", variable.name)
        })
        .collect();
    if let Some(patch) = &model.spec.pod_template {
        faults.extend(parse::<PodTemplateSpec>("spec.podTemplate", patch).err());
    }
    faults
}

fn program(spec: &InferenceModelSpec, settings: &Settings) -> Option<Program> {
    let (engine, stock) = (&spec.engine, &settings.engines);
    let image = |own: &Option<String>, stock: &String| own.clone().unwrap_or_else(|| stock.clone());
    let accelerated = spec.gpu.is_some() || !spec.resource_claims.is_empty();
    let llama = if accelerated { &stock.llama_cuda } else { &stock.llama };
    if let Some(own) = &engine.llama_cpp {
        return Some(Program::LlamaCpp(image(&own.image, llama), own.clone()));
    }
    if let Some(own) = &engine.vllm {
        return Some(Program::Vllm(image(&own.image, &stock.vllm), own.clone()));
    }
    if let Some(own) = &engine.ollama {
        return Some(Program::Ollama(image(&own.image, &stock.ollama), own.clone()));
    }
    engine.external.clone().map(Program::External)
}
