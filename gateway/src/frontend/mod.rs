//! Towards clients: one endpoint for both eras.

mod address;
mod admission;
pub(crate) mod answer;
pub(crate) mod approval;
mod calls;
pub(crate) mod cancel;
pub(crate) mod connect;
mod discovery;
mod door;
pub(crate) mod ears;
mod exposed;
pub(crate) mod http;
mod legacy;
pub(crate) mod levels;
mod lists;
mod models;
pub(crate) mod modern;
pub(crate) mod peers;
pub(crate) mod questions;
mod quotas;
mod record;
pub(crate) mod session;
mod stream;
mod websocket;

use std::net::IpAddr;
use std::sync::Arc;

use ::http::header::WWW_AUTHENTICATE;
use ::http::{HeaderMap, HeaderValue, Request, StatusCode};
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{any, get};

use crate::auth::{self, Denied, Principal};
use crate::core::Core;
use crate::envelope::{self, Message, check_depth};
use crate::rpc::{RpcError, code};

pub(crate) use self::address::Peer;
use self::door::Door;
use self::http::Hosts;
use crate::catalog::ViewName;

#[derive(Debug, Clone)]
struct Front {
    core: Arc<Core>,
    hosts: Arc<Hosts>,
}

/// The MCP endpoints: `/mcp`, one a namespace and one a tool set; and what servers expose beside MCP.
/// `address` is the listener's; without one the rules for loopback hold.
pub(crate) fn router(core: &Arc<Core>, address: Option<IpAddr>) -> Router {
    let public = &core.options.public_hosts;
    let hosts = match address {
        Some(address) => Hosts::at(address, public),
        None => Hosts::loopback_and(public),
    };
    let front = Front { core: Arc::clone(core), hosts: Arc::new(hosts) };
    Router::new()
        .route("/mcp", any(all))
        .route("/ns/{namespace}/mcp", any(namespace))
        .route("/sets/{name}/mcp", any(set))
        .route("/.well-known/oauth-protected-resource", get(resource_metadata))
        .route("/.well-known/oauth-protected-resource/{*path}", get(resource_metadata))
        .route("/.well-known/jwks.json", get(key_set))
        .route("/connect/callback", get(connect::finish))
        .route("/connect/client.json", get(connect::client))
        .route("/connect/{ticket}", get(connect::show).post(connect::begin))
        .route("/servers/{namespace}/{name}/{*path}", any(server))
        .route("/v1/{*path}", any(models::serve))
        .with_state(front)
}

async fn all(State(front): State<Front>, request: Request<Body>) -> Response {
    serve(&front, ViewName::All, request).await
}

async fn namespace(State(front): State<Front>, Path(name): Path<String>, request: Request<Body>) -> Response {
    serve(&front, ViewName::Namespace(name), request).await
}

async fn set(State(front): State<Front>, Path(name): Path<String>, request: Request<Body>) -> Response {
    serve(&front, ViewName::Set(name), request).await
}

async fn server(State(front): State<Front>, request: Request<Body>) -> Response {
    exposed::forward(&front, request).await
}

async fn serve(front: &Front, view: ViewName, request: Request<Body>) -> Response {
    let core = &front.core;
    let Ok(_permit) = core.requests.try_acquire() else {
        return answer::error(&answer::busy("too many requests are being answered; try again later"), None);
    };
    if let Err(error) = front.hosts.check(&request) {
        return answer::error(&error, None);
    }
    let address = address::of(&request, &core.policy.load().config().trusted_proxies);
    let principal = authenticated(core, request.headers(), address).await;
    if let Err(error) = quotas::request(core, principal.as_ref().ok(), address).await {
        return answer::error(&error, None);
    }
    let principal = match principal {
        Ok(principal) => principal,
        Err(refusal) => return refusal,
    };
    let door = match Door::open(core, view, (principal, address)) {
        Ok(door) => door,
        Err(error) => return answer::error(&error, None),
    };
    if websocket::is_wanted(&request) {
        return websocket::open(core, door.name, (request, address)).await;
    }
    let (parts, body) = request.into_parts();
    let answered = match parts.method.as_str() {
        "POST" => return post(&door, &parts.headers, body).await,
        "GET" => legacy::get(&door, &parts.headers),
        "DELETE" => legacy::delete(&door, &parts.headers),
        method => {
            let error = RpcError::invalid_request(format!("HTTP method {method} is not served; use POST"));
            Err(error.status(StatusCode::METHOD_NOT_ALLOWED))
        }
    };
    answered.unwrap_or_else(|error| answer::error(&error, None))
}

/// Who asks; else the refusal, which says where a token can be had.
async fn authenticated(
    core: &Core,
    headers: &HeaderMap,
    address: Option<IpAddr>,
) -> Result<Principal, Response> {
    judged(core, headers, address).await.map_err(|denied| denied.answer(|error| answer::error(error, None)))
}

/// Why somebody may not, and how they could.
struct Refused {
    error: RpcError,
    challenge: Option<HeaderValue>,
}

impl Refused {
    /// The answer, with the error as its reader wants it.
    fn answer(self, form: impl FnOnce(&RpcError) -> Response) -> Response {
        let mut response = form(&self.error);
        response.headers_mut().extend(self.challenge.map(|challenge| (WWW_AUTHENTICATE, challenge)));
        response
    }
}

async fn judged(core: &Core, headers: &HeaderMap, address: Option<IpAddr>) -> Result<Principal, Refused> {
    let authenticator = core.authenticator.load_full();
    let judged = authenticator.principal(headers).await;
    core.metrics.authenticated(judged.as_ref().map_or_else(Denied::as_str, |_| "accepted"));
    judged.map_err(|denied| {
        if let Some(audit) = core.audit.load().as_ref() {
            audit.refused(address, denied.as_str());
        }
        let status = match denied {
            Denied::Missing | Denied::Invalid(_) => StatusCode::UNAUTHORIZED,
            Denied::Scope(_) => StatusCode::FORBIDDEN,
            Denied::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        let error = RpcError::invalid_request(denied.to_string()).status(status);
        Refused { error, challenge: auth::challenge(authenticator.oauth(), &denied, &[]) }
    })
}

/// Where tokens can be had (RFC 9728); for all endpoints alike.
async fn resource_metadata(State(front): State<Front>) -> Response {
    match front.core.authenticator.load().metadata() {
        Some(document) => answer::json(StatusCode::OK, [document]),
        None => answer::empty(StatusCode::NOT_FOUND),
    }
}

/// The public keys of what servers are told.
async fn key_set(State(front): State<Front>) -> Response {
    match front.core.control.http.identities.key_set() {
        Some(keys) => answer::json(StatusCode::OK, [keys]),
        None => answer::empty(StatusCode::NOT_FOUND),
    }
}

async fn post(door: &Door, headers: &HeaderMap, body: Body) -> Response {
    let body = match read(door, headers, body).await {
        Ok(body) => body,
        Err(error) => return answer::error(&error, None),
    };
    let Ok(text) = std::str::from_utf8(&body) else {
        let error = RpcError::new(code::PARSE, "the body is not UTF-8").status(StatusCode::BAD_REQUEST);
        return answer::error(&error, None);
    };
    serve_message(door, headers, text).await
}

/// Answers one message of a client.
async fn serve_message(door: &Door, headers: &HeaderMap, text: &str) -> Response {
    let message = match parse(door, text) {
        Ok(message) => message,
        Err(error) => return answer::error(&error, None),
    };
    let id = match message {
        Message::Request { id, .. } => Some(id),
        _ => None,
    };
    let answered = if modern::is_modern(headers, &message) {
        modern::post(door, headers, (text, message)).await
    } else {
        legacy::post(door, headers, (text, message)).await
    };
    answered.unwrap_or_else(|error| answer::error(&error, id))
}

async fn read(door: &Door, headers: &HeaderMap, body: Body) -> Result<bytes::Bytes, RpcError> {
    http::check_types(headers)?;
    let limit = door.policy.config().limits.body_bytes.unwrap_or(door.core.options.max_body_bytes);
    http::read(body, limit).await
}

fn parse<'a>(door: &Door, text: &'a str) -> Result<Message<'a>, RpcError> {
    let refused = |error: envelope::Error| {
        let code =
            if matches!(error, envelope::Error::Json(_)) { code::PARSE } else { code::INVALID_REQUEST };
        RpcError::new(code, error.to_string()).status(StatusCode::BAD_REQUEST)
    };
    let depth = door.policy.config().limits.depth.unwrap_or(door.core.options.max_depth);
    check_depth(text, depth).map_err(refused)?;
    Message::parse(text).map_err(refused)
}
