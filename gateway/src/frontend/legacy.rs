//! Clients of the session-based revisions 2025-03-26, 2025-06-18 and 2025-11-25.

use std::sync::Arc;

use axum::response::Response;
use http::StatusCode;
use http::header::{HeaderMap, HeaderValue};

use super::calls::{Asked, forward};
use super::door::Door;
use super::http::{accepts, header, patience};
use super::peers::{self, Asker};
use super::session::Session;
use super::{admission, answer, calls, lists, stream};
use crate::backend::client::{PROTOCOL_VERSION, SESSION_ID};
use crate::client::{Capabilities, Client, Level};
use crate::core::Core;
use crate::envelope::{Message, Object};
use crate::method::Method;
use crate::rpc::{RpcError, code};
use crate::scaling;
use crate::version::{Era, LEGACY, MODERN, negotiated};

/// A client's folders are others now.
const ROOTS_CHANGED: &str = "notifications/roots/list_changed";

/// Answers one message.
pub(crate) async fn post(
    door: &Door,
    headers: &HeaderMap,
    (text, message): (&str, Message<'_>),
) -> Result<Response, RpcError> {
    let core = &door.core;
    match message {
        Message::Request { id, method, params } => {
            let method_name = method;
            let method = Method::named(&method_name);
            let params = params.map(Object::parse).transpose();
            let params = params.map_err(|error| RpcError::invalid_params(error.to_string()))?;
            if method == Method::Initialize {
                return initialize(door, id, params.as_ref());
            }
            let session = session(door, headers)?;
            let takes_events = accepts(headers, "text/event-stream");
            let capabilities = session.capabilities;
            let client = Client {
                era: Era::Legacy,
                principal: door.principal.id,
                caller: Arc::clone(&door.principal),
                session: session.id,
                takes_events,
                patience: patience(headers),
                capabilities,
                level: None,
                trace: core.traced(headers),
            };
            request(door, &client, (Asked { text, id, method, params }, &method_name)).await
        }
        Message::Notification { method, params } => {
            let session = session(door, headers)?;
            match method.as_ref() {
                "notifications/cancelled" => cancel(core, session, params),
                ROOTS_CHANGED => tell_servers(core, session),
                _ => {}
            }
            Ok(answer::empty(StatusCode::ACCEPTED))
        }
        Message::Response { id, .. } => {
            let session = session(door, headers)?;
            match id.and_then(|id| peers::asker(core, id)) {
                Some(Asker::Own(id)) => core.questions.answer(session.id, id, text),
                Some(Asker::Other(url)) => return peers::hand_on(door, headers, (&url, text)).await,
                None => {}
            }
            Ok(answer::empty(StatusCode::ACCEPTED))
        }
    }
}

async fn request(
    door: &Door,
    client: &Client,
    (asked, method_name): (Asked<'_>, &str),
) -> Result<Response, RpcError> {
    match asked.method {
        Method::Ping => Ok(answer::result(asked.id, "{}")),
        Method::SetLevel => set_level(&door.core, client, &asked).await,
        Method::Subscribe | Method::Unsubscribe => watch(door, client, &asked),
        Method::ToolsCall | Method::PromptsGet | Method::ResourcesRead | Method::Complete => {
            forward(door, client, asked).await
        }
        method => match lists::family(method) {
            Some(family) => lists::page(door, Era::Legacy, family, (asked.id, asked.params.as_ref())),
            None => Err(RpcError::method_not_found(method_name)),
        },
    }
}

/// Sets the level of the client's log messages at the servers it has sessions with, and at those it will have.
async fn set_level(core: &Core, client: &Client, asked: &Asked<'_>) -> Result<Response, RpcError> {
    let level = asked.params.as_ref().and_then(|params| params.string("level"));
    let level = level.as_deref().and_then(Level::named).ok_or_else(|| {
        RpcError::invalid_params("`logging/setLevel` needs `params.level`, such as `info` or `error`")
    })?;
    core.levels.set(client.session, level);
    let links = core.sessions.of_client(client.session);
    futures::future::join_all(links.iter().map(|(_, link)| core.control.set_level(link, level))).await;
    Ok(answer::result(asked.id, "{}"))
}

/// Begins or ends to tell the client of changes of one resource; it hears of them on its session's stream.
fn watch(door: &Door, client: &Client, asked: &Asked<'_>) -> Result<Response, RpcError> {
    let core = &door.core;
    let uri = asked.params.as_ref().and_then(|params| params.string("uri"));
    let missing = || RpcError::invalid_params(format!("`{}` needs `params.uri`", asked.method.as_str()));
    let uri = uri.ok_or_else(missing)?;
    if asked.method == Method::Unsubscribe {
        core.subscriptions.unsubscribe(client.session, &uri);
        return Ok(answer::result(asked.id, "{}"));
    }
    let route = door.view.resource(&uri).filter(|route| admission::shows(door, Method::ResourcesRead, route));
    let route = route.ok_or_else(|| calls::unknown_resource(client.era, &uri))?;
    if !core.catalog.watches(route.backend.key()) {
        let message = format!("server {} does not tell of changes of its resources", route.backend.key());
        return Err(RpcError::invalid_params(message));
    }
    if core.subscriptions.subscribe(client.session, &uri, &route) {
        Ok(answer::result(asked.id, "{}"))
    } else {
        Err(answer::busy("too many resources are watched; unsubscribe from one or try again later"))
    }
}

fn initialize(door: &Door, id: &str, params: Option<&Object<'_>>) -> Result<Response, RpcError> {
    let requested = params.and_then(|params| params.string("protocolVersion"));
    let requested =
        requested.ok_or_else(|| RpcError::invalid_params("`initialize` needs `params.protocolVersion`"))?;
    let version = negotiated(&requested);
    let failed = || RpcError::new(code::INTERNAL, "no session can be opened; try again");
    let declared = params.and_then(|params| params.object("capabilities"));
    let capabilities = declared.as_ref().map(Capabilities::read).unwrap_or_default();
    let (_, sealed) =
        door.core.keyring.open_session(version, capabilities, door.principal.id).ok_or_else(failed)?;
    let seen = door.seen();
    scaling::warm_up(&door.core, &seen);
    let mut response = answer::result(id, &lists::initialized(&seen, version));
    let value = HeaderValue::try_from(sealed).map_err(|_| failed())?;
    response.headers_mut().insert(SESSION_ID, value);
    Ok(response)
}

/// The session that a request names, in a revision that is served.
fn session(door: &Door, headers: &HeaderMap) -> Result<Session, RpcError> {
    let id = header(headers, &SESSION_ID);
    let id = id.ok_or_else(|| {
        RpcError::invalid_request("the Mcp-Session-Id header is missing; send `initialize` first")
    })?;
    let session =
        door.core.keyring.read(id, door.principal.id).filter(|session| !door.core.ended.has(session.id));
    let session = session.ok_or_else(|| {
        RpcError::invalid_request("the session is not known or has ended; send `initialize` again")
            .status(StatusCode::NOT_FOUND)
    })?;
    match header(headers, &PROTOCOL_VERSION) {
        Some(version) if !LEGACY.contains(&version) => Err(RpcError::unsupported_version(version)),
        _ => Ok(session),
    }
}

/// Tells the servers that the client has sessions with that its roots changed.
fn tell_servers(core: &Arc<Core>, session: Session) {
    for (_, link) in core.sessions.of_client(session.id) {
        let core = Arc::clone(core);
        core.clone().spawn(async move {
            if let Err(error) = core.control.notify(&link, ROOTS_CHANGED, "{}").await {
                tracing::debug!(%error, "a server could not be told that a client's roots changed");
            }
        });
    }
}

fn cancel(core: &Core, session: Session, params: Option<&str>) {
    let params = params.and_then(|params| Object::parse(params).ok());
    if let Some(id) = params.as_ref().and_then(|params| params.get("requestId")) {
        core.calls.stop(session.id, id);
    }
}

/// Opens the session's stream.
pub(crate) fn get(door: &Door, headers: &HeaderMap) -> Result<Response, RpcError> {
    if header(headers, &PROTOCOL_VERSION) == Some(MODERN) {
        let error = RpcError::invalid_request("revision 2026-07-28 has no GET; use subscriptions/listen");
        return Err(error.status(StatusCode::METHOD_NOT_ALLOWED));
    }
    if !accepts(headers, "text/event-stream") {
        let error = RpcError::invalid_request("the Accept header must name text/event-stream");
        return Err(error.status(StatusCode::NOT_ACCEPTABLE));
    }
    let session = session(door, headers)?;
    stream::session(door, session)
}

/// Ends the session, and those with servers that were opened for it.
pub(crate) fn delete(door: &Door, headers: &HeaderMap) -> Result<Response, RpcError> {
    let core = &door.core;
    let session = session(door, headers)?;
    core.ended.add(session.id);
    core.subscriptions.end(session.id);
    core.end_sessions(core.sessions.end_client(session.id));
    Ok(answer::empty(StatusCode::NO_CONTENT))
}
