//! What the gateway does not have to change, it does not change.

use serde_json::json;

use super::raw_server::{RawServer, json_response};
use super::support::{TestGateway, answer, server};

const ODD_TOOL: &str = r#"[ {"x-unknown" : [1.0, 1e400, -0], "name":"odd","inputSchema" : {"type":"object" , "properties":{}},"outputSchema":{"a":1E+2},"icons":[{"src":"x","sizes":"any"}],"annotations":{"future":true},"execution":{"taskSupport":"optional"},"description":"\u00e9\/"} ]"#;

const ODD_RESULT: &str = r#"{"content" : [{"type":"from-the-future","n":1.10}], "structuredContent":1e400,"extra":{"z":1,"a":"\u0041"},"isError":false}"#;

#[tokio::test]
async fn a_definition_is_listed_byte_for_byte() {
    let raw = RawServer::legacy(ODD_TOOL, super::raw_server::nothing_special).await;
    let gateway = TestGateway::start(vec![server("raw", &[&raw.url()])]).await;
    let tool = ODD_TOOL.trim_matches(['[', ']']).trim();
    let legacy = gateway.legacy("2025-11-25").await;
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    let text = legacy.request(body).send().await.unwrap().text().await.unwrap();
    assert_eq!(text, format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"tools":[{tool}]}}}}"#));
    let modern = gateway.modern_request("tools/list", json!({})).send().await.unwrap().text().await.unwrap();
    assert!(modern.contains(tool), "{modern}");
}

#[tokio::test]
async fn a_call_and_its_result_pass_byte_for_byte_within_one_era() {
    let raw = RawServer::legacy(ODD_TOOL, |seen| {
        Box::pin(async move { (seen.method() == "tools/call").then(|| seen.result(ODD_RESULT)) })
    })
    .await;
    let gateway = TestGateway::start(vec![server("raw", &[&raw.url()])]).await;
    let client = gateway.legacy("2025-06-18").await;
    let body = r#" { "jsonrpc" : "2.0", "method":"tools/call","id" : "é\u0041", "params":{"arguments":{"n":1e400,"m":1.0},"name":"odd","_meta":{"progressToken":"t","a.b/c":[ ]},"extra":null}} "#;
    let text = client.request(body).send().await.unwrap().text().await.unwrap();
    assert_eq!(text, format!(r#"{{"jsonrpc":"2.0","id":"é\u0041","result":{ODD_RESULT}}}"#));
    let seen = &raw.seen("tools/call")[0];
    let ours = seen.body["id"].to_string();
    assert_eq!(seen.text, body.replace(r#""é\u0041""#, &ours).replace(r#""t""#, &ours));
}

#[tokio::test]
async fn a_modern_result_passes_byte_for_byte_to_clients_of_both_eras() {
    const RESULT: &str = r#"{"structuredContent":null , "content":[],"resultType":"complete","ttl":1.0}"#;
    let raw = RawServer::modern(ODD_TOOL, |seen| {
        Box::pin(async move { (seen.method() == "tools/call").then(|| seen.result(RESULT)) })
    })
    .await;
    let gateway = TestGateway::start(vec![server("raw", &[&raw.url()])]).await;
    let params = json!({ "name": "odd", "arguments": {} });
    let modern = gateway.modern_request("tools/call", params.clone()).send().await.unwrap();
    assert_eq!(modern.text().await.unwrap(), format!(r#"{{"jsonrpc":"2.0","id":1,"result":{RESULT}}}"#));
    let legacy = gateway.legacy("2025-03-26").await;
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params }).to_string();
    let legacy = legacy.request(&body).send().await.unwrap();
    assert_eq!(legacy.text().await.unwrap(), format!(r#"{{"jsonrpc":"2.0","id":1,"result":{RESULT}}}"#));
}

#[tokio::test]
async fn a_servers_own_error_passes_with_its_data() {
    let raw = RawServer::legacy(ODD_TOOL, |seen| {
        Box::pin(async move {
            let error = format!(
                r#"{{"jsonrpc":"2.0","id":{},"error":{{"code":4711,"message":"sold out","data":{{"n":1.0}}}}}}"#,
                seen.body["id"]
            );
            (seen.method() == "tools/call").then(|| json_response(200, error))
        })
    })
    .await;
    let gateway = TestGateway::start(vec![server("raw", &[&raw.url()])]).await;
    let response = gateway.modern_request("tools/call", json!({ "name": "odd" })).send().await.unwrap();
    let expected = r#"{"jsonrpc":"2.0","id":1,"error":{"code":4711,"message":"sold out","data":{"n":1.0}}}"#;
    assert_eq!(response.text().await.unwrap(), expected);
}

#[tokio::test]
async fn a_modern_server_gets_the_headers_and_meta_it_requires() {
    const TOOLS: &str = r#"[{"name":"größe","inputSchema":{"type":"object","properties":{"shop":{"type":"string","x-mcp-header":"Shop"}}}}]"#;
    let raw = RawServer::modern(TOOLS, super::raw_server::nothing_special).await;
    let gateway = TestGateway::start(vec![server("raw", &[&raw.url()])]).await;
    let client = gateway.legacy("2025-11-25").await;
    let (_, answer) =
        client.call("tools/call", json!({ "name": "größe", "arguments": { "shop": "Köln" } })).await;
    assert!(answer["result"].is_object(), "{answer}");
    let seen = &raw.seen("tools/call")[0];
    assert_eq!(seen.headers["mcp-protocol-version"], "2026-07-28");
    assert_eq!(seen.headers["mcp-method"], "tools/call");
    assert_eq!(seen.headers["mcp-name"], "=?base64?Z3LDtsOfZQ==?=");
    assert_eq!(seen.headers["mcp-param-shop"], "=?base64?S8O2bG4=?=");
    let meta = &seen.body["params"]["_meta"];
    assert_eq!(meta["io.modelcontextprotocol/protocolVersion"], "2026-07-28");
    assert!(meta["io.modelcontextprotocol/clientCapabilities"].is_object());
}

#[tokio::test]
async fn a_modern_clients_header_that_differs_from_the_argument_is_refused() {
    const TOOLS: &str = r#"[{"name":"t","inputSchema":{"type":"object","properties":{"shop":{"type":"string","x-mcp-header":"Shop"}}}}]"#;
    let raw = RawServer::modern(TOOLS, super::raw_server::nothing_special).await;
    let gateway = TestGateway::start(vec![server("raw", &[&raw.url()])]).await;
    let params = json!({ "name": "t", "arguments": { "shop": "a" } });
    let call =
        |header: &str| gateway.modern_request("tools/call", params.clone()).header("mcp-param-shop", header);
    let (status, refused) = answer(call("b").send().await.unwrap()).await;
    assert_eq!((status, refused["error"]["code"].as_i64()), (400, Some(-32020)));
    let (status, _) = answer(call("a").send().await.unwrap()).await;
    assert_eq!(status, 200);
}
