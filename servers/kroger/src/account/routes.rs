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
    Accounts, Settings,
    answer::{Page, escape, failed, go_to, json, refuse, set, tool_failed, wants_json},
    link::{Link, Purpose},
    login::{Failure, For},
    secrets,
    sessions::{Made, Session},
};
use crate::shop::moment;

/// Longest address to return to, in bytes.
const MAX_RETURN: usize = 512;
/// How long a browser keeps the cookies, in seconds. That of the session is kept as long as browsers keep any: the database knows when the
/// session ends, which each use puts off.
const SESSION_SECONDS: i64 = 400 * 24 * 3_600;
const LOGIN_SECONDS: i64 = 600;
/// Length of the secrets that browsers hold for us, in bytes.
const SECRET: usize = 43;

type Shared = State<Arc<Site>>;

/// What the paths work on.
struct Site {
    accounts: Accounts,
    settings: Arc<Settings>,
}

/// The paths, to be served beside the tools.
pub(super) fn routes(accounts: &Accounts, settings: &Arc<Settings>) -> Router {
    let site = Site { accounts: accounts.clone(), settings: Arc::clone(settings) };
    Router::new()
        .route("/auth/login", get(login).post(login_by_link))
        .route("/auth/callback", get(callback))
        .route("/auth/logout", get(logout).post(confirmed_logout))
        .route("/auth/refresh", post(refresh))
        .route("/auth/link", post(link))
        .route("/auth/session", post(further))
        .route("/auth/{tail}", get(broken_callback))
        .with_state(Arc::new(site))
}

impl Site {
    async fn session_of(&self, headers: &HeaderMap) -> Result<Option<Session>, ToolError> {
        match cookie(headers, self.settings.session_cookie()) {
            Some(id) => self.accounts.session(id).await,
            None => Ok(None),
        }
    }

    async fn signed_in_session(&self, headers: &HeaderMap) -> Result<Session, ToolError> {
        let session = self.session_of(headers).await?;
        session.ok_or_else(|| self.sign_in("nobody is signed in on this device"))
    }

    fn sign_in(&self, problem: &str) -> ToolError {
        let url = Some(self.settings.login_url().to_string());
        ToolError::SignIn { problem: problem.to_owned(), url }
    }

    /// Sets a cookie that scripts cannot read and other sites cannot send along; no time removes it.
    fn set_cookie(&self, response: &mut Response, name: &str, value: &str, seconds: i64) {
        let secure = if self.settings.is_secure() { "; Secure" } else { "" };
        let cookie = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}{secure}");
        set(response, header::SET_COOKIE, &cookie);
    }

    fn set_session(&self, response: &mut Response, id: &str, seconds: i64) {
        self.set_cookie(response, self.settings.session_cookie(), id, seconds);
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
    again: bool,
}

/// `GET /auth/login?return_to=&link=&again=`: to Kroger; with a link code, asks before.
async fn login(State(site): Shared, headers: HeaderMap, Query(request): Query<LoginRequest>) -> Response {
    let back = return_to(request.return_to.as_deref());
    let next = match &request.link {
        Some(code) => confirm_link(&site, &headers, code, back).await,
        None => login_or_stay(&site, &headers, back, request.again).await,
    };
    next.unwrap_or_else(|failure| failed(&headers, failure))
}

async fn login_or_stay(
    site: &Site,
    headers: &HeaderMap,
    back: &str,
    again: bool,
) -> Result<Response, Failure> {
    let Some(session) = site.session_of(headers).await? else {
        return begin(site, headers, back, For::Anybody).await;
    };
    if !again && site.accounts.is_linked(&session.user).await? {
        return Ok(stay(site, headers, &session, back));
    }
    // Whoever must sign in again stays the same user.
    begin(site, headers, back, For::Device(&session.user)).await
}

/// Whoever is signed in need not be again. Another customer at the same device must not get into what this one keeps.
fn stay(site: &Site, headers: &HeaderMap, session: &Session, back: &str) -> Response {
    let mut response = if wants_json(headers) {
        json(StatusCode::OK, json!({ "signed_in": true, "expires_at": moment(session.expires_at) }))
    } else if back.is_empty() {
        Page::new("You are signed in", format!("{FURTHER}<p>To use another Kroger account, sign out first.</p>{LOGOUT}\
             <p>Should Kroger ask you once more what this may do? <a href=\"login?again=true\">Sign in again</a> as the same person.</p>"))
            .respond()
    } else {
        go_to(back)
    };
    // The browser keeps it for as long again.
    if let Some(id) = cookie(headers, site.settings.session_cookie()) {
        site.set_session(&mut response, id, SESSION_SECONDS);
    }
    response
}

const FURTHER: &str = "<p>Does an assistant ask for your session? Give it one of its own.</p>\
    <form method=\"post\" action=\"session\"><button>Make a session</button></form>";

/// `POST /auth/session`: a further session of the same user, for an assistant that cannot have the browser's cookie.
async fn further(State(site): Shared, headers: HeaderMap) -> Response {
    if let Some(refused) = site.refuse_foreign(&headers) {
        return refused;
    }
    made_further(&site, &headers).await.unwrap_or_else(|failure| failed(&headers, failure))
}

async fn made_further(site: &Site, headers: &HeaderMap) -> Result<Response, Failure> {
    let session = site.signed_in_session(headers).await?;
    let made = site.accounts.join(&session.user, "an assistant").await?;
    if wants_json(headers) {
        return Ok(told_session(&made));
    }
    Ok(Page::new("A session for your assistant", shown_session(&made)).respond())
}

fn told_session(made: &Made) -> Response {
    json(StatusCode::OK, json!({ "session_id": made.id, "expires_at": moment(made.expires_at) }))
}

fn shown_session(made: &Made) -> String {
    format!("<p>Give this to your assistant, and to nobody else: <code>{}</code></p>", escape(&made.id))
}

/// Sends the browser to Kroger. The secret in its cookie stays the same for several sign-ins at once.
async fn begin(site: &Site, headers: &HeaderMap, back: &str, whom: For<'_>) -> Result<Response, Failure> {
    let name = site.settings.login_cookie();
    let known = cookie(headers, name).filter(|secret| is_secret(secret));
    let browser = known.map_or_else(secrets::code, |secret| Ok(secret.to_owned()))?;
    let address = site.accounts.begin_login(&site.settings, &browser, back, whom).await?;
    let mut response = go_to(address.as_str());
    site.set_cookie(&mut response, name, &browser, LOGIN_SECONDS);
    Ok(response)
}

/// Whether it has the form of what we gave a browser.
fn is_secret(text: &str) -> bool {
    text.len() == SECRET && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

/// Asks before a link is followed: it may have come from somebody else.
async fn confirm_link(site: &Site, headers: &HeaderMap, code: &str, back: &str) -> Result<Response, Failure> {
    let link = site.accounts.look_at_link(code).await?.ok_or(Failure::Unknown)?;
    let what = match link.purpose {
        Purpose::Device => "Another device asks that this one share what it keeps here.",
        Purpose::SignIn => "An assistant asks to use your Kroger account.",
    };
    let warning = warning_before(site, headers, &link).await?;
    let body = format!(
        "<p>{what} Go on only if that was you, a moment ago. If somebody else gave you this link, close this page.</p>{warning}\
         <form method=\"post\" action=\"login\"><input type=\"hidden\" name=\"link\" value=\"{}\">\
         <input type=\"hidden\" name=\"return_to\" value=\"{}\"><button>That was me, go on</button></form>",
        escape(code),
        escape(back),
    );
    Ok(Page::new("Was it you?", body).respond_leading_away())
}

/// What whoever is signed in here loses by following `link`: the device goes over to the link's user.
async fn warning_before(site: &Site, headers: &HeaderMap, link: &Link) -> Result<&'static str, ToolError> {
    match site.session_of(headers).await? {
        Some(session) if link.purpose == Purpose::Device && session.user != link.user => {
            last_device_warning(site, &session).await
        }
        _ => Ok(""),
    }
}

/// `POST /auth/login` with a link code: joins its user, or signs in for it.
async fn login_by_link(
    State(site): Shared,
    headers: HeaderMap,
    Form(request): Form<LoginRequest>,
) -> Response {
    if let Some(refused) = site.refuse_foreign(&headers) {
        return refused;
    }
    let back = return_to(request.return_to.as_deref());
    let code = request.link.unwrap_or_default();
    follow(&site, &headers, &code, back).await.unwrap_or_else(|failure| failed(&headers, failure))
}

async fn follow(site: &Site, headers: &HeaderMap, code: &str, back: &str) -> Result<Response, Failure> {
    let Link { user, purpose, .. } = site.accounts.take_link(code).await?.ok_or(Failure::Unknown)?;
    match purpose {
        Purpose::Device => {
            let made = site.accounts.join(&user, device(headers)).await?;
            signed_in(site, headers, &made, back).await
        }
        // Whoever is signed in stays so: a link that fell into other hands changes no account.
        Purpose::SignIn if site.accounts.is_linked(&user).await? => Ok(done(headers)),
        Purpose::SignIn => begin(site, headers, back, For::Elsewhere(&user)).await,
    }
}

/// The end of a sign-in for a user who calls by other means.
fn done(headers: &HeaderMap) -> Response {
    if wants_json(headers) {
        return json(StatusCode::OK, json!({ "signed_in": true }));
    }
    Page::new("Signed in", "<p>You can go back to your assistant.</p>").respond()
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Callback {
    code: Option<String>,
    state: Option<String>,
    error: Option<String>,
}

/// `GET /auth/callback?code&state`: where Kroger sends the browser back to.
async fn callback(State(site): Shared, headers: HeaderMap, Query(request): Query<Callback>) -> Response {
    if let Some(error) = &request.error {
        return not_allowed(&headers, error);
    }
    finish(&site, &headers, &request).await.unwrap_or_else(|failure| failed(&headers, failure))
}

async fn finish(site: &Site, headers: &HeaderMap, request: &Callback) -> Result<Response, Failure> {
    let browser = cookie(headers, site.settings.login_cookie());
    let (Some(code), Some(state), Some(browser)) = (&request.code, &request.state, browser) else {
        return Err(Failure::Unknown);
    };
    let mut begun = site.accounts.take_login(state, browser).await?;
    let session = site.session_of(headers).await?;
    // Somebody has signed in on this device meanwhile, and stays who it is: the last session of a user takes all that is kept along.
    if let Some(session) = session.filter(|session| begun.replaces(&session.user)) {
        if begun.user.is_some() || site.accounts.is_linked(&session.user).await? {
            return Ok(stay(site, headers, &session, &begun.return_to));
        }
        begun.user = Some(session.user);
    }
    match site.accounts.finish_login(&site.settings, &begun, code, device(headers)).await? {
        Some(made) => signed_in(site, headers, &made, &begun.return_to).await,
        None if begun.return_to.is_empty() => Ok(done(headers)),
        None => Ok(go_to(&begun.return_to)),
    }
}

/// The session goes to its device: as a cookie always, and in the answer to whoever has use for it there.
async fn signed_in(site: &Site, headers: &HeaderMap, made: &Made, back: &str) -> Result<Response, Failure> {
    // The device cannot use its old session any more.
    if let Some(old) = site.session_of(headers).await? {
        site.accounts.end_session(&old).await?;
    }
    let mut response = if wants_json(headers) {
        told_session(made)
    } else if back.is_empty() {
        let body = format!("<p>You can go back to where you came from.</p>{}", shown_session(made));
        Page::new("You are signed in", body).respond()
    } else {
        go_to(back)
    };
    site.set_session(&mut response, &made.id, SESSION_SECONDS);
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
async fn logout(State(site): Shared, headers: HeaderMap) -> Response {
    let is_fetched_ahead = headers.contains_key("sec-purpose");
    let next = if site.is_own(&headers) == Some(true) && !is_fetched_ahead {
        end(&site, &headers).await
    } else {
        ask(&site, &headers).await
    };
    next.unwrap_or_else(|error| tool_failed(&headers, &error))
}

const LAST_DEVICE: &str = "<p>This is your last device: what you keep here, such as lists and plans, is deleted after \
    that. To keep it, sign in on another device first, or export it.</p>";

async fn last_device_warning(site: &Site, session: &Session) -> Result<&'static str, ToolError> {
    let accounts = &site.accounts;
    let is_last =
        accounts.devices(&session.user).await? <= 1 && accounts.is_of_browsers(&session.user).await?;
    Ok(if is_last { LAST_DEVICE } else { "" })
}

async fn ask(site: &Site, headers: &HeaderMap) -> Result<Response, ToolError> {
    let Some(session) = site.session_of(headers).await? else { return Ok(signed_out(headers, false)) };
    let warning = last_device_warning(site, &session).await?;
    Ok(Page::new("Sign out?", format!("{warning}{LOGOUT}")).respond())
}

/// `POST /auth/logout`.
async fn confirmed_logout(State(site): Shared, headers: HeaderMap) -> Response {
    if let Some(refused) = site.refuse_foreign(&headers) {
        return refused;
    }
    end(&site, &headers).await.unwrap_or_else(|error| tool_failed(&headers, &error))
}

async fn end(site: &Site, headers: &HeaderMap) -> Result<Response, ToolError> {
    let is_last = match site.session_of(headers).await? {
        Some(session) => site.accounts.end_session(&session).await?,
        None => false,
    };
    let mut response = signed_out(headers, is_last);
    site.set_session(&mut response, "", 0);
    Ok(response)
}

fn signed_out(headers: &HeaderMap, is_last: bool) -> Response {
    if wants_json(headers) {
        return json(StatusCode::OK, json!({ "signed_out": true, "last_device": is_last }));
    }
    let tokens = if is_last { "<p>The tokens of your Kroger account are deleted.</p>" } else { "" };
    let remove =
        "<p>To take the permission back altogether, remove the application in your account at Kroger.</p>";
    Page::new("You are signed out", format!("{tokens}{remove}")).respond()
}

/// `POST /auth/refresh`: a new token from Kroger, at most one a minute, and a session that lasts from now.
async fn refresh(State(site): Shared, headers: HeaderMap) -> Response {
    if let Some(refused) = site.refuse_foreign(&headers) {
        return refused;
    }
    refreshed(&site, &headers).await.unwrap_or_else(|error| tool_failed(&headers, &error))
}

async fn refreshed(site: &Site, headers: &HeaderMap) -> Result<Response, ToolError> {
    let session = site.signed_in_session(headers).await?;
    let token_ends = site.accounts.renew_on_request(&session.user).await?;
    let token_ends = token_ends.ok_or_else(|| site.sign_in("the sign-in at Kroger has ended"))?;
    let session = site.accounts.prolonged(session).await?;
    let body = json!({ "expires_at": moment(session.expires_at), "token_expires_at": moment(token_ends) });
    let mut response = json(StatusCode::OK, body);
    if let Some(id) = cookie(headers, site.settings.session_cookie()) {
        site.set_session(&mut response, id, SESSION_SECONDS);
    }
    Ok(response)
}

/// `POST /auth/link`: a code by which a further device joins this user, good once and for ten minutes.
async fn link(State(site): Shared, headers: HeaderMap) -> Response {
    if let Some(refused) = site.refuse_foreign(&headers) {
        return refused;
    }
    linked(&site, &headers).await.unwrap_or_else(|error| tool_failed(&headers, &error))
}

async fn linked(site: &Site, headers: &HeaderMap) -> Result<Response, ToolError> {
    let session = site.signed_in_session(headers).await?;
    let made = site.accounts.make_link(&session.user, Purpose::Device)?;
    site.accounts.note("device_link_made", &session.user, &[]).await;
    let url = site.settings.link_url(&made.code);
    Ok(json(
        StatusCode::OK,
        json!({ "code": made.code, "login_url": url, "expires_at": moment(made.expires_at) }),
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
