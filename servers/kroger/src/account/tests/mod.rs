//! Sign-ins and tokens against the stand-in, which lets a test lose answers, end tokens and refuse.

mod begun;
mod deletion;
mod devices;
mod languages;
mod renewal;
mod sign_in;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    num::NonZeroU32,
    sync::Arc,
    time::{Duration, Instant},
};

use portico_kit::{
    Caller, Environment, Messages, Metrics, Secret, Store, StoreConfig,
    audit_log::AuditLog,
    seal::Sealer,
    upstream::{Client, Policy, Retry, Strategy},
};
use portico_services::Postgres;
use portico_standins::kroger::{self as standin, Credentials};
use reqwest::{Response, redirect};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use portico_kit::tool::ToolError;

use super::{Accounts, MESSAGES, MIGRATIONS, Settings, User, Who};

/// Longest wait for anything that must happen.
const PATIENCE: Duration = Duration::from_mins(1);

/// Which database a test runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum On {
    Memory,
    File,
    Postgres,
}

struct World {
    standin: SocketAddr,
    site: SocketAddr,
    accounts: Accounts,
    /// The same users in another process.
    replica: Accounts,
    store: Store,
    http: reqwest::Client,
    _stop: DropGuard,
    _folder: tempfile::TempDir,
    _postgres: Option<Postgres>,
}

fn settings(base: &str, redirect: &str) -> Settings {
    Settings {
        client_id: "standin-client".to_owned(),
        client_secret: Secret::new("standin-secret".to_owned()).into(),
        redirect: redirect.parse().unwrap(),
        authorize: format!("{base}/v1/connect/oauth2/authorize").parse().unwrap(),
        scopes: "cart.basic:write profile.compact".to_owned(),
    }
}

async fn open(url: &str) -> Store {
    let lookup = |name: &str| (name == "DATABASE_URL").then(|| url.to_owned());
    Store::open(&StoreConfig::from_env(&Environment::new(&lookup)).unwrap(), &MIGRATIONS).await.unwrap()
}

fn accounts(settings: &Settings, base: &str, store: &Store, sealer: &Sealer) -> Accounts {
    let metrics = Arc::new(Metrics::default());
    let policy = Policy {
        attempt_timeout: Duration::from_secs(20),
        retry: Retry { strategy: Strategy::Fixed(Duration::from_millis(5)), ..Retry::default() },
        per_minute: NonZeroU32::new(60_000).unwrap(),
        ..Policy::default()
    };
    let client =
        Client::new("Kroger", base.parse().unwrap(), policy, |_| None, Arc::clone(&metrics)).unwrap();
    let audit = AuditLog::new(store, &metrics, 30);
    let messages = Messages::new(&MESSAGES).unwrap();
    Accounts::new(Some(settings.clone()), client, (store.clone(), sealer.clone()), audit, messages)
}

async fn world(on: On) -> World {
    rustls::crypto::ring::default_provider().install_default().ok();
    let stop = CancellationToken::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let standin_at = listener.local_addr().unwrap();
    tokio::spawn(standin::run_on(listener, Credentials::from_env(&|_| None), stop.clone()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let site = listener.local_addr().unwrap();
    let base = format!("http://{standin_at}");
    let settings = settings(&base, &format!("http://{site}/auth/callback"));

    let folder = tempfile::tempdir().unwrap();
    let postgres = if on == On::Postgres { Some(Postgres::start(&[]).await.unwrap()) } else { None };
    let url = match &postgres {
        Some(postgres) => postgres.url("postgres"),
        None => format!("sqlite:{}", folder.path().join("data.db").display()),
    };
    let url = if on == On::Memory { "sqlite::memory:" } else { &url };
    let store = open(url).await;
    let other = if on == On::Memory { store.clone() } else { open(url).await };
    let sealer = Sealer::ephemeral().unwrap();
    let accounts_ = accounts(&settings, &base, &store, &sealer);
    let replica = accounts(&settings, &base, &other, &sealer);
    let app = accounts_.routes();
    let stopping = stop.clone();
    tokio::spawn(async move {
        axum::serve(listener, app).with_graceful_shutdown(stopping.cancelled_owned()).await
    });
    World {
        standin: standin_at,
        site,
        accounts: accounts_,
        replica,
        store,
        http: reqwest::Client::builder().redirect(redirect::Policy::none()).build().unwrap(),
        _stop: stop.drop_guard(),
        _folder: folder,
        _postgres: postgres,
    }
}

/// A browser: it keeps cookies, and says which site sent it.
#[derive(Clone, Default)]
struct Browser {
    cookies: BTreeMap<String, String>,
    /// What `Set-Cookie` said last, by name.
    attributes: BTreeMap<String, String>,
}

impl Browser {
    fn take_cookies(&mut self, response: &Response) {
        for line in response.headers().get_all("set-cookie") {
            let line = line.to_str().unwrap();
            let (pair, attributes) = line.split_once("; ").unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            self.attributes.insert(name.to_owned(), attributes.to_owned());
            if attributes.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
    }

    fn session(&self) -> Option<&String> {
        self.cookies.get("portico_session")
    }

    /// Who calls with this browser's session.
    async fn who(&self, world: &World) -> Who {
        let session = self.session().map(|id| Secret::new(id.clone()));
        world.accounts.who_calls(&Caller { session, ..Caller::default() }).await.unwrap()
    }
}

impl Accounts {
    async fn who_calls(&self, caller: &Caller) -> Result<Who, ToolError> {
        self.who(self.user(caller).await?)
    }
}

impl World {
    fn url(&self, path: &str) -> String {
        if path.starts_with("http") { path.to_owned() } else { format!("http://{}{path}", self.site) }
    }

    async fn send(
        &self,
        browser: &mut Browser,
        (method, path): (&str, &str),
        headers: &[(&str, &str)],
        form: &[(&str, &str)],
    ) -> Response {
        let cookies: Vec<String> =
            browser.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut request = self.http.request(method.parse().unwrap(), self.url(path));
        request = request.header("cookie", cookies.join("; "));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = if method == "POST" { request.form(form) } else { request };
        let response = request.send().await.unwrap();
        browser.take_cookies(&response);
        response
    }

    async fn get(&self, browser: &mut Browser, path: &str, headers: &[(&str, &str)]) -> Response {
        self.send(browser, ("GET", path), headers, &[]).await
    }

    async fn post(&self, browser: &mut Browser, path: &str, form: &[(&str, &str)]) -> Response {
        self.send(browser, ("POST", path), &[("sec-fetch-site", "same-origin")], form).await
    }

    /// Where Kroger sends a browser that was sent there.
    async fn consent(&self, sent: &Response) -> String {
        location(&self.http.get(location(sent)).send().await.unwrap())
    }

    async fn sign_in(&self, browser: &mut Browser) -> Response {
        let sent = self.get(browser, "/auth/login", &[]).await;
        let back = self.consent(&sent).await;
        self.get(browser, &back, &[]).await
    }

    async fn user(&self) -> User {
        let mut browser = Browser::default();
        assert_eq!(self.sign_in(&mut browser).await.status(), 200);
        browser.who(self).await.user.unwrap()
    }

    async fn at_standin(&self, method: &str, path: &str, body: Value) -> Value {
        let url = format!("http://{}/_standin/{path}", self.standin);
        let response = self.http.request(method.parse().unwrap(), url).json(&body).send().await.unwrap();
        assert!(response.status().is_success(), "{}", response.status());
        response.json().await.unwrap_or_default()
    }

    async fn set(&self, settings: Value) {
        self.at_standin("POST", "settings", settings).await;
    }

    async fn fault(&self, fault: Value) {
        self.at_standin("POST", "faults", fault).await;
    }

    /// How often tokens were asked for.
    async fn asked(&self) -> u64 {
        self.at_standin("GET", "requests", json!({})).await["POST /v1/connect/oauth2/token"]
            .as_u64()
            .unwrap_or(0)
    }

    async fn sql(&self, statement: &'static str) {
        sqlx::query(statement).execute(self.store.write()).await.unwrap();
    }

    async fn count(&self, statement: &'static str) -> i64 {
        sqlx::query_scalar(statement).fetch_one(self.store.write()).await.unwrap()
    }
}

fn location(response: &Response) -> String {
    assert!(response.status().is_redirection(), "{}", response.status());
    response.headers()["location"].to_str().unwrap().to_owned()
}

async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so().await {
        assert!(Instant::now() < deadline, "{what}");
        tokio::task::yield_now().await;
    }
}
