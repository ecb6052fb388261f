//! What the gateway writes into a status, beside the operator.

use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use kube::Resource;
use kube::api::{Patch, PatchParams};
use portico_cluster::{Level, wanted};
use portico_crds::{InferenceModel, McpServer};
use serde::de::DeserializeOwned;
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

/// Writes the gateway's part of the status about the number of pods, as of a resource that nobody uses.
async fn gateway_scaled<K>(world: &World, name: &str)
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
{
    let time = "2026-01-01T00:00:00Z";
    let body = json!({
        "apiVersion": K::api_version(&()), "kind": K::kind(&()),
        "status": {
            "conditions": [{"type": "ScalingActive", "status": "True", "reason": "ScaledByLoad", "message": "",
                "observedGeneration": 1, "lastTransitionTime": time}],
            "scaling": {"desired": 3, "idleSince": time, "startMilliseconds": 1500, "decision": "1 to 3: LoadRose",
                "history": [{"time": time, "from": 1, "to": 3, "reason": "LoadRose", "message": "9 calls in hand"}]},
        },
    });
    let params = PatchParams::apply("portico-gateway-status").force();
    world.api::<K>().patch_status(name, &params, &Patch::Apply(body)).await.unwrap();
}

#[tokio::test]
async fn what_the_gateway_decides_of_the_number_of_pods_is_shown_and_outlives_an_edit() {
    if !wanted(Level::Kwok) {
        return;
    }
    let world = World::start().await;
    let elsewhere = |url: &str| json!({"spec": {"engine": {"external": {"url": url, "model": "m"}}}});
    world.apply("a", image("1", "0s")).await;
    world.put::<InferenceModel>("m", elsewhere("https://one.example.com/v1")).await;
    world.until_ready("a").await;
    world.kubectl(&["wait", "--for=condition=Ready", "inferencemodel/m", "--timeout=120s"]).await;
    gateway_scaled::<McpServer>(&world, "a").await;
    gateway_scaled::<InferenceModel>(&world, "m").await;
    world.apply("a", image("2", "0s")).await;
    world.put::<InferenceModel>("m", elsewhere("https://two.example.com/v1")).await;
    world.until_ready("a").await;
    let seen = "--for=jsonpath={.status.url}=https://two.example.com/v1";
    world.kubectl(&["wait", seen, "inferencemodel/m", "--timeout=120s"]).await;
    for kind in ["mcpservers", "inferencemodels"] {
        let text = world.kubectl(&["get", kind]).await;
        eprint!("{text}");
        let (head, row) = text.split_once('\n').unwrap();
        let column = |name: &str| row[head.find(name).unwrap()..].split("  ").next().unwrap();
        assert_eq!(column("DECISION"), "1 to 3: LoadRose");
        assert!(column("IDLE").ends_with(|unit: char| "dy".contains(unit)), "{text}");
    }
    let status = world.api::<InferenceModel>().get("m").await.unwrap().status.unwrap();
    assert!(status.conditions.iter().any(|condition| condition.type_ == "ScalingActive"));
}
