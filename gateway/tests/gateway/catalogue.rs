//! One catalogue of many servers.

use portico_gateway::source::{Server, ToolOverride, ToolSelection};
use portico_gateway::{Options, ServerState};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::raw_server::{RawServer, nothing_special};
use super::real_server::RealServer;
use super::support::{TestGateway, eventually, server};

const AB: &str = r#"[{"name":"a","inputSchema":{}},{"name":"b","inputSchema":{}}]"#;
const BC: &str = r#"[{"name":"b","inputSchema":{}},{"name":"c","inputSchema":{}}]"#;

#[tokio::test]
async fn names_that_clash_are_prefixed_in_both_servers_and_lead_to_the_right_one() {
    let one = RawServer::legacy(AB, nothing_special).await;
    let two = RawServer::modern(BC, nothing_special).await;
    let gateway = TestGateway::start(vec![server("one", &[&one.url()]), server("two", &[&two.url()])]).await;
    gateway.until_tools(&["a", "c", "one__b", "two__b"]).await;
    gateway.modern("tools/call", json!({ "name": "two__b" })).await;
    assert_eq!(two.seen("tools/call")[0].body["params"]["name"], "b");
    assert_eq!(two.seen("tools/call")[0].headers["mcp-name"], "b");
    assert!(one.seen("tools/call").is_empty());
    let (_, plain) = gateway.modern("tools/call", json!({ "name": "b" })).await;
    assert_eq!(plain["error"]["code"], -32602);
}

#[tokio::test]
async fn servers_come_and_go() {
    let one = RawServer::legacy(AB, nothing_special).await;
    let two = RawServer::legacy(BC, nothing_special).await;
    let (one, two) = (server("one", &[&one.url()]), server("two", &[&two.url()]));
    let gateway = TestGateway::start(vec![]).await;
    for (servers, tools) in [
        (vec![one.clone()], vec!["a", "b"]),
        (vec![one.clone(), two.clone()], vec!["a", "c", "one__b", "two__b"]),
        (vec![two.clone()], vec!["b", "c"]),
        (vec![], vec![]),
        (vec![one.clone()], vec!["a", "b"]),
    ] {
        gateway.servers.send(Arc::new(servers)).unwrap();
        gateway.until_tools(&tools).await;
    }
    assert_eq!(gateway.gateway.reports().borrow().len(), 1);
}

#[tokio::test]
async fn only_selected_tools_are_shown_and_can_be_called() {
    let raw = RawServer::legacy(AB, nothing_special).await;
    let mut config = server("one", &[&raw.url()]);
    config.tools =
        ToolSelection { include: vec!["?".into()], exclude: vec!["b*".into()], ..ToolSelection::default() };
    let gateway = TestGateway::start(vec![config.clone()]).await;
    gateway.until_tools(&["a"]).await;
    gateway.until_report("one", |report| report.tools == 1).await;
    let (_, hidden) = gateway.modern("tools/call", json!({ "name": "b" })).await;
    assert_eq!(hidden["error"]["code"], -32602);
    let all = Server { tools: ToolSelection::default(), ..config };
    gateway.servers.send(Arc::new(vec![all])).unwrap();
    gateway.until_tools(&["a", "b"]).await;
    gateway.until_report("one", |report| report.tools == 2).await;
}

#[tokio::test]
async fn a_tool_is_shown_as_its_override_says_and_a_call_by_the_new_name_reaches_the_old() {
    const TOOLS: &str =
        r#"[{"name":"a" ,"inputSchema":{"x":1.50},"_meta":{ "k":1.0 }},{"name":"b","inputSchema":{}}]"#;
    let raw = RawServer::modern(TOOLS, nothing_special).await;
    let mut config = server("one", &[&raw.url()]);
    let spec = json!({ "overrides": [{ "name": "a", "as": "look", "description": "Looks.",
        "annotations": { "readOnlyHint": "Asserted" } }] });
    config.tools = serde_json::from_value::<portico_crds::mcp_server::Tools>(spec).unwrap().into();
    let gateway = TestGateway::start(vec![config.clone()]).await;
    gateway.until_tools(&["b", "look"]).await;
    let text = gateway.modern_request("tools/list", json!({})).send().await.unwrap().text().await.unwrap();
    let shown = r#"{"name":"look","description":"Looks.","annotations":{"readOnlyHint":true} ,"inputSchema":{"x":1.50},"_meta":{ "k":1.0 }}"#;
    assert!(text.contains(shown), "{text}");
    gateway.modern("tools/call", json!({ "name": "look", "arguments": { "n": 1 } })).await;
    let call = &raw.seen("tools/call")[0];
    assert_eq!(
        (&call.body["params"]["name"], &call.headers["mcp-name"]),
        (&json!("a"), &"a".parse().unwrap())
    );
    let (_, old) = gateway.modern("tools/call", json!({ "name": "a" })).await;
    assert_eq!(old["error"]["message"], "Unknown tool: a");
    config.tools = ToolSelection::default();
    gateway.servers.send(Arc::new(vec![config])).unwrap();
    gateway.until_tools(&["a", "b"]).await;
}

#[tokio::test]
async fn a_new_name_that_clashes_is_told_apart_like_any_other() {
    let renamed = |from: &str| {
        let change = ToolOverride { rename: Some("b".into()), ..ToolOverride::default() };
        ToolSelection { overrides: [(from.to_owned(), change)].into(), ..ToolSelection::default() }
    };
    let one = RawServer::legacy(r#"[{"name":"a","inputSchema":{}}]"#, nothing_special).await;
    let two = RawServer::legacy(BC, nothing_special).await;
    let (mut one, two) = (server("one", &[&one.url()]), server("two", &[&two.url()]));
    one.tools = renamed("a");
    let gateway = TestGateway::start(vec![one, two.clone()]).await;
    gateway.until_tools(&["c", "one__b", "two__b"]).await;
    // Within one server the first definition has the name.
    gateway.servers.send(Arc::new(vec![Server { tools: renamed("c"), ..two }])).unwrap();
    gateway.until_tools(&["b"]).await;
}

#[tokio::test]
async fn a_malformed_definition_costs_itself_alone() {
    const TOOLS: &str =
        r#"[{"name":"a","inputSchema":{}},{"name":7},"x",{"name":"b"},{"name":"c","inputSchema":{}}]"#;
    let raw = RawServer::legacy(TOOLS, nothing_special).await;
    let gateway = TestGateway::start(vec![server("raw", &[&raw.url()])]).await;
    gateway.until_tools(&["a", "c"]).await;
}

#[tokio::test]
async fn lists_come_in_pages_and_a_foreign_cursor_is_refused() {
    let one = RawServer::legacy(AB, nothing_special).await;
    let two = RawServer::legacy(r#"[{"name":"x","inputSchema":{}}]"#, nothing_special).await;
    let options = Options { page_size: 2, ..Options::default() };
    let servers = vec![server("one", &[&one.url()]), server("two", &[&two.url()])];
    let gateway = TestGateway::with(options, servers).await;
    let client = gateway.legacy("2025-11-25").await;
    let names = |page: &Value| -> Vec<String> {
        page["result"]["tools"].as_array().unwrap().iter().map(|tool| tool["name"].to_string()).collect()
    };
    let (_, first) = client.call("tools/list", json!({})).await;
    assert_eq!(names(&first), ["\"a\"", "\"b\""]);
    let cursor = first["result"]["nextCursor"].clone();
    let (_, second) = client.call("tools/list", json!({ "cursor": cursor })).await;
    assert_eq!(names(&second), ["\"x\""]);
    assert!(second["result"].get("nextCursor").is_none());
    let (_, other_list) = client.call("prompts/list", json!({ "cursor": cursor })).await;
    assert_eq!(other_list["error"]["code"], -32602);
    for bad in [json!(""), json!("!"), json!(7)] {
        let (_, refused) = client.call("tools/list", json!({ "cursor": bad })).await;
        assert_eq!(refused["error"]["code"], -32602, "{bad}");
    }
}

#[tokio::test]
async fn a_cursor_stays_right_when_definitions_before_it_go() {
    let one = RawServer::legacy(r#"[{"name":"a","inputSchema":{}}]"#, nothing_special).await;
    let two = RawServer::legacy(
        r#"[{"name":"b","inputSchema":{}},{"name":"c","inputSchema":{}}]"#,
        nothing_special,
    )
    .await;
    let (one, two) = (server("one", &[&one.url()]), server("two", &[&two.url()]));
    let options = Options { page_size: 2, ..Options::default() };
    let gateway = TestGateway::with(options, vec![one, two.clone()]).await;
    let client = gateway.legacy("2025-11-25").await;
    let (_, first) = client.call("tools/list", json!({})).await;
    gateway.servers.send(Arc::new(vec![two])).unwrap();
    gateway.until_tools(&["b", "c"]).await;
    let (_, second) = client.call("tools/list", json!({ "cursor": first["result"]["nextCursor"] })).await;
    assert_eq!(second["result"]["tools"][0]["name"], "c");
}

/// A server of 30 tools, of which the list changes at every look: some come, some go, and `NAME_00` to `NAME_19` stay.
async fn restless(name: &'static str) -> RawServer {
    let looks = Arc::new(AtomicUsize::new(0));
    RawServer::legacy("[]", move |seen| {
        let listing = seen.method() == "tools/list";
        let look = if listing { looks.fetch_add(1, Ordering::SeqCst) } else { 0 };
        let tools: Vec<String> = (0..20)
            .chain((20 + look % 7)..(30 + look % 5))
            .map(|tool| format!(r#"{{"name":"{name}_{tool:02}","inputSchema":{{}}}}"#))
            .collect();
        Box::pin(
            async move { listing.then(|| seen.result(&format!(r#"{{"tools":[{}]}}"#, tools.join(",")))) },
        )
    })
    .await
}

#[tokio::test]
async fn while_servers_change_pages_lose_and_double_no_tool_that_stays() {
    let raw = futures::future::join_all(["a", "b", "c", "d", "e", "f"].map(restless)).await;
    let names = ["a", "b", "c", "d", "e", "f"];
    let servers = raw.iter().zip(names).map(|(raw, name)| server(name, &[&raw.url()])).collect();
    let options =
        Options { page_size: 11, refresh: std::time::Duration::from_millis(20), ..Options::default() };
    let gateway = TestGateway::with(options, servers).await;
    for name in names {
        gateway.until_connected(name).await;
    }
    let client = gateway.legacy("2025-11-25").await;
    let (mut found, mut params, mut changes) = (Vec::new(), json!({}), BTreeSet::new());
    loop {
        let (_, page) = client.call("tools/list", params).await;
        let tools = page["result"]["tools"].as_array().unwrap();
        found.extend(tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()));
        changes.insert(raw[0].seen("tools/list").len());
        let Some(cursor) = page["result"]["nextCursor"].as_str() else { break };
        params = json!({ "cursor": cursor });
        // The list is another one before the next page is asked for.
        let seen = raw[5].seen("tools/list").len();
        eventually("the server was asked again", async || raw[5].seen("tools/list").len() > seen + 1).await;
    }
    assert!(changes.len() > 5, "the lists changed between pages: {changes:?}");
    assert!(found.is_sorted_by(|one, two| one < two), "nothing comes twice");
    let stayed = |name: &&str| (0..20).all(|tool| found.contains(&format!("{name}_{tool:02}")));
    assert!(names.iter().all(stayed), "nothing that stayed is lost: {found:?}");
}

#[tokio::test]
async fn a_dead_server_keeps_its_last_known_list_and_comes_back() {
    let real = RealServer::start(&["echo"]).await;
    let config = server("real", &[&real.url()]);
    let gateway = TestGateway::start(vec![config.clone()]).await;
    gateway.until_tools(&["echo"]).await;
    drop(real);
    let failing =
        |report: &portico_gateway::ServerReport| matches!(report.state, ServerState::Failing { .. });
    let report = gateway.until_report("real", failing).await;
    assert_eq!(report.tools, 1);
    assert_eq!(gateway.tools().await, ["echo"]);
    let (_, answer) = gateway.modern("tools/call", json!({ "name": "echo" })).await;
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(message.contains("shop/real") && message.contains("check that it runs"), "{message}");
    let again = RealServer::start(&["echo", "new"]).await;
    gateway.servers.send(Arc::new(vec![server("real", &[&again.url()])])).unwrap();
    gateway.until_tools(&["echo", "new"]).await;
}

#[tokio::test]
async fn a_server_without_endpoints_stays_listed_and_its_calls_say_so() {
    let raw = RawServer::legacy(AB, nothing_special).await;
    let gateway = TestGateway::start(vec![server("raw", &[&raw.url()])]).await;
    gateway.until_tools(&["a", "b"]).await;
    gateway.servers.send(Arc::new(vec![server("raw", &[])])).unwrap();
    gateway.until_report("raw", |report| report.state == ServerState::Waiting).await;
    assert_eq!(gateway.tools().await, ["a", "b"]);
    let (_, answer) = gateway.modern("tools/call", json!({ "name": "a" })).await;
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(message.contains("server shop/raw has no ready pod"), "{message}");
    assert_eq!(answer["error"]["data"], json!({ "server": "shop/raw", "reason": "no_endpoint" }));
}

#[tokio::test]
async fn clashing_resources_are_told_apart_and_read_under_the_uri_that_was_listed() {
    let raw = async |name: &'static str| {
        RawServer::legacy("[]", move |seen| {
            Box::pin(async move {
                match seen.method() {
                    "initialize" => Some(seen.result(
                        r#"{"protocolVersion":"2025-11-25","capabilities":{"resources":{}},"serverInfo":{"name":"r","version":"1"}}"#,
                    )),
                    "resources/list" => Some(seen.result(r#"{"resources":[{"uri":"ui://cart/page","name":"p"},{"name":"f","uri":"file:///f"}]}"#)),
                    "resources/templates/list" => Some(seen.result(r#"{"resourceTemplates":[]}"#)),
                    "resources/read" => {
                        let uri = seen.body["params"]["uri"].clone();
                        Some(seen.result(&format!(r#"{{"contents":[{{"uri":{uri},"text":"{name}"}}]}}"#)))
                    }
                    _ => None,
                }
            })
        })
        .await
    };
    let (one, two) = (raw("one").await, raw("two").await);
    let gateway = TestGateway::start(vec![server("one", &[&one.url()]), server("two", &[&two.url()])]).await;
    let (_, list) = gateway.modern("resources/list", json!({})).await;
    let uris: Vec<&str> =
        list["result"]["resources"].as_array().unwrap().iter().map(|r| r["uri"].as_str().unwrap()).collect();
    assert_eq!(
        uris,
        ["portico+one+file:///f", "portico+two+file:///f", "ui://one/cart/page", "ui://two/cart/page"]
    );
    for uri in uris {
        let (_, read) = gateway.modern("resources/read", json!({ "uri": uri })).await;
        let content = &read["result"]["contents"][0];
        assert_eq!(content["uri"], uri);
        assert!(uri.contains(content["text"].as_str().unwrap()), "{read}");
    }
}

#[tokio::test]
async fn a_definition_that_changes_while_the_server_has_no_stream_is_seen_at_the_next_refresh() {
    let changed = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&changed);
    let raw = RawServer::legacy(AB, move |seen| {
        let now = flag.load(Ordering::SeqCst);
        Box::pin(async move {
            (now && seen.method() == "tools/list").then(|| seen.result(&format!(r#"{{"tools":{BC}}}"#)))
        })
    })
    .await;
    let options = Options { refresh: std::time::Duration::from_millis(50), ..Options::default() };
    let gateway = TestGateway::with(options, vec![server("raw", &[&raw.url()])]).await;
    gateway.until_tools(&["a", "b"]).await;
    changed.store(true, Ordering::SeqCst);
    gateway.until_tools(&["b", "c"]).await;
}

#[tokio::test]
async fn metrics_name_the_servers_and_count_their_calls() {
    let raw = RawServer::legacy(AB, nothing_special).await;
    let gateway = TestGateway::start(vec![server("raw", &[&raw.url()])]).await;
    gateway.modern("tools/call", json!({ "name": "a" })).await;
    let wanted = [
        r#"portico_gateway_calls_total{namespace="shop",server="raw",method="tools/call",outcome="answered"} 1"#,
        r#"portico_gateway_calls_in_flight{namespace="shop",server="raw"} 0"#,
        r#"portico_gateway_catalog_tools{namespace="shop",server="raw"} 2"#,
        r#"portico_gateway_catalog_tool_bytes{namespace="shop",server="raw"} 60"#,
        r#"portico_gateway_catalog_tool_tokens{namespace="shop",server="raw"} 15"#,
        r#"portico_gateway_backend_state{namespace="shop",server="raw",state="connected"} 1"#,
        r"portico_gateway_backend_sessions 1",
    ];
    eventually("all metrics are there", async || {
        let (_, text) = gateway.get("/metrics").await;
        wanted.iter().all(|line| text.contains(line))
    })
    .await;
}
