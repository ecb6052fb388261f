//! Servers and gateways that are restarted under load: what had not reached a server is not lost.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use portico_gateway::Options;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use super::raw_server::{RawServer, events, json_response, nothing_special};
use super::support::{PATIENCE, TestGateway, eventually, server};

const READS: &str = r#"[{"name":"a","inputSchema":{},"annotations":{"readOnlyHint":true}}]"#;
const WRITES: &str = r#"[{"name":"a","inputSchema":{}}]"#;
/// Clients at the same time.
const CLIENTS: usize = 8;

/// A server that dies as a process does: all its connections with it.
struct Mortal {
    runtime: Option<Runtime>,
    address: SocketAddr,
}

impl Mortal {
    async fn start(address: SocketAddr, tools: &'static str) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = bound(address).await;
        let address = listener.local_addr().unwrap();
        let started = runtime.spawn(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            // Lives as long as its runtime.
            std::mem::forget(RawServer::modern_on(listener, tools, nothing_special));
        });
        started.await.unwrap();
        Self { runtime: Some(runtime), address }
    }

    fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    fn kill(&mut self) {
        self.runtime.take().unwrap().shutdown_background();
    }
}

impl Drop for Mortal {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Listens at `address`, which one that was killed a moment ago may still hold.
async fn bound(address: SocketAddr) -> std::net::TcpListener {
    let mut bound = None;
    eventually("the address is free", async || {
        bound = std::net::TcpListener::bind(address).ok();
        bound.is_some()
    })
    .await;
    let listener = bound.unwrap();
    listener.set_nonblocking(true).unwrap();
    listener
}

/// How many answers each client has had.
type Answered = Arc<[AtomicUsize; CLIENTS]>;

/// Clients that call without a pause.
struct Load {
    answered: Answered,
    failed: Arc<std::sync::Mutex<Vec<String>>>,
    stop: CancellationToken,
    clients: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    fn start(gateway: &TestGateway) -> Self {
        Self::of(|_| gateway.modern_request("tools/call", json!({ "name": "a" })))
    }

    /// Each client makes its own request over and over.
    fn of(request: impl Fn(usize) -> reqwest::RequestBuilder) -> Self {
        let (answered, failed, stop) = (Answered::default(), Arc::default(), CancellationToken::new());
        let clients = (0..CLIENTS).map(|client| {
            let (mine, failed) = ((Arc::clone(&answered), client), Arc::clone(&failed));
            tokio::spawn(call_on(request(client), mine, failed, stop.clone()))
        });
        Self { clients: clients.collect(), answered, failed, stop }
    }

    fn answered(&self) -> [usize; CLIENTS] {
        std::array::from_fn(|client| self.answered[client].load(Ordering::SeqCst))
    }

    /// Waits until every client has had some more answers: all but the first to calls that were made since.
    async fn goes_on(&self) {
        let before = self.answered();
        let more = async || self.answered().iter().zip(&before).all(|(now, before)| *now >= before + 5);
        eventually("calls of all clients are answered", more).await;
    }

    /// The calls that failed.
    async fn end(self) -> Vec<String> {
        self.stop.cancel();
        futures::future::join_all(self.clients).await;
        self.failed.lock().unwrap().clone()
    }
}

async fn call_on(
    request: reqwest::RequestBuilder,
    (answered, client): (Answered, usize),
    failed: Arc<std::sync::Mutex<Vec<String>>>,
    stop: CancellationToken,
) {
    while !stop.is_cancelled() {
        let response = request.try_clone().unwrap().send().await;
        let text = match response {
            Ok(response) => response.text().await.unwrap_or_default(),
            Err(error) => format!("{error:?}"),
        };
        if text.contains("\"content\"") {
            answered[client].fetch_add(1, Ordering::SeqCst);
        } else {
            failed.lock().unwrap().push(text);
        }
    }
}

fn free() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

async fn held(gateway: &TestGateway) -> usize {
    let (_, text) = gateway.get("/metrics").await;
    let line = text.lines().find(|line| line.starts_with("portico_gateway_calls_held{"));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_killed_and_started_again_under_load_costs_no_call_that_only_reads() {
    let mut mortal = Mortal::start(free(), READS).await;
    let gateway = TestGateway::start(vec![server("mortal", &[&mortal.url()])]).await;
    gateway.until_connected("mortal").await;
    let load = Load::start(&gateway);
    for _ in 0..3 {
        load.goes_on().await;
        mortal.kill();
        eventually("all clients wait for the server", async || held(&gateway).await == CLIENTS).await;
        mortal = Mortal::start(mortal.address, READS).await;
        load.goes_on().await;
    }
    assert_eq!(load.end().await, Vec::<String>::new());
    assert_eq!(held(&gateway).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_of_a_server_under_load_costs_no_call() {
    let mut pods = vec![Mortal::start(free(), WRITES).await, Mortal::start(free(), WRITES).await];
    let named = |pods: &[Mortal]| {
        let urls: Vec<String> = pods.iter().map(Mortal::url).collect();
        Arc::new(vec![server("pair", &urls.iter().map(String::as_str).collect::<Vec<_>>())])
    };
    let gateway = TestGateway::start(named(&pods).to_vec()).await;
    gateway.until_connected("pair").await;
    let load = Load::start(&gateway);
    for _ in 0..4 {
        load.goes_on().await;
        // As a rollout does: a new pod is ready, then an old one is taken out, ends what it has, and goes.
        pods.push(Mortal::start(free(), WRITES).await);
        gateway.servers.send(named(&pods)).unwrap();
        let mut old = pods.remove(0);
        gateway.servers.send(named(&pods)).unwrap();
        load.goes_on().await;
        old.kill();
    }
    assert_eq!(load.end().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_server_that_never_answered_is_not_waited_for() {
    // Who waits for it waits for longer than this test does.
    let options = Options { hold: Duration::from_hours(1), ..Options::default() };
    let gateway = TestGateway::with(options, vec![server("away", &["http://127.0.0.1:9/mcp"])]).await;
    let raw = RawServer::modern(WRITES, nothing_special).await;
    gateway.servers.send(Arc::new(vec![server("away", &[&raw.url()])])).unwrap();
    gateway.until_connected("away").await;
    gateway.servers.send(Arc::new(vec![server("away", &[])])).unwrap();
    let call = gateway.modern("tools/call", json!({ "name": "a" }));
    let (_, answer) = tokio::time::timeout(PATIENCE, call).await.expect("at once");
    assert_eq!(answer["error"]["data"]["reason"], "no_endpoint", "{answer}");
}

#[tokio::test]
async fn a_call_that_waits_in_vain_ends_with_the_reason() {
    let raw = RawServer::modern(WRITES, nothing_special).await;
    let options = Options { hold: Duration::from_millis(300), ..Options::default() };
    let gateway = TestGateway::with(options, vec![server("raw", &[&raw.url()])]).await;
    gateway.until_connected("raw").await;
    let (_, answer) = gateway.modern("tools/call", json!({ "name": "a" })).await;
    assert!(answer["result"].is_object(), "{answer}");
    gateway.servers.send(Arc::new(vec![server("raw", &[])])).unwrap();
    let (_, answer) = gateway.modern("tools/call", json!({ "name": "a" })).await;
    assert_eq!(answer["error"]["data"]["reason"], "no_endpoint", "{answer}");
}

#[tokio::test]
async fn a_broken_call_is_made_once_more_where_the_tool_only_reads() {
    let calls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&calls);
    let raw = RawServer::modern(READS, move |seen| {
        let broken = seen.method() == "tools/call" && count.fetch_add(1, Ordering::SeqCst) == 0;
        async move {
            let cut = futures::stream::iter([Err::<bytes::Bytes, _>(std::io::Error::other("cut"))]);
            broken.then(|| events(axum::body::Body::from_stream(cut)))
        }
        .boxed()
    })
    .await;
    let gateway = TestGateway::start(vec![server("raw", &[&raw.url()])]).await;
    let (_, answer) = gateway.modern("tools/call", json!({ "name": "a" })).await;
    assert!(answer["result"].is_object(), "{answer}");
    assert_eq!(calls.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_pod_that_fails_all_its_calls_is_passed_over() {
    let failing = RawServer::modern(WRITES, |seen| {
        let fails = seen.method() == "tools/call";
        async move { fails.then(|| json_response(500, "broken")) }.boxed()
    })
    .await;
    let good = RawServer::modern(WRITES, nothing_special).await;
    let gateway = TestGateway::start(vec![server("pair", &[&failing.url(), &good.url()])]).await;
    gateway.until_connected("pair").await;
    let (mut failed, began) = (0, Instant::now());
    for _ in 0..200 {
        let (_, answer) = gateway.modern("tools/call", json!({ "name": "a" })).await;
        failed += u64::from(answer["error"].is_object());
    }
    // Five in a row, and at most one try for each second that this takes; of a pod like any other it were 100.
    let most = 10 + began.elapsed().as_secs().min(60);
    assert!((1..=most).contains(&failed), "{failed} of 200 calls met the failing pod");
}

#[tokio::test]
async fn a_server_with_as_many_calls_open_as_it_may_harms_no_other() {
    let hung = RawServer::modern(WRITES, |seen| {
        let hangs = seen.method() == "tools/call";
        async move { if hangs { std::future::pending().await } else { None } }.boxed()
    })
    .await;
    let good = RawServer::modern(r#"[{"name":"b","inputSchema":{}}]"#, nothing_special).await;
    let options = Options { max_server_calls: 3, ..Options::default() };
    let servers = vec![server("hung", &[&hung.url()]), server("good", &[&good.url()])];
    let gateway = TestGateway::with(options, servers).await;
    gateway.until_tools(&["a", "b"]).await;
    let open: Vec<_> = (0..3)
        .map(|_| tokio::spawn(gateway.modern_request("tools/call", json!({ "name": "a" })).send()))
        .collect();
    eventually("three calls hang", async || hung.seen("tools/call").len() == 3).await;
    let (_, refused) = gateway.modern("tools/call", json!({ "name": "a" })).await;
    assert_eq!(refused["error"]["data"]["reason"], "saturated", "{refused}");
    let (_, other) = gateway.modern("tools/call", json!({ "name": "b" })).await;
    assert!(other["result"].is_object(), "{other}");
    open.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn after_the_stop_a_gateway_serves_on_while_it_calls_itself_not_ready() {
    let raw = RawServer::modern(WRITES, nothing_special).await;
    let options = Options { shutdown_delay: Duration::from_hours(1), ..Options::default() };
    let mut gateway = TestGateway::with(options, vec![server("raw", &[&raw.url()])]).await;
    gateway.until_connected("raw").await;
    gateway.stop();
    eventually("it is not ready", async || gateway.get("/readyz").await == (503, "stopping".into())).await;
    let (_, answer) = gateway.modern("tools/call", json!({ "name": "a" })).await;
    assert!(answer["result"].is_object(), "{answer}");
}

/// What a Service does: each new connection goes to one of the gateways that are ready.
struct Balancer {
    address: SocketAddr,
    ready: Arc<std::sync::Mutex<Vec<SocketAddr>>>,
}

impl Balancer {
    async fn start() -> Self {
        let listener = TcpListener::bind(free()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let ready: Arc<std::sync::Mutex<Vec<SocketAddr>>> = Arc::default();
        let gateways = Arc::clone(&ready);
        tokio::spawn(async move {
            for turn in 0_usize.. {
                let (mut client, _) = listener.accept().await.unwrap();
                let gateway = {
                    let gateways = gateways.lock().unwrap();
                    gateways[turn % gateways.len()]
                };
                tokio::spawn(async move {
                    let mut gateway = tokio::net::TcpStream::connect(gateway).await.unwrap();
                    tokio::io::copy_bidirectional(&mut client, &mut gateway).await.ok();
                });
            }
        });
        Self { address, ready }
    }

    fn send_to(&self, gateways: &[TestGateway]) {
        *self.ready.lock().unwrap() = gateways.iter().map(|gateway| gateway.address).collect();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_of_the_gateway_under_load_costs_no_call_and_no_session() {
    let raw = RawServer::legacy(WRITES, nothing_special).await;
    let started = async || {
        let options = Options {
            session_keys: vec![[7; 32]],
            // In this time a busy machine must see that it goes, too.
            shutdown_delay: Duration::from_secs(3),
            ..Options::default()
        };
        let gateway = TestGateway::with(options, vec![server("raw", &[&raw.url()])]).await;
        gateway.until_connected("raw").await;
        gateway
    };
    let mut gateways = vec![started().await, started().await];
    let balancer = Balancer::start().await;
    balancer.send_to(&gateways);
    let session = gateways[0].legacy("2025-11-25").await.session;
    let load = Load::of(|client| {
        // Half of them with a session, each on connections of its own.
        let http = super::support::http_client();
        let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"}}"#;
        let url = format!("http://{}/mcp", balancer.address);
        match client % 2 {
            0 => super::support::post(&http, &url, body).header("mcp-session-id", &session),
            _ => TestGateway::modern_request_with((&http, &url), "tools/call", json!({ "name": "a" })),
        }
    });
    for _ in 0..4 {
        load.goes_on().await;
        gateways.push(started().await);
        balancer.send_to(&gateways);
        let mut old = gateways.remove(0);
        old.stop();
        // The cluster learns of it from `/readyz`.
        eventually("the old one is not ready", async || old.get("/readyz").await.0 == 503).await;
        balancer.send_to(&gateways);
        eventually("the old one is gone", async || {
            tokio::net::TcpStream::connect(old.address).await.is_err()
        })
        .await;
    }
    load.goes_on().await;
    assert_eq!(load.end().await, Vec::<String>::new());
}
