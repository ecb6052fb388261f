//! What servers ask legacy clients, and what passes between clients and servers of one era.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures::{FutureExt as _, StreamExt as _};
use portico_conformance::{Era, Fixture};
use portico_gateway::Options;
use serde_json::{Value, json};

use super::raw_server::RawServer;
use super::schemas::check;
use super::support::{LegacyClient, TestGateway, server};

pub const LEGACY: &str = "2025-11-25";

/// What a client that can do everything declares.
pub fn everything() -> Value {
    json!({ "elicitation": { "form": {}, "url": {} }, "sampling": {}, "roots": {} })
}

/// A gateway in front of a fixture, with its lists fetched.
pub async fn in_front_of(era: Era, options: Options) -> (Fixture, TestGateway) {
    let fixture = Fixture::start(era).await.unwrap();
    let gateway = TestGateway::with(options, vec![server("fixture", &[&fixture.url()])]).await;
    gateway.until_connected("fixture").await;
    (fixture, gateway)
}

/// The answer to a question of each kind.
pub fn answer_to(method: &str) -> Value {
    match method {
        "elicitation/create" => json!({ "action": "accept", "content": { "name": "Ada" } }),
        "sampling/createMessage" => {
            json!({ "role": "assistant", "model": "m", "content": { "type": "text", "text": "Paris" } })
        }
        _ => json!({ "roots": [{ "uri": "file:///home" }] }),
    }
}

/// Calls `tool`, answers `questions` questions, and gives their methods and the last message.
async fn converse(client: &LegacyClient<'_>, tool: &str, questions: usize) -> (Vec<String>, Value) {
    let mut events = client.open("tools/call", json!({ "name": tool, "arguments": {} })).await;
    let mut asked = Vec::new();
    for _ in 0..questions {
        let question = events.next().await.unwrap();
        let method = question["method"].as_str().unwrap().to_owned();
        check(LEGACY, "ServerRequest", &question);
        client.reply(&question, answer_to(&method)).await;
        asked.push(method);
    }
    let last = events.next().await.unwrap();
    assert_eq!(last["id"], "a-1", "{last}");
    check(LEGACY, "JSONRPCMessage", &last);
    assert!(events.next().await.is_none());
    (asked, last)
}

fn text(answer: &Value) -> &str {
    answer["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{answer}"))
}

#[tokio::test]
async fn servers_of_each_era_ask_a_legacy_client_on_the_calls_stream() {
    for era in [Era::Legacy, Era::Modern] {
        let (_fixture, gateway) = in_front_of(era, Options::default()).await;
        let client = gateway.legacy_that_can(LEGACY, &everything()).await;
        for (tool, method) in [
            ("test_input_required_result_elicitation", "elicitation/create"),
            ("test_input_required_result_sampling", "sampling/createMessage"),
            ("test_input_required_result_list_roots", "roots/list"),
        ] {
            let (asked, last) = converse(&client, tool, 1).await;
            assert_eq!(asked, [method]);
            assert!(text(&last).contains(&answer_to(method).to_string()), "{era:?} {last}");
        }
        let (asked, last) = converse(&client, "test_input_required_result_multiple_inputs", 3).await;
        assert_eq!(asked, ["elicitation/create", "sampling/createMessage", "roots/list"]);
        assert!(text(&last).starts_with("state-ok"), "{last}");
        let (_, last) = converse(&client, "test_input_required_result_multi_round", 2).await;
        assert!(text(&last).starts_with("state-ok"), "{last}");
    }
}

#[tokio::test]
async fn a_client_is_not_asked_for_what_it_did_not_declare() {
    for era in [Era::Legacy, Era::Modern] {
        let (_fixture, gateway) = in_front_of(era, Options::default()).await;
        let client = gateway.legacy_that_can(LEGACY, &json!({ "elicitation": {} })).await;
        let call = json!({ "name": "test_missing_capability", "arguments": {} });
        let asked = client.request(
            &json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call }).to_string(),
        );
        let answered = asked.send().await.unwrap().text().await.unwrap();
        assert!(answered.starts_with('{') && answered.contains(r#""error""#), "{era:?} {answered}");
        let (status, answer) = gateway.modern("tools/call", call).await;
        assert_eq!((status, &answer["error"]["code"]), (400, &json!(-32021)), "{era:?} {answer}");
        assert!(answer["error"]["data"]["requiredCapabilities"]["sampling"].is_object(), "{answer}");
        check("2026-07-28", "MissingRequiredClientCapabilityError", &answer);
    }
}

#[tokio::test]
async fn what_a_client_refuses_is_told_to_its_server() {
    for era in [Era::Legacy, Era::Modern] {
        let (_fixture, gateway) = in_front_of(era, Options::default()).await;
        let client = gateway.legacy_that_can(LEGACY, &everything()).await;
        let mut events = client.open("tools/call", json!({ "name": "test_elicitation" })).await;
        let question = events.next().await.unwrap();
        let refusal = json!({ "jsonrpc": "2.0", "id": question["id"],
            "error": { "code": -1, "message": "not now" } });
        assert_eq!(client.request(&refusal.to_string()).send().await.unwrap().status(), 202);
        let last = events.next().await.unwrap();
        assert!(last["error"]["message"].as_str().unwrap().contains("not now"), "{era:?} {last}");
    }
}

#[tokio::test]
async fn the_answer_of_another_session_is_nobodys() {
    let (_fixture, gateway) = in_front_of(Era::Legacy, Options::default()).await;
    let client = gateway.legacy_that_can(LEGACY, &everything()).await;
    let stranger = gateway.legacy_that_can(LEGACY, &everything()).await;
    let mut events = client.open("tools/call", json!({ "name": "test_elicitation" })).await;
    let question = events.next().await.unwrap();
    stranger.reply(&question, json!({ "action": "accept", "content": { "from": "stranger" } })).await;
    client.reply(&question, json!({ "action": "decline" })).await;
    assert!(text(&events.next().await.unwrap()).contains("decline"));
}

#[tokio::test]
async fn a_question_that_nobody_answers_ends_in_time() {
    for era in [Era::Legacy, Era::Modern] {
        let options = Options { answer_timeout: Duration::from_millis(100), ..Options::default() };
        let (_fixture, gateway) = in_front_of(era, options).await;
        let client = gateway.legacy_that_can(LEGACY, &everything()).await;
        let mut events = client.open("tools/call", json!({ "name": "test_elicitation" })).await;
        assert_eq!(events.next().await.unwrap()["method"], "elicitation/create");
        assert!(events.next().await.unwrap()["error"].is_object(), "{era:?}");
    }
}

#[tokio::test]
async fn open_questions_are_bounded() {
    for era in [Era::Legacy, Era::Modern] {
        let (_fixture, gateway) = in_front_of(era, Options { max_questions: 1, ..Options::default() }).await;
        let client = gateway.legacy_that_can(LEGACY, &everything()).await;
        let mut first = client.open("tools/call", json!({ "name": "test_elicitation" })).await;
        let question = first.next().await.unwrap();
        let (_, second) = client.call("tools/call", json!({ "name": "test_elicitation" })).await;
        assert!(second["error"].is_object(), "{era:?} {second}");
        client.reply(&question, json!({ "action": "cancel" })).await;
        assert!(text(&first.next().await.unwrap()).contains("cancel"));
        let mut third = client.open("tools/call", json!({ "name": "test_elicitation" })).await;
        assert_eq!(third.next().await.unwrap()["method"], "elicitation/create", "{era:?}");
    }
}

#[tokio::test]
async fn a_call_ends_when_its_client_goes_or_cancels_while_it_is_asked() {
    let (fixture, gateway) = in_front_of(Era::Legacy, Options::default()).await;
    let client = gateway.legacy_that_can(LEGACY, &everything()).await;
    let mut cancelled = fixture.cancelled();
    let mut events = client.open("tools/call", json!({ "name": "test_elicitation" })).await;
    events.next().await.unwrap();
    drop(events);
    let within = super::support::PATIENCE;
    tokio::time::timeout(within, cancelled.wait_for(|count| *count == 1)).await.unwrap().unwrap();
    let mut events = client.open("tools/call", json!({ "name": "test_elicitation" })).await;
    events.next().await.unwrap();
    let cancel =
        json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": "a-1" } });
    client.request(&cancel.to_string()).send().await.unwrap();
    assert!(events.next().await.unwrap()["error"].is_object());
    drop(events);
    tokio::time::timeout(within, cancelled.wait_for(|count| *count == 2)).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_server_that_takes_a_question_back_is_heard() {
    let tool = r#"[{"name":"a","inputSchema":{}}]"#;
    let raw = RawServer::legacy(tool, |seen| {
        let special = (seen.method() == "tools/call").then(|| {
            let ask = r#"{"jsonrpc":"2.0","id":"q","method":"elicitation/create","params":{"message":"?","requestedSchema":{"type":"object","properties":{}}}}"#;
            let back = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"q"}}"#;
            let first = Bytes::from(format!("data: {ask}\n\ndata: {back}\n\n"));
            let first = futures::stream::once(async move { Ok::<_, std::io::Error>(first) });
            super::raw_server::events(Body::from_stream(first.chain(futures::stream::pending())))
        });
        async move { special }.boxed()
    })
    .await;
    let gateway = TestGateway::start(vec![server("raw", &[&raw.url()])]).await;
    let client = gateway.legacy_that_can(LEGACY, &everything()).await;
    let mut events = client.open("tools/call", json!({ "name": "a" })).await;
    let (question, back) = (events.next().await.unwrap(), events.next().await.unwrap());
    assert_eq!(back["method"], "notifications/cancelled");
    assert_eq!(back["params"]["requestId"], question["id"]);
    assert!(question["id"].is_u64());
    // What the client says now is nobody's: the question is closed while the call goes on.
    super::support::eventually("the question is closed", async || {
        raw.seen("").iter().any(|seen| seen.body["id"] == "q" && seen.body["error"].is_object())
    })
    .await;
}

#[tokio::test]
async fn what_a_modern_server_asks_a_modern_client_passes_byte_for_byte() {
    const ASK: &str = r#"{"resultType":"input_required", "inputRequests":{"größe" : {"method":"elicitation/create","params":{"message":"?", "x":1e400}}},"requestState":"s/é"}"#;
    let raw = RawServer::modern(r#"[{"name":"a","inputSchema":{}}]"#, |seen| {
        let again = seen.text.contains("inputResponses");
        let special = (seen.method() == "tools/call" && !again).then(|| seen.result(ASK));
        async move { special }.boxed()
    })
    .await;
    let gateway = TestGateway::start(vec![server("raw", &[&raw.url()])]).await;
    gateway.until_connected("raw").await;
    let asked = gateway.modern_request("tools/call", json!({ "name": "a" })).send().await.unwrap();
    assert_eq!(asked.text().await.unwrap(), format!(r#"{{"jsonrpc":"2.0","id":1,"result":{ASK}}}"#));
    let given = json!({ "größe": { "action": "accept", "content": { "n": 1.0 } } });
    let again = json!({ "name": "a", "inputResponses": given, "requestState": "s/é" });
    let (_, answer) = gateway.modern("tools/call", again.clone()).await;
    assert_eq!(answer["result"]["resultType"], "complete");
    let seen = &raw.seen("tools/call")[1].body["params"];
    assert_eq!((&seen["inputResponses"], &seen["requestState"]), (&given, &again["requestState"]));
}

#[tokio::test]
async fn a_call_outlasts_its_timeout_while_its_client_thinks() {
    for era in [Era::Legacy, Era::Modern] {
        let fixture = Fixture::start(era).await.unwrap();
        let mut config = server("fixture", &[&fixture.url()]);
        config.timeouts.call = Duration::from_secs(3);
        let gateway = TestGateway::start(vec![config]).await;
        gateway.until_connected("fixture").await;
        let client = gateway.legacy_that_can(LEGACY, &everything()).await;
        let mut events = client.open("tools/call", json!({ "name": "test_elicitation" })).await;
        let question = events.next().await.unwrap();
        // Two calls that time out one after the other take longer than the timeout.
        for _ in 0..2 {
            let (_, timed_out) = gateway.modern("tools/call", json!({ "name": "test_wait" })).await;
            assert_eq!(timed_out["error"]["data"]["reason"], "timeout", "{timed_out}");
        }
        client.reply(&question, json!({ "action": "decline" })).await;
        assert!(text(&events.next().await.unwrap()).contains("decline"), "{era:?}");
    }
}

#[tokio::test]
async fn servers_hear_that_a_clients_roots_changed() {
    let behind =
        RawServer::legacy(r#"[{"name":"a","inputSchema":{}}]"#, super::raw_server::nothing_special).await;
    let gateway = TestGateway::with(Options::default(), vec![server("raw", &[&behind.url()])]).await;
    gateway.until_tools(&["a"]).await;
    let client = gateway.legacy_that_can(LEGACY, &json!({ "roots": { "listChanged": true } })).await;
    let other = gateway.legacy_that_can(LEGACY, &json!({ "roots": {} })).await;
    for client in [&client, &other] {
        client.call("tools/call", json!({ "name": "a" })).await;
    }
    let changed = json!({ "jsonrpc": "2.0", "method": "notifications/roots/list_changed" });
    assert_eq!(client.request(&changed.to_string()).send().await.unwrap().status(), 202);
    super::support::eventually("the server hears it", async || {
        !behind.seen("notifications/roots/list_changed").is_empty()
    })
    .await;
    let told = behind.seen("notifications/roots/list_changed");
    let opened = behind.seen("initialize");
    let hello =
        opened.iter().find(|seen| seen.body["params"]["capabilities"]["roots"]["listChanged"] == true);
    assert!(hello.is_some(), "the server was told that it would hear");
    assert_eq!(told.len(), 1);
    let called: Vec<_> = behind.seen("tools/call").iter().map(super::raw_server::Seen::session).collect();
    assert_eq!(told[0].session(), called[0], "in the session of that client alone");
    check(LEGACY, "ClientNotification", &told[0].body);
}
