//! Language models under `/v1`, as clients of `OpenAI` use them.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::{HeaderMap, StatusCode};
use portico_gateway::Options;
use portico_gateway::scaling::{Change, Error, Scaler};
use portico_gateway::source::{Bounds, Endpoint, Model, Scaled, Server, ServerKey, Servers};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::support::{PATIENCE, TestGateway, eventually};

/// What an engine got.
struct Got {
    path: String,
    headers: HeaderMap,
    body: String,
}

/// An engine that answers `/health` with 200 once it is loaded, and everything else with what it is given piece by piece.
struct Engine {
    address: SocketAddr,
    loaded: AtomicBool,
    asked: AtomicUsize,
    got: Mutex<Vec<Got>>,
    pieces: Mutex<Option<mpsc::Receiver<&'static str>>>,
}

impl Engine {
    async fn start() -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let engine = Arc::new(Self {
            address: listener.local_addr().unwrap(),
            loaded: AtomicBool::new(true),
            asked: AtomicUsize::new(0),
            got: Mutex::default(),
            pieces: Mutex::default(),
        });
        let router = Router::new().fallback(Self::answer).with_state(Arc::clone(&engine));
        tokio::spawn(axum::serve(listener, router).into_future());
        engine
    }

    async fn answer(State(engine): State<Arc<Self>>, request: Request) -> Response {
        if request.uri().path() == "/health" {
            engine.asked.fetch_add(1, Ordering::Relaxed);
            let loaded = engine.loaded.load(Ordering::Relaxed);
            return if loaded { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }.into_response();
        }
        let (parts, body) = request.into_parts();
        let body = axum::body::to_bytes(body, 64 << 20).await.unwrap();
        let body = String::from_utf8(body.to_vec()).unwrap();
        engine.got.lock().unwrap().push(Got { path: parts.uri.to_string(), headers: parts.headers, body });
        let Some(pieces) = engine.pieces.lock().unwrap().take() else {
            return ([("content-type", "application/json")], r#"{"object":"chat.completion"}"#)
                .into_response();
        };
        let pieces = futures::stream::unfold(pieces, |mut pieces| async move {
            Some((Ok::<_, std::io::Error>(pieces.recv().await?), pieces))
        });
        Response::builder()
            .header("content-type", "text/event-stream")
            .body(Body::from_stream(pieces))
            .unwrap()
    }

    /// This engine as a model that is ready.
    fn model(&self, namespace: &str, name: &str) -> Server {
        let key = ServerKey { namespace: namespace.into(), name: name.into() };
        let model = Some(Model { known_as: None, health: Some("/health".into()) });
        Server { model, ..Server::new(key, vec![self.endpoint()]) }
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint::pod(format!("http://{}", self.address))
    }

    fn bodies(&self) -> Vec<String> {
        self.got.lock().unwrap().iter().map(|got| got.body.clone()).collect()
    }
}

fn chat(gateway: &TestGateway, body: impl Into<reqwest::Body>) -> reqwest::RequestBuilder {
    let url = format!("http://{}/v1/chat/completions", gateway.address);
    gateway.http.post(url).timeout(PATIENCE).header("content-type", "application/json").body(body)
}

/// The status, and what the error says, which is in the form of this API.
async fn refusal(request: reqwest::RequestBuilder) -> (u16, String) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    let body: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{status} {text}"));
    let error = body["error"].as_object().unwrap_or_else(|| panic!("{body}"));
    assert!(error["type"].is_string() && error.contains_key("param") && error["code"].is_null(), "{body}");
    assert_eq!(body.as_object().unwrap().len(), 1, "{body}");
    (status, error["message"].as_str().unwrap().to_owned())
}

async fn listed(gateway: &TestGateway) -> Vec<String> {
    let list: Value = serde_json::from_str(&gateway.get("/v1/models").await.1).unwrap();
    assert_eq!(list["object"], "list");
    list["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_request_passes_as_it_is_and_its_answer_as_it_comes() {
    let engine = Engine::start().await;
    let gateway = TestGateway::start(vec![engine.model("shop", "small")]).await;
    let (pieces, receiver) = mpsc::channel(1);
    *engine.pieces.lock().unwrap() = Some(receiver);
    let said = r#"{ "messages":[{"content":"ä"}],  "new": 1e400, "model" : "small", "stream":true }"#;
    pieces.send("data: one\n\n").await.unwrap();
    let mut response = chat(&gateway, said).send().await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["content-type"]),
        (200, &"text/event-stream".parse().unwrap())
    );
    assert_eq!(response.chunk().await.unwrap().unwrap(), "data: one\n\n", "before there is more");
    pieces.send("data: [DONE]\n\n").await.unwrap();
    assert_eq!(response.chunk().await.unwrap().unwrap(), "data: [DONE]\n\n");
    drop(pieces);
    assert!(response.chunk().await.unwrap().is_none());
    assert_eq!(engine.bodies(), [said]);
    assert_eq!(engine.got.lock().unwrap()[0].path, "/v1/chat/completions");
}

#[tokio::test]
async fn a_client_that_leaves_ends_the_answer_at_the_engine() {
    let engine = Engine::start().await;
    let gateway = TestGateway::start(vec![engine.model("shop", "small")]).await;
    let (pieces, receiver) = mpsc::channel(1);
    *engine.pieces.lock().unwrap() = Some(receiver);
    pieces.send("data: one\n\n").await.unwrap();
    let mut response = chat(&gateway, r#"{"model":"small"}"#).send().await.unwrap();
    assert!(response.chunk().await.unwrap().is_some());
    assert!(!pieces.is_closed());
    drop(response);
    eventually("the engine is rid of the request", async || pieces.is_closed()).await;
}

#[tokio::test]
async fn a_pod_that_cannot_be_reached_fails_no_request_while_another_can() {
    let engine = Engine::start().await;
    let mut model = engine.model("shop", "small");
    // The first of those that have nothing to do is the first that is asked.
    model.endpoints.insert(0, Endpoint::pod("http://127.0.0.1:9"));
    let gateway = TestGateway::start(vec![model]).await;
    for _ in 0..20 {
        assert_eq!(chat(&gateway, r#"{"model":"small"}"#).send().await.unwrap().status(), 200);
    }
    assert_eq!(engine.bodies().len(), 20);
}

#[tokio::test]
async fn an_engine_is_asked_by_the_name_under_which_it_knows_the_model() {
    let engine = Engine::start().await;
    let model = Some(Model { known_as: Some("qwen3:0.6b".into()), health: None });
    let server = Server { model, ..engine.model("shop", "small") };
    let gateway = TestGateway::start(vec![server]).await;
    assert_eq!(listed(&gateway).await, ["small"]);
    for name in ["small", "shop/small"] {
        let body = format!(r#"{{"model":"{name}","metadata":{{"model":"mine"}}}}"#);
        assert_eq!(chat(&gateway, body).send().await.unwrap().status(), 200);
    }
    let wanted = r#"{"model":"qwen3:0.6b","metadata":{"model":"mine"}}"#;
    assert_eq!(engine.bodies(), [wanted, wanted]);
    let (status, _) = refusal(chat(&gateway, r#"{"model":"qwen3:0.6b"}"#)).await;
    assert_eq!(status, 404, "the name of its resource alone is known here");
}

#[tokio::test]
async fn of_two_models_with_one_name_each_is_reached_with_its_namespace() {
    let (one, other) = (Engine::start().await, Engine::start().await);
    let alone = other.model("shop", "alone");
    let gateway =
        TestGateway::start(vec![one.model("lab", "small"), alone, other.model("shop", "small")]).await;
    assert_eq!(listed(&gateway).await, ["lab/small", "alone", "shop/small"]);
    let (status, message) = refusal(chat(&gateway, r#"{"model":"small"}"#)).await;
    assert_eq!(status, 400);
    assert!(message.contains("NAMESPACE/NAME"), "{message}");
    assert_eq!(chat(&gateway, r#"{"model":"shop/small"}"#).send().await.unwrap().status(), 200);
    assert!(one.bodies().is_empty());
    assert_eq!(other.bodies(), [r#"{"model":"small"}"#]);
}

#[tokio::test]
async fn what_names_no_model_is_refused_in_the_form_of_this_api() {
    let engine = Engine::start().await;
    let options = Options { max_body_bytes: 2000, ..Options::default() };
    let gateway = TestGateway::with(options, vec![engine.model("shop", "small")]).await;
    let large = json!({ "model": "small", "prompt": "x".repeat(5000) }).to_string();
    let deep = format!(r#"{{"model":"small","a":{}{}}}"#, "[".repeat(200), "]".repeat(200));
    for (body, status, part) in [
        (&br#"{"messages":[]}"#[..], 400, "must name its `model`"),
        (br#"{"model":7}"#, 400, "must name its `model`"),
        (br#"["model"]"#, 400, "no JSON object"),
        (b"model=small", 400, "no JSON object"),
        (b"", 400, "no JSON object"),
        (b"{\"model\":\"\xff\"}", 400, "not UTF-8"),
        (br#"{"model":"large"}"#, 404, "there is no model `large`"),
        (br#"{"model":"lab/small"}"#, 404, "there is no model `lab/small`"),
        (deep.as_bytes(), 400, "deep"),
        (large.as_bytes(), 413, "bytes"),
    ] {
        let (said, message) = refusal(chat(&gateway, body.to_vec())).await;
        assert_eq!(said, status, "{message}");
        assert!(message.contains(part), "{message}");
    }
    assert!(engine.bodies().is_empty());
    // What else lies on an engine's port is not reached.
    for path in ["/v1/../slots", "/v1/%2e%2e/slots", "/v1//slots", "/v1/load_lora_adapter"] {
        let text = raw(&gateway, path).await;
        assert!(text.starts_with("HTTP/1.1 404"), "{path}: {text}");
    }
    assert!(engine.bodies().is_empty());
}

/// The answer to a POST at exactly this path, which a client would tidy.
async fn raw(gateway: &TestGateway, path: &str) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(gateway.address).await.unwrap();
    let body = r#"{"model":"small"}"#;
    let head = format!("POST {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n", gateway.address);
    let request = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

#[tokio::test]
async fn a_body_as_large_as_the_configuration_allows_reaches_the_engine() {
    let engine = Engine::start().await;
    let options = Options { max_body_bytes: 2000, ..Options::default() };
    let gateway = TestGateway::with(options, vec![engine.model("shop", "small")]).await;
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("gateway.yaml");
    std::fs::write(&config, "limits: {bodyBytes: 100000}").unwrap();
    gateway.gateway.configure_from(&config).unwrap();
    let large = json!({ "model": "small", "image": "x".repeat(50_000) }).to_string();
    assert_eq!(chat(&gateway, large.clone()).send().await.unwrap().status(), 200);
    assert_eq!(engine.bodies(), [large]);
}

#[tokio::test]
async fn who_may_not_use_the_gateway_may_use_no_model_and_no_credential_reaches_an_engine() {
    let engine = Engine::start().await;
    let gateway = TestGateway::start(vec![engine.model("shop", "small")]).await;
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("keys");
    std::fs::create_dir(&keys).unwrap();
    std::fs::write(keys.join("ada"), "ada-has-a-long-key").unwrap();
    let config = folder.path().join("gateway.yaml");
    std::fs::write(&config, format!("auth: {{apiKeys: {{folder: '{}'}}}}", keys.display())).unwrap();
    gateway.gateway.configure_from(&config).unwrap();
    let ask = || chat(&gateway, r#"{"model":"small"}"#).header("cookie", "session=secret");
    let response = ask().send().await.unwrap();
    assert_eq!(
        response.headers().get("www-authenticate").map(http::HeaderValue::as_bytes),
        Some(&b"Bearer"[..])
    );
    for request in
        [ask(), ask().bearer_auth("wrong"), gateway.http.get(format!("http://{}/v1/models", gateway.address))]
    {
        let (status, message) = refusal(request).await;
        assert_eq!(status, 401, "{message}");
        assert!(message.contains("credentials"), "{message}");
    }
    assert!(engine.bodies().is_empty());
    for request in [ask().bearer_auth("ada-has-a-long-key"), ask().header("x-api-key", "ada-has-a-long-key")]
    {
        assert_eq!(request.send().await.unwrap().status(), 200);
    }
    for got in engine.got.lock().unwrap().iter() {
        for name in ["authorization", "x-api-key", "cookie"] {
            assert!(!got.headers.contains_key(name), "{name}");
        }
        assert_eq!(got.headers["content-type"], "application/json");
    }
}

/// Has the engine as a model that is at zero until it is asked for; its cluster never calls it ready.
#[derive(Debug)]
struct Cluster {
    servers: watch::Sender<Servers>,
    model: Server,
    starting: Endpoint,
    /// How often it is still to say that somebody has changed something meanwhile.
    crossed: AtomicUsize,
}

impl Cluster {
    /// A gateway that knows `engine` as a model at zero, and what the gateway watches.
    async fn at_zero(engine: &Engine, crossed: usize) -> (TestGateway, impl Sized + use<>) {
        let scaled = Some(Scaled::new(Bounds::default(), 0));
        let model = Server { scaled, endpoints: Vec::new(), ..engine.model("shop", "small") };
        let gateway = TestGateway::start(vec![model.clone()]).await;
        let (servers, starting) = (gateway.servers.clone(), engine.endpoint());
        let cluster = Arc::new(Self { servers, model, starting, crossed: AtomicUsize::new(crossed) });
        let ((leads, led), (peers, known)) = (watch::channel(Instant::now()), watch::channel(Arc::default()));
        gateway.gateway.scale(cluster, led, known);
        (gateway, (leads, peers))
    }
}

impl Scaler for Cluster {
    fn scale<'a>(&'a self, _: &'a Server, Change { to, .. }: Change) -> BoxFuture<'a, Result<(), Error>> {
        let left = |left: usize| left.checked_sub(1);
        if self.crossed.fetch_update(Ordering::Relaxed, Ordering::Relaxed, left).is_ok() {
            return std::future::ready(Err(Error::Changed)).boxed();
        }
        let scaled = self.model.scaled.clone().map(|scaled| Scaled { desired: to, ..scaled });
        let starting = (to > 0).then(|| self.starting.clone()).into_iter().collect();
        self.servers.send_replace(Arc::new(vec![Server { scaled, starting, ..self.model.clone() }]));
        std::future::ready(Ok(())).boxed()
    }

    fn drain<'a>(&'a self, _: &'a Server, _: &'a [String], _: bool) -> BoxFuture<'a, Result<(), Error>> {
        std::future::ready(Ok(())).boxed()
    }
}

#[tokio::test]
async fn a_request_for_a_model_at_zero_waits_until_it_is_loaded_and_no_longer() {
    let engine = Engine::start().await;
    let (pieces, receiver) = mpsc::channel(1);
    *engine.pieces.lock().unwrap() = Some(receiver);
    engine.loaded.store(false, Ordering::Relaxed);
    let (gateway, _watched) = Cluster::at_zero(&engine, 0).await;
    assert_eq!(listed(&gateway).await, ["small"]);
    let pending = tokio::spawn(chat(&gateway, r#"{"model":"small"}"#).send());
    let asked = async || engine.asked.load(Ordering::Relaxed) > 3;
    eventually("the engine is asked whether it has loaded the model", asked).await;
    assert!(!pending.is_finished() && engine.bodies().is_empty());
    let loaded = std::time::Instant::now();
    engine.loaded.store(true, Ordering::Relaxed);
    // Its cluster has not called it ready and never does: the request has waited for the model alone.
    let response = pending.await.unwrap().unwrap();
    assert_eq!(response.status(), 200);
    println!("answered {} ms after the model was loaded", loaded.elapsed().as_millis());
    assert_eq!(engine.bodies(), [r#"{"model":"small"}"#]);
    // As long as the answer lasts, the model is in use.
    let metric = r#"portico_gateway_model_demand{namespace="shop",model="small"}"#;
    let demand = async || {
        let (_, text) = gateway.get("/metrics").await;
        text.lines().find_map(|line| line.strip_prefix(metric)?.trim().parse::<u32>().ok())
    };
    assert_eq!(demand().await, Some(1));
    drop(pieces);
    assert_eq!(response.text().await.unwrap(), "");
    eventually("nobody uses the model", async || demand().await == Some(0)).await;
}

#[tokio::test]
async fn a_start_that_crosses_another_change_of_the_workload_is_asked_for_again_at_once() {
    let engine = Engine::start().await;
    let (gateway, _watched) = Cluster::at_zero(&engine, 10).await;
    let began = std::time::Instant::now();
    assert_eq!(chat(&gateway, r#"{"model":"small"}"#).send().await.unwrap().status(), 200);
    println!("answered {} ms after the request", began.elapsed().as_millis());
    // Asked for again as one that does not show, it were 20 s.
    assert!(began.elapsed() < Duration::from_secs(12));
}

#[tokio::test]
async fn a_model_without_a_pod_that_nobody_starts_is_unavailable() {
    let engine = Engine::start().await;
    let gateway =
        TestGateway::start(vec![Server { endpoints: Vec::new(), ..engine.model("shop", "small") }]).await;
    let (status, message) = refusal(chat(&gateway, r#"{"model":"small"}"#)).await;
    assert_eq!(status, 503);
    assert!(
        message.starts_with("model shop/small has no ready pod") && !message.contains("McpServer"),
        "{message}"
    );
}
