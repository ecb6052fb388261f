//! HTTP: what both eras do alike.

use std::convert::Infallible;
use std::sync::{Arc, PoisonError};

use axum::body::{Body, to_bytes};
use axum::extract::State as Shared;
use axum::response::Response;
use futures::{Stream, StreamExt as _};
use http::header::{CONTENT_TYPE, HOST, HeaderMap, ORIGIN};
use http::{Request, StatusCode};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;

use crate::{Era, State, legacy, modern};

const MAX_BODY: usize = 4 << 20;

/// An error answer.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) code: i64,
    pub(crate) message: String,
    pub(crate) data: Value,
}

impl Refusal {
    pub(crate) fn new(code: i64, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: Value::Null }
    }

    pub(crate) fn data(self, data: Value) -> Self {
        Self { data, ..self }
    }

    pub(crate) fn to_message(&self, id: &Value) -> Value {
        let mut error = json!({ "code": self.code, "message": self.message });
        if !self.data.is_null() {
            error["data"] = self.data.clone();
        }
        json!({ "jsonrpc": "2.0", "id": id, "error": error })
    }
}

pub(crate) async fn serve(Shared(state): Shared<Arc<State>>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    if !is_local(&parts.headers) {
        return empty(StatusCode::FORBIDDEN);
    }
    let Ok(body) = to_bytes(body, MAX_BODY).await else { return empty(StatusCode::PAYLOAD_TOO_LARGE) };
    let message: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    if parts.method == "POST" {
        state.received.lock().unwrap_or_else(PoisonError::into_inner).push(message.clone());
    }
    match (state.era, parts.method.as_str()) {
        (Era::Legacy, "POST") => legacy::post(&state, &parts.headers, message).await,
        (Era::Legacy, "GET") => legacy::get(&state, &parts.headers),
        (Era::Legacy, "DELETE") => legacy::delete(&state, &parts.headers),
        (Era::Modern, "POST") => modern::post(&state, &parts.headers, message).await,
        _ => empty(StatusCode::METHOD_NOT_ALLOWED),
    }
}

/// Against DNS rebinding.
fn is_local(headers: &HeaderMap) -> bool {
    [HOST, ORIGIN].iter().filter_map(|name| text(headers, name.as_str())).all(|value| {
        let authority = value.split_once("://").map_or(value, |(_, rest)| rest);
        ["127.0.0.1", "localhost", "[::1]"].iter().any(|host| {
            authority.strip_prefix(host).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
        })
    })
}

pub(crate) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

pub(crate) fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

pub(crate) fn whole(status: StatusCode, message: &Value) -> Response {
    let mut response = Response::new(Body::from(message.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    response
}

pub(crate) fn events(messages: impl Stream<Item = Value> + Send + 'static) -> Response {
    let events = messages.map(|message| Ok::<_, Infallible>(format!("event: message\ndata: {message}\n\n")));
    let mut response = Response::new(Body::from_stream(events));
    response.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static("text/event-stream"));
    response
}

/// The messages of one request: JSON when the answer is the only one, else a stream.
pub(crate) async fn answered(mut messages: mpsc::UnboundedReceiver<Value>) -> Response {
    let Some(first) = messages.recv().await else { return empty(StatusCode::INTERNAL_SERVER_ERROR) };
    if first.get("method").is_none() {
        return whole(status(&first), &first);
    }
    events(futures::stream::once(async { first }).chain(UnboundedReceiverStream::new(messages)))
}

/// The HTTP status of a message in the stateless era.
fn status(message: &Value) -> StatusCode {
    match message["error"]["code"].as_i64() {
        Some(-32_022..=-32_020) => StatusCode::BAD_REQUEST,
        _ => StatusCode::OK,
    }
}
