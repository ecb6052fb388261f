//! Single resources that clients watch, in each pairing of eras.

use std::collections::HashMap;

use portico_conformance::{Era, Fixture};
use portico_gateway::Options;
use serde_json::json;

use super::questions::{LEGACY, in_front_of};
use super::schemas::check;
use super::support::{Events, PATIENCE, TestGateway, eventually};

const URI: &str = "test://watched-resource";
const OTHER: &str = "test://static-text";

/// Waits until the server is asked for exactly these resources, each once.
async fn until_watched(fixture: &Fixture, uris: &[&str]) {
    let wanted: HashMap<String, usize> = uris.iter().map(|uri| ((*uri).to_owned(), 1)).collect();
    let mut watched = fixture.watched();
    let same = tokio::time::timeout(PATIENCE, watched.wait_for(|watched| *watched == wanted)).await;
    assert!(same.is_ok(), "{uris:?}: {:?}", fixture.watched().borrow());
}

async fn listen(gateway: &TestGateway, uris: &[&str]) -> Events {
    let filter = json!({ "notifications": { "resourceSubscriptions": uris } });
    let response = gateway.modern_request("subscriptions/listen", filter).send().await.unwrap();
    let mut events = Events::of(response);
    let acknowledged = events.next().await.unwrap();
    check("2026-07-28", "SubscriptionsAcknowledgedNotification", &acknowledged);
    let accepted: Vec<&str> = uris.iter().copied().filter(|uri| *uri != "test://none-such").collect();
    assert_eq!(acknowledged["params"]["notifications"]["resourceSubscriptions"], json!(accepted));
    events
}

#[tokio::test]
async fn an_update_reaches_clients_of_each_era_and_the_server_is_asked_once() {
    for era in [Era::Legacy, Era::Modern] {
        let (fixture, gateway) = in_front_of(era, Options::default()).await;
        let (one, two) = (gateway.legacy(LEGACY).await, gateway.legacy("2025-06-18").await);
        let (mut of_one, mut of_two) = (one.stream().await, two.stream().await);
        for client in [&one, &two] {
            let (_, subscribed) = client.call("resources/subscribe", json!({ "uri": URI })).await;
            assert_eq!(subscribed["result"], json!({}), "{era:?}");
        }
        let mut modern = listen(&gateway, &[URI]).await;
        until_watched(&fixture, &[URI]).await;
        fixture.update(OTHER);
        fixture.update(URI);
        for (version, events) in
            [(LEGACY, &mut of_one), ("2025-06-18", &mut of_two), ("2026-07-28", &mut modern)]
        {
            let updated = events.next().await.unwrap();
            assert_eq!(updated["params"]["uri"], URI, "{era:?} {version} {updated}");
            check(version, "ResourceUpdatedNotification", &updated);
            let id = &updated["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"];
            assert_eq!(id.is_null(), version != "2026-07-28", "{updated}");
        }
    }
}

#[tokio::test]
async fn a_server_is_asked_for_a_resource_as_long_as_anybody_watches_it() {
    for era in [Era::Legacy, Era::Modern] {
        let (fixture, gateway) = in_front_of(era, Options::default()).await;
        let (one, two) = (gateway.legacy(LEGACY).await, gateway.legacy(LEGACY).await);
        one.call("resources/subscribe", json!({ "uri": URI })).await;
        two.call("resources/subscribe", json!({ "uri": URI })).await;
        let modern = listen(&gateway, &[URI, OTHER]).await;
        until_watched(&fixture, &[URI, OTHER]).await;
        drop(modern);
        until_watched(&fixture, &[URI]).await;
        one.call("resources/unsubscribe", json!({ "uri": URI })).await;
        one.call("resources/subscribe", json!({ "uri": OTHER })).await;
        until_watched(&fixture, &[URI, OTHER]).await;
        let ended = gateway.http.delete(gateway.url()).header("mcp-session-id", &two.session);
        ended.send().await.unwrap();
        until_watched(&fixture, &[OTHER]).await;
        one.call("resources/unsubscribe", json!({ "uri": OTHER })).await;
        until_watched(&fixture, &[]).await;
    }
}

#[tokio::test]
async fn a_resource_that_no_server_has_cannot_be_watched() {
    let (_fixture, gateway) = in_front_of(Era::Legacy, Options::default()).await;
    let real = super::real_server::RealServer::start(&["echo"]).await;
    let silent = TestGateway::start(vec![super::support::server("real", &[&real.url()])]).await;
    silent.until_connected("real").await;
    let client = silent.legacy(LEGACY).await;
    let (_, refused) = client.call("resources/subscribe", json!({ "uri": "shop://hours" })).await;
    assert_eq!(refused["error"]["code"], -32602, "{refused}");
    drop(listen(&gateway, &[URI]).await);
    eventually("what is not there is left out", async || {
        let filter = json!({ "notifications": { "resourceSubscriptions": [URI] } });
        let response = silent.modern_request("subscriptions/listen", filter).send().await.unwrap();
        let acknowledged = Events::of(response).next().await.unwrap();
        acknowledged["params"]["notifications"] == json!({})
    })
    .await;
}
