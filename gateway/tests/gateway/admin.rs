//! The admin port.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use portico_gateway::{LogFilter, ServerState};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::raw_server::{RawServer, nothing_special};
use crate::support::{TestGateway, eventually, server};

const A: &str = r#"[{"name":"a","inputSchema":{}}]"#;

/// A filter of a program whose log knows one level.
struct OneWord(Mutex<String>);

impl LogFilter for OneWord {
    fn get(&self) -> String {
        self.0.lock().unwrap().clone()
    }

    fn set(&self, filter: &str) -> Result<(), String> {
        if filter.contains(' ') {
            return Err("it has two words".to_owned());
        }
        filter.clone_into(&mut self.0.lock().unwrap());
        Ok(())
    }
}

struct Admin {
    address: SocketAddr,
    http: reqwest::Client,
    _stop: DropGuard,
}

impl Admin {
    async fn of(gateway: &TestGateway, log: Option<Arc<dyn LogFilter>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        tokio::spawn(gateway.gateway.serve_admin(listener, log, stop.clone()));
        Self { address, http: gateway.http.clone(), _stop: stop.drop_guard() }
    }

    fn request(&self, method: http::Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("http://{}{path}", self.address))
    }

    async fn get(&self, path: &str) -> reqwest::Response {
        self.request(http::Method::GET, path).send().await.unwrap()
    }

    async fn status(&self) -> Value {
        self.get("/status").await.json().await.unwrap()
    }
}

#[tokio::test]
async fn the_status_tells_how_much_of_what_there_is_and_how_often_it_was_used_up() {
    let raw = RawServer::legacy(A, nothing_special).await;
    let gateway = TestGateway::start(vec![server("raw", &[&raw.url()])]).await;
    let admin = Admin::of(&gateway, None).await;
    gateway.until_tools(&["a"]).await;
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("gateway.yaml");
    let quotas =
        "limits: {quotas: [{name: monthly, calls: 1, every: Month}, {name: fast, calls: 9, seconds: 60}]}";
    std::fs::write(&config, quotas).unwrap();
    gateway.gateway.configure_from(&config).unwrap();
    for _ in 0..3 {
        gateway.modern("tools/call", json!({ "name": "a" })).await;
    }
    let expected = json!([{ "name": "monthly", "amount": "1 each month", "refused": 2 },
        { "name": "fast", "amount": "9 in 60 s", "refused": 0 }]);
    assert_eq!(admin.status().await["quotas"], expected);
}

#[tokio::test]
async fn the_status_tells_of_servers_their_pods_and_what_is_open() {
    let raw = RawServer::legacy(A, nothing_special).await;
    let nowhere = "http://user:word@127.0.0.1:1/mcp?token=hidden";
    let servers = vec![server("dead", &[nowhere]), server("raw", &[&raw.url()])];
    let gateway = TestGateway::start(servers).await;
    let admin = Admin::of(&gateway, None).await;
    gateway.until_tools(&["a"]).await;
    gateway.until_report("dead", |report| matches!(report.state, ServerState::Failing { .. })).await;
    gateway.modern("tools/call", json!({ "name": "a" })).await;
    let legacy = gateway.legacy("2025-11-25").await;
    let _stream = legacy.stream().await;
    let status = admin.status().await;
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!((&status["state"], &status["tls"]), (&json!("ready"), &json!(false)));
    let (dead, raw_one) = (&status["servers"][0], &status["servers"][1]);
    assert_eq!((&dead["name"], &dead["state"]), (&json!("dead"), &json!("failing")));
    assert!(dead["reason"].as_str().unwrap().contains("127.0.0.1:1"), "{dead}");
    assert_eq!(dead["pods"][0]["url"], "http://127.0.0.1:1/mcp", "no credentials in it");
    let pod = json!([{ "url": raw.url(), "remote": false, "breaker": "closed", "callsInFlight": 0 }]);
    let expected = [
        ("namespace", json!("shop")),
        ("state", json!("connected")),
        ("era", json!("legacy")),
        ("protocolVersion", json!("2025-11-25")),
        ("serverName", json!("raw")),
        ("tools", json!(1)),
        ("sessions", json!(1)),
        ("callsInFlight", json!(0)),
        ("pods", pod),
    ];
    for (field, value) in expected {
        assert_eq!(raw_one[field], value, "{field} of {raw_one}");
    }
    assert_eq!(status["open"]["streams"], json!({ "now": 1, "most": 4096 }));
    assert_eq!(status["open"]["sessionsWithServers"]["now"], 1);
    assert_eq!(status["open"]["questions"]["now"], 0);
    assert_eq!((&status["open"]["approvals"]["now"], &status["quotas"]), (&json!(0), &json!([])));
    assert!(!status.to_string().contains("hidden"), "{status}");
}

#[tokio::test]
async fn the_status_tells_of_calls_in_flight_and_of_a_pod_that_is_passed_over() {
    let raw = RawServer::legacy(A, |seen| {
        Box::pin(async move {
            if seen.method() == "tools/call" {
                std::future::pending::<()>().await;
            }
            None
        })
    })
    .await;
    let gateway = TestGateway::start(vec![server("raw", &[&raw.url()])]).await;
    let admin = Admin::of(&gateway, None).await;
    gateway.until_tools(&["a"]).await;
    let call = tokio::spawn(gateway.modern_request("tools/call", json!({ "name": "a" })).send());
    let flying = async || {
        let status = admin.status().await;
        let server = &status["servers"][0];
        let one = json!(1);
        server["callsInFlight"] == one
            && server["pods"][0]["callsInFlight"] == one
            && status["open"]["requests"]["now"] == one
    };
    eventually("the call is seen", flying).await;
    call.abort();
    drop(raw);
    let passed_over = async || {
        gateway.modern("tools/call", json!({ "name": "a" })).await;
        admin.status().await["servers"][0]["pods"][0]["breaker"] == "open"
    };
    eventually("the pod is passed over", passed_over).await;
}

#[tokio::test]
async fn the_status_tells_of_the_last_good_configuration_and_the_last_error() {
    let gateway = TestGateway::start(vec![]).await;
    let admin = Admin::of(&gateway, None).await;
    assert_eq!(admin.status().await["configuration"], json!({}));
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "names: {prefix: Always}").unwrap();
    gateway.gateway.configure_from(file.path()).unwrap();
    let good = admin.status().await["configuration"].clone();
    assert_eq!(good["file"], file.path().display().to_string());
    assert!(good["loadedUnixSeconds"].as_u64().unwrap() > 1_700_000_000 && good["error"].is_null(), "{good}");
    std::fs::write(file.path(), "names: {prefix: Often}").unwrap();
    let failed = async || admin.status().await["configuration"]["error"].is_string();
    eventually("the error is told", failed).await;
    let bad = admin.status().await["configuration"].clone();
    assert!(bad["error"].as_str().unwrap().starts_with("names.prefix: "), "{bad}");
    assert_eq!(bad["loadedUnixSeconds"], good["loadedUnixSeconds"]);
}

#[tokio::test]
async fn the_page_runs_what_is_in_it_alone_and_no_other_page_may_ask() {
    let gateway = TestGateway::start(vec![]).await;
    let admin = Admin::of(&gateway, None).await;
    let page = admin.get("/").await;
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
    assert_eq!(page.headers()["x-content-type-options"], "nosniff");
    assert!(page.text().await.unwrap().starts_with("<!doctype html>"));
    for path in ["/", "/status", "/log", "/metrics", "/healthz"] {
        let foreign = admin.request(http::Method::GET, path).header("origin", "https://evil.example");
        assert_eq!(foreign.send().await.unwrap().status(), 403, "{path}");
        let rebound = admin.request(http::Method::GET, path).header("host", "evil.example");
        assert_eq!(rebound.send().await.unwrap().status(), 403, "{path}");
    }
    assert_eq!(admin.get("/readyz").await.status(), 200);
    let of_gateway = gateway.get("/status").await.0;
    assert_eq!(of_gateway, 404, "clients see nothing of it");
}

#[tokio::test]
async fn the_log_is_changed_by_who_reaches_the_admin_port_and_a_wrong_filter_is_refused_with_its_reason() {
    let gateway = TestGateway::start(vec![]).await;
    let log: Arc<dyn LogFilter> = Arc::new(OneWord(Mutex::new("info".into())));
    let admin = Admin::of(&gateway, Some(log)).await;
    let put = async |body: &str| {
        let response = admin.request(http::Method::PUT, "/log").body(body.to_owned()).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    assert_eq!(admin.get("/log").await.text().await.unwrap(), "info\n");
    assert_eq!(put("debug\n").await, (200, "debug\n".to_owned()));
    let (status, reason) = put("two words").await;
    assert!(status == 400 && reason.contains("it has two words"), "{reason}");
    assert_eq!(put(&"x".repeat(5000)).await.0, 413);
    assert_eq!(admin.get("/log").await.text().await.unwrap(), "debug\n");
    let fixed = Admin::of(&gateway, None).await;
    assert_eq!(fixed.get("/log").await.status(), 404);
}
