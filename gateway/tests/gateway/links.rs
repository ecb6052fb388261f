//! Links between what servers answer and their resources, where servers have resources of one URI.

use futures::FutureExt as _;
use portico_gateway::Options;
use serde_json::{Value, json};

use super::raw_server::{RawServer, Seen};
use super::support::{TestGateway, server};

const PAGE: &str = "ui://cart/main";

/// A server with a tool that has a page and links to its resources, and says who it is when they are read.
async fn shop(name: &'static str) -> RawServer {
    RawServer::modern("[]", move |seen: Seen| {
        async move {
            let list = |member: &str, items: Value| {
                let result = json!({ "resultType": "complete", member: items, "ttlMs": 0, "cacheScope": "public" });
                Some(seen.result(&result.to_string()))
            };
            match seen.method() {
                "server/discover" => Some(seen.result(
                    r#"{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{},"resources":{},"prompts":{}},"ttlMs":0,"cacheScope":"public"}"#,
                )),
                "tools/list" => list("tools", json!([{ "name": format!("{name}_cart"), "inputSchema": {},
                    "_meta": { "ui": { "resourceUri": PAGE }, "ui/resourceUri": PAGE, "x": 1.0 } }])),
                "resources/list" => list("resources", json!([{ "uri": PAGE, "name": "page" },
                    { "uri": "shop://hours", "name": "hours" }, { "uri": format!("{name}://own"), "name": "own" }])),
                "resources/templates/list" => list("resourceTemplates", json!([])),
                "prompts/list" => list("prompts", json!([{ "name": format!("{name}_ask") }])),
                "tools/call" => Some(seen.result(&json!({ "resultType": "complete", "content": links(name),
                    "structuredContent": { "uri": "shop://hours" } }).to_string())),
                "prompts/get" => {
                    let messages: Vec<Value> = links(name).as_array().unwrap().iter().map(|content| json!({ "role": "user", "content": content })).collect();
                    Some(seen.result(&json!({ "resultType": "complete", "messages": messages }).to_string()))
                }
                "resources/read" => {
                    let uri = &seen.body["params"]["uri"];
                    let contents = json!([{ "uri": uri, "text": format!("{} of {name}", uri.as_str().unwrap()) }]);
                    list("contents", contents)
                }
                _ => None,
            }
        }
        .boxed()
    })
    .await
}

fn links(name: &str) -> Value {
    let link = |uri: &str| json!({ "type": "resource_link", "uri": uri, "name": "a" });
    json!([link(PAGE), link("shop://hours"), link(&format!("{name}://own")), link("shop://unlisted/7"),
        { "type": "resource", "resource": { "uri": "shop://hours", "text": "9 to 5" } },
        { "type": "resource", "resource": { "uri": "shop://inline", "text": "x" } },
        { "type": "text", "text": "a resource_link to shop://hours" }])
}

async fn read(gateway: &TestGateway, uri: &Value) -> Value {
    gateway.modern("resources/read", json!({ "uri": uri })).await.1["result"]["contents"][0].clone()
}

#[tokio::test]
async fn what_a_server_links_to_is_read_from_that_server() {
    let (one, two) = tokio::join!(shop("one"), shop("two"));
    let servers = vec![server("one", &[&one.url()]), server("two", &[&two.url()])];
    let gateway = TestGateway::with(Options::default(), servers).await;
    gateway.until_tools(&["one_cart", "two_cart"]).await;
    let (_, tools) = gateway.modern("tools/list", json!({})).await;
    for (index, name) in ["one", "two"].into_iter().enumerate() {
        let meta = &tools["result"]["tools"][index]["_meta"];
        assert_eq!(meta["ui"]["resourceUri"], meta["ui/resourceUri"]);
        assert_eq!(
            meta["ui"]["resourceUri"],
            format!("ui://{name}/cart/main"),
            "the scheme is what hosts look at"
        );
        let page = read(&gateway, &meta["ui"]["resourceUri"]).await;
        assert_eq!(
            (&page["uri"], &page["text"]),
            (&meta["ui"]["resourceUri"], &json!(format!("{PAGE} of {name}")))
        );

        let (_, called) =
            gateway.modern("tools/call", json!({ "name": format!("{name}_cart"), "arguments": {} })).await;
        let (_, asked) = gateway.modern("prompts/get", json!({ "name": format!("{name}_ask") })).await;
        assert_eq!(called["result"]["structuredContent"]["uri"], "shop://hours", "only links are");
        let from_prompt: Vec<Value> = asked["result"]["messages"]
            .as_array()
            .unwrap()
            .iter()
            .map(|message| message["content"].clone())
            .collect();
        for content in [called["result"]["content"].as_array().unwrap(), &from_prompt] {
            for (link, original) in
                content.iter().zip([PAGE, "shop://hours", &format!("{name}://own"), "shop://unlisted/7"])
            {
                let found = read(&gateway, &link["uri"]).await;
                assert_eq!(found["text"], format!("{original} of {name}"), "{link}");
                assert_eq!(found["uri"], link["uri"]);
            }
            assert_eq!(content[2]["uri"], format!("{name}://own"), "what is unique stays");
            assert_eq!(content[4]["resource"]["uri"], format!("portico+{name}+shop://hours"));
            assert_eq!(content[5]["resource"]["uri"], "shop://inline");
            assert_eq!(content[6]["text"], "a resource_link to shop://hours");
        }
    }
}

#[tokio::test]
async fn where_one_server_alone_has_resources_nothing_is_rewritten() {
    let one = shop("one").await;
    let gateway = TestGateway::with(Options::default(), vec![server("one", &[&one.url()])]).await;
    gateway.until_tools(&["one_cart"]).await;
    let (_, tools) = gateway.modern("tools/list", json!({})).await;
    assert_eq!(tools["result"]["tools"][0]["_meta"]["ui"]["resourceUri"], PAGE);
    let (_, called) = gateway.modern("tools/call", json!({ "name": "one_cart", "arguments": {} })).await;
    assert_eq!(called["result"]["content"], links("one"));
    assert_eq!(read(&gateway, &json!("shop://unlisted/7")).await["text"], "shop://unlisted/7 of one");
}

#[tokio::test]
async fn a_server_learns_whether_its_client_shows_pages_and_shows_them_in_the_lists_always() {
    let behind =
        RawServer::legacy(r#"[{"name":"a","inputSchema":{}}]"#, super::raw_server::nothing_special).await;
    let gateway = TestGateway::with(Options::default(), vec![server("raw", &[&behind.url()])]).await;
    gateway.until_tools(&["a"]).await;
    let pages = json!({ "extensions": { "io.modelcontextprotocol/ui": { "mimeTypes": ["text/html;profile=mcp-app"] } } });
    for capabilities in [&pages, &json!({})] {
        let client = gateway.legacy_that_can("2025-11-25", capabilities).await;
        client.call("tools/call", json!({ "name": "a" })).await;
    }
    let told = |seen: &Seen| {
        seen.body["params"]["capabilities"]["extensions"]["io.modelcontextprotocol/ui"]["mimeTypes"][0]
            .clone()
    };
    let hellos: Vec<Value> = behind.seen("initialize").iter().map(told).collect();
    let page = json!("text/html;profile=mcp-app");
    assert_eq!(hellos, [page.clone(), page, Value::Null], "for the lists, for one client, for the other");
}
