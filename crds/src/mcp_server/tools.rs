//! What clients see of a server, and how long they wait for it.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// Which of a server's tools clients see, and how they are described.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq)]
#[x_kube(validation = kube::core::Rule::new(
    "!has(self.overrides) || self.overrides.all(one, !has(one.__as__) || self.overrides.exists_one(other, has(other.__as__) && other.__as__ == one.__as__))"
).message("two items of `overrides` must not give the same name in `as`").field_path(".overrides"))]
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
    /// What clients are told of single tools in place of what the server says. `include` and `exclude` go by the
    /// server's own names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["name".into()]))]
    pub overrides: Vec<ToolOverride>,
    /// What happens when a tool's definition changes, or a tool is new, after the server was seen first: 'Report' says
    /// so in the condition `ToolsApproved`, 'Quarantine' hides the tool as well, until the annotation
    /// `portico.dev/approved-tools-digest` gives the digest of the new list. Absent: nothing is remembered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin: Option<Pin>,
}

/// What happens when a server's tools are not what they were.
#[derive(Serialize, Deserialize, schemars::JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pin {
    /// It is reported.
    Report,
    /// It is reported, and the tools that changed or are new are hidden and cannot be called.
    Quarantine,
}

/// What clients are told of one tool. What is absent stays as the server writes it, byte for byte.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq)]
#[x_kube(validation = kube::core::Rule::new("has(self.__as__) || has(self.title) || has(self.description) || has(self.annotations)")
    .message("an item of `overrides` must change something: at least one of `as`, `title`, `description` and `annotations` must be given"))]
#[serde(rename_all = "camelCase")]
pub struct ToolOverride {
    /// Name of the tool, as the server gives it.
    #[schemars(length(min = 1, max = 128))]
    pub name: String,
    /// The name clients see and call; a call reaches the tool under its own name. One that clashes with another
    /// server's tool gets the prefix that any name gets.
    #[serde(default, rename = "as", skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128), regex(pattern = r"^[A-Za-z0-9_.-]+$"))]
    pub rename: Option<String>,
    /// The title that people read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub title: Option<String>,
    /// The description that models read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub description: Option<String>,
    /// What hosts are told of the tool's effects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<ToolAnnotations>,
}

/// Hints about a tool's effects (MCP, `ToolAnnotations`). 'Asserted' writes `true` and 'Denied' `false`; what is absent
/// stays as the server says.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq)]
#[x_kube(validation = kube::core::Rule::new("has(self.readOnlyHint) || has(self.destructiveHint) || has(self.idempotentHint) || has(self.openWorldHint)")
    .message("at least one of `readOnlyHint`, `destructiveHint`, `idempotentHint` and `openWorldHint` must be given"))]
#[serde(rename_all = "camelCase")]
pub struct ToolAnnotations {
    /// Whether the tool changes nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_only_hint: Option<Hint>,
    /// Whether the tool may destroy something, rather than only add.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destructive_hint: Option<Hint>,
    /// Whether calling it again with the same arguments does nothing more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotent_hint: Option<Hint>,
    /// Whether it reaches things outside of the server's own world.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open_world_hint: Option<Hint>,
}

/// What is said of a tool.
#[derive(Serialize, Deserialize, schemars::JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hint {
    /// `true`.
    Asserted,
    /// `false`.
    Denied,
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
