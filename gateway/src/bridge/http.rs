//! The HTTP side of the bridge.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{any, get};
use bytes::Bytes;
use http::header::{HeaderMap, HeaderValue};
use http::{Request, StatusCode};
use tokio::sync::broadcast::error::RecvError;
use tokio::time::timeout;

use super::child::{Answers, Child, Error as ChildError};
use super::pool::{Error as PoolError, Pool};
use crate::backend::client::SESSION_ID;
use crate::envelope::{Edits, Message, Object};
use crate::frontend::answer::{self, KEEP_ALIVE};
use crate::frontend::http::{Hosts, check_types, header, read};
use crate::frontend::modern::is_modern;
use crate::meta;
use crate::method::Method;
use crate::rpc::{RpcError, code};

/// Bytes in a request's body.
const MAX_BODY: usize = 4 * 1024 * 1024;

#[derive(Debug, Clone)]
struct Front {
    pool: Arc<Pool>,
    hosts: Arc<Hosts>,
}

/// The MCP endpoint at `path`, and `/healthz` and `/readyz`, as the operator's probes ask for them.
pub(super) fn router(pool: &Arc<Pool>, path: &str, address: IpAddr) -> Router {
    let front = Front { pool: Arc::clone(pool), hosts: Arc::new(Hosts::at(address, &[])) };
    Router::new()
        .route(path, any(serve))
        .route("/healthz", get(health))
        .route("/readyz", get(health))
        .with_state(front)
}

async fn health(State(front): State<Front>) -> (StatusCode, &'static str) {
    if front.pool.is_healthy() {
        (StatusCode::OK, "ok")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the command cannot be found")
    }
}

async fn serve(State(front): State<Front>, request: Request<Body>) -> Response {
    if let Err(error) = front.hosts.check(&request) {
        return answer::error(&error, None);
    }
    let (parts, body) = request.into_parts();
    let answered = match parts.method.as_str() {
        "POST" => return post(&front.pool, &parts.headers, body).await,
        "GET" => session(&front.pool, &parts.headers).map(|child| strays(&front.pool, &child)),
        "DELETE" => delete(&front.pool, &parts.headers),
        _ => Err(RpcError::invalid_request("use POST, GET or DELETE").status(StatusCode::METHOD_NOT_ALLOWED)),
    };
    answered.unwrap_or_else(|error| answer::error(&error, None))
}

async fn post(pool: &Arc<Pool>, headers: &HeaderMap, body: Body) -> Response {
    let body = match check_types(headers) {
        Ok(()) => read(body, MAX_BODY).await,
        Err(error) => Err(error),
    };
    let body = match body {
        Ok(body) => body,
        Err(error) => return answer::error(&error, None),
    };
    let bad = |message: String| {
        answer::error(&RpcError::new(code::PARSE, message).status(StatusCode::BAD_REQUEST), None)
    };
    let Ok(text) = std::str::from_utf8(&body) else { return bad("the body is not UTF-8".to_owned()) };
    match Message::parse(text) {
        Err(error) => bad(error.to_string()),
        Ok(Message::Request { id, method, params }) => {
            let message = Message::Request { id, method: method.clone(), params };
            let modern = is_modern(headers, &message);
            let answered = if modern {
                stateless(pool, id, text).await
            } else if Method::named(&method) == Method::Initialize {
                initialize(pool, id, text).await
            } else {
                in_session(pool, headers, (id, text)).await
            };
            answered.unwrap_or_else(|error| answer::error(&error, Some(id)))
        }
        Ok(message) => {
            one_way(pool, headers, (text, &message)).await.unwrap_or_else(|error| answer::error(&error, None))
        }
    }
}

async fn initialize(pool: &Arc<Pool>, id: &str, text: &str) -> Result<Response, RpcError> {
    let child = pool.start().map_err(|error| no_child(&error))?;
    let answers = child.request(id, text).await.map_err(|error| failed(&error))?;
    let mut response = respond(answers, Restore::none(id)).await;
    let session = pool.keep(child);
    if let Ok(value) = HeaderValue::try_from(session) {
        response.headers_mut().insert(SESSION_ID, value);
    }
    Ok(response)
}

async fn in_session(
    pool: &Arc<Pool>,
    headers: &HeaderMap,
    (id, text): (&str, &str),
) -> Result<Response, RpcError> {
    let child = session(pool, headers)?;
    let answers = child.request(id, text).await.map_err(|error| failed(&error))?;
    Ok(respond(answers, Restore::none(id)).await)
}

/// A request without a session goes to the shared child, under an id of ours.
async fn stateless(pool: &Arc<Pool>, id: &str, text: &str) -> Result<Response, RpcError> {
    let child = pool.shared().map_err(|error| no_child(&error))?;
    let ours = pool.ids.next().to_string();
    let mut edits = Edits::of(text);
    edits.replace(id, ours.as_str());
    let body = edits.finish();
    let line = String::from_utf8_lossy(&body);
    let answers = child.request(&ours, &line).await.map_err(|error| failed(&error))?;
    let restore =
        Restore { id: id.to_owned(), ours: Some(ours.clone()), cancel: Some(Cancel { child, id: ours }) };
    Ok(respond(answers, restore).await)
}

async fn one_way(
    pool: &Arc<Pool>,
    headers: &HeaderMap,
    (text, message): (&str, &Message<'_>),
) -> Result<Response, RpcError> {
    if !is_modern(headers, message) {
        session(pool, headers)?.send(text).await.map_err(|error| failed(&error))?;
    }
    Ok(answer::empty(StatusCode::ACCEPTED))
}

fn session(pool: &Pool, headers: &HeaderMap) -> Result<Arc<Child>, RpcError> {
    let id = header(headers, &SESSION_ID);
    let id = id.ok_or_else(|| RpcError::invalid_request("the Mcp-Session-Id header is missing"))?;
    pool.session(id).ok_or_else(lost)
}

fn lost() -> RpcError {
    RpcError::invalid_request("the session is not known or has ended; send `initialize` again")
        .status(StatusCode::NOT_FOUND)
}

fn delete(pool: &Pool, headers: &HeaderMap) -> Result<Response, RpcError> {
    session(pool, headers)?;
    if let Some(id) = header(headers, &SESSION_ID) {
        pool.end(id);
    }
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

/// The command cannot be spoken to now. In a session that is the end of the session.
fn failed(error: &ChildError) -> RpcError {
    match error {
        ChildError::IdTaken => RpcError::invalid_request(error.to_string()),
        ChildError::Ended => lost(),
        _ => RpcError::new(code::INTERNAL, error.to_string()),
    }
}

fn no_child(error: &PoolError) -> RpcError {
    let answer = RpcError::new(code::INTERNAL, error.to_string());
    match error {
        PoolError::Full(_) => answer.status(StatusCode::SERVICE_UNAVAILABLE),
        PoolError::Child(_) => answer.status(StatusCode::BAD_GATEWAY),
    }
}

/// Tells a shared child that nobody waits any more for a request, unless it was answered.
#[derive(Debug)]
struct Cancel {
    child: Arc<Child>,
    id: String,
}

impl Drop for Cancel {
    fn drop(&mut self) {
        let (child, id) = (Arc::clone(&self.child), std::mem::take(&mut self.id));
        if id.is_empty() {
            return;
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let params = format!(r#"{{"requestId":{id},"reason":"the client closed its stream"}}"#);
            let text = format!(r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{params}}}"#);
            runtime.spawn(async move { child.send(&text).await.ok() });
        }
    }
}

/// What must come back under the client's own id.
#[derive(Debug)]
struct Restore {
    id: String,
    ours: Option<String>,
    cancel: Option<Cancel>,
}

impl Restore {
    fn none(id: &str) -> Self {
        Self { id: id.to_owned(), ours: None, cancel: None }
    }

    fn message(&self, text: String) -> Bytes {
        if self.ours.is_none() {
            return text.into();
        }
        let Ok(object) = Object::parse(&text) else { return text.into() };
        let params = object.object("params");
        let subscription =
            params.as_ref().and_then(meta::of).and_then(|meta| meta.get(meta::SUBSCRIPTION_ID));
        let result = object.object("result");
        let ended = result.as_ref().and_then(meta::of).and_then(|meta| meta.get(meta::SUBSCRIPTION_ID));
        let mut edits = Edits::of(&text);
        for part in [object.get("id"), subscription, ended].into_iter().flatten() {
            if Some(part) == self.ours.as_deref() {
                edits.replace(part, self.id.as_str());
            }
        }
        edits.finish()
    }

    /// The answer, or the error that stands for it when the child ended first.
    fn last(&mut self, text: Option<String>) -> Bytes {
        if let Some(cancel) = &mut self.cancel {
            cancel.id.clear();
        }
        match text {
            Some(text) => self.message(text),
            None => RpcError::new(code::INTERNAL, ChildError::Ended.to_string()).to_bytes(Some(&self.id)),
        }
    }
}

enum Next {
    Part(String),
    Last(Option<String>),
}

async fn next(answers: &mut Answers) -> Next {
    tokio::select! {
        biased;
        Some(part) = answers.parts.recv() => Next::Part(part),
        last = &mut answers.last => match answers.parts.try_recv() {
            // What was sent before the answer comes before it.
            Ok(part) => {
                let (again, rest) = tokio::sync::oneshot::channel();
                if let Ok(last) = last { again.send(last).ok(); }
                answers.last = rest;
                Next::Part(part)
            }
            Err(_) => Next::Last(last.ok()),
        },
    }
}

/// JSON when the answer comes first, events when something comes before it.
async fn respond(mut answers: Answers, mut restore: Restore) -> Response {
    match next(&mut answers).await {
        Next::Last(text) => answer::json(StatusCode::OK, [restore.last(text)]),
        Next::Part(part) => {
            let first = answer::event(&restore.message(part));
            let state = (Some(first), Some((answers, restore)));
            answer::events(futures::stream::unfold(state, |(first, rest)| async move {
                if let Some(first) = first {
                    return Some((first, (None, rest)));
                }
                let (mut answers, mut restore) = rest?;
                match timeout(KEEP_ALIVE, next(&mut answers)).await {
                    Err(_) => Some((answer::comment(), (None, Some((answers, restore))))),
                    Ok(Next::Part(part)) => {
                        let event = answer::event(&restore.message(part));
                        Some((event, (None, Some((answers, restore)))))
                    }
                    Ok(Next::Last(text)) => Some((answer::event(&restore.last(text)), (None, None))),
                }
            }))
        }
    }
}

/// The stream of what belongs to no request; it ends with the child.
fn strays(pool: &Pool, child: &Arc<Child>) -> Response {
    let ended = child.ended();
    let stop = pool.stop().clone();
    let state = (child.strays(), true);
    answer::events(futures::stream::unfold(state, move |(mut strays, first)| {
        let (ended, stop) = (ended.clone(), stop.clone());
        async move {
            if first {
                return Some((answer::comment(), (strays, false)));
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => None,
                line = timeout(KEEP_ALIVE, strays.recv()) => match line {
                    Ok(Ok(line)) => Some((answer::event(line.as_bytes()), (strays, false))),
                    Ok(Err(RecvError::Closed)) => None,
                    Ok(Err(RecvError::Lagged(_))) | Err(_) => Some((answer::comment(), (strays, false))),
                },
                () = ended.cancelled() => None,
            }
        }
    }))
}
