//! Servers and clients that mean harm, or are broken in ways that look like it: what they cost is bounded.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream;
use portico_gateway::{Options, ServerState};
use serde_json::json;
use tokio::sync::Barrier;

use crate::raw_server::{RawServer, events, json_response, nothing_special};
use crate::support::{TestGateway, answer, eventually, server};

const A: &str = r#"[{"name":"a","inputSchema":{}}]"#;
const B: &str = r#"[{"name":"b","inputSchema":{}}]"#;
const CHUNK: usize = 64 * 1024;
/// What the system may hold of a stream between two processes, in both directions, and some more.
const IN_SOCKETS: usize = 40 * 1024 * 1024;

/// A body of `pieces`, and how many of them were asked for.
fn counted(pieces: impl Iterator<Item = Bytes> + Send + 'static) -> (Body, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let stream = stream::iter(pieces).map(move |piece| {
        count.fetch_add(1, Ordering::SeqCst);
        Ok::<_, std::convert::Infallible>(piece)
    });
    (Body::from_stream(stream), asked)
}

/// Waits until nothing more is asked for.
async fn until_held_back(asked: &AtomicUsize) -> usize {
    let (mut last, mut same) = (0, 0);
    eventually("the server is held back", async || {
        let now = asked.load(Ordering::SeqCst);
        same = if now == last && now > 0 { same + 1 } else { 0 };
        last = now;
        same == 30
    })
    .await;
    last
}

/// A server whose calls are answered with `answer`.
async fn calling(answer: impl Fn(&crate::raw_server::Seen) -> Response + Send + Sync + 'static) -> RawServer {
    RawServer::legacy(A, move |seen| {
        let special = (seen.method() == "tools/call").then(|| answer(&seen));
        Box::pin(async move { special })
    })
    .await
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_its_server_back_and_gets_everything_once_it_reads() {
    const EVENTS: usize = 1200;
    let asked = Arc::new(std::sync::Mutex::new(Arc::default()));
    let counter = Arc::clone(&asked);
    let raw = calling(move |seen| {
        let note = format!(
            "data: {{\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{{\"level\":\"info\",\"data\":\"{}\"}}}}\n\n",
            "x".repeat(CHUNK)
        );
        let last = format!("data: {{\"jsonrpc\":\"2.0\",\"id\":{},\"result\":{{\"content\":[]}}}}\n\n", seen.body["id"]);
        let note = Bytes::from(note);
        let pieces = std::iter::repeat_n(note, EVENTS).chain([Bytes::from(last)]);
        let (body, count) = counted(pieces);
        *counter.lock().unwrap() = count;
        events(body)
    })
    .await;
    let gateway = TestGateway::start(vec![server("raw", &[&raw.url()])]).await;
    gateway.until_tools(&["a"]).await;
    let client = gateway.legacy("2025-11-25").await;
    let mut stream = client.open("tools/call", json!({ "name": "a" })).await;
    let asked: Arc<AtomicUsize> = Arc::clone(&asked.lock().unwrap());
    let held = until_held_back(&asked).await;
    assert!(
        held * CHUNK < IN_SOCKETS,
        "{held} events of {CHUNK} bytes were taken for a client that reads none"
    );
    let mut notes = 0;
    let last = loop {
        let message = stream.next().await.unwrap();
        if message["method"] != "notifications/message" {
            break message;
        }
        notes += 1;
    };
    assert_eq!((notes, &last["id"]), (EVENTS, &json!("a-1")));
}

#[tokio::test]
async fn an_answer_without_an_end_is_cut_at_the_limit() {
    for kind in ["text/event-stream", "application/json"] {
        let asked = Arc::new(std::sync::Mutex::new(Arc::default()));
        let counter = Arc::clone(&asked);
        let raw = calling(move |_| {
            let begin = if kind == "application/json" { "{\"a\":\"" } else { "data: \"" };
            let endless = std::iter::repeat(Bytes::from("x".repeat(CHUNK)));
            let (body, count) = counted(std::iter::once(Bytes::from(begin)).chain(endless));
            *counter.lock().unwrap() = count;
            Response::builder().header("content-type", kind).body(body).unwrap()
        })
        .await;
        let options = Options { max_answer_bytes: 1024 * 1024, ..Options::default() };
        let gateway = TestGateway::with(options, vec![server("raw", &[&raw.url()])]).await;
        gateway.until_tools(&["a"]).await;
        let (_, refused) = gateway.modern("tools/call", json!({ "name": "a" })).await;
        let message = refused["error"]["message"].as_str().unwrap();
        assert!(message.contains("1048576"), "{kind}: {message}");
        let taken = asked.lock().unwrap().load(Ordering::SeqCst) * CHUNK;
        assert!(taken < IN_SOCKETS, "{kind}: {taken} bytes");
    }
}

#[tokio::test]
async fn a_list_without_an_end_makes_its_server_fail_and_costs_the_others_nothing() {
    let endless = RawServer::legacy(A, |seen| {
        Box::pin(async move {
            let page = r#"{"tools":[{"name":"x","inputSchema":{}}],"nextCursor":"more"}"#;
            (seen.method() == "tools/list").then(|| seen.result(page))
        })
    })
    .await;
    let good = RawServer::legacy(B, nothing_special).await;
    let servers = vec![server("endless", &[&endless.url()]), server("good", &[&good.url()])];
    let gateway = TestGateway::start(servers).await;
    let failing = |state: &ServerState| matches!(state, ServerState::Failing { reason, .. } if reason.contains("does not end after 100 pages"));
    gateway.until_report("endless", |report| failing(&report.state)).await;
    gateway.until_tools(&["b"]).await;
}

#[tokio::test]
async fn a_flood_of_changes_is_answered_by_few_fetches_and_the_last_change_is_seen() {
    // With comments so long that no buffer holds the flood: its end is reached when most of it was read.
    const FLOOD: usize = 4_000;
    const COMMENT: usize = 16 * 1024;
    const { assert!(FLOOD * COMMENT > IN_SOCKETS) };
    let ended = Arc::new(AtomicBool::new(false));
    let (over, tools) = (Arc::clone(&ended), Arc::clone(&ended));
    let raw = RawServer::legacy(A, move |seen| {
        let (over, tools) = (Arc::clone(&over), Arc::clone(&tools));
        Box::pin(async move {
            if seen.method() == "tools/list" && tools.load(Ordering::SeqCst) {
                return Some(seen.result(&format!(r#"{{"tools":{B}}}"#)));
            }
            if seen.http_method != "GET" {
                return None;
            }
            let changed = r#"data: {"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#;
            let changed = Bytes::from(format!(":{}\n{changed}\n\n", "x".repeat(COMMENT)));
            let flood = (0..=FLOOD).map(move |number| {
                over.fetch_or(number == FLOOD, Ordering::SeqCst);
                Ok::<_, std::convert::Infallible>(changed.clone())
            });
            Some(events(Body::from_stream(stream::iter(flood).chain(stream::pending()))))
        })
    })
    .await;
    let gateway = TestGateway::start(vec![server("raw", &[&raw.url()])]).await;
    gateway.until_tools(&["b"]).await;
    let fetches = raw.seen("tools/list").len();
    assert!(fetches < 100, "{fetches} fetches for {FLOOD} notifications");
}

#[tokio::test]
async fn a_client_that_leaves_its_stream_unread_holds_up_nobody() {
    let raw = RawServer::legacy(A, |seen| {
        Box::pin(async move {
            if seen.http_method != "GET" {
                return None;
            }
            let text = "x".repeat(CHUNK);
            let note = format!(
                "data: {{\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{{\"level\":\"info\",\"data\":\"{text}\"}}}}\n\n"
            );
            Some(events(counted(std::iter::repeat_n(Bytes::from(note), 2000)).0))
        })
    })
    .await;
    let gateway = TestGateway::start(vec![server("raw", &[&raw.url()])]).await;
    gateway.until_tools(&["a"]).await;
    let client = gateway.legacy("2025-11-25").await;
    let _unread = client.stream().await;
    // The first call opens the session with the server, on whose stream the flood comes.
    for _ in 0..3 {
        let (status, called) = client.call("tools/call", json!({ "name": "a" })).await;
        assert!(status == 200 && called["result"].is_object(), "{called}");
    }
    assert!(gateway.modern("tools/call", json!({ "name": "a" })).await.1["result"].is_object());
}

#[tokio::test]
async fn an_answer_under_the_id_of_another_call_reaches_nobody() {
    for as_events in [false, true] {
        let (both, ids) = (Arc::new(Barrier::new(2)), Arc::new(std::sync::Mutex::new(Vec::new())));
        let raw = RawServer::legacy(A, move |seen| {
            let (both, ids) = (Arc::clone(&both), Arc::clone(&ids));
            Box::pin(async move {
                if seen.method() != "tools/call" {
                    return None;
                }
                let (own, secret) =
                    (seen.body["id"].clone(), seen.body["params"]["arguments"]["secret"].clone());
                ids.lock().unwrap().push(own.clone());
                both.wait().await;
                let other = ids.lock().unwrap().iter().find(|id| **id != own).cloned().unwrap();
                let content = json!([{ "type": "text", "text": secret }]);
                let message = json!({ "jsonrpc": "2.0", "id": other, "result": { "content": content } });
                Some(if as_events {
                    events(format!("data: {message}\n\n"))
                } else {
                    json_response(200, message.to_string())
                })
            })
        })
        .await;
        let gateway = TestGateway::start(vec![server("raw", &[&raw.url()])]).await;
        gateway.until_tools(&["a"]).await;
        let (one, two) = (gateway.legacy("2025-11-25").await, gateway.legacy("2025-11-25").await);
        let call = async |client: &crate::support::LegacyClient<'_>, secret: &str| {
            client.call("tools/call", json!({ "name": "a", "arguments": { "secret": secret } })).await.1
        };
        let (first, second) = tokio::join!(call(&one, "one"), call(&two, "two"));
        for answered in [first, second] {
            assert!(answered["result"].is_null() && answered["error"].is_object(), "{answered}");
            assert!(!answered.to_string().contains("\"one\"") && !answered.to_string().contains("\"two\""));
        }
    }
}

#[tokio::test]
async fn garbage_before_the_answer_on_a_stream_neither_hides_it_nor_harms_the_next_call() {
    let raw = calling(|seen| {
        let id = &seen.body["id"];
        events(format!(
            ": \n\ndata: []\n\ndata: {{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{{\"content\":[]}}}}\n\ndata: {{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{{\"again\":1}}}}\n\n"
        ))
    })
    .await;
    let gateway = TestGateway::start(vec![server("raw", &[&raw.url()])]).await;
    gateway.until_tools(&["a"]).await;
    for _ in 0..2 {
        let called =
            answer(gateway.modern_request("tools/call", json!({ "name": "a" })).send().await.unwrap())
                .await
                .1;
        // It is told either of the answer or of what came before it, and of nothing twice.
        assert!(called["result"]["content"].is_array() || called["error"].is_object(), "{called}");
        assert!(called["result"]["again"].is_null(), "{called}");
    }
    assert_eq!(gateway.get("/healthz").await.0, 200);
}

#[tokio::test]
async fn a_server_that_takes_a_call_and_goes_silent_costs_its_time_and_nothing_else() {
    let raw = calling(|_| {
        let silent = stream::iter([Ok::<_, std::convert::Infallible>("data: ")]).chain(stream::pending());
        events(Body::from_stream(silent))
    })
    .await;
    let good = RawServer::legacy(B, nothing_special).await;
    let mut slow = server("raw", &[&raw.url()]);
    slow.timeouts.call = Duration::from_millis(300);
    let gateway = TestGateway::start(vec![slow, server("good", &[&good.url()])]).await;
    gateway.until_tools(&["a", "b"]).await;
    let (silent, answered) = tokio::join!(
        gateway.modern("tools/call", json!({ "name": "a" })),
        gateway.modern("tools/call", json!({ "name": "b" }))
    );
    assert!(answered.1["result"].is_object());
    assert!(silent.1["error"]["message"].as_str().unwrap().contains("300 ms"), "{}", silent.1);
}
