//! Where a REST API has what, and by which names. Pointers are JSON pointers (RFC 6901): '/data/items', or '' for the
//! whole.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fields::{InventoryFields, OrderFields, ProductFields};

/// Where an API has products, orders and stock.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Mapping {
    /// How amounts of money are written.
    #[serde(default)]
    pub money: Money,
    /// The list of products.
    pub products: ProductEndpoint,
    /// The list of orders. Absent: tools that need orders are not offered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orders: Option<OrderEndpoint>,
    /// The list of stock by place. Absent: a product's `quantity` is all that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inventory: Option<InventoryEndpoint>,
}

/// How amounts of money are written.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Money {
    /// In the currency's unit, as a number or text: 12.90.
    #[default]
    Decimal,
    /// In the currency's smallest unit, as a whole number: 1290.
    MinorUnits,
}

/// A request that answers with a list.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ListRequest {
    /// Path of the list, with a query if it needs one: '/items?active=1'.
    #[schemars(length(min = 1, max = 1024), regex(pattern = r"^/[^\s#]*$"))]
    pub path: String,
    /// Method of the request.
    #[serde(default)]
    pub method: Method,
    /// Pointer to the list in the answer. Absent: the answer is the list.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 256), regex(pattern = "^(/([^~/]|~[01])*)*$"))]
    pub items: String,
    /// How further pages are asked for. Absent: one answer holds all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paging: Option<Paging>,
}

/// Methods of a request for a list.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Method {
    /// As most APIs have it.
    #[default]
    #[serde(rename = "GET")]
    Get,
    /// Without a body.
    #[serde(rename = "POST")]
    Post,
}

/// How further pages are asked for: exactly one member is set.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq, Eq)]
#[x_kube(validation = kube::core::Rule::new("[has(self.page), has(self.cursor), has(self.link)].exists_one(x, x)")
    .message("`paging` must have exactly one of `page`, `cursor` and `link`"))]
#[serde(rename_all = "camelCase")]
pub struct Paging {
    /// By number, from 1, until an empty page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<PagePaging>,
    /// By a cursor that each answer gives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<CursorPaging>,
    /// By the header `Link` with `rel="next"` (RFC 8288).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<LinkPaging>,
}

/// Pages by number.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct PagePaging {
    /// Query parameter of the page's number.
    #[serde(default = "default_page_parameter")]
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[A-Za-z0-9._~\[\]-]+$"))]
    pub page_parameter: String,
    /// Query parameter of the page's size. Absent: the size cannot be asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[A-Za-z0-9._~\[\]-]+$"))]
    pub size_parameter: Option<String>,
    /// Items of a full page.
    #[serde(default = "default_page_size")]
    #[schemars(range(min = 1, max = 1000))]
    pub size: i32,
}

fn default_page_parameter() -> String {
    "page".to_owned()
}

const fn default_page_size() -> i32 {
    100
}

/// Pages by cursor.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct CursorPaging {
    /// Query parameter of the cursor.
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[A-Za-z0-9._~\[\]-]+$"))]
    pub parameter: String,
    /// Pointer to the next page's cursor in the answer. The last answer has none, or an empty one.
    #[schemars(length(min = 1, max = 256), regex(pattern = "^(/([^~/]|~[01])*)+$"))]
    pub next_pointer: String,
}

/// Pages by the header `Link`. It has no fields: write `link: {}`.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkPaging {}

/// The list of products.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ProductEndpoint {
    /// How the list is asked for.
    #[serde(flatten)]
    pub request: ListRequest,
    /// Where an item has what.
    pub fields: ProductFields,
}

/// The list of orders.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct OrderEndpoint {
    /// How the list is asked for.
    #[serde(flatten)]
    pub request: ListRequest,
    /// Where an item has what.
    pub fields: OrderFields,
}

/// The list of stock by place.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct InventoryEndpoint {
    /// How the list is asked for.
    #[serde(flatten)]
    pub request: ListRequest,
    /// Where an item has what.
    pub fields: InventoryFields,
}
