//! Whether somebody may make a call: what rules say of it, and what the client is told if not.

use axum::response::Response;
use bytes::Bytes;
use http::header::WWW_AUTHENTICATE;
use http::{HeaderMap, StatusCode};

use super::answer;
use super::door::Door;
use super::lists::server_info;
use crate::auth;
use crate::backend::call::Call;
use crate::catalog::Route;
use crate::client::Client;
use crate::config::access::Rule;
use crate::envelope::quoted;
use crate::method::Method;
use crate::policy::{Arguments, Facts, Verdict};
use crate::rpc::RpcError;
use crate::version::Era;

/// What is to be done with a call.
#[derive(Debug)]
pub(super) enum Admitted<'a> {
    /// Make it.
    Yes,
    /// Make it if the client's user agrees.
    If(&'a Rule),
    /// Say that there is no such thing.
    Hidden,
    /// Say this.
    Refused(Response),
}

/// What the rules say of a call, and which of them.
pub(super) fn admit<'a>(
    door: &'a Door,
    client: &Client,
    call: &Call<'_>,
) -> (Admitted<'a>, Option<Verdict<'a>>) {
    let policy = &door.policy;
    if policy.allows_all() {
        return (Admitted::Yes, None);
    }
    let arguments = Arguments::of(call.params.get("arguments"));
    let facts = facts(door, call.method, &call.route, arguments);
    let verdict = policy.judge(&facts);
    let admitted = match verdict {
        Verdict::Allow(_) => Admitted::Yes,
        Verdict::Approve(rule) => Admitted::If(rule),
        Verdict::RequireScopes(rule) => Admitted::Refused(scopes_missing(door, call.id, rule)),
        Verdict::Deny(_) if !policy.shows(&facts) => Admitted::Hidden,
        verdict @ Verdict::Deny(rule) => {
            let text = reason(verdict.rule(), rule.and_then(|rule| rule.message.as_deref()));
            Admitted::Refused(refused((client.era, call.method), call.id, &text))
        }
    };
    (admitted, Some(verdict))
}

/// Whether somebody may use what `route` leads to, by `method`, at all.
pub(super) fn shows(door: &Door, method: Method, route: &Route) -> bool {
    door.policy.allows_all() || door.policy.shows(&facts(door, method, route, Arguments::Unknown))
}

fn facts<'a>(door: &'a Door, method: Method, route: &'a Route, arguments: Arguments<'a>) -> Facts<'a> {
    Facts::of((&door.principal, door.address), (method, route), arguments)
}

fn reason(rule: &str, message: Option<&str>) -> String {
    match message {
        Some(message) => format!("This call is not allowed (rule `{rule}`): {message}"),
        None => format!("This call is not allowed by the rule `{rule}` of the gateway."),
    }
}

/// A refused call of a tool is a result, so that the model reads why; anything else has an error.
pub(super) fn refused(kind: (Era, Method), id: &str, text: &str) -> Response {
    answer::json(StatusCode::OK, [refusal(kind, id, text)])
}

/// The same as a message.
pub(super) fn refusal((era, method): (Era, Method), id: &str, text: &str) -> Bytes {
    if method != Method::ToolsCall {
        return RpcError::invalid_params(text).to_bytes(Some(id));
    }
    let complete = match era {
        Era::Modern => format!(r#""resultType":"complete",{},"#, server_info()),
        Era::Legacy => String::new(),
    };
    let text = quoted(text);
    let result = format!(r#"{{{complete}"content":[{{"type":"text","text":{text}}}],"isError":true}}"#);
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#).into()
}

/// Leads a client to ask its authorization server for more (MCP, authorization, step-up; RFC 6750 section 3.1).
fn scopes_missing(door: &Door, id: &str, rule: &Rule) -> Response {
    let denied = auth::Denied::Scope(rule.scopes.join(" "));
    let error = RpcError::invalid_request(reason(&rule.name, Some(&denied.to_string())));
    let mut response = answer::error(&error.status(StatusCode::FORBIDDEN), Some(id));
    let authenticator = door.core.authenticator.load();
    let challenge = auth::challenge(authenticator.oauth(), &denied, &rule.scopes);
    let headers: &mut HeaderMap = response.headers_mut();
    headers.extend(challenge.map(|challenge| (WWW_AUTHENTICATE, challenge)));
    response
}
