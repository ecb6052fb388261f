//! The same tool by MCP of both eras.

use rmcp::model::{CallToolRequestParams, ReadResourceRequestParams, ResourceContents};
use rstest::rstest;
use serde_json::json;

use crate::greeter::{World, world};

fn call(name: &str) -> CallToolRequestParams {
    CallToolRequestParams::new("greet").with_arguments(json!({ "name": name }).as_object().unwrap().clone())
}

#[rstest]
#[tokio::test]
async fn a_tool_answers_and_names_the_page_that_shows_it(#[values(false, true)] modern: bool) {
    let world = world().await;
    let client = world.client(modern).await;
    let tools = client.list_all_tools().await.unwrap();
    let meta = serde_json::to_value(tools[0].meta.as_ref().unwrap()).unwrap();
    let page = meta["ui/resourceUri"].as_str().unwrap();
    assert!(page.starts_with("ui://portico/greeting.html?v="), "{page}");
    assert_eq!(meta["ui"], json!({ "resourceUri": page, "visibility": ["model", "app"] }));
    let answer = client.call_tool(call("Ada")).await.unwrap();
    assert_eq!(answer.structured_content.unwrap()["greeting"], "Hello, Ada!");
}

#[rstest]
#[tokio::test]
async fn a_page_is_a_resource_that_says_what_it_may_load_and_how_long_it_keeps(
    #[values(false, true)] modern: bool,
) {
    let world = world().await;
    let client = world.client(modern).await;
    let listed = client.list_all_resources().await.unwrap();
    assert_eq!(listed[0].mime_type.as_deref(), Some("text/html;profile=mcp-app"));
    let read = client.read_resource(ReadResourceRequestParams::new(&listed[0].uri)).await.unwrap();
    let ResourceContents::TextResourceContents { text, meta, mime_type, .. } = &read.contents[0] else {
        panic!("no text")
    };
    assert!(text.starts_with("<!doctype html>"), "{text}");
    assert_eq!(mime_type.as_deref(), Some("text/html;profile=mcp-app"));
    assert_eq!(
        serde_json::to_value(meta).unwrap()["ui"]["csp"]["resourceDomains"],
        json!(["https://pictures.example"])
    );
    let other_version = ReadResourceRequestParams::new("ui://portico/greeting.html?v=0123456789ab");
    let whichever = ReadResourceRequestParams::new("ui://portico/greeting.html");
    for (request, life) in [(other_version, 3_600_000), (whichever, 3_600_000)] {
        let found = client.read_resource(request.clone()).await.unwrap();
        let ResourceContents::TextResourceContents { uri, .. } = &found.contents[0] else {
            panic!("no text")
        };
        assert_eq!(uri, &request.uri);
        assert_eq!(found.ttl_ms, Some(life));
    }
    assert_eq!(read.ttl_ms, Some(604_800_000));
    let unknown =
        client.read_resource(ReadResourceRequestParams::new("ui://portico/other.html")).await.unwrap_err();
    assert!(unknown.to_string().contains("resources/list"), "{unknown}");
}

#[tokio::test]
async fn who_must_sign_in_is_told_where_as_its_era_has_it() {
    let world = world().await;
    let legacy = world.client(false).await.call_tool(call("a stranger")).await.unwrap_err();
    assert!(
        legacy.to_string().contains("-32002") && legacy.to_string().contains("greeter.example"),
        "{legacy}"
    );
    let modern = world.client(true).await.call_tool(call("a stranger")).await.unwrap();
    assert_eq!(modern.is_error, Some(true));
    let meta = serde_json::to_value(modern.meta.unwrap()).unwrap();
    assert_eq!(meta["portico.dev/error"]["code"], -32002);
    assert_eq!(meta["portico.dev/error"]["sign_in_url"], "https://greeter.example/auth/login");
}

#[tokio::test]
async fn a_panic_ends_one_call_and_no_other() {
    let world: World = world().await;
    let client = world.client(true).await;
    let failed = client.call_tool(call("the hangman")).await.unwrap();
    assert_eq!(failed.is_error, Some(true));
    let next = client.call_tool(call("Ada")).await.unwrap();
    assert_ne!(next.is_error, Some(true));
    let metrics = world.http.get(world.url("/metrics")).send().await.unwrap().text().await.unwrap();
    assert!(
        metrics.contains(r#"portico_server_tool_calls_total{tool="greet",outcome="Failed"} 1"#),
        "{metrics}"
    );
    assert!(metrics.contains("portico_server_tool_calls_in_flight 0"), "{metrics}");
}
