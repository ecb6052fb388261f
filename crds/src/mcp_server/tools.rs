//! What clients see of a server, and how long they wait for it.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// Which of a server's tools clients see.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Tools {
    /// Names or patterns ('*' and '?') of the tools to show. Absent or empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(min = 1, max = 128)))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Set)]
    pub include: Vec<String>,
    /// Names or patterns of the tools to hide, even where `include` names them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(min = 1, max = 128)))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Set)]
    pub exclude: Vec<String>,
}

/// How long the gateway waits for a server.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Timeouts {
    /// Seconds a call may take; a progress notification starts the time anew.
    #[serde(default = "default_call_seconds")]
    #[schemars(range(min = 1, max = 86400))]
    pub call_seconds: i32,
    /// Seconds a call of one tool may take.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["name".into()]))]
    pub tools: Vec<ToolTimeout>,
}

/// Seconds a call may take where the spec says nothing.
pub const DEFAULT_CALL_SECONDS: i32 = 60;

const fn default_call_seconds() -> i32 {
    DEFAULT_CALL_SECONDS
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { call_seconds: DEFAULT_CALL_SECONDS, tools: Vec::new() }
    }
}

/// Seconds a call of one tool may take.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ToolTimeout {
    /// Name of the tool, as the server gives it.
    #[schemars(length(min = 1, max = 128))]
    pub name: String,
    /// Seconds a call may take.
    #[schemars(range(min = 1, max = 86400))]
    pub call_seconds: i32,
}
