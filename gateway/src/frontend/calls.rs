//! Requests that a server answers: finds the server and passes the request on.

use std::sync::Arc;

use axum::response::Response;
use http::StatusCode;

use super::admission::{Admitted, admit};
use super::answer;
use super::approval::{self, Gate};
use super::cancel::Stop;
use super::discovery::{self, Meant};
use super::door::Door;
use super::{quotas, record};
use crate::audit::Entry;
use crate::backend::call::{Answer, Call};
use crate::backend::fault::Fault;
use crate::backend::parked::Parking;
use crate::backend::task;
use crate::catalog::{Route, View};
use crate::client::{Capabilities, Client};
use crate::config::access::Rule;
use crate::envelope::{Message, Object, text};
use crate::meta;
use crate::method::Method;
use crate::metrics::Outcome;
use crate::rpc::{RpcError, code, shortened};
use crate::trace::{Incoming, Trail};
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
    match discovery::meant(door, client.era, &asked)? {
        Meant::AsAsked => pass(door, client, asked).await,
        Meant::Answered(response) => Ok(response),
        Meant::Instead(text) => pass(door, client, reread(&text, asked.method)?).await,
    }
}

/// A call that was sent to a page first is made anew, and its server learns nothing of that.
async fn pass(door: &Door, client: &Client, asked: Asked<'_>) -> Result<Response, RpcError> {
    match anew(door, client, &asked) {
        Some(text) => pass_on(door, client, reread(&text, asked.method)?).await,
        None => pass_on(door, client, asked).await,
    }
}

fn anew(door: &Door, client: &Client, asked: &Asked<'_>) -> Option<String> {
    let params = asked.params.as_ref().filter(|_| client.era == Era::Modern)?;
    let state = params.string("requestState")?;
    let kept = |name: &str| name != "requestState" && name != "inputResponses";
    Parking::is_anew(&door.core, &state)
        .then(|| approval::rewritten((asked.id, asked.method), params, kept, None))
}

async fn pass_on(door: &Door, client: &Client, asked: Asked<'_>) -> Result<Response, RpcError> {
    let call = if asked.method.is_of_task() {
        about_task(door, client, asked)?
    } else {
        route(&door.view, client, asked)?
    };
    // What is asked of a task belongs to the call that made it, which was judged and counted.
    let is_new = !call.method.is_of_task();
    let (admitted, verdict) = if is_new { admit(door, client, &call) } else { (Admitted::Yes, None) };
    let mut entry = record::begin(door, &call, verdict);
    let counts = is_new && matches!(admitted, Admitted::Yes | Admitted::If(_));
    if let Err(error) = within_limits(door, &call, counts).await {
        not_made(&mut entry);
        return Err(error);
    }
    match admitted {
        Admitted::Yes => run(door, client, (call, entry)).await,
        Admitted::If(rule) => approved(door, client, (call, rule, entry)).await,
        Admitted::Hidden => {
            not_made(&mut entry);
            Err(hidden(client.era, &call))
        }
        Admitted::Refused(response) => {
            not_made(&mut entry);
            Ok(response)
        }
    }
}

/// What rules refuse uses up no quota.
async fn within_limits(door: &Door, call: &Call<'_>, counts: bool) -> Result<(), RpcError> {
    quotas::arguments(door, call)?;
    if counts { quotas::call(door, call).await } else { Ok(()) }
}

fn not_made(entry: &mut Option<Entry>) {
    if let Some(entry) = entry {
        entry.set(Outcome::NotMade);
    }
}

/// Makes the call if the client's user agrees.
async fn approved(
    door: &Door,
    client: &Client,
    (call, rule, mut entry): (Call<'_>, &Rule, Option<Entry>),
) -> Result<Response, RpcError> {
    let gate = approval::gate(door, client, (&call, rule)).inspect_err(|_| not_made(&mut entry))?;
    match gate {
        Gate::GoOn => run(door, client, (call, entry)).await,
        Gate::Open(text) => {
            let approved = Some(approval::digest(&call));
            let again = reread(&text, call.method)?;
            run(door, client, (Call { approved, ..route(&door.view, client, again)? }, entry)).await
        }
        Gate::Answer(response) => {
            not_made(&mut entry);
            Ok(response)
        }
        Gate::Ask(input) => {
            let relay = call.ask_first(&door.core, (stop(door, client, &call), entry), input);
            answered(client, relay.map(Answer::Stream), &call).await
        }
    }
}

async fn run(
    door: &Door,
    client: &Client,
    (call, entry): (Call<'_>, Option<Entry>),
) -> Result<Response, RpcError> {
    let call = Call { trail: trail(door, &call), ..call };
    let ran = call.run(&door.core, (stop(door, client, &call), entry)).await;
    answered(client, ran, &call).await
}

/// The spans of a call, where traces are exported: in the trace that its `_meta` names, else that of its headers, else a new one.
fn trail(door: &Door, call: &Call<'_>) -> Option<Trail> {
    let tracer = door.core.tracer()?;
    let said = meta::of(&call.params).as_ref().and_then(Incoming::of_meta);
    Some(tracer.trail(said.or_else(|| call.client.trace.clone())))
}

fn stop(door: &Door, client: &Client, call: &Call<'_>) -> Stop {
    match client.era {
        Era::Legacy => door.core.calls.start(client.session, call.id),
        Era::Modern => Stop::never(),
    }
}

async fn answered(
    client: &Client,
    answer: Result<Answer, Fault>,
    call: &Call<'_>,
) -> Result<Response, RpcError> {
    match answer {
        Ok(Answer::Whole(message)) => Ok(answer::json(StatusCode::OK, [message])),
        Ok(Answer::Lacking(message)) => Ok(answer::json(StatusCode::BAD_REQUEST, [message])),
        Ok(Answer::Stream(relay)) if client.takes_events => Ok(answer::relayed(relay)),
        Ok(Answer::Stream(relay)) => Ok(answer::json(StatusCode::OK, [answer::awaited(relay).await])),
        Err(fault) => Err(fault.to_rpc(call.route.backend.key())),
    }
}

/// A call from a message that was made of a client's.
fn reread(text: &str, method: Method) -> Result<Asked<'_>, RpcError> {
    let unreadable = |_| RpcError::invalid_params("`arguments` cannot be read");
    let Message::Request { id, params, .. } = Message::parse(text).map_err(unreadable)? else {
        return Err(missing(method));
    };
    let params = params.map(Object::parse).transpose();
    let params = params.map_err(|error| RpcError::invalid_params(error.to_string()))?;
    Ok(Asked { text, id, method, params })
}

/// What is not for who asks looks like what does not exist.
fn hidden(era: Era, call: &Call<'_>) -> RpcError {
    match call.method {
        Method::Complete => nothing_named(&call.exposed),
        method if method.is_of_task() => unknown_task(&call.exposed),
        method => unknown(era, method, &call.exposed),
    }
}

fn route<'a>(view: &Arc<View>, client: &Client, asked: Asked<'a>) -> Result<Call<'a>, RpcError> {
    let Asked { text, id, method, params } = asked;
    let params = params.ok_or_else(|| missing(method))?;
    let (target, exposed, route) = find(view, client.era, method, &params)?;
    Ok(Call {
        text,
        id,
        method,
        params,
        target,
        exposed,
        route,
        view: Arc::clone(view),
        client: client.clone(),
        given: None,
        approved: None,
        trail: None,
    })
}

/// A request about a task goes to the server that has it, if the endpoint shows anything of that server.
fn about_task<'a>(door: &Door, client: &Client, asked: Asked<'a>) -> Result<Call<'a>, RpcError> {
    let Asked { text, id, method, params } = asked;
    if !client.capabilities.has(Capabilities::TASKS) {
        let message = format!("`{}` needs the extension io.modelcontextprotocol/tasks", method.as_str());
        return Err(RpcError::new(code::MISSING_CAPABILITY, message).lacking(Capabilities::TASKS));
    }
    let params = params.ok_or_else(|| missing(method))?;
    let (target, exposed) = named(&params, "taskId").ok_or_else(|| missing(method))?;
    let unknown = || unknown_task(&exposed);
    let (key, original) = task::open(&door.core, client.principal, &exposed).ok_or_else(unknown)?;
    let backend = door.core.backends.load().get(&key).map(Arc::clone);
    let backend = backend.filter(|backend| door.view.has(backend)).ok_or_else(unknown)?;
    let (route, view) = (Arc::new(Route::to(backend, original)), Arc::clone(&door.view));
    let (client, given, approved, trail) = (client.clone(), None, None, None);
    Ok(Call { text, id, method, params, target, exposed, route, view, client, given, approved, trail })
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
        None => Err(nothing_named(&name)),
    }
}

fn unknown_task(id: &str) -> RpcError {
    RpcError::invalid_params(format!("Unknown task: {}", shortened(id)))
}

fn nothing_named(name: &str) -> RpcError {
    RpcError::invalid_params(format!("no server has `{}`", shortened(name)))
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
