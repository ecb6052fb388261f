//! Each era of clients with each era of servers, all made with the official SDK.

use portico_conformance::Era;
use portico_gateway::Options;
use portico_gateway::source::{Protocol, Server};
use rmcp::ServiceError;
use rmcp::model::*;
use rmcp::service::PeerRequestOptions;

use super::questions::in_front_of;
use super::real_client::{ClientEra, RealClient, connect};
use super::real_server::RealServer;
use super::support::{TestGateway, eventually, server};

struct Pair {
    backend: RealServer,
    client: RealClient,
    era: ClientEra,
    _gateway: TestGateway,
}

const PAIRS: [(ClientEra, Protocol); 4] = [
    (ClientEra::Legacy, Protocol::Legacy),
    (ClientEra::Legacy, Protocol::Modern),
    (ClientEra::Modern, Protocol::Legacy),
    (ClientEra::Modern, Protocol::Modern),
];

/// Runs `check` for each pairing.
async fn each(check: impl AsyncFn(&Pair)) {
    for (era, protocol) in PAIRS {
        let backend = RealServer::start(&["echo", "count", "wait"]).await;
        let config = Server { protocol, ..server("shop", &[&backend.url()]) };
        let gateway = TestGateway::start(vec![config]).await;
        let report = gateway.until_connected("shop").await;
        let modern = report.protocol_version.as_deref() == Some("2026-07-28");
        assert_eq!(modern, protocol == Protocol::Modern, "{report:?}");
        let client = connect(&gateway.url(), era).await;
        let pair = Pair { backend, client, era, _gateway: gateway };
        check(&pair).await;
        pair.client.cancel().await.unwrap();
    }
}

fn text(result: &CallToolResult) -> &str {
    &result.content[0].as_text().unwrap().text
}

#[tokio::test]
async fn tools_are_listed_and_called() {
    each(async |pair| {
        let tools = pair.client.list_all_tools().await.unwrap();
        assert_eq!(
            tools.iter().map(|tool| tool.name.as_ref()).collect::<Vec<_>>(),
            ["count", "echo", "wait"]
        );
        let mut params = CallToolRequestParams::new("echo");
        params.arguments = serde_json::json!({ "größe": [1, null] }).as_object().cloned();
        let result = pair.client.call_tool(params).await.unwrap();
        assert_eq!(text(&result), r#"echo {"größe":[1,null]}"#);
    })
    .await;
}

#[tokio::test]
async fn an_unknown_tool_is_refused_as_bad_parameters() {
    each(async |pair| {
        let error = pair.client.call_tool(CallToolRequestParams::new("none")).await.unwrap_err();
        let ServiceError::McpError(error) = error else { panic!("{error}") };
        assert_eq!(error.code, ErrorCode::INVALID_PARAMS);
    })
    .await;
}

#[tokio::test]
async fn resources_and_templates_are_listed_and_read() {
    each(async |pair| {
        let resources = pair.client.list_all_resources().await.unwrap();
        assert_eq!(resources[0].uri, "shop://hours");
        let templates = pair.client.list_all_resource_templates().await.unwrap();
        assert_eq!(templates[0].uri_template, "shop://items/{id}");
        for uri in ["shop://hours", "shop://items/7"] {
            let result = pair.client.read_resource(ReadResourceRequestParams::new(uri)).await.unwrap();
            let ResourceContents::TextResourceContents { text, .. } = &result.contents[0] else { panic!() };
            assert_eq!(*text, format!("text of {uri}"));
        }
    })
    .await;
}

#[tokio::test]
async fn a_missing_resource_has_the_code_of_the_clients_era() {
    each(async |pair| {
        let read = ReadResourceRequestParams::new("shop://items/missing");
        let error = pair.client.read_resource(read).await.unwrap_err();
        let ServiceError::McpError(error) = error else { panic!("{error}") };
        let expected = if pair.era == ClientEra::Legacy { -32002 } else { -32602 };
        assert_eq!(error.code.0, expected, "{error:?}");
    })
    .await;
}

#[tokio::test]
async fn prompts_are_listed_and_got() {
    each(async |pair| {
        let prompts = pair.client.list_all_prompts().await.unwrap();
        assert_eq!(prompts[0].name, "greet");
        let result = pair.client.get_prompt(GetPromptRequestParams::new("greet")).await.unwrap();
        assert_eq!(result.messages.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn progress_reaches_the_client_under_its_own_token() {
    each(async |pair| {
        let request =
            ClientRequest::CallToolRequest(CallToolRequest::new(CallToolRequestParams::new("count")));
        let sent = pair.client.send_request_with_option(request, PeerRequestOptions::no_options());
        let answer = sent.await.unwrap().await_response().await.unwrap();
        assert!(matches!(answer, ServerResult::CallToolResult(_)), "{answer:?}");
        let progress = std::sync::Arc::clone(&pair.client.service().progress);
        eventually("all progress has come", async || {
            let mut seen = progress.lock().unwrap().clone();
            // The SDK's client handles notifications side by side, in no order.
            seen.sort_by(f64::total_cmp);
            seen == [1.0, 2.0, 3.0]
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn a_cancelled_call_is_cancelled_at_the_server() {
    each(async |pair| {
        let request =
            ClientRequest::CallToolRequest(CallToolRequest::new(CallToolRequestParams::new("wait")));
        let call =
            pair.client.send_request_with_option(request, PeerRequestOptions::no_options()).await.unwrap();
        pair.backend.until_waiting(1).await;
        call.cancel(Some("enough".into())).await.unwrap();
        pair.backend.until_cancelled(1).await;
    })
    .await;
}

#[tokio::test]
async fn a_client_that_goes_away_cancels_its_call() {
    for (era, protocol) in PAIRS {
        let backend = RealServer::start(&["wait"]).await;
        let gateway =
            TestGateway::start(vec![Server { protocol, ..server("shop", &[&backend.url()]) }]).await;
        gateway.until_connected("shop").await;
        let params = serde_json::json!({ "name": "wait", "arguments": {} });
        let legacy = gateway.legacy("2025-11-25").await;
        let request = match era {
            ClientEra::Modern => gateway.modern_request("tools/call", params),
            ClientEra::Legacy => legacy.request(
                &serde_json::json!({ "jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": params })
                    .to_string(),
            ),
        };
        let call = tokio::spawn(request.send());
        backend.until_waiting(1).await;
        call.abort();
        backend.until_cancelled(1).await;
    }
}

#[tokio::test]
async fn a_changed_list_is_seen_by_a_client_of_each_era() {
    for (_, protocol) in PAIRS {
        let backend = RealServer::start(&["echo"]).await;
        let gateway =
            TestGateway::start(vec![Server { protocol, ..server("shop", &[&backend.url()]) }]).await;
        gateway.until_tools(&["echo"]).await;
        backend.set_tools(&["echo", "more"]).await;
        gateway.until_tools(&["echo", "more"]).await;
    }
}

#[tokio::test]
async fn the_era_of_a_server_is_found_out() {
    let real = RealServer::start(&["echo"]).await;
    let raw = super::raw_server::RawServer::legacy("[]", super::raw_server::nothing_special).await;
    let gateway =
        TestGateway::start(vec![server("both", &[&real.url()]), server("old", &[&raw.url()])]).await;
    let both = gateway.until_connected("both").await;
    assert_eq!(both.protocol_version.as_deref(), Some("2026-07-28"));
    assert_eq!((both.tools, both.resources, both.prompts), (1, 1, 1));
    assert_eq!(both.server_name.as_deref(), Some("shop"));
    let old = gateway.until_connected("old").await;
    assert_eq!(old.protocol_version.as_deref(), Some("2025-11-25"));
}

#[tokio::test]
async fn a_tool_that_asks_its_user_twice_gets_both_answers() {
    for (era, protocol) in PAIRS {
        let fixture = if protocol == Protocol::Legacy { Era::Legacy } else { Era::Modern };
        let (_fixture, gateway) = in_front_of(fixture, Options::default()).await;
        let client = connect(&gateway.url(), era).await;
        let params = CallToolRequestParams::new("test_input_required_result_multi_round");
        let result = client.call_tool(params).await.unwrap();
        assert!(text(&result).starts_with("state-ok") && text(&result).contains("blue"), "{result:?}");
        client.cancel().await.unwrap();
    }
}
