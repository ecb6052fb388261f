//! `/v1/products`: search with the limits seen live, and one product by its id.

use axum::{
    extract::{Path, Query, State},
    http::StatusCode,
    response::Response,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Shared, catalogue::text, control::NewPrice, reply};

const INVALID: &str = "Invalid parameters";

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Filters {
    #[serde(rename = "filter.term")]
    term: Option<String>,
    #[serde(rename = "filter.locationId")]
    location: Option<String>,
    #[serde(rename = "filter.productId")]
    products: Option<String>,
    #[serde(rename = "filter.brand")]
    brand: Option<String>,
    #[serde(rename = "filter.fulfillment")]
    fulfillment: Option<String>,
    #[serde(rename = "filter.start")]
    start: Option<String>,
    #[serde(rename = "filter.limit")]
    limit: Option<String>,
}

/// A refusal: code and reason.
type Refusal = (&'static str, &'static str);

/// `GET /v1/products`.
pub(crate) async fn search(State(standin): State<Shared>, Query(filters): Query<Filters>) -> Response {
    match find(&standin, &filters) {
        Ok(found) => found,
        Err((code, reason)) => reply::bad(code, reason),
    }
}

fn find(standin: &Shared, filters: &Filters) -> Result<Response, Refusal> {
    check_location(filters.location.as_deref())?;
    let (start, limit) = page(filters)?;
    let (found, warnings) = match (&filters.products, &filters.term) {
        (Some(ids), _) => by_ids(&standin.catalogue.products, ids)?,
        (None, Some(term)) => (by_term(&standin.catalogue.products, term, filters)?, Vec::new()),
        (None, None) => return Err(("PRODUCT-2016", "Field 'term' or 'productId' must be used")),
    };
    let store = filters.location.as_deref();
    // A store that does not exist sells nothing, without a word.
    let known = store.is_none_or(|id| standin.catalogue.has_location(id));
    let found = if known { found } else { Vec::new() };
    let page: Vec<Value> = found
        .iter()
        .skip(start)
        .take(limit)
        .map(|product| shown(standin, product, store.is_some()))
        .collect();
    let meta = json!({
        "pagination": { "start": start, "limit": limit, "total": found.len() },
        "warnings": warnings,
    });
    Ok(reply::data(Value::Array(page), meta))
}

/// `GET /v1/products/{id}`.
pub(crate) async fn detail(
    State(standin): State<Shared>,
    Path(id): Path<String>,
    Query(filters): Query<Filters>,
) -> Response {
    if id.len() != 13 {
        return reply::bad("PRODUCT-2011", "UPC must have a length of 13 characters");
    }
    if let Err((code, reason)) = check_location(filters.location.as_deref()) {
        return reply::bad(code, reason);
    }
    standin.catalogue.product(&id).map_or_else(
        || reply::empty(StatusCode::NOT_FOUND),
        |product| reply::data(shown(&standin, product, filters.location.is_some()), json!({})),
    )
}

fn check_location(location: Option<&str>) -> Result<(), Refusal> {
    match location {
        Some(id) if id.len() != 8 => {
            Err(("PRODUCT-2011", "Field 'locationId' must have a length of 8 characters"))
        }
        _ => Ok(()),
    }
}

/// Items to skip and items to show. A limit of 0 counts as none given.
fn page(filters: &Filters) -> Result<(usize, usize), Refusal> {
    let number = |text: &Option<String>| text.as_deref().map(str::parse::<usize>).transpose();
    let start = number(&filters.start).map_err(|_| ("PRODUCT-2018", INVALID))?.unwrap_or(0);
    let limit = number(&filters.limit).map_err(|_| ("PRODUCT-2019", INVALID))?.filter(|limit| *limit > 0);
    match (start, limit.unwrap_or(10)) {
        (start, _) if start > 250 => {
            Err(("PRODUCT-2018", "Field 'start' must be a number between 1 and 250 (inclusive)"))
        }
        (_, limit) if limit > 50 => {
            Err(("PRODUCT-2019", "Field 'limit' must be a number between 1 and 50 (inclusive)"))
        }
        page => Ok(page),
    }
}

/// Unknown ids are left out and named in the warnings; every other filter is ignored.
fn by_ids<'a>(products: &'a [Value], ids: &str) -> Result<(Vec<&'a Value>, Vec<String>), Refusal> {
    let ids: Vec<&str> = ids.split(',').collect();
    let well_formed = |id: &&str| id.len() == 13 && id.bytes().all(|byte| byte.is_ascii_digit());
    if ids.len() > 50 || !ids.iter().all(well_formed) {
        return Err(("PRODUCT-2012", INVALID));
    }
    let mut found = Vec::new();
    let mut warnings = Vec::new();
    for id in ids {
        match products.iter().find(|product| text(product, "productId") == id) {
            Some(product) => found.push(product),
            None => warnings.push(format!("productId {id} not found")),
        }
    }
    Ok((found, warnings))
}

fn by_term<'a>(products: &'a [Value], term: &str, filters: &Filters) -> Result<Vec<&'a Value>, Refusal> {
    if term.chars().count() < 3 {
        return Err(("PRODUCT-2017", "Field 'term' must have a length of at least 3 characters"));
    }
    if term.chars().count() > 127 || term.split(' ').count() > 8 {
        return Err(("PRODUCT-2017", INVALID));
    }
    let mut scored: Vec<(usize, &Value)> = products
        .iter()
        .filter(|product| has_brand(product, filters.brand.as_deref()))
        .filter(|product| is_offered(product, filters.fulfillment.as_deref()))
        .map(|product| (score(product, term), product))
        .filter(|(score, _)| *score > 0)
        .collect();
    // Stable: equal scores stay in the order of the file.
    scored.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
    Ok(scored.into_iter().map(|(_, product)| product).collect())
}

fn score(product: &Value, term: &str) -> usize {
    let name = format!("{} {}", text(product, "description"), product["categories"]).to_lowercase();
    term.to_lowercase().split_whitespace().filter(|word| name.contains(word)).count()
}

fn has_brand(product: &Value, brands: Option<&str>) -> bool {
    brands.is_none_or(|brands| brands.split('|').any(|brand| brand == text(product, "brand")))
}

/// Whether one of the known ways is offered. Unknown ways are ignored, as upstream does.
fn is_offered(product: &Value, ways: Option<&str>) -> bool {
    let fields: Vec<&str> = ways.unwrap_or_default().split(',').filter_map(field_of).collect();
    fields.is_empty() || fields.iter().any(|field| product["items"][0]["fulfillment"][*field] == true)
}

fn field_of(way: &str) -> Option<&'static str> {
    match way {
        "ais" => Some("inStore"),
        "csp" => Some("curbside"),
        "dth" => Some("delivery"),
        "sth" => Some("shipToHome"),
        _ => None,
    }
}

/// Price, stock, ways of delivery and aisle belong to a store; without one they are left out.
fn shown(standin: &Shared, product: &Value, with_store: bool) -> Value {
    let mut shown = product.clone();
    if with_store {
        if let Some(price) = standin.control.price(text(product, "productId")) {
            reprice(&mut shown["items"][0], &price);
        }
        return shown;
    }
    if let Some(object) = shown.as_object_mut() {
        object.remove("aisleLocations");
    }
    for item in shown["items"].as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
        for field in ["price", "inventory", "fulfillment"] {
            item.remove(field);
        }
    }
    shown
}

/// Sets both prices, and when they end; the estimate for one piece of a weighed product keeps its share.
fn reprice(item: &mut Value, price: &NewPrice) {
    let number = |value: &Value| value.as_f64().filter(|number| *number > 0.0);
    let share = match (number(&item["price"]["regular"]), number(&item["price"]["regularPerUnitEstimate"])) {
        (Some(regular), Some(estimate)) => estimate / regular,
        _ => 1.0,
    };
    let estimate = |dollars: f64| (dollars * share * 100.0).round() / 100.0;
    let promo = price.promo.unwrap_or(0.0);
    if !item["price"].is_object() {
        item["price"] = json!({});
    }
    item["price"]["regular"] = json!(price.regular);
    item["price"]["promo"] = json!(promo);
    item["price"]["regularPerUnitEstimate"] = json!(estimate(price.regular));
    item["price"]["promoPerUnitEstimate"] = json!(estimate(promo));
    if let Some(ends) = price.ends {
        item["price"]["expirationDate"] = json!({ "value": ends, "timezone": "UTC" });
    }
}
