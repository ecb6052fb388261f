//! A server that speaks on its standard input and output, behind the bridge and the gateway.

use std::net::SocketAddr;

use portico_gateway::bridge;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::questions::{LEGACY, answer_to, everything};
use super::support::{TestGateway, server};

/// A server with a tool that asks for its client's roots and says what it heard, and one that does not.
const SERVER: &str = r#"
while read -r line; do
  id=$(printf %s "$line" | sed -n 's/.*"id":\([0-9]*\).*/\1/p')
  say() { echo '{"jsonrpc":"2.0","id":'"$1"'}'; }
  case "$line" in
    *'"initialize"'*) say "$id"',"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"sh","version":"1"}}' ;;
    *'"tools/list"'*) say "$id"',"result":{"tools":[{"name":"roots","inputSchema":{}},{"name":"plain","inputSchema":{}}]}' ;;
    *'"name":"plain"'*) say "$id"',"result":{"content":[]}' ;;
    *'"tools/call"'*) call=$id; say '"ask","method":"roots/list"' ;;
    *'file:///home'*) say "$call"',"result":{"content":[{"type":"text","text":"home"}]}' ;;
    *'"method":"notifications/'*) ;;
    *) say "$id"',"error":{"code":-32601,"message":"no"}' ;;
  esac
done
"#;

async fn bridged() -> (SocketAddr, DropGuard) {
    bridged_with(bridge::Options::default().max_children).await
}

/// The same with room for `max_children` sessions, of which the gateway uses two to learn what the server has.
async fn bridged_with(max_children: usize) -> (SocketAddr, DropGuard) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let command = ["sh", "-c", SERVER].map(str::to_owned).to_vec();
    let stop = CancellationToken::new();
    let options = bridge::Options { command, max_children, ..bridge::Options::default() };
    let token = stop.clone();
    tokio::spawn(async move { bridge::serve(options, listener, token).await });
    (address, stop.drop_guard())
}

#[tokio::test]
async fn a_stdio_server_asks_clients_of_each_era() {
    let (address, _stop) = bridged().await;
    let gateway = TestGateway::start(vec![server("sh", &[&format!("http://{address}/mcp")])]).await;
    gateway.until_connected("sh").await;
    let client = gateway.legacy_that_can(LEGACY, &everything()).await;
    let mut events = client.open("tools/call", json!({ "name": "roots" })).await;
    let question = events.next().await.unwrap();
    client.reply(&question, answer_to("roots/list")).await;
    assert_eq!(events.next().await.unwrap()["result"]["content"][0]["text"], "home");
    let asked = ask(&gateway).await;
    assert_eq!(answered(&gateway, &asked).await["result"]["content"][0]["text"], "home");
}

/// A modern client calls the tool and is asked.
async fn ask(gateway: &TestGateway) -> Value {
    let capabilities = json!({ "io.modelcontextprotocol/clientCapabilities": everything() });
    let (_, asked) = gateway.modern("tools/call", json!({ "name": "roots", "_meta": capabilities })).await;
    assert_eq!(asked["result"]["resultType"], "input_required", "{asked}");
    asked
}

/// The same client sends its answer.
async fn answered(gateway: &TestGateway, asked: &Value) -> Value {
    let key = asked["result"]["inputRequests"].as_object().unwrap().keys().next().unwrap().clone();
    let params = json!({ "name": "roots", "inputResponses": { key: answer_to("roots/list") },
        "requestState": asked["result"]["requestState"],
        "_meta": { "io.modelcontextprotocol/clientCapabilities": everything() } });
    gateway.modern("tools/call", params).await.1
}

#[tokio::test]
async fn clients_without_sessions_are_asked_side_by_side() {
    let (address, _stop) = bridged().await;
    let gateway = TestGateway::start(vec![server("sh", &[&format!("http://{address}/mcp")])]).await;
    gateway.until_connected("sh").await;
    let mut waiting = Vec::new();
    for _ in 0..3 {
        waiting.push(ask(&gateway).await);
    }
    for asked in waiting.iter().rev() {
        let answer = answered(&gateway, asked).await;
        assert_eq!(answer["result"]["content"][0]["text"], "home", "{answer}");
    }
}

#[tokio::test]
async fn a_server_without_room_for_more_sessions_serves_its_clients_in_one() {
    let (address, _stop) = bridged_with(3).await;
    let gateway = TestGateway::start(vec![server("sh", &[&format!("http://{address}/mcp")])]).await;
    gateway.until_connected("sh").await;
    let first = ask(&gateway).await;
    let capabilities = json!({ "io.modelcontextprotocol/clientCapabilities": everything() });
    let second = gateway.modern("tools/call", json!({ "name": "plain", "_meta": capabilities })).await.1;
    assert!(second["result"].is_object(), "{second}");
    assert_eq!(answered(&gateway, &first).await["result"]["content"][0]["text"], "home");
}
