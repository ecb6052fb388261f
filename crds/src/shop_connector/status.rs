//! What the operator reports of a shop.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::platform::PlatformName;
use super::servers::ServerName;
use crate::condition::Type;

/// The conditions of a `ShopConnector`, in the order they are written.
pub const CONDITIONS: [Type; 7] = [
    Type::Ready,
    Type::Accepted,
    Type::ResolvedRefs,
    Type::Synced,
    Type::Reconciling,
    Type::Stalled,
    Type::Paused,
];

/// What the operator has made of a `ShopConnector`.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ShopConnectorStatus {
    /// State of the shop in aspects. Ready says whether all its servers serve with the observed generation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// The `metadata.generation` that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = -1))]
    pub observed_generation: Option<i64>,
    /// The shop's platform.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<PlatformName>,
    /// The shop's servers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["name".into()]))]
    pub servers: Vec<ServerStatus>,
    /// Ready and wanted servers as text, such as '2/3'.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub servers_ready: Option<String>,
}

/// One server of a shop.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ServerStatus {
    /// Which server.
    pub name: ServerName,
    /// Name of the rendered `McpServer`.
    #[schemars(length(max = 253))]
    pub mcp_server: String,
    /// The server's condition Ready: 'True', 'False' or 'Unknown'.
    pub ready: Readiness,
    /// Why the server's condition Ready has its status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub reason: Option<String>,
    /// URL of the server's MCP endpoint within the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub url: Option<String>,
}

/// Status of a condition Ready.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Readiness {
    /// It serves.
    True,
    /// It does not.
    False,
    /// It is not known yet.
    #[default]
    Unknown,
}
