//! The paths of the sign-in: `/auth/login`, `/auth/callback`, `/auth/logout`, `/auth/refresh` and `/auth/link`.

use std::sync::Arc;

use axum::{
    Form, Router,
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode, header},
    response::Response,
    routing::{get, post},
};
use portico_kit::{caller::cookie, tool::ToolError};
use serde::Deserialize;
use serde_json::json;

use super::{
    Accounts, Session,
    answer::{Page, escape, failed, go_to, json, refuse, set, time, tool_failed, wants_json},
    link::Link,
    login::Failure,
    secrets,
    sessions::Made,
};

/// Longest address to return to, in bytes.
const MAX_RETURN: usize = 512;
/// How long a browser keeps the cookies, in seconds.
const SESSION_SECONDS: i64 = 30 * 24 * 3_600;
const LOGIN_SECONDS: i64 = 600;
/// Length of the secrets that browsers hold for us, in bytes.
const SECRET: usize = 43;

type Shared = State<Arc<Accounts>>;

impl Accounts {
    /// The paths, to be served beside the tools.
    pub fn routes(self: Arc<Self>) -> Router {
        Router::new()
            .route("/auth/login", get(login).post(login_by_link))
            .route("/auth/callback", get(callback))
            .route("/auth/logout", get(logout).post(confirmed_logout))
            .route("/auth/refresh", post(refresh))
            .route("/auth/link", post(link))
            .route("/auth/{tail}", get(broken_callback))
            .with_state(self)
    }

    async fn session_of(&self, headers: &HeaderMap) -> Result<Option<Session>, ToolError> {
        match cookie(headers, self.cookie_name()) {
            Some(id) => self.session(id).await,
            None => Ok(None),
        }
    }

    /// Sets a cookie that scripts cannot read and other sites cannot send along; nothing and no time removes it.
    fn set_cookie(&self, response: &mut Response, name: &str, value: &str, seconds: i64) {
        let secure = if self.settings.is_secure() { "; Secure" } else { "" };
        let cookie = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}{secure}");
        set(response, header::SET_COOKIE, &cookie);
    }

    /// Whether one of our own pages sent the request; `None` where the browser does not say.
    fn is_own(&self, headers: &HeaderMap) -> Option<bool> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        match (text("sec-fetch-site"), text("origin")) {
            (Some(site), _) => Some(site == "same-origin"),
            (None, Some(origin)) => Some(origin == self.settings.origin()),
            (None, None) => None,
        }
    }

    /// A change by a page of another site is refused. Programs say nothing of where they come from, and carry no cookies unasked.
    fn refuse_foreign(&self, headers: &HeaderMap) -> Option<Response> {
        let foreign = self.is_own(headers) == Some(false);
        foreign.then(|| {
            refuse(headers, StatusCode::FORBIDDEN, "Not from here", "Another site's page may not do this.")
        })
    }
}

/// Where to go on: a path of this host, and nothing that a browser could take for another host.
fn return_to(given: Option<&str>) -> &str {
    let is_path = |path: &&str| {
        path.starts_with('/')
            && !path.starts_with("//")
            && path.len() <= MAX_RETURN
            && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
    };
    given.filter(is_path).unwrap_or_default()
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct LoginRequest {
    return_to: Option<String>,
    link: Option<String>,
}

/// `GET /auth/login?return_to=&link=`: to Kroger; with a link code, asks before.
async fn login(State(accounts): Shared, headers: HeaderMap, Query(request): Query<LoginRequest>) -> Response {
    let back = return_to(request.return_to.as_deref());
    let next = match &request.link {
        Some(code) => confirm_link(&accounts, code, back).await,
        None => login_or_stay(&accounts, &headers, back).await,
    };
    next.unwrap_or_else(|failure| failed(&headers, failure))
}

async fn login_or_stay(accounts: &Accounts, headers: &HeaderMap, back: &str) -> Result<Response, Failure> {
    let Some(session) = accounts.session_of(headers).await? else {
        return begin(accounts, headers, back, &Link::default()).await;
    };
    if accounts.is_linked(&session.user).await? {
        return Ok(stay(headers, &session, back));
    }
    // Whoever must sign in again stays the same user.
    begin(accounts, headers, back, &Link { user: Some(session.user), subject: String::new() }).await
}

/// Whoever is signed in need not be again. Another customer at the same device must not get into what this one keeps.
fn stay(headers: &HeaderMap, session: &Session, back: &str) -> Response {
    if wants_json(headers) {
        return json(StatusCode::OK, json!({ "signed_in": true, "expires_at": time(session.expires_at) }));
    }
    if !back.is_empty() {
        return go_to(back);
    }
    Page::new("You are signed in", format!("<p>To use another Kroger account, sign out first.</p>{LOGOUT}"))
        .respond("")
}

/// Sends the browser to Kroger. The secret in its cookie stays the same for several sign-ins at once.
async fn begin(
    accounts: &Accounts,
    headers: &HeaderMap,
    back: &str,
    link: &Link,
) -> Result<Response, Failure> {
    let name = accounts.settings.login_cookie();
    let known = cookie(headers, name).filter(|secret| is_secret(secret));
    let browser = known.map_or_else(secrets::code, |secret| Ok(secret.to_owned()))?;
    let address = accounts.begin_login(&browser, back, link).await?;
    let mut response = go_to(address.as_str());
    accounts.set_cookie(&mut response, name, &browser, LOGIN_SECONDS);
    Ok(response)
}

/// Whether it has the form of what we gave a browser.
fn is_secret(text: &str) -> bool {
    text.len() == SECRET && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

/// Asks before a link is followed: it may have come from somebody else.
async fn confirm_link(accounts: &Accounts, code: &str, back: &str) -> Result<Response, Failure> {
    if !accounts.is_link(code).await? {
        return Err(Failure::Unknown);
    }
    let body = format!(
        "<p>Somebody asked to use a Kroger account here: an assistant, or another device. Go on only if that was you, a moment ago. \
         If somebody else gave you this link, close this page.</p>\
         <form method=\"post\" action=\"login\"><input type=\"hidden\" name=\"link\" value=\"{}\">\
         <input type=\"hidden\" name=\"return_to\" value=\"{}\"><button>That was me, go on</button></form>",
        escape(code),
        escape(back),
    );
    Ok(Page::new("Was it you?", body).respond(&accounts.settings.authorize_origin()))
}

/// `POST /auth/login` with a link code: joins its user, or signs in for it.
async fn login_by_link(
    State(accounts): Shared,
    headers: HeaderMap,
    Form(request): Form<LoginRequest>,
) -> Response {
    if let Some(refused) = accounts.refuse_foreign(&headers) {
        return refused;
    }
    let back = return_to(request.return_to.as_deref());
    let code = request.link.unwrap_or_default();
    follow(&accounts, &headers, &code, back).await.unwrap_or_else(|failure| failed(&headers, failure))
}

async fn follow(
    accounts: &Accounts,
    headers: &HeaderMap,
    code: &str,
    back: &str,
) -> Result<Response, Failure> {
    let link = accounts.take_link(code).await?.ok_or(Failure::Unknown)?;
    if let Some(user) = &link.user
        && accounts.is_linked(user).await?
    {
        let made = accounts.join(user, device(headers)).await?;
        return signed_in(accounts, headers, &made, back).await;
    }
    begin(accounts, headers, back, &link).await
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Callback {
    code: Option<String>,
    state: Option<String>,
    error: Option<String>,
}

/// `GET /auth/callback?code&state`: where Kroger sends the browser back to.
async fn callback(State(accounts): Shared, headers: HeaderMap, Query(request): Query<Callback>) -> Response {
    if let Some(error) = &request.error {
        return not_allowed(&headers, error);
    }
    finish(&accounts, &headers, &request).await.unwrap_or_else(|failure| failed(&headers, failure))
}

async fn finish(accounts: &Accounts, headers: &HeaderMap, request: &Callback) -> Result<Response, Failure> {
    let browser = cookie(headers, accounts.settings.login_cookie());
    let (Some(code), Some(state), Some(browser)) = (&request.code, &request.state, browser) else {
        return Err(Failure::Unknown);
    };
    let begun = accounts.take_login(state, browser).await?;
    let made = accounts.finish_login(&begun, code, device(headers)).await?;
    signed_in(accounts, headers, &made, &begun.return_to).await
}

/// The session goes to its device: as a cookie always, and in the answer to whoever has use for it there.
async fn signed_in(
    accounts: &Accounts,
    headers: &HeaderMap,
    made: &Made,
    back: &str,
) -> Result<Response, Failure> {
    // The device cannot use its old session any more.
    if let Some(old) = accounts.session_of(headers).await? {
        accounts.end_session(&old).await?;
    }
    tracing::info!("somebody has signed in");
    let mut response = if wants_json(headers) {
        json(StatusCode::OK, json!({ "session_id": made.id, "expires_at": time(made.expires_at) }))
    } else if back.is_empty() {
        let body = format!(
            "<p>You can go back to where you came from.</p><p>If an assistant asks for your session, give it this, and nobody else: \
             <code>{}</code></p>",
            escape(&made.id),
        );
        Page::new("You are signed in", body).respond("")
    } else {
        go_to(back)
    };
    accounts.set_cookie(&mut response, accounts.cookie_name(), &made.id, SESSION_SECONDS);
    Ok(response)
}

fn not_allowed(headers: &HeaderMap, error: &str) -> Response {
    if error == "access_denied" {
        let detail = "You did not allow the use of your Kroger account. Nothing was kept.";
        return refuse(headers, StatusCode::FORBIDDEN, "Not signed in", detail);
    }
    let error: String = error.chars().take(80).collect();
    let detail =
        format!("Kroger did not sign you in: {error}. Begin again, or tell whoever runs this server.");
    refuse(headers, StatusCode::BAD_GATEWAY, "Not signed in", &detail)
}

/// Kroger's pages show refusals glued to the redirect address, without the `?`.
async fn broken_callback(headers: HeaderMap, Path(tail): Path<String>) -> Response {
    match tail.strip_prefix("callbackerror=") {
        Some(rest) => not_allowed(&headers, rest.split('&').next().unwrap_or_default()),
        None => refuse(&headers, StatusCode::NOT_FOUND, "Not found", "There is no such page."),
    }
}

const LOGOUT: &str = "<form method=\"post\" action=\"logout\"><button>Sign out</button></form>";

/// `GET /auth/logout`: signs out where a page of ours sent the browser; asks anybody else, since a picture on a foreign page could
/// ask for it too.
async fn logout(State(accounts): Shared, headers: HeaderMap) -> Response {
    let is_fetched_ahead = headers.contains_key("sec-purpose");
    let next = if accounts.is_own(&headers) == Some(true) && !is_fetched_ahead {
        end(&accounts, &headers).await
    } else {
        ask(&accounts, &headers).await
    };
    next.unwrap_or_else(|error| tool_failed(&headers, &error))
}

async fn ask(accounts: &Accounts, headers: &HeaderMap) -> Result<Response, ToolError> {
    let Some(session) = accounts.session_of(headers).await? else { return Ok(signed_out(headers, false)) };
    let is_last = accounts.devices(&session.user).await? <= 1;
    let warning = if is_last {
        "<p>This is your last device: what you keep here, such as lists and plans, cannot be reached any more after that. To keep it, \
         sign in on another device first, or export it.</p>"
    } else {
        ""
    };
    Ok(Page::new("Sign out?", format!("{warning}{LOGOUT}")).respond(""))
}

/// `POST /auth/logout`.
async fn confirmed_logout(State(accounts): Shared, headers: HeaderMap) -> Response {
    if let Some(refused) = accounts.refuse_foreign(&headers) {
        return refused;
    }
    end(&accounts, &headers).await.unwrap_or_else(|error| tool_failed(&headers, &error))
}

async fn end(accounts: &Accounts, headers: &HeaderMap) -> Result<Response, ToolError> {
    let is_last = match accounts.session_of(headers).await? {
        Some(session) => accounts.end_session(&session).await?,
        None => false,
    };
    let mut response = signed_out(headers, is_last);
    accounts.set_cookie(&mut response, accounts.cookie_name(), "", 0);
    Ok(response)
}

fn signed_out(headers: &HeaderMap, is_last: bool) -> Response {
    if wants_json(headers) {
        return json(StatusCode::OK, json!({ "signed_out": true, "last_device": is_last }));
    }
    let tokens = if is_last { "<p>The tokens of your Kroger account are deleted.</p>" } else { "" };
    let remove =
        "<p>To take the permission back altogether, remove the application in your account at Kroger.</p>";
    Page::new("You are signed out", format!("{tokens}{remove}")).respond("")
}

/// `POST /auth/refresh`: a new token from Kroger, at most one a minute, and a session that lasts from now.
async fn refresh(State(accounts): Shared, headers: HeaderMap) -> Response {
    if let Some(refused) = accounts.refuse_foreign(&headers) {
        return refused;
    }
    refreshed(&accounts, &headers).await.unwrap_or_else(|error| tool_failed(&headers, &error))
}

async fn refreshed(accounts: &Arc<Accounts>, headers: &HeaderMap) -> Result<Response, ToolError> {
    let session = signed_in_session(accounts, headers).await?;
    let token_ends = accounts.renew_on_request(&session.user).await?;
    let session = accounts.prolonged(session).await?;
    let body = json!({ "expires_at": time(session.expires_at), "token_expires_at": time(token_ends) });
    let mut response = json(StatusCode::OK, body);
    if let Some(id) = cookie(headers, accounts.cookie_name()) {
        accounts.set_cookie(&mut response, accounts.cookie_name(), id, SESSION_SECONDS);
    }
    Ok(response)
}

async fn signed_in_session(accounts: &Accounts, headers: &HeaderMap) -> Result<Session, ToolError> {
    let session = accounts.session_of(headers).await?;
    session.ok_or_else(|| accounts.sign_in_again("nobody is signed in on this device"))
}

/// `POST /auth/link`: a code by which a further device joins this user, good once and for ten minutes.
async fn link(State(accounts): Shared, headers: HeaderMap) -> Response {
    if let Some(refused) = accounts.refuse_foreign(&headers) {
        return refused;
    }
    linked(&accounts, &headers).await.unwrap_or_else(|error| tool_failed(&headers, &error))
}

async fn linked(accounts: &Accounts, headers: &HeaderMap) -> Result<Response, ToolError> {
    let session = signed_in_session(accounts, headers).await?;
    let made = accounts.make_link(&Link { user: Some(session.user), subject: String::new() }).await?;
    let url = accounts.link_url(&made.code);
    Ok(json(
        StatusCode::OK,
        json!({ "code": made.code, "login_url": url, "expires_at": time(made.expires_at) }),
    ))
}

/// A name for the device that tells no more than people need to know their devices apart.
fn device(headers: &HeaderMap) -> &'static str {
    let agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let names = [
        ("Edg", "Edge"),
        ("OPR", "Opera"),
        ("Firefox", "Firefox"),
        ("Chrome", "Chrome"),
        ("Safari", "Safari"),
    ];
    names.into_iter().find(|(mark, _)| agent.contains(mark)).map_or("a program", |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("/lists?x=1#top", true)]
    #[case("/", true)]
    #[case("", false)]
    #[case("lists", false)]
    #[case("//evil.example", false)]
    #[case("/\\evil.example", false)]
    #[case("https://evil.example/", false)]
    #[case("/a\r\nSet-Cookie: a=b", false)]
    #[case("/a b", false)]
    fn one_returns_to_a_path_of_this_host_alone(#[case] given: &str, #[case] good: bool) {
        assert_eq!(return_to(Some(given)), if good { given } else { "" });
    }

    #[test]
    fn an_address_that_is_too_long_is_not_returned_to() {
        assert_eq!(return_to(Some(&format!("/{}", "a".repeat(512)))), "");
    }

    #[rstest]
    #[case("Mozilla/5.0 (X11) Gecko/20100101 Firefox/130.0", "Firefox")]
    #[case("Mozilla/5.0 AppleWebKit/537.36 Chrome/130.0 Safari/537.36 Edg/130.0", "Edge")]
    #[case("curl/8.0", "a program")]
    fn a_device_is_named_by_its_browser(#[case] agent: &str, #[case] name: &str) {
        let headers = [(header::USER_AGENT, agent.parse().unwrap())].into_iter().collect();
        assert_eq!(device(&headers), name);
    }
}
