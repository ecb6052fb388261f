//! Revision 2026-07-28.

use std::sync::Arc;

use axum::response::Response;
use futures::StreamExt as _;
use http::StatusCode;
use http::header::HeaderMap;
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;

use crate::call::Call;
use crate::wire::{Refusal, answered, empty, events, text, whole};
use crate::{State, definitions};

const VERSION: &str = "2026-07-28";
const REMOVED: [&str; 5] =
    ["initialize", "ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe"];

pub(crate) async fn post(state: &Arc<State>, headers: &HeaderMap, message: Value) -> Response {
    let id = message["id"].clone();
    let Some(method) = message["method"].as_str().filter(|_| !id.is_null()) else {
        return empty(StatusCode::ACCEPTED);
    };
    if let Err(refusal) = check(headers, method, &message["params"]) {
        return whole(StatusCode::BAD_REQUEST, &refusal.to_message(&id));
    }
    match method {
        "server/discover" => {
            let result = json!({ "resultType": "complete", "supportedVersions": [VERSION],
                "capabilities": definitions::modern_capabilities(), "ttlMs": 0, "cacheScope": "public",
                "_meta": { "io.modelcontextprotocol/serverInfo": definitions::info() } });
            whole(StatusCode::OK, &json!({ "jsonrpc": "2.0", "id": id, "result": result }))
        }
        "subscriptions/listen" => listen(state, &id, &message["params"]["notifications"]),
        method if REMOVED.contains(&method) || !definitions::is_method(method) => {
            let refusal = Refusal::new(-32_601, "Method not found");
            whole(StatusCode::NOT_FOUND, &refusal.to_message(&id))
        }
        _ => call(state, &message).await,
    }
}

fn check(headers: &HeaderMap, method: &str, params: &Value) -> Result<(), Refusal> {
    let meta = &params["_meta"];
    let mismatch = |what: &str| Refusal::new(-32_020, format!("the header {what} differs from the body"));
    let Some(version) = meta["io.modelcontextprotocol/protocolVersion"].as_str() else {
        return Err(Refusal::new(-32_602, "the _meta names no protocol version"));
    };
    if !meta["io.modelcontextprotocol/clientCapabilities"].is_object() {
        return Err(Refusal::new(-32_602, "the _meta names no client capabilities"));
    }
    if text(headers, "mcp-protocol-version") != Some(version) {
        return Err(mismatch("MCP-Protocol-Version"));
    }
    if version != VERSION {
        let data = json!({ "supported": [VERSION], "requested": version });
        return Err(Refusal::new(-32_022, "Unsupported protocol version").data(data));
    }
    if text(headers, "mcp-method") != Some(method) {
        return Err(mismatch("Mcp-Method"));
    }
    let named = match method {
        "tools/call" | "prompts/get" => params["name"].as_str(),
        "resources/read" => params["uri"].as_str(),
        "tasks/get" | "tasks/update" | "tasks/cancel" => params["taskId"].as_str(),
        _ => None,
    };
    if named.is_some() && text(headers, "mcp-name") != named { Err(mismatch("Mcp-Name")) } else { Ok(()) }
}

async fn call(state: &Arc<State>, message: &Value) -> Response {
    let (out, messages) = mpsc::unbounded_channel();
    let call = Call::new(Arc::clone(state), None, (message, out.clone()));
    let (id, state) = (message["id"].clone(), Arc::clone(state));
    tokio::spawn(async move {
        tokio::select! {
            outcome = call.run() => match outcome {
                Ok(mut result) => {
                    if result.get("resultType").is_none() {
                        result["resultType"] = "complete".into();
                    }
                    out.send(json!({ "jsonrpc": "2.0", "id": id, "result": result })).ok()
                }
                Err(refusal) => out.send(refusal.to_message(&id)).ok(),
            },
            () = out.closed() => {
                state.cancelled.send_modify(|count| *count += 1);
                None
            }
        };
    });
    answered(messages).await
}

/// Counts a stream among those who watch its URIs.
struct Watching {
    state: Arc<State>,
    uris: Vec<String>,
}

impl Drop for Watching {
    fn drop(&mut self) {
        for uri in &self.uris {
            self.state.unwatch(uri);
        }
    }
}

fn listen(state: &Arc<State>, id: &Value, filter: &Value) -> Response {
    let meta = json!({ "io.modelcontextprotocol/subscriptionId": id });
    let acknowledged = json!({ "jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged",
        "params": { "_meta": meta, "notifications": filter } });
    let uris: Vec<String> =
        serde_json::from_value(filter["resourceSubscriptions"].clone()).unwrap_or_default();
    let (news, filter) = (state.news.subscribe(), filter.clone());
    for uri in &uris {
        state.watch(uri);
    }
    let watching = Watching { state: Arc::clone(state), uris };
    let rest = futures::stream::unfold((news, watching), move |(mut news, watching)| {
        let (filter, meta) = (filter.clone(), meta.clone());
        async move {
            loop {
                let mut message: Value = match news.recv().await {
                    Ok(message) => message,
                    Err(RecvError::Lagged(_)) => continue,
                    Err(RecvError::Closed) => return None,
                };
                if wanted(&filter, &watching.uris, &message) {
                    message["params"]["_meta"] = meta;
                    return Some((message, (news, watching)));
                }
            }
        }
    });
    events(futures::stream::once(async { acknowledged }).chain(rest))
}

fn wanted(filter: &Value, uris: &[String], message: &Value) -> bool {
    let asked = |member: &str| filter[member] == true;
    match message["method"].as_str().unwrap_or_default() {
        "notifications/tools/list_changed" => asked("toolsListChanged"),
        "notifications/prompts/list_changed" => asked("promptsListChanged"),
        "notifications/resources/updated" => uris.iter().any(|uri| message["params"]["uri"] == **uri),
        _ => false,
    }
}
