//! The server and the stand-in in the place of Kroger, both running, and customers who have signed in.

#![allow(dead_code, reason = "each test program takes its part")]

use std::{
    net::SocketAddr,
    num::NonZeroU32,
    time::{Duration, Instant},
};

use portico_kit::upstream::{Policy, Retry, Strategy};
use portico_kroger::{Config, run_on};
use portico_services::{Postgres, Redis};
use portico_standins::kroger::{self as standin, Credentials};
use reqwest::{Method, Response, StatusCode, header, redirect};
use rmcp::{
    ClientLifecycleMode, ClientServiceExt, RoleClient,
    model::{CallToolRequestParams, CallToolResult, ProtocolVersion},
    service::RunningService,
    transport::{StreamableHttpClientTransport, streamable_http_client::StreamableHttpClientTransportConfig},
};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

pub const STORE: &str = "01400376";
pub const MILK: &str = "0001111041700";
/// No more than four of it can be ordered.
pub const AVOCADO: &str = "0009999041854";
pub const EGGS: &str = "0009999041742";

/// Where a world keeps its data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum On {
    #[default]
    File,
    Postgres,
}

/// A running stand-in, and servers in front of it.
pub struct World {
    pub standin: SocketAddr,
    pub servers: Vec<SocketAddr>,
    pub http: reqwest::Client,
    pub folder: tempfile::TempDir,
    pub postgres: Option<Postgres>,
    pub redis: Option<Redis>,
    stop: CancellationToken,
    _stop: DropGuard,
}

/// What a world is made of.
#[derive(Clone, Copy)]
pub struct Plan<'a> {
    pub on: On,
    pub redis: bool,
    pub replicas: usize,
    /// Variables that go before those of every world.
    pub variables: &'a [(&'a str, &'a str)],
    /// How long Kroger may take to answer. What is given up too early is asked twice, so it is longer than a busy machine takes, but for
    /// tests of just that.
    pub attempt: Duration,
}

/// Longest wait for anything that must happen.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// Waits until `is_so` holds.
pub async fn eventually(what: &str, is_so: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so().await {
        assert!(Instant::now() < deadline, "never came: {what}");
        tokio::task::yield_now().await;
    }
}

/// Where Kroger is too slow.
pub const SLOW: Duration = Duration::from_secs(3);

impl Default for Plan<'_> {
    fn default() -> Self {
        Self { on: On::File, redis: false, replicas: 1, variables: &[], attempt: Duration::from_secs(20) }
    }
}

/// Bounds that do not make tests wait.
fn quick(attempt_timeout: Duration) -> Policy {
    Policy {
        attempt_timeout,
        call_timeout: Duration::from_mins(1),
        retry: Retry { strategy: Strategy::Fixed(Duration::from_millis(5)), ..Retry::default() },
        per_minute: NonZeroU32::new(60_000).unwrap(),
        ..Policy::default()
    }
}

pub async fn world() -> World {
    World::start(Plan::default()).await
}

impl World {
    pub async fn start(plan: Plan<'_>) -> Self {
        rustls::crypto::ring::default_provider().install_default().ok();
        let stop = CancellationToken::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let standin = listener.local_addr().unwrap();
        tokio::spawn(standin::run_on(listener, Credentials::from_env(&|_| None), stop.clone()));
        let mut world = Self {
            standin,
            servers: Vec::new(),
            http: reqwest::Client::builder().redirect(redirect::Policy::none()).build().unwrap(),
            folder: tempfile::tempdir().unwrap(),
            postgres: if plan.on == On::Postgres { Some(Postgres::start(&[]).await.unwrap()) } else { None },
            redis: if plan.redis { Some(Redis::start(&[]).await.unwrap()) } else { None },
            _stop: stop.clone().drop_guard(),
            stop,
        };
        for _ in 0..plan.replicas {
            world.serve(plan).await;
        }
        world
    }

    /// Starts one more replica.
    pub async fn serve(&mut self, plan: Plan<'_>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let environment = self.environment(address, plan.variables);
        let lookup =
            |name: &str| environment.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        let config = Config::from_env(&lookup).unwrap().with_policy(quick(plan.attempt));
        tokio::spawn(run_on(listener, config, self.stop.clone()));
        self.servers.push(address);
    }

    /// The variables of a server at `address`.
    pub fn environment(&self, address: SocketAddr, variables: &[(&str, &str)]) -> Vec<(String, String)> {
        let first = self.servers.first().copied().unwrap_or(address);
        let database = match &self.postgres {
            Some(postgres) => postgres.url("postgres"),
            None => format!("sqlite:{}", self.folder.path().join("kroger.db").display()),
        };
        let keyring = self.folder.path().join("keyring.json");
        if !keyring.exists() {
            std::fs::write(&keyring, KEYRING).unwrap();
        }
        let own = [
            ("KROGER_CLIENT_ID", "standin-client".to_owned()),
            ("KROGER_CLIENT_SECRET", "standin-secret".to_owned()),
            ("KROGER_BASE_URL", format!("http://{}", self.standin)),
            // All replicas are one server for browsers.
            ("KROGER_REDIRECT_URI", format!("http://{first}/auth/callback")),
            ("KROGER_LOCATION_ID", STORE.to_owned()),
            ("KROGER_KEYRING_FILE", keyring.display().to_string()),
            ("DATABASE_URL", database),
            ("MAX_REQUESTS_PER_MINUTE", "100000".to_owned()),
        ];
        let redis = self.redis.as_ref().map(|redis| ("REDIS_URL".to_owned(), redis.url()));
        let given = variables.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        given.chain(own.map(|(key, value)| (key.to_owned(), value))).chain(redis).collect()
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.servers[0])
    }

    /// Switches something at the stand-in.
    pub async fn switch(&self, method: Method, path: &str, body: Value) {
        let request =
            self.http.request(method, format!("http://{}/_standin/{path}", self.standin)).json(&body);
        let answer = request.send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.text().await.unwrap());
    }

    pub async fn settings(&self, settings: Value) {
        self.switch(Method::POST, "settings", settings).await;
    }

    pub async fn fault(&self, fault: Value) {
        self.switch(Method::POST, "faults", fault).await;
    }

    /// What the stand-in tells of itself.
    pub async fn look(&self, path: &str) -> Value {
        let answer = self.http.get(format!("http://{}/_standin/{path}", self.standin)).send().await.unwrap();
        answer.json().await.unwrap()
    }

    /// Products and quantities in a customer's cart at the stand-in.
    pub async fn cart_of(&self, customer: &str) -> Value {
        let carts = self.look("carts").await;
        let lines = carts[customer].as_array().cloned().unwrap_or_default();
        lines
            .iter()
            .map(|line| (line["upc"].as_str().unwrap().to_owned(), line["quantity"].clone()))
            .collect()
    }

    /// The lines of a customer's cart at the stand-in: product, quantity and way.
    pub async fn lines_of(&self, customer: &str) -> Value {
        let carts = self.look("carts").await;
        let lines = carts[customer].as_array().cloned().unwrap_or_default();
        lines.iter().map(|line| json!([line["upc"], line["quantity"], line["modality"]])).collect()
    }

    /// Sets preferences of whoever has this session; the profile with them.
    pub async fn prefers(&self, session: &str, preferences: Value) -> Value {
        let update = json!({ "session_id": session, "action": "update", "preferences": preferences });
        self.ok("user_profile", update).await
    }

    /// How often the stand-in was asked for what begins with `path`.
    pub async fn asked(&self, path: &str) -> u64 {
        let requests = self.look("requests").await;
        let all = requests.as_object().unwrap();
        all.iter().filter(|(key, _)| key.contains(path)).filter_map(|(_, count)| count.as_u64()).sum()
    }

    /// A customer signs in as browsers do; the id of the session.
    pub async fn sign_in(&self, customer: &str) -> String {
        self.settings(json!({ "customer": customer })).await;
        let login = self.http.get(self.url("/auth/login")).send().await.unwrap();
        let cookie =
            login.headers()[header::SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
        let consent = self.http.get(location(&login)).send().await.unwrap();
        let back = self
            .http
            .get(location(&consent))
            .header(header::COOKIE, cookie)
            .header(header::ACCEPT, "application/json");
        let session: Value = back.send().await.unwrap().json().await.unwrap();
        session["session_id"].as_str().unwrap_or_else(|| panic!("{session}")).to_owned()
    }

    /// Calls a tool by REST.
    pub async fn call(&self, tool: &str, arguments: Value) -> (StatusCode, Value) {
        let answer =
            self.http.post(self.url(&format!("/tools/{tool}"))).json(&arguments).send().await.unwrap();
        (answer.status(), answer.json().await.unwrap())
    }

    /// Calls a tool by REST that is to succeed.
    pub async fn ok(&self, tool: &str, arguments: Value) -> Value {
        let (status, body) = self.call(tool, arguments).await;
        assert_eq!(status, StatusCode::OK, "{tool}: {body}");
        body
    }

    /// Calls a tool by REST that is to fail; its problem.
    pub async fn fails(&self, tool: &str, arguments: Value, status: u16) -> Value {
        let (found, body) = self.call(tool, arguments).await;
        assert_eq!(found.as_u16(), status, "{tool}: {body}");
        body
    }

    /// The text that a model reads.
    pub async fn text(&self, tool: &str, arguments: Value) -> String {
        let request =
            self.http.post(self.url(&format!("/tools/{tool}"))).header(header::ACCEPT, "text/plain");
        request.json(&arguments).send().await.unwrap().text().await.unwrap()
    }

    pub async fn client(&self, era: Era) -> RunningService<RoleClient, ()> {
        let config = StreamableHttpClientTransportConfig::with_uri(self.url("/mcp"));
        let transport = StreamableHttpClientTransport::with_client(reqwest::Client::new(), config);
        let mode = match era {
            Era::Legacy => ClientLifecycleMode::Initialize,
            Era::Modern => {
                ClientLifecycleMode::Discover { preferred_versions: vec![ProtocolVersion::V_2026_07_28] }
            }
        };
        ().serve_with_lifecycle(transport, mode).await.unwrap()
    }
}

/// A keyring as the operator makes it.
const KEYRING: &str = r#"{"keys":[{"id":"k1","key":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=","created":"2026-01-01T00:00:00Z","usableFrom":"2026-01-01T00:00:00Z"}]}"#;

fn location(answer: &Response) -> String {
    answer.headers()[header::LOCATION].to_str().unwrap().to_owned()
}

/// How a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Era {
    Legacy,
    Modern,
}

/// Calls a tool by MCP.
pub async fn call(
    client: &RunningService<RoleClient, ()>,
    tool: &'static str,
    arguments: Value,
) -> CallToolResult {
    let arguments = arguments.as_object().unwrap().clone();
    client.call_tool(CallToolRequestParams::new(tool).with_arguments(arguments)).await.unwrap()
}
