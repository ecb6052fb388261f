//! How many pods, by load.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// Bounds within which the number of pods follows the load.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq)]
#[x_kube(validation = kube::core::Rule::new("self.min <= self.max").message("`min` must be at most `max`").field_path(".min"))]
#[serde(rename_all = "camelCase")]
pub struct Scaling {
    /// Fewest pods; 0 lets the server stop when nobody uses it.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1000))]
    pub min: i32,
    /// Most pods.
    #[serde(default = "default_max")]
    #[schemars(range(min = 1, max = 1000))]
    pub max: i32,
    /// Calls that one pod should have in hand at a time.
    #[serde(default = "default_concurrency")]
    #[schemars(range(min = 1, max = 10000))]
    pub target_concurrency: i32,
    /// Seconds without a call after which the last pod goes, where `min` is 0.
    #[serde(default = "default_idle")]
    #[schemars(range(min = 10, max = 86400))]
    pub idle_seconds: i32,
    /// Seconds over which the load is averaged.
    #[serde(default = "default_window")]
    #[schemars(range(min = 5, max = 3600))]
    pub window_seconds: i32,
    /// Seconds that a call waits for a server that has no pod.
    #[serde(default = "default_hold")]
    #[schemars(range(min = 1, max = 3600))]
    pub hold_seconds: i32,
}

const fn default_max() -> i32 {
    10
}
const fn default_concurrency() -> i32 {
    8
}
const fn default_idle() -> i32 {
    300
}
const fn default_window() -> i32 {
    60
}
const fn default_hold() -> i32 {
    120
}
