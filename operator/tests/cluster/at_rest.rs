//! At rest the operator writes nothing, and a new one changes nothing. First by name, for it takes longest and tests
//! begin in this order.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use portico_cluster::{Level, wait_for, wanted};
use serde_json::json;

use crate::kroger::kroger;
use crate::shop::shop;
use crate::world::{SOON, World, image};

/// Shorter than any period in the operator would not prove much: leases, resyncs and retries are counted in
/// seconds, the longest of those that must not write in tens of seconds. So this test takes a minute.
const REST: Duration = Duration::from_mins(1);
/// With no write for so long everything has settled.
const SETTLED: Duration = Duration::from_secs(2);

/// Kinds of which a resource has children, or children's children.
const OTHERS: &str = "replicasets,pods,mcpservers,secrets,persistentvolumeclaims";

/// An integration and a shop, which are made of servers.
async fn composites(world: &World) {
    world
        .put::<Secret>(
            "kroger",
            json!({"stringData": {"client-id": "a", "client-secret": "b", "url": "postgres://c"}}),
        )
        .await;
    let storage = json!({"postgresql": {"secretRef": "kroger"}});
    let spec = json!({"credentials": {"secretRef": "kroger"}, "storage": storage, "server": {"replicas": 1}});
    world.apply_kind(&kroger(), "groceries", &spec).await;
    let account = json!({"secretRef": "kroger", "apiKeyKey": "client-id", "apiSecretKey": "client-secret"});
    let platform = json!({"museo": {"url": "http://museo", "serviceAccount": account}});
    world.apply_kind(&shop(), "shop", &json!({"platform": platform, "servers": [{"name": "Admin"}]})).await;
    world.until_said(&kroger(), "groceries", &["Ready True"]).await;
    world.until_said(&shop(), "shop", &["Stalled True ServersNotReady"]).await;
}

async fn settle(world: &World) {
    wait_for("two seconds without a write", SOON, async || {
        let mark = world.cluster.audit_mark()?;
        tokio::time::sleep(SETTLED).await;
        Ok::<_, portico_cluster::Error>(world.writes(mark, "operator").is_empty().then_some(()))
    })
    .await
    .unwrap();
}

/// Child to uid and resource version: nobody has touched one that keeps both.
async fn versions(world: &World) -> BTreeMap<String, String> {
    let path = "jsonpath={range .items[*]}{.kind}/{.metadata.name} {.metadata.uid}/{.metadata.resourceVersion}{\"\\n\"}{end}";
    let own = ["--selector", "app.kubernetes.io/managed-by=portico-operator", "--output", path];
    let text =
        world.kubectl(&[&["get", &format!("{},{OTHERS}", crate::world::KINDS)], &own[..]].concat()).await;
    text.lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(name, version)| (name.into(), version.into()))
        .collect()
}

#[tokio::test]
async fn at_rest_nothing_is_written_for_a_minute_and_a_new_operator_touches_no_child() {
    if !wanted(Level::Kwok) {
        return;
    }
    let mut world = World::start().await;
    world.put::<Secret>("keys", json!({"stringData": {"api": "one"}})).await;
    world.apply("image", image("1", "0s")).await;
    let key = json!([{"secretRef": "keys"}]);
    world.apply("builtin", json!({"source": {"builtin": {"name": "files"}}, "envFrom": key})).await;
    world.apply("remote", json!({"source": {"remote": {"url": "https://mcp.example.com/mcp"}}})).await;
    world
        .apply(
            "broken",
            json!({"source": {"builtin": {"name": "kroger"}}, "envFrom": [{"secretRef": "none"}]}),
        )
        .await;
    crate::models::at_rest(&world).await;
    for name in ["image", "builtin", "remote"] {
        world.until_ready(name).await;
    }
    world.until_reason("broken", "ReferenceNotFound").await;
    composites(&world).await;
    settle(&world).await;
    let mark = world.cluster.audit_mark().unwrap();
    tokio::time::sleep(REST).await;
    assert_eq!(world.writes(mark, "operator"), []);
    let before = versions(&world).await;
    assert!(before.len() > 10, "{before:?}");
    world.restart_operator().await;
    let marked = world.api::<portico_crds::McpServer>().get("image").await.unwrap().resource_version();
    // An edit shows that the new operator has looked at everything and is at work.
    world.apply("last", image("1", "0s")).await;
    world.until_ready("last").await;
    settle(&world).await;
    let others: Vec<_> =
        world.writes(mark, "operator").into_iter().filter(|event| !event.name.starts_with("last")).collect();
    assert_eq!(others, [], "a new operator that finds everything as it should be writes nothing");
    let mut after = versions(&world).await;
    after.retain(|name, _| !name.contains("/last"));
    assert_eq!(after, before);
    assert_eq!(world.api::<portico_crds::McpServer>().get("image").await.unwrap().resource_version(), marked);
}
