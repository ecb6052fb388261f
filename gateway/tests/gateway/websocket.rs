//! WebSocket as a transport for clients.

use futures::{FutureExt as _, SinkExt as _, StreamExt as _};
use portico_conformance::Era;
use portico_gateway::Options;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::questions::{LEGACY, answer_to, everything, in_front_of};
use super::raw_server::{RawServer, nothing_special};
use super::schemas::check;
use super::support::{PATIENCE, TestGateway, eventually, server};

const TOOLS: &str = r#"[{"name":"a","inputSchema":{}}]"#;

struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    async fn open(gateway: &TestGateway, headers: &[(&'static str, &str)]) -> Result<Self, u16> {
        let mut request = format!("ws://{}/mcp", gateway.address).into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        match connect_async(request).await {
            Ok((socket, _)) => Ok(Self(socket)),
            Err(Error::Http(response)) => Err(response.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    async fn send(&mut self, message: &Value) {
        self.0.send(Message::text(message.to_string())).await.unwrap();
    }

    async fn request(&mut self, id: &str, method: &str, params: Value) {
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })).await;
    }

    /// A request of 2026-07-28.
    async fn modern(&mut self, id: &str, method: &str, mut params: Value) {
        params["_meta"]["io.modelcontextprotocol/protocolVersion"] = "2026-07-28".into();
        params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = everything();
        self.request(id, method, params).await;
    }

    /// Opens a session.
    async fn initialize(&mut self) {
        let params = json!({ "protocolVersion": LEGACY, "capabilities": everything(), "clientInfo": { "name": "t", "version": "1" } });
        self.request("hello", "initialize", params).await;
        let hello = self.next().await.unwrap();
        assert_eq!(hello["result"]["protocolVersion"], LEGACY, "{hello}");
        self.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })).await;
    }

    /// The next message; none when the connection has ended.
    async fn next(&mut self) -> Option<Value> {
        loop {
            let frame = tokio::time::timeout(PATIENCE, self.0.next()).await.expect("a frame comes in time");
            match frame {
                Some(Ok(Message::Text(text))) => return Some(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                _ => return None,
            }
        }
    }
}

#[tokio::test]
async fn clients_of_each_era_list_and_call_over_one_connection() {
    for era in [Era::Legacy, Era::Modern] {
        let (_fixture, gateway) = in_front_of(era, Options::default()).await;
        let mut socket = Socket::open(&gateway, &[("sec-websocket-protocol", "mcp")]).await.unwrap();
        socket.initialize().await;
        socket.request("1", "tools/list", json!({})).await;
        assert!(socket.next().await.unwrap()["result"]["tools"].as_array().unwrap().len() > 5);
        socket.request("2", "tools/call", json!({ "name": "test_simple_text", "arguments": {} })).await;
        let answer = socket.next().await.unwrap();
        check(LEGACY, "JSONRPCMessage", &answer);
        assert_eq!((&answer["id"], answer["result"]["content"].is_array()), (&json!("2"), true), "{answer}");

        let mut socket = Socket::open(&gateway, &[]).await.unwrap();
        socket.modern("3", "server/discover", json!({})).await;
        assert!(socket.next().await.unwrap()["result"]["supportedVersions"].is_array());
        socket.modern("4", "tools/call", json!({ "name": "test_simple_text", "arguments": {} })).await;
        let answer = socket.next().await.unwrap();
        check("2026-07-28", "CallToolResultResponse", &answer);
    }
}

#[tokio::test]
async fn what_servers_ask_and_tell_comes_over_the_connection_too() {
    let (_fixture, gateway) = in_front_of(Era::Legacy, Options::default()).await;
    let mut socket = Socket::open(&gateway, &[]).await.unwrap();
    socket.initialize().await;
    socket
        .request(
            "1",
            "tools/call",
            json!({ "name": "test_input_required_result_elicitation", "arguments": {} }),
        )
        .await;
    let question = socket.next().await.unwrap();
    assert_eq!(question["method"], "elicitation/create");
    let answer = json!({ "jsonrpc": "2.0", "id": question["id"], "result": answer_to("elicitation/create") });
    socket.send(&answer).await;
    let last = socket.next().await.unwrap();
    assert!(last["result"]["content"][0]["text"].as_str().unwrap().contains("Ada"), "{last}");
    gateway.servers.send_replace(std::sync::Arc::new(Vec::new()));
    assert!(socket.next().await.unwrap()["method"].as_str().unwrap().ends_with("/list_changed"));
}

#[tokio::test]
async fn calls_run_beside_each_other_and_one_that_is_cancelled_ends_at_its_server() {
    let (asked, mut hear) = tokio::sync::mpsc::unbounded_channel();
    let behind = RawServer::modern(TOOLS, move |seen| {
        let asked = asked.clone();
        async move {
            if seen.method() != "tools/call" || seen.body["params"]["arguments"]["hang"] != true {
                return None;
            }
            let (ended, never) = tokio::sync::oneshot::channel::<()>();
            asked.send(ended).unwrap();
            never.await.ok();
            None
        }
        .boxed()
    })
    .await;
    let gateway = TestGateway::start(vec![server("raw", &[&behind.url()])]).await;
    gateway.until_tools(&["a"]).await;
    let mut socket = Socket::open(&gateway, &[]).await.unwrap();
    socket.modern("slow", "tools/call", json!({ "name": "a", "arguments": { "hang": true } })).await;
    let mut ended = hear.recv().await.unwrap();
    socket.modern("quick", "tools/call", json!({ "name": "a", "arguments": {} })).await;
    assert_eq!(socket.next().await.unwrap()["id"], "quick");
    socket.send(&json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": "slow" } })).await;
    tokio::time::timeout(PATIENCE, ended.closed()).await.expect("the server's request is closed");
    socket.modern("other", "tools/call", json!({ "name": "a", "arguments": { "hang": true } })).await;
    let mut ended = hear.recv().await.unwrap();
    drop(socket);
    tokio::time::timeout(PATIENCE, ended.closed()).await.expect("a client that goes leaves no call behind");
}

#[tokio::test]
async fn bad_frames_are_answered_or_end_this_connection_and_no_other() {
    let behind = RawServer::legacy(TOOLS, nothing_special).await;
    let options = Options { max_body_bytes: 4096, ..Options::default() };
    let gateway = TestGateway::with(options, vec![server("raw", &[&behind.url()])]).await;
    let mut good = Socket::open(&gateway, &[]).await.unwrap();
    let mut bad = Socket::open(&gateway, &[]).await.unwrap();
    for (text, code) in
        [("{", -32700), ("[]", -32600), (r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#, -32600)]
    {
        bad.0.send(Message::text(text)).await.unwrap();
        assert_eq!(bad.next().await.unwrap()["error"]["code"], code, "{text}");
    }
    bad.0.send(Message::binary(vec![1])).await.unwrap();
    assert_eq!(bad.next().await.unwrap()["error"]["code"], -32600);
    bad.0.send(Message::text("x".repeat(5000))).await.unwrap();
    assert_eq!(bad.next().await, None, "too large");
    good.modern("1", "tools/list", json!({})).await;
    assert_eq!(good.next().await.unwrap()["id"], "1");
}

#[tokio::test]
async fn one_connection_takes_no_more_than_its_share_of_calls() {
    let behind = RawServer::modern(TOOLS, |seen| {
        async move {
            if seen.method() == "tools/call" {
                std::future::pending::<()>().await;
            }
            None
        }
        .boxed()
    })
    .await;
    let gateway = TestGateway::start(vec![server("raw", &[&behind.url()])]).await;
    gateway.until_tools(&["a"]).await;
    let mut socket = Socket::open(&gateway, &[]).await.unwrap();
    for id in 0..65 {
        socket.modern(&id.to_string(), "tools/call", json!({ "name": "a" })).await;
    }
    let refused = socket.next().await.unwrap();
    assert_eq!(refused["id"], "64");
    assert!(refused["error"]["message"].as_str().unwrap().contains("too many requests open"), "{refused}");
}

#[tokio::test]
async fn the_rules_of_a_post_hold_for_a_socket_and_a_key_that_is_withdrawn_ends_it() {
    let behind = RawServer::legacy(TOOLS, nothing_special).await;
    let gateway = TestGateway::with(Options::default(), vec![server("raw", &[&behind.url()])]).await;
    gateway.until_tools(&["a"]).await;
    assert_eq!(Socket::open(&gateway, &[("origin", "https://evil.example")]).await.err(), Some(403));
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("keys/ada");
    std::fs::create_dir(folder.path().join("keys")).unwrap();
    std::fs::write(&key, "ada-has-a-long-key").unwrap();
    let config = folder.path().join("gateway.yaml");
    std::fs::write(
        &config,
        format!("auth: {{apiKeys: {{folder: {}}}}}", folder.path().join("keys").display()),
    )
    .unwrap();
    gateway.gateway.configure_from(&config).unwrap();
    assert_eq!(Socket::open(&gateway, &[]).await.err(), Some(401));
    let mut socket = Socket::open(&gateway, &[("authorization", "Bearer ada-has-a-long-key")]).await.unwrap();
    socket.modern("1", "tools/call", json!({ "name": "a" })).await;
    assert!(socket.next().await.unwrap()["result"].is_object());
    std::fs::remove_file(&key).unwrap();
    eventually("the key is not taken any more", async || {
        gateway
            .modern_request("tools/list", json!({}))
            .bearer_auth("ada-has-a-long-key")
            .send()
            .await
            .unwrap()
            .status()
            == 401
    })
    .await;
    socket.modern("2", "tools/call", json!({ "name": "a" })).await;
    while let Some(message) = socket.next().await {
        assert!(message["error"].is_object(), "{message}");
    }
}

#[tokio::test]
async fn at_the_end_of_the_gateway_sockets_are_closed() {
    let mut gateway = TestGateway::start(Vec::new()).await;
    let mut socket = Socket::open(&gateway, &[]).await.unwrap();
    socket.initialize().await;
    gateway.stop();
    assert_eq!(socket.next().await, None);
}
