//! What another kind may change of the `McpServer` that it renders.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::{Egress, EnvVar, Opaque, Placement, Resources, Timeouts, Tools};

/// How a rendered server runs, where it is not as the operator would have it. Every field means what it means in
/// an `McpServer`.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ServerOverrides {
    /// Number of pods. Absent: whoever scales the server owns its replicas (1 at first).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1000))]
    pub replicas: Option<i32>,

    /// Amounts of CPU, memory and other resources that a pod asks for and may use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,

    /// On which nodes the pods may run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placement: Option<Placement>,

    /// Destinations the pods may open connections to, besides the one that the operator derives from the spec; one of
    /// the same name replaces it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["name".into()]))]
    pub egress: Vec<Egress>,

    /// Which of the server's tools clients see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tools: Option<Tools>,

    /// How long the gateway waits for the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeouts: Option<Timeouts>,

    /// Environment variables besides those that the operator sets; one of the same name replaces the operator's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["name".into()]))]
    pub env: Vec<EnvVar>,

    /// Strategic-merge patch of the pod template, for what no other field says. It is applied last and may undo
    /// what the operator sets, the security defaults included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::opaque_object")]
    pub pod_template: Option<Opaque>,
}
