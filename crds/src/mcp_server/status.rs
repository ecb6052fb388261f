//! What the operator reports of a server.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::condition::Type;

/// The conditions of an `McpServer`, in the order they are written.
pub const CONDITIONS: [Type; 8] = [
    Type::Ready,
    Type::Accepted,
    Type::ResolvedRefs,
    Type::Available,
    Type::Scheduled,
    Type::Reconciling,
    Type::Stalled,
    Type::Paused,
];

/// What the operator has made of an `McpServer`.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct McpServerStatus {
    /// State of the server in aspects. Ready says whether the observed generation is rolled out and serves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// The `metadata.generation` that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = -1))]
    pub observed_generation: Option<i64>,
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
    /// URL of the server's MCP endpoint within the cluster, or of the remote server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub url: Option<String>,
}
