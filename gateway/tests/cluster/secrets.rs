//! Secrets of the cluster as credentials of the gateway.

use std::sync::{Arc, Mutex};

use futures::FutureExt as _;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use portico_cluster::{Level, wanted};
use serde_json::{Value, json};

use crate::raw_server::{RawServer, Seen, json_response};
use crate::world::{World, condition};

fn secret(value: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "key"}, "stringData": {"token": value}})
}

#[tokio::test]
async fn a_secret_is_read_by_its_name_a_missing_one_is_told_and_a_changed_one_is_taken() {
    if !wanted(Level::Api) {
        return;
    }
    let good = Arc::new(Mutex::new("Bearer one"));
    let taken = Arc::clone(&good);
    let raw = RawServer::legacy("[]", move |seen: Seen| {
        let good = *taken.lock().unwrap();
        let fits = seen.headers.get("authorization").is_some_and(|value| value == good);
        let refusal = (!fits).then(|| json_response(401, ""));
        async move { refusal }.boxed()
    })
    .await;
    let world = World::start().await;
    let auth = json!({"header": {"prefix": "Bearer ", "secretKeyRef": {"name": "key", "key": "token"}}});
    let spec = json!({"source": {"remote": {"url": raw.url()}}, "upstreamAuth": auth});
    world.apply("raw", json!({}), spec).await;
    let gateway = world.gateway("one").await;
    let missing = world.until_said("raw", "Connected", "False NotAuthorized").await;
    let expected = "spec.upstreamAuth.header.secretKeyRef: Secret 'key' does not exist in this namespace";
    let message = condition(&missing, "Connected").unwrap().message;
    assert!(message.contains(expected), "{message}");
    let secrets: Api<Secret> = world.api();
    let first: Secret = serde_json::from_value(secret("one")).unwrap();
    secrets.create(&PostParams::default(), &first).await.unwrap();
    world.until_said("raw", "Connected", "True SpeaksMcp").await;
    *good.lock().unwrap() = "Bearer two";
    let params = PatchParams::apply("person").force();
    secrets.patch("key", &params, &Patch::Apply(secret("two"))).await.unwrap();
    world
        .until("raw", "spoken to with the new secret", |server| {
            let shown =
                raw.seen("tools/list").last().cloned().map(|seen| seen.headers["authorization"].clone());
            shown.is_some_and(|shown| shown == "Bearer two")
                && crate::world::said(server, "Connected") == "True SpeaksMcp"
        })
        .await;
    gateway.stop().await;
}
