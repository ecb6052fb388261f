//! Revision 2025-11-25.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::response::Response;
use http::StatusCode;
use http::header::{HeaderMap, HeaderValue};
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::call::Call;
use crate::wire::{Refusal, answered, empty, events, text, whole};
use crate::{State, definitions};

const SESSION: &str = "mcp-session-id";
/// From the least to the most severe.
pub(crate) const LEVELS: [&str; 8] =
    ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];

/// One client.
#[derive(Debug, Default)]
pub(crate) struct Session {
    pub(crate) capabilities: Value,
    level: AtomicU64,
    watched: Mutex<HashSet<String>>,
    questions: Mutex<HashMap<String, oneshot::Sender<Value>>>,
    calls: Mutex<HashMap<String, CancellationToken>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Session {
    /// Whether the client wants messages of `level`.
    pub(crate) fn logs(&self, level: &str) -> bool {
        position(level) >= self.level.load(Ordering::Relaxed)
    }

    /// Waits for the answer to the question `id`.
    pub(crate) fn expect(&self, id: u64) -> oneshot::Receiver<Value> {
        let (answer, answered) = oneshot::channel();
        lock(&self.questions).insert(id.to_string(), answer);
        answered
    }
}

fn position(level: &str) -> u64 {
    LEVELS.iter().position(|known| *known == level).unwrap_or_default() as u64
}

pub(crate) async fn post(state: &Arc<State>, headers: &HeaderMap, message: Value) -> Response {
    let method = message["method"].as_str().unwrap_or_default().to_owned();
    if method == "initialize" {
        return initialize(state, &message);
    }
    let session = match session(state, headers) {
        Ok(session) => session,
        Err(status) => return empty(status),
    };
    match (method.as_str(), message.get("id")) {
        ("", Some(id)) => {
            if let Some(question) = lock(&session.questions).remove(&id.to_string()) {
                question.send(message).ok();
            }
            empty(StatusCode::ACCEPTED)
        }
        (_, None) => {
            if method == "notifications/cancelled" {
                state.cancelled.send_modify(|count| *count += 1);
                if let Some(call) = lock(&session.calls).get(&message["params"]["requestId"].to_string()) {
                    call.cancel();
                }
            }
            empty(StatusCode::ACCEPTED)
        }
        _ => request(state, session, (&method, message)).await,
    }
}

fn initialize(state: &State, message: &Value) -> Response {
    let id = format!("session-{}", state.next.fetch_add(1, Ordering::Relaxed));
    let session = Session { capabilities: message["params"]["capabilities"].clone(), ..Session::default() };
    state.sessions().insert(id.clone(), Arc::new(session));
    let mut capabilities = definitions::capabilities();
    capabilities["logging"] = json!({});
    let result = json!({ "protocolVersion": "2025-11-25", "capabilities": capabilities,
        "serverInfo": definitions::info() });
    let answer = json!({ "jsonrpc": "2.0", "id": message["id"], "result": result });
    let mut response = whole(StatusCode::OK, &answer);
    if let Ok(id) = HeaderValue::try_from(id) {
        response.headers_mut().insert(SESSION, id);
    }
    response
}

fn session(state: &State, headers: &HeaderMap) -> Result<Arc<Session>, StatusCode> {
    let id = text(headers, SESSION).ok_or(StatusCode::BAD_REQUEST)?;
    state.sessions().get(id).cloned().ok_or(StatusCode::NOT_FOUND)
}

async fn request(state: &Arc<State>, session: Arc<Session>, (method, message): (&str, Value)) -> Response {
    let (id, params) = (message["id"].clone(), &message["params"]);
    let uri = params["uri"].as_str().unwrap_or_default();
    match method {
        "ping" => {}
        "logging/setLevel" => {
            session.level.store(position(params["level"].as_str().unwrap_or_default()), Ordering::Relaxed);
        }
        "resources/subscribe" => {
            if lock(&session.watched).insert(uri.to_owned()) {
                state.watch(uri);
            }
        }
        "resources/unsubscribe" => {
            if lock(&session.watched).remove(uri) {
                state.unwatch(uri);
            }
        }
        _ => return call(state, session, message).await,
    }
    whole(StatusCode::OK, &json!({ "jsonrpc": "2.0", "id": id, "result": {} }))
}

async fn call(state: &Arc<State>, session: Arc<Session>, message: Value) -> Response {
    let (out, messages) = mpsc::unbounded_channel();
    let token = CancellationToken::new();
    let key = message["id"].to_string();
    lock(&session.calls).insert(key.clone(), token.clone());
    let call = Call::new(Arc::clone(state), Some(Arc::clone(&session)), (&message, out.clone()));
    let id = message["id"].clone();
    tokio::spawn(async move {
        match token.run_until_cancelled(call.run()).await {
            Some(Ok(result)) => out.send(json!({ "jsonrpc": "2.0", "id": id, "result": result })).ok(),
            Some(Err(refusal)) => out.send(refusal.to_message(&id)).ok(),
            None => out.send(Refusal::new(-32_603, "cancelled").to_message(&id)).ok(),
        };
        lock(&session.calls).remove(&key);
    });
    answered(messages).await
}

pub(crate) fn get(state: &Arc<State>, headers: &HeaderMap) -> Response {
    let session = match session(state, headers) {
        Ok(session) => session,
        Err(status) => return empty(status),
    };
    let news = state.news.subscribe();
    events(futures::stream::unfold((news, session), |(mut news, session)| async move {
        loop {
            let message: Value = match news.recv().await {
                Ok(message) => message,
                Err(RecvError::Lagged(_)) => continue,
                Err(RecvError::Closed) => return None,
            };
            let uri = message["params"]["uri"].as_str();
            if uri.is_none_or(|uri| lock(&session.watched).contains(uri)) {
                return Some((message, (news, session)));
            }
        }
    }))
}

pub(crate) fn delete(state: &State, headers: &HeaderMap) -> Response {
    let ended = text(headers, SESSION).and_then(|id| state.sessions().remove(id));
    let Some(session) = ended else { return empty(StatusCode::NOT_FOUND) };
    for uri in lock(&session.watched).drain() {
        state.unwatch(&uri);
    }
    empty(StatusCode::NO_CONTENT)
}
