//! Finds the product for an ingredient: the store's search, less what does not fit the diets or is out of stock, the closest name first and
//! among equals the cheapest.

use std::collections::HashSet;

use futures::{StreamExt as _, stream};
use portico_kit::tool::ToolError;

use super::{
    diet,
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

/// Products of one search that are looked at, searches at a time, and words of a search.
const LOOKED_AT: usize = 30;
const AT_ONCE: usize = 4;
const MAX_WORDS: usize = 8;

/// What was found for a text.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Found {
    state: State,
    product_id: Option<String>,
    name: Option<String>,
    reason: Option<String>,
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
        }
    }
}

/// The text without numbers and signs, in small letters: what a store's search understands.
fn normal(text: &str) -> String {
    let words = text.split(|letter: char| !letter.is_alphabetic()).filter(|word| word.chars().count() > 1);
    words
        .filter(|word| !UNITS.contains(&word.to_lowercase().as_str()))
        .take(MAX_WORDS)
        .collect::<Vec<_>>()
        .join(" ")
        .to_lowercase()
}

/// Words of recipes that say how much and not what.
const UNITS: &[&str] = &[
    "cup",
    "cups",
    "tbsp",
    "tsp",
    "tablespoon",
    "tablespoons",
    "teaspoon",
    "teaspoons",
    "oz",
    "ounce",
    "ounces",
    "lb",
    "lbs",
    "pound",
    "pounds",
    "can",
    "cans",
    "clove",
    "cloves",
    "pinch",
    "of",
    "kg",
    "ml",
    "large",
    "small",
    "medium",
    "chopped",
    "diced",
    "sliced",
];

async fn find(shop: &Shop, store: &str, text: &str, diets: &[Diet]) -> Result<Found, ToolError> {
    if text.chars().count() < 3 {
        return Ok(Found::nothing(State::NoMatch, "is too short to search for"));
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
    fn nothing(state: State, reason: impl Into<String>) -> Self {
        Self { state, product_id: None, name: None, reason: Some(reason.into()) }
    }
}

/// The best of the products.
fn choose(products: &[Product], text: &str, diets: &[Diet]) -> Found {
    let words: Vec<&str> = text.split(' ').collect();
    // What shares no word with the text is not what was meant, however high the store ranks it.
    let named: Vec<(&Product, usize)> = products
        .iter()
        .map(|product| (product, shared(product, &words)))
        .filter(|(_, shared)| *shared > 0)
        .collect();
    if named.is_empty() {
        return Found::nothing(State::NoMatch, "was not found at this store");
    }
    let clash = |product: &Product| diet::clash(product, diets);
    let fitting: Vec<&(&Product, usize)> =
        named.iter().filter(|(product, _)| clash(product).is_none()).collect();
    if fitting.is_empty() {
        let why = named.first().and_then(|(product, _)| clash(product)).unwrap_or_default();
        return Found::nothing(State::Excluded, format!("the closest product {why}"));
    }
    let in_stock = fitting.iter().filter(|(product, _)| refusal(product, 1).is_none());
    let best = in_stock
        .min_by_key(|(product, shared)| (std::cmp::Reverse(*shared), length(product), dollars(product)));
    let Some((product, _)) = best else {
        return Found::nothing(State::NoMatch, "is out of stock at this store");
    };
    Found {
        state: State::Matched,
        product_id: Some(product.product_id.clone()),
        name: product.description.clone(),
        reason: None,
    }
}

/// How many of the words the product's name has; a plural counts as its singular.
fn shared(product: &Product, words: &[&str]) -> usize {
    let name = product.description.as_deref().unwrap_or_default().to_lowercase();
    let stem = |word: &str| word.strip_suffix("es").or(word.strip_suffix('s')).unwrap_or(word).to_owned();
    words.iter().filter(|word| name.contains(&stem(word))).count()
}

/// Words of its name beyond the brand: `Yellow Onions` is closer to onions than `Onion Ring Snacks`.
fn length(product: &Product) -> usize {
    let brand = product.brand.as_deref().unwrap_or_default();
    let words = product.description.as_deref().unwrap_or_default().split_whitespace();
    words.filter(|word| !brand.split_whitespace().any(|of_brand| of_brand == *word)).count()
}

fn dollars(product: &Product) -> Money {
    let never = Money::parse("999999").unwrap_or(Money::ZERO);
    price_now(product).map_or(never, |price| price.piece().unwrap_or(price.current))
}

#[cfg(test)]
mod tests {
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
    fn what_has_nothing_in_common_with_the_text_is_no_match() {
        let found = choose(&[product("1", "Paper Towels", 1.0, "HIGH")], "saffron", &[]);
        assert_eq!((found.state, found.product_id), (State::NoMatch, None));
    }

    #[test]
    fn what_fits_no_diet_is_said_to_be_left_out_and_why() {
        let found = choose(&[product("1", "Whole Chicken", 1.0, "HIGH")], "chicken", &[Diet::Vegan]);
        assert_eq!(
            found,
            Found::nothing(State::Excluded, "the closest product is meat or fish, or has some of it")
        );
    }

    #[test]
    fn amounts_are_no_part_of_what_is_searched_for() {
        assert_eq!(normal("2 cups chopped Yellow Onions (large)"), "yellow onions");
        assert_eq!(normal("½ tsp"), "");
    }
}
