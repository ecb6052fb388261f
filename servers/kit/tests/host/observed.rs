//! What is told of calls: correlation ids, spans to a collector, reports of failures.

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Uri},
};
use portico_kit::{Environment, Hosting};
use serde_json::Value;
use tokio::{net::TcpListener, sync::mpsc};

use crate::greeter::{world, world_with};

type Seen = (String, HeaderMap, Bytes);

/// A service that takes whatever it is sent.
async fn receiver() -> (String, mpsc::UnboundedReceiver<Seen>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let take = async |State(sender): State<mpsc::UnboundedSender<Seen>>,
                      uri: Uri,
                      headers: HeaderMap,
                      body: Bytes| {
        sender.send((uri.path().to_owned(), headers, body)).ok();
        "{}"
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let app = Router::new().fallback(take).with_state(sender);
    tokio::spawn(async move { axum::serve(listener, app).await });
    (address, receiver)
}

fn hosting(variables: &[(&str, String)]) -> Hosting {
    rustls::crypto::ring::default_provider().install_default().ok();
    let look_up = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone());
    Hosting::from_env(&Environment::new(&look_up), "greeter").unwrap()
}

#[tokio::test]
async fn a_callers_correlation_id_comes_back_and_reaches_the_server() {
    let world = world().await;
    let request = world.http.post(world.url("/tools/greet")).header("x-correlation-id", "order-17");
    let answer = request.json(&serde_json::json!({ "name": "Ada" })).send().await.unwrap();
    assert_eq!(answer.headers()["x-correlation-id"], "order-17");
    assert_eq!(answer.json::<Value>().await.unwrap()["correlation"], "order-17");
    assert_eq!(world.greet("Ada").await.headers()["x-correlation-id"].len(), 32);
}

#[tokio::test]
async fn over_mcp_a_correlation_id_comes_back_as_well() {
    let world = world().await;
    let call = serde_json::json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
        "name": "greet", "arguments": { "name": "Ada" }, "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "1" },
            "io.modelcontextprotocol/clientCapabilities": {},
        },
    } });
    let request = world.http.post(world.url("/mcp")).header("accept", "application/json, text/event-stream");
    let request = request
        .header("mcp-protocol-version", "2026-07-28")
        .header("mcp-method", "tools/call")
        .header("mcp-name", "greet");
    let answer = request.header("x-correlation-id", "order-17").json(&call).send().await.unwrap();
    assert_eq!(answer.headers()["x-correlation-id"], "order-17");
    let text = answer.text().await.unwrap();
    assert!(text.contains(r#""correlation":"order-17""#), "{text}");
}

#[tokio::test]
async fn a_call_is_a_span_of_the_callers_trace() {
    let (collector, mut seen) = receiver().await;
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{collector}")),
        ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=abc".to_owned()),
    ];
    let world = world_with(hosting(&variables)).await;
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let request = world.http.post(world.url("/tools/greet")).header("traceparent", parent);
    request.json(&serde_json::json!({ "name": "nobody" })).send().await.unwrap();
    let (path, headers, body) = seen.recv().await.unwrap();
    assert_eq!((path.as_str(), &headers["api-key"]), ("/v1/traces", &"abc".parse().unwrap()));
    let body: Value = serde_json::from_slice(&body).unwrap();
    let sent = &body["resourceSpans"][0];
    assert_eq!(sent["resource"]["attributes"][0]["value"]["stringValue"], "greeter");
    let span = &sent["scopeSpans"][0]["spans"][0];
    assert_eq!(span["traceId"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(span["parentSpanId"], "00f067aa0ba902b7");
    assert_eq!((span["name"].as_str(), span["status"]["code"].as_u64()), (Some("tools/call greet"), Some(2)));
}

#[tokio::test]
async fn our_own_failure_is_reported_once_and_tells_of_nobody() {
    let (service, mut seen) = receiver().await;
    let world = world_with(hosting(&[("SENTRY_DSN", format!("http://key@{service}/42"))])).await;
    for name in ["the hangman", "nobody", "a stranger", "the hangman"] {
        world.greet(name).await;
    }
    let (path, headers, body) = seen.recv().await.unwrap();
    assert_eq!(path, "/api/42/envelope/");
    assert!(headers["x-sentry-auth"].to_str().unwrap().contains("sentry_key=key"));
    let text = String::from_utf8(body.to_vec()).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        (lines.len(), lines[1]["length"].as_u64()),
        (3, Some(text.lines().nth(2).unwrap().len() as u64))
    );
    assert_eq!(lines[2]["exception"]["values"][0]["value"], "panic: the rope broke at [redacted]");
    assert_eq!(lines[2]["tags"]["tool"], "greet");
    // The second one is known already, so the next report is of another failure.
    world.greet("the baker").await;
    let (_, _, body) = seen.recv().await.unwrap();
    assert!(String::from_utf8(body.to_vec()).unwrap().contains("panic: the oven is cold"));
}

#[tokio::test]
async fn the_process_tells_what_it_takes_of_the_machine() {
    let world = world().await;
    let text = world.http.get(world.url("/metrics")).send().await.unwrap().text().await.unwrap();
    let value = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{text}"));
        line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()
    };
    assert!(value("portico_server_process_resident_memory_bytes ") > 1_000_000.0);
    assert!(value("portico_server_process_cpu_seconds ") >= 0.0);
}
