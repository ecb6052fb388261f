//! What is switched on for whom.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One feature flag. It holds for a user where its environment is named, for the users and roles named at once, and
/// for a share of all others.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct FeatureFlag {
    /// Name of the flag.
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z][a-z0-9_]*$"))]
    pub name: String,
    /// Whether the flag holds for anybody.
    pub state: FlagState,
    /// Share of users in percent, the same ones at every look. Absent: 100, or 0 where `users` or `roles` are given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub rollout_percent: Option<i32>,
    /// Users it holds for, whatever the share.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(min = 1, max = 253)))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Set)]
    pub users: Vec<String>,
    /// Roles it holds for, whatever the share.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 63)))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Set)]
    pub roles: Vec<String>,
    /// Environments it can hold in. Absent or empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 63)))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Set)]
    pub environments: Vec<String>,
}

/// Whether a flag holds for anybody. (The words 'On' and 'Off' would be truth values to many YAML readers.)
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlagState {
    /// It holds for those it is rolled out to.
    Enabled,
    /// It holds for nobody.
    Disabled,
}

/// The flags that the servers know, each with its state where the spec has no entry for it.
pub const FIXED_FLAGS: [(&str, FlagState); 8] = [
    ("mcp_integration_enabled", FlagState::Enabled),
    ("shopify_integration_enabled", FlagState::Enabled),
    ("real_time_sync_enabled", FlagState::Enabled),
    ("bulk_operations_enabled", FlagState::Disabled),
    ("advanced_analytics_enabled", FlagState::Enabled),
    ("auto_reorder_enabled", FlagState::Disabled),
    ("vendor_performance_tracking", FlagState::Enabled),
    ("demand_forecasting_enabled", FlagState::Enabled),
];

impl FeatureFlag {
    /// Share of the users who are named neither by themselves nor by a role, in percent.
    #[must_use]
    pub const fn share_of_others(&self) -> i32 {
        let targeted = !self.users.is_empty() || !self.roles.is_empty();
        match self.rollout_percent {
            Some(percent) => percent,
            None if targeted => 0,
            None => 100,
        }
    }
}
