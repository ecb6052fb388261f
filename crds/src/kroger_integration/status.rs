//! What the operator reports of an integration.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::condition::Type;

/// The conditions of a `KrogerIntegration`, in the order they are written.
pub const CONDITIONS: [Type; 8] = [
    Type::Ready,
    Type::Accepted,
    Type::ResolvedRefs,
    Type::CredentialsValid,
    Type::KeysReady,
    Type::Reconciling,
    Type::Stalled,
    Type::Paused,
];

/// What the operator has made of a `KrogerIntegration`.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct KrogerIntegrationStatus {
    /// State of the integration in aspects. Ready says whether its server serves with the observed generation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// The `metadata.generation` that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = -1))]
    pub observed_generation: Option<i64>,
    /// Name of the rendered `McpServer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub server: Option<String>,
    /// URL of the server's MCP endpoint within the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub url: Option<String>,
    /// The keys that seal sessions, by their ids.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<Keys>,
}

/// The keys that seal sessions. A key itself stands in the Secret alone.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Keys {
    /// Id of the key that seals new sessions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub current: Option<String>,
    /// Value of the annotation `portico.dev/rotate-keys` that the current key was made for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub rotated_for: Option<String>,
}
