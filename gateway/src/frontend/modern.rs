//! Clients of revision 2026-07-28: each request stands alone.

use std::sync::Arc;

use axum::response::Response;
use http::StatusCode;
use http::header::{HeaderMap, HeaderName};

use super::calls::{Asked, forward};
use super::door::Door;
use super::http::{accepts, patience};
use super::{answer, lists, peers, stream};
use crate::backend::client::{METHOD, NAME, PROTOCOL_VERSION};
use crate::backend::message::mirrored;
use crate::backend::parked;
use crate::catalog::View;
use crate::client::{Capabilities, Client, Level};
use crate::core::Core;
use crate::envelope::{Message, Object};
use crate::header_text;
use crate::meta;
use crate::method::Method;
use crate::rpc::{RpcError, code, shortened};
use crate::scaling;
use crate::version::{Era, MODERN};

/// Whether a message is of this era: its `_meta` names a revision, its method exists here only, or its header says so and
/// nothing in it says otherwise.
pub(crate) fn is_modern(headers: &HeaderMap, message: &Message<'_>) -> bool {
    let (method, params) = match message {
        Message::Request { method, params, .. } => (Method::named(method), *params),
        Message::Notification { params, .. } => (Method::Other, *params),
        Message::Response { .. } => return says_modern(headers),
    };
    let meta = params.and_then(|params| Object::parse(params).ok()).and_then(|params| meta::of(&params));
    let named = meta.is_some_and(|meta| meta.get(meta::PROTOCOL_VERSION).is_some());
    match method {
        Method::Discover | Method::Listen => true,
        Method::Initialize => named,
        _ => named || says_modern(headers),
    }
}

fn says_modern(headers: &HeaderMap) -> bool {
    super::http::header(headers, &PROTOCOL_VERSION) == Some(MODERN)
}

/// Answers one message.
pub(crate) async fn post(
    door: &Door,
    headers: &HeaderMap,
    (text, message): (&str, Message<'_>),
) -> Result<Response, RpcError> {
    let Message::Request { id, method: name, params } = message else {
        // Over HTTP a call is cancelled by closing its stream; nothing else is sent without asking for an answer.
        return Ok(answer::empty(StatusCode::ACCEPTED));
    };
    let params = params.map(Object::parse).transpose();
    let params = params.map_err(|error| invalid(error.to_string()))?;
    let method = Method::named(&name);
    let (capabilities, level) = check(door, headers, (&name, method, params.as_ref()))?;
    let takes_events = accepts(headers, "text/event-stream");
    let client = Client {
        era: Era::Modern,
        principal: door.principal.id,
        caller: Arc::clone(&door.principal),
        session: 0,
        takes_events,
        patience: patience(headers),
        capabilities,
        level,
        trace: door.core.traced(headers),
    };
    let state = params.as_ref().filter(|_| method.may_ask()).and_then(|params| params.string("requestState"));
    if let Some(url) = state.as_deref().and_then(|state| giver(&door.core, state)) {
        return peers::hand_on(door, headers, (&url, text)).await;
    }
    match method {
        Method::Discover => {
            let seen = door.seen();
            scaling::warm_up(&door.core, &seen);
            Ok(answer::result(id, &lists::discovered(&seen)))
        }
        Method::Listen => stream::subscription(door, id, params.as_ref()),
        Method::ToolsCall
        | Method::PromptsGet
        | Method::ResourcesRead
        | Method::Complete
        | Method::TasksGet
        | Method::TasksUpdate
        | Method::TasksCancel => forward(door, &client, Asked { text, id, method, params }).await,
        _ => match lists::family(method) {
            Some(family) => lists::page(door, Era::Modern, family, (id, params.as_ref())),
            None => Err(RpcError::method_not_found(&name).status(StatusCode::NOT_FOUND)),
        },
    }
}

/// Where the replica is in which a call waits, if that is another one.
fn giver(core: &Core, state: &str) -> Option<String> {
    parked::giver(core, state).or_else(|| core.approvals.giver(core, state))
}

fn invalid(message: String) -> RpcError {
    RpcError::invalid_params(message).status(StatusCode::BAD_REQUEST)
}

/// Checks what every request must carry, and its headers against its body: a router in front of the gateway acts on the
/// headers alone. Gives what the client can do and which log messages it wants.
fn check(
    door: &Door,
    headers: &HeaderMap,
    (name, method, params): (&str, Method, Option<&Object<'_>>),
) -> Result<(Capabilities, Option<Level>), RpcError> {
    let required = |key: &str| invalid(format!("`params._meta` must hold `{key}`"));
    let meta = params.and_then(meta::of).ok_or_else(|| required(meta::PROTOCOL_VERSION))?;
    let version = meta.string(meta::PROTOCOL_VERSION).ok_or_else(|| required(meta::PROTOCOL_VERSION))?;
    if door.repeats_in_headers {
        same(headers, &PROTOCOL_VERSION, &version)?;
    }
    if version != MODERN {
        return Err(RpcError::unsupported_version(&version));
    }
    let declared = meta.object(meta::CLIENT_CAPABILITIES);
    let declared = declared.ok_or_else(|| required(meta::CLIENT_CAPABILITIES))?;
    let level = meta.string(meta::LOG_LEVEL).and_then(|level| Level::named(&level));
    if door.repeats_in_headers {
        check_repeated(&door.view, headers, (name, method, params))?;
    }
    Ok((Capabilities::read(&declared).of_request(), level))
}

fn check_repeated(
    view: &View,
    headers: &HeaderMap,
    (name, method, params): (&str, Method, Option<&Object<'_>>),
) -> Result<(), RpcError> {
    same(headers, &METHOD, name)?;
    // Without the member the method itself refuses the request.
    let Some(called) = method.name_member().and_then(|member| params?.string(member)) else { return Ok(()) };
    same(headers, &NAME, &called)?;
    if method == Method::ToolsCall { check_arguments(view, headers, (&called, params)) } else { Ok(()) }
}

fn same(headers: &HeaderMap, name: &HeaderName, body: &str) -> Result<(), RpcError> {
    let mut values = headers.get_all(name).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(RpcError::header_mismatch(format!("the header {name} must stand in the request once")));
    };
    match header_text::decode(value) {
        Some(value) if value == body => Ok(()),
        _ => Err(RpcError::header_mismatch(format!(
            "the header {name} differs from `{}` in the body",
            shortened(body)
        ))),
    }
}

/// Arguments that a tool wants repeated in headers must be the same there.
fn check_arguments(
    view: &View,
    headers: &HeaderMap,
    (tool, params): (&str, Option<&Object<'_>>),
) -> Result<(), RpcError> {
    let (Some(route), Some(params)) = (view.tool(tool), params) else { return Ok(()) };
    for mirror in &route.mirrored {
        let expected = mirrored(params, &mirror.path);
        let given = headers.get(&mirror.header);
        let decode = |value: Option<&http::HeaderValue>| value.and_then(header_text::decode);
        if decode(given) != decode(expected.as_ref()) {
            return Err(RpcError::new(
                code::HEADER_MISMATCH,
                format!("the header {} differs from the argument `{}`", mirror.header, mirror.path.join(".")),
            )
            .status(StatusCode::BAD_REQUEST));
        }
    }
    Ok(())
}
