//! Streams of servers with sessions that end before the answer, and are read on (2025-11-25, transports).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::FutureExt as _;
use portico_gateway::Options;
use serde_json::json;

use super::raw_server::{RawServer, Seen, events};
use super::support::{TestGateway, server};

const TOOLS: &str = r#"[{"name":"a","inputSchema":{}}]"#;

/// A server that answers calls with the stream `first`, and who reads on with what `next` says, by the id of the last event and
/// the request's id.
async fn ending(first: &'static str, next: fn(&str, &str) -> String) -> RawServer {
    let called = Arc::new(std::sync::Mutex::new(String::new()));
    RawServer::legacy(TOOLS, move |seen: Seen| {
        let called = Arc::clone(&called);
        async move {
            if seen.method() == "tools/call" {
                *called.lock().unwrap() = seen.body["id"].to_string();
                return Some(events(first.replace("ID", &seen.body["id"].to_string())));
            }
            let last = seen.headers.get("last-event-id")?.to_str().unwrap().to_owned();
            assert!(seen.session().is_some() && seen.http_method == "GET");
            let id = called.lock().unwrap().clone();
            Some(events(next(&last, &id)))
        }
        .boxed()
    })
    .await
}

async fn in_front_of(server_: &RawServer) -> TestGateway {
    let gateway = TestGateway::with(Options::default(), vec![server("raw", &[&server_.url()])]).await;
    gateway.until_tools(&["a"]).await;
    gateway
}

fn answer(id: &str, text: &str) -> String {
    format!(
        "data: {{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{{\"content\":[{{\"type\":\"text\",\"text\":\"{text}\"}}]}}}}\n\n"
    )
}

#[tokio::test]
async fn a_stream_that_a_server_ends_early_is_read_on_from_its_last_event() {
    // The way of a server that would rather be asked again than hold a connection (SEP-1699).
    let polled = ending("id: 1\nretry: 10\ndata: \n\n", |last, id| match last {
        "1" => "id: 2\nretry: 10\ndata: \n\n".to_owned(),
        "2" => answer(id, "at last"),
        other => panic!("{other}"),
    })
    .await;
    let gateway = in_front_of(&polled).await;
    for _ in 0..3 {
        let (_, answer) = gateway.modern("tools/call", json!({ "name": "a" })).await;
        assert_eq!(answer["result"]["content"][0]["text"], "at last", "{answer}");
    }
    assert_eq!(polled.seen("tools/call").len(), 3, "no call was made twice");
}

#[tokio::test]
async fn nothing_is_lost_or_told_twice_where_a_stream_breaks_off_between_events() {
    let first = "id: e1\nretry: 5\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{\"level\":\"info\",\"data\":\"one\"}}\n\nid: e2\ndata: {\"jsonrpc\":\"2.0\",\"method\":";
    let cut = ending(first, |last, id| {
        assert_eq!(last, "e1", "the event that was cut off does not count");
        let two = "id: e2\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{\"level\":\"info\",\"data\":\"two\"}}\n\n";
        format!("{two}{}", answer(id, "done"))
    })
    .await;
    let gateway = in_front_of(&cut).await;
    let client = gateway.legacy("2025-11-25").await;
    let mut events = client.open("tools/call", json!({ "name": "a" })).await;
    for data in ["one", "two"] {
        assert_eq!(events.next().await.unwrap()["params"]["data"], data);
    }
    assert_eq!(events.next().await.unwrap()["result"]["content"][0]["text"], "done");
    assert!(events.next().await.is_none());
}

/// How often somebody read on where nothing new came.
static ASKED: AtomicUsize = AtomicUsize::new(0);

#[tokio::test]
async fn a_stream_without_ids_and_one_that_never_gets_on_end_the_call() {
    let plain = ending("data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{\"level\":\"info\",\"data\":1}}\n\n", |_, _| unreachable!()).await;
    let gateway = in_front_of(&plain).await;
    let (_, failed) = gateway.modern("tools/call", json!({ "name": "a" })).await;
    assert!(failed["error"]["message"].as_str().unwrap().contains("ended without an answer"), "{failed}");

    let forever = ending("id: 1\nretry: 1\ndata: \n\n", |_, _| {
        ASKED.fetch_add(1, Ordering::Relaxed);
        "id: 1\ndata: \n\n".to_owned()
    })
    .await;
    let gateway = in_front_of(&forever).await;
    let (_, failed) = gateway.modern("tools/call", json!({ "name": "a" })).await;
    assert!(failed["error"]["message"].as_str().unwrap().contains("ended without an answer"), "{failed}");
    assert_eq!(ASKED.load(Ordering::Relaxed), 5);
}
