//! Endpoints of namespaces and tool sets, and the configuration file that makes them.

use std::path::PathBuf;
use std::sync::Arc;

use portico_gateway::source::Server;
use serde_json::json;
use tempfile::TempDir;

use crate::raw_server::{RawServer, nothing_special};
use crate::support::{Events, TestGateway, answer, eventually, server};

const AB: &str = r#"[{"name":"a","inputSchema":{}},{"name":"b","inputSchema":{}}]"#;
const BC: &str = r#"[{"name":"b","inputSchema":{}},{"name":"c","inputSchema":{}}]"#;

struct Configured {
    gateway: TestGateway,
    file: PathBuf,
    _folder: TempDir,
}

impl Configured {
    async fn start(config: &str, servers: Vec<Server>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("gateway.yaml");
        std::fs::write(&file, config).unwrap();
        let gateway = TestGateway::start(servers).await;
        gateway.gateway.configure_from(&file).unwrap();
        Self { gateway, file, _folder: folder }
    }

    fn write(&self, config: &str) {
        std::fs::write(&self.file, config).unwrap();
    }

    async fn until_tools_at(&self, path: &str, wanted: &[&str]) {
        let there = async || self.gateway.tools_at(path).await == wanted;
        eventually(&format!("the tools at {path} are {wanted:?}"), there).await;
    }

    async fn until_metric(&self, line: &str) {
        let there = async || self.gateway.get("/metrics").await.1.lines().any(|found| found == line);
        eventually(&format!("the metrics have {line}"), there).await;
    }
}

fn in_namespace(namespace: &str, name: &str, url: &str) -> Server {
    let mut server = server(name, &[url]);
    server.key.namespace = namespace.into();
    server
}

#[tokio::test]
async fn each_endpoint_shows_its_own_tools_and_its_calls_reach_no_others() {
    let (shop, kitchen) =
        (RawServer::legacy(AB, nothing_special).await, RawServer::legacy(BC, nothing_special).await);
    let servers =
        vec![in_namespace("kitchen", "files", &kitchen.url()), in_namespace("shop", "files", &shop.url())];
    let config = "toolSets: [{name: some, servers: ['*/files'], tools: [a, kitchen/files/b]}, {name: none, servers: [x]}]";
    let configured = Configured::start(config, servers).await;
    for (path, tools) in [
        ("/mcp", &["a", "c", "kitchen_files__b", "shop_files__b"][..]),
        ("/ns/shop/mcp", &["a", "b"]),
        ("/ns/kitchen/mcp", &["b", "c"]),
        ("/ns/nobody/mcp", &[]),
        ("/sets/some/mcp", &["a", "b"]),
        ("/sets/none/mcp", &[]),
    ] {
        configured.until_tools_at(path, tools).await;
    }
    let gateway = &configured.gateway;
    for (path, tool) in [
        ("/sets/some/mcp", "c"),
        ("/sets/some/mcp", "shop_files__b"),
        ("/ns/shop/mcp", "c"),
        ("/ns/nobody/mcp", "a"),
    ] {
        let (_, refused) = gateway.modern_at(path, "tools/call", json!({ "name": tool })).await;
        assert_eq!(refused["error"]["message"], format!("Unknown tool: {tool}"), "{path}");
    }
    assert!(shop.seen("tools/call").is_empty() && kitchen.seen("tools/call").is_empty());
    gateway.modern_at("/sets/some/mcp", "tools/call", json!({ "name": "b" })).await;
    assert_eq!((shop.seen("tools/call").len(), kitchen.seen("tools/call").len()), (0, 1));
    let (status, refused) = gateway.modern_at("/sets/other/mcp", "tools/list", json!({})).await;
    assert_eq!(
        (status, &refused["error"]["message"]),
        (404, &json!("no tool set `other` is configured here"))
    );
}

#[tokio::test]
async fn a_session_sees_the_endpoint_that_it_asks() {
    let shop = RawServer::legacy(AB, nothing_special).await;
    let configured =
        Configured::start("toolSets: [{name: a, tools: [a]}]", vec![server("files", &[&shop.url()])]).await;
    configured.until_tools_at("/sets/a/mcp", &["a"]).await;
    let client = configured.gateway.legacy("2025-11-25").await;
    let ask = async |path: &str, body: &str| {
        let request = client.request(body).build().unwrap();
        let mut moved = request.try_clone().unwrap();
        moved.url_mut().set_path(path);
        answer(configured.gateway.http.execute(moved).await.unwrap()).await.1
    };
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"b"}}"#;
    assert_eq!(ask("/sets/a/mcp", call).await["error"]["message"], "Unknown tool: b");
    assert!(ask("/mcp", call).await["result"].is_object());
}

#[tokio::test]
async fn a_changed_configuration_file_is_taken_and_a_bad_one_leaves_the_one_before() {
    let raw = RawServer::legacy(AB, nothing_special).await;
    let configured = Configured::start("", vec![server("one", &[&raw.url()])]).await;
    let successful = |value: u8| format!("portico_gateway_config_last_reload_successful {value}");
    configured.until_tools_at("/mcp", &["a", "b"]).await;
    configured.write("names: {prefix: Always}\ntoolSets: [{name: s, tools: [a]}]");
    configured.until_tools_at("/mcp", &["one__a", "one__b"]).await;
    configured.until_tools_at("/sets/s/mcp", &["one__a"]).await;
    configured.until_metric(&successful(1)).await;
    configured.write("names: {prefix: Sometimes}");
    configured.until_metric(&successful(0)).await;
    configured.until_tools_at("/mcp", &["one__a", "one__b"]).await;
    std::fs::remove_file(&configured.file).unwrap();
    configured.write("toolSets: []");
    configured.until_tools_at("/mcp", &["a", "b"]).await;
    configured.until_metric(&successful(1)).await;
    let (status, _) = configured.gateway.modern_at("/sets/s/mcp", "tools/list", json!({})).await;
    assert_eq!(status, 404);
}

#[tokio::test]
async fn without_prefixes_the_first_server_keeps_a_name_and_the_other_is_counted() {
    let (one, two) =
        (RawServer::legacy(AB, nothing_special).await, RawServer::legacy(BC, nothing_special).await);
    let servers = vec![server("one", &[&one.url()]), server("two", &[&two.url()])];
    let configured = Configured::start("names: {prefix: Never}", servers).await;
    configured.until_tools_at("/mcp", &["a", "b", "c"]).await;
    configured.gateway.modern("tools/call", json!({ "name": "b" })).await;
    assert_eq!((one.seen("tools/call").len(), two.seen("tools/call").len()), (1, 0));
    configured.until_metric(r#"portico_gateway_catalog_hidden{namespace="shop",server="two"} 1"#).await;
    configured.until_metric(r#"portico_gateway_catalog_hidden{namespace="shop",server="one"} 0"#).await;
    let report = configured.gateway.until_report("two", |report| !report.hidden.is_empty()).await;
    assert_eq!((&*report.hidden[0].0, &*report.hidden[0].1.to_string()), ("b", "shop/one"));
    configured.gateway.servers.send(Arc::new(vec![server("two", &[&two.url()])])).unwrap();
    configured.gateway.until_report("two", |report| report.hidden.is_empty()).await;
}

#[tokio::test]
async fn a_stream_tells_of_its_own_endpoint_alone() {
    let (shop, kitchen) =
        (RawServer::legacy(AB, nothing_special).await, RawServer::legacy(BC, nothing_special).await);
    let (shop, kitchen) =
        (in_namespace("shop", "s", &shop.url()), in_namespace("kitchen", "k", &kitchen.url()));
    let mut gateway = TestGateway::start(vec![]).await;
    let listen = async |path: &str| {
        let wanted = json!({ "notifications": { "toolsListChanged": true } });
        let request = gateway.modern_request_at(path, "subscriptions/listen", wanted);
        let mut events = Events::of(request.send().await.unwrap());
        assert_eq!(events.next().await.unwrap()["method"], "notifications/subscriptions/acknowledged");
        events
    };
    let (mut all, mut own) = (listen("/mcp").await, listen("/ns/shop/mcp").await);
    gateway.servers.send(Arc::new(vec![kitchen.clone()])).unwrap();
    assert_eq!(all.next().await.unwrap()["method"], "notifications/tools/list_changed");
    gateway.servers.send(Arc::new(vec![kitchen, shop])).unwrap();
    assert_eq!(all.next().await.unwrap()["method"], "notifications/tools/list_changed");
    assert_eq!(own.next().await.unwrap()["method"], "notifications/tools/list_changed");
    gateway.stop();
    let last = own.next().await.unwrap();
    assert!(last["result"].is_object(), "one notification was told, not two: {last}");
}

/// Twenty tools about `subject`, as large as those of common servers.
async fn talkative(subject: &'static str) -> RawServer {
    let tool = |verb: &str| {
        format!(
            r#"{{"name":"{verb}_{subject}","description":"{verb} {subject}. {}","inputSchema":{{"type":"object","properties":{{"id":{{"type":"string","description":"{}"}}}}}},"_meta":{{ "k":1.0 }}}}"#,
            "It answers with all that is known and says what is missing. ".repeat(4),
            "The number under which it is known. ".repeat(3),
        )
    };
    let verbs = [
        "list", "show", "add", "change", "delete", "count", "compare", "archive", "restore", "share",
        "price", "order", "return", "rate", "review", "export", "import", "label", "watch", "reserve",
    ];
    let tools: Vec<String> = verbs.iter().map(|verb| tool(verb)).collect();
    let tools: &'static str = format!("[{}]", tools.join(",")).leak();
    RawServer::modern(tools, nothing_special).await
}

#[tokio::test]
async fn a_set_that_is_searched_lists_little_and_reaches_everything_in_it() {
    let subjects =
        ["books", "shoes", "lamps", "tyres", "plants", "chairs", "clocks", "phones", "knives", "coats"];
    let raw = futures::future::join_all(subjects.map(talkative)).await;
    let servers = raw.iter().zip(subjects).map(|(raw, name)| server(name, &[&raw.url()])).collect();
    let config = "toolSets: [{name: all}, {name: some, servers: ['shop/[a-k]*', shop/lamps], discovery: Search, pinned: ['list_b*']}]";
    let configured = Configured::start(config, servers).await;
    let gateway = &configured.gateway;
    for subject in subjects {
        gateway.until_connected(subject).await;
    }
    configured.until_tools_at("/sets/some/mcp", &["call_tool", "find_tools", "list_books"]).await;
    let bytes = async |path: &str, method: &str, params| {
        gateway.modern_request_at(path, method, params).send().await.unwrap().bytes().await.unwrap().len()
    };
    let whole = bytes("/sets/all/mcp", "tools/list", json!({})).await;
    let short = bytes("/sets/some/mcp", "tools/list", json!({})).await;
    let find = |query: &str| json!({ "name": "find_tools", "arguments": { "query": query } });
    let answered = bytes("/sets/some/mcp", "tools/call", find("reserve a book")).await;
    println!(
        "200 tools: {whole} bytes listed; searched: {short} listed and {answered} for an answer of five definitions"
    );
    assert!(short * 20 < whole && (short + answered) * 10 < whole, "{whole} {short} {answered}");
    let (_, found) = gateway.modern_at("/sets/some/mcp", "tools/call", find("reserve a book")).await;
    let text = found["result"]["content"][0]["text"].as_str().unwrap();
    assert!(
        text.starts_with(r#"[{"name":"reserve_books","#) && text.contains(r#""_meta":{ "k":1.0 }}"#),
        "{text}"
    );
    let call = |name: &str| json!({ "name": "call_tool", "arguments": { "name": name, "arguments": { "id": "7" } } });
    gateway.modern_at("/sets/some/mcp", "tools/call", call("reserve_books")).await;
    let seen = &raw[0].seen("tools/call")[0];
    assert_eq!(
        (&seen.body["params"]["name"], &seen.body["params"]["arguments"]),
        (&json!("reserve_books"), &json!({ "id": "7" }))
    );
    assert_eq!(seen.headers["mcp-name"], "reserve_books");
    // What is not in the set is neither found nor called.
    let (_, found) = gateway.modern_at("/sets/some/mcp", "tools/call", find("tyres")).await;
    assert_eq!(found["result"]["content"][0]["text"], "No tool fits; ask again in other words.");
    let (_, refused) = gateway.modern_at("/sets/some/mcp", "tools/call", call("list_tyres")).await;
    assert_eq!(refused["error"]["message"], "Unknown tool: list_tyres");
    let (_, refused) = gateway.modern_at("/sets/all/mcp", "tools/call", find("books")).await;
    assert_eq!(refused["error"]["message"], "Unknown tool: find_tools");
    assert!(raw[3].seen("tools/call").is_empty());
    let legacy = gateway.legacy("2025-06-18").await;
    let request = json!({ "jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": call("show_lamps") });
    let mut request = legacy.request(&request.to_string()).build().unwrap();
    request.url_mut().set_path("/sets/some/mcp");
    let (_, shown) = answer(gateway.http.execute(request).await.unwrap()).await;
    assert_eq!((&shown["id"], raw[2].seen("tools/call").len()), (&json!(5), 1));
}
