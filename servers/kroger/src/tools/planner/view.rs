//! A week as it is shown.

use std::collections::HashMap;

use jiff::ToSpan as _;
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    About, diet,
    reason::Reason,
    week::{Ingredient, Meal, Slot, State, Week},
};
use crate::{
    shop::{
        Products, Shop,
        money::Money,
        product::{ESTIMATED, ShownPrice, price_now},
    },
    tools::profile::Diet,
};

#[derive(Debug, Serialize, JsonSchema)]
struct ShownProduct {
    product_id: String,
    name: Option<String>,
    price: Option<ShownPrice>,
    size: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct ShownIngredient {
    ingredient_id: String,
    text: String,
    /// Packages to buy.
    quantity: u32,
    product: Option<ShownProduct>,
    state: State,
    /// Why there is no product, or why it is not sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// The same as a code.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason_code: Option<Reason>,
    /// Products that the reason names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reason_products: Vec<String>,
    /// Whether it has been sent to the cart.
    sent: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
struct ShownMeal {
    meal_id: String,
    slot: Slot,
    title: String,
    servings: u32,
    ingredients: Vec<ShownIngredient>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Day {
    /// Such as 2026-11-26.
    date: String,
    meals: Vec<ShownMeal>,
}

/// A week of meals.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Plan {
    /// Such as 2026-W48 (ISO 8601).
    week: String,
    /// Its Monday.
    starts_on: String,
    days: Vec<Day>,
    weekly_budget: Option<Money>,
    /// Of all products that fit your diets or were sent, by the prices of now and before tax, goods sold by weight as Kroger estimates
    /// them; missing where none has a price.
    estimated_total: Option<Money>,
    /// Missing without a budget or a total.
    over_budget: Option<bool>,
    diets: Vec<Diet>,
    notes: Vec<String>,
    /// Kroger could not be asked: prices are so many seconds old.
    #[serde(skip_serializing_if = "Option::is_none")]
    stale_seconds: Option<u64>,
}

/// The week with the prices of now.
pub(super) async fn show(shop: &Shop, about: &About, week: &Week, mut notes: Vec<String>) -> Plan {
    let ids: Vec<&str> =
        week.ingredients().filter_map(|ingredient| ingredient.product_id.as_deref()).collect();
    let products = if about.store.is_some() || !about.diets.is_empty() {
        shop.products_if_possible(&ids, about.store.as_deref(), &mut notes).await
    } else {
        Products::default()
    };
    if about.store.is_none() && week.ingredients().next().is_some() {
        notes.push("Choose a store for products and prices: set location_id in user_profile.".to_owned());
    }
    notes.extend(of_diets(about, week, &products));
    let (total, unpriced) = total(about, week, &products);
    if unpriced > 0 && total.is_some() {
        notes.push(format!("{unpriced} products have no price and are not in the total."));
    }
    let by_weight =
        |id: &&str| products.by_id.get(*id).and_then(price_now).is_some_and(|price| price.unit.is_some());
    if ids.iter().any(by_weight) {
        notes.push(ESTIMATED.to_owned());
    }
    let budget = week.weekly_budget.or(about.budget);
    Plan {
        week: about.week.clone(),
        starts_on: about.monday.to_string(),
        days: (0..7).map(|day| shown_day(about, day, week, &products)).collect(),
        weekly_budget: budget,
        estimated_total: total,
        over_budget: budget.zip(total).map(|(budget, total)| total > budget),
        diets: about.diets.clone(),
        notes,
        stale_seconds: products.stale_seconds,
    }
}

/// What is to be said of the diets. A plan may be older than they are, so its products are judged whenever it is shown.
fn of_diets(about: &About, week: &Week, products: &Products) -> Vec<String> {
    if about.diets.is_empty() {
        return Vec::new();
    }
    let mut notes = vec![
        "Diets are kept by what Kroger tells of its products. Read the label if it matters to your health."
            .to_owned(),
    ];
    let clashing = week.ingredients().filter(|one| !one.sent && is_clashing(one, about, products)).count();
    if clashing > 0 {
        notes
            .push(format!("Products that do not fit the diets and are not sent: {clashing}. Choose others."));
    }
    let with_product = week.ingredients().filter_map(|one| one.product_id.as_ref());
    let unknown = with_product.filter(|id| !products.by_id.contains_key(*id)).count();
    if unknown > 0 {
        notes.push(format!("Products that could not be checked against the diets: {unknown}."));
    }
    notes
}

fn is_clashing(ingredient: &Ingredient, about: &About, products: &Products) -> bool {
    diet::clash_of(ingredient, products, &about.diets).is_some()
}

/// What the products cost, and how many of them have no price. What is not going to be sent costs nothing.
fn total(about: &About, week: &Week, products: &Products) -> (Option<Money>, usize) {
    let mut wanted: HashMap<&str, u32> = HashMap::new();
    for ingredient in week.ingredients().filter(|one| one.sent || !is_clashing(one, about, products)) {
        if let Some(id) = &ingredient.product_id {
            *wanted.entry(id).or_default() += ingredient.quantity;
        }
    }
    let price = |id: &str| products.by_id.get(id).and_then(price_now).and_then(|price| price.piece());
    let priced: Vec<Money> = wanted.iter().filter_map(|(id, count)| Some(price(id)?.times(*count))).collect();
    let unpriced = wanted.len() - priced.len();
    (priced.into_iter().reduce(Money::plus), unpriced)
}

fn shown_day(about: &About, offset: i64, week: &Week, products: &Products) -> Day {
    let date = about.monday.saturating_add(offset.days());
    let meals = week.meals.iter().filter(|meal| meal.date == date);
    Day { date: date.to_string(), meals: meals.map(|meal| shown_meal(meal, about, products)).collect() }
}

fn shown_meal(meal: &Meal, about: &About, products: &Products) -> ShownMeal {
    ShownMeal {
        meal_id: meal.id.clone(),
        slot: meal.slot,
        title: meal.title.clone(),
        servings: meal.servings,
        ingredients: meal
            .ingredients
            .iter()
            .map(|ingredient| shown_ingredient(ingredient, about, products))
            .collect(),
    }
}

fn shown_ingredient(ingredient: &Ingredient, about: &About, products: &Products) -> ShownIngredient {
    let clash = diet::clash_of(ingredient, products, &about.diets);
    let product = ingredient.product_id.as_ref().map(|id| {
        let known = products.by_id.get(id);
        ShownProduct {
            product_id: id.clone(),
            name: ingredient.name.clone(),
            price: known.and_then(price_now),
            size: known.and_then(|product| product.items.first()?.size.clone()),
        }
    });
    ShownIngredient {
        ingredient_id: ingredient.id.clone(),
        text: ingredient.text.clone(),
        quantity: ingredient.quantity,
        product,
        state: if clash.is_some() { State::Excluded } else { ingredient.state },
        reason: clash.map(|why| format!("the product {why}")).or_else(|| ingredient.reason.clone()),
        reason_code: clash.or(ingredient.reason_code),
        reason_products: if clash.is_some() { Vec::new() } else { ingredient.reason_products.clone() },
        sent: ingredient.sent,
    }
}

impl Plan {
    /// The week in words.
    pub(super) fn describe(&self) -> String {
        let total = match (self.estimated_total, self.weekly_budget) {
            (Some(total), Some(budget)) if self.over_budget == Some(true) => {
                format!("about ${total}, over the budget of ${budget}")
            }
            (Some(total), Some(budget)) => format!("about ${total} of a budget of ${budget}"),
            (Some(total), None) => format!("about ${total}"),
            (None, _) => "no prices yet".to_owned(),
        };
        let mut lines = vec![format!("Week {} from {}: {total}.", self.week, self.starts_on)];
        for day in &self.days {
            lines.extend(day.meals.iter().map(|meal| meal.line(&day.date)));
        }
        lines.extend(self.notes.iter().cloned());
        lines.join("\n")
    }
}

impl ShownMeal {
    fn line(&self, date: &str) -> String {
        let of =
            |state: State| self.ingredients.iter().filter(|ingredient| ingredient.state == state).count();
        let open: Vec<String> = self
            .ingredients
            .iter()
            .filter(|ingredient| ingredient.state != State::Matched)
            .map(|ingredient| match &ingredient.reason {
                Some(reason) => format!("{} ({reason})", ingredient.text),
                None => ingredient.text.clone(),
            })
            .take(8)
            .collect();
        let slot = format!("{:?}", self.slot).to_lowercase();
        let open = if open.is_empty() { String::new() } else { format!("; open: {}", open.join(", ")) };
        format!(
            "- {date} {slot}: {} ({} of {} matched{open}) [{}]",
            self.title,
            of(State::Matched),
            self.ingredients.len(),
            self.meal_id
        )
    }
}
