//! A cluster with operator and gateways, and servers that tell what they do.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::Request;
use portico_cluster::{Error, Way, wait_for};
use portico_e2e::cluster::{Part, World};
use serde_json::{Value, json};

/// Two cores that also build something else need a minute.
pub const PATIENCE: Duration = Duration::from_mins(2);

/// Between two looks at replicas.
const LOOKS: Duration = Duration::from_millis(100);

/// The node's own address, of which the pods' network has others.
const NODE: &str = "198.18.0.1";

/// What servers have told.
#[derive(Default)]
pub struct Told {
    /// How often each call was carried out.
    pub calls: BTreeMap<u64, usize>,
    /// When a pod came to listen, by its name.
    pub listening: BTreeMap<String, Instant>,
}

/// The pods' network has room for one cluster.
static ROOM: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

pub struct Stage {
    pub world: World,
    pub told: Arc<Mutex<Told>>,
    pub http: reqwest::Client,
    servers: Mutex<BTreeSet<String>>,
    recorder: String,
    parts: BTreeMap<String, Part>,
    ports: BTreeMap<String, u16>,
    /// Kept until everything else has ended.
    _room: tokio::sync::MutexGuard<'static, ()>,
}

async fn record(State(told): State<Arc<Mutex<Told>>>, body: String) {
    let message: Value = serde_json::from_str(&body).unwrap();
    let mut told = told.lock().unwrap();
    if let Some(number) = message["number"].as_u64() {
        *told.calls.entry(number).or_default() += 1;
    }
    if let Some(pod) = message["listening"].as_str() {
        told.listening.insert(pod.to_owned(), Instant::now());
    }
}

async fn recorder(told: Arc<Mutex<Told>>) -> String {
    let listener = tokio::net::TcpListener::bind("0.0.0.0:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let router = Router::new().fallback(record).with_state(told);
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://127.0.0.1:{port}/")
}

pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Stage {
    /// A cluster with an operator, and no gateway yet.
    pub async fn start() -> Self {
        let room = ROOM.lock().await;
        let images = [("slow", Path::new(env!("CARGO_BIN_EXE_slow-server")))];
        let world = World::start("scaling", &images).await.unwrap();
        world.define().await.unwrap();
        world.give_rights("portico-operator", ("operator/rbac.yaml", &["portico-operator"])).await.unwrap();
        let roles = ["portico-gateway", "portico-gateway-lease"];
        world.give_rights("portico-gateway", ("gateway/rbac.yaml", &roles)).await.unwrap();
        let told = Arc::<Mutex<Told>>::default();
        let recorder = recorder(Arc::clone(&told)).await;
        std::fs::write(world.folder.path().join("keys"), "0a".repeat(32)).unwrap();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut stage = Self {
            world,
            told,
            http,
            servers: Mutex::default(),
            recorder,
            parts: BTreeMap::new(),
            ports: BTreeMap::new(),
            _room: room,
        };
        stage.operate();
        stage
    }

    /// Starts the operator.
    pub fn operate(&mut self) {
        let listen = format!("127.0.0.1:{}", free_port());
        let arguments = ["operator", "--no-leader-election", "--kinds", "mcpservers", "--listen", &listen];
        let part = Part::start(&self.world, "portico-operator", &arguments).unwrap();
        self.parts.insert("portico-operator".into(), part);
    }

    /// Starts a gateway; its URL.
    pub fn serve(&mut self, name: &str) -> String {
        self.serve_by(name, None)
    }

    /// The same, which reaches the API server by `way`.
    pub fn serve_by(&mut self, name: &str, way: Option<&Way>) -> String {
        let port = free_port();
        let (listen, peer_url) = (format!("0.0.0.0:{port}"), format!("http://{NODE}:{port}"));
        let keys = self.world.folder.path().join("keys");
        let arguments = [
            "gateway",
            "--listen",
            &listen,
            "--lease-namespace",
            self.world.namespace.name(),
            "--peer-url",
            &peer_url,
            "--peer-service",
            "gateways",
            "--session-keys-file",
            keys.to_str().unwrap(),
        ];
        let part = Part::start_as(&self.world, (name, "portico-gateway", way), &arguments).unwrap();
        self.parts.insert(name.to_owned(), part);
        self.ports.insert(name.to_owned(), port);
        format!("http://127.0.0.1:{port}/mcp")
    }

    /// Tells the cluster of a gateway, as it would find out about a pod of one.
    pub async fn announce(&self, name: &str) {
        let slice = json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": { "name": name, "labels": { "kubernetes.io/service-name": "gateways" } },
            "endpoints": [{ "addresses": [NODE], "conditions": { "ready": true, "serving": true } }],
            "ports": [{ "name": "http", "port": self.ports[name] }],
        });
        self.world.apply(&slice).await.unwrap();
    }

    /// Kills a part.
    pub fn kill(&mut self, name: &str) {
        self.parts.remove(name).unwrap().kill();
    }

    /// A server with this `scaling` that takes `start` milliseconds to start.
    pub async fn apply(&self, name: &str, start: u64, scaling: Value) {
        let variable = |name: &str, value: String| json!({ "name": name, "value": value });
        let server = json!({
            "apiVersion": "portico.dev/v1alpha1", "kind": "McpServer", "metadata": { "name": name },
            "spec": {
                "source": { "image": { "name": "slow" } },
                "env": [variable("START_MS", start.to_string()), variable("RECORDER", self.recorder.clone())],
                "scaling": scaling,
            },
        });
        self.world.apply(&server).await.unwrap();
        self.servers.lock().unwrap().insert(name.to_owned());
    }

    /// Calls the tool of a server at the gateway at `url`; the HTTP status and the answer.
    pub async fn call(&self, url: &str, (server, number, ms): (&str, u64, u64)) -> (u16, Value) {
        let name = self.tool_of(server);
        let params = json!({ "name": name, "arguments": { "number": number, "ms": ms },
            "_meta": { "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientCapabilities": {},
                "io.modelcontextprotocol/clientInfo": { "name": "t", "version": "1" } } });
        let body = json!({ "jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params });
        let request = self.http.post(url).header("accept", "application/json, text/event-stream");
        let request =
            request.header("content-type", "application/json").header("mcp-protocol-version", "2026-07-28");
        let request = request.header("mcp-method", "tools/call").header("mcp-name", &name);
        let response = request.body(body.to_string()).send().await.unwrap();
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        let last =
            text.lines().rev().find_map(|line| line.strip_prefix("data: ")).unwrap_or(&text).to_owned();
        (status, serde_json::from_str(&last).unwrap_or(Value::String(last)))
    }

    /// When a pod came to listen, and how many have so far.
    pub fn listening(&self, pod: &str) -> (Instant, usize) {
        let told = self.told.lock().unwrap();
        (told.listening[pod], told.listening.len())
    }

    /// Waits for something about an object, as `kubectl get --output jsonpath=PATH` shows it.
    pub async fn until(&self, object: &str, path: &str, wanted: impl Fn(&str) -> bool) -> String {
        let output = format!("jsonpath={path}");
        let found = wait_for(&format!("{object} {path}"), PATIENCE, async || {
            let said = self.world.kubectl(&["get", object, "--output", &output]).await;
            let said = said.unwrap_or_else(|error| error.to_string());
            if wanted(&said) { Ok(Some(said)) } else { Err(said) }
        })
        .await;
        match found {
            Ok(said) => said,
            Err(error) => {
                panic!("{error}\n{}", self.world.cluster.diagnose(self.world.namespace.name()).await)
            }
        }
    }

    /// Waits until a server is to have so many replicas. Asked without a process for each look: many servers may be waited for at once.
    pub async fn until_replicas(&self, server: &str, replicas: usize) {
        let (client, namespace) = (self.world.cluster.client().unwrap(), self.world.namespace.name());
        let path = format!("/apis/apps/v1/namespaces/{namespace}/deployments/{server}-mcp/scale");
        let found = wait_for(&format!("{replicas} replicas of {server}"), PATIENCE, async || {
            let request = Request::get(&path).body(Vec::new()).map_err(|error| error.to_string())?;
            let scale: Value = client.request(request).await.map_err(|error| error.to_string())?;
            if scale["spec"]["replicas"].as_u64().unwrap_or_default() == replicas as u64 {
                return Ok(Some(()));
            }
            tokio::time::sleep(LOOKS).await;
            Err(scale.to_string())
        })
        .await;
        if let Err(error) = found {
            panic!("{error}\n{}", self.world.cluster.diagnose(namespace).await);
        }
    }

    /// Waits until the gateway at `url` lists the tool of each server.
    pub async fn until_listed(&self, url: &str, servers: &[&str]) {
        let base = url.trim_end_matches("/mcp").to_owned();
        wait_for("the tools of all servers", PATIENCE, async || {
            let text = match self.http.get(format!("{base}/metrics")).send().await {
                Ok(answer) => answer.text().await.unwrap_or_default(),
                Err(_) => String::new(),
            };
            let listed = |server: &&str| {
                text.contains(&format!(
                    "portico_gateway_catalog_tools{{namespace=\"{}\",server=\"{server}\"}} 1",
                    self.world.namespace.name()
                ))
            };
            // They are counted a moment before clients see them.
            let is_there = servers.iter().all(listed) && self.shows(url, servers).await;
            Ok::<_, Error>(is_there.then_some(()))
        })
        .await
        .unwrap();
    }

    /// Whether clients see the tools of these servers.
    async fn shows(&self, url: &str, servers: &[&str]) -> bool {
        let params = json!({ "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
            "io.modelcontextprotocol/clientInfo": { "name": "t", "version": "1" } } });
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": params });
        let request = self.http.post(url).header("accept", "application/json, text/event-stream");
        let request =
            request.header("content-type", "application/json").header("mcp-protocol-version", "2026-07-28");
        let Ok(answer) = request.header("mcp-method", "tools/list").body(body.to_string()).send().await
        else {
            return false;
        };
        let text = answer.text().await.unwrap_or_default();
        servers.iter().all(|server| text.contains(&format!("\"{}\"", self.tool_of(server))))
    }

    /// A name gets its server before it only where two servers have it.
    fn tool_of(&self, server: &str) -> String {
        let clashes = self.servers.lock().unwrap().len() > 1;
        if clashes { format!("{server}__work") } else { "work".to_owned() }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for name in self.parts.keys() {
                let log = std::fs::read_to_string(self.world.log_of(name)).unwrap_or_default();
                let last: Vec<&str> = log.lines().rev().take(40).collect();
                eprintln!("--- {name}\n{}", last.into_iter().rev().collect::<Vec<_>>().join("\n"));
            }
        }
    }
}
