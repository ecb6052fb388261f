//! The paths by which a test steers the stand-in and looks into it.

use std::{
    collections::BTreeMap,
    fmt::Write,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Shared, cart,
    faults::{Fault, Faults},
    reply,
    settings::Settings,
};

const DAY: Duration = Duration::from_hours(24);

/// Prices in US dollars that go before those of the data.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewPrice {
    pub(crate) regular: f64,
    pub(crate) promo: Option<f64>,
    /// When they end (RFC 3339); without it they end when those of the data do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ends: Option<Timestamp>,
}

/// Calls of one group in a window of 24 hours that opens with the first.
#[derive(Debug, Default)]
struct Window {
    opened: Option<Instant>,
    used: u64,
}

impl Window {
    fn take(&mut self) -> u64 {
        if self.opened.is_none_or(|opened| opened.elapsed() >= DAY) {
            *self = Self { opened: Some(Instant::now()), used: 0 };
        }
        self.used += 1;
        self.used
    }
}

#[derive(Default)]
pub(crate) struct Control {
    pub(crate) faults: Faults,
    requests: Mutex<BTreeMap<String, u64>>,
    days: Mutex<BTreeMap<String, Window>>,
    settings: Mutex<Settings>,
    prices: Mutex<BTreeMap<String, NewPrice>>,
}

impl Control {
    pub(crate) fn settings(&self) -> Settings {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether this refresh is one of those whose answer gets lost.
    pub(crate) fn loses_refresh(&self) -> bool {
        let mut settings = self.settings.lock().unwrap_or_else(PoisonError::into_inner);
        let loses = settings.drop_refreshes > 0;
        settings.drop_refreshes = settings.drop_refreshes.saturating_sub(1);
        loses
    }

    pub(crate) fn price(&self, id: &str) -> Option<NewPrice> {
        self.prices.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    /// Counts the request; `true` where the calls of the group's day were used up before it.
    pub(crate) fn count(&self, method: &str, path: &str, settings: &Settings) -> bool {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        *requests.entry(format!("{method} {path}")).or_default() += 1;
        drop(requests);
        let group = group(path);
        let mut days = self.days.lock().unwrap_or_else(PoisonError::into_inner);
        let used = days.entry(group.to_owned()).or_default().take();
        let limit = settings.limit(group);
        limit > 0 && group != "connect" && used > limit
    }
}

/// Products, locations, chains, departments, cart, identity: each has a daily limit of its own.
fn group(path: &str) -> &str {
    match path.split('/').nth(2).unwrap_or_default() {
        "carts" => "cart",
        group => group,
    }
}

pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/_standin/faults", get(list_faults).post(add_fault).put(add_fault).delete(clear_faults))
        .route("/_standin/requests", get(requests).delete(clear_requests))
        .route("/_standin/settings", get(settings).post(set).put(set))
        .route("/_standin/prices", get(prices).put(set_prices).delete(clear_prices))
        .route("/_standin/carts", get(carts).put(put_into_cart).delete(clear_carts))
        .route("/_standin/tokens/expire", post(expire))
        .route("/_standin/tokens/revoke", post(revoke))
        .route("/metrics", get(metrics))
}

async fn list_faults(State(standin): State<Shared>) -> Json<Value> {
    Json(standin.control.faults.list())
}

async fn add_fault(State(standin): State<Shared>, Json(fault): Json<Fault>) -> Response {
    match standin.control.faults.add(fault) {
        Ok(()) => reply::empty(StatusCode::CREATED),
        Err(refused) => refused.into_response(),
    }
}

async fn clear_faults(State(standin): State<Shared>) -> StatusCode {
    standin.control.faults.clear();
    StatusCode::NO_CONTENT
}

async fn requests(State(standin): State<Shared>) -> Response {
    Json(&*standin.control.requests.lock().unwrap_or_else(PoisonError::into_inner)).into_response()
}

/// Begins the counts and the days anew.
async fn clear_requests(State(standin): State<Shared>) -> StatusCode {
    standin.control.requests.lock().unwrap_or_else(PoisonError::into_inner).clear();
    standin.control.days.lock().unwrap_or_else(PoisonError::into_inner).clear();
    StatusCode::NO_CONTENT
}

/// The counts of requests in the text format that Prometheus scrapes.
async fn metrics(State(standin): State<Shared>) -> String {
    let requests = standin.control.requests.lock().unwrap_or_else(PoisonError::into_inner);
    let mut out = "# TYPE portico_standin_requests counter\n".to_owned();
    for (key, count) in &*requests {
        let (method, path) = key.split_once(' ').unwrap_or_default();
        // Writing into a `String` has no failure of its own.
        let _ =
            writeln!(out, "portico_standin_requests_total{{method=\"{method}\",path=\"{path}\"}} {count}");
    }
    out
}

async fn settings(State(standin): State<Shared>) -> Json<Settings> {
    Json(standin.control.settings())
}

async fn set(State(standin): State<Shared>, Json(change): Json<Value>) -> Response {
    let mut settings = standin.control.settings.lock().unwrap_or_else(PoisonError::into_inner);
    match settings.with(&change) {
        Ok(new) => {
            *settings = new;
            reply::empty(StatusCode::NO_CONTENT)
        }
        Err(problem) => (StatusCode::BAD_REQUEST, problem).into_response(),
    }
}

async fn prices(State(standin): State<Shared>) -> Response {
    Json(&*standin.control.prices.lock().unwrap_or_else(PoisonError::into_inner)).into_response()
}

/// Sets the prices of products that there are; all of them or, where one is unknown, none.
async fn set_prices(State(standin): State<Shared>, Json(new): Json<BTreeMap<String, NewPrice>>) -> Response {
    if let Some(unknown) = new.keys().find(|id| standin.catalogue.product(id).is_none()) {
        return (StatusCode::NOT_FOUND, format!("there is no product {unknown}\n")).into_response();
    }
    standin.control.prices.lock().unwrap_or_else(PoisonError::into_inner).extend(new);
    reply::empty(StatusCode::NO_CONTENT)
}

async fn clear_prices(State(standin): State<Shared>) -> StatusCode {
    standin.control.prices.lock().unwrap_or_else(PoisonError::into_inner).clear();
    StatusCode::NO_CONTENT
}

async fn carts(State(standin): State<Shared>) -> Json<Value> {
    Json(standin.carts.all())
}

/// A customer puts something into the cart on Kroger's own pages.
async fn put_into_cart(State(standin): State<Shared>, Query(whose): Query<Whose>, body: Bytes) -> Response {
    let customer = whose.customer.unwrap_or_else(|| standin.control.settings().customer().to_owned());
    let put = cart::items(&body).and_then(|items| {
        standin.carts.change(&customer, |lines| {
            cart::add_all(&standin, lines, items);
            Ok::<_, cart::Refusal>(())
        })
    });
    put.map_or_else(cart::refused, |()| reply::empty(StatusCode::NO_CONTENT))
}

async fn clear_carts(State(standin): State<Shared>) -> StatusCode {
    standin.carts.clear();
    StatusCode::NO_CONTENT
}

/// Whose tokens; everybody's where nobody is named.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Whose {
    customer: Option<String>,
}

/// Ends access tokens now; refresh tokens stay good.
async fn expire(State(standin): State<Shared>, Query(whose): Query<Whose>) -> Json<Value> {
    Json(json!({ "ended": standin.tokens.expire(whose.customer.as_deref()) }))
}

/// Ends access and refresh tokens, as when a customer removes the application from the account page.
async fn revoke(State(standin): State<Shared>, Query(whose): Query<Whose>) -> Json<Value> {
    let customer = whose.customer.as_deref();
    let ended = standin.tokens.expire(customer) + standin.tokens.forget_refresh(customer);
    Json(json!({ "ended": ended }))
}
