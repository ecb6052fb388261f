//! A gateway on a free port, and a client that writes its requests by hand.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use portico_gateway::keep::Recalled;
use portico_gateway::source::{Endpoint, Kind, Server, ServerKey, Servers};
use portico_gateway::{Gateway, Options, ServerReport, ServerState};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

/// No test waits longer for something that must happen: on a busy machine all takes many times as long.
pub const PATIENCE: Duration = Duration::from_secs(90);

pub struct TestGateway {
    pub address: SocketAddr,
    pub servers: watch::Sender<Servers>,
    pub gateway: Arc<Gateway>,
    pub http: reqwest::Client,
    stop: Option<DropGuard>,
}

pub fn server(name: &str, urls: &[&str]) -> Server {
    let key = ServerKey { namespace: "shop".into(), name: name.into() };
    Server::new(key, urls.iter().map(|url| Endpoint::pod(*url)).collect())
}

pub fn http_client() -> reqwest::Client {
    rustls::crypto::ring::default_provider().install_default().ok();
    reqwest::Client::builder().no_proxy().build().unwrap()
}

impl TestGateway {
    pub async fn start(servers: Vec<Server>) -> Self {
        Self::with(Options::default(), servers).await
    }

    /// A gateway that is ready, and has spoken to each of its servers or failed to.
    pub async fn with(options: Options, servers: Vec<Server>) -> Self {
        Self::recalling(options, servers, &Recalled::new()).await
    }

    /// The same, which knows lists already.
    pub async fn recalling(options: Options, servers: Vec<Server>, recalled: &Recalled) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::on(listener, (options, servers), recalled).await
    }

    /// One of several replicas with the same session keys, which knows where it is.
    pub async fn replica(servers: Vec<Server>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer_url = Some(format!("http://{}", listener.local_addr().unwrap()));
        let options = Options { session_keys: vec![[7; 32]], peer_url, ..Options::default() };
        Self::on(listener, (options, servers), &Recalled::new()).await
    }

    /// One that is ready and may have servers that it has not heard of yet.
    pub async fn before_its_servers(options: Options, servers: Vec<Server>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::ready_on(listener, (options, servers), &Recalled::new()).await
    }

    async fn on(
        listener: TcpListener,
        (options, servers): (Options, Vec<Server>),
        recalled: &Recalled,
    ) -> Self {
        let this = Self::ready_on(listener, (options, servers), recalled).await;
        this.until_all_were_tried().await;
        this
    }

    async fn ready_on(
        listener: TcpListener,
        (options, servers): (Options, Vec<Server>),
        recalled: &Recalled,
    ) -> Self {
        let (servers, receiver) = watch::channel(Servers::from(Arc::new(servers)));
        let gateway = Arc::new(Gateway::with_lists(options, receiver, recalled).unwrap());
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let (serving, token) = (Arc::clone(&gateway), stop.clone());
        tokio::spawn(async move { serving.serve(listener, token).await });
        let http = http_client();
        let this = Self { address, servers, gateway, http, stop: Some(stop.drop_guard()) };
        this.until_ready().await;
        this
    }

    /// Begins the orderly end.
    pub fn stop(&mut self) {
        self.stop = None;
    }

    async fn until_ready(&self) {
        let ready = async || self.get("/readyz").await.0 == 200;
        eventually("the gateway is ready", ready).await;
    }

    /// Waits until each server that has endpoints was spoken to or has failed: a gateway calls itself ready after a few
    /// seconds although lists are missing, which on a busy machine may be those of good servers.
    async fn until_all_were_tried(&self) {
        let servers = Arc::clone(&self.servers.borrow());
        let has_endpoints = |server: &&Server| server.kind() == Kind::Server && !server.endpoints.is_empty();
        for server in servers.iter().filter(has_endpoints) {
            let tried = |report: &ServerReport| {
                report.key == server.key && !matches!(report.state, ServerState::Connecting)
            };
            self.until_report(&server.key.name, tried).await;
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    pub async fn get(&self, path: &str) -> (u16, String) {
        let response = self.http.get(format!("http://{}{path}", self.address)).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// Waits until the report of `name` is as `wanted` says.
    pub async fn until_report(&self, name: &str, wanted: impl Fn(&ServerReport) -> bool) -> ServerReport {
        let mut reports = self.gateway.reports();
        let found = |reports: &Arc<Vec<ServerReport>>| {
            reports.iter().find(|report| report.key.name == name && wanted(report)).cloned()
        };
        let waiting = reports.wait_for(|reports| found(reports).is_some());
        let reports =
            tokio::time::timeout(PATIENCE, waiting).await.expect("the report comes in time").unwrap();
        found(&reports).unwrap()
    }

    pub async fn until_connected(&self, name: &str) -> ServerReport {
        self.until_report(name, |report| report.state == ServerState::Connected).await
    }

    /// Waits until the catalogue shows exactly these tools.
    pub async fn until_tools(&self, wanted: &[&str]) {
        eventually(&format!("the tools are {wanted:?}"), async || self.tools().await == wanted).await;
    }

    pub async fn tools(&self) -> Vec<String> {
        self.tools_at("/mcp").await
    }

    /// The tools that the endpoint at `path` shows.
    pub async fn tools_at(&self, path: &str) -> Vec<String> {
        let (_, answer) = self.modern_at(path, "tools/list", json!({})).await;
        let tools = answer["result"]["tools"].as_array().unwrap();
        tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
    }

    /// A request of a modern client with everything it needs.
    pub fn modern_request(&self, method: &str, params: Value) -> reqwest::RequestBuilder {
        self.modern_request_at("/mcp", method, params)
    }

    pub fn modern_request_at(&self, path: &str, method: &str, params: Value) -> reqwest::RequestBuilder {
        let url = format!("http://{}{path}", self.address);
        Self::modern_request_with((&self.http, &url), method, params)
    }

    pub fn modern_request_with(
        (http, url): (&reqwest::Client, &str),
        method: &str,
        mut params: Value,
    ) -> reqwest::RequestBuilder {
        params["_meta"]["io.modelcontextprotocol/protocolVersion"] = "2026-07-28".into();
        let capabilities = &mut params["_meta"]["io.modelcontextprotocol/clientCapabilities"];
        if capabilities.is_null() {
            *capabilities = json!({});
        }
        let mut request = http.post(url).header("mcp-method", method);
        if let Some(name) = params["name"].as_str().or(params["uri"].as_str()) {
            request = request.header("mcp-name", name);
        }
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        request
            .header("accept", "application/json, text/event-stream")
            .header("content-type", "application/json")
            .header("mcp-protocol-version", "2026-07-28")
            .body(body.to_string())
    }

    pub async fn modern(&self, method: &str, params: Value) -> (u16, Value) {
        answer(self.modern_request(method, params).send().await.unwrap()).await
    }

    pub async fn modern_at(&self, path: &str, method: &str, params: Value) -> (u16, Value) {
        answer(self.modern_request_at(path, method, params).send().await.unwrap()).await
    }

    /// A legacy session opened by hand.
    pub async fn legacy(&self, version: &str) -> LegacyClient<'_> {
        self.legacy_that_can(version, &json!({})).await
    }

    /// The same of a client with these capabilities.
    pub async fn legacy_that_can(&self, version: &str, capabilities: &Value) -> LegacyClient<'_> {
        let params = json!({ "protocolVersion": version, "capabilities": capabilities, "clientInfo": { "name": "t", "version": "1" } });
        let body = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params });
        let response = post(&self.http, &self.url(), &body.to_string()).send().await.unwrap();
        let session = response.headers()["mcp-session-id"].to_str().unwrap().to_owned();
        let (status, hello) = answer(response).await;
        assert_eq!(status, 200);
        LegacyClient { gateway: self, session, hello }
    }
}

pub struct LegacyClient<'a> {
    pub gateway: &'a TestGateway,
    pub session: String,
    pub hello: Value,
}

impl LegacyClient<'_> {
    pub fn request(&self, body: &str) -> reqwest::RequestBuilder {
        post(&self.gateway.http, &self.gateway.url(), body).header("mcp-session-id", &self.session)
    }

    pub async fn call(&self, method: &str, params: Value) -> (u16, Value) {
        let body = json!({ "jsonrpc": "2.0", "id": "a-1", "method": method, "params": params });
        answer(self.request(&body.to_string()).send().await.unwrap()).await
    }

    /// Calls and gives the messages as they come.
    pub async fn open(&self, method: &str, params: Value) -> Events {
        let body = json!({ "jsonrpc": "2.0", "id": "a-1", "method": method, "params": params });
        Events::of(self.request(&body.to_string()).send().await.unwrap())
    }

    /// Answers a server's request.
    pub async fn reply(&self, question: &Value, result: Value) {
        let body = json!({ "jsonrpc": "2.0", "id": question["id"], "result": result });
        assert_eq!(self.request(&body.to_string()).send().await.unwrap().status(), 202);
    }

    pub async fn stream(&self) -> Events {
        let request = self.gateway.http.get(self.gateway.url()).header("accept", "text/event-stream");
        let response = request.header("mcp-session-id", &self.session).send().await.unwrap();
        assert_eq!(response.status(), 200);
        Events::of(response)
    }
}

pub fn post(http: &reqwest::Client, url: &str, body: &str) -> reqwest::RequestBuilder {
    http.post(url)
        .header("accept", "application/json, text/event-stream")
        .header("content-type", "application/json")
        .body(body.to_owned())
}

/// The answer in a response: its only message, or the last one of its stream.
pub async fn answer(response: reqwest::Response) -> (u16, Value) {
    let status = response.status().as_u16();
    if response.headers().get("content-type").is_some_and(|kind| kind == "text/event-stream") {
        let mut events = Events::of(response);
        let mut last = Value::Null;
        while let Some(event) = events.next().await {
            last = event;
        }
        return (status, last);
    }
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::Null))
}

/// The messages of an event stream.
pub struct Events {
    response: reqwest::Response,
    text: String,
}

impl Events {
    pub fn of(response: reqwest::Response) -> Self {
        Self { response, text: String::new() }
    }

    pub async fn next(&mut self) -> Option<Value> {
        tokio::time::timeout(PATIENCE, self.read()).await.expect("an event comes in time")
    }

    async fn read(&mut self) -> Option<Value> {
        loop {
            while let Some((event, rest)) = self.text.split_once("\n\n") {
                let data: Vec<&str> = event.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
                let message = data.join("\n");
                let rest = rest.to_owned();
                self.text = rest;
                if !message.is_empty() {
                    return Some(serde_json::from_str(&message).unwrap());
                }
            }
            let chunk = self.response.chunk().await.ok()??;
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }
}

/// Waits until `condition` holds.
pub async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let holds = async {
        let mut pause = tokio::time::interval(Duration::from_millis(10));
        while !condition().await {
            pause.tick().await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, holds).await.is_ok(), "in time: {what}");
}
