//! What the gateway writes itself is valid by the official schemas of each revision.

use std::collections::{BTreeSet, HashMap};

use jsonschema::Validator;
use portico_conformance::{Era, Fixture};
use portico_gateway::Options;
use serde_json::{Value, json};

use super::questions::{LEGACY, answer_to, everything, in_front_of};
use super::real_server::RealServer;
use super::support::{Events, TestGateway, server};

fn schema(version: &str) -> Value {
    let path = format!("{}/tests/schema/{version}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Checks `message` against the definition `name` of revision `version`.
pub fn check(version: &str, name: &str, message: &Value) {
    let mut schema = schema(version);
    let root = if schema.get("$defs").is_some() { "$defs" } else { "definitions" };
    assert!(schema[root].get(name).is_some(), "{version} defines {name}");
    schema["$ref"] = format!("#/{root}/{name}").into();
    let validator: Validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<String> =
        validator.iter_errors(message).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{version} {name}: {errors:?} in {message}");
}

async fn gateway() -> (RealServer, TestGateway) {
    let real = RealServer::start(&["echo", "count"]).await;
    let gateway = TestGateway::start(vec![server("real", &[&real.url()])]).await;
    gateway.until_tools(&["count", "echo"]).await;
    (real, gateway)
}

#[tokio::test]
async fn legacy_answers_are_valid() {
    let (_real, gateway) = gateway().await;
    for version in ["2025-03-26", "2025-06-18", "2025-11-25"] {
        let client = gateway.legacy(version).await;
        check(version, "InitializeResult", &client.hello["result"]);
        assert_eq!(client.hello["result"]["protocolVersion"], version);
        for (method, params, name) in [
            ("tools/list", json!({}), "ListToolsResult"),
            ("resources/list", json!({}), "ListResourcesResult"),
            ("resources/templates/list", json!({}), "ListResourceTemplatesResult"),
            ("prompts/list", json!({}), "ListPromptsResult"),
            ("ping", json!({}), "EmptyResult"),
            ("tools/call", json!({ "name": "echo" }), "CallToolResult"),
            ("resources/read", json!({ "uri": "shop://hours" }), "ReadResourceResult"),
            ("prompts/get", json!({ "name": "greet" }), "GetPromptResult"),
        ] {
            let (_, answer) = client.call(method, params).await;
            check(version, name, &answer["result"]);
            check(version, "JSONRPCMessage", &answer);
        }
        let (_, refused) = client.call("tools/call", json!({ "name": "none" })).await;
        let error = if version == "2025-11-25" { "JSONRPCErrorResponse" } else { "JSONRPCError" };
        check(version, error, &refused);
    }
}

#[tokio::test]
async fn modern_answers_are_valid() {
    const VERSION: &str = "2026-07-28";
    let (_real, gateway) = gateway().await;
    for (method, params, name) in [
        ("server/discover", json!({}), "DiscoverResultResponse"),
        ("tools/list", json!({}), "ListToolsResultResponse"),
        ("resources/list", json!({}), "ListResourcesResultResponse"),
        ("resources/templates/list", json!({}), "ListResourceTemplatesResultResponse"),
        ("prompts/list", json!({}), "ListPromptsResultResponse"),
        ("tools/call", json!({ "name": "echo" }), "CallToolResultResponse"),
        ("resources/read", json!({ "uri": "shop://hours" }), "ReadResourceResultResponse"),
        ("prompts/get", json!({ "name": "greet" }), "GetPromptResultResponse"),
    ] {
        let (_, answer) = gateway.modern(method, params).await;
        check(VERSION, name, &answer);
    }
    let (_, refused) = gateway.modern("tools/call", json!({ "name": "none" })).await;
    check(VERSION, "JSONRPCErrorResponse", &refused);
    let without_id = gateway.http.post(gateway.url()).header("content-type", "application/json").body("{");
    let (_, refused) = super::support::answer(without_id.send().await.unwrap()).await;
    check(VERSION, "JSONRPCErrorResponse", &refused);
}

#[tokio::test]
async fn what_is_sent_on_streams_is_valid() {
    let (real, mut gateway) = gateway().await;
    let filter = json!({ "notifications": { "toolsListChanged": true } });
    let mut events = Events::of(gateway.modern_request("subscriptions/listen", filter).send().await.unwrap());
    check("2026-07-28", "SubscriptionsAcknowledgedNotification", &events.next().await.unwrap());
    let client = gateway.legacy("2025-11-25").await;
    let mut legacy = client.stream().await;
    real.set_tools(&["echo"]).await;
    check("2026-07-28", "ToolListChangedNotification", &events.next().await.unwrap());
    check("2025-11-25", "ToolListChangedNotification", &legacy.next().await.unwrap());
    gateway.stop();
    check("2026-07-28", "SubscriptionsListenResultResponse", &events.next().await.unwrap());
}

/// Drives every kind of request that the gateway sends to servers, for clients of both eras.
async fn exercise(fixture: &Fixture, gateway: &TestGateway) {
    let client = gateway.legacy_that_can(LEGACY, &everything()).await;
    client.call("logging/setLevel", json!({ "level": "info" })).await;
    let _stream = client.stream().await;
    client.call("resources/subscribe", json!({ "uri": "test://watched-resource" })).await;
    fixture.watched().wait_for(|watched| !watched.is_empty()).await.unwrap();
    client.call("resources/unsubscribe", json!({ "uri": "test://watched-resource" })).await;
    fixture.watched().wait_for(HashMap::is_empty).await.unwrap();
    let arg = json!({ "ref": { "type": "ref/prompt", "name": "test_prompt_with_arguments" },
        "argument": { "name": "arg1", "value": "par" } });
    for (method, params) in [
        ("tools/call", json!({ "name": "test_simple_text", "_meta": { "progressToken": "t" } })),
        ("prompts/get", json!({ "name": "test_simple_prompt" })),
        ("resources/read", json!({ "uri": "test://static-text" })),
        ("completion/complete", arg),
    ] {
        assert!(client.call(method, params.clone()).await.1["result"].is_object(), "{method}");
        assert!(gateway.modern(method, params).await.1["result"].is_object(), "{method}");
    }
    let mut asking =
        client.open("tools/call", json!({ "name": "test_input_required_result_multiple_inputs" })).await;
    for _ in 0..3 {
        let question = asking.next().await.unwrap();
        client.reply(&question, answer_to(question["method"].as_str().unwrap())).await;
    }
    assert!(asking.next().await.unwrap()["result"].is_object());
    let given_up = client.open("tools/call", json!({ "name": "test_elicitation" })).await;
    drop(given_up);
}

#[tokio::test]
async fn what_is_sent_to_servers_is_valid() {
    for (era, version) in [(Era::Legacy, LEGACY), (Era::Modern, "2026-07-28")] {
        let (fixture, gateway) = in_front_of(era, Options::default()).await;
        exercise(&fixture, &gateway).await;
        let received = fixture.received();
        for message in &received {
            let kind = match (message.get("method"), message.get("id")) {
                (Some(_), Some(_)) => "ClientRequest",
                (Some(_), None) => "ClientNotification",
                (None, _) => "JSONRPCMessage",
            };
            // Every server is asked first whether it speaks the newest revision.
            let probe = message["method"] == "server/discover";
            check(if probe { "2026-07-28" } else { version }, kind, message);
            if let Some(result) = message.get("result") {
                check(version, "ClientResult", result);
            }
        }
        let methods: BTreeSet<&str> =
            received.iter().filter_map(|message| message["method"].as_str()).collect();
        let all: &[&str] = match era {
            Era::Legacy => {
                &["initialize", "logging/setLevel", "resources/subscribe", "resources/unsubscribe"]
            }
            Era::Modern => &["server/discover", "subscriptions/listen"],
        };
        assert!(all.iter().all(|method| methods.contains(method)), "{methods:?}");
    }
}
