//! Servers that hang, die, lie or are slow, and what their neighbours notice of it: nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::FutureExt as _;
use portico_gateway::Options;
use serde_json::json;
use tokio::net::TcpListener;

use super::raw_server::{RawServer, events, json_response, nothing_special};
use super::real_server::RealServer;
use super::support::{PATIENCE, TestGateway, eventually, server};

const A: &str = r#"[{"name":"a","inputSchema":{}}]"#;
const B: &str = r#"[{"name":"b","inputSchema":{}}]"#;

/// What a call of the only tool of a server answers that gives `response` to it.
async fn message_of(
    response: impl Fn(&super::raw_server::Seen) -> axum::response::Response + Send + Sync + Copy + 'static,
) -> String {
    let raw = RawServer::legacy(A, move |seen| {
        let special = (seen.method() == "tools/call").then(|| response(&seen));
        async move { special }.boxed()
    })
    .await;
    let gateway = TestGateway::with(
        Options { max_answer_bytes: 100_000, ..Options::default() },
        vec![server("raw", &[&raw.url()])],
    )
    .await;
    let (status, answer) = gateway.modern("tools/call", json!({ "name": "a" })).await;
    assert_eq!((status, answer["error"]["code"].as_i64()), (200, Some(-32603)), "{answer}");
    assert_eq!(answer["id"], 1);
    let message = answer["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.starts_with("server shop/raw "), "{message}");
    message
}

#[tokio::test]
async fn a_hung_server_delays_neither_lists_nor_calls_of_others() {
    // Accepts connections into its backlog and never answers.
    let hung = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", hung.local_addr().unwrap());
    let good = RawServer::legacy(A, nothing_special).await;
    // Who waits for the hung server waits for longer than this test does.
    let options = Options { list_timeout: Duration::from_hours(1), ..Options::default() };
    let servers = vec![server("hung", &[&url]), server("good", &[&good.url()])];
    let gateway = TestGateway::before_its_servers(options, servers).await;
    gateway.until_tools(&["a"]).await;
    let quick = async {
        for _ in 0..20 {
            assert_eq!(gateway.tools().await, ["a"]);
            let (_, answer) = gateway.modern("tools/call", json!({ "name": "a" })).await;
            assert!(answer["result"].is_object());
        }
    };
    tokio::time::timeout(PATIENCE, quick).await.expect("nobody waits for the hung server");
}

#[tokio::test]
async fn a_call_that_takes_too_long_ends_with_an_error_and_is_cancelled() {
    let real = RealServer::start(&["wait"]).await;
    let mut config = server("slow", &[&real.url()]);
    config.timeouts.tools.insert("wait".into(), Duration::from_millis(100));
    let gateway = TestGateway::start(vec![config]).await;
    gateway.until_connected("slow").await;
    let (_, answer) = gateway.modern("tools/call", json!({ "name": "wait" })).await;
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(message.contains("shop/slow did not answer within 100 ms"), "{message}");
    real.until_cancelled(1).await;
}

#[tokio::test]
async fn answers_that_are_not_mcp_become_errors_that_name_the_server() {
    assert!(message_of(|_| json_response(200, "<html>")).await.contains("not MCP"));
    assert!(message_of(|_| json_response(200, "[]")).await.contains("not MCP"));
    assert!(message_of(|_| json_response(202, "")).await.contains("does not answer"));
    assert!(message_of(|_| json_response(500, "oops")).await.contains("HTTP 500"));
    assert!(
        message_of(|_| json_response(200, r#"{"jsonrpc":"2.0","id":0,"result":{}}"#))
            .await
            .contains("another id")
    );
    assert!(message_of(|_| events("data: {\"jsonrpc\":\"2.0\"}\n\n")).await.contains("not MCP"));
    assert!(message_of(|_| events(": nothing\n\n")).await.contains("ended without an answer"));
    assert!(
        message_of(|seen| seen.result(&format!("\"{}\"", "x".repeat(200_000))))
            .await
            .contains("more than 100000 bytes")
    );
}

#[tokio::test]
async fn a_status_of_a_servers_own_transport_is_not_taken_for_ours() {
    let raw = RawServer::modern(A, |seen| {
        let error = format!(
            r#"{{"jsonrpc":"2.0","id":{},"error":{{"code":-32022,"message":"no"}}}}"#,
            seen.body["id"]
        );
        let special = (seen.method() == "tools/call").then(|| json_response(400, error));
        async move { special }.boxed()
    })
    .await;
    let gateway = TestGateway::start(vec![server("raw", &[&raw.url()])]).await;
    let (status, answer) = gateway.modern("tools/call", json!({ "name": "a" })).await;
    assert_eq!((status, answer["error"]["code"].as_i64()), (200, Some(-32603)));
}

#[tokio::test]
async fn a_connection_that_breaks_is_not_tried_again_since_the_call_may_have_been_carried_out() {
    let calls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&calls);
    let raw = RawServer::modern(A, move |seen| {
        let count = Arc::clone(&count);
        async move {
            if seen.method() != "tools/call" {
                return None;
            }
            count.fetch_add(1, Ordering::SeqCst);
            let broken = futures::stream::iter([Err::<bytes::Bytes, _>(std::io::Error::other("cut"))]);
            Some(events(axum::body::Body::from_stream(broken)))
        }
        .boxed()
    })
    .await;
    let gateway = TestGateway::start(vec![server("raw", &[&raw.url()])]).await;
    let (_, answer) = gateway.modern("tools/call", json!({ "name": "a" })).await;
    assert!(answer["error"]["message"].as_str().unwrap().contains("closed the connection"), "{answer}");
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_endpoint_that_cannot_be_reached_is_passed_over() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let raw = RawServer::modern(A, nothing_special).await;
    let gateway = TestGateway::start(vec![server("raw", &[&raw.url()])]).await;
    gateway.until_connected("raw").await;
    let both = server("raw", &[&format!("http://{free}/mcp"), &raw.url()]);
    gateway.servers.send(Arc::new(vec![both])).unwrap();
    for _ in 0..10 {
        let (_, answer) = gateway.modern("tools/call", json!({ "name": "a" })).await;
        assert!(answer["result"].is_object(), "{answer}");
    }
}

#[tokio::test]
async fn calls_are_spread_over_the_endpoints_of_a_server() {
    let one = RealServer::start(&["wait"]).await;
    let two = RealServer::start(&["wait"]).await;
    let gateway = TestGateway::start(vec![server("pair", &[&one.url(), &two.url()])]).await;
    gateway.until_connected("pair").await;
    let call = || tokio::spawn(gateway.modern_request("tools/call", json!({ "name": "wait" })).send());
    let first = call();
    tokio::select! {
        () = one.until_waiting(1) => {}
        () = two.until_waiting(1) => {}
    }
    let second = call();
    tokio::join!(one.until_waiting(1), two.until_waiting(1));
    first.abort();
    second.abort();
    tokio::join!(one.until_cancelled(1), two.until_cancelled(1));
}

#[tokio::test]
async fn a_server_that_asks_the_client_something_is_answered_and_does_not_wait() {
    let raw = RawServer::legacy(A, |seen| {
        let special = (seen.method() == "tools/call").then(|| {
            let question = r#"{"jsonrpc":"2.0","id":"q","method":"elicitation/create","params":{}}"#;
            let result = format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{"content":[]}}}}"#, seen.body["id"]);
            events(format!("data: {question}\n\ndata: {result}\n\n"))
        });
        async move { special }.boxed()
    })
    .await;
    let gateway = TestGateway::start(vec![server("raw", &[&raw.url()])]).await;
    let (_, answer) = gateway.modern("tools/call", json!({ "name": "a" })).await;
    assert_eq!(answer["result"]["resultType"], "complete");
    eventually("the question is refused", async || {
        raw.seen("").iter().any(|seen| seen.body["id"] == "q" && seen.body["error"]["code"] == -32601)
    })
    .await;
}

#[tokio::test]
async fn a_legacy_client_is_told_when_a_modern_server_asks_for_input() {
    let raw = RawServer::modern(A, |seen| {
        let result = r#"{"resultType":"input_required","inputRequests":{"q":{"method":"elicitation/create","params":{}}},"requestState":"s"}"#;
        let special = (seen.method() == "tools/call").then(|| seen.result(result));
        async move { special }.boxed()
    })
    .await;
    let gateway = TestGateway::start(vec![server("raw", &[&raw.url()])]).await;
    let client = gateway.legacy("2025-11-25").await;
    let (_, legacy) = client.call("tools/call", json!({ "name": "a" })).await;
    assert!(legacy["error"]["message"].as_str().unwrap().contains("elicitation/create"), "{legacy}");
    let (_, modern) = gateway.modern("tools/call", json!({ "name": "a" })).await;
    assert_eq!(modern["result"]["requestState"], "s");
}

#[tokio::test]
async fn a_failing_server_is_tried_again_until_it_answers() {
    let tries = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&tries);
    let raw = RawServer::legacy(B, move |seen| {
        let fail = seen.method() == "tools/list" && count.fetch_add(1, Ordering::SeqCst) < 2;
        async move { fail.then(|| json_response(503, "")) }.boxed()
    })
    .await;
    let gateway = TestGateway::start(vec![server("raw", &[&raw.url()])]).await;
    tokio::time::timeout(PATIENCE, gateway.until_connected("raw")).await.unwrap();
    gateway.until_tools(&["b"]).await;
    assert_eq!(tries.load(Ordering::SeqCst), 3);
}
