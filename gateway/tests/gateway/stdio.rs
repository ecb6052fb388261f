//! A server that speaks on its standard input and output, behind the bridge and the gateway.

use std::net::SocketAddr;

use portico_gateway::bridge;
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::questions::{LEGACY, answer_to, everything};
use super::support::{TestGateway, server};

/// A server with one tool, which asks for its client's roots and says what it heard.
const SERVER: &str = r#"
while read -r line; do
  id=$(printf %s "$line" | sed -n 's/.*"id":\([0-9]*\).*/\1/p')
  say() { echo '{"jsonrpc":"2.0","id":'"$1"'}'; }
  case "$line" in
    *'"initialize"'*) say "$id"',"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"sh","version":"1"}}' ;;
    *'"tools/list"'*) say "$id"',"result":{"tools":[{"name":"roots","inputSchema":{"type":"object"}}]}' ;;
    *'"tools/call"'*) call=$id; say '"ask","method":"roots/list"' ;;
    *'file:///home'*) say "$call"',"result":{"content":[{"type":"text","text":"home"}]}' ;;
    *'"method":"notifications/'*) ;;
    *) say "$id"',"error":{"code":-32601,"message":"no"}' ;;
  esac
done
"#;

async fn bridged() -> (SocketAddr, DropGuard) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let command = ["sh", "-c", SERVER].map(str::to_owned).to_vec();
    let stop = CancellationToken::new();
    let options = bridge::Options { command, ..bridge::Options::default() };
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

    let mut params = json!({ "name": "roots",
        "_meta": { "io.modelcontextprotocol/clientCapabilities": everything() } });
    let (_, asked) = gateway.modern("tools/call", params.clone()).await;
    let key = asked["result"]["inputRequests"].as_object().unwrap().keys().next().unwrap().clone();
    params["inputResponses"] = json!({ key: answer_to("roots/list") });
    params["requestState"] = asked["result"]["requestState"].clone();
    let (_, answer) = gateway.modern("tools/call", params).await;
    assert_eq!(answer["result"]["content"][0]["text"], "home", "{answer}");
}
