//! A week of meals as it is kept, and changes of it.

use jiff::civil::{Date, ISOWeekDate, Weekday};
use portico_kit::{documents::Kind, tool::ToolError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::reason::Reason;
use crate::shop::money::Money;

/// Weeks of one user.
pub(crate) const KIND: Kind = Kind { name: "week", most: 120 };
/// Meals of a week, ingredients of a meal.
const MAX_MEALS: usize = 50;
pub(super) const MAX_INGREDIENTS: usize = 40;

/// When in a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Slot {
    Breakfast,
    Lunch,
    Dinner,
    Snack,
}

/// What came of the search for a product.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    /// Not looked for yet.
    #[default]
    Unmatched,
    /// A product was found or chosen.
    Matched,
    /// The store has nothing by this name.
    NoMatch,
    /// What the store has, or the product that was chosen, does not fit your diets.
    Excluded,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Week {
    pub(super) meals: Vec<Meal>,
    pub(super) weekly_budget: Option<Money>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Meal {
    pub(super) id: String,
    pub(super) date: Date,
    pub(super) slot: Slot,
    pub(super) title: String,
    pub(super) servings: u32,
    pub(super) ingredients: Vec<Ingredient>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Ingredient {
    pub(super) id: String,
    pub(super) text: String,
    /// Packages to buy.
    pub(super) quantity: u32,
    pub(super) state: State,
    pub(super) product_id: Option<String>,
    pub(super) name: Option<String>,
    /// Why it has no product, in words and as a code, and the products that this names.
    pub(super) reason: Option<String>,
    #[serde(default)]
    pub(super) reason_code: Option<Reason>,
    #[serde(default)]
    pub(super) reason_products: Vec<String>,
    /// Whether it has been sent to the cart.
    #[serde(default)]
    pub(super) sent: bool,
}

impl Week {
    pub(super) fn ingredients(&self) -> impl Iterator<Item = &Ingredient> {
        self.meals.iter().flat_map(|meal| &meal.ingredients)
    }

    pub(super) fn ingredients_mut(&mut self) -> impl Iterator<Item = &mut Ingredient> {
        self.meals.iter_mut().flat_map(|meal| &mut meal.ingredients)
    }

    pub(super) fn add(&mut self, meal: Meal) -> Result<(), ToolError> {
        if self.meals.len() >= MAX_MEALS {
            return Err(ToolError::Refused(format!(
                "the week has {MAX_MEALS} meals, which is the most; remove one first"
            )));
        }
        self.meals.push(meal);
        self.meals.sort_by_key(|meal| (meal.date, meal.slot));
        Ok(())
    }

    pub(super) fn remove(&mut self, id: &str) -> Result<(), ToolError> {
        let before = self.meals.len();
        self.meals.retain(|meal| meal.id != id);
        if self.meals.len() < before {
            return Ok(());
        }
        Err(ToolError::NotFound("the week has no meal with this meal_id".to_owned()))
    }
}

/// The Monday that a week such as `2026-W48` begins on (ISO 8601).
pub(super) fn starts_on(week: &str) -> Result<Date, ToolError> {
    let wrong = || ToolError::invalid("week", "must be a week such as 2026-W48");
    let (year, number) = week.split_once("-W").ok_or_else(wrong)?;
    let digits = |text: &str, length| text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(year, 4) || !digits(number, 2) {
        return Err(wrong());
    }
    let (year, number) = (year.parse().map_err(|_| wrong())?, number.parse().map_err(|_| wrong())?);
    ISOWeekDate::new(year, number, Weekday::Monday).map(Date::from).map_err(|_| wrong())
}

/// The week that a day is in.
pub(super) fn week_of(date: Date) -> String {
    let iso = date.iso_week_date();
    format!("{:04}-W{:02}", iso.year(), iso.week())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("2026-W48", Some("2026-11-23"))]
    #[case("2026-W53", Some("2026-12-28"))]
    #[case("2025-W01", Some("2024-12-30"))]
    #[case("2025-W53", None)]
    #[case("2026-W00", None)]
    #[case("2026-48", None)]
    #[case("2026-W4", None)]
    #[case("-026-W48", None)]
    fn a_week_begins_on_the_monday_that_the_standard_says(#[case] week: &str, #[case] monday: Option<&str>) {
        assert_eq!(starts_on(week).ok().map(|date| date.to_string()).as_deref(), monday);
        if let Some(monday) = monday {
            assert_eq!(week_of(monday.parse().unwrap()), week);
        }
    }
}
