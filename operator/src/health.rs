//! Liveness, readiness and metrics over HTTP.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::{
    Router, extract::State, http::StatusCode, http::header::CONTENT_TYPE, response::IntoResponse,
    routing::get,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;

/// Whether the process can do its work, as the readiness probe sees it: nothing is awaited any more.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<AtomicUsize>);

/// Something that must be done before the process is ready; it holds readiness back until then.
#[derive(Debug)]
pub struct Awaited(Readiness);

impl Readiness {
    /// Holds readiness back for one thing more.
    #[must_use]
    pub fn await_one_more(&self) -> Awaited {
        self.0.fetch_add(1, Ordering::AcqRel);
        Awaited(self.clone())
    }

    fn get(&self) -> bool {
        self.0.load(Ordering::Acquire) == 0
    }
}

impl Awaited {
    /// It is done. One that is dropped undone is never done.
    pub fn done(self) {
        self.0.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Serves `/healthz`, `/readyz` and `/metrics` until `shutdown`.
///
/// `/healthz` is answered by the event loop that all passes run on: it says that the loop turns, and nothing about the
/// API server, whose absence no restart would mend.
pub async fn serve(
    listener: TcpListener,
    metrics: Metrics,
    readiness: Readiness,
    shutdown: CancellationToken,
) -> std::io::Result<()> {
    let app = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .with_state(readiness)
        .route("/metrics", get(text).with_state(metrics));
    axum::serve(listener, app).with_graceful_shutdown(shutdown.cancelled_owned()).await
}

async fn ready(State(readiness): State<Readiness>) -> impl IntoResponse {
    if readiness.get() {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready: the caches are not filled yet\n")
    }
}

async fn text(State(metrics): State<Metrics>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], metrics.text())
}
