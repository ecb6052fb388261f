//! `/v1/coupons`: coupons for a partner's application. Kroger has an API for coupons and describes it nowhere, so this
//! contract is our own; it looks like the API's published parts.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
};

use axum::{
    Extension,
    extract::{Path, Query, State},
    http::StatusCode,
    response::Response,
};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Shared, catalogue::Coupon, oauth::Customer, reply};

/// Customers whose clipped coupons are known at once.
const MAX_CUSTOMERS: usize = 1_000;

/// What customers have clipped, and when the days of the coupons are counted from.
pub(crate) struct Coupons {
    since: Timestamp,
    clipped: Mutex<BTreeMap<String, BTreeSet<String>>>,
}

impl Default for Coupons {
    fn default() -> Self {
        Self { since: Timestamp::now(), clipped: Mutex::default() }
    }
}

impl Coupons {
    fn expires(&self, coupon: &Coupon) -> Timestamp {
        // Six hours more, so that a coupon of the last day is good while tests run.
        let life = SignedDuration::from_hours(coupon.days.saturating_mul(24).saturating_add(6));
        self.since.saturating_add(life).unwrap_or(self.since)
    }

    fn is_live(&self, coupon: &Coupon) -> bool {
        self.expires(coupon) > Timestamp::now()
    }

    fn of(&self, customer: &str) -> BTreeSet<String> {
        let clipped = self.clipped.lock().unwrap_or_else(PoisonError::into_inner);
        clipped.get(customer).cloned().unwrap_or_default()
    }

    /// `false` where it was clipped already.
    fn clip(&self, customer: &str, id: &str) -> bool {
        let mut clipped = self.clipped.lock().unwrap_or_else(PoisonError::into_inner);
        if clipped.len() >= MAX_CUSTOMERS && !clipped.contains_key(customer) {
            clipped.pop_first();
        }
        clipped.entry(customer.to_owned()).or_default().insert(id.to_owned())
    }
}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Filters {
    #[serde(rename = "filter.category")]
    category: Option<String>,
    #[serde(rename = "filter.start")]
    start: Option<String>,
    #[serde(rename = "filter.limit")]
    limit: Option<String>,
}

/// `GET /v1/coupons`: those that are still good, in the order of the data.
pub(crate) async fn list(
    State(standin): State<Shared>,
    Extension(Customer(customer)): Extension<Customer>,
    Query(filters): Query<Filters>,
) -> Response {
    let Some((start, limit)) = page(&filters) else {
        return reply::bad("COUPON-4101", "Field 'limit' must be a number between 1 and 50 (inclusive)");
    };
    let in_category = |coupon: &&Coupon| {
        filters.category.as_ref().is_none_or(|category| coupon.category.eq_ignore_ascii_case(category))
    };
    let more: Vec<Coupon> = (1..=standin.control.settings().more_coupons).map(further).collect();
    let found: Vec<&Coupon> = standin
        .catalogue
        .coupons
        .iter()
        .chain(&more)
        .filter(|coupon| standin.coupons.is_live(coupon))
        .filter(in_category)
        .collect();
    let clipped = standin.coupons.of(&customer);
    let page: Vec<Value> = found
        .iter()
        .skip(start)
        .take(limit)
        .map(|coupon| shown(coupon, standin.coupons.expires(coupon), clipped.contains(&coupon.id)))
        .collect();
    let meta = json!({ "pagination": { "start": start, "limit": limit, "total": found.len() } });
    reply::data(Value::Array(page), meta)
}

/// One of the coupons that a setting adds.
fn further(number: usize) -> Coupon {
    Coupon {
        id: format!("9{number:011}"),
        title: format!("Save $0.10 on item {number}"),
        description: "Save 10 cents.".to_owned(),
        category: "General".to_owned(),
        value: Some(0.1),
        days: 90,
        product_ids: Vec::new(),
    }
}

/// Coupons to skip and to show; 10 are shown where no limit is given.
fn page(filters: &Filters) -> Option<(usize, usize)> {
    let number = |text: &Option<String>, default| {
        text.as_deref().map_or(Some(default), |text| text.parse::<usize>().ok())
    };
    let limit = number(&filters.limit, 10)?;
    (1..=50).contains(&limit).then_some((number(&filters.start, 0)?, limit))
}

fn shown(coupon: &Coupon, expires: Timestamp, clipped: bool) -> Value {
    json!({
        "id": coupon.id,
        "title": coupon.title,
        "description": coupon.description,
        "category": coupon.category,
        "value": coupon.value,
        "expires": expires,
        "productIds": coupon.product_ids,
        "clipped": clipped,
    })
}

/// `POST /v1/coupons/{id}/clip`: 204, or 404 unknown, 409 clipped already, 410 ended.
pub(crate) async fn clip(
    State(standin): State<Shared>,
    Extension(Customer(customer)): Extension<Customer>,
    Path(id): Path<String>,
) -> Response {
    let Some(coupon) = standin.catalogue.coupons.iter().find(|coupon| coupon.id == id) else {
        return reply::empty(StatusCode::NOT_FOUND);
    };
    if !standin.coupons.is_live(coupon) {
        return reply::refused(StatusCode::GONE, "COUPON-4103", "The coupon has expired");
    }
    if !standin.coupons.clip(&customer, &id) {
        return reply::refused(StatusCode::CONFLICT, "COUPON-4102", "The coupon is clipped already");
    }
    reply::empty(StatusCode::NO_CONTENT)
}
