//! What a legacy server says to one client outside of any call, on the stream of the client's own session.

use axum::body::Body;
use bytes::Bytes;
use futures::{FutureExt as _, StreamExt as _};
use portico_conformance::Era;
use portico_gateway::Options;
use serde_json::json;

use super::questions::{LEGACY, everything, in_front_of};
use super::raw_server::{RawServer, Seen, events};
use super::support::{TestGateway, answer, eventually, server};

const TOOL: &str = r#"[{"name":"a","inputSchema":{}}]"#;

/// A server that says something on every stream of a session, and keeps the stream open.
async fn talkative() -> RawServer {
    RawServer::legacy(TOOL, |seen: Seen| {
        let special = (seen.http_method == "GET").then(|| {
            let said = concat!(
                r#"data: {"jsonrpc":"2.0","id":"p","method":"ping"}"#,
                "\n\n",
                r#"data: {"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"hi"}}"#,
                "\n\n",
                r#"data: {"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#,
                "\n\n",
                r#"data: {"jsonrpc":"2.0","id":"q","method":"roots/list"}"#,
                "\n\n"
            );
            let first = futures::stream::once(async move { Ok::<_, std::io::Error>(Bytes::from(said)) });
            events(Body::from_stream(first.chain(futures::stream::pending())))
        });
        async move { special }.boxed()
    })
    .await
}

fn answered(raw: &RawServer, id: &str, member: &str) -> bool {
    raw.seen("").iter().any(|seen| seen.body["id"] == id && !seen.body[member].is_null())
}

#[tokio::test]
async fn a_client_is_asked_on_its_own_stream_where_no_call_is_open() {
    let raw = talkative().await;
    let gateway = TestGateway::start(vec![server("raw", &[&raw.url()])]).await;
    gateway.until_connected("raw").await;
    let client = gateway.legacy_that_can(LEGACY, &everything()).await;
    let mut stream = client.stream().await;
    client.call("tools/call", json!({ "name": "a" })).await;
    let message = stream.next().await.unwrap();
    assert_eq!(message["params"]["data"], "hi", "{message}");
    let question = stream.next().await.unwrap();
    assert_eq!(question["method"], "roots/list", "{question}");
    super::schemas::check(LEGACY, "ServerRequest", &question);
    client.reply(&question, json!({ "roots": [] })).await;
    eventually("the server has the answer", async || answered(&raw, "q", "result")).await;
    eventually("the ping is answered", async || answered(&raw, "p", "result")).await;
}

#[tokio::test]
async fn a_client_that_opens_its_stream_later_is_asked_then() {
    let raw = talkative().await;
    let gateway = TestGateway::start(vec![server("raw", &[&raw.url()])]).await;
    gateway.until_connected("raw").await;
    let client = gateway.legacy_that_can(LEGACY, &everything()).await;
    client.call("tools/call", json!({ "name": "a" })).await;
    let streams = raw.seen_http("GET");
    let mut stream = client.stream().await;
    assert_eq!(stream.next().await.unwrap()["method"], "notifications/message");
    assert_eq!(stream.next().await.unwrap()["method"], "roots/list");
    assert_eq!(raw.seen_http("GET"), streams + 1);
}

#[tokio::test]
async fn a_question_for_a_client_that_cannot_answer_is_refused() {
    let raw = talkative().await;
    let gateway = TestGateway::start(vec![server("raw", &[&raw.url()])]).await;
    gateway.until_connected("raw").await;
    let client = gateway.legacy(LEGACY).await;
    let mut stream = client.stream().await;
    client.call("tools/call", json!({ "name": "a" })).await;
    assert_eq!(stream.next().await.unwrap()["method"], "notifications/message");
    // The gateway's own session refuses too, so the client's is looked at.
    let session = raw.seen("tools/call")[0].session();
    eventually("the question is refused", async || {
        let answers = raw.seen("");
        answers
            .iter()
            .any(|seen| seen.session() == session && seen.body["id"] == "q" && seen.body["error"].is_object())
    })
    .await;
}

#[tokio::test]
async fn a_client_that_takes_no_stream_for_its_call_is_asked_on_its_sessions_stream() {
    for era in [Era::Legacy, Era::Modern] {
        let (_fixture, gateway) = in_front_of(era, Options::default()).await;
        let client = gateway.legacy_that_can(LEGACY, &everything()).await;
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": { "name": "test_elicitation" } });
        let call = async || {
            let request = gateway.http.post(gateway.url()).header("accept", "application/json");
            let request = request.header("content-type", "application/json").body(body.to_string());
            answer(request.header("mcp-session-id", &client.session).send().await.unwrap()).await.1
        };
        assert!(call().await["error"].is_object(), "{era:?}: nowhere to ask");
        let mut stream = client.stream().await;
        let reply = async {
            let question = stream.next().await.unwrap();
            client.reply(&question, json!({ "action": "decline" })).await;
        };
        let (answer, ()) = tokio::join!(call(), reply);
        assert!(answer["result"]["content"].to_string().contains("decline"), "{era:?} {answer}");
    }
}
