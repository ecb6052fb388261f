//! Answers that the gateway gives by itself: lists, and what it says about itself.

use axum::response::Response;
use bytes::Bytes;
use http::StatusCode;

use super::answer;
use super::door::Door;
use crate::catalog::{Family, View};
use crate::envelope::{Object, quoted, text};
use crate::meta;
use crate::method::Method;
use crate::rpc::RpcError;
use crate::version::{Era, SUPPORTED};

/// How long a client may keep a list. Clients that listen learn of changes at once.
const TTL_MS: u32 = 30_000;

/// What the gateway serves. It is the same for all time, since a change of capabilities cannot be told to clients.
const CAPABILITIES: &str = r#"{"tools":{"listChanged":true},"resources":{"listChanged":true,"subscribe":true},"prompts":{"listChanged":true},"completions":{},"logging":{}}"#;

/// The same for clients without sessions, with the extensions that need the gateway's help.
const MODERN_CAPABILITIES: &str = r#"{"tools":{"listChanged":true},"resources":{"listChanged":true,"subscribe":true},"prompts":{"listChanged":true},"completions":{},"logging":{},"extensions":{"io.modelcontextprotocol/tasks":{}}}"#;

/// The list that `method` asks for, if it asks for one.
pub(crate) fn family(method: Method) -> Option<Family> {
    match method {
        Method::ToolsList => Some(Family::Tools),
        Method::ResourcesList => Some(Family::Resources),
        Method::TemplatesList => Some(Family::Templates),
        Method::PromptsList => Some(Family::Prompts),
        _ => None,
    }
}

/// One page of a list, joined from bytes that lie ready.
pub(crate) fn page(
    door: &Door,
    era: Era,
    family: Family,
    (id, params): (&str, Option<&Object<'_>>),
) -> Result<Response, RpcError> {
    let cursor = match params.and_then(|params| params.get("cursor")) {
        None => None,
        Some(raw) => {
            Some(text(raw).ok_or_else(|| RpcError::invalid_params("`params.cursor` must be a string"))?)
        }
    };
    let page = door.seen().of(family).page(cursor.as_deref(), door.core.options.page_size);
    let page = page.map_err(|error| RpcError::invalid_params(error.to_string()))?;
    let cacheable = match era {
        Era::Modern => {
            format!(r#""resultType":"complete","ttlMs":{TTL_MS},"cacheScope":"private",{},"#, server_info())
        }
        Era::Legacy => String::new(),
    };
    let head = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{{cacheable}"{}":["#, family.member());
    let tail = match page.next {
        Some(next) => format!(r#"],"nextCursor":{}}}}}"#, quoted(&next)),
        None => "]}}".to_owned(),
    };
    Ok(answer::json(StatusCode::OK, [Bytes::from(head), page.items, Bytes::from(tail)]))
}

/// The result of `initialize`.
pub(crate) fn initialized(view: &View, version: &str) -> String {
    format!(
        r#"{{"protocolVersion":"{version}","capabilities":{CAPABILITIES},"serverInfo":{}{}}}"#,
        meta::implementation(),
        instructions(view)
    )
}

/// The result of `server/discover`.
pub(crate) fn discovered(view: &View) -> String {
    let supported = serde_json::to_string(&SUPPORTED).unwrap_or_default();
    format!(
        r#"{{"resultType":"complete","supportedVersions":{supported},"capabilities":{MODERN_CAPABILITIES},{},"ttlMs":{TTL_MS},"cacheScope":"private"{}}}"#,
        server_info(),
        instructions(view)
    )
}

/// The members of a modern result by which the gateway names itself.
pub(crate) fn server_info() -> String {
    format!(r#""_meta":{{"{}":{}}}"#, meta::SERVER_INFO, meta::implementation())
}

fn instructions(view: &View) -> String {
    match view.instructions() {
        Some(text) => format!(r#","instructions":{}"#, quoted(&text)),
        None => String::new(),
    }
}
