//! The admin port: how the gateway does, for those who run it, and how much it logs.
//!
//! It knows no users: who reaches the port may look, and may change the log. Nothing that it shows is secret.

mod page;
mod status;

use std::net::IpAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};

use crate::core::Core;
use crate::frontend::http::{Hosts, read};
use crate::health;

/// Bytes of a filter.
const MAX_FILTER: usize = 4096;
const TEXT: &str = "text/plain; charset=utf-8";

/// What decides which events are logged, as whoever started the log can change it.
pub trait LogFilter: Send + Sync + 'static {
    /// The filter in force.
    fn get(&self) -> String;

    /// Puts `filter` in force at once, such as `info,portico_gateway=debug`.
    ///
    /// # Errors
    /// What is wrong with it, for the person who gave it; the one before stays.
    fn set(&self, filter: &str) -> Result<(), String>;
}

#[derive(Clone)]
struct Admin {
    core: Arc<Core>,
    hosts: Arc<Hosts>,
    log: Option<Arc<dyn LogFilter>>,
}

/// `/`, `/status`, `/log`, `/healthz`, `/readyz` and `/metrics` for a listener on `address`.
pub(crate) fn router(core: &Arc<Core>, address: IpAddr, log: Option<Arc<dyn LogFilter>>) -> Router {
    let hosts = Arc::new(Hosts::at(address, &core.options.public_hosts));
    let admin = Admin { core: Arc::clone(core), hosts, log };
    Router::new()
        .route("/", get(|| std::future::ready(page::response())))
        .route("/status", get(status))
        .route("/log", get(log_filter).put(set_log_filter))
        .with_state(admin.clone())
        .merge(health::router(core))
        .layer(middleware::from_fn_with_state(admin, guard))
}

/// Refuses pages of other origins and foreign host names (DNS rebinding), and has nothing kept or guessed.
async fn guard(State(admin): State<Admin>, request: Request<Body>, next: Next) -> Response {
    if let Err(error) = admin.hosts.check(&request) {
        return (error.http_status(), error.message().to_owned()).into_response();
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

async fn status(State(admin): State<Admin>) -> Response {
    Json(status::of(&admin.core)).into_response()
}

async fn log_filter(State(admin): State<Admin>) -> Response {
    match &admin.log {
        Some(log) => ([(CONTENT_TYPE, TEXT)], format!("{}\n", log.get())).into_response(),
        None => fixed(),
    }
}

async fn set_log_filter(State(admin): State<Admin>, body: Body) -> Response {
    let Some(log) = &admin.log else { return fixed() };
    let body = match read(body, MAX_FILTER).await {
        Ok(body) => body,
        Err(error) => return (error.http_status(), format!("{}\n", error.message())).into_response(),
    };
    let set = std::str::from_utf8(&body).map_err(|_| "it is not UTF-8".to_owned());
    match set.and_then(|filter| log.set(filter.trim())) {
        Ok(()) => {
            tracing::info!(filter = log.get(), "the log's filter was changed");
            ([(CONTENT_TYPE, TEXT)], format!("{}\n", log.get())).into_response()
        }
        Err(reason) => {
            let message =
                format!("the filter is not taken: {reason}; give one such as info,portico_gateway=debug\n");
            (StatusCode::BAD_REQUEST, [(CONTENT_TYPE, TEXT)], message).into_response()
        }
    }
}

fn fixed() -> Response {
    (StatusCode::NOT_FOUND, "this program does not let its log be changed\n").into_response()
}
