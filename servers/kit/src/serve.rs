//! Serving a handler over streamable HTTP or stdio until it is told to stop.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
    serve::ListenerExt,
};
use rmcp::{
    ServerHandler, ServiceExt,
    transport::{
        stdio,
        streamable_http_server::{
            StreamableHttpServerConfig, StreamableHttpService, session::local::LocalSessionManager,
        },
    },
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower_http::compression::CompressionLayer;

use crate::{
    caller::{CORRELATION_ID, Correlation},
    checks::Checks,
    metered::Metered,
    metrics::Metrics,
    sessions::{Sessions, bounded},
};

/// Time that running calls get to end after the server was told to stop.
const DRAIN: Duration = Duration::from_secs(10);
/// Time that connections get to close after the calls have ended.
const CLOSE: Duration = Duration::from_secs(5);
/// A session without a message for this long is dropped. Open streams do not count as messages.
const SESSION_IDLE: Duration = Duration::from_hours(1);
/// Sessions kept at once.
const MAX_SESSIONS: usize = 2_000;

/// How clients reach a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Streamable HTTP at `/mcp`, beside `/healthz`, `/readyz`, `/checks` and `/metrics`.
    Http(SocketAddr),
    /// JSON-RPC lines on standard input and output; ends when the input ends.
    Stdio,
}

/// Why a server could not start, or ended otherwise than asked to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address could not be listened on.
    #[error("cannot listen on {address}: {source}; free the port or choose another address")]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
    /// The HTTP server failed.
    #[error("the HTTP server stopped: {0}")]
    Http(#[source] io::Error),
    /// The messages of the server cannot be used.
    #[error(transparent)]
    Messages(#[from] crate::messages::Error),
    /// The client on stdio broke the handshake.
    #[error("the MCP client on standard input did not complete its handshake: {0}")]
    Handshake(String),
}

/// What serving needs beside the handler.
#[derive(Clone)]
pub struct Serving {
    /// Where calls are counted.
    pub metrics: Arc<Metrics>,
    /// What the server knows of the things it depends on.
    pub checks: Arc<Checks>,
    /// Largest request body, in bytes; a longer one gets 413.
    pub max_body_bytes: usize,
    /// Sessions of clients of revisions before 2026-07-28 that may be open at once; one more gets 503. Each takes some 60 KiB.
    pub max_sessions: usize,
    /// Paths beside the kit's own.
    pub routes: Router,
}

impl Default for Serving {
    fn default() -> Self {
        Self {
            metrics: Arc::default(),
            checks: Arc::default(),
            max_body_bytes: 4 * 1024 * 1024,
            max_sessions: MAX_SESSIONS,
            routes: Router::new(),
        }
    }
}

/// Serves `handler` until `stop` is cancelled or (stdio) the input ends; signals are the caller's to turn into `stop`.
pub async fn serve<H: ServerHandler + Clone>(
    handler: H,
    transport: Transport,
    serving: Serving,
    stop: CancellationToken,
) -> Result<(), Error> {
    match transport {
        Transport::Http(address) => {
            let listener =
                TcpListener::bind(address).await.map_err(|source| Error::Listen { address, source })?;
            serve_on(listener, handler, serving, stop).await
        }
        Transport::Stdio => {
            let metered = Metered::new(handler, Arc::clone(&serving.metrics));
            serve_stdio(metered, &serving.metrics, stop).await
        }
    }
}

/// As [`serve`], on a listener that is bound already.
pub async fn serve_on<H: ServerHandler + Clone>(
    listener: TcpListener,
    handler: H,
    serving: Serving,
    stop: CancellationToken,
) -> Result<(), Error> {
    let metered = Metered::new(handler, Arc::clone(&serving.metrics));
    serve_counted(listener, metered, serving, stop).await
}

/// As [`serve_on`], of a handler that counts its calls itself.
pub(crate) async fn serve_counted<H: ServerHandler + Clone>(
    listener: TcpListener,
    handler: H,
    serving: Serving,
    stop: CancellationToken,
) -> Result<(), Error> {
    let address = listener.local_addr().map_err(Error::Http)?;
    tracing::info!(%address, "serving MCP over HTTP");
    let metrics = Arc::clone(&serving.metrics);
    let state = Arc::new(Ops {
        metrics: Arc::clone(&metrics),
        checks: Arc::clone(&serving.checks),
        ready: AtomicBool::new(true),
    });
    let closing = CancellationToken::new();
    let app = router(handler, &serving, address, (Arc::clone(&state), closing.clone()));
    // An answer is one small write: waiting for more to send with it only adds latency.
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    let drained = CancellationToken::new();
    let signal = drained.clone();
    let told = async move {
        stop.cancelled().await;
        state.ready.store(false, Ordering::Release);
        let _ = tokio::time::timeout(DRAIN, metrics.idle()).await;
        closing.cancel();
        signal.cancel();
    };
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    let served = axum::serve(listener, app).with_graceful_shutdown(told);
    let late = async {
        drained.cancelled().await;
        tokio::time::sleep(CLOSE).await;
    };
    tokio::select! {
        ended = served => ended.map_err(Error::Http),
        () = late => Ok(()),
    }
}

pub(crate) async fn serve_stdio<H: ServerHandler>(
    handler: H,
    metrics: &Metrics,
    stop: CancellationToken,
) -> Result<(), Error> {
    let told = stop.cancelled_owned();
    tokio::pin!(told);
    let running = tokio::select! {
        running = handler.serve(stdio()) => running.map_err(|error| Error::Handshake(error.to_string()))?,
        () = &mut told => return Ok(()),
    };
    let end = running.cancellation_token();
    let waiting = running.waiting();
    tokio::pin!(waiting);
    tokio::select! {
        _ = &mut waiting => {}
        () = &mut told => {
            let _ = tokio::time::timeout(DRAIN, metrics.idle()).await;
            end.cancel();
            let _ = tokio::time::timeout(CLOSE, waiting).await;
        }
    }
    Ok(())
}

struct Ops {
    metrics: Arc<Metrics>,
    checks: Arc<Checks>,
    ready: AtomicBool,
}

fn router<H: ServerHandler + Clone>(
    handler: H,
    serving: &Serving,
    address: SocketAddr,
    (state, closing): (Arc<Ops>, CancellationToken),
) -> Router {
    let mut sessions = LocalSessionManager::default();
    sessions.session_config.keep_alive = Some(SESSION_IDLE);
    let service = StreamableHttpService::new(
        move || Ok(handler.clone()),
        Arc::new(Sessions::new(sessions, serving.max_sessions)),
        http_config(address, serving.max_body_bytes, closing),
    );
    let mcp = Router::new()
        .nest_service("/mcp", service)
        .layer(middleware::from_fn(bounded))
        .layer(middleware::from_fn(correlated));
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/checks", get(checks))
        .route("/metrics", get(metrics))
        .with_state(state)
        .merge(serving.routes.clone())
        .merge(mcp)
        .layer(CompressionLayer::new())
}

/// Gives a message its correlation id, under which its answer comes back.
async fn correlated(mut request: Request, next: Next) -> Response {
    let id = Correlation::of_headers(request.headers());
    let Ok(id) = HeaderValue::from_str(id.as_str()) else { return next.run(request).await };
    request.headers_mut().insert(CORRELATION_ID, id.clone());
    let mut response = next.run(request).await;
    response.headers_mut().insert(CORRELATION_ID, id);
    response
}

fn http_config(
    address: SocketAddr,
    max_body_bytes: usize,
    closing: CancellationToken,
) -> StreamableHttpServerConfig {
    // Pages of other sites must not reach a server through the reader's browser; local tools may.
    let config = StreamableHttpServerConfig::default()
        .with_allowed_origins(["http://localhost:*", "http://127.0.0.1:*", "http://[::1]:*"])
        .with_json_response(true)
        .with_max_request_body_bytes(max_body_bytes)
        .with_cancellation_token(closing);
    if address.ip().is_loopback() {
        return config;
    }
    // A pod is reached by its address and by Service names that it cannot know.
    config.disable_allowed_hosts()
}

async fn ready(State(ops): State<Arc<Ops>>) -> (StatusCode, &'static str) {
    if ops.ready.load(Ordering::Acquire) {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "stopping\n")
    }
}

async fn checks(State(ops): State<Arc<Ops>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], ops.checks.render())
}

async fn metrics(State(ops): State<Arc<Ops>>) -> impl IntoResponse {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], ops.metrics.render())
}
