//! The paths of the sign-in: `/auth/login`, `/auth/callback`, `/auth/logout`, `/auth/refresh` and `/auth/link`.

use std::sync::Arc;

use axum::{
    Form, Router,
    extract::{Path, Query, State},
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use portico_kit::{Messages, tool::ToolError};
use serde::Deserialize;
use serde_json::json;

use super::{
    Accounts, Settings,
    answer::{escape, go_to, json, set},
    link::{Link, Purpose},
    login::{Begun, Failure, For, mark},
    sessions::{Made, Session},
    visitor::Visitor,
};
use crate::shop::moment;

/// Longest address to return to, in bytes.
const MAX_RETURN: usize = 512;
/// How long a browser keeps the cookies, in seconds. That of the session is kept as long as browsers keep any: the database knows when the
/// session ends, which each use puts off.
const SESSION_SECONDS: i64 = 400 * 24 * 3_600;
const LOGIN_SECONDS: i64 = 600;
/// Sign-ins that one browser may have begun; with one more the cookies of all before go.
const MOST_BEGUN: usize = 8;

type Shared = State<Arc<Site>>;

/// What the paths work on.
pub(super) struct Site {
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
    pub(super) fn messages(&self) -> Arc<Messages> {
        Arc::clone(&self.accounts.messages)
    }

    async fn session_of(&self, visitor: &Visitor) -> Result<Option<Session>, ToolError> {
        match visitor.cookie(self.settings.session_cookie()) {
            Some(id) => self.accounts.session(id).await,
            None => Ok(None),
        }
    }

    async fn signed_in_session(&self, visitor: &Visitor) -> Result<Session, ToolError> {
        let session = self.session_of(visitor).await?;
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
    fn is_own(&self, visitor: &Visitor) -> Option<bool> {
        match (visitor.header("sec-fetch-site"), visitor.header("origin")) {
            (Some(site), _) => Some(site == "same-origin"),
            (None, Some(origin)) => Some(origin == self.settings.origin()),
            (None, None) => None,
        }
    }

    /// A change by a page of another site is refused. Programs say nothing of where they come from, and carry no cookies unasked.
    fn refuse_foreign(&self, visitor: &Visitor) -> Option<Response> {
        let foreign = self.is_own(visitor) == Some(false);
        foreign.then(|| visitor.refuse(StatusCode::FORBIDDEN, "foreign"))
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
async fn login(State(site): Shared, visitor: Visitor, Query(request): Query<LoginRequest>) -> Response {
    let back = return_to(request.return_to.as_deref());
    let next = match &request.link {
        Some(code) => confirm_link(&site, &visitor, code, back).await,
        None => login_or_stay(&site, &visitor, back, request.again).await,
    };
    next.unwrap_or_else(|failure| visitor.failed(&failure))
}

async fn login_or_stay(site: &Site, visitor: &Visitor, back: &str, again: bool) -> Result<Response, Failure> {
    let Some(session) = site.session_of(visitor).await? else {
        return begin(site, visitor, back, For::Anybody);
    };
    if !again && site.accounts.is_linked(&session.user).await? {
        return Ok(stay(site, visitor, &session, back));
    }
    // Whoever must sign in again stays the same user.
    begin(site, visitor, back, For::Device(&session.user))
}

/// Whoever is signed in need not be again. Another customer at the same device must not get into what this one keeps.
fn stay(site: &Site, visitor: &Visitor, session: &Session, back: &str) -> Response {
    let mut response = if visitor.is_program() {
        json(StatusCode::OK, json!({ "signed_in": true, "expires_at": moment(session.expires_at) }))
    } else if back.is_empty() {
        visitor.page("signed-in", choices(visitor)).respond()
    } else {
        go_to(back)
    };
    // The browser keeps it for as long again.
    if let Some(id) = visitor.cookie(site.settings.session_cookie()) {
        site.set_session(&mut response, id, SESSION_SECONDS);
    }
    response
}

/// What whoever is signed in can do here.
fn choices(visitor: &Visitor) -> String {
    format!(
        "{}{}{}{}<p>{} <a href=\"login?again=true\">{}</a></p>",
        visitor.paragraph("further"),
        visitor.button("session", "further-make", ""),
        visitor.paragraph("signed-in-other"),
        visitor.button("logout", "sign-out", ""),
        escape(&visitor.say("signed-in-again")),
        escape(&visitor.say("signed-in-again-link")),
    )
}

/// `POST /auth/session`: a further session of the same user, for an assistant that cannot have the browser's cookie.
async fn further(State(site): Shared, visitor: Visitor) -> Response {
    if let Some(refused) = site.refuse_foreign(&visitor) {
        return refused;
    }
    made_further(&site, &visitor).await.unwrap_or_else(|failure| visitor.failed(&failure))
}

async fn made_further(site: &Site, visitor: &Visitor) -> Result<Response, Failure> {
    let session = site.signed_in_session(visitor).await?;
    let made = site.accounts.join(&session.user, "an assistant").await?;
    if visitor.is_program() {
        return Ok(told_session(&made));
    }
    Ok(visitor.page("further-made", shown_session(visitor, &made)).respond())
}

fn told_session(made: &Made) -> Response {
    json(StatusCode::OK, json!({ "session_id": made.id, "expires_at": moment(made.expires_at) }))
}

fn shown_session(visitor: &Visitor, made: &Made) -> String {
    format!("<p>{} <code>{}</code></p>", escape(&visitor.say("session-id")), escape(&made.id))
}

/// Sends the browser to Kroger. Each sign-in has a cookie of its own, so that several may be on their way.
fn begin(site: &Site, visitor: &Visitor, back: &str, whom: For<'_>) -> Result<Response, Failure> {
    let name = site.settings.login_cookie();
    let leaving = site.accounts.begin_login(&site.settings, back, whom)?;
    let mut response = go_to(leaving.address.as_str());
    let begun = visitor.cookies_like(name);
    if begun.len() >= MOST_BEGUN {
        for old in begun {
            site.set_cookie(&mut response, &old, "", 0);
        }
    }
    site.set_cookie(&mut response, &format!("{name}{}", leaving.mark), &leaving.kept, LOGIN_SECONDS);
    Ok(response)
}

/// Asks before a link is followed: it may have come from somebody else.
async fn confirm_link(site: &Site, visitor: &Visitor, code: &str, back: &str) -> Result<Response, Failure> {
    let link = site.accounts.look_at_link(code).await?.ok_or(Failure::Unknown)?;
    let what = match link.purpose {
        Purpose::Device => "was-it-you-device",
        Purpose::SignIn => "was-it-you-assistant",
    };
    let fields = format!(
        "<input type=\"hidden\" name=\"link\" value=\"{}\"><input type=\"hidden\" name=\"return_to\" value=\"{}\">",
        escape(code),
        escape(back),
    );
    let body = [
        visitor.paragraph(what),
        visitor.paragraph("was-it-you-warning"),
        warning_before(site, visitor, &link).await?,
        visitor.button("login", "was-it-you-yes", &fields),
    ];
    Ok(visitor.page("was-it-you", body.concat()).respond_leading_away())
}

/// What whoever is signed in here loses by following `link`: the device goes over to the link's user.
async fn warning_before(site: &Site, visitor: &Visitor, link: &Link) -> Result<String, ToolError> {
    match site.session_of(visitor).await? {
        Some(session) if link.purpose == Purpose::Device && session.user != link.user => {
            last_device_warning(site, visitor, &session).await
        }
        _ => Ok(String::new()),
    }
}

/// `POST /auth/login` with a link code: joins its user, or signs in for it.
async fn login_by_link(State(site): Shared, visitor: Visitor, Form(request): Form<LoginRequest>) -> Response {
    if let Some(refused) = site.refuse_foreign(&visitor) {
        return refused;
    }
    let back = return_to(request.return_to.as_deref());
    let code = request.link.unwrap_or_default();
    let back = back.to_owned();
    to_its_end(async move {
        follow(&site, &visitor, &code, &back).await.unwrap_or_else(|failure| visitor.failed(&failure))
    })
    .await
}

async fn follow(site: &Site, visitor: &Visitor, code: &str, back: &str) -> Result<Response, Failure> {
    let Link { user, purpose, .. } = site.accounts.take_link(code).await?.ok_or(Failure::Unknown)?;
    match purpose {
        Purpose::Device => {
            let made = site.accounts.join(&user, visitor.device()).await?;
            signed_in(site, visitor, &made, back).await
        }
        // Whoever is signed in stays so: a link that fell into other hands changes no account.
        Purpose::SignIn if site.accounts.is_linked(&user).await? => Ok(done(visitor)),
        Purpose::SignIn => begin(site, visitor, back, For::Elsewhere(&user)),
    }
}

/// The end of a sign-in for a user who calls by other means.
fn done(visitor: &Visitor) -> Response {
    if visitor.is_program() {
        return json(StatusCode::OK, json!({ "signed_in": true }));
    }
    visitor.page("linked", visitor.paragraph("linked-back")).respond()
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Callback {
    code: Option<String>,
    state: Option<String>,
    error: Option<String>,
}

/// `GET /auth/callback?code&state`: where Kroger sends the browser back to.
async fn callback(State(site): Shared, visitor: Visitor, Query(request): Query<Callback>) -> Response {
    to_its_end(async move {
        let mut response = match &request.error {
            Some(error) => not_allowed(&visitor, error),
            None => {
                finish(&site, &visitor, &request).await.unwrap_or_else(|failure| visitor.failed(&failure))
            }
        };
        // Whatever became of it, it is over.
        if let Some(state) = &request.state {
            site.set_cookie(&mut response, &login_cookie(&site, state), "", 0);
        }
        response
    })
    .await
}

/// The cookie of the sign-in that goes by `state`.
fn login_cookie(site: &Site, state: &str) -> String {
    format!("{}{}", site.settings.login_cookie(), mark(state))
}

/// Goes on where the browser goes away: a code that was spent is worth its tokens, and what was done is written down.
async fn to_its_end(work: impl Future<Output = Response> + Send + 'static) -> Response {
    tokio::spawn(work).await.unwrap_or_else(|error| {
        tracing::error!(%error, "a request of the sign-in broke off");
        StatusCode::INTERNAL_SERVER_ERROR.into_response()
    })
}

async fn finish(site: &Site, visitor: &Visitor, request: &Callback) -> Result<Response, Failure> {
    let (Some(code), Some(state)) = (&request.code, &request.state) else { return Err(Failure::Unknown) };
    let kept = visitor.cookie(&login_cookie(site, state)).ok_or(Failure::Unknown)?;
    let begun = site.accounts.take_login(state, kept).await?;
    taken(site, visitor, begun, code).await
}

async fn taken(site: &Site, visitor: &Visitor, mut begun: Begun, code: &str) -> Result<Response, Failure> {
    let session = site.session_of(visitor).await?;
    // Somebody has signed in on this device meanwhile, and stays who it is: the last session of a user takes all that is kept along.
    if let Some(session) = session.filter(|session| begun.replaces(&session.user)) {
        if begun.user().is_some() || site.accounts.is_linked(&session.user).await? {
            return Ok(stay(site, visitor, &session, &begun.return_to));
        }
        begun = begun.of(&session.user);
    }
    match site.accounts.finish_login(&site.settings, &begun, code, visitor.device()).await? {
        Some(made) => signed_in(site, visitor, &made, &begun.return_to).await,
        None if begun.return_to.is_empty() => Ok(done(visitor)),
        None => Ok(go_to(&begun.return_to)),
    }
}

/// The session goes to its device: as a cookie always, and in the answer to whoever has use for it there.
async fn signed_in(site: &Site, visitor: &Visitor, made: &Made, back: &str) -> Result<Response, Failure> {
    // The device cannot use its old session any more.
    if let Some(old) = site.session_of(visitor).await? {
        site.accounts.end_session(&old).await?;
    }
    let mut response = if visitor.is_program() {
        told_session(made)
    } else if back.is_empty() {
        let body = visitor.paragraph("signed-in-back") + &shown_session(visitor, made);
        visitor.page("signed-in", body).respond()
    } else {
        go_to(back)
    };
    site.set_session(&mut response, &made.id, SESSION_SECONDS);
    Ok(response)
}

fn not_allowed(visitor: &Visitor, error: &str) -> Response {
    if error == "access_denied" {
        return visitor.refuse(StatusCode::FORBIDDEN, "denied");
    }
    visitor.refuse_saying(error)
}

/// Kroger's pages show refusals glued to the redirect address, without the `?`.
async fn broken_callback(visitor: Visitor, Path(tail): Path<String>) -> Response {
    match tail.strip_prefix("callbackerror=") {
        Some(rest) => not_allowed(&visitor, rest.split('&').next().unwrap_or_default()),
        None => visitor.refuse(StatusCode::NOT_FOUND, "no-page"),
    }
}

/// `GET /auth/logout`: signs out where a page of ours sent the browser; asks anybody else, since a picture on a foreign page could
/// ask for it too.
async fn logout(State(site): Shared, visitor: Visitor) -> Response {
    let is_fetched_ahead = visitor.header("sec-purpose").is_some();
    let next = if site.is_own(&visitor) == Some(true) && !is_fetched_ahead {
        end(&site, &visitor).await
    } else {
        ask(&site, &visitor).await
    };
    next.unwrap_or_else(|error| visitor.tool_failed(&error))
}

async fn last_device_warning(site: &Site, visitor: &Visitor, session: &Session) -> Result<String, ToolError> {
    let accounts = &site.accounts;
    let is_last =
        accounts.devices(&session.user).await? <= 1 && accounts.is_of_browsers(&session.user).await?;
    Ok(if is_last { visitor.paragraph("last-device") } else { String::new() })
}

async fn ask(site: &Site, visitor: &Visitor) -> Result<Response, ToolError> {
    let Some(session) = site.session_of(visitor).await? else { return Ok(signed_out(visitor, false)) };
    let warning = last_device_warning(site, visitor, &session).await?;
    Ok(visitor.page("sign-out-sure", warning + &visitor.button("logout", "sign-out", "")).respond())
}

/// `POST /auth/logout`.
async fn confirmed_logout(State(site): Shared, visitor: Visitor) -> Response {
    if let Some(refused) = site.refuse_foreign(&visitor) {
        return refused;
    }
    to_its_end(async move { end(&site, &visitor).await.unwrap_or_else(|error| visitor.tool_failed(&error)) })
        .await
}

async fn end(site: &Site, visitor: &Visitor) -> Result<Response, ToolError> {
    let is_last = match site.session_of(visitor).await? {
        Some(session) => site.accounts.end_session(&session).await?,
        None => false,
    };
    let mut response = signed_out(visitor, is_last);
    site.set_session(&mut response, "", 0);
    Ok(response)
}

fn signed_out(visitor: &Visitor, is_last: bool) -> Response {
    if visitor.is_program() {
        return json(StatusCode::OK, json!({ "signed_out": true, "last_device": is_last }));
    }
    let tokens = if is_last { visitor.paragraph("signed-out-tokens") } else { String::new() };
    visitor.page("signed-out", tokens + &visitor.paragraph("signed-out-remove")).respond()
}

/// `POST /auth/refresh`: a new token from Kroger, at most one a minute, and a session that lasts from now.
async fn refresh(State(site): Shared, visitor: Visitor) -> Response {
    if let Some(refused) = site.refuse_foreign(&visitor) {
        return refused;
    }
    to_its_end(
        async move { refreshed(&site, &visitor).await.unwrap_or_else(|error| visitor.tool_failed(&error)) },
    )
    .await
}

async fn refreshed(site: &Site, visitor: &Visitor) -> Result<Response, ToolError> {
    let session = site.signed_in_session(visitor).await?;
    let token_ends = site.accounts.renew_on_request(&session.user).await?;
    let token_ends = token_ends.ok_or_else(|| site.sign_in("the sign-in at Kroger has ended"))?;
    let session = site.accounts.prolonged(session).await?;
    let body = json!({ "expires_at": moment(session.expires_at), "token_expires_at": moment(token_ends) });
    let mut response = json(StatusCode::OK, body);
    if let Some(id) = visitor.cookie(site.settings.session_cookie()) {
        site.set_session(&mut response, id, SESSION_SECONDS);
    }
    Ok(response)
}

/// `POST /auth/link`: a code by which a further device joins this user, good once and for ten minutes.
async fn link(State(site): Shared, visitor: Visitor) -> Response {
    if let Some(refused) = site.refuse_foreign(&visitor) {
        return refused;
    }
    linked(&site, &visitor).await.unwrap_or_else(|error| visitor.tool_failed(&error))
}

async fn linked(site: &Site, visitor: &Visitor) -> Result<Response, ToolError> {
    let session = site.signed_in_session(visitor).await?;
    let made = site.accounts.make_link(&session.user, Purpose::Device)?;
    site.accounts.note("device_link_made", &session.user, &[]).await;
    let url = site.settings.link_url(&made.code);
    Ok(json(
        StatusCode::OK,
        json!({ "code": made.code, "login_url": url, "expires_at": moment(made.expires_at) }),
    ))
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
}
