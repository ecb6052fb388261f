//! MCP Inspector, a client that is not ours, at the version of `tests/e2e/node`.

use std::path::Path;

use serde_json::Value;
use tokio::{process::Command, time::timeout};

use super::{
    files_server, has_node,
    running::{PATIENCE, Up},
};

async fn inspect(programs: &Path, url: &str, arguments: &[&str]) -> Value {
    let path = std::env::var("PATH").unwrap();
    let mut command = Command::new(programs.join("node"));
    command.arg(programs.join("mcp-inspector")).args(["--cli", url, "--transport", "http"]).args(arguments);
    command.env("PATH", format!("{}:{path}", programs.display())).kill_on_drop(true);
    let output = timeout(PATIENCE, command.output()).await.expect("Inspector does not end").unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_str(&text).expect("Inspector prints JSON")
}

#[tokio::test]
async fn inspector_lists_and_calls_tools_through_the_gateway() {
    if !has_node() {
        eprintln!("left out: Node.js is missing, so MCP Inspector cannot run");
        return;
    }
    let programs = portico_e2e::node::programs(env!("CARGO_TARGET_TMPDIR"));
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.yaml"), files_server("alpha", "out of cheese")).unwrap();
    let mut up = Up::start(folder.path()).await;
    let ready = up.until("alpha", "ready").await;
    let listed = inspect(programs, &up.url, &["--method", "tools/list"]).await;
    assert_eq!(
        listed["tools"].as_array().map(Vec::len).map(Value::from).as_ref(),
        Some(&ready["tools"]),
        "{listed}"
    );
    let call = ["--method", "tools/call", "--tool-name", "read_file", "--tool-arg", "path=note.md"];
    let result = inspect(programs, &up.url, &call).await;
    assert!(result["content"][0]["text"].as_str().unwrap().contains("out of cheese"), "{result}");
    assert!(up.interrupt().await.success());
}
