//! Faults that a test switches on, and the count of what was asked.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use axum::{
    body::{Body, Bytes},
    extract::{MatchedPath, Request, State},
    http::{StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Shared, reply};

/// Faults set at once.
const MAX_FAULTS: usize = 64;
/// Longest delay, in milliseconds.
const MAX_DELAY: u64 = 120_000;

/// What goes wrong.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
enum Kind {
    /// The right answer, late; a client that goes away before it has changed nothing.
    Delay { milliseconds: u64 },
    /// The request is served at once, and its answer comes late.
    Late { milliseconds: u64 },
    /// A random part of this time passes before the request is served, and a random part of it before the answer goes out.
    Jitter { milliseconds: u64 },
    /// A status with a body in one of the forms seen in the wild; with `served` the request is served before.
    Status {
        status: u16,
        #[serde(default)]
        form: Form,
        #[serde(default)]
        served: bool,
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
pub(crate) struct Fault {
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

    fn problem(&self) -> Option<&'static str> {
        match self.kind {
            Kind::Delay { milliseconds } | Kind::Late { milliseconds } | Kind::Jitter { milliseconds }
                if milliseconds > MAX_DELAY =>
            {
                Some("a delay is at most 120000 milliseconds\n")
            }
            Kind::Status { status, .. } if !(400..=599).contains(&status) => {
                Some("status is from 400 to 599\n")
            }
            _ => None,
        }
    }
}

#[derive(Default)]
pub(crate) struct Faults(Mutex<Vec<Fault>>);

impl Faults {
    fn next(&self, path: &str) -> Option<Kind> {
        let mut faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        faults.iter_mut().find_map(|fault| fault.hit(path).then(|| fault.kind.clone()))
    }

    pub(crate) fn list(&self) -> Value {
        json!(&*self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn add(&self, fault: Fault) -> Result<(), (StatusCode, &'static str)> {
        if let Some(problem) = fault.problem() {
            return Err((StatusCode::BAD_REQUEST, problem));
        }
        let mut faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if faults.len() >= MAX_FAULTS {
            return Err((StatusCode::CONFLICT, "too many faults; DELETE them first\n"));
        }
        faults.push(fault);
        Ok(())
    }

    pub(crate) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// Counts each request, and answers it wrongly where a switch says so.
pub(crate) async fn intervene(State(standin): State<Shared>, request: Request, next: Next) -> Response {
    // The matched pattern keeps ids out of the keys, so the count stays small.
    let path = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str).to_owned();
    let settings = standin.control.settings();
    if standin.control.count(request.method().as_str(), &path, &settings) {
        return reply::too_many(settings.quota_retry_after);
    }
    match standin.control.faults.next(&path) {
        None => next.run(request).await,
        Some(Kind::Delay { milliseconds }) => {
            tokio::time::sleep(Duration::from_millis(milliseconds)).await;
            next.run(request).await
        }
        Some(Kind::Jitter { milliseconds }) => {
            pause(milliseconds).await;
            let response = next.run(request).await;
            pause(milliseconds).await;
            response
        }
        Some(Kind::Late { milliseconds }) => {
            let response = next.run(request).await;
            tokio::time::sleep(Duration::from_millis(milliseconds)).await;
            response
        }
        Some(Kind::Drop) => dropped(&next.run(request).await),
        Some(Kind::Status { status, form, served }) => {
            if served {
                next.run(request).await;
            }
            failed(status, form)
        }
        Some(Kind::Malformed) => malformed(),
        Some(Kind::RateLimit { retry_after }) => reply::too_many(retry_after),
    }
}

/// Waits for a random part of this time.
async fn pause(milliseconds: u64) {
    let part = rand::random_range(0..=milliseconds);
    tokio::time::sleep(Duration::from_millis(part)).await;
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
pub(crate) fn dropped(served: &Response) -> Response {
    // An answer without a body would be whole without one.
    let status = if served.status() == StatusCode::NO_CONTENT { StatusCode::OK } else { served.status() };
    let broken = futures::stream::once(async { Err::<Bytes, _>(std::io::Error::other("dropped")) });
    (status, [(header::CONTENT_LENGTH, "64")], Body::from_stream(broken)).into_response()
}
