//! Several replicas: whichever gets a client's answer, it reaches the one that asked.

use portico_conformance::{Era, Fixture};
use serde_json::{Value, json};

use super::questions::{LEGACY, answer_to, everything};
use super::support::{LegacyClient, TestGateway, server};

/// A server of this era, and two replicas in front of it.
async fn two(era: Era) -> (Fixture, TestGateway, TestGateway) {
    let fixture = Fixture::start(era).await.unwrap();
    let behind = || vec![server("fixture", &[&fixture.url()])];
    let (one, other) = tokio::join!(TestGateway::replica(behind()), TestGateway::replica(behind()));
    one.until_connected("fixture").await;
    other.until_connected("fixture").await;
    (fixture, one, other)
}

#[tokio::test]
async fn a_question_is_answered_through_any_replica() {
    for era in [Era::Legacy, Era::Modern] {
        let (_fixture, one, other) = two(era).await;
        let client = one.legacy_that_can(LEGACY, &everything()).await;
        let elsewhere = LegacyClient { gateway: &other, session: client.session.clone(), hello: Value::Null };
        for tool in ["test_input_required_result_elicitation", "test_input_required_result_sampling"] {
            let mut events = client.open("tools/call", json!({ "name": tool, "arguments": {} })).await;
            let question = events.next().await.unwrap();
            assert!(question["id"].is_string(), "{question}");
            elsewhere.reply(&question, answer_to(question["method"].as_str().unwrap())).await;
            let last = events.next().await.unwrap();
            assert!(last["result"]["content"].is_array(), "{era:?}: {last}");
        }
    }
}

async fn call(gateway: &TestGateway, given: &Value) -> Value {
    let mut params = json!({ "name": "test_input_required_result_multi_round", "arguments": {},
        "_meta": { "io.modelcontextprotocol/clientCapabilities": everything() } });
    params.as_object_mut().unwrap().extend(given.as_object().unwrap().clone());
    gateway.modern("tools/call", params).await.1
}

fn answers(asked: &Value) -> Value {
    let requests = asked["result"]["inputRequests"].as_object().unwrap_or_else(|| panic!("{asked}"));
    let responses: serde_json::Map<String, Value> = requests
        .iter()
        .map(|(key, request)| (key.clone(), answer_to(request["method"].as_str().unwrap())))
        .collect();
    json!({ "inputResponses": responses, "requestState": asked["result"]["requestState"] })
}

#[tokio::test]
async fn a_call_that_waits_goes_on_through_any_replica_and_is_over_with_the_one_it_waits_in() {
    let (_fixture, mut one, other) = two(Era::Legacy).await;
    let first = call(&one, &json!({})).await;
    let second = call(&other, &answers(&first)).await;
    let last = call(&other, &answers(&second)).await;
    assert!(last["result"]["content"][0]["text"].as_str().unwrap().contains("Ada"), "{last}");
    let first = call(&one, &json!({})).await;
    one.stop();
    super::support::eventually("it is gone", async || {
        tokio::net::TcpStream::connect(one.address).await.is_err()
    })
    .await;
    let late = call(&other, &answers(&first)).await;
    assert!(late["error"]["message"].as_str().unwrap().contains("is gone"), "{late}");
}

#[tokio::test]
async fn an_approval_is_given_through_any_replica() {
    let (_fixture, one, other) = two(Era::Modern).await;
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("gateway.yaml");
    std::fs::write(&config, "access: {rules: [{name: ask, effect: Approve}]}").unwrap();
    for gateway in [&one, &other] {
        gateway.gateway.configure_from(&config).unwrap();
    }
    let call = async |gateway: &TestGateway, given: Value| {
        let mut params = json!({ "name": "test_simple_text", "arguments": {},
            "_meta": { "io.modelcontextprotocol/clientCapabilities": everything() } });
        params.as_object_mut().unwrap().extend(given.as_object().unwrap().clone());
        gateway.modern("tools/call", params).await.1
    };
    let asked = call(&one, json!({})).await;
    let yes = json!({ "inputResponses": { "approval": { "action": "accept" } }, "requestState": asked["result"]["requestState"] });
    assert!(call(&other, yes.clone()).await["result"]["content"].is_array());
    let twice = call(&other, yes).await;
    assert!(twice["error"]["message"].as_str().unwrap().contains("was used already"), "{twice}");
}
