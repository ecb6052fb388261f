//! What the operator and the gateway report of a server.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::condition::Type;
use crate::scaling::ScalingStatus;

/// The conditions of an `McpServer` that the operator writes, in their order. Further ones, such as
/// `Connected`, `ToolsApproved` and `ScalingActive`, are the gateway's.
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

/// What the operator has made of an `McpServer`, and what the gateway knows of it.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct McpServerStatus {
    /// State of the server in aspects. Ready says whether the observed generation is rolled out and serves, and is not
    /// known to fail the handshake of MCP, which the gateway says in Connected.
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
    /// What the server offers, as the gateway last knew it. Written by the gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catalog: Option<ServerCatalog>,
    /// How many pods the gateway asks for, and why. Written by the gateway, for servers with `scaling`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scaling: Option<ScalingStatus>,
}

/// What a server offers.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ServerCatalog {
    /// The name that the server gives itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub server_name: Option<String>,
    /// The version that the server gives itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub server_version: Option<String>,
    /// The revision of MCP that is spoken with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub protocol_version: Option<String>,
    /// Number of tools that clients see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub tools: Option<i32>,
    /// Number of resources.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub resources: Option<i32>,
    /// Number of prompts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub prompts: Option<i32>,
    /// Bytes of the tools' definitions as clients get them in a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub tool_bytes: Option<i64>,
    /// Tokens that these take in a model's context, estimated as a quarter of the bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub tool_tokens: Option<i64>,
    /// Digest of what all tools of the server mean. The annotation `portico.dev/approved-tools-digest` approves it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub digest: Option<String>,
    /// Tools of a pinned server that were not approved, by the server's own names; at most 64 of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 128)))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Set)]
    pub unapproved_tools: Vec<String>,
    /// What the tools of a pinned server meant when they were approved or seen first; at most 512 of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 512))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["name".into()]))]
    pub pinned_tools: Vec<PinnedTool>,
}

/// What a tool meant.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct PinnedTool {
    /// Name of the tool, as the server gives it.
    #[schemars(length(min = 1, max = 128))]
    pub name: String,
    /// Digest of its definition.
    #[schemars(length(min = 1, max = 128))]
    pub digest: String,
}
