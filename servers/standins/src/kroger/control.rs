//! Switches for tests: faults, a daily limit, the life of tokens, and a count of requests.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{MatchedPath, Request, State},
    http::{StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Shared, reply};

/// Faults set at once.
const MAX_FAULTS: usize = 64;
/// Longest delay, in milliseconds.
const MAX_DELAY: u64 = 120_000;

/// What goes wrong.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
enum Kind {
    /// The right answer, late.
    Delay { milliseconds: u64 },
    /// A status with a body in one of the forms seen in the wild.
    Status {
        status: u16,
        #[serde(default)]
        form: Form,
    },
    /// 200 with JSON that breaks off.
    Malformed,
    /// The request is served, then the connection breaks before the body.
    Drop,
    /// 429, with or without `Retry-After`.
    RateLimit { retry_after: Option<u64> },
}

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Form {
    #[default]
    Json,
    Flat,
    Html,
    Empty,
    Gateway,
}

/// A fault on the paths that start with `path`, for the next `times` requests or until it is cleared.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Fault {
    #[serde(default = "everywhere")]
    path: String,
    times: Option<u64>,
    #[serde(flatten)]
    kind: Kind,
    #[serde(default, skip_deserializing)]
    hits: u64,
}

fn everywhere() -> String {
    "/v1/".to_owned()
}

impl Fault {
    fn hit(&mut self, path: &str) -> bool {
        let open = self.times.is_none_or(|times| self.hits < times);
        let hit = open && path.starts_with(&self.path);
        self.hits += u64::from(hit);
        hit
    }
}

#[derive(Default)]
pub(crate) struct Control {
    faults: Mutex<Vec<Fault>>,
    requests: Mutex<BTreeMap<String, u64>>,
    settings: Settings,
}

/// Zero stands for "as the real API".
#[derive(Default)]
struct Settings {
    token_seconds: AtomicU64,
    daily_limit: AtomicU64,
}

impl Control {
    /// Life of a new token, in seconds.
    pub(crate) fn token_seconds(&self) -> u64 {
        match self.settings.token_seconds.load(Ordering::Relaxed) {
            0 => 1800,
            seconds => seconds,
        }
    }

    fn fault(&self, path: &str) -> Option<Kind> {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        faults.iter_mut().find_map(|fault| fault.hit(path).then(|| fault.kind.clone()))
    }

    /// Counts the request; `true` where the group's daily limit was reached before it.
    fn count(&self, method: &str, path: &str) -> bool {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let group = group(path);
        let served: u64 = requests
            .iter()
            .filter(|(key, _)| key.split(' ').nth(1).map(self::group) == Some(group))
            .map(|(_, n)| n)
            .sum();
        *requests.entry(format!("{method} {path}")).or_default() += 1;
        let limit = self.settings.daily_limit.load(Ordering::Relaxed);
        limit > 0 && group != "connect" && served >= limit
    }
}

/// Products, locations, chains, departments: each has a daily limit of its own.
fn group(path: &str) -> &str {
    path.split('/').nth(2).unwrap_or_default()
}

pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/_standin/faults", get(list_faults).post(add_fault).delete(clear_faults))
        .route("/_standin/requests", get(requests).delete(clear_requests))
        .route("/_standin/settings", post(settings))
}

async fn list_faults(State(standin): State<Shared>) -> Response {
    Json(&*standin.control.faults.lock().unwrap_or_else(PoisonError::into_inner)).into_response()
}

async fn add_fault(State(standin): State<Shared>, Json(fault): Json<Fault>) -> Response {
    if matches!(fault.kind, Kind::Delay { milliseconds } if milliseconds > MAX_DELAY) {
        return (StatusCode::BAD_REQUEST, "a delay is at most 120000 milliseconds\n").into_response();
    }
    if matches!(fault.kind, Kind::Status { status, .. } if !(400..=599).contains(&status)) {
        return (StatusCode::BAD_REQUEST, "status is from 400 to 599\n").into_response();
    }
    let mut faults = standin.control.faults.lock().unwrap_or_else(PoisonError::into_inner);
    if faults.len() >= MAX_FAULTS {
        return (StatusCode::CONFLICT, "too many faults; DELETE them first\n").into_response();
    }
    faults.push(fault);
    reply::empty(StatusCode::CREATED)
}

async fn clear_faults(State(standin): State<Shared>) -> StatusCode {
    standin.control.faults.lock().unwrap_or_else(PoisonError::into_inner).clear();
    StatusCode::NO_CONTENT
}

async fn requests(State(standin): State<Shared>) -> Response {
    Json(&*standin.control.requests.lock().unwrap_or_else(PoisonError::into_inner)).into_response()
}

async fn clear_requests(State(standin): State<Shared>) -> StatusCode {
    standin.control.requests.lock().unwrap_or_else(PoisonError::into_inner).clear();
    StatusCode::NO_CONTENT
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewSettings {
    token_seconds: Option<u64>,
    daily_limit: Option<u64>,
}

async fn settings(State(standin): State<Shared>, Json(new): Json<NewSettings>) -> StatusCode {
    let settings = &standin.control.settings;
    if let Some(seconds) = new.token_seconds {
        settings.token_seconds.store(seconds, Ordering::Relaxed);
    }
    if let Some(limit) = new.daily_limit {
        settings.daily_limit.store(limit, Ordering::Relaxed);
    }
    StatusCode::NO_CONTENT
}

/// Counts each request, and answers it wrongly where a switch says so.
pub(crate) async fn intervene(State(standin): State<Shared>, request: Request, next: Next) -> Response {
    // The matched pattern keeps ids out of the keys, so the count stays small.
    let path = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str).to_owned();
    if standin.control.count(request.method().as_str(), &path) {
        return reply::too_many(None);
    }
    match standin.control.fault(&path) {
        None => next.run(request).await,
        Some(Kind::Delay { milliseconds }) => {
            tokio::time::sleep(Duration::from_millis(milliseconds)).await;
            next.run(request).await
        }
        Some(Kind::Drop) => dropped(&next.run(request).await),
        Some(Kind::Status { status, form }) => failed(status, form),
        Some(Kind::Malformed) => malformed(),
        Some(Kind::RateLimit { retry_after }) => reply::too_many(retry_after),
    }
}

fn failed(status: u16, form: Form) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let reason = "A fault was switched on";
    match form {
        Form::Json => reply::refused(status, "STANDIN-FAULT", reason),
        Form::Flat => reply::flat(status, "STANDIN-FAULT", reason),
        Form::Html => reply::html(status),
        Form::Empty => reply::empty(status),
        Form::Gateway => reply::gateway_unauthorised(),
    }
}

fn malformed() -> Response {
    let whole = json!({ "data": [{ "productId": "0001111041700" }] }).to_string();
    let half = whole[..whole.len() / 2].to_owned();
    ([(header::CONTENT_TYPE, "application/json")], half).into_response()
}

/// A body that promises a length and fails before its first byte: the server then closes the connection.
fn dropped(served: &Response) -> Response {
    let status = served.status();
    let broken = futures::stream::once(async { Err::<Bytes, _>(std::io::Error::other("dropped")) });
    (status, [(header::CONTENT_LENGTH, "64")], Body::from_stream(broken)).into_response()
}
