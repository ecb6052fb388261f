//! Kroger's answers. Everything but ids may be missing.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::shop::money::Money;

/// A list under `data`.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct List<T> {
    pub(crate) data: Vec<T>,
    #[serde(default)]
    pub(crate) meta: Meta,
}

#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct Meta {
    #[serde(default)]
    pub(crate) pagination: Pagination,
}

#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct Pagination {
    #[serde(default)]
    pub(crate) total: usize,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Product {
    pub(crate) product_id: String,
    pub(crate) brand: Option<String>,
    pub(crate) description: Option<String>,
    #[serde(default)]
    pub(crate) categories: Vec<String>,
    #[serde(default)]
    pub(crate) items: Vec<Item>,
    #[serde(default)]
    pub(crate) aisle_locations: Vec<Aisle>,
    #[serde(default)]
    pub(crate) images: Vec<Image>,
    #[serde(default)]
    pub(crate) allergens: Vec<Allergen>,
    pub(crate) organic_claim_name: Option<String>,
    /// Spelled so by the API.
    #[serde(rename = "retstrictions")]
    pub(crate) restrictions: Option<Restrictions>,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Allergen {
    pub(crate) name: Option<String>,
    pub(crate) level_of_containment_name: Option<String>,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Restrictions {
    pub(crate) maximum_order_quantity: Option<u64>,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Item {
    pub(crate) size: Option<String>,
    pub(crate) sold_by: Option<String>,
    pub(crate) price: Option<Price>,
    pub(crate) inventory: Option<Inventory>,
    pub(crate) fulfillment: Option<Fulfillment>,
}

#[derive(Debug, Clone, Default, Deserialize, Serialize)]
pub(crate) struct Price {
    #[serde(default, deserialize_with = "lenient")]
    pub(crate) regular: Option<Money>,
    #[serde(default, deserialize_with = "lenient")]
    pub(crate) promo: Option<Money>,
    /// Of goods sold by weight: what one piece costs about. The prices above are a pound's then.
    #[serde(default, rename = "regularPerUnitEstimate", deserialize_with = "lenient")]
    pub(crate) regular_estimate: Option<Money>,
    #[serde(default, rename = "promoPerUnitEstimate", deserialize_with = "lenient")]
    pub(crate) promo_estimate: Option<Money>,
    #[serde(rename = "expirationDate")]
    pub(crate) expiration_date: Option<Moment>,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
pub(crate) struct Moment {
    pub(crate) value: Option<String>,
}

/// A price that is not one counts as missing: it must not spoil the other products.
fn lenient<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Money>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    Ok(value.as_number().and_then(Money::of))
}

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Inventory {
    pub(crate) stock_level: Option<String>,
}

/// The documentation and the live answers spell two of the names differently.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[allow(clippy::struct_excessive_bools, reason = "the API's own four flags")]
pub(crate) struct Fulfillment {
    #[serde(default)]
    pub(crate) curbside: bool,
    #[serde(default)]
    pub(crate) delivery: bool,
    #[serde(default, rename = "inStore", alias = "instore")]
    pub(crate) in_store: bool,
    #[serde(default, rename = "shipToHome", alias = "shiptohome")]
    pub(crate) ship_to_home: bool,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
pub(crate) struct Aisle {
    pub(crate) description: Option<String>,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
pub(crate) struct Image {
    pub(crate) perspective: Option<String>,
    #[serde(default)]
    pub(crate) sizes: Vec<ImageSize>,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
pub(crate) struct ImageSize {
    pub(crate) size: Option<String>,
    pub(crate) url: Option<String>,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Location {
    pub(crate) location_id: String,
    pub(crate) chain: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) phone: Option<String>,
    pub(crate) address: Option<Address>,
    pub(crate) geolocation: Option<Geolocation>,
    /// Kept as JSON: the names of days are keys beside `timezone` and `Open24`.
    pub(crate) hours: Option<Value>,
    #[serde(default)]
    pub(crate) departments: Vec<Department>,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Address {
    pub(crate) address_line1: Option<String>,
    pub(crate) city: Option<String>,
    pub(crate) state: Option<String>,
    pub(crate) zip_code: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize, Serialize)]
pub(crate) struct Geolocation {
    pub(crate) latitude: f64,
    pub(crate) longitude: f64,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Department {
    pub(crate) department_id: String,
    pub(crate) name: Option<String>,
    /// Those of a store's own department, by the clock of the store: they name no `timezone`.
    pub(crate) hours: Option<Value>,
}
