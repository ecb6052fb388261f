//! Pages on which callers sign in to servers that want to know each of them. A client is sent there by URL elicitation (MCP
//! 2025-11-25, elicitation), and its user's browser from there to the server's authorization server and back.
//!
//! What must be remembered in between travels sealed: any replica can go on. A browser that comes back must be the one that
//! began, which a cookie tells. Whose
//! account it becomes is told on the page; where the issuer of the gateway's callers can be asked who sits before it, it is.

mod page;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::{LOCATION, SET_COOKIE};
use http::{HeaderValue, Request, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use self::page::{cookie, cookie_name, escaped, failed, html, page};
use super::Front;
use super::answer;
use crate::auth::browser::Brought;
use crate::backend::call::Answer;
use crate::backend::credential::user::{Begun, Returned, document_url, redirect};
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
    /// What the issuer of the gateway's callers must repeat, where it is asked who that is; else the server's is asked.
    nonce: Option<String>,
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

/// A browser on its way.
struct Visit<'a> {
    core: &'a Core,
    public_url: String,
    invitation: Invitation,
    backend: Arc<Backend>,
    /// The value of its cookie.
    browser: Option<String>,
}

impl<'a> Visit<'a> {
    /// The browser that sent `request` to the address that ends with `ticket`.
    fn invited(front: &'a Front, request: &Request<Body>, ticket: &str) -> Result<Self, Box<Response>> {
        Self::of(front, request, open(&front.core, TICKET, ticket))
    }

    /// The browser that sent `request`, with `invitation`, while that is good.
    fn of(
        front: &'a Front,
        request: &Request<Body>,
        invitation: Option<Invitation>,
    ) -> Result<Self, Box<Response>> {
        front.hosts.check(request).map_err(|error| Box::new(answer::error(&error, None)))?;
        let over =
            || Box::new(page(StatusCode::NOT_FOUND, "This page is no longer good", "Ask for it once more."));
        let core = &*front.core;
        let public_url = public_url(core).ok_or_else(over)?;
        let invitation = invitation.filter(|invitation| now() <= invitation.until).ok_or_else(over)?;
        let key = ServerKey { namespace: invitation.namespace.clone(), name: invitation.server.clone() };
        let backend = core.backends.load().get(&key).cloned().ok_or_else(over)?;
        let browser = cookie(request.headers(), public_url.starts_with("https:"));
        Ok(Self { core, public_url, invitation, backend, browser })
    }

    /// Where the server is spoken to.
    fn server(&self) -> String {
        self.backend.live().endpoints.first().map(|endpoint| endpoint.url.clone()).unwrap_or_default()
    }

    /// The issuer that can say whether this is the browser of the caller.
    fn issuer(&self) -> Option<String> {
        self.core.authenticator.load().browser_issuer(&self.invitation.name).map(str::to_owned)
    }

    /// Sends the browser to the issuer of the gateway's callers.
    async fn ask_who(&self, issuer: String, browser: &str) -> Response {
        let authenticator = self.core.authenticator.load_full();
        match authenticator.ask_browser(&issuer, &redirect(&self.public_url)).await {
            Ok(asked) => self.leave(&asked.url, (asked.verifier, issuer), (browser, Some(asked.nonce))),
            Err(reason) => page(StatusCode::BAD_GATEWAY, "It did not work", &reason),
        }
    }

    /// Sends the browser to the authorization server of the server.
    async fn sign_in(&self, browser: &str) -> Response {
        let http = &self.core.control.http;
        match self.backend.live().owner.begin(http, &self.server(), &self.public_url).await {
            Ok(Begun { url, verifier, issuer }) => self.leave(&url, (verifier, issuer), (browser, None)),
            Err(fault) => failed(&fault.to_string()),
        }
    }

    /// Sends the browser to `url`, whose query waits for the state.
    fn leave(
        &self,
        url: &str,
        (verifier, issuer): (String, String),
        (browser, nonce): (&str, Option<String>),
    ) -> Response {
        let (invitation, browser) = (self.invitation.clone(), digest(browser));
        let away = Away { invitation, verifier, issuer, browser, nonce };
        let Some(state) = seal(self.core, STATE, &away) else { return failed("it cannot be remembered") };
        let mut response = page(StatusCode::SEE_OTHER, "Sign in", "");
        let location = HeaderValue::try_from(format!("{url}&state={state}")).ok();
        response.headers_mut().extend(location.map(|location| (LOCATION, location)));
        response
    }

    /// Whether whoever came back from the issuer of the gateway's callers is the one who was invited.
    async fn is_invited(&self, away: &Away, code: &str) -> Result<bool, String> {
        let redirect = redirect(&self.public_url);
        let nonce = away.nonce.as_deref().unwrap_or_default();
        let brought = Brought { code, verifier: &away.verifier, nonce, redirect: &redirect };
        let authenticator = self.core.authenticator.load_full();
        let who = authenticator.browser_is(&away.issuer, &brought).await?;
        Ok(who == self.invitation.name)
    }

    /// Takes up who comes back from the authorization server of the server.
    async fn finish(&self, away: &Away, (code, named): (&str, Option<&str>)) -> Response {
        let returned = Returned {
            principal: number(&self.invitation.principal),
            code,
            verifier: &away.verifier,
            issuer: &away.issuer,
            named,
        };
        let places = (self.server(), self.public_url.as_str());
        let live = self.backend.live();
        let finished = live.owner.finish(&self.core.control.http, (&places.0, places.1), &returned).await;
        if let Err(fault) = finished {
            return failed(&fault.to_string());
        }
        let (server, principal) = (self.backend.key(), &self.invitation.name);
        tracing::info!(%server, principal, "a caller has signed in to a server");
        self.backend.wake();
        tell(self.core, &self.invitation);
        page(
            StatusCode::OK,
            "You are signed in",
            "You can close this page and go back to where you came from.",
        )
    }
}

/// Asks the user whether it is meant.
pub(super) async fn show(
    State(front): State<Front>,
    Path(ticket): Path<String>,
    request: Request<Body>,
) -> Response {
    let visit = match Visit::invited(&front, &request, &ticket) {
        Ok(visit) => visit,
        Err(refusal) => return *refusal,
    };
    let browser = visit.browser.clone().unwrap_or_else(|| URL_SAFE_NO_PAD.encode(rand::random::<[u8; 16]>()));
    let name = escaped(&visit.invitation.name);
    let server = escaped(&visit.backend.key().to_string());
    let warning = if visit.issuer().is_some() {
        "You are asked first to show that this is you."
    } else {
        "Go on only if that is you, and you have just asked for it. If somebody sent you here, close this page."
    };
    let body = format!(
        "<p>Whoever uses this gateway as</p><p><b>{name}</b></p><p>will act with the account that you sign in with now, at the server <b>{server}</b>.</p><p>{warning}</p><form method=\"post\"><input type=\"hidden\" name=\"browser\" value=\"{browser}\"><button>Sign in</button></form>"
    );
    let mut response = html(StatusCode::OK, "Sign in to a server", &body);
    let secure = visit.public_url.starts_with("https:");
    let flags = if secure { "; Secure" } else { "" };
    let cookie = format!(
        "{}={browser}; Path=/; HttpOnly; SameSite=Lax; Max-Age={INVITED_FOR}{flags}",
        cookie_name(secure)
    );
    response.headers_mut().extend(HeaderValue::try_from(cookie).ok().map(|cookie| (SET_COOKIE, cookie)));
    response
}

/// Sends the browser on, if its user agrees.
pub(super) async fn begin(
    State(front): State<Front>,
    Path(ticket): Path<String>,
    request: Request<Body>,
) -> Response {
    let visit = match Visit::invited(&front, &request, &ticket) {
        Ok(visit) => visit,
        Err(refusal) => return *refusal,
    };
    let form = match super::http::read(request.into_body(), MAX_FORM).await {
        Ok(form) => form,
        Err(error) => return answer::error(&error, None),
    };
    let browser = visit.browser.as_deref();
    let Some(browser) = browser.filter(|browser| field(&form, "browser").as_deref() == Some(browser)) else {
        let mend = "Allow cookies for this page, and open it once more.";
        return page(StatusCode::FORBIDDEN, "Cookies are needed", mend);
    };
    match visit.issuer() {
        Some(issuer) => visit.ask_who(issuer, browser).await,
        None => visit.sign_in(browser).await,
    }
}

/// Takes up the browser that comes back.
pub(super) async fn finish(State(front): State<Front>, request: Request<Body>) -> Response {
    let query = request.uri().query().unwrap_or_default().to_owned();
    let query = query.as_bytes();
    let away: Option<Away> = field(query, "state").and_then(|state| open(&front.core, STATE, &state));
    let invitation = away.as_ref().map(|away| away.invitation.clone());
    let (visit, away) = match Visit::of(&front, &request, invitation) {
        Ok(visit) => match away {
            Some(away) => (visit, away),
            None => return failed("was not asked"),
        },
        Err(refusal) => return *refusal,
    };
    let Some(browser) = visit.browser.as_deref().filter(|browser| digest(browser) == away.browser) else {
        let mend = "Open the page once more where you want to sign in.";
        return page(StatusCode::FORBIDDEN, "Another browser began this", mend);
    };
    let Some(code) = field(query, "code") else { return no_code(query) };
    if away.nonce.is_none() {
        return visit.finish(&away, (&code, field(query, "iss").as_deref())).await;
    }
    match visit.is_invited(&away, &code).await {
        Ok(true) => visit.sign_in(browser).await,
        Ok(false) => {
            let mend = "Sign out there, and ask for this page once more as who you are here.";
            page(StatusCode::FORBIDDEN, "You are signed in as somebody else", mend)
        }
        Err(reason) => page(StatusCode::BAD_GATEWAY, "It did not work", &reason),
    }
}

/// Of an error the code alone is told: who wrote the rest may have put anything there.
fn no_code(query: &[u8]) -> Response {
    let is_code = |error: &String| {
        error.len() < 64 && error.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    };
    let error = field(query, "error").filter(is_code).unwrap_or_default();
    failed(&format!("gets no code from its authorization server ({error})"))
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

fn digest(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(text))
}

fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
