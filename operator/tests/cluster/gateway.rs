//! What the gateway writes into a status, beside the operator.

use kube::api::{Patch, PatchParams};
use portico_cluster::{Level, wanted};
use portico_crds::McpServer;
use serde_json::{Value, json};

use crate::world::{World, condition, image, is_ready};

/// Writes the gateway's part of the status of `a`.
async fn gateway_says(world: &World, status: &str, reason: &str, catalog: Value) {
    let generation = world.api::<McpServer>().get("a").await.unwrap().metadata.generation;
    let body = json!({
        "apiVersion": "portico.dev/v1alpha1", "kind": "McpServer",
        "status": { "catalog": catalog, "conditions": [{ "type": "Connected", "status": status, "reason": reason,
            "message": "so it is", "observedGeneration": generation, "lastTransitionTime": "2026-01-01T00:00:00Z" }] },
    });
    let params = PatchParams::apply("portico-gateway-status").force();
    world.api::<McpServer>().patch_status("a", &params, &Patch::Apply(body)).await.unwrap();
}

fn tools(server: &McpServer) -> Option<i32> {
    server.status.as_ref()?.catalog.as_ref()?.tools
}

#[tokio::test]
async fn what_the_gateway_writes_stays_and_a_failed_handshake_is_not_ready() {
    if !wanted(Level::Kwok) {
        return;
    }
    let world = World::start().await;
    world.apply("a", image("1", "0s")).await;
    world.until_ready("a").await;
    gateway_says(&world, "True", "SpeaksMcp", json!({ "tools": 3 })).await;
    world.apply("a", image("2", "0s")).await;
    let edited = world.until_ready("a").await;
    assert_eq!((condition(&edited, "Connected").reason.as_str(), tools(&edited)), ("SpeaksMcp", Some(3)));
    gateway_says(&world, "False", "HandshakeFailed", json!({ "tools": 3 })).await;
    let failed = world.until_reason("a", "HandshakeFailed").await;
    assert_eq!(condition(&failed, "Ready").message, "so it is");
    assert_eq!(
        (condition(&failed, "Connected").reason.as_str(), tools(&failed)),
        ("HandshakeFailed", Some(3))
    );
    gateway_says(&world, "True", "SpeaksMcp", json!({ "tools": 4 })).await;
    world.until("a", "Ready", is_ready).await;
    // Another number of tools is nothing to the operator.
    let mark = world.cluster.audit_mark().unwrap();
    gateway_says(&world, "True", "SpeaksMcp", json!({ "tools": 5 })).await;
    world.apply("b", image("1", "0s")).await;
    world.until_ready("b").await;
    let of_a = world.writes(mark, "operator").into_iter().filter(|event| event.name == "a");
    assert_eq!(of_a.count(), 0);
}
