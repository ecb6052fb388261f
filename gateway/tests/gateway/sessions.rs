//! Sessions of clients, and the gateway's own with legacy servers.

use portico_gateway::Options;
use portico_gateway::source::{Protocol, Server};
use serde_json::json;

use super::raw_server::{RawServer, nothing_special};
use super::real_server::RealServer;
use super::support::{TestGateway, eventually, post, server};

const A: &str = r#"[{"name":"a","inputSchema":{}}]"#;

#[tokio::test]
async fn each_legacy_client_has_its_own_session_with_a_legacy_server_and_modern_clients_share_one() {
    let raw = RawServer::legacy(A, nothing_special).await;
    let gateway = TestGateway::start(vec![server("raw", &[&raw.url()])]).await;
    let (one, two) = (gateway.legacy("2025-11-25").await, gateway.legacy("2025-06-18").await);
    let call = json!({ "name": "a" });
    for client in [&one, &two, &one, &two] {
        client.call("tools/call", call.clone()).await;
    }
    gateway.modern("tools/call", call.clone()).await;
    gateway.modern("tools/call", call).await;
    let sessions: Vec<_> = raw.seen("tools/call").iter().map(super::raw_server::Seen::session).collect();
    assert!(sessions[0] == sessions[2] && sessions[1] == sessions[3] && sessions[4] == sessions[5]);
    assert!(sessions[0] != sessions[1] && sessions[1] != sessions[4] && sessions[0] != sessions[4]);
    assert_eq!(raw.seen("tools/call")[0].headers["mcp-protocol-version"], "2025-11-25");
}

#[tokio::test]
async fn a_session_that_the_server_lost_is_made_anew_without_the_client_noticing() {
    let real = RealServer::start(&["echo"]).await;
    let config = Server { protocol: Protocol::Legacy, ..server("real", &[&real.url()]) };
    let gateway = TestGateway::start(vec![config]).await;
    gateway.until_connected("real").await;
    let client = gateway.legacy("2025-11-25").await;
    for _ in 0..3 {
        let (_, answer) = client.call("tools/call", json!({ "name": "echo" })).await;
        assert_eq!(answer["result"]["content"][0]["text"], "echo null", "{answer}");
        real.lose_sessions().await;
    }
}

#[tokio::test]
async fn the_end_of_a_clients_session_ends_those_with_servers() {
    let raw = RawServer::legacy(A, nothing_special).await;
    let gateway = TestGateway::start(vec![server("raw", &[&raw.url()])]).await;
    let client = gateway.legacy("2025-11-25").await;
    client.call("tools/call", json!({ "name": "a" })).await;
    let ended = raw.seen_http("DELETE");
    let delete = gateway.http.delete(gateway.url()).header("mcp-session-id", &client.session);
    assert_eq!(delete.send().await.unwrap().status(), 204);
    eventually("the server's session is ended", async || raw.seen_http("DELETE") > ended).await;
    let (status, _) = client.call("tools/call", json!({ "name": "a" })).await;
    assert_eq!(status, 404);
}

#[tokio::test]
async fn a_session_opened_at_one_replica_is_good_at_another_with_the_same_key() {
    let raw = RawServer::legacy(A, nothing_special).await;
    let options = Options { session_keys: vec![[7; 32]], ..Options::default() };
    let servers = vec![server("raw", &[&raw.url()])];
    let one = TestGateway::with(options.clone(), servers.clone()).await;
    let two = TestGateway::with(options, servers.clone()).await;
    let stranger = TestGateway::start(servers).await;
    let client = one.legacy("2025-11-25").await;
    let body =
        json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "a" } }).to_string();
    let status = async |gateway: &TestGateway| {
        let request = post(&gateway.http, &gateway.url(), &body).header("mcp-session-id", &client.session);
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!((status(&one).await, status(&two).await, status(&stranger).await), (200, 200, 404));
}

#[tokio::test]
async fn sessions_with_servers_are_bounded() {
    let raw = RawServer::legacy(A, nothing_special).await;
    let options = Options { max_backend_sessions: 2, ..Options::default() };
    let gateway = TestGateway::with(options, vec![server("raw", &[&raw.url()])]).await;
    for _ in 0..5 {
        let client = gateway.legacy("2025-11-25").await;
        let (_, answer) = client.call("tools/call", json!({ "name": "a" })).await;
        assert!(answer["result"].is_object());
    }
    eventually("the oldest sessions are ended", async || raw.seen_http("DELETE") == 3).await;
    assert!(gateway.get("/metrics").await.1.contains("portico_gateway_backend_sessions 2"));
}
