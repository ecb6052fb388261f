//! What the gateway reports of the number of pods.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// Most entries of [`ScalingStatus::history`].
pub const MAX_HISTORY: usize = 10;
/// Most characters of [`ScalingStatus::decision`].
pub const MAX_DECISION: usize = 128;
/// Most characters of [`ScalingDecision::message`].
pub const MAX_MESSAGE: usize = 256;

/// How many pods the gateway asks for, and why. Written by the gateway alone.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ScalingStatus {
    /// Pods that the gateway asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub desired: Option<i32>,
    /// Since when there has been no call. Absent: there are calls, or nothing is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_since: Option<Time>,
    /// Before that time a start that failed is not tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<Time>,
    /// Milliseconds from the wish for a first pod until it was ready: the median of the last starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub start_milliseconds: Option<i64>,
    /// The last decision as text, such as '1 to 3' and the reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub decision: Option<String>,
    /// The last decisions, the newest first; at most 10.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Atomic)]
    pub history: Vec<ScalingDecision>,
}

/// A change of the number of pods.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ScalingDecision {
    /// When it was decided.
    pub time: Time,
    /// Pods before it.
    #[schemars(range(min = 0))]
    pub from: i32,
    /// Pods after it.
    #[schemars(range(min = 0))]
    pub to: i32,
    /// Why, one CamelCase word.
    #[schemars(length(min = 1, max = 128))]
    pub reason: String,
    /// The same for people.
    #[schemars(length(max = 256))]
    pub message: String,
}
