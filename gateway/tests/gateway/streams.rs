//! Streams on which clients hear of changes.

use portico_gateway::Options;
use serde_json::json;

use super::real_server::RealServer;
use super::support::{Events, TestGateway, server};

fn listen(gateway: &TestGateway, filter: &serde_json::Value) -> reqwest::RequestBuilder {
    gateway.modern_request("subscriptions/listen", json!({ "notifications": filter }))
}

#[tokio::test]
async fn a_changed_list_reaches_an_open_stream_of_each_era() {
    let real = RealServer::start(&["echo"]).await;
    let gateway = TestGateway::start(vec![server("real", &[&real.url()])]).await;
    gateway.until_tools(&["echo"]).await;
    let client = gateway.legacy("2025-06-18").await;
    let mut legacy = client.stream().await;
    let wanted = json!({ "toolsListChanged": true, "resourceSubscriptions": ["shop://hours"] });
    let mut modern = Events::of(listen(&gateway, &wanted).send().await.unwrap());
    let acknowledged = modern.next().await.unwrap();
    assert_eq!(acknowledged["method"], "notifications/subscriptions/acknowledged");
    assert_eq!(acknowledged["params"]["notifications"], json!({ "toolsListChanged": true }));
    real.set_tools(&["echo", "new"]).await;
    assert_eq!(legacy.next().await.unwrap()["method"], "notifications/tools/list_changed");
    let changed = modern.next().await.unwrap();
    assert_eq!(changed["method"], "notifications/tools/list_changed");
    assert_eq!(changed["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], 1);
    assert_eq!(gateway.tools().await, ["echo", "new"]);
}

#[tokio::test]
async fn a_subscriber_hears_only_what_it_asked_for() {
    let real = RealServer::start(&["echo"]).await;
    let gateway = TestGateway::start(vec![server("real", &[&real.url()])]).await;
    gateway.until_tools(&["echo"]).await;
    let prompts = listen(&gateway, &json!({ "promptsListChanged": true }));
    let mut prompts = Events::of(prompts.send().await.unwrap());
    prompts.next().await.unwrap();
    real.set_tools(&["new"]).await;
    gateway.until_tools(&["new"]).await;
    gateway.servers.send(std::sync::Arc::default()).unwrap();
    assert_eq!(prompts.next().await.unwrap()["method"], "notifications/prompts/list_changed");
}

#[tokio::test]
async fn at_the_end_a_subscription_is_closed_with_a_result() {
    let mut gateway = TestGateway::start(vec![]).await;
    let mut events = Events::of(listen(&gateway, &json!({})).send().await.unwrap());
    events.next().await.unwrap();
    gateway.stop();
    let last = events.next().await.unwrap();
    assert_eq!(last["result"]["resultType"], "complete");
    assert_eq!(last["result"]["_meta"]["io.modelcontextprotocol/subscriptionId"], 1);
    assert!(events.next().await.is_none());
}

#[tokio::test]
async fn open_streams_are_bounded() {
    let gateway = TestGateway::with(Options { max_streams: 1, ..Options::default() }, vec![]).await;
    let client = gateway.legacy("2025-11-25").await;
    let first = client.stream().await;
    let refused = listen(&gateway, &json!({})).send().await.unwrap();
    assert_eq!(refused.status(), 503);
    drop(first);
    super::support::eventually("the place is free again", async || {
        listen(&gateway, &json!({})).send().await.unwrap().status() == 200
    })
    .await;
}
