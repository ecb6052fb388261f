//! How often Kroger may be called.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// How often Kroger may be called.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Calls a minute that one user may cause: counted by all pods together where there is a Redis, else by each for itself. All calls that
    /// come through a gateway without `identity` are those of nobody in particular and share one allowance.
    #[serde(default = "default_requests_per_minute")]
    #[schemars(range(min = 1, max = 60000))]
    pub requests_per_minute: i32,
    /// Calls a day that all users together may cause, by group of endpoints. Kroger counts them for each application;
    /// absent: what Kroger allows any application.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub daily_requests: Option<DailyRequests>,
}

const fn default_requests_per_minute() -> i32 {
    60
}

impl Default for Limits {
    fn default() -> Self {
        Self { requests_per_minute: default_requests_per_minute(), daily_requests: None }
    }
}

/// Calls a day by group of endpoints. The defaults are Kroger's published quotas; 0 closes a group.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct DailyRequests {
    /// Product searches and details together.
    #[serde(default = "default_products")]
    #[schemars(range(min = 0, max = 100_000_000))]
    pub products: i32,
    /// Look-ups of stores.
    #[serde(default = "default_locations")]
    #[schemars(range(min = 0, max = 100_000_000))]
    pub locations: i32,
    /// Look-ups of departments.
    #[serde(default = "default_locations")]
    #[schemars(range(min = 0, max = 100_000_000))]
    pub departments: i32,
    /// Additions to carts.
    #[serde(default = "default_customer")]
    #[schemars(range(min = 0, max = 100_000_000))]
    pub cart: i32,
    /// Other calls in the name of the signed-in customer.
    #[serde(default = "default_customer")]
    #[schemars(range(min = 0, max = 100_000_000))]
    pub identity: i32,
}

const fn default_products() -> i32 {
    10_000
}

const fn default_locations() -> i32 {
    1_600
}

const fn default_customer() -> i32 {
    5_000
}

impl Default for DailyRequests {
    fn default() -> Self {
        let (look_ups, customer) = (default_locations(), default_customer());
        Self {
            products: default_products(),
            locations: look_ups,
            departments: look_ups,
            cart: customer,
            identity: customer,
        }
    }
}
