//! What a newcomer runs first.

use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, BufReader};

use super::{
    client::{call, connect, eras, tools},
    has_node,
    running::{PATIENCE, Up, portico, signal},
    workspace,
};

#[tokio::test]
async fn the_quickstart_serves_every_tool_to_clients_of_both_eras() {
    let mut up = Up::start(&workspace().join("examples/quickstart")).await;
    let servers: &[&str] = if has_node() { &["files", "kroger", "everything"] } else { &["files", "kroger"] };
    let ready = up.until_ready(servers).await;
    for era in eras() {
        let client = connect(&up.url, era).await;
        let listed = tools(&client).await;
        let counted: u64 = servers.iter().map(|name| ready[*name]["tools"].as_u64().unwrap()).sum();
        assert_eq!(u64::try_from(listed.len()).unwrap(), counted, "{listed:?}");
        let text = call(&client, "read_file", json!({ "path": "welcome.md" })).await.to_string();
        assert!(text.contains("through Portico"), "{text}");
        let text = call(&client, "read_file", json!({ "path": "recipes/pancakes.md" })).await.to_string();
        assert!(text.contains("flour"), "{text}");
        let found = call(&client, "search_products_advanced", json!({ "query": "milk" })).await;
        assert!(
            found["structuredContent"]["products"].as_array().is_some_and(|all| !all.is_empty()),
            "{found}"
        );
        if has_node() {
            let said = call(&client, "echo", json!({ "message": "out of cheese" })).await.to_string();
            assert!(said.contains("out of cheese"), "{said}");
        } else {
            eprintln!("left out: Node.js is missing, so the server from npm was not called");
        }
    }
    assert!(up.interrupt().await.success());
}

#[tokio::test]
async fn an_integration_runs_from_its_example_with_the_stand_in() {
    let mut up = Up::start(&workspace().join("examples/kroger")).await;
    up.until_ready(&["groceries-kroger"]).await;
    for era in eras() {
        let client = connect(&up.url, era).await;
        let found = call(&client, "search_products_advanced", json!({ "query": "milk" })).await;
        let products = found["structuredContent"]["products"].as_array().cloned().unwrap_or_default();
        assert!(!products.is_empty() && !products[0]["price"].is_null(), "{found}");
    }
    assert!(up.interrupt().await.success());
}

#[tokio::test]
async fn people_see_the_endpoint_every_server_and_the_lines_to_paste() {
    let state = tempfile::tempdir().unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.yaml"), super::files_server("notes", "x")).unwrap();
    let path = folder.path().display().to_string();
    let mut child = portico(state.path(), &["up", &path, "--listen", "127.0.0.1:0"]).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut text = String::new();
    let until_summary = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            text += &line;
            text.push('\n');
            if line.contains("Ctrl-C") {
                break;
            }
        }
    };
    tokio::time::timeout(PATIENCE, until_summary).await.unwrap();
    let url = text.lines().next().and_then(|line| line.split_whitespace().last()).unwrap();
    assert!(url.starts_with("http://127.0.0.1:") && url.ends_with("/mcp"), "{text}");
    assert!(text.contains("  notes  ready     5 tools\n"), "{text}");
    assert!(
        text.contains(&json!({ "mcpServers": { "portico": { "type": "http", "url": url } } }).to_string()),
        "{text}"
    );
    assert!(text.contains(&format!("npx @modelcontextprotocol/inspector --cli {url}")), "{text}");
    assert!(!text.contains('\u{1b}'), "colours are for terminals: {text}");
    signal(child.id().unwrap().cast_signed(), "TERM").await;
    assert!(tokio::time::timeout(PATIENCE, child.wait()).await.unwrap().unwrap().success());
}
