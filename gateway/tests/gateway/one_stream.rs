//! Servers of revision 2024-11-05, which say everything on one event stream.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use portico_gateway::source::{Protocol, Server, Transport};
use portico_gateway::{Options, ServerReport, ServerState};
use serde_json::{Value, json};

use super::questions::{LEGACY, everything};
use super::raw_server::{RawServer, nothing_special};
use super::sse_server::{Shared, SseServer};
use super::support::{TestGateway, eventually, server};
use super::token_endpoint::{TestSecrets, auth};

fn as_usual(_: &Shared, _: u64, _: &Value) -> bool {
    false
}

fn behind(old: &SseServer, transport: Transport) -> Server {
    Server { transport, ..server("old", &[&old.url()]) }
}

async fn in_front_of(old: &SseServer) -> TestGateway {
    let gateway = TestGateway::start(vec![behind(old, Transport::Sse)]).await;
    gateway.until_tools(&["a", "reads"]).await;
    gateway
}

fn is_failing(report: &ServerReport, why: &str) -> bool {
    matches!(&report.state, ServerState::Failing { reason, .. } if reason.contains(why))
}

/// A call of `name` whose arguments are `{"x": x}`, and the text that comes back.
async fn call(gateway: &TestGateway, name: &str, x: usize) -> Value {
    let (_, called) = gateway.modern("tools/call", json!({"name": name, "arguments": {"x": x}})).await;
    called
}

fn text(called: &Value) -> &str {
    called["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{called}"))
}

#[tokio::test]
async fn a_server_of_one_stream_is_used_as_its_manifest_says_and_is_sent_nothing_else() {
    let old = SseServer::start(as_usual).await;
    let gateway = in_front_of(&old).await;
    assert_eq!(text(&call(&gateway, "a", 1).await), r#"{"x":1}"#);
    let report = gateway.until_connected("old").await;
    assert_eq!(report.protocol_version.as_deref(), Some("2024-11-05"));
    assert_eq!(old.refused(), 0);
    assert_eq!(old.seen("notifications/initialized").len(), old.seen("initialize").len());
}

#[tokio::test]
async fn a_server_of_one_stream_is_found_by_how_it_refuses_other_messages() {
    for status in [400, 404, 405] {
        let old = SseServer::start(as_usual).await;
        old.refuse_with(status);
        for protocol in [Protocol::Auto, Protocol::Legacy] {
            let found = Server { protocol, ..behind(&old, Transport::Auto) };
            let gateway = TestGateway::start(vec![found]).await;
            gateway.until_tools(&["a", "reads"]).await;
            let refused = old.refused();
            assert_eq!(text(&call(&gateway, "a", 1).await), r#"{"x":1}"#);
            assert_eq!(old.refused(), refused, "it is known by then");
        }
    }
}

#[tokio::test]
async fn no_stream_is_looked_for_where_it_is_not_wanted_or_the_refusal_says_something_else() {
    let old = SseServer::start(as_usual).await;
    let streamable = TestGateway::start(vec![behind(&old, Transport::StreamableHttp)]).await;
    streamable.until_report("old", |report| is_failing(report, "answered HTTP 405")).await;
    old.refuse_with(500);
    let found = TestGateway::start(vec![behind(&old, Transport::Auto)]).await;
    found.until_report("old", |report| is_failing(report, "answered HTTP 500")).await;
    assert!(old.headers().is_empty());
}

#[tokio::test]
async fn each_call_gets_its_own_answer_and_progress_in_whatever_order_they_come() {
    let held: Mutex<Vec<Value>> = Mutex::default();
    let old = SseServer::start(move |shared, session, message| {
        if message["method"] != "tools/call" {
            return false;
        }
        let token = &message["params"]["_meta"]["progressToken"];
        if !token.is_null() {
            shared.say(session, &json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": token, "progress": 1}}));
        }
        shared.say(session, &json!({"jsonrpc": "2.0", "id": 1, "result": {"content": "of nobody"}}));
        shared.say(session, &json!({"jsonrpc": "2.0", "id": "strange", "error": {"code": 1, "message": ""}}));
        let mut held = held.lock().unwrap();
        held.push(message.clone());
        if held.len() == 10 {
            for message in held.drain(..).rev() {
                let text = message["params"]["arguments"].to_string();
                shared.result(session, &message, &json!({"content": [{"type": "text", "text": text}]}));
            }
        }
        true
    })
    .await;
    let gateway = in_front_of(&old).await;
    let client = gateway.legacy(LEGACY).await;
    let calls = (0..10).map(|x| {
        let params = json!({"name": "a", "arguments": {"x": x}, "_meta": {"progressToken": format!("t{x}")}});
        let body = json!({"jsonrpc": "2.0", "id": x, "method": "tools/call", "params": params});
        let request = client.request(&body.to_string());
        async move {
            let mut events = super::support::Events::of(request.send().await.unwrap());
            let (progress, answer) = (events.next().await.unwrap(), events.next().await.unwrap());
            assert_eq!(progress["params"]["progressToken"], format!("t{x}"), "{progress}");
            assert_eq!((answer["id"].as_i64(), text(&answer)), (Some(x), format!(r#"{{"x":{x}}}"#).as_str()));
        }
    });
    futures::future::join_all(calls).await;
}

#[tokio::test]
async fn a_stream_that_is_cut_breaks_its_calls_and_one_that_only_reads_is_made_again() {
    let cuts = Arc::new(AtomicUsize::new(0));
    let left = Arc::clone(&cuts);
    let old = SseServer::start(move |shared, session, message| {
        let cut = message["method"] == "tools/call"
            && left.try_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        if cut {
            shared.cut(session);
        }
        cut
    })
    .await;
    let gateway = in_front_of(&old).await;
    cuts.store(1, Ordering::SeqCst);
    let broken = call(&gateway, "a", 1).await;
    assert!(broken["error"]["message"].as_str().unwrap().contains("ended without an answer"), "{broken}");
    assert_eq!(text(&call(&gateway, "a", 2).await), r#"{"x":2}"#, "the next call has a new session");
    cuts.store(2, Ordering::SeqCst);
    assert_eq!(text(&call(&gateway, "reads", 3).await), r#"{"x":3}"#);
    assert_eq!(old.seen("tools/call").len(), 5);
}

#[tokio::test]
async fn when_its_stream_ends_the_server_is_connected_to_anew_and_its_tools_stay() {
    let old = SseServer::start(as_usual).await;
    let gateway = in_front_of(&old).await;
    let before = old.seen("tools/list").len();
    for session in old.sessions() {
        old.shared.cut(session);
    }
    assert_eq!(gateway.tools().await, ["a", "reads"]);
    assert_eq!(text(&call(&gateway, "a", 1).await), r#"{"x":1}"#);
    eventually("the lists are asked for again", async || old.seen("tools/list").len() > before).await;
}

#[tokio::test]
async fn a_stream_that_leads_to_another_origin_is_not_followed() {
    let (old, thief) = (SseServer::start(as_usual).await, RawServer::legacy("[]", nothing_special).await);
    old.greet(&format!("event: endpoint\ndata: {}\n\n", thief.url()));
    let secrets = TestSecrets::with(&[("key", &[("token", "sesame")])]);
    let key = json!({"header": {"secretKeyRef": {"name": "key", "key": "token"}}});
    let behind = Server { auth: Some(auth(key)), ..behind(&old, Transport::Sse) };
    let options = Options { secrets: Some(secrets), ..Options::default() };
    let gateway = TestGateway::with(options, vec![behind]).await;
    gateway.until_report("old", |report| is_failing(report, "which is another origin")).await;
    assert!(thief.seen("").is_empty() && thief.seen("initialize").is_empty());
}

#[tokio::test]
async fn a_stream_that_names_no_address_is_told_of() {
    let old = SseServer::start(as_usual).await;
    for (first, why) in [
        ("data: {}\n\n", "begins with the event ``, not with `endpoint`"),
        ("event: message\ndata: {}\n\n", "begins with the event `message`"),
        (": nothing at all\n\n", "did not answer within"),
    ] {
        old.greet(first);
        let options = Options { list_timeout: Duration::from_millis(500), ..Options::default() };
        let gateway = TestGateway::with(options, vec![behind(&old, Transport::Sse)]).await;
        gateway.until_report("old", |report| is_failing(report, why)).await;
    }
}

#[tokio::test]
async fn credentials_go_with_the_stream_and_with_every_message() {
    let old = SseServer::start(as_usual).await;
    let secrets = TestSecrets::with(&[("key", &[("token", "sesame")])]);
    let key = json!({"header": {"secretKeyRef": {"name": "key", "key": "token"}}});
    let behind = Server { auth: Some(auth(key)), ..behind(&old, Transport::Sse) };
    let gateway =
        TestGateway::with(Options { secrets: Some(secrets), ..Options::default() }, vec![behind]).await;
    gateway.until_tools(&["a", "reads"]).await;
    assert_eq!(text(&call(&gateway, "a", 1).await), r#"{"x":1}"#);
    let all = old.headers();
    assert!(all.iter().any(|(method, _)| method == "GET") && all.len() > 5, "{}", all.len());
    assert!(all.iter().all(|(_, headers)| headers["authorization"] == "sesame"));
}

/// A server whose tool `a` asks for a name and answers with what it is told.
async fn asking() -> SseServer {
    let asked: Mutex<Vec<(u64, Value)>> = Mutex::default();
    SseServer::start(move |shared, session, message| {
        let mut asked = asked.lock().unwrap();
        if message["method"] == "tools/call" {
            asked.push((session, message.clone()));
            let params = json!({"message": "name?", "requestedSchema": {"type": "object", "properties": {}}});
            shared.say(
                session,
                &json!({"jsonrpc": "2.0", "id": "q-1", "method": "elicitation/create", "params": params}),
            );
            return true;
        }
        if message["id"] == "q-1" {
            let at = asked.iter().position(|(of, _)| *of == session).unwrap();
            let (_, call) = asked.remove(at);
            let text = message["result"]["content"].to_string();
            shared.result(session, &call, &json!({"content": [{"type": "text", "text": text}]}));
            return true;
        }
        false
    })
    .await
}

#[tokio::test]
async fn what_a_server_asks_in_a_call_reaches_the_client_of_the_call() {
    let old = asking().await;
    let gateway = in_front_of(&old).await;
    let client = gateway.legacy_that_can(LEGACY, &everything()).await;
    let mut events = client.open("tools/call", json!({"name": "a", "arguments": {}})).await;
    let question = events.next().await.unwrap();
    assert_eq!(question["params"]["message"], "name?", "{question}");
    client.reply(&question, json!({"action": "accept", "content": {"name": "Ada"}})).await;
    assert_eq!(text(&events.next().await.unwrap()), r#"{"name":"Ada"}"#);
}

#[tokio::test]
async fn a_call_that_asks_waits_for_a_client_without_sessions() {
    let old = asking().await;
    let gateway = in_front_of(&old).await;
    let mut params = json!({"name": "a", "arguments": {}});
    params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({"elicitation": {}});
    let (_, asked) = gateway.modern("tools/call", params.clone()).await;
    let (key, question) = asked["result"]["inputRequests"].as_object().unwrap().iter().next().unwrap();
    assert_eq!(question["params"]["message"], "name?", "{asked}");
    params["requestState"] = asked["result"]["requestState"].clone();
    params["inputResponses"] = json!({ key: {"action": "accept", "content": {"name": "Bob"}} });
    let (_, answered) = gateway.modern("tools/call", params).await;
    assert_eq!(text(&answered), r#"{"name":"Bob"}"#);
}

#[tokio::test]
async fn a_server_that_asks_nobody_is_refused_and_its_changed_lists_are_read() {
    let tools = Arc::new(Mutex::new(json!([{"name": "first", "inputSchema": {}}])));
    let now = Arc::clone(&tools);
    let old = SseServer::start(move |shared, session, message| {
        let is_list = message["method"] == "tools/list";
        if is_list {
            shared.result(session, message, &json!({"tools": *now.lock().unwrap()}));
        }
        is_list
    })
    .await;
    let gateway = TestGateway::start(vec![behind(&old, Transport::Sse)]).await;
    gateway.until_tools(&["first"]).await;
    *tools.lock().unwrap() = json!([{"name": "second", "inputSchema": {}}]);
    for session in old.sessions() {
        old.shared.say(session, &json!({"jsonrpc": "2.0", "id": "p", "method": "ping"}));
        old.shared.say(session, &json!({"jsonrpc": "2.0", "id": "r", "method": "roots/list"}));
        old.shared.say(session, &json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}));
    }
    gateway.until_tools(&["second"]).await;
    let answered = |id: &str, member: &str| {
        old.seen("").iter().any(|(_, message)| message["id"] == id && !message[member].is_null())
    };
    eventually("the ping is answered", async || answered("p", "result")).await;
    eventually("the question is refused", async || answered("r", "error")).await;
}

#[tokio::test]
async fn a_call_that_its_client_gives_up_is_cancelled_at_the_server() {
    let old = SseServer::start(|_, _, message| message["method"] == "tools/call").await;
    let gateway = in_front_of(&old).await;
    let request = gateway.modern_request("tools/call", json!({"name": "a", "arguments": {}}));
    let pending = tokio::spawn(request.send());
    eventually("the call is there", async || !old.seen("tools/call").is_empty()).await;
    pending.abort();
    let id = old.seen("tools/call")[0].1["id"].clone();
    let cancelled = || {
        old.seen("notifications/cancelled").iter().any(|(_, message)| message["params"]["requestId"] == id)
    };
    eventually("the server is told", async || cancelled()).await;
}
