//! Calls that a person must agree to.

use futures::FutureExt as _;
use portico_conformance::{Era, Fixture};
use portico_gateway::Options;
use serde_json::{Value, json};

use super::questions::{LEGACY, answer_to, everything};
use super::raw_server::{RawServer, nothing_special};
use super::schemas::check;
use super::support::{TestGateway, server};

const TOOLS: &str = r#"[{"name":"refund","inputSchema":{}}]"#;
const RULES: &str =
    "access: {rules: [{name: ask, tools: ['*'], effect: Approve, message: Money leaves the till.}]}";

struct Gated {
    gateway: TestGateway,
    _folder: tempfile::TempDir,
}

impl Gated {
    async fn before(url: &str, tool: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("gateway.yaml");
        std::fs::write(&config, RULES).unwrap();
        let gateway = TestGateway::with(Options::default(), vec![server("pos", &[url])]).await;
        gateway.until_connected("pos").await;
        gateway.gateway.configure_from(&config).unwrap();
        assert!(gateway.tools().await.contains(&tool.to_owned()));
        Self { gateway, _folder: folder }
    }

    /// A call of a client that can be asked, with what is given beside the name.
    async fn call(&self, tool: &str, given: Value) -> Value {
        let mut params = json!({ "name": tool, "arguments": { "amount": 5, "to": "Ada" },
            "_meta": { "io.modelcontextprotocol/clientCapabilities": everything() } });
        params.as_object_mut().unwrap().extend(given.as_object().unwrap().clone());
        self.gateway.modern("tools/call", params).await.1
    }
}

/// What a client sends that was `asked` and whose user did this.
fn reply(asked: &Value, action: &str) -> Value {
    check("2026-07-28", "InputRequiredResult", &asked["result"]);
    json!({ "inputResponses": { "approval": { "action": action } }, "requestState": asked["result"]["requestState"] })
}

fn question(asked: &Value) -> &Value {
    &asked["result"]["inputRequests"]["approval"]
}

fn text(answer: &Value) -> &str {
    answer["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{answer}"))
}

#[tokio::test]
async fn a_call_is_made_after_the_user_agrees_once_for_each_time_and_as_it_was_sent() {
    for legacy in [true, false] {
        let behind = if legacy {
            RawServer::legacy(TOOLS, nothing_special).await
        } else {
            RawServer::modern(TOOLS, nothing_special).await
        };
        let gated = Gated::before(&behind.url(), "refund").await;
        let asked = gated.call("refund", json!({})).await;
        assert_eq!(question(&asked)["method"], "elicitation/create");
        let message = question(&asked)["params"]["message"].as_str().unwrap();
        for part in ["`refund` of shop/pos", "Money leaves the till.", r#"{"amount":5,"to":"Ada"}"#] {
            assert!(message.contains(part), "{message}");
        }
        assert_eq!(behind.seen("tools/call").len(), 0);
        let yes = reply(&asked, "accept");
        let done = gated.call("refund", yes.clone()).await;
        assert_eq!(done["result"]["content"], json!([]), "{done}");
        let seen = behind.seen("tools/call");
        assert_eq!(seen.len(), 1);
        let params = &seen[0].body["params"];
        assert_eq!(params["arguments"], json!({ "amount": 5, "to": "Ada" }));
        assert!(params["requestState"].is_null() && params["inputResponses"].is_null(), "{params}");
        let again = gated.call("refund", yes).await;
        assert!(again["error"]["message"].as_str().unwrap().contains("was used already"), "{again}");
        assert_eq!(behind.seen("tools/call").len(), 1);
    }
}

#[tokio::test]
async fn an_approval_is_good_for_no_other_call_and_for_nobody_who_says_no() {
    let behind = RawServer::legacy(TOOLS, nothing_special).await;
    let gated = Gated::before(&behind.url(), "refund").await;
    for action in ["decline", "cancel", "anything"] {
        let asked = gated.call("refund", json!({})).await;
        let refused = gated.call("refund", reply(&asked, action)).await;
        assert_eq!(refused["result"]["isError"], true, "{refused}");
        assert!(text(&refused).contains("needs the approval of the user (rule `ask`)"));
    }
    let asked = gated.call("refund", json!({})).await;
    let mut other = reply(&asked, "accept");
    other["arguments"] = json!({ "amount": 5000, "to": "Ada" });
    let refused = gated.call("refund", other).await;
    assert!(refused["error"]["message"].as_str().unwrap().contains("belongs to another call"), "{refused}");
    let mut forged = reply(&asked, "accept");
    forged["requestState"] = "AAAA".into();
    assert!(question(&gated.call("refund", forged).await)["method"].is_string(), "asked anew");
    // The same arguments in another order are the same call.
    let asked = gated.call("refund", json!({})).await;
    let mut same = reply(&asked, "accept");
    same["arguments"] = serde_json::from_str(r#"{"to":"Ada","amount":5}"#).unwrap();
    assert!(gated.call("refund", same).await["result"]["isError"].is_null());
    assert_eq!(behind.seen("tools/call").len(), 1);
}

#[tokio::test]
async fn a_client_with_a_session_is_asked_on_the_calls_stream() {
    let behind = RawServer::legacy(TOOLS, nothing_special).await;
    let gated = Gated::before(&behind.url(), "refund").await;
    let client = gated.gateway.legacy_that_can(LEGACY, &everything()).await;
    for (action, called) in [("accept", 1), ("decline", 1)] {
        let mut events =
            client.open("tools/call", json!({ "name": "refund", "arguments": { "amount": 5 } })).await;
        let asked = events.next().await.unwrap();
        check(LEGACY, "ServerRequest", &asked);
        assert_eq!(behind.seen("tools/call").len(), usize::from(action != "accept"));
        client.reply(&asked, json!({ "action": action })).await;
        let last = events.next().await.unwrap();
        check(LEGACY, "JSONRPCMessage", &last);
        assert_eq!(last["result"]["isError"] == true, action == "decline", "{last}");
        assert!(events.next().await.is_none());
        assert_eq!(behind.seen("tools/call").len(), called);
    }
}

#[tokio::test]
async fn a_client_that_cannot_ask_is_told_so_and_nothing_is_called() {
    let behind = RawServer::legacy(TOOLS, nothing_special).await;
    let gated = Gated::before(&behind.url(), "refund").await;
    let (status, answer) = gated.gateway.modern("tools/call", json!({ "name": "refund" })).await;
    assert_eq!((status, &answer["error"]["code"]), (400, &json!(-32021)), "{answer}");
    check("2026-07-28", "MissingRequiredClientCapabilityError", &answer);
    let client = gated.gateway.legacy(LEGACY).await;
    let (_, answer) = client.call("tools/call", json!({ "name": "refund" })).await;
    assert!(text(&answer).contains("did not declare that it can ask"), "{answer}");
    assert_eq!(behind.seen("tools/call").len(), 0);
}

#[tokio::test]
async fn a_server_that_asks_in_the_middle_of_an_approved_call_does_not_have_it_approved_again() {
    for era in [Era::Legacy, Era::Modern] {
        let fixture = Fixture::start(era).await.unwrap();
        let tool = "test_input_required_result_multi_round";
        let gated = Gated::before(&fixture.url(), tool).await;
        let asked = gated.call(tool, json!({})).await;
        let mut answer = gated.call(tool, reply(&asked, "accept")).await;
        for _ in 0..2 {
            assert!(question(&answer).is_null(), "{era:?}: {answer}");
            let requests =
                answer["result"]["inputRequests"].as_object().unwrap_or_else(|| panic!("{answer}"));
            let responses: serde_json::Map<String, Value> = requests
                .iter()
                .map(|(key, request)| (key.clone(), answer_to(request["method"].as_str().unwrap())))
                .collect();
            let state = answer["result"]["requestState"].clone();
            answer = gated.call(tool, json!({ "inputResponses": responses, "requestState": state })).await;
        }
        assert!(text(&answer).contains("Ada"), "{era:?}: {answer}");
    }
}

#[tokio::test]
async fn the_state_of_an_approved_call_goes_on_with_no_other() {
    let behind = RawServer::modern(TOOLS, |seen| {
        async move {
            (seen.method() == "tools/call").then(|| {
                seen.result(r#"{"resultType":"input_required","inputRequests":{"a":{"method":"roots/list"}},"requestState":"mine"}"#)
            })
        }
        .boxed()
    })
    .await;
    let gated = Gated::before(&behind.url(), "refund").await;
    let asked = gated.call("refund", json!({})).await;
    let asked = gated.call("refund", reply(&asked, "accept")).await;
    let state = asked["result"]["requestState"].clone();
    assert_ne!(state, "mine");
    let other = gated.call("refund", json!({ "requestState": state, "arguments": { "amount": 9 } })).await;
    assert!(question(&other)["method"].is_string(), "{other}");
    assert_eq!(behind.seen("tools/call").len(), 1);
    gated.call("refund", json!({ "requestState": state, "inputResponses": { "a": { "roots": [] } } })).await;
    let seen = behind.seen("tools/call");
    assert_eq!((seen.len(), &seen[1].body["params"]["requestState"]), (2, &json!("mine")));
    assert_eq!(seen[1].body["params"]["inputResponses"]["a"]["roots"], json!([]));
}
