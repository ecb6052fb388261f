//! What orchestrators and Prometheus ask.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use http::StatusCode;
use http::header::CONTENT_TYPE;

use crate::core::Core;

/// The content type of the OpenMetrics text format.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// `/healthz` (the process answers), `/readyz` (the first snapshot is built) and `/metrics`.
pub(crate) fn router(core: &Arc<Core>) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(Arc::clone(core))
}

async fn ready(State(core): State<Arc<Core>>) -> (StatusCode, &'static str) {
    if core.leaving.is_cancelled() {
        (StatusCode::SERVICE_UNAVAILABLE, "stopping")
    } else if core.is_ready() {
        (StatusCode::OK, "ok")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "waiting for the servers' lists")
    }
}

async fn metrics(State(core): State<Arc<Core>>) -> ([(http::HeaderName, &'static str); 1], String) {
    core.metrics.sessions(core.sessions.len());
    let now = tokio::time::Instant::now();
    for (key, backend) in core.backends.load().iter() {
        let reading = backend.meter.read(now);
        core.metrics.scaling.demand(key, reading.open + reading.waiting);
    }
    for (key, backend) in core.models.load().iter() {
        let reading = backend.meter.read(now);
        core.metrics.scaling.model_demand(key, reading.open + reading.waiting);
    }
    ([(CONTENT_TYPE, OPEN_METRICS)], core.metrics.text())
}
