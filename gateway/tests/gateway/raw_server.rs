//! A server written by hand, which can say anything at all, well-formed or not.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use futures::future::BoxFuture;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

/// What a request said.
#[derive(Debug, Clone)]
pub struct Seen {
    pub http_method: String,
    pub headers: http::HeaderMap,
    pub text: String,
    pub body: Value,
}

impl Seen {
    pub fn method(&self) -> &str {
        self.body["method"].as_str().unwrap_or_default()
    }

    pub fn session(&self) -> Option<String> {
        self.headers.get("mcp-session-id").map(|id| id.to_str().unwrap().to_owned())
    }

    /// A result of the text `result`.
    pub fn result(&self, result: &str) -> Response {
        json_response(200, format!(r#"{{"jsonrpc":"2.0","id":{},"result":{result}}}"#, self.body["id"]))
    }
}

pub fn json_response(status: u16, text: impl Into<String>) -> Response {
    let headers = [("content-type", "application/json")];
    (http::StatusCode::from_u16(status).unwrap(), headers, text.into()).into_response()
}

pub fn events(text: impl Into<Body>) -> Response {
    Response::builder().header("content-type", "text/event-stream").body(text.into()).unwrap()
}

type Answer = dyn Fn(Seen) -> BoxFuture<'static, Option<Response>> + Send + Sync;

pub struct RawServer {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    _stop: DropGuard,
}

impl RawServer {
    /// A legacy server with these tools. `answer` comes first and may leave a request to the usual answers.
    pub async fn legacy(
        tools: &'static str,
        answer: impl Fn(Seen) -> BoxFuture<'static, Option<Response>> + Send + Sync + 'static,
    ) -> Self {
        Self::legacy_on(TcpListener::bind("127.0.0.1:0").await.unwrap(), tools, answer)
    }

    /// The same where somebody listens already.
    pub fn legacy_on(
        listener: TcpListener,
        tools: &'static str,
        answer: impl Fn(Seen) -> BoxFuture<'static, Option<Response>> + Send + Sync + 'static,
    ) -> Self {
        let usual = move |seen: Seen| -> BoxFuture<'static, Option<Response>> {
            let special = answer(seen.clone());
            Box::pin(async move { Some(special.await.unwrap_or_else(|| usual_legacy(&seen, tools))) })
        };
        Self::on(listener, Arc::new(usual))
    }

    /// The same of the modern era.
    pub async fn modern(
        tools: &'static str,
        answer: impl Fn(Seen) -> BoxFuture<'static, Option<Response>> + Send + Sync + 'static,
    ) -> Self {
        Self::modern_on(TcpListener::bind("127.0.0.1:0").await.unwrap(), tools, answer)
    }

    /// The same where somebody listens already.
    pub fn modern_on(
        listener: TcpListener,
        tools: &'static str,
        answer: impl Fn(Seen) -> BoxFuture<'static, Option<Response>> + Send + Sync + 'static,
    ) -> Self {
        let usual = move |seen: Seen| -> BoxFuture<'static, Option<Response>> {
            let special = answer(seen.clone());
            Box::pin(async move { Some(special.await.unwrap_or_else(|| usual_modern(&seen, tools))) })
        };
        Self::on(listener, Arc::new(usual))
    }

    fn on(listener: TcpListener, answer: Arc<Answer>) -> Self {
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        let serve = move |request: Request| {
            let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
            async move {
                let seen = read(request).await;
                log.lock().unwrap().push(seen.clone());
                answer(seen).await.unwrap()
            }
        };
        let stop = CancellationToken::new();
        let token = stop.clone();
        let router = Router::new().fallback(serve);
        tokio::spawn(
            async move { token.run_until_cancelled(axum::serve(listener, router).into_future()).await },
        );
        Self { address, seen, _stop: stop.drop_guard() }
    }

    pub fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    /// The requests for `method` so far.
    pub fn seen(&self, method: &str) -> Vec<Seen> {
        self.seen.lock().unwrap().iter().filter(|seen| seen.method() == method).cloned().collect()
    }

    pub fn seen_http(&self, method: &str) -> usize {
        self.seen.lock().unwrap().iter().filter(|seen| seen.http_method == method).count()
    }
}

async fn read(request: Request) -> Seen {
    let (parts, body) = request.into_parts();
    let bytes = axum::body::to_bytes(body, 64 << 20).await.unwrap();
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    // A number that no float holds must pass the gateway, but not this reader.
    let body = serde_json::from_str(&text.replace("1e400", "0")).unwrap_or(Value::Null);
    Seen { http_method: parts.method.to_string(), headers: parts.headers, text, body }
}

fn usual_legacy(seen: &Seen, tools: &str) -> Response {
    match (seen.http_method.as_str(), seen.method()) {
        ("POST", "initialize") => {
            let hello = json!({ "protocolVersion": "2025-11-25", "capabilities": { "tools": {} },
                "serverInfo": { "name": "raw", "version": "1" } });
            let mut response = seen.result(&hello.to_string());
            let id = format!("s-{}", seen.body["id"]);
            response.headers_mut().insert("mcp-session-id", id.parse().unwrap());
            response
        }
        ("POST", "tools/list") => seen.result(&format!(r#"{{"tools":{tools}}}"#)),
        ("POST", "tools/call") => seen.result(r#"{"content":[]}"#),
        ("POST", "ping") => seen.result("{}"),
        ("POST", method) if method.starts_with("notifications/") => json_response(202, ""),
        ("POST", _) => json_response(400, "no"),
        _ => json_response(405, ""),
    }
}

fn usual_modern(seen: &Seen, tools: &str) -> Response {
    match seen.method() {
        "server/discover" => seen.result(
            r#"{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"ttlMs":0,"cacheScope":"public"}"#,
        ),
        "tools/list" => seen.result(&format!(
            r#"{{"resultType":"complete","tools":{tools},"ttlMs":0,"cacheScope":"public"}}"#
        )),
        "tools/call" => seen.result(r#"{"resultType":"complete","content":[]}"#),
        _ => json_response(
            404,
            format!(r#"{{"jsonrpc":"2.0","id":{},"error":{{"code":-32601,"message":"no"}}}}"#, seen.body["id"]),
        ),
    }
}

/// Leaves every request to the usual answers.
pub fn nothing_special(_: Seen) -> BoxFuture<'static, Option<Response>> {
    Box::pin(async { None })
}
