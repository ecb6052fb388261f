//! A product as tools and pages show it.

use schemars::JsonSchema;
use serde::Serialize;

use super::{money::Money, prices::PriceChange};
use crate::upstream::model::{Item, Price, Product};

/// One product.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Shown {
    pub(crate) product_id: String,
    pub(crate) name: Option<String>,
    pub(crate) brand: Option<String>,
    pub(crate) categories: Vec<String>,
    pub(crate) size: Option<String>,
    /// UNIT or WEIGHT.
    pub(crate) sold_by: Option<String>,
    /// Missing where Kroger gives none.
    pub(crate) price: Option<ShownPrice>,
    /// HIGH, LOW or `TEMPORARILY_OUT_OF_STOCK`; missing where Kroger does not say. There is no count.
    pub(crate) stock_level: Option<String>,
    /// Missing without a store.
    pub(crate) fulfillment: Option<Ways>,
    pub(crate) aisle: Option<String>,
    /// What has become of the price since it was seen first here; missing where nothing is known of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) price_change: Option<PriceChange>,
    pub(crate) image: Option<String>,
}

/// Prices in US dollars.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct ShownPrice {
    /// What one pays: the sale price if there is one.
    pub(crate) current: Money,
    pub(crate) regular: Option<Money>,
    /// Missing where nothing is on sale.
    pub(crate) sale: Option<Money>,
    /// What the sale saves.
    pub(crate) savings: Option<Money>,
    pub(crate) currency: &'static str,
    /// When the sale ends, where Kroger says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sale_ends_at: Option<String>,
}

#[derive(Debug, Clone, Serialize, JsonSchema)]
#[allow(clippy::struct_excessive_bools, reason = "four independent ways of delivery")]
pub(crate) struct Ways {
    pub(crate) in_store: bool,
    pub(crate) curbside: bool,
    pub(crate) delivery: bool,
    pub(crate) ship: bool,
}

/// The product as it is shown.
pub(crate) fn shown(product: &Product) -> Shown {
    let item = product.items.first();
    Shown {
        product_id: product.product_id.clone(),
        name: product.description.clone(),
        brand: product.brand.clone(),
        categories: product.categories.clone(),
        size: item.and_then(|item| item.size.clone()),
        sold_by: item.and_then(|item| item.sold_by.clone()),
        price: item.and_then(price_of),
        stock_level: item.and_then(|item| item.inventory.as_ref()?.stock_level.clone()),
        fulfillment: item.and_then(ways),
        aisle: product.aisle_locations.first().and_then(|aisle| aisle.description.clone()),
        price_change: None,
        image: image(product),
    }
}

/// A sale price of 0 means that nothing is on sale.
fn price_of(item: &Item) -> Option<ShownPrice> {
    let price = item.price.as_ref()?;
    let regular = price.regular.filter(|price| !price.is_zero());
    let sale = price.promo.filter(|price| !price.is_zero());
    let savings = regular.zip(sale).and_then(|(regular, sale)| regular.less(sale));
    Some(ShownPrice {
        current: sale.or(regular)?,
        regular,
        sale,
        savings,
        currency: "USD",
        sale_ends_at: sale.and_then(|_| ends_at(price)),
    })
}

/// The year 9999 stands for no end.
fn ends_at(price: &Price) -> Option<String> {
    let end = price.expiration_date.as_ref()?.value.as_deref()?;
    (!end.starts_with("9999")).then(|| end.to_owned())
}

/// What one pays for a product now.
pub(crate) fn price_now(product: &Product) -> Option<ShownPrice> {
    product.items.first().and_then(price_of)
}

/// Why a product cannot be had in this number; `None` where nothing speaks against it. Kroger tells a level and never a count.
pub(crate) fn refusal(product: &Product, quantity: u32) -> Option<String> {
    let item = product.items.first();
    let level = item.and_then(|item| item.inventory.as_ref()?.stock_level.as_deref());
    if level == Some("TEMPORARILY_OUT_OF_STOCK") {
        return Some("is out of stock at this store for now".to_owned());
    }
    let most = product.restrictions.as_ref()?.maximum_order_quantity?;
    (u64::from(quantity) > most).then(|| format!("can be ordered {most} times at most"))
}

/// The product in one line, as a model reads it.
pub(crate) fn line(product: &Shown) -> String {
    let name = product.name.as_deref().unwrap_or("(no name)");
    let price = match &product.price {
        Some(ShownPrice { current, sale: Some(_), regular: Some(regular), .. }) => {
            format!("${current} (regular ${regular})")
        }
        Some(price) => format!("${}", price.current),
        None => "no price given".to_owned(),
    };
    let size = product.size.as_deref().map(|size| format!(", {size}")).unwrap_or_default();
    let stock = match product.stock_level.as_deref() {
        Some("TEMPORARILY_OUT_OF_STOCK") => ", out of stock",
        Some("LOW") => ", few left",
        _ => "",
    };
    let drop = product.price_change.as_ref().and_then(|change| change.dropped_by);
    let drop = drop.map(|drop| format!(", ${drop} less than before")).unwrap_or_default();
    format!("- {name}{size}: {price}{drop}{stock} [{}]", product.product_id)
}

fn ways(item: &Item) -> Option<Ways> {
    let ways = item.fulfillment.as_ref()?;
    Some(Ways {
        in_store: ways.in_store,
        curbside: ways.curbside,
        delivery: ways.delivery,
        ship: ways.ship_to_home,
    })
}

fn image(product: &Product) -> Option<String> {
    let front = product.images.iter().find(|image| image.perspective.as_deref() == Some("front"))?;
    let medium = front.sizes.iter().find(|size| size.size.as_deref() == Some("medium"));
    medium.or(front.sizes.first())?.url.clone()
}
