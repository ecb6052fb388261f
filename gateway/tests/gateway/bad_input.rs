//! Requests that are wrong in every way a request can be.

use portico_gateway::Options;
use serde_json::{Value, json};

use super::raw_server::{RawServer, nothing_special};
use super::support::{TestGateway, answer, post, server};

const TOOLS: &str = r#"[{"name":"größe 🛒","inputSchema":{}}]"#;

async fn gateway() -> (RawServer, TestGateway) {
    let raw = RawServer::legacy(TOOLS, nothing_special).await;
    let options = Options { max_body_bytes: 10_000, max_depth: 20, ..Options::default() };
    let gateway = TestGateway::with(options, vec![server("raw", &[&raw.url()])]).await;
    (raw, gateway)
}

#[tokio::test]
async fn a_body_that_is_no_message_is_refused_with_the_code_that_says_why() {
    let (_raw, gateway) = gateway().await;
    let client = gateway.legacy("2025-11-25").await;
    let deep = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{{"a":{}{}}}}}"#,
        "[".repeat(30),
        "]".repeat(30)
    );
    let large = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{}"}}"#, "x".repeat(20_000));
    for (body, status, code) in [
        ("", 400, -32700),
        ("{", 400, -32700),
        ("nonsense", 400, -32700),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping"} x"#, 400, -32700),
        (r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#, 400, -32700),
        (r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#, 400, -32600),
        ("[]", 400, -32600),
        ("7", 400, -32700),
        (r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, 400, -32600),
        (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, 400, -32600),
        (r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#, 400, -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":7}"#, 400, -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[1]}"#, 400, -32600),
        (r#"{"jsonrpc":"2.0","id":1}"#, 400, -32600),
        (deep.as_str(), 400, -32600),
        (large.as_str(), 413, -32600),
    ] {
        let (got, answer) = answer(client.request(body).send().await.unwrap()).await;
        assert_eq!((got, answer["error"]["code"].as_i64()), (status, Some(code)), "{body:.100}: {answer}");
    }
}

#[tokio::test]
async fn a_legacy_request_is_refused_when_its_session_or_method_is_wrong() {
    let (_raw, gateway) = gateway().await;
    let client = gateway.legacy("2025-11-25").await;
    let ping = r#"{"jsonrpc":"2.0","id":"p","method":"ping"}"#;
    let send = async |request: reqwest::RequestBuilder| answer(request.send().await.unwrap()).await;
    let without = post(&gateway.http, &gateway.url(), ping);
    assert_eq!(send(without).await.0, 400);
    let unknown = post(&gateway.http, &gateway.url(), ping).header("mcp-session-id", "unknown");
    let (status, answer) = send(unknown).await;
    assert_eq!((status, &answer["id"]), (404, &json!("p")));
    let (status, answer) = send(client.request(ping).header("mcp-protocol-version", "2027-01-01")).await;
    assert_eq!((status, answer["error"]["code"].as_i64()), (400, Some(-32022)));
    assert_eq!(
        send(client.request(ping).header("mcp-protocol-version", "2025-11-25")).await,
        (200, json!({ "jsonrpc": "2.0", "id": "p", "result": {} }))
    );
    for method in ["foo/bar", "sampling/createMessage", "roots/list", ""] {
        let (status, answer) = client.call(method, json!({})).await;
        assert_eq!((status, answer["error"]["code"].as_i64()), (200, Some(-32601)), "{method}");
    }
    for (method, params) in [
        ("tools/call", json!({})),
        ("tools/call", json!({ "name": 7 })),
        ("prompts/get", json!({ "name": "none" })),
        ("completion/complete", json!({ "ref": { "type": "ref/prompt", "name": "none" } })),
        ("completion/complete", json!({})),
        ("logging/setLevel", json!({ "level": "loud" })),
        ("resources/subscribe", json!({})),
    ] {
        let (status, answer) = client.call(method, params.clone()).await;
        assert_eq!((status, answer["error"]["code"].as_i64()), (200, Some(-32602)), "{method} {params}");
    }
    let (_, missing) = client.call("resources/read", json!({ "uri": "x:y" })).await;
    assert_eq!(missing["error"]["code"], -32002);
}

/// What is wrong, the request, its headers, and the status and code it gets.
type Case<'a> = (&'a str, Value, Vec<(&'a str, &'a str)>, u16, i64);

#[tokio::test]
async fn a_modern_request_is_refused_when_it_lacks_what_each_request_must_carry() {
    let (_raw, gateway) = gateway().await;
    let meta = |version: &str| json!({ "io.modelcontextprotocol/protocolVersion": version, "io.modelcontextprotocol/clientCapabilities": {} });
    let good = [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/list")];
    let call = [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/call")];
    let named = |name| [call[0], call[1], ("mcp-name", name)];
    let cases: Vec<Case<'_>> = vec![
        ("tools/list", json!({}), good.to_vec(), 400, -32602),
        ("tools/list", json!({ "_meta": {} }), good.to_vec(), 400, -32602),
        (
            "tools/list",
            json!({ "_meta": { "io.modelcontextprotocol/protocolVersion": "2026-07-28" } }),
            good.to_vec(),
            400,
            -32602,
        ),
        ("tools/list", json!({ "_meta": meta("2026-07-28") }), vec![good[1]], 400, -32020),
        ("tools/list", json!({ "_meta": meta("2026-07-28") }), vec![good[0]], 400, -32020),
        ("tools/list", json!({ "_meta": meta("2026-07-28") }), call.to_vec(), 400, -32020),
        (
            "tools/list",
            json!({ "_meta": meta("2027-01-01") }),
            vec![("mcp-protocol-version", "2027-01-01"), good[1]],
            400,
            -32022,
        ),
        (
            "foo/bar",
            json!({ "_meta": meta("2026-07-28") }),
            vec![good[0], ("mcp-method", "foo/bar")],
            404,
            -32601,
        ),
        ("ping", json!({ "_meta": meta("2026-07-28") }), vec![good[0], ("mcp-method", "ping")], 404, -32601),
        ("tools/call", json!({ "name": "a", "_meta": meta("2026-07-28") }), call.to_vec(), 400, -32020),
        ("tools/call", json!({ "name": "a", "_meta": meta("2026-07-28") }), named("b").to_vec(), 400, -32020),
        ("tools/call", json!({ "name": "a", "_meta": meta("2026-07-28") }), named("a").to_vec(), 200, -32602),
        ("tools/call", json!({ "_meta": meta("2026-07-28") }), call.to_vec(), 200, -32602),
        (
            "subscriptions/listen",
            json!({ "_meta": meta("2026-07-28") }),
            vec![good[0], ("mcp-method", "subscriptions/listen")],
            200,
            -32602,
        ),
    ];
    for (method, params, headers, status, code) in cases {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let mut request = post(&gateway.http, &gateway.url(), &body.to_string());
        for (name, value) in &headers {
            request = request.header(*name, *value);
        }
        let (got, answer) = answer(request.send().await.unwrap()).await;
        assert_eq!(
            (got, answer["error"]["code"].as_i64()),
            (status, Some(code)),
            "{body} {headers:?}: {answer}"
        );
    }
}

#[tokio::test]
async fn a_name_outside_ascii_is_listed_and_called_in_both_eras() {
    let (raw, gateway) = gateway().await;
    gateway.until_tools(&["größe 🛒"]).await;
    let params = json!({ "name": "größe 🛒" });
    let encoded = "=?base64?Z3LDtsOfZSDwn5uS?=";
    let mut request = gateway.modern_request("tools/call", params.clone()).build().unwrap();
    request.headers_mut().insert("mcp-name", encoded.parse().unwrap());
    let (status, answer) = answer(gateway.http.execute(request).await.unwrap()).await;
    assert_eq!((status, &answer["result"]["resultType"]), (200, &json!("complete")), "{answer}");
    let (_, answer) = gateway.legacy("2025-11-25").await.call("tools/call", params).await;
    assert!(answer["result"].is_object());
    assert!(raw.seen("tools/call").iter().all(|seen| seen.body["params"]["name"] == "größe 🛒"));
}

#[tokio::test]
async fn the_transports_rules_are_kept() {
    let (_raw, gateway) = gateway().await;
    let client = gateway.legacy("2025-11-25").await;
    let ping = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    let status = async |request: reqwest::RequestBuilder| request.send().await.unwrap().status().as_u16();
    let with = |name: &str, value: &str| {
        let mut request = client.request(ping).build().unwrap();
        request.headers_mut().insert(http::HeaderName::try_from(name).unwrap(), value.parse().unwrap());
        reqwest::RequestBuilder::from_parts(gateway.http.clone(), request)
    };
    assert_eq!(status(with("content-type", "text/plain")).await, 415);
    assert_eq!(status(with("content-type", "application/json; charset=utf-8")).await, 200);
    assert_eq!(status(with("accept", "text/html")).await, 406);
    assert_eq!(status(with("host", "evil.example")).await, 403);
    assert_eq!(status(with("origin", "https://evil.example")).await, 403);
    assert_eq!(status(with("origin", "null")).await, 403);
    assert_eq!(status(with("origin", "http://localhost:5173")).await, 200);
    assert_eq!(status(gateway.http.put(gateway.url())).await, 405);
    let get = || gateway.http.get(gateway.url());
    assert_eq!(status(get()).await, 400);
    assert_eq!(status(get().header("accept", "application/json")).await, 406);
    assert_eq!(status(get().header("mcp-protocol-version", "2026-07-28")).await, 405);
    assert_eq!(status(get().header("mcp-session-id", "x")).await, 404);
    assert_eq!(status(gateway.http.delete(gateway.url())).await, 400);
    let notification = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    assert_eq!(status(client.request(notification)).await, 202);
    let response = r#"{"jsonrpc":"2.0","id":9,"result":{}}"#;
    assert_eq!(status(client.request(response)).await, 202);
}

#[tokio::test]
async fn the_health_of_the_gateway_can_be_asked() {
    let (_raw, gateway) = gateway().await;
    assert_eq!(gateway.get("/healthz").await.0, 200);
    assert_eq!(gateway.get("/readyz").await.0, 200);
}
