//! The WebSocket client of the official TypeScript SDK, which is not ours.

use serde_json::Value;
use tokio::process::Command;
use tokio::time::timeout;

use super::{
    files_server, has_node,
    running::{PATIENCE, Up},
};

const CLIENT: &str = include_str!("../../node/websocket.mjs");

#[tokio::test]
async fn the_sdk_lists_and_calls_tools_over_a_websocket() {
    if !has_node() {
        eprintln!("left out: Node.js is missing, so the SDK cannot run");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.yaml"), files_server("alpha", "out of cheese")).unwrap();
    let mut up = Up::start(folder.path()).await;
    let ready = up.until("alpha", "ready").await;
    let url = up.url.replacen("http://", "ws://", 1);
    let script = portico_e2e::node::script(env!("CARGO_TARGET_TMPDIR"), CLIENT, &[("MCP_URL", &url)]);
    let mut command = Command::from(script);
    let output = timeout(PATIENCE, command.kill_on_drop(true).output()).await.expect("it ends").unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(said["server"]["name"], "portico");
    assert_eq!(
        said["tools"].as_array().map(Vec::len).map(Value::from).as_ref(),
        Some(&ready["tools"]),
        "{said}"
    );
    assert!(said["result"]["content"][0]["text"].as_str().unwrap().contains("out of cheese"), "{said}");
    assert!(up.interrupt().await.success());
}
