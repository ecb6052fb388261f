//! Pages on which callers sign in to servers that want to know each of them. A client is sent there by URL elicitation (MCP
//! 2025-11-25, elicitation), and its user's browser from there to the server's authorization server and back.
//!
//! What must be remembered in between travels sealed: any replica can go on. A browser that comes back must be the one that
//! began, which a cookie tells; whose account it becomes is told on the page, for the gateway does not know who sits before it.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, COOKIE, LOCATION, REFERRER_POLICY, SET_COOKIE,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::Front;
use super::answer;
use crate::backend::call::Answer;
use crate::backend::credential::user::{Returned, document_url, redirect};
use crate::backend::{Backend, Fault, parked};
use crate::client::{Capabilities, Client};
use crate::core::Core;
use crate::rpc::{RpcError, code};
use crate::source::ServerKey;
use crate::version::Era;

const TICKET: &[u8] = b"portico connect v1";
const STATE: &[u8] = b"portico connect state v1";
/// Bytes of either as text.
const MAX_SEALED: usize = 4096;
/// Seconds for which an invitation is good, and the way to the authorization server and back.
const INVITED_FOR: u64 = 600;
/// Bytes of a form.
const MAX_FORM: usize = 4096;
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'";

/// Who is to sign in to what.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Invitation {
    namespace: String,
    server: String,
    /// The digest and the name of the caller.
    principal: String,
    name: String,
    /// The session of a legacy client, which is told of the end; 0 for none.
    session: String,
    elicitation: String,
    until: u64,
}

/// What is remembered while the browser is away.
#[derive(Debug, Serialize, Deserialize)]
struct Away {
    invitation: Invitation,
    verifier: String,
    issuer: String,
    /// A digest of the cookie.
    browser: String,
}

/// The answer that sends the caller of the call `id` to a page.
pub(crate) fn invite(
    core: &Core,
    client: &Client,
    (id, server): (&str, &ServerKey),
) -> Result<Answer, Fault> {
    let public_url = public_url(core).ok_or_else(no_public_url)?;
    let invitation = Invitation {
        namespace: server.namespace.clone(),
        server: server.name.clone(),
        principal: format!("{:x}", client.principal),
        name: client.caller.name.to_string(),
        session: format!("{:x}", if client.era == Era::Legacy { client.session } else { 0 }),
        elicitation: URL_SAFE_NO_PAD.encode(rand::random::<[u8; 16]>()),
        until: now() + INVITED_FOR,
    };
    let sealed = seal(core, TICKET, &invitation).ok_or(Fault::SignIn)?;
    let url = format!("{}/connect/{sealed}", public_url.trim_end_matches('/'));
    let message = format!("Sign in to {server}, so that its tools can be used in your name");
    let page =
        json!({"mode": "url", "elicitationId": invitation.elicitation, "url": url, "message": message});
    if !client.capabilities.has(Capabilities::URL) {
        return Err(Fault::Visit { url });
    }
    if client.era == Era::Modern {
        return parked::visit(core, client, (id, &[page.to_string()])).map(Answer::Whole);
    }
    let error = RpcError::new(code::URL_ELICITATION, message).data(json!({ "elicitations": [page] }));
    Ok(Answer::Whole(error.to_bytes(Some(id))))
}

fn no_public_url() -> Fault {
    let reason = "the gateway's configuration must say `publicUrl` for callers to sign in";
    Fault::Credential(format!("spec.upstreamAuth.authorizationCode: {reason}"))
}

fn public_url(core: &Core) -> Option<String> {
    core.policy.load().config().public_url.clone()
}

fn seal(core: &Core, purpose: &[u8], what: &impl Serialize) -> Option<String> {
    core.keyring.seal_for(purpose, &serde_json::to_vec(what).ok()?)
}

fn open<T: serde::de::DeserializeOwned>(core: &Core, purpose: &[u8], text: &str) -> Option<T> {
    serde_json::from_slice(&core.keyring.open_for(purpose, text, MAX_SEALED)?).ok()
}

/// The invitation `text`, and its server, while it is good.
fn invited(core: &Core, invitation: Option<Invitation>) -> Result<(Invitation, Arc<Backend>), Box<Response>> {
    let over =
        || Box::new(page(StatusCode::NOT_FOUND, "This page is no longer good", "Ask for it once more."));
    let invitation = invitation.filter(|invitation| now() <= invitation.until).ok_or_else(over)?;
    let key = ServerKey { namespace: invitation.namespace.clone(), name: invitation.server.clone() };
    match core.backends.load().get(&key) {
        Some(backend) => Ok((invitation, Arc::clone(backend))),
        None => Err(over()),
    }
}

/// Asks the user whether it is meant.
pub(super) async fn show(
    State(front): State<Front>,
    Path(ticket): Path<String>,
    request: Request<Body>,
) -> Response {
    if let Err(error) = front.hosts.check(&request) {
        return answer::error(&error, None);
    }
    let core = &front.core;
    let (invitation, _) = match invited(core, open(core, TICKET, &ticket)) {
        Ok(invited) => invited,
        Err(refusal) => return *refusal,
    };
    let secure = public_url(core).is_some_and(|url| url.starts_with("https:"));
    let known = cookie(request.headers(), secure);
    let browser = known.unwrap_or_else(|| URL_SAFE_NO_PAD.encode(rand::random::<[u8; 16]>()));
    let (name, server) =
        (escaped(&invitation.name), escaped(&format!("{}/{}", invitation.namespace, invitation.server)));
    let body = format!(
        "<p>Whoever uses this gateway as</p><p><b>{name}</b></p><p>will act with the account that you sign in with now, at the server <b>{server}</b>.</p><p>Go on only if that is you, and you have just asked for it. If somebody sent you here, close this page.</p><form method=\"post\"><input type=\"hidden\" name=\"browser\" value=\"{browser}\"><button>Sign in</button></form>"
    );
    let mut response = html(StatusCode::OK, "Sign in to a server", &body);
    let flags = if secure { "; Secure" } else { "" };
    let cookie = format!(
        "{}={browser}; Path=/; HttpOnly; SameSite=Lax; Max-Age={INVITED_FOR}{flags}",
        cookie_name(secure)
    );
    response.headers_mut().extend(HeaderValue::try_from(cookie).ok().map(|cookie| (SET_COOKIE, cookie)));
    response
}

/// Sends the browser to the authorization server.
pub(super) async fn begin(
    State(front): State<Front>,
    Path(ticket): Path<String>,
    request: Request<Body>,
) -> Response {
    if let Err(error) = front.hosts.check(&request) {
        return answer::error(&error, None);
    }
    let core = &front.core;
    let (invitation, backend) = match invited(core, open(core, TICKET, &ticket)) {
        Ok(invited) => invited,
        Err(refusal) => return *refusal,
    };
    let Some(public_url) = public_url(core) else { return failed(&no_public_url().to_string()) };
    let (parts, body) = request.into_parts();
    let form = match super::http::read(body, MAX_FORM).await {
        Ok(form) => form,
        Err(error) => return answer::error(&error, None),
    };
    let browser = cookie(&parts.headers, public_url.starts_with("https:"));
    let Some(browser) = browser.filter(|browser| field(&form, "browser").as_deref() == Some(browser)) else {
        return page(
            StatusCode::FORBIDDEN,
            "Cookies are needed",
            "Allow cookies for this page, and open it once more.",
        );
    };
    let live = backend.live();
    let server = live.endpoints.first().map(|endpoint| endpoint.url.clone()).unwrap_or_default();
    let begun = match live.owner.begin(&core.control.http, &server, &public_url).await {
        Ok(begun) => begun,
        Err(fault) => return failed(&fault.to_string()),
    };
    let away = Away {
        invitation,
        verifier: begun.verifier.clone(),
        issuer: begun.issuer.clone(),
        browser: digest(&browser),
    };
    let Some(state) = seal(core, STATE, &away) else { return failed("it cannot be remembered") };
    let mut response = page(StatusCode::SEE_OTHER, "Sign in", "");
    let location = HeaderValue::try_from(begun.with_state(&state)).ok();
    response.headers_mut().extend(location.map(|location| (LOCATION, location)));
    response
}

/// Takes up whoever comes back from the authorization server.
pub(super) async fn finish(State(front): State<Front>, request: Request<Body>) -> Response {
    if let Err(error) = front.hosts.check(&request) {
        return answer::error(&error, None);
    }
    let core = &front.core;
    let query = request.uri().query().unwrap_or_default().as_bytes();
    let state = field(query, "state").unwrap_or_default();
    let away: Option<Away> = open(core, STATE, &state);
    let (invitation, backend) = match invited(core, away.as_ref().map(|away| away.invitation.clone())) {
        Ok(invited) => invited,
        Err(refusal) => return *refusal,
    };
    let (Some(away), Some(public_url)) = (away, public_url(core)) else { return failed("nothing was asked") };
    let browser = cookie(request.headers(), public_url.starts_with("https:"));
    if browser.is_none_or(|browser| digest(&browser) != away.browser) {
        return page(
            StatusCode::FORBIDDEN,
            "Another browser began this",
            "Open the page once more where you want to sign in.",
        );
    }
    let Some(code) = field(query, "code") else {
        let error = field(query, "error").unwrap_or_default();
        let is_code = |error: &str| error.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        let error = if is_code(&error) && error.len() < 64 { error } else { String::new() };
        return failed(&format!("the authorization server gives no code ({error})"));
    };
    let named = field(query, "iss");
    let returned = Returned {
        principal: number(&invitation.principal),
        code: &code,
        verifier: &away.verifier,
        issuer: &away.issuer,
        named: named.as_deref(),
    };
    let live = backend.live();
    let server = live.endpoints.first().map(|endpoint| endpoint.url.clone()).unwrap_or_default();
    if let Err(fault) = live.owner.finish(&core.control.http, (&server, &public_url), &returned).await {
        return failed(&fault.to_string());
    }
    tracing::info!(server = %backend.key(), principal = invitation.name, "a caller has signed in to a server");
    backend.wake();
    tell(core, &invitation);
    page(StatusCode::OK, "You are signed in", "You can close this page and go back to where you came from.")
}

/// Tells the client that was sent here that it may go on.
fn tell(core: &Core, invitation: &Invitation) {
    let params = json!({ "elicitationId": invitation.elicitation });
    let message = json!({"jsonrpc": "2.0", "method": "notifications/elicitation/complete", "params": params});
    // Who does not listen tries again by itself.
    core.ears.say(number(&invitation.session), Bytes::from(message.to_string())).ok();
}

/// The gateway as a client that describes itself (OAuth Client ID Metadata Document).
pub(super) async fn client(State(front): State<Front>) -> Response {
    let Some(public_url) = public_url(&front.core) else { return answer::empty(StatusCode::NOT_FOUND) };
    let document = json!({
        "client_id": document_url(&public_url),
        "client_name": "Portico",
        "client_uri": public_url,
        "redirect_uris": [redirect(&public_url)],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
    });
    answer::json(StatusCode::OK, [Bytes::from(document.to_string())])
}

/// JSON has no numbers of that size.
fn number(text: &str) -> u128 {
    u128::from_str_radix(text, 16).unwrap_or_default()
}

fn field(form: &[u8], name: &str) -> Option<String> {
    form_urlencoded::parse(form).find(|(field, _)| field == name).map(|(_, value)| value.into_owned())
}

/// A cookie under this prefix comes from this host alone, and over TLS.
fn cookie_name(secure: bool) -> &'static str {
    if secure { "__Host-portico-connect" } else { "portico-connect" }
}

fn cookie(headers: &HeaderMap, secure: bool) -> Option<String> {
    let all = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = all.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let (_, value) = pairs.find(|(name, _)| *name == cookie_name(secure))?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (value.len() == 22 && value.bytes().all(plain)).then(|| value.to_owned())
}

fn digest(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(text))
}

fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

fn failed(reason: &str) -> Response {
    page(StatusCode::BAD_GATEWAY, "It did not work", &format!("The server {reason}"))
}

fn page(status: StatusCode, title: &str, text: &str) -> Response {
    html(status, title, &format!("<p>{}</p>", escaped(text)))
}

fn html(status: StatusCode, title: &str, body: &str) -> Response {
    let text = format!(
        "<!DOCTYPE html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title><style>body{{font:1.1em sans-serif;max-width:32em;margin:4em auto;padding:0 1em}}b{{overflow-wrap:anywhere}}</style><h1>{title}</h1>{body}</html>"
    );
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_FRAME_OPTIONS, "DENY"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-store"),
    ];
    response.headers_mut().extend(headers.map(|(name, value)| (name, HeaderValue::from_static(value))));
    response
}

fn escaped(text: &str) -> String {
    text.chars()
        .map(|character| match character {
            '&' => "&amp;".to_owned(),
            '<' => "&lt;".to_owned(),
            '>' => "&gt;".to_owned(),
            '"' => "&quot;".to_owned(),
            '\'' => "&#39;".to_owned(),
            other => other.to_string(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_is_text_on_a_page() {
        assert_eq!(escaped("<a b='c' d=\"e\">&"), "&lt;a b=&#39;c&#39; d=&quot;e&quot;&gt;&amp;");
    }

    #[test]
    fn a_cookie_is_read_that_looks_like_one_of_ours() {
        let of = |text: &str| cookie(&HeaderMap::from_iter([(COOKIE, text.parse().unwrap())]), false);
        let value = "a".repeat(22);
        assert_eq!(of(&format!("x=1; portico-connect={value}")), Some(value.clone()));
        assert_eq!(of(&format!("__Host-portico-connect={value}")), None);
        assert_eq!(of("portico-connect=short"), None);
        assert_eq!(of(&format!("portico-connect={}\"", "a".repeat(21))), None);
    }
}
