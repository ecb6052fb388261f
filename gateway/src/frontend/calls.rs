//! Requests that a server answers: finds the server and passes the request on.

use std::sync::Arc;

use axum::response::Response;
use http::StatusCode;

use super::answer;
use super::cancel::Stop;
use super::discovery::{self, Meant};
use super::door::Door;
use crate::backend::call::{Answer, Call};
use crate::catalog::{Route, View};
use crate::client::Client;
use crate::envelope::{Message, Object, text};
use crate::method::Method;
use crate::rpc::{RpcError, code, shortened};
use crate::version::Era;

/// A client's request, not yet routed.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    /// The whole message.
    pub(crate) text: &'a str,
    pub(crate) id: &'a str,
    pub(crate) method: Method,
    pub(crate) params: Option<Object<'a>>,
}

/// Passes the request on and gives the answer.
pub(crate) async fn forward(door: &Door, client: &Client, asked: Asked<'_>) -> Result<Response, RpcError> {
    match discovery::meant(&door.view, client.era, &asked)? {
        Meant::AsAsked => pass(door, client, asked).await,
        Meant::Answered(response) => Ok(response),
        Meant::Instead(text) => {
            let unreadable = |_| RpcError::invalid_params("`arguments` cannot be read");
            let Message::Request { id, params, .. } = Message::parse(&text).map_err(unreadable)? else {
                return Err(missing(asked.method));
            };
            let params = params.map(Object::parse).transpose();
            let params = params.map_err(|error| RpcError::invalid_params(error.to_string()))?;
            pass(door, client, Asked { text: &text, id, method: asked.method, params }).await
        }
    }
}

async fn pass(door: &Door, client: &Client, asked: Asked<'_>) -> Result<Response, RpcError> {
    let core = &door.core;
    let call = route(&door.view, client, asked)?;
    let stop = match client.era {
        Era::Legacy => core.calls.start(client.session, call.id),
        Era::Modern => Stop::never(),
    };
    match call.run(core, stop).await {
        Ok(Answer::Whole(message)) => Ok(answer::json(StatusCode::OK, [message])),
        Ok(Answer::Lacking(message)) => Ok(answer::json(StatusCode::BAD_REQUEST, [message])),
        Ok(Answer::Stream(relay)) if client.takes_events => Ok(answer::relayed(relay)),
        Ok(Answer::Stream(relay)) => Ok(answer::json(StatusCode::OK, [answer::awaited(relay).await])),
        Err(fault) => Err(fault.to_rpc(call.route.backend.key())),
    }
}

fn route<'a>(view: &View, client: &Client, asked: Asked<'a>) -> Result<Call<'a>, RpcError> {
    let Asked { text, id, method, params } = asked;
    let params = params.ok_or_else(|| missing(method))?;
    let (target, exposed, route) = find(view, client.era, method, &params)?;
    Ok(Call { text, id, method, params, target, exposed, route, client: client.clone(), given: None })
}

/// The JSON string that names what is called, the name in it, and where it leads.
fn find<'a>(
    view: &View,
    era: Era,
    method: Method,
    params: &Object<'a>,
) -> Result<(&'a str, String, Arc<Route>), RpcError> {
    if method == Method::Complete {
        return find_reference(view, params);
    }
    let member = method.name_member().ok_or_else(|| missing(method))?;
    let (literal, name) = named(params, member).ok_or_else(|| missing(method))?;
    let route = match method {
        Method::ToolsCall => view.tool(&name).map(Arc::clone),
        Method::PromptsGet => view.prompts.route(&name).map(Arc::clone),
        _ => view.resource(&name),
    };
    route.map(|route| (literal, name.clone(), route)).ok_or_else(|| unknown(era, method, &name))
}

/// What `completion/complete` completes an argument of: a prompt or a resource template.
fn find_reference<'a>(view: &View, params: &Object<'a>) -> Result<(&'a str, String, Arc<Route>), RpcError> {
    let reference = params.object("ref").ok_or_else(|| missing(Method::Complete))?;
    if let Some((literal, uri)) = named(&reference, "uri") {
        let route = view.templates.route(&uri).map(Arc::clone).or_else(|| view.resource(&uri));
        return found(literal, uri, route);
    }
    let (literal, name) = named(&reference, "name").ok_or_else(|| missing(Method::Complete))?;
    let route = view.prompts.route(&name).map(Arc::clone);
    found(literal, name, route)
}

fn found(
    literal: &str,
    name: String,
    route: Option<Arc<Route>>,
) -> Result<(&str, String, Arc<Route>), RpcError> {
    match route {
        Some(route) => Ok((literal, name, route)),
        None => Err(RpcError::invalid_params(format!("no server has `{}`", shortened(&name)))),
    }
}

fn named<'a>(object: &Object<'a>, member: &str) -> Option<(&'a str, String)> {
    let literal = object.get(member)?;
    Some((literal, text(literal)?.into_owned()))
}

fn missing(method: Method) -> RpcError {
    let member = method.name_member().unwrap_or("ref");
    RpcError::invalid_params(format!("`{}` needs `params.{member}`", method.as_str()))
}

fn unknown(era: Era, method: Method, name: &str) -> RpcError {
    match method {
        Method::ToolsCall => RpcError::invalid_params(format!("Unknown tool: {}", shortened(name))),
        Method::PromptsGet => RpcError::invalid_params(format!("Unknown prompt: {}", shortened(name))),
        _ => unknown_resource(era, name),
    }
}

/// No server has the resource `uri`.
pub(crate) fn unknown_resource(era: Era, uri: &str) -> RpcError {
    let uri = shortened(uri);
    let code = if era == Era::Legacy { code::RESOURCE_NOT_FOUND } else { code::INVALID_PARAMS };
    RpcError::new(code, format!("Unknown resource: {uri}")).data(serde_json::json!({ "uri": uri }))
}
