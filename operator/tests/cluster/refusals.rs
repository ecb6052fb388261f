//! A bad edit leaves the workload alone, and says what is wrong.

use k8s_openapi::api::apps::v1::Deployment;
use portico_cluster::{Level, wanted};
use serde_json::{Value, json};

use crate::world::{World, condition, image, kstatus};

/// What no edit below may change.
async fn workload(world: &World) -> (Option<i64>, Option<String>, usize) {
    let deployment: Deployment = world.deployment("a").await;
    (deployment.metadata.generation, deployment.metadata.uid, world.pods("a").await.len())
}

async fn refused(world: &World, spec: Value, reason: &str, words: &str) {
    let before = workload(world).await;
    world.apply("a", spec).await;
    let server = world.until_reason("a", reason).await;
    for kind in ["Ready", "Accepted", "Stalled"] {
        let message = condition(&server, kind).message;
        assert!(message.contains(words), "{kind}: {message}");
    }
    assert_eq!(kstatus(&server), "Failed");
    assert_eq!(condition(&server, "Available").status, "True");
    assert_eq!(workload(world).await, before);
}

#[tokio::test]
async fn a_bad_edit_leaves_the_workload_alone_and_a_good_one_mends_it() {
    if !wanted(Level::Kwok) {
        return;
    }
    let world = World::start().await;
    let good = image("1", "0s");
    world.apply("a", good.clone()).await;
    world.until_ready("a").await;
    let with = |field: &str, value: Value| {
        let mut spec = good.clone();
        spec[field] = value;
        spec
    };
    let template = |container: Value| json!({"spec": {"containers": [container]}});
    // What only a look at the types can tell.
    let wrong_type = with("podTemplate", template(json!({"name": "server", "env": "A=1"})));
    refused(&world, wrong_type, "InvalidSpec", "spec.podTemplate").await;
    // What only the API server can tell.
    let bad_value = with("podTemplate", template(json!({"name": "server", "imagePullPolicy": "Sometimes"})));
    refused(&world, bad_value, "RefusedByApiServer", "Sometimes").await;
    // What the operator itself would be broken by.
    let reserved = with("env", json!([{"name": "PORT", "value": "1"}]));
    refused(&world, reserved, "InvalidSpec", "spec.env[0].name: 'PORT' is set by the operator").await;
    world.apply("a", image("2", "0s")).await;
    let server = world.until_ready("a").await;
    assert_eq!(condition(&server, "Stalled").status, "False");
    // What the schema refuses never arrives.
    let error = world.try_apply("a", with("replicas", json!(-1))).await.unwrap_err().to_string();
    assert!(error.contains("spec.replicas"), "{error}");
}
