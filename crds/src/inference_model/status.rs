//! What the operator and the gateway report of a model.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::condition::Type;
use crate::scaling::ScalingStatus;

/// The conditions of an `InferenceModel` that the operator writes, in their order. `ScalingActive` is the gateway's.
pub const CONDITIONS: [Type; 11] = [
    Type::Ready,
    Type::Accepted,
    Type::ResolvedRefs,
    Type::ArtifactReady,
    Type::Scheduled,
    Type::ModelLoaded,
    Type::FallbackActive,
    Type::Available,
    Type::Reconciling,
    Type::Stalled,
    Type::Paused,
];

/// What the operator has made of an `InferenceModel`.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct InferenceModelStatus {
    /// State of the model in aspects. Ready says whether the observed generation is loaded and answers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// The `metadata.generation` that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = -1))]
    pub observed_generation: Option<i64>,
    /// Name of the engine that the spec chose, in CamelCase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub engine: Option<String>,
    /// The model that answers now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active: Option<ActiveModel>,
    /// The model that shall answer, while it is not yet the active one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<TargetModel>,
    /// The download of the target's file, while it lasts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub download: Option<Download>,
    /// Pods that exist, as the scale subresource reports them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub replicas: Option<i32>,
    /// Pods that are ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub ready_replicas: Option<i32>,
    /// Ready and wanted pods as text, such as '1/2'.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub instances: Option<String>,
    /// Label selector of the pods as text, for the scale subresource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub selector: Option<String>,
    /// Base URL of the model's `OpenAI` HTTP API, within the cluster or elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub url: Option<String>,
    /// How many pods the gateway asks for, and why. Written by the gateway, for models with `scaling`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scaling: Option<ScalingStatus>,
}

/// The model that answers now.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ActiveModel {
    /// Short digest of source and engine: two specs that load the same have the same.
    #[schemars(length(max = 63))]
    pub revision: String,
    /// Base URL of its `OpenAI` HTTP API.
    #[schemars(length(max = 2048))]
    pub url: String,
    /// Where it came from, without the query of a URL.
    #[schemars(length(max = 2048))]
    pub source: String,
}

/// The model that shall answer.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct TargetModel {
    /// Short digest of source and engine.
    #[schemars(length(max = 63))]
    pub revision: String,
    /// Why it is not yet the active one, one CamelCase word.
    #[schemars(length(max = 1024))]
    pub reason: String,
}

/// A download under way.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Download {
    /// How much is there, in percent, rounded down to a multiple of 5 so that it changes rarely.
    #[schemars(range(min = 0, max = 100))]
    pub percent: i32,
    /// Size of the file in bytes. Absent: the server did not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub total_bytes: Option<i64>,
}
