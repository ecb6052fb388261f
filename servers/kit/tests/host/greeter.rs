//! The smallest server: one tool that greets, a page that shows the greeting, and a path of its own.

use std::{net::SocketAddr, num::NonZeroU32, sync::Arc};

use portico_kit::{
    About, Caller, Component, Hosting, RestRoute, Server, Serving, ToolCall, component, host_on,
    tool::{self, Answer, Effect, ToolError, define},
};
use rmcp::{
    ClientLifecycleMode, ClientServiceExt, RoleClient,
    model::{ProtocolVersion, Tool},
    service::RunningService,
    transport::{StreamableHttpClientTransport, streamable_http_client::StreamableHttpClientTransportConfig},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::{
    net::TcpListener,
    sync::{Notify, watch},
};
use tokio_util::sync::{CancellationToken, DropGuard};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Request {
    /// Whom to greet.
    name: String,
    /// Session of who greets.
    #[serde(rename = "session_id")]
    _session: Option<String>,
    /// How to greet.
    #[serde(default, rename = "manner")]
    _manner: Manner,
    /// Words of welcome.
    words: Option<String>,
    /// How often.
    times: Option<i32>,
    /// Whether to shout.
    loudly: Option<bool>,
    /// Degrees.
    warmth: Option<f64>,
}

/// A definition within a definition, as schemas of servers have them.
#[derive(Default, Serialize, Deserialize, JsonSchema)]
struct Manner {
    inner: Option<Inner>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Inner {
    outward: Option<Vec<Outward>>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Outward {
    gesture: Option<Gesture>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Gesture {
    hands: Option<Vec<Hand>>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Hand {
    fingers: Option<Vec<Finger>>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
enum Finger {
    Thumb,
    Other,
}

#[derive(Serialize, JsonSchema)]
struct Greeting {
    greeting: String,
    subject: Option<String>,
    has_session: bool,
    correlation: String,
    words: Option<String>,
    times: Option<i32>,
    loudly: Option<bool>,
    warmth: Option<f64>,
}

static PAGES: [Component; 1] =
    [Component::new("greeting", "Greeting", "<!doctype html><title>Greeting</title>")
        .with_resource_domains(&["https://pictures.example"])];

pub struct Greeter {
    tools: Vec<Tool>,
    /// Whoever greets the sleeper waits until it is woken.
    pub awake: Notify,
    /// Told when a greeting of the sleeper begins, and when it has ended.
    pub sleeper: watch::Sender<&'static str>,
}

impl Default for Greeter {
    fn default() -> Self {
        let tool = define::<Request, Greeting>("greet", "Greet", "Greets somebody.", Effect::Reads);
        let tools = vec![component::shown_by(tool, &PAGES[0])];
        Self { tools, awake: Notify::new(), sleeper: watch::Sender::new("alone") }
    }
}

impl Server for Greeter {
    fn about(&self) -> About {
        About { name: "greeter", title: "Greeter", version: "1.0.0", instructions: "Greets." }
    }

    fn tools(&self) -> &[Tool] {
        &self.tools
    }

    fn components(&self) -> &[Component] {
        &PAGES
    }

    fn rest(&self) -> Vec<RestRoute> {
        let method = http::Method::GET;
        vec![RestRoute {
            method,
            path: "/greetings/{name}",
            tool: "greet",
            fixed: rmcp::model::JsonObject::default(),
            summary: "Greets.",
        }]
    }

    fn session_cookie(&self) -> Option<&str> {
        Some("greeter_session")
    }

    /// It knows two sessions.
    async fn identify(&self, caller: &Caller) -> Result<Option<Arc<str>>, ToolError> {
        let session = caller.session.as_ref().map(|session| session.expose().into());
        Ok(session
            .filter(|session: &Arc<str>| ["a", "b"].contains(&session.as_ref()))
            .or(caller.subject.clone()))
    }

    async fn call(&self, call: ToolCall) -> Result<Answer, ToolError> {
        let request: Request = tool::arguments(Some(call.arguments))?;
        match request.name.as_str() {
            "nobody" => return Err(ToolError::NotFound("there is nobody".to_owned())),
            "a stranger" => {
                let url = Some("https://greeter.example/auth/login".to_owned());
                return Err(ToolError::SignIn { problem: "only friends are greeted".to_owned(), url });
            }
            "the ghost" => return Err(ToolError::Away("no connection to the graveyard".to_owned())),
            "the hangman" => panic!("the rope broke at ada@example.com"),
            "the sleeper" => {
                self.sleeper.send_replace("greeted");
                self.awake.notified().await;
                self.sleeper.send_replace("awake");
            }
            "the baker" => panic!("the oven is cold"),
            _ => {}
        }
        let greeting = Greeting {
            greeting: format!("Hello, {}!", request.name),
            subject: call.caller.subject.as_deref().map(str::to_owned),
            has_session: call.caller.session.is_some(),
            correlation: call.correlation.to_string(),
            words: request.words,
            times: request.times,
            loudly: request.loudly,
            warmth: request.warmth,
        };
        Answer::new(greeting.greeting.clone(), &greeting)
    }
}

/// Sessions that a greeter has at once.
pub const MOST_SESSIONS: usize = 20;

pub struct World {
    pub address: SocketAddr,
    pub http: reqwest::Client,
    pub greeter: Arc<Greeter>,
    _stop: DropGuard,
}

pub async fn world() -> World {
    world_with(Hosting::default()).await
}

pub async fn world_with(hosting: Hosting) -> World {
    rustls::crypto::ring::default_provider().install_default().ok();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let serving = Serving { max_body_bytes: 10_000, max_sessions: MOST_SESSIONS, ..Serving::default() };
    let greeter = Arc::new(Greeter::default());
    tokio::spawn(host_on(listener, Arc::clone(&greeter), hosting, serving, stop.clone()));
    World { address, http: reqwest::Client::new(), greeter, _stop: stop.drop_guard() }
}

pub fn calls_a_minute(number: u32) -> Hosting {
    Hosting { per_minute: NonZeroU32::new(number), ..Hosting::default() }
}

impl World {
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub async fn greet(&self, name: &str) -> reqwest::Response {
        self.http.post(self.url("/tools/greet")).json(&json!({ "name": name })).send().await.unwrap()
    }

    pub async fn client(&self, modern: bool) -> RunningService<RoleClient, ()> {
        let config = StreamableHttpClientTransportConfig::with_uri(self.url("/mcp"));
        let transport = StreamableHttpClientTransport::with_client(self.http.clone(), config);
        let mode = if modern {
            ClientLifecycleMode::Discover { preferred_versions: vec![ProtocolVersion::V_2026_07_28] }
        } else {
            ClientLifecycleMode::Initialize
        };
        ().serve_with_lifecycle(transport, mode).await.unwrap()
    }
}
