//! Last known lists outlive a restart of the gateway.

use std::sync::Arc;

use portico_gateway::keep::{Folder, Recalled};
use portico_gateway::{Options, ServerState};
use serde_json::json;

use crate::raw_server::{RawServer, nothing_special};
use crate::support::{TestGateway, eventually, server};

const AB: &str = r#"[{"name":"a","inputSchema":{"x":1.50}},{"name":"b","inputSchema":{}}]"#;

/// A gateway that keeps its lists in `folder`.
async fn start(folder: &Folder, servers: Vec<portico_gateway::source::Server>) -> TestGateway {
    let recalled = folder.load().unwrap();
    let gateway = TestGateway::recalling(Options::default(), servers, &recalled).await;
    gateway.gateway.keep_lists(Arc::new(folder.clone()), &recalled);
    gateway
}

#[tokio::test]
async fn a_restarted_gateway_shows_the_kept_lists_of_a_server_that_is_away_until_it_comes_back() {
    let place = tempfile::tempdir().unwrap();
    let folder = Folder::open(&place.path().join("state")).unwrap();
    let raw = RawServer::legacy(AB, nothing_special).await;
    let first = start(&folder, vec![server("raw", &[&raw.url()])]).await;
    first.until_tools(&["a", "b"]).await;
    eventually("the lists are kept", async || folder.load().unwrap().len() == 1).await;
    drop(first);
    let second = start(&folder, vec![server("raw", &[])]).await;
    assert_eq!(second.tools().await, ["a", "b"], "at once, and in the first answer");
    let text = second.modern_request("tools/list", json!({})).send().await.unwrap().text().await.unwrap();
    assert!(text.contains(r#"{"name":"a","inputSchema":{"x":1.50}}"#), "{text}");
    let report = second.until_report("raw", |report| report.state == ServerState::Waiting).await;
    assert!(!report.confirmed && report.tools == 2);
    let unconfirmed = r#"portico_gateway_catalog_unconfirmed{namespace="shop",server="raw"}"#;
    let (_, metrics) = second.get("/metrics").await;
    assert!(metrics.contains(&format!("{unconfirmed} 1")), "{metrics}");
    second.servers.send(Arc::new(vec![server("raw", &[&raw.url()])])).unwrap();
    assert!(second.until_connected("raw").await.confirmed);
    let (_, metrics) = second.get("/metrics").await;
    assert!(metrics.contains(&format!("{unconfirmed} 0")), "{metrics}");
    second.servers.send(Arc::new(vec![])).unwrap();
    eventually("the lists of a server that is gone are dropped", async || folder.load().unwrap().is_empty())
        .await;
}

#[tokio::test]
async fn damaged_lists_are_passed_over() {
    let place = tempfile::tempdir().unwrap();
    std::fs::create_dir(place.path().join("shop")).unwrap();
    std::fs::write(place.path().join("shop/raw.json.gz"), "no lists").unwrap();
    let folder = Folder::open(place.path()).unwrap();
    assert_eq!(folder.load().unwrap().len(), 1);
    let raw = RawServer::legacy(AB, nothing_special).await;
    let gateway = start(&folder, vec![server("raw", &[&raw.url()])]).await;
    gateway.until_tools(&["a", "b"]).await;
    let whole = async || {
        let recalled: Recalled = folder.load().unwrap();
        recalled.values().all(|lists| lists.starts_with(&[0x1f, 0x8b]))
    };
    eventually("the damaged lists are replaced", whole).await;
}
