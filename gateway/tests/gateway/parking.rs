//! Legacy servers that ask modern clients: the call waits while the client sends its request again.

use std::time::Duration;

use futures::FutureExt as _;
use portico_conformance::Era;
use portico_gateway::Options;
use serde_json::{Value, json};

use super::questions::{LEGACY, answer_to, everything, in_front_of};
use super::raw_server::{RawServer, events};
use super::schemas::check;
use super::support::{Events, PATIENCE, TestGateway, eventually, server};

const MODERN: &str = "2026-07-28";

/// Calls `tool`, with what is given beside the name.
async fn call(gateway: &TestGateway, tool: &str, given: Value) -> Value {
    let mut params = json!({ "name": tool, "arguments": {},
        "_meta": { "io.modelcontextprotocol/clientCapabilities": everything() } });
    for (member, value) in given.as_object().unwrap() {
        params[member] = value.clone();
    }
    let (status, answer) = gateway.modern("tools/call", params).await;
    assert_eq!(status, 200, "{answer}");
    let kind = if answer["error"].is_object() { "JSONRPCErrorResponse" } else { "CallToolResultResponse" };
    check(MODERN, kind, &answer);
    answer
}

/// A retry that answers `asked`, but for the questions in `but`.
fn answers(asked: &Value, but: &[&str]) -> Value {
    check(MODERN, "InputRequiredResult", &asked["result"]);
    let requests = asked["result"]["inputRequests"].as_object().unwrap();
    let responses: serde_json::Map<String, Value> = requests
        .iter()
        .filter(|(_, request)| !but.contains(&request["method"].as_str().unwrap()))
        .map(|(key, request)| (key.clone(), answer_to(request["method"].as_str().unwrap())))
        .collect();
    json!({ "inputResponses": responses, "requestState": asked["result"]["requestState"] })
}

fn methods(asked: &Value) -> Vec<&str> {
    let requests = asked["result"]["inputRequests"].as_object().unwrap_or_else(|| panic!("{asked}"));
    requests.values().map(|request| request["method"].as_str().unwrap()).collect()
}

fn error(answer: &Value) -> &str {
    assert_eq!(answer["error"]["code"], -32602, "{answer}");
    answer["error"]["message"].as_str().unwrap()
}

#[tokio::test]
async fn a_legacy_server_asks_a_modern_client_by_results() {
    let (_fixture, gateway) = in_front_of(Era::Legacy, Options::default()).await;
    let tool = "test_input_required_result_multi_round";
    let first = call(&gateway, tool, json!({})).await;
    let second = call(&gateway, tool, answers(&first, &[])).await;
    assert_eq!(methods(&second), ["elicitation/create"]);
    assert_ne!(first["result"]["requestState"], second["result"]["requestState"]);
    let last = call(&gateway, tool, answers(&second, &[])).await;
    assert_eq!(last["result"]["resultType"], "complete");
    assert!(last["result"]["content"][0]["text"].as_str().unwrap().contains("Ada"), "{last}");
}

#[tokio::test]
async fn questions_made_together_are_asked_together_and_those_left_open_again() {
    let (_fixture, gateway) = in_front_of(Era::Legacy, Options::default()).await;
    let tool = "test_input_required_result_multiple_inputs";
    let asked = call(&gateway, tool, json!({})).await;
    assert_eq!(methods(&asked), ["elicitation/create", "sampling/createMessage", "roots/list"]);
    let asked = call(&gateway, tool, answers(&asked, &["roots/list"])).await;
    assert_eq!(methods(&asked), ["roots/list"]);
    let last = call(&gateway, tool, answers(&asked, &[])).await;
    let text = last["result"]["content"][0]["text"].as_str().unwrap();
    assert!(["Ada", "Paris", "file:///home"].iter().all(|answer| text.contains(answer)), "{text}");
}

#[tokio::test]
async fn prompts_may_ask_too() {
    let (_fixture, gateway) = in_front_of(Era::Legacy, Options::default()).await;
    let mut params = json!({ "name": "test_input_required_result_prompt",
        "_meta": { "io.modelcontextprotocol/clientCapabilities": everything() } });
    let (_, asked) = gateway.modern("prompts/get", params.clone()).await;
    for (member, value) in answers(&asked, &[]).as_object().unwrap() {
        params[member] = value.clone();
    }
    let (_, last) = gateway.modern("prompts/get", params).await;
    check(MODERN, "GetPromptResultResponse", &last);
    assert!(last["result"]["messages"].to_string().contains("Ada"), "{last}");
}

#[tokio::test]
async fn a_ticket_is_good_once_for_its_own_call_at_its_own_replica() {
    let options = Options { session_keys: vec![[7; 32]], ..Options::default() };
    let (fixture, gateway) = in_front_of(Era::Legacy, options.clone()).await;
    let replica = TestGateway::with(options, vec![server("fixture", &[&fixture.url()])]).await;
    replica.until_connected("fixture").await;
    let tool = "test_input_required_result_elicitation";
    let given = answers(&call(&gateway, tool, json!({})).await, &[]);
    assert!(error(&call(&replica, tool, given.clone()).await).contains("another replica"));
    let other = call(&gateway, "test_input_required_result_sampling", given.clone()).await;
    assert!(error(&other).contains("another call"), "{other}");
    assert_eq!(call(&gateway, tool, given.clone()).await["result"]["resultType"], "complete");
    assert!(error(&call(&gateway, tool, given).await).contains("was answered"));
    let forged = call(&gateway, tool, json!({ "requestState": "AAAA" })).await;
    assert!(error(&forged).contains("was changed"), "{forged}");
}

#[tokio::test]
async fn a_call_that_waits_too_long_is_given_up() {
    let options = Options { answer_timeout: Duration::from_millis(100), ..Options::default() };
    let (fixture, gateway) = in_front_of(Era::Legacy, options).await;
    let tool = "test_input_required_result_elicitation";
    let mut cancelled = fixture.cancelled();
    let given = answers(&call(&gateway, tool, json!({})).await, &[]);
    tokio::time::timeout(PATIENCE, cancelled.wait_for(|count| *count == 1)).await.unwrap().unwrap();
    assert!(error(&call(&gateway, tool, given).await).contains("waited too long"));
}

#[tokio::test]
async fn waiting_calls_are_bounded() {
    let (_fixture, gateway) =
        in_front_of(Era::Legacy, Options { max_questions: 1, ..Options::default() }).await;
    let tool = "test_input_required_result_elicitation";
    let given = answers(&call(&gateway, tool, json!({})).await, &[]);
    let refused = call(&gateway, tool, json!({})).await;
    assert!(refused["error"]["message"].as_str().unwrap().contains("too many calls wait"), "{refused}");
    assert_eq!(call(&gateway, tool, given).await["result"]["resultType"], "complete");
}

#[tokio::test]
async fn an_error_that_sends_the_user_to_a_page_is_an_input_request_to_a_modern_client() {
    let (_fixture, gateway) = in_front_of(Era::Legacy, Options::default()).await;
    let tool = "test_url_elicitation_required";
    let asked = call(&gateway, tool, json!({})).await;
    let request = asked["result"]["inputRequests"].as_object().unwrap().values().next().unwrap();
    assert_eq!(request["params"]["url"], "https://example.com/allow");
    // The call is made anew; this server is never content.
    let again = call(&gateway, tool, answers(&asked, &[])).await;
    assert_eq!(again["result"]["resultType"], "input_required");
    let (status, lacking) = gateway.modern("tools/call", json!({ "name": tool })).await;
    assert_eq!((status, &lacking["error"]["code"]), (400, &json!(-32021)), "{lacking}");
    let client = gateway.legacy_that_can(LEGACY, &everything()).await;
    let (_, error) = client.call("tools/call", json!({ "name": tool })).await;
    check(LEGACY, "URLElicitationRequiredError", &error);
}

#[tokio::test]
async fn a_question_after_progress_ends_the_stream_and_the_retry_goes_on_with_its_own_token() {
    let raw = RawServer::legacy(r#"[{"name":"a","inputSchema":{}}]"#, |seen| {
        let special = (seen.method() == "tools/call").then(|| {
            let id = &seen.body["id"];
            let progress = |value: u32| {
                json!({ "jsonrpc": "2.0", "method": "notifications/progress",
                    "params": { "progressToken": id, "progress": value } })
            };
            let ask = json!({ "jsonrpc": "2.0", "id": "q", "method": "roots/list" });
            let result = json!({ "jsonrpc": "2.0", "id": id, "result": { "content": [] } });
            let all = [progress(1), ask, progress(2), result];
            events(all.map(|message| format!("data: {message}\n\n")).concat())
        });
        async move { special }.boxed()
    })
    .await;
    let gateway = TestGateway::start(vec![server("raw", &[&raw.url()])]).await;
    gateway.until_connected("raw").await;
    let mut params = json!({ "name": "a", "_meta": { "progressToken": "one",
        "io.modelcontextprotocol/clientCapabilities": everything() } });
    let mut first = Events::of(gateway.modern_request("tools/call", params.clone()).send().await.unwrap());
    assert_eq!(first.next().await.unwrap()["params"]["progressToken"], "one");
    let asked = first.next().await.unwrap();
    assert_eq!((methods(&asked), asked["id"].as_i64()), (vec!["roots/list"], Some(1)));
    assert!(first.next().await.is_none());
    params["_meta"]["progressToken"] = "two".into();
    for (member, value) in answers(&asked, &[]).as_object().unwrap() {
        params[member] = value.clone();
    }
    let mut second = Events::of(gateway.modern_request("tools/call", params).send().await.unwrap());
    let progress = second.next().await.unwrap();
    assert_eq!(
        (&progress["params"]["progressToken"], &progress["params"]["progress"]),
        (&json!("two"), &json!(2))
    );
    assert_eq!(second.next().await.unwrap()["result"]["resultType"], "complete");
}

#[tokio::test]
async fn a_completion_asks_nobody() {
    let raw = RawServer::legacy("[]", |seen| {
        let special = match seen.method() {
            "initialize" => Some(seen.result(
                r#"{"protocolVersion":"2025-11-25","capabilities":{"prompts":{},"completions":{}},"serverInfo":{"name":"raw","version":"1"}}"#,
            )),
            "prompts/list" => Some(seen.result(r#"{"prompts":[{"name":"p"}]}"#)),
            "completion/complete" => {
                let ask = json!({ "jsonrpc": "2.0", "id": "q", "method": "roots/list" });
                let result = json!({ "jsonrpc": "2.0", "id": seen.body["id"],
                    "result": { "completion": { "values": [] } } });
                Some(events(format!("data: {ask}\n\ndata: {result}\n\n")))
            }
            _ => None,
        };
        async move { special }.boxed()
    })
    .await;
    let gateway = TestGateway::start(vec![server("raw", &[&raw.url()])]).await;
    gateway.until_connected("raw").await;
    let params = json!({ "ref": { "type": "ref/prompt", "name": "p" }, "argument": { "name": "a", "value": "" },
        "_meta": { "io.modelcontextprotocol/clientCapabilities": everything() } });
    let (_, answer) = gateway.modern("completion/complete", params).await;
    check(MODERN, "CompleteResultResponse", &answer);
    eventually("the question is refused", async || {
        raw.seen("").iter().any(|seen| seen.body["id"] == "q" && seen.body["error"].is_object())
    })
    .await;
}
