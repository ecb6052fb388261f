//! Secrets and `ConfigMaps` that a spec names.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::ResourceExt;
use portico_cluster::{Level, wait_for, wanted};
use serde_json::{Value, json};

use crate::world::{SOON, World, condition, kstatus};

fn spec() -> Value {
    json!({
        "source": {"image": {"name": "example:1"}},
        "replicas": 1,
        "env": [{"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "api"}}}],
        "envFrom": [{"configMapRef": "settings"}],
    })
}

async fn secret(world: &World, value: &str) {
    world.put::<Secret>("keys", json!({"stringData": {"api": value}})).await;
}

async fn settings(world: &World, value: &str) {
    world.put::<ConfigMap>("settings", json!({"data": {"LEVEL": value}})).await;
}

async fn names(world: &World) -> BTreeSet<String> {
    world.pods("a").await.iter().map(ResourceExt::name_any).collect()
}

/// Waits until the server is ready with other pods than `before`.
async fn rolled(world: &World, before: &BTreeSet<String>) -> BTreeSet<String> {
    wait_for("other pods", SOON, async || {
        let now = names(world).await;
        if now.len() == 1 && now.is_disjoint(before) { Ok(Some(now)) } else { Err(format!("{now:?}")) }
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn what_is_missing_is_named_with_its_field_and_awaited() {
    if !wanted(Level::Kwok) {
        return;
    }
    let world = World::start().await;
    world.apply("a", spec()).await;
    let server = world.until_reason("a", "ReferenceNotFound").await;
    let message = condition(&server, "ResolvedRefs").message;
    let expected = "spec.env[0].valueFrom.secretKeyRef: Secret 'keys' does not exist in this namespace";
    assert!(message.contains(expected), "{message}");
    assert!(message.contains("spec.envFrom[0].configMapRef: ConfigMap 'settings'"), "{message}");
    assert_eq!(kstatus(&server), "InProgress");
    assert_eq!(world.children().await, Vec::<String>::new());
    settings(&world, "info").await;
    world.put::<Secret>("keys", json!({"stringData": {"other": "x"}})).await;
    let no_key =
        |server: &_| condition(server, "ResolvedRefs").message.contains("Secret 'keys' has no key 'api'");
    world.until("a", "the missing key's name", no_key).await;
    secret(&world, "one").await;
    world.until_ready("a").await;
}

#[tokio::test]
async fn a_workload_runs_on_when_its_secret_goes_and_the_status_says_so() {
    if !wanted(Level::Kwok) {
        return;
    }
    let world = World::start().await;
    secret(&world, "one").await;
    settings(&world, "info").await;
    world.apply("a", spec()).await;
    world.until_ready("a").await;
    let before = (world.deployment("a").await.metadata.generation, names(&world).await);
    world.delete::<Secret>("keys").await;
    let server = world.until_reason("a", "ReferenceNotFound").await;
    assert_eq!(condition(&server, "Available").status, "True");
    assert_eq!((world.deployment("a").await.metadata.generation, names(&world).await), before);
    secret(&world, "one").await;
    world.until_ready("a").await;
    assert_eq!(names(&world).await, before.1, "the same Secret as before rolls nothing");
}

#[tokio::test]
async fn a_changed_secret_or_config_map_rolls_the_pods() {
    if !wanted(Level::Kwok) {
        return;
    }
    let world = World::start().await;
    secret(&world, "one").await;
    settings(&world, "info").await;
    world.apply("a", spec()).await;
    world.until_ready("a").await;
    let first = names(&world).await;
    secret(&world, "two").await;
    let second = rolled(&world, &first).await;
    settings(&world, "debug").await;
    rolled(&world, &second).await;
    world.until_ready("a").await;
}
