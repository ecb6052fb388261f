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

/// What goods sold by weight are priced by, and what totals say of them.
const POUND: &str = "lb";
pub(crate) const ESTIMATED: &str = "Goods sold by weight are counted by what Kroger estimates for a piece; the scale decides what they cost.";

/// Prices in US dollars: of one piece, or of a `unit`.
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
    /// `lb` where the goods are sold by weight and these are prices of a pound; missing where they are those of a piece.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) unit: Option<&'static str>,
    /// What one piece costs about, of goods sold by weight; missing where Kroger does not estimate it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) each_about: Option<Money>,
    /// What the sale saves of that.
    #[serde(skip)]
    each_saves: Option<Money>,
    /// When the sale ends, where Kroger says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sale_ends_at: Option<String>,
    /// The last day of the sale by the store's calendar, such as 2026-11-26; missing where the store's clock is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sale_last_day: Option<String>,
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
    let saved = |regular: Option<Money>, sale: Option<Money>| regular?.less(sale?);
    let by_weight = item.sold_by.as_deref().is_some_and(|by| by.eq_ignore_ascii_case("weight"));
    let estimate = |of: Option<Money>| of.filter(|estimate| by_weight && !estimate.is_zero());
    let (usual, reduced) = (estimate(price.regular_estimate), estimate(price.promo_estimate));
    Some(ShownPrice {
        current: sale.or(regular)?,
        regular,
        sale,
        savings: saved(regular, sale),
        currency: "USD",
        unit: by_weight.then_some(POUND),
        each_about: if sale.is_some() { reduced } else { usual },
        each_saves: sale.and_then(|_| saved(usual, reduced)),
        sale_ends_at: sale.and_then(|_| ends_at(price)),
        sale_last_day: None,
    })
}

/// The year 9999 stands for no end.
fn ends_at(price: &Price) -> Option<String> {
    let end = price.expiration_date.as_ref()?.value.as_deref()?;
    (!end.starts_with("9999")).then(|| end.to_owned())
}

impl ShownPrice {
    /// What one piece costs, which is what carts count; missing for goods sold by weight that nobody has estimated.
    pub(crate) fn piece(&self) -> Option<Money> {
        if self.unit.is_some() { self.each_about } else { Some(self.current) }
    }

    /// What a sale saves of one piece.
    pub(crate) fn piece_saves(&self) -> Option<Money> {
        if self.unit.is_some() { self.each_saves } else { self.savings }
    }

    /// An amount of this price's unit: `$0.59/lb`, or `$1.99`.
    pub(crate) fn told(&self, amount: Money) -> String {
        self.unit.map_or_else(|| format!("${amount}"), |unit| format!("${amount}/{unit}"))
    }

    /// What a piece costs about, where that is another number: `, about $0.27 each`.
    pub(crate) fn about(&self) -> String {
        self.each_about.map(|each| format!(", about ${each} each")).unwrap_or_default()
    }
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
        Some(price @ ShownPrice { current, sale: Some(_), regular: Some(regular), .. }) => {
            format!("{} (regular {}){}", price.told(*current), price.told(*regular), price.about())
        }
        Some(price) => format!("{}{}", price.told(price.current), price.about()),
        None => "no price given".to_owned(),
    };
    let size = product.size.as_deref().map(|size| format!(", {size}")).unwrap_or_default();
    let stock = match product.stock_level.as_deref() {
        Some("TEMPORARILY_OUT_OF_STOCK") => ", out of stock",
        Some("LOW") => ", few left",
        _ => "",
    };
    let drop = product.price_change.as_ref().and_then(|change| change.dropped_by);
    let drop = drop.zip(product.price.as_ref());
    let drop =
        drop.map(|(drop, price)| format!(", {} less than before", price.told(drop))).unwrap_or_default();
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

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    fn sold(by: &str, price: &Value) -> ShownPrice {
        let item = json!({ "soldBy": by, "price": price });
        price_now(&serde_json::from_value(json!({ "productId": "1", "items": [item] })).unwrap()).unwrap()
    }

    #[rstest]
    #[case::by_piece("UNIT", json!({ "regular": 2, "promo": 1.5, "regularPerUnitEstimate": 9 }), Some("1.50"), Some("0.50"))]
    #[case::by_weight("WEIGHT", json!({ "regular": 0.59, "promo": 0, "regularPerUnitEstimate": 0.27 }), Some("0.27"), None)]
    #[case::as_documented("weight", json!({ "regular": 0.59, "regularPerUnitEstimate": 0.27 }), Some("0.27"), None)]
    #[case::on_sale(
        "WEIGHT",
        json!({ "regular": 1.99, "promo": 1.49, "regularPerUnitEstimate": 0.9, "promoPerUnitEstimate": 0.67 }),
        Some("0.67"),
        Some("0.23")
    )]
    #[case::nobody_estimates("WEIGHT", json!({ "regular": 0.59 }), None, None)]
    #[case::nobody_estimates_the_sale("WEIGHT", json!({ "regular": 2, "promo": 1, "regularPerUnitEstimate": 0.9 }), None, None)]
    fn a_piece_costs_what_kroger_says_or_estimates(
        #[case] by: &str,
        #[case] price: Value,
        #[case] piece: Option<&str>,
        #[case] saves: Option<&str>,
    ) {
        let price = sold(by, &price);
        let text = |amount: Option<Money>| amount.map(|amount| amount.to_string());
        assert_eq!((text(price.piece()).as_deref(), text(price.piece_saves()).as_deref()), (piece, saves));
    }
}
