//! `ShopConnector`: the servers it is made of.

use k8s_openapi::api::core::v1::Secret;
use kube::api::{ApiResource, DeleteParams, Patch, PatchParams};
use portico_cluster::{Level, wait_for, wanted};
use portico_crds::McpServer;
use serde_json::{Value, json};

use crate::composite::portico_kind;
use crate::world::{SOON, World};

pub fn shop() -> ApiResource {
    portico_kind("ShopConnector", "shopconnectors")
}

fn with_servers(servers: &[&str]) -> Value {
    let servers: Vec<Value> = servers.iter().map(|name| json!({"name": name})).collect();
    let museo = json!({"url": "http://museo:8000", "serviceAccount": {"secretRef": "museo"}});
    json!({"platform": {"museo": museo}, "servers": servers})
}

async fn secret(world: &World) {
    world.put::<Secret>("museo", json!({"stringData": {"api-key": "a", "api-secret": "b"}})).await;
}

async fn servers(world: &World) -> Vec<String> {
    let own = "app.kubernetes.io/component=shop";
    let text = world.kubectl(&["get", "mcpservers", "--selector", own, "--output", "name"]).await;
    text.lines().map(|line| line.rsplit('/').next().unwrap().to_owned()).collect()
}

async fn until_servers(world: &World, wanted: &[&str]) {
    wait_for("the servers", SOON, async || {
        let found = servers(world).await;
        if found == wanted { Ok(Some(())) } else { Err(format!("{found:?}")) }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_shop_becomes_its_servers_and_says_that_this_version_does_not_contain_them() {
    if !wanted(Level::Kwok) {
        return;
    }
    let world = World::start().await;
    world.apply_kind(&shop(), "a", &with_servers(&["Inventory", "Storefront"])).await;
    let missing = "spec.platform.museo.serviceAccount.apiKeyKey: Secret 'museo' does not exist";
    world.until_said(&shop(), "a", &[&format!("ResolvedRefs False ReferenceNotFound: {missing}")]).await;
    assert_eq!(servers(&world).await, Vec::<String>::new());
    secret(&world).await;
    let told = "Ready False ServersNotReady: McpServer 'a-storefront' is not ready: NotIncluded";
    let status = world.until_said(&shop(), "a", &["Synced True Written", told, "Stalled True"]).await;
    until_servers(&world, &["a-inventory", "a-storefront"]).await;
    assert_eq!((&status["platform"], &status["serversReady"]), (&json!("Museo"), &json!("0/2")));
    let first = &status["servers"][0];
    assert_eq!(first["name"], "Storefront");
    assert_eq!((&first["mcpServer"], &first["ready"]), (&json!("a-storefront"), &json!("False")));
    assert_eq!(first["reason"], "NotIncluded");
}

#[tokio::test]
async fn a_server_that_leaves_the_spec_goes_and_one_of_somebody_else_stays() {
    if !wanted(Level::Kwok) {
        return;
    }
    let world = World::start().await;
    secret(&world).await;
    world.apply("a-theirs", json!({"source": {"builtin": {"name": "files"}}})).await;
    world.apply_kind(&shop(), "a", &with_servers(&["Admin", "Intent", "Notifications"])).await;
    until_servers(&world, &["a-admin", "a-intent", "a-notifications"]).await;
    world.apply_kind(&shop(), "a", &with_servers(&["Admin", "Storefront"])).await;
    until_servers(&world, &["a-admin", "a-storefront"]).await;
    world.until_ready("a-theirs").await;
    // A bad edit leaves what is there alone.
    let mut bad = with_servers(&["Admin"]);
    bad["featureFlags"] = json!([{"name": "new_search", "state": "Enabled", "roles": ["nobody"]}]);
    world.apply_kind(&shop(), "a", &bad).await;
    let told = "Ready False InvalidSpec: spec.featureFlags[0].roles[0]: `spec.roles` has no role 'nobody'";
    world.until_said(&shop(), "a", &[told, "Synced Unknown", "Stalled True InvalidSpec"]).await;
    assert_eq!(servers(&world).await, ["a-admin", "a-storefront"]);
    world.dynamic(&shop()).delete("a", &DeleteParams::background()).await.unwrap();
    wait_for("the end of the servers", SOON * 2, async || {
        let found = servers(&world).await;
        if found.is_empty() { Ok(Some(())) } else { Err(format!("{found:?}")) }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_server_changed_or_deleted_by_hand_is_restored_long_before_the_operator_looks_by_itself() {
    if !wanted(Level::Kwok) {
        return;
    }
    let world = World::start().await;
    secret(&world).await;
    world.apply_kind(&shop(), "a", &with_servers(&["Storefront", "Admin"])).await;
    world.until_said(&shop(), "a", &["Synced True"]).await;
    let api = world.api::<McpServer>();
    let before = api.get("a-storefront").await.unwrap();
    let change =
        json!({"spec": {"env": null, "configFiles": null, "port": 9000}, "metadata": {"labels": null}});
    api.patch("a-storefront", &PatchParams::default(), &Patch::Merge(change)).await.unwrap();
    world.delete::<McpServer>("a-admin").await;
    wait_for("the healed servers", SOON, async || {
        let healed = api.get("a-storefront").await?;
        let whole = healed.spec == before.spec && healed.metadata.labels == before.metadata.labels;
        Ok::<_, kube::Error>((whole && api.get_opt("a-admin").await?.is_some()).then_some(()))
    })
    .await
    .unwrap();
}
