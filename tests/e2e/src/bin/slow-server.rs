//! A small MCP server for tests of scaling: it takes its time to start and to answer, and tells a recorder what it does.
//!
//! `PORT` is where it listens, after `START_MS`; `RECORDER` is the URL that is told. Its one tool, `work`, takes `number`, which is
//! recorded, and `ms`, for which it works; it answers with the name of the pod. It speaks revision 2025-11-25 and 2026-07-28.

use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};

#[derive(Clone)]
struct Server {
    pod: String,
    recorder: String,
    http: reqwest::Client,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    rustls::crypto::ring::default_provider().install_default().ok();
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    tokio::time::sleep(Duration::from_millis(variable("START_MS").parse().unwrap_or_default())).await;
    let http = reqwest::Client::builder().no_proxy().build()?;
    let server = Server { pod: variable("HOSTNAME"), recorder: variable("RECORDER"), http };
    let (host, port) = (variable("HOST"), variable("PORT"));
    let host = if host.is_empty() { "0.0.0.0".to_owned() } else { host };
    let listener = tokio::net::TcpListener::bind(format!("{host}:{port}")).await?;
    server.record(json!({ "listening": server.pod })).await;
    let router = Router::new().route("/mcp", any(answer)).with_state(server);
    let mut end = signal(SignalKind::terminate())?;
    let ending = async move {
        end.recv().await;
    };
    axum::serve(listener, router).with_graceful_shutdown(ending).await?;
    Ok(())
}

impl Server {
    async fn record(&self, what: Value) {
        let body = what.to_string();
        if let Err(error) = self.http.post(&self.recorder).body(body).send().await {
            eprintln!("the recorder was not told: {error}");
        }
    }

    async fn work(&self, arguments: &Value) -> Value {
        self.record(json!({ "number": arguments["number"], "pod": self.pod })).await;
        tokio::time::sleep(Duration::from_millis(arguments["ms"].as_u64().unwrap_or_default())).await;
        json!({ "content": [{ "type": "text", "text": self.pod }] })
    }
}

async fn answer(State(server): State<Server>, headers: HeaderMap, body: String) -> Response {
    let Ok(message) = serde_json::from_str::<Value>(&body) else {
        // Neither a stream of its own nor an end of sessions.
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    };
    if message.get("id").is_none() {
        return StatusCode::ACCEPTED.into_response();
    }
    let is_modern = headers.get("mcp-protocol-version").is_some_and(|version| version == "2026-07-28");
    let tools = json!([{ "name": "work", "inputSchema": { "type": "object" } }]);
    let about = json!({ "name": "slow", "version": "1" });
    let mut result = match message["method"].as_str().unwrap_or_default() {
        "server/discover" => json!({
            "resultType": "complete", "supportedVersions": ["2026-07-28"], "capabilities": { "tools": {} },
            "_meta": { "io.modelcontextprotocol/serverInfo": about },
        }),
        "initialize" => {
            json!({ "protocolVersion": "2025-11-25", "capabilities": { "tools": {} }, "serverInfo": about })
        }
        "tools/list" => json!({ "tools": tools }),
        "tools/call" => server.work(&message["params"]["arguments"]).await,
        "ping" => json!({}),
        method => {
            let error = json!({ "code": -32601, "message": format!("no method {method}") });
            return Json(json!({ "jsonrpc": "2.0", "id": message["id"], "error": error })).into_response();
        }
    };
    if is_modern {
        result["resultType"] = "complete".into();
        if message["method"] == "tools/list" || message["method"] == "server/discover" {
            (result["ttlMs"], result["cacheScope"]) = (json!(0), json!("private"));
        }
    }
    let mut response =
        Json(json!({ "jsonrpc": "2.0", "id": message["id"], "result": result })).into_response();
    if message["method"] == "initialize"
        && let Ok(session) = HeaderValue::from_str(&server.pod)
    {
        response.headers_mut().insert("mcp-session-id", session);
    }
    response
}
