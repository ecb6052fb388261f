//! `meal_planner`: a week of meals, its ingredients as products of the user's store, and one step to the cart.

mod diet;
mod matching;
mod naming;
mod reason;
mod view;
mod week;
mod words;

use jiff::{Timestamp, civil::Date};
use portico_kit::tool::{Answer, ToolError};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    cart::{
        self,
        wanted::{Wanted, not_nothing, sorted, summed, told},
    },
    profile::Diet,
};
use crate::{
    account::{User, Who},
    shop::{Shop, check_text, money::Money, new_id},
    upstream::cart::Modality,
};
pub(crate) use view::Plan;
pub(crate) use week::KIND;
use week::{Ingredient, MAX_INGREDIENTS, Meal, Slot, State, Week};

const MAX_TITLE: usize = 120;
const MAX_TEXT: usize = 120;
const MOST: u32 = 99;

/// What to do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Action {
    /// Show the week.
    #[default]
    View,
    /// Put a meal into the week.
    AddMeal,
    /// Take a meal out.
    RemoveMeal,
    /// Find products for the ingredients that have none.
    Match,
    /// Take this product for an ingredient; without `product_id` it is looked for again.
    Choose,
    /// Send the products that were not sent yet, and fit the diets, to the Kroger cart.
    SendToCart,
    /// Empty the week.
    Clear,
}

/// An ingredient of a new meal.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewIngredient {
    /// What it is, such as `yellow onions`: 1 to 120 characters.
    text: String,
    /// Packages to buy, 1 to 99.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 99))]
    quantity: u32,
}

fn one() -> u32 {
    1
}

/// What to do with a week.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Request {
    /// Session of the signed-in customer; not needed where the gateway says who asks.
    #[serde(default, rename = "session_id")]
    _session_id: Option<String>,
    #[serde(default)]
    action: Action,
    /// Week such as 2026-W48 (ISO 8601); that of `date`, or this one, where it is missing.
    week: Option<String>,
    /// Day of the meal, such as 2026-11-26.
    #[schemars(with = "Option<String>")]
    date: Option<Date>,
    slot: Option<Slot>,
    /// Name of the meal, 1 to 120 characters.
    title: Option<String>,
    /// People who eat, 1 to 50; your household where it is missing.
    #[schemars(range(min = 1, max = 50))]
    servings: Option<u32>,
    /// What the meal is made of, at most 40.
    #[serde(default)]
    #[schemars(length(max = 40))]
    ingredients: Vec<NewIngredient>,
    meal_id: Option<String>,
    ingredient_id: Option<String>,
    /// A product, 13 digits.
    product_id: Option<String>,
    /// US dollars for the week; yours where it is missing.
    weekly_budget: Option<Money>,
    /// Diets that products must fit; yours where it is missing.
    diets: Option<Vec<Diet>>,
    /// Store for products and prices, 8 characters.
    location_id: Option<String>,
}

/// What a call is about.
struct About {
    week: String,
    monday: Date,
    store: Option<String>,
    diets: Vec<Diet>,
    budget: Option<Money>,
    /// How what is sent reaches the user, and how many eat along.
    way: Modality,
    household: Option<u32>,
}

pub(crate) async fn manage(shop: &Shop, who: &Who, request: Request) -> Result<Answer, ToolError> {
    let user = who.user("a meal plan")?;
    let about = about(shop, who, user, &request).await?;
    let mut notes = Vec::new();
    apply(shop, who, &request, &about, &mut notes).await?;
    let week = shop
        .documents
        .get::<Week>(&user.id, KIND, &about.week)
        .await?
        .map(|found| found.body)
        .unwrap_or_default();
    let plan = view::show(shop, &about, &week, notes).await;
    Answer::new(plan.describe(), &plan)
}

async fn about(shop: &Shop, who: &Who, user: &User, request: &Request) -> Result<About, ToolError> {
    let preferences = shop.preferences(&user.id).await?;
    let store = shop.store(who, request.location_id.as_deref(), "location_id").await?;
    let week = match (&request.week, request.date) {
        (Some(week), _) => week.clone(),
        (None, Some(date)) => week::week_of(date),
        // The week where the user shops, which is another one for some hours.
        (None, None) => week::week_of(Timestamp::now().to_zoned(shop.zone(store.as_deref()).await).date()),
    };
    let monday = week::starts_on(&week)?;
    Ok(About {
        monday,
        way: preferences.modality(),
        household: preferences.household_size,
        week,
        store,
        diets: request.diets.clone().unwrap_or(preferences.diets),
        budget: request.weekly_budget.or(preferences.weekly_budget),
    })
}

async fn apply(
    shop: &Shop,
    who: &Who,
    request: &Request,
    about: &About,
    notes: &mut Vec<String>,
) -> Result<(), ToolError> {
    let user = who.user("a meal plan")?;
    match request.action {
        Action::View => {}
        Action::AddMeal => {
            let meal = new_meal(request, about)?;
            change(shop, user, about, |week| week.add(meal.clone())).await?;
        }
        Action::RemoveMeal => {
            let id = needed(request.meal_id.as_deref(), "meal_id")?;
            change(shop, user, about, |week| week.remove(id)).await?;
        }
        Action::Match => find(shop, user, about).await?,
        Action::Choose => choose(shop, user, request, about).await?,
        Action::SendToCart => notes.push(send(shop, who, about).await?),
        Action::Clear => {
            shop.documents.remove(&user.id, KIND, &about.week).await?;
        }
    }
    if request.weekly_budget.is_some() && request.action != Action::Clear {
        change(shop, user, about, |week| {
            week.weekly_budget = request.weekly_budget;
            Ok(())
        })
        .await?;
    }
    Ok(())
}

fn needed<'a>(given: Option<&'a str>, field: &str) -> Result<&'a str, ToolError> {
    given.ok_or_else(|| ToolError::invalid(field, "is missing; this action needs it"))
}

async fn change(
    shop: &Shop,
    user: &User,
    about: &About,
    change: impl FnMut(&mut Week) -> Result<(), ToolError>,
) -> Result<Week, ToolError> {
    shop.documents.change(&user.id, KIND, &about.week, change).await.map(|(week, ())| week)
}

fn new_meal(request: &Request, about: &About) -> Result<Meal, ToolError> {
    let date = request.date.ok_or_else(|| ToolError::invalid("date", "is missing; a meal needs a day"))?;
    if week::week_of(date) != about.week {
        return Err(ToolError::invalid("date", format!("is not in the week {}", about.week)));
    }
    let servings = request.servings.or(about.household).unwrap_or(1);
    if !(1..=50).contains(&servings) {
        return Err(ToolError::invalid("servings", "must be from 1 to 50"));
    }
    if request.ingredients.len() > MAX_INGREDIENTS {
        return Err(ToolError::invalid(
            "ingredients",
            format!("must have at most {MAX_INGREDIENTS} entries"),
        ));
    }
    let ingredients = request.ingredients.iter().enumerate().map(|(index, new)| ingredient(index, new));
    Ok(Meal {
        id: new_id(),
        date,
        slot: request.slot.unwrap_or(Slot::Dinner),
        title: check_text(request.title.as_deref().unwrap_or_default(), "title", MAX_TITLE)?,
        servings,
        ingredients: ingredients.collect::<Result<_, _>>()?,
    })
}

fn ingredient(index: usize, new: &NewIngredient) -> Result<Ingredient, ToolError> {
    if !(1..=MOST).contains(&new.quantity) {
        return Err(ToolError::invalid(
            format!("ingredients[{index}].quantity"),
            format!("must be from 1 to {MOST}"),
        ));
    }
    Ok(Ingredient {
        id: new_id(),
        text: check_text(&new.text, &format!("ingredients[{index}].text"), MAX_TEXT)?,
        quantity: new.quantity,
        state: State::Unmatched,
        product_id: None,
        name: None,
        reason: None,
        reason_code: None,
        reason_products: Vec::new(),
        sent: false,
    })
}

async fn find(shop: &Shop, user: &User, about: &About) -> Result<(), ToolError> {
    let store = needed(about.store.as_deref(), "location_id")?;
    let week = shop
        .documents
        .get::<Week>(&user.id, KIND, &about.week)
        .await?
        .map(|found| found.body)
        .unwrap_or_default();
    let found = matching::search(shop, store, &week, &about.diets).await?;
    shop.counts.ingredients_matched.inc_by(matching::matched(&found));
    change(shop, user, about, |week| {
        matching::apply(week, &found);
        Ok(())
    })
    .await
    .map(drop)
}

async fn choose(shop: &Shop, user: &User, request: &Request, about: &About) -> Result<(), ToolError> {
    let id = needed(request.ingredient_id.as_deref(), "ingredient_id")?;
    let chosen = match request.product_id.as_deref() {
        Some(product) => Some(shop.product(product, about.store.as_deref()).await?),
        None => None,
    };
    change(shop, user, about, |week| {
        let found = week.ingredients_mut().find(|ingredient| ingredient.id == id);
        let ingredient = found.ok_or_else(|| {
            ToolError::NotFound("the week has no ingredient with this ingredient_id".to_owned())
        })?;
        ingredient.state = if chosen.is_some() { State::Matched } else { State::Unmatched };
        ingredient.product_id = chosen.as_ref().map(|product| product.product_id.clone());
        ingredient.name = chosen.as_ref().and_then(|product| product.description.clone());
        ingredient.reason = None;
        ingredient.reason_code = None;
        ingredient.reason_products.clear();
        ingredient.sent = false;
        Ok(())
    })
    .await
    .map(drop)
}

/// Sends what was not sent yet. It is marked before, so that a process that dies in between sends nothing twice and of two who send at once
/// each sends what it has marked itself, and unmarked where Kroger refuses it.
async fn send(shop: &Shop, who: &Who, about: &About) -> Result<String, ToolError> {
    let user = who.user("a meal plan")?;
    let found = shop.documents.get::<Week>(&user.id, KIND, &about.week).await?;
    let week = found.map(|found| found.body).unwrap_or_default();
    let open: Vec<&Ingredient> = week.ingredients().filter(|ingredient| !ingredient.sent).collect();
    let ids: Vec<&str> = open.iter().filter_map(|ingredient| ingredient.product_id.as_deref()).collect();
    let products = shop.products(&ids, about.store.as_deref()).await?;
    // The diets may be others than those that the products were found for.
    let clash = |one: &Ingredient| diet::clash_of(one, &products, &about.diets);
    let mut left_out: Vec<String> =
        open.iter().filter_map(|one| Some(format!("{} {}", one.text, clash(one)?))).collect();
    let fitting: Vec<&Ingredient> = open.into_iter().filter(|one| clash(one).is_none()).collect();
    let (going, staying) = sorted(&fitting, &products, &cart::there(shop, who).await?);
    left_out.extend(staying);
    not_nothing(&going, &left_out)?;
    shop.accounts.token(who, "to add to a cart").await?;
    let ids: Vec<String> = going.iter().map(|ingredient| ingredient.id.clone()).collect();
    let marked = mark(shop, user, about, (&ids, true)).await?;
    let going: Vec<&Ingredient> =
        going.into_iter().filter(|ingredient| marked.contains(&ingredient.id)).collect();
    let items = summed(&going, &products, about.way);
    let count = items.len();
    if let Err(error) = cart::send(shop, who, items, (None, about.store.as_deref())).await {
        if !cart::is_unknown(&error) {
            mark(shop, user, about, (&marked, false)).await?;
        }
        return Err(error);
    }
    Ok(told(count, &left_out))
}

impl Wanted for Ingredient {
    fn text(&self) -> &str {
        &self.text
    }

    fn product(&self) -> Option<(&str, u32)> {
        self.product_id.as_deref().map(|id| (id, self.quantity))
    }
}

/// Marks ingredients as sent, or takes that back; answers those that it has changed.
async fn mark(
    shop: &Shop,
    user: &User,
    about: &About,
    (ids, sent): (&[String], bool),
) -> Result<Vec<String>, ToolError> {
    let mut changed = Vec::new();
    change(shop, user, about, |week| {
        changed.clear();
        for ingredient in week.ingredients_mut().filter(|one| ids.contains(&one.id) && one.sent != sent) {
            ingredient.sent = sent;
            changed.push(ingredient.id.clone());
        }
        Ok(())
    })
    .await?;
    Ok(changed)
}
