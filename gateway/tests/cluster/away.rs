//! The API server goes away, and the gateway starts anew while it is away.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use portico_cluster::{Level, Way, wait_for, wanted};
use portico_gateway::keep::Folder;
use portico_gateway::{Gateway, Options, ServerState, kubernetes};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::raw_server::{RawServer, nothing_special};
use crate::world::{SOON, World};

const A: &str = r#"[{"name":"a","inputSchema":{}}]"#;
const B: &str = r#"[{"name":"b","inputSchema":{}}]"#;

/// A gateway that keeps what it knows in a folder, and reaches the cluster by a way that may be cut.
struct Kept {
    gateway: Arc<Gateway>,
    address: SocketAddr,
    _stop: DropGuard,
}

impl Kept {
    async fn start(world: &World, way: &Way, folder: &Folder) -> Self {
        let mut config = world.cluster.config().clone();
        config.cluster_url = format!("https://{}/", way.listening).parse().unwrap();
        let scope = world.scope(kube::Client::try_from(config).unwrap());
        let (stop, kept) = (CancellationToken::new(), folder.seen(scope.namespace.as_deref()));
        let found = kubernetes::follow(&scope, kept, stop.child_token()).await.unwrap();
        let lists = folder.load().unwrap();
        let options = Options { refresh: std::time::Duration::from_millis(100), ..Options::default() };
        let gateway = Arc::new(Gateway::with_lists(options, found.servers.clone(), &lists).unwrap());
        gateway.keep_servers(folder.clone(), &found);
        gateway.keep_lists(Arc::new(folder.clone()), &lists);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (serving, token) = (Arc::clone(&gateway), stop.clone());
        tokio::spawn(async move { serving.serve(listener, token).await });
        Self { gateway, address, _stop: stop.drop_guard() }
    }

    async fn until_connected(&self, name: &str) {
        let mut reports = self.gateway.reports();
        let connected = reports.wait_for(|reports| {
            let is_connected = |state: &ServerState| *state == ServerState::Connected;
            reports.iter().any(|report| report.key.name == name && is_connected(&report.state))
        });
        tokio::time::timeout(SOON, connected).await.unwrap().unwrap();
    }

    async fn get(&self, path: &str) -> (u16, String) {
        let response = reqwest::get(format!("http://{}{path}", self.address)).await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// The text of the answer to a call of the tool `name`.
    async fn call(&self, name: &str) -> String {
        let meta = json!({ "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {} });
        let body: Value = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": { "name": name, "_meta": meta } });
        let request = reqwest::Client::new()
            .post(format!("http://{}/mcp", self.address))
            .header("accept", "application/json, text/event-stream")
            .header("content-type", "application/json")
            .header("mcp-protocol-version", "2026-07-28")
            .header("mcp-method", "tools/call")
            .header("mcp-name", name);
        request.body(body.to_string()).send().await.unwrap().text().await.unwrap()
    }
}

fn spec(server: &RawServer) -> Value {
    json!({ "source": { "remote": { "url": server.url() } } })
}

async fn until_kept(folder: &Folder, world: &World, servers: usize) {
    wait_for("servers and lists to be kept", SOON, async || {
        let seen = folder.seen(Some(world.namespace.name()));
        let kept = seen.is_some_and(|seen| seen.servers.len() == servers);
        Ok::<_, String>((kept && folder.load().unwrap().len() == servers).then_some(()))
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_gateway_that_restarts_while_the_api_server_is_away_serves_what_it_kept_until_changes_arrive() {
    if !wanted(Level::Api) {
        return;
    }
    let world = World::start().await;
    let (a, b) = (RawServer::legacy(A, nothing_special).await, RawServer::legacy(B, nothing_special).await);
    world.apply("a", json!({}), spec(&a)).await;
    let url = &world.cluster.config().cluster_url;
    let api = SocketAddr::new(url.host().unwrap().parse().unwrap(), url.port_u16().unwrap());
    let mut way = Way::to(api).await.unwrap();
    let place = tempfile::tempdir().unwrap();
    let folder = Folder::open(&place.path().join("state")).unwrap();
    let first = Kept::start(&world, &way, &folder).await;
    first.until_connected("a").await;
    until_kept(&folder, &world, 1).await;
    let file = std::fs::metadata(place.path().join("state/servers.json")).unwrap();
    assert_eq!(file.permissions().mode() & 0o777, 0o600);
    way.cut();
    assert!(first.call("a").await.contains(r#""content":[]"#), "routing goes on");
    drop(first);
    let second = Kept::start(&world, &way, &folder).await;
    second.until_connected("a").await;
    assert!(second.call("a").await.contains(r#""content":[]"#), "a start without the cluster serves");
    assert_eq!(second.get("/readyz").await.0, 200);
    let metrics = second.get("/metrics").await.1;
    assert!(metrics.contains("portico_gateway_servers_stale 1"), "{metrics}");
    world.apply("b", json!({}), spec(&b)).await;
    assert!(second.call("b").await.contains("-32602"), "nobody can know of it yet");
    way.mend().unwrap();
    second.until_connected("b").await;
    assert!(
        second.call("b").await.contains(r#""content":[]"#)
            && second.call("a").await.contains(r#""content":[]"#)
    );
    let metrics = second.get("/metrics").await.1;
    assert!(metrics.contains("portico_gateway_servers_stale 0"), "{metrics}");
    until_kept(&folder, &world, 2).await;
}
