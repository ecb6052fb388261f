//! Which servers of a shop run, and how.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::mcp_server::{BuiltinName, ServerOverrides};

/// One server of a shop.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ShopServer {
    /// Which server: 'Storefront', 'Admin', 'Inventory', 'Intent' or 'Notifications'.
    pub name: ServerName,
    /// How it runs, where it is not as the operator would have it.
    #[serde(flatten)]
    pub overrides: ServerOverrides,
}

/// The servers of a shop.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ServerName {
    /// Products, baskets and payment links, for customers.
    Storefront,
    /// Products, for those who keep the catalogue.
    Admin,
    /// Stock.
    Inventory,
    /// What a person means, as a call of a tool.
    Intent,
    /// Messages by e-mail, SMS and `WhatsApp`.
    Notifications,
}

impl ServerName {
    /// The program that is the server. Its name also ends the name of the rendered `McpServer`.
    #[must_use]
    pub const fn builtin(self) -> BuiltinName {
        match self {
            Self::Storefront => BuiltinName::Storefront,
            Self::Admin => BuiltinName::Admin,
            Self::Inventory => BuiltinName::Inventory,
            Self::Intent => BuiltinName::Intent,
            Self::Notifications => BuiltinName::Notifications,
        }
    }
}
