//! `search_products_advanced`: Kroger's search, then the filters and the order that it does not have.

use std::{cmp::Ordering, collections::HashSet};

use futures::future::try_join_all;
use portico_kit::tool::{Answer, ToolError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ends::tell_last_days;
use crate::{
    account::Who,
    shop::{
        Shop,
        money::Money,
        product::{Shown, line, shown},
    },
    upstream::{
        Api, Looked, Query,
        model::{List, Product},
    },
};

/// Products of one page, and pages looked through for a filter or an order that Kroger does not know.
const PAGE: usize = 50;
const PAGES: usize = 3;
const MAX_LIMIT: usize = 50;
/// Products that Kroger lets one skip.
const MAX_OFFSET: usize = 250;

/// What to search for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Request {
    /// Words to search for: 3 to 127 characters, at most 8 words.
    query: String,
    /// Session of a signed-in customer, whose preferred store is used where `filters.location_id` is missing. Searching needs none.
    session_id: Option<String>,
    #[serde(default)]
    filters: Filters,
    #[serde(default)]
    sort: Sort,
    /// Products to return, 1 to 50.
    #[serde(default = "default_limit")]
    #[schemars(range(min = 1, max = 50))]
    limit: usize,
    /// Products to skip, 0 to 250: for the pages after the first.
    #[serde(default)]
    #[schemars(range(min = 0, max = 250))]
    offset: usize,
}

fn default_limit() -> usize {
    10
}

/// Which of the found products to keep.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Filters {
    /// Brand, spelled as Kroger does.
    brand: Option<String>,
    /// Lowest price in US dollars, of a pound for goods sold by weight. Needs a store.
    #[schemars(range(min = 0))]
    min_price: Option<f64>,
    /// Highest price in US dollars, of a pound for goods sold by weight. Needs a store.
    #[schemars(range(min = 0))]
    max_price: Option<f64>,
    /// Only products on sale. Needs a store.
    #[serde(default)]
    on_sale: bool,
    /// Only products that are not out of stock. Needs a store.
    #[serde(default)]
    in_stock: bool,
    /// How the product is to be had. Needs a store.
    fulfillment: Option<Way>,
    /// Store, 8 characters. Where it is missing: the one that the customer prefers, else the server's default.
    location_id: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Way {
    InStore,
    Curbside,
    Delivery,
    Ship,
}

impl Way {
    fn code(self) -> &'static str {
        match self {
            Self::InStore => "ais",
            Self::Curbside => "csp",
            Self::Delivery => "dth",
            Self::Ship => "sth",
        }
    }
}

/// The order of the products.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Sort {
    /// As Kroger ranks them.
    #[default]
    Relevance,
    /// Lowest price first; products without a price last.
    PriceLow,
    /// Highest price first; products without a price last.
    PriceHigh,
    /// Largest saving in dollars first.
    Savings,
    /// By name.
    Name,
}

impl Sort {
    fn needs_price(self) -> bool {
        matches!(self, Self::PriceLow | Self::PriceHigh | Self::Savings)
    }
}

/// What was found.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Found {
    products: Vec<Shown>,
    /// Products that fit the filters, among those considered.
    matches: usize,
    /// Products of Kroger's answer that filters and order looked at.
    considered: usize,
    /// Products that Kroger counts for the words.
    total: usize,
    /// Products that were skipped.
    offset: usize,
    /// Store whose prices these are; missing where none was given: then there are no prices.
    location_id: Option<String>,
    /// Products left out because Kroger gives no price for them.
    left_out_without_price: usize,
    /// What the answer cannot say.
    notes: Vec<String>,
    /// Kroger could not be asked: the answer is so many seconds old.
    #[serde(skip_serializing_if = "Option::is_none")]
    stale_seconds: Option<u64>,
}

/// A request that has been checked.
struct Plan {
    request: Request,
    store: Option<String>,
    min: Option<Money>,
    max: Option<Money>,
}

pub(crate) async fn search(shop: &Shop, who: &Who, request: Request) -> Result<Answer, ToolError> {
    let asked = request.filters.location_id.as_deref();
    let store = shop.store(who, asked, "filters.location_id").await?;
    let plan = plan(request, store)?;
    let pages = fetch(&shop.kroger, &plan).await?;
    if pages.iter().all(|page| page.data.data.is_empty()) {
        shop.check_store(plan.store.as_deref(), "filters.location_id").await?;
    }
    let mut found = choose(&plan, &pages);
    if let Some(store) = &plan.store {
        shop.prices.compare(store, &mut found.products).await;
        tell_last_days(shop, Some(store), &mut found.products).await;
    }
    Answer::new(describe(&found), &found)
}

fn plan(request: Request, store: Option<String>) -> Result<Plan, ToolError> {
    check_query(&request.query)?;
    if !(1..=MAX_LIMIT).contains(&request.limit) {
        return Err(ToolError::invalid("limit", format!("must be from 1 to {MAX_LIMIT}")));
    }
    if request.offset > MAX_OFFSET {
        return Err(ToolError::invalid(
            "offset",
            format!("must be from 0 to {MAX_OFFSET}; narrower words reach the rest"),
        ));
    }
    if request.session_id.as_ref().is_some_and(|id| id.len() > 128) {
        return Err(ToolError::invalid("session_id", "is longer than 128 characters"));
    }
    if request.filters.brand.as_ref().is_some_and(|brand| brand.is_empty() || brand.len() > 100) {
        return Err(ToolError::invalid("filters.brand", "must have 1 to 100 characters"));
    }
    if let (None, Some(field)) = (&store, needs_store(&request)) {
        let problem = "needs a store: prices and stock belong to one. Give filters.location_id, which \
                       store_locator_advanced finds";
        return Err(ToolError::invalid(field, problem));
    }
    let min = amount("filters.min_price", request.filters.min_price)?;
    let max = amount("filters.max_price", request.filters.max_price)?;
    if let (Some(min), Some(max)) = (min, max)
        && min > max
    {
        return Err(ToolError::invalid("filters.min_price", "is above filters.max_price"));
    }
    Ok(Plan { request, store, min, max })
}

fn check_query(query: &str) -> Result<(), ToolError> {
    let length = query.trim().chars().count();
    if !(3..=127).contains(&length) {
        return Err(ToolError::invalid("query", "must have 3 to 127 characters"));
    }
    if query.split_whitespace().count() > 8 {
        return Err(ToolError::invalid("query", "must have at most 8 words"));
    }
    Ok(())
}

/// The first argument that only a store can answer.
fn needs_store(request: &Request) -> Option<&'static str> {
    let filters = &request.filters;
    [
        (filters.min_price.is_some(), "filters.min_price"),
        (filters.max_price.is_some(), "filters.max_price"),
        (filters.on_sale, "filters.on_sale"),
        (filters.in_stock, "filters.in_stock"),
        (filters.fulfillment.is_some(), "filters.fulfillment"),
        (request.sort.needs_price(), "sort"),
    ]
    .into_iter()
    .find_map(|(asked, field)| asked.then_some(field))
}

fn amount(field: &str, value: Option<f64>) -> Result<Option<Money>, ToolError> {
    let Some(value) = value else { return Ok(None) };
    Money::parse(&value.to_string())
        .map(Some)
        .ok_or_else(|| ToolError::invalid(field, "must be an amount of dollars such as 4.99"))
}

impl Plan {
    /// Whether Kroger's own order and filters are all that is asked for.
    fn is_plain(&self) -> bool {
        let filters = &self.request.filters;
        self.request.sort == Sort::Relevance
            && self.min.is_none()
            && self.max.is_none()
            && !filters.on_sale
            && !filters.in_stock
    }

    fn query(&self, start: usize, limit: usize) -> Query {
        let words: Vec<&str> = self.request.query.split_whitespace().collect();
        let filters = &self.request.filters;
        let mut query = vec![("filter.term", words.join(" ")), ("filter.limit", limit.to_string())];
        let optional = [
            ("filter.locationId", self.store.clone()),
            ("filter.brand", filters.brand.clone()),
            ("filter.fulfillment", filters.fulfillment.map(|way| way.code().to_owned())),
            ("filter.start", (start > 0).then(|| start.to_string())),
        ];
        query.extend(optional.into_iter().filter_map(|(name, value)| Some((name, value?))));
        query
    }

    fn has_price_filter(&self) -> bool {
        self.min.is_some() || self.max.is_some() || self.request.filters.on_sale
    }
}

type Pages = Vec<Looked<List<Product>>>;

async fn fetch(api: &Api, plan: &Plan) -> Result<Pages, ToolError> {
    if plan.is_plain() {
        return Ok(vec![api.products(plan.query(plan.request.offset, plan.request.limit)).await?]);
    }
    let first = api.products(plan.query(0, PAGE)).await?;
    let pages = first.data.meta.pagination.total.div_ceil(PAGE).min(PAGES);
    let rest = try_join_all((1..pages).map(|page| api.products(plan.query(page * PAGE, PAGE)))).await?;
    Ok(std::iter::once(first).chain(rest).collect())
}

fn choose(plan: &Plan, pages: &Pages) -> Found {
    let total = pages.first().map_or(0, |page| page.data.meta.pagination.total);
    let mut seen = HashSet::new();
    // Pages may overlap, since Kroger's order is not the same each time.
    let products: Vec<Shown> = pages
        .iter()
        .flat_map(|page| &page.data.data)
        .filter(|product| seen.insert(product.product_id.clone()))
        .map(shown)
        .collect();
    let considered = products.len();
    let without_price = products.iter().filter(|product| product.price.is_none()).count();
    let mut kept: Vec<Shown> = products.into_iter().filter(|product| fits(plan, product)).collect();
    sort(&mut kept, plan.request.sort);
    let matches = if plan.is_plain() { total } else { kept.len() };
    if !plan.is_plain() {
        kept.drain(..plan.request.offset.min(kept.len()));
    }
    kept.truncate(plan.request.limit);
    Found {
        notes: notes(plan, considered, total),
        left_out_without_price: if plan.has_price_filter() { without_price } else { 0 },
        products: kept,
        matches,
        considered,
        total,
        offset: plan.request.offset,
        location_id: plan.store.clone(),
        stale_seconds: pages.iter().filter_map(|page| page.stale_seconds).max(),
    }
}

fn notes(plan: &Plan, considered: usize, total: usize) -> Vec<String> {
    let mut notes = Vec::new();
    if plan.store.is_none() {
        notes.push("No store was given, so Kroger tells no price, stock or aisle.".to_owned());
    }
    if !plan.is_plain() && considered < total {
        notes.push(format!(
            "Only {considered} of {total} products were looked at; narrower words reach the rest."
        ));
    }
    notes
}

fn fits(plan: &Plan, product: &Shown) -> bool {
    let filters = &plan.request.filters;
    let price = product.price.as_ref();
    let current = price.map(|price| price.current);
    let in_stock = product.stock_level.as_deref() != Some("TEMPORARILY_OUT_OF_STOCK");
    (plan.min.is_none() || current >= plan.min)
        && plan.max.is_none_or(|max| current.is_some_and(|current| current <= max))
        && (!filters.on_sale || price.is_some_and(|price| price.sale.is_some()))
        && (!filters.in_stock || in_stock)
}

fn sort(products: &mut [Shown], sort: Sort) {
    let price = |product: &Shown| product.price.as_ref().map(|price| price.current);
    let savings = |product: &Shown| product.price.as_ref().and_then(|price| price.savings);
    match sort {
        Sort::Relevance => {}
        Sort::PriceLow => products.sort_by(|a, b| missing_last(price(a), price(b), |a, b| a.cmp(&b))),
        Sort::PriceHigh => products.sort_by(|a, b| missing_last(price(a), price(b), |a, b| b.cmp(&a))),
        Sort::Savings => products.sort_by(|a, b| missing_last(savings(a), savings(b), |a, b| b.cmp(&a))),
        Sort::Name => products.sort_by(|a, b| a.name.cmp(&b.name)),
    }
}

fn missing_last(a: Option<Money>, b: Option<Money>, order: fn(Money, Money) -> Ordering) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) => order(a, b),
        (a, b) => b.is_some().cmp(&a.is_some()),
    }
}

fn describe(found: &Found) -> String {
    let from = if found.offset > 0 { format!(" from number {}", found.offset + 1) } else { String::new() };
    let mut lines = vec![format!("{} of {} matching products{from}", found.products.len(), found.matches)];
    lines.extend(found.products.iter().map(line));
    lines.extend(found.notes.iter().cloned());
    if found.left_out_without_price > 0 {
        lines.push(format!("{} products without a price were left out.", found.left_out_without_price));
    }
    lines.join("\n")
}
