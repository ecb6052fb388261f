//! What an old cache must not lead to.

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::ResourceExt as _;
use portico_cluster::{Level, wait_for, wanted};
use portico_crds::McpServer;
use serde_json::json;

use super::client::Events;
use super::scenario::Act;
use super::trouble::Scene;
use crate::world::{SOON, is_observed};

#[tokio::test]
async fn what_somebody_makes_under_the_name_of_a_deleted_child_outlives_an_old_cache() {
    if !wanted(Level::Kwok) {
        return;
    }
    let scene = Scene::start().await;
    scene.create("solo").await;
    scene.plan.set_events(Events::Hold("/configmaps"));
    scene.world.delete::<ConfigMap>("solo-mcp-files").await;
    scene.world.put::<ConfigMap>("solo-mcp-files", json!({"data": {"whose": "not the operator's"}})).await;
    let made = scene.world.api::<ConfigMap>().get("solo-mcp-files").await.unwrap().uid();
    let Act::Apply(mut spec) = scene.scenario.steps[1].clone() else { unreachable!("it applies the spec") };
    spec["configFiles"] = json!([]);
    scene.run("solo").act(&Act::Apply(spec)).await;
    scene.world.until("solo", "the edit seen", is_observed).await;
    scene.plan.set_events(Events::Pass);
    scene.world.until_ready("solo").await;
    let found = scene.world.api::<ConfigMap>().get_opt("solo-mcp-files").await.unwrap();
    assert_eq!(found.and_then(|map| map.uid()), made);
}

#[tokio::test]
async fn a_status_lands_on_no_other_resource_of_the_same_name() {
    if !wanted(Level::Kwok) {
        return;
    }
    let scene = Scene::start().await;
    scene.create("solo").await;
    scene.plan.set_events(Events::Hold("/mcpservers"));
    scene.world.delete::<McpServer>("solo").await;
    let new = scene.world.apply("solo", json!({"source": {"image": {"name": "other:1"}}})).await;
    // A pass over the one that is gone: it finds a reference missing, and wants to say so.
    let mark = scene.world.cluster.audit_mark().unwrap();
    scene.world.delete::<Secret>("keys").await;
    wait_for("an answer to the status of the one that is gone", SOON, async || {
        let tried = scene.world.writes(mark, "operator");
        let status =
            tried.iter().any(|event| event.resource == "mcpservers" && event.subresource == "status");
        Ok::<_, portico_cluster::Error>(status.then_some(()))
    })
    .await
    .unwrap();
    let found = scene.world.api::<McpServer>().get("solo").await.unwrap();
    assert_eq!((found.uid(), found.status), (new.uid(), new.status));
    scene.plan.set_events(Events::Pass);
    scene.world.until_ready("solo").await;
}
