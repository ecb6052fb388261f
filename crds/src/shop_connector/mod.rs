//! `ShopConnector`: one shop as a few MCP servers.

mod access;
mod custom;
mod fields;
mod flags;
mod mapping;
mod platform;
mod servers;
mod status;

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use crate::rules;

pub use access::{Permission, Role};
pub use custom::{BasicLogin, Custom, CustomAuth, HeaderLogin, NoLogin};
pub use fields::{InventoryFields, OrderFields, OrderLines, ProductFields};
pub use flags::{FIXED_FLAGS, FeatureFlag, FlagState};
pub use mapping::{
    CursorPaging, InventoryEndpoint, LinkPaging, ListRequest, Mapping, Method, Money, OrderEndpoint,
    PagePaging, Paging, ProductEndpoint,
};
pub use platform::{
    Magento, MagentoAuth, Museo, OAuth1Keys, Platform, PlatformName, ServiceAccount, Shopify, WooCommerce,
};
pub use servers::{ServerName, ShopServer};
pub use status::{CONDITIONS, Readiness, ServerStatus, ShopConnectorStatus};

/// What a `ShopConnector` should be.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "portico.dev",
    version = "v1alpha1",
    kind = "ShopConnector",
    plural = "shopconnectors",
    namespaced,
    status = "ShopConnectorStatus",
    derive = "PartialEq",
    shortname = "pshop",
    category = "portico",
    doc = "One shop as MCP servers: its platform and credentials, who may do what, and which servers run.",
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Reason", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].reason"#),
    printcolumn(name = "Platform", type_ = "string", json_path = ".status.platform"),
    printcolumn(name = "Servers", type_ = "string", json_path = ".status.serversReady"),
    printcolumn(name = "Synced", type_ = "string", json_path = r#".status.conditions[?(@.type=="Synced")].status"#),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].message"#,
        priority = 1
    ),
    validation = rules::name(36),
    cel
)]
#[serde(rename_all = "camelCase")]
pub struct ShopConnectorSpec {
    /// The shop and its credentials: exactly one of `shopify`, `woocommerce`, `magento`, `museo` and `custom`.
    pub platform: Platform,

    /// Which servers run, each at most once.
    #[schemars(length(min = 1, max = 5))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["name".into()]))]
    pub servers: Vec<ShopServer>,

    /// What is switched on for whom. Any name may be used; these are known to the servers and need no entry:
    /// `mcp_integration_enabled`, `shopify_integration_enabled`, `real_time_sync_enabled`,
    /// `advanced_analytics_enabled`, `vendor_performance_tracking` and `demand_forecasting_enabled` are 'Enabled',
    /// `bulk_operations_enabled` and `auto_reorder_enabled`, which change much or spend money, are 'Disabled'.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["name".into()]))]
    pub feature_flags: Vec<FeatureFlag>,

    /// Name of the environment that the shop belongs to, for feature flags.
    #[serde(default = "default_environment")]
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub environment: String,

    /// Who may do what. Absent or empty: who reaches a server may use all its tools.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["name".into()]))]
    pub roles: Vec<Role>,

    /// Language of messages where a client asks for none, as a tag of BCP 47 such as 'en' or 'tr-TR'.
    #[serde(default = "default_locale")]
    #[schemars(length(min = 2, max = 35), regex(pattern = "^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$"))]
    pub locale: String,

    /// Currency of prices that come without one, by its code of ISO 4217 such as 'EUR'. Absent: the one that the
    /// platform names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 3, max = 3), regex(pattern = "^[A-Z]{3}$"))]
    pub currency: Option<String>,
}

fn default_environment() -> String {
    "production".to_owned()
}

fn default_locale() -> String {
    "en".to_owned()
}
