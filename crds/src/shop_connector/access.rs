//! Who may do what.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Subjects that may do the same.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Role {
    /// Name of the role, for feature flags.
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// What the role may do.
    #[schemars(length(min = 1, max = 7))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Set)]
    pub permissions: Vec<Permission>,
    /// Who has the role, as the gateway names the principals of its clients. Absent or empty: nobody.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(min = 1, max = 253)))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Set)]
    pub subjects: Vec<String>,
}

/// What a role may do.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Permission {
    /// See products, stock and orders.
    Read,
    /// Create, change and delete products.
    WriteProducts,
    /// Set stock.
    WriteInventory,
    /// Create and change baskets and orders.
    WriteOrders,
    /// Send messages.
    Notify,
    /// See figures, forecasts and how vendors perform.
    Analytics,
    /// All of it.
    Administer,
}
