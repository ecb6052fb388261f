//! `InferenceModel`: one language model, wherever it comes from and whatever runs it.

mod cache;
mod engine;
mod fallback;
mod source;
mod status;

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

pub use cache::{AccessMode, Cache, ClaimCache, DEFAULT_DOWNLOAD_SECONDS, Load, WhenDeleted};
pub use engine::{DEFAULT_CONTEXT_LENGTH, Embedded, Engine, External, LlamaCpp, Ollama, Vllm};
pub use fallback::{Fallback, Trigger};
pub use source::{ClaimSource, DEFAULT_REVISION, HuggingFace, ImageSource, ModelSource, UrlSource};
pub use status::{ActiveModel, CONDITIONS, Download, InferenceModelStatus, TargetModel};

use crate::mcp_server::{Egress, EnvVar, Gpu, Opaque, Placement, ResourceClaim, Resources};
use crate::rules;
use crate::scaling::Scaling;

/// Seconds that an engine may take to load where the spec says nothing.
pub const DEFAULT_LOAD_SECONDS: i32 = 60;
/// The same for vLLM, which compiles and measures for minutes at its start.
pub const DEFAULT_VLLM_LOAD_SECONDS: i32 = 600;
/// Seconds that a model must have been well before traffic returns to it, where the spec says nothing.
pub const DEFAULT_RETURN_SECONDS: i32 = 60;

/// What an `InferenceModel` should be.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "portico.dev",
    version = "v1alpha1",
    kind = "InferenceModel",
    plural = "inferencemodels",
    namespaced,
    status = "InferenceModelStatus",
    derive = "PartialEq",
    shortname = "pmodel",
    category = "portico",
    doc = "One language model: where it comes from, which engine runs it and how, and what answers when it cannot.",
    scale(
        spec_replicas_path = ".spec.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Reason", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].reason"#),
    printcolumn(name = "Engine", type_ = "string", json_path = ".status.engine"),
    printcolumn(name = "Active", type_ = "string", json_path = ".status.active.revision"),
    printcolumn(name = "Target", type_ = "string", json_path = ".status.target.revision"),
    printcolumn(name = "Instances", type_ = "string", json_path = ".status.instances"),
    printcolumn(name = "Idle", type_ = "date", json_path = ".status.scaling.idleSince"),
    printcolumn(name = "Decision", type_ = "string", json_path = ".status.scaling.decision"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].message"#,
        priority = 1
    ),
    validation = rules::name(50),
    validation = kube::core::Rule::new("!has(self.spec.fallbacks) || self.spec.fallbacks.all(f, f.modelRef != self.metadata.name)")
        .message("`fallbacks` must name other models: one cannot step in for itself").field_path(".spec.fallbacks"),
    cel
)]
#[x_kube(
    validation = kube::core::Rule::new("has(self.source) == (has(self.engine.llamaCpp) || has(self.engine.vllm) || has(self.engine.embedded))")
        .message("`source` must be given with `engine.llamaCpp`, `engine.vllm` and `engine.embedded`, and absent with `engine.ollama` and `engine.external`, which name their model themselves").field_path(".source"),
    validation = kube::core::Rule::new("!has(self.source) || !has(self.source.huggingFace) || has(self.source.huggingFace.file) || has(self.engine.vllm)")
        .message("`source.huggingFace.file` must be given: only `engine.vllm` loads a repository as a whole").field_path(".source.huggingFace"),
    validation = kube::core::Rule::new(
        "!has(self.engine.external) || !(has(self.replicas) || has(self.scaling) || has(self.env) || has(self.resources) || has(self.gpu) || has(self.resourceClaims) || has(self.placement) || has(self.podTemplate) || has(self.egress) || has(self.cache) || has(self.load))"
    ).message("with `engine.external` nothing is deployed: `replicas`, `scaling`, `env`, `resources`, `gpu`, `resourceClaims`, `placement`, `podTemplate`, `egress`, `cache` and `load` must be absent"),
    validation = kube::core::Rule::new("!has(self.cache) || !has(self.source) || !(has(self.source.claim) || has(self.source.image))")
        .message("`cache` must be absent with `source.claim` and `source.image`, which are volumes already").field_path(".cache"),
    validation = kube::core::Rule::new("!has(self.engine.embedded) || !(has(self.gpu) || has(self.resourceClaims))")
        .message("`gpu` and `resourceClaims` must be absent with `engine.embedded`, which runs on the CPU").field_path(".engine"),
    validation = kube::core::Rule::new("!(has(self.gpu) && has(self.resourceClaims))")
        .message("at most one of `gpu` and `resourceClaims` may be given").field_path(".resourceClaims"),
    validation = kube::core::Rule::new("!(has(self.replicas) && has(self.scaling))")
        .message("at most one of `replicas` and `scaling` may be given").field_path(".scaling")
)]
#[serde(rename_all = "camelCase")]
pub struct InferenceModelSpec {
    /// Where the model comes from: exactly one of `url`, `huggingFace`, `claim` and `image`. Absent with
    /// `engine.ollama` and `engine.external`, which name their model themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<ModelSource>,

    /// What runs the model: exactly one of `llamaCpp`, `vllm`, `ollama`, `external` and `embedded`.
    pub engine: Engine,

    /// Number of pods. Absent: whoever scales the Deployment owns its replicas (1 at first): the gateway with
    /// `scaling`, else an autoscaler or a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1000))]
    pub replicas: Option<i32>,

    /// Bounds within which the gateway lets the number of pods follow the load, to zero and back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scaling: Option<Scaling>,

    /// Environment variables of the engine's container. `HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY` and `HF_ENDPOINT` are
    /// also those of the download.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["name".into()]))]
    pub env: Vec<EnvVar>,

    /// Amounts of CPU, memory and other resources that a pod asks for and may use. The engine's threads follow from the
    /// CPU limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,

    /// GPUs that each pod gets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu: Option<Gpu>,

    /// Devices that each pod gets by dynamic resource allocation, instead of `gpu`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["name".into()]))]
    pub resource_claims: Vec<ResourceClaim>,

    /// On which nodes the pods may run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placement: Option<Placement>,

    /// Strategic-merge patch of the pod template, for what no other field says. It is applied last and may undo
    /// what the operator sets, the security defaults included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::opaque_object")]
    pub pod_template: Option<Opaque>,

    /// Destinations the engine's pods may open connections to, besides the cluster's DNS. Absent or empty: none. The
    /// download of `source` needs no entry.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["name".into()]))]
    pub egress: Vec<Egress>,

    /// Where the downloaded model is kept. Absent: on a volume of `source.url.sizeBytes` and a tenth, but no less than
    /// 1Gi, or of 20Gi, that is deleted with the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<Cache>,

    /// How long fetching and loading the model may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<Load>,

    /// Further names under which clients may ask for the model.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        inner(length(min = 1, max = 128), regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9._:/-]*$"))
    )]
    #[x_kube(merge_strategy = kube::core::ListMerge::Set)]
    pub aliases: Vec<String>,

    /// Models that answer in place of this one, tried in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["modelRef".into()]))]
    pub fallbacks: Vec<Fallback>,

    /// Seconds that the model must have been well before requests return to it from a fallback. Absent: 60.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 86400))]
    pub return_after_seconds: Option<i32>,
}

impl InferenceModelSpec {
    /// Whether the operator deploys anything for this model.
    #[must_use]
    pub const fn is_deployed(&self) -> bool {
        self.engine.external.is_none()
    }

    /// Seconds from the start of the engine until it must answer.
    #[must_use]
    pub fn load_seconds(&self) -> i32 {
        let implied =
            if self.engine.vllm.is_some() { DEFAULT_VLLM_LOAD_SECONDS } else { DEFAULT_LOAD_SECONDS };
        self.load.as_ref().and_then(|load| load.deadline_seconds).unwrap_or(implied)
    }

    /// Seconds that the download may take.
    #[must_use]
    pub fn download_seconds(&self) -> i32 {
        self.load.as_ref().and_then(|load| load.download_seconds).unwrap_or(DEFAULT_DOWNLOAD_SECONDS)
    }

    /// Seconds that the model must have been well before requests return to it.
    #[must_use]
    pub fn return_seconds(&self) -> i32 {
        self.return_after_seconds.unwrap_or(DEFAULT_RETURN_SECONDS)
    }
}
