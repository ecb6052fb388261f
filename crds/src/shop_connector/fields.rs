//! Where an item of a list has what: JSON pointers (RFC 6901) from the item's root, such as '/prices/0/amount'.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// Where an item has the fields of a product.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ProductFields {
    /// Identifier of the product in the API.
    #[schemars(length(min = 1, max = 256), regex(pattern = "^(/([^~/]|~[01])*)+$"))]
    pub id: String,
    /// What customers call it.
    #[schemars(length(min = 1, max = 256), regex(pattern = "^(/([^~/]|~[01])*)+$"))]
    pub name: String,
    /// Stock-keeping unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), regex(pattern = "^(/([^~/]|~[01])*)+$"))]
    pub sku: Option<String>,
    /// Text about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), regex(pattern = "^(/([^~/]|~[01])*)+$"))]
    pub description: Option<String>,
    /// What it costs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), regex(pattern = "^(/([^~/]|~[01])*)+$"))]
    pub price: Option<String>,
    /// What the shop pays for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), regex(pattern = "^(/([^~/]|~[01])*)+$"))]
    pub cost: Option<String>,
    /// Currency of `price` and `cost`. Absent: the spec's `currency`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), regex(pattern = "^(/([^~/]|~[01])*)+$"))]
    pub currency: Option<String>,
    /// Whether it is sold: active, draft or archived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), regex(pattern = "^(/([^~/]|~[01])*)+$"))]
    pub status: Option<String>,
    /// Who delivers it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), regex(pattern = "^(/([^~/]|~[01])*)+$"))]
    pub vendor_id: Option<String>,
    /// How many there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), regex(pattern = "^(/([^~/]|~[01])*)+$"))]
    pub quantity: Option<String>,
    /// A picture of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), regex(pattern = "^(/([^~/]|~[01])*)+$"))]
    pub image_url: Option<String>,
    /// When it was changed last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), regex(pattern = "^(/([^~/]|~[01])*)+$"))]
    pub updated_at: Option<String>,
}

/// Where an item has the fields of an order.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct OrderFields {
    /// Identifier of the order in the API.
    #[schemars(length(min = 1, max = 256), regex(pattern = "^(/([^~/]|~[01])*)+$"))]
    pub id: String,
    /// What the customer calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), regex(pattern = "^(/([^~/]|~[01])*)+$"))]
    pub number: Option<String>,
    /// How far it has come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), regex(pattern = "^(/([^~/]|~[01])*)+$"))]
    pub status: Option<String>,
    /// Currency of `total` and of the lines. Absent: the spec's `currency`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), regex(pattern = "^(/([^~/]|~[01])*)+$"))]
    pub currency: Option<String>,
    /// What it costs in all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), regex(pattern = "^(/([^~/]|~[01])*)+$"))]
    pub total: Option<String>,
    /// When it was placed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), regex(pattern = "^(/([^~/]|~[01])*)+$"))]
    pub created_at: Option<String>,
    /// When it was changed last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), regex(pattern = "^(/([^~/]|~[01])*)+$"))]
    pub updated_at: Option<String>,
    /// The lines of the order. Absent: what was ordered is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lines: Option<OrderLines>,
}

/// Where an order has its lines; all pointers but `items` start at the line's root.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq, Eq)]
#[x_kube(validation = kube::core::Rule::new("has(self.productId) || has(self.sku)")
    .message("`lines` must have `productId` or `sku`, so that it is known which product is meant"))]
#[serde(rename_all = "camelCase")]
pub struct OrderLines {
    /// Pointer to the list of lines in the order.
    #[schemars(length(min = 1, max = 256), regex(pattern = "^(/([^~/]|~[01])*)+$"))]
    pub items: String,
    /// Identifier of the product in the API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), regex(pattern = "^(/([^~/]|~[01])*)+$"))]
    pub product_id: Option<String>,
    /// Stock-keeping unit of the product.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), regex(pattern = "^(/([^~/]|~[01])*)+$"))]
    pub sku: Option<String>,
    /// What the product was called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), regex(pattern = "^(/([^~/]|~[01])*)+$"))]
    pub name: Option<String>,
    /// How many were ordered.
    #[schemars(length(min = 1, max = 256), regex(pattern = "^(/([^~/]|~[01])*)+$"))]
    pub quantity: String,
    /// What one costs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), regex(pattern = "^(/([^~/]|~[01])*)+$"))]
    pub price: Option<String>,
}

/// Where an item has the fields of stock.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq, Eq)]
#[x_kube(validation = kube::core::Rule::new("has(self.productId) || has(self.sku)")
    .message("`fields` must have `productId` or `sku`, so that it is known which product is meant"))]
#[serde(rename_all = "camelCase")]
pub struct InventoryFields {
    /// How many can be sold.
    #[schemars(length(min = 1, max = 256), regex(pattern = "^(/([^~/]|~[01])*)+$"))]
    pub available: String,
    /// Identifier of the product in the API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), regex(pattern = "^(/([^~/]|~[01])*)+$"))]
    pub product_id: Option<String>,
    /// Stock-keeping unit of the product.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), regex(pattern = "^(/([^~/]|~[01])*)+$"))]
    pub sku: Option<String>,
    /// Which place it is. Absent: there is one place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), regex(pattern = "^(/([^~/]|~[01])*)+$"))]
    pub location_id: Option<String>,
    /// How many are there, those promised to others included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), regex(pattern = "^(/([^~/]|~[01])*)+$"))]
    pub on_hand: Option<String>,
    /// When it was changed last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), regex(pattern = "^(/([^~/]|~[01])*)+$"))]
    pub updated_at: Option<String>,
}
