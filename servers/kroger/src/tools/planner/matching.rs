//! Finds the product for an ingredient: of the store's search what has the nearest name, fits the diets and is in stock, and among equals the
//! cheapest. What only shares a word is other goods, and is named instead of taken.

use std::collections::HashSet;

use futures::{StreamExt as _, stream};
use portico_kit::tool::ToolError;

use super::{
    diet,
    naming::{Nearness, is_similar, nearness, normal},
    reason::Reason,
    week::{State, Week},
};
use crate::{
    shop::{
        Shop,
        money::Money,
        product::{price_now, refusal},
    },
    tools::profile::Diet,
    upstream::model::Product,
};

/// Products of one search that are looked at, searches at a time, and similar products that are named.
const LOOKED_AT: usize = 30;
const AT_ONCE: usize = 4;
const SIMILAR: usize = 3;

/// What was found for a text.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Found {
    state: State,
    product_id: Option<String>,
    name: Option<String>,
    reason: Option<String>,
    reason_code: Option<Reason>,
    reason_products: Vec<String>,
}

/// Searches for every text that is not matched yet, each once.
pub(super) async fn search(
    shop: &Shop,
    store: &str,
    week: &Week,
    diets: &[Diet],
) -> Result<Vec<(String, Found)>, ToolError> {
    let open = week.ingredients().filter(|ingredient| ingredient.product_id.is_none());
    let texts: HashSet<String> = open.map(|ingredient| normal(&ingredient.text)).collect();
    let searches = texts.into_iter().map(|text| async move {
        let found = find(shop, store, &text, diets).await;
        found.map(|found| (text, found))
    });
    let found: Vec<Result<_, ToolError>> = stream::iter(searches).buffer_unordered(AT_ONCE).collect().await;
    found.into_iter().collect()
}

/// For how many texts there is a product.
pub(super) fn matched(found: &[(String, Found)]) -> u64 {
    found.iter().map(|(_, found)| u64::from(found.state == State::Matched)).sum()
}

/// Writes what was found into the week.
pub(super) fn apply(week: &mut Week, found: &[(String, Found)]) {
    for ingredient in week.ingredients_mut().filter(|ingredient| ingredient.product_id.is_none()) {
        let text = normal(&ingredient.text);
        if let Some((_, found)) = found.iter().find(|(of, _)| *of == text) {
            ingredient.state = found.state;
            ingredient.product_id.clone_from(&found.product_id);
            ingredient.name.clone_from(&found.name);
            ingredient.reason.clone_from(&found.reason);
            ingredient.reason_code = found.reason_code;
            ingredient.reason_products.clone_from(&found.reason_products);
        }
    }
}

async fn find(shop: &Shop, store: &str, text: &str, diets: &[Diet]) -> Result<Found, ToolError> {
    if text.chars().count() < 3 {
        return Ok(Found::nothing(State::NoMatch, Reason::TooShort, Reason::TooShort.to_string()));
    }
    let query = vec![
        ("filter.term", text.to_owned()),
        ("filter.locationId", store.to_owned()),
        ("filter.limit", LOOKED_AT.to_string()),
    ];
    let looked = shop.kroger.products(query).await?;
    Ok(choose(&looked.data.data, text, diets))
}

impl Found {
    fn nothing(state: State, code: Reason, reason: String) -> Self {
        let reason = Some(reason);
        Self {
            state,
            product_id: None,
            name: None,
            reason,
            reason_code: Some(code),
            reason_products: Vec::new(),
        }
    }

    /// The reason names these products.
    fn naming(self, products: &[&str]) -> Self {
        Self { reason_products: products.iter().map(|name| (*name).to_owned()).collect(), ..self }
    }
}

/// The best of the products: of those whose names are nearest one that fits the diets and can be had, the plainest and then the cheapest.
/// Where none of them can be had, what is less near is no answer: it is other goods.
fn choose(products: &[Product], text: &str, diets: &[Diet]) -> Found {
    let near = |product| nearness(product, text).map(|near| (near, product));
    let mut named: Vec<(Nearness, &Product)> = products.iter().filter_map(near).collect();
    named.sort_by_key(|(near, product)| (*near, dollars(product)));
    let Some((nearest, _)) = named.first().copied() else { return not_named(products, text, diets) };
    named.retain(|(near, _)| (near.missing, near.is_other) == (nearest.missing, nearest.is_other));
    let fitting: Vec<&Product> = named
        .iter()
        .map(|(_, product)| *product)
        .filter(|product| diet::clash(product, diets).is_none())
        .collect();
    let clash = || named.first().and_then(|(_, product)| diet::clash(product, diets));
    let Some(first) = fitting.first() else {
        let code = clash().unwrap_or(Reason::NotFound);
        return Found::nothing(State::Excluded, code, format!("the closest product {code}"));
    };
    let Some(best) = fitting.iter().find(|product| refusal(product, 1).is_none()) else {
        let problem = refusal(first, 1).unwrap_or_default();
        let reason = format!("{} {problem}", name(first));
        return Found::nothing(State::NoMatch, Reason::Unavailable, reason).naming(&[name(first)]);
    };
    Found {
        state: State::Matched,
        product_id: Some(best.product_id.clone()),
        name: best.description.clone(),
        reason: None,
        reason_code: None,
        reason_products: Vec::new(),
    }
}

/// Nothing is what was asked for. What shares a word with it, and could be sent, is named for whoever wants to choose it.
fn not_named(products: &[Product], text: &str, diets: &[Diet]) -> Found {
    let can_be_sent =
        |product: &&Product| refusal(product, 1).is_none() && diet::clash(product, diets).is_none();
    let similar = products.iter().filter(|product| is_similar(product, text)).filter(can_be_sent);
    let similar: Vec<&str> = similar.take(SIMILAR).map(name).collect();
    if similar.is_empty() {
        return Found::nothing(State::NoMatch, Reason::NotFound, Reason::NotFound.to_string());
    }
    let reason = format!("{}; similar: {}", Reason::OnlySimilar, similar.join(", "));
    Found::nothing(State::NoMatch, Reason::OnlySimilar, reason).naming(&similar)
}

fn name(product: &Product) -> &str {
    product.description.as_deref().unwrap_or("the closest product")
}

fn dollars(product: &Product) -> Money {
    let never = Money::parse("999999").unwrap_or(Money::ZERO);
    price_now(product).map_or(never, |price| price.piece().unwrap_or(price.current))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn product(id: &str, name: &str, price: f64, stock: &str) -> Product {
        let item = json!({ "price": { "regular": price }, "inventory": { "stockLevel": stock } });
        serde_json::from_value(json!({ "productId": id, "description": name, "brand": "", "items": [item] }))
            .unwrap()
    }

    #[test]
    fn the_closest_name_goes_first_and_then_the_price() {
        let products = [
            product("1", "Onion Ring Snacks", 1.0, "HIGH"),
            product("2", "Yellow Onions", 2.0, "HIGH"),
            product("3", "Red Onions", 1.5, "HIGH"),
            product("4", "Sweet Onions", 1.0, "TEMPORARILY_OUT_OF_STOCK"),
        ];
        assert_eq!(choose(&products, "onions", &[]).product_id.as_deref(), Some("3"));
        assert_eq!(choose(&products, "yellow onions", &[]).product_id.as_deref(), Some("2"));
    }

    #[test]
    fn what_is_out_of_stock_is_told_rather_than_replaced_by_other_goods() {
        let products = [
            product("1", "Flour Tortillas", 2.0, "TEMPORARILY_OUT_OF_STOCK"),
            product("2", "Corn Tortillas", 1.0, "HIGH"),
        ];
        let found = choose(&products, "flour tortillas", &[]);
        assert_eq!((found.state, found.product_id), (State::NoMatch, None));
        assert_eq!(found.reason.as_deref(), Some("Flour Tortillas is out of stock at this store for now"));
        let found = choose(&products[1..], "flour tortillas", &[]);
        assert_eq!(found.reason.as_deref(), Some("was not found at this store; similar: Corn Tortillas"));
        // Eggs that fit no diet are not replaced by what is made of them.
        let eggs = [
            product("1", "Large White Eggs", 2.0, "TEMPORARILY_OUT_OF_STOCK"),
            product("2", "Liquid Egg Whites", 1.0, "HIGH"),
        ];
        assert_eq!(choose(&eggs, "eggs", &[]).product_id, None);
    }

    #[test]
    fn the_plain_kind_goes_before_another() {
        let products = [
            product("1", "Chocolate Milk", 1.0, "HIGH"),
            product("2", "2% Reduced Fat Milk", 2.0, "HIGH"),
            product("3", "Almond Butter", 1.0, "HIGH"),
            product("4", "Salted Butter Sticks", 2.0, "HIGH"),
        ];
        assert_eq!(choose(&products, "milk", &[]).product_id.as_deref(), Some("2"));
        assert_eq!(choose(&products, "butter", &[]).product_id.as_deref(), Some("4"));
    }

    #[rstest]
    #[case("milk", "2% Reduced Fat Milk Gallon", "Chocolate Milk")]
    #[case("onion", "Yellow Onions - 3 lb Bag", "Green Onions")]
    #[case("bananas", "Fresh Banana - Each", "Freeze Dried Bananas")]
    #[case("potatoes", "Russet Potatoes - 5 lb Bag", "Instant Mashed Potatoes")]
    #[case("tea", "Black Tea Bags", "Sweet Tea")]
    #[case("parmesan", "Grated Parmesan Cheese", "Breaded Chicken Parmesan")]
    #[case("yogurt", "Plain Greek Yogurt", "Strawberry Yogurt")]
    #[case("sugar", "Granulated Sugar", "Light Brown Sugar")]
    #[case("crushed tomatoes", "Crushed Tomatoes", "Tomatoes on the Vine")]
    fn a_pack_or_a_plain_kind_makes_no_other_food(
        #[case] text: &str,
        #[case] wanted: &str,
        #[case] other: &str,
    ) {
        // The other one is cheaper, and comes first.
        let products = [product("1", other, 1.0, "HIGH"), product("2", wanted, 2.0, "HIGH")];
        let found = choose(&products, text, &[]);
        assert_eq!(found.name.as_deref(), Some(wanted));
    }

    #[test]
    fn what_has_nothing_in_common_with_the_text_is_no_match() {
        let found = choose(&[product("1", "Paper Towels", 1.0, "HIGH")], "saffron", &[]);
        assert_eq!((found.state, found.product_id), (State::NoMatch, None));
    }

    #[test]
    fn what_fits_no_diet_is_said_to_be_left_out_and_why() {
        let found = choose(&[product("1", "Whole Chicken", 1.0, "HIGH")], "chicken", &[Diet::Vegan]);
        assert_eq!(
            found,
            Found::nothing(
                State::Excluded,
                Reason::Meat,
                "the closest product is meat or fish, or has some of it".to_owned()
            )
        );
    }
}
