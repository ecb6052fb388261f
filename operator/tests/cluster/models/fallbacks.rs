//! Models that answer in place of others.

use portico_cluster::{Level, wanted};
use serde_json::{Value, json};

use super::{apply, condition, on_volume, said, steered, until, until_ready, until_said, volume};
use crate::world::World;

fn backed(mut spec: Value, by: &str) -> Value {
    spec["fallbacks"] = json!([{"modelRef": by}]);
    spec
}

fn external() -> Value {
    json!({"engine": {"external": {"url": "https://api.example.com/v1", "model": "x"}}})
}

#[tokio::test]
async fn a_fallback_steps_in_for_a_model_that_cannot_serve_and_stands_back_when_it_can() {
    if !wanted(Level::Kwok) {
        return;
    }
    let world = World::start().await;
    volume(&world).await;
    let loading = steered("a.gguf", "kwok.portico.dev/ready", "false");
    apply(&world, "chat", backed(loading.clone(), "backup")).await;
    let model = until_said(&world, "chat", "False ReferenceNotFound").await;
    let message = condition(&model, "ResolvedRefs").message;
    assert!(
        message.starts_with("spec.fallbacks[0].modelRef: InferenceModel 'backup' does not exist"),
        "{message}"
    );
    apply(&world, "backup", loading).await;
    let unavailable = "False FallbackUnavailable";
    until(&world, "chat", unavailable, |model| said(model, "FallbackActive") == unavailable).await;
    apply(&world, "backup", external()).await;
    let in_use = "True FallbackInUse";
    until(&world, "chat", in_use, |model| said(model, "FallbackActive") == in_use).await;
    apply(&world, "chat", backed(on_volume("a.gguf"), "backup")).await;
    let model = until_ready(&world, "chat").await;
    assert_eq!(said(&model, "FallbackActive"), "False FallbackIdle");
}

#[tokio::test]
async fn fallbacks_that_lead_back_are_refused_at_every_model_of_the_chain_while_what_runs_runs_on() {
    if !wanted(Level::Kwok) {
        return;
    }
    let world = World::start().await;
    volume(&world).await;
    apply(&world, "c", external()).await;
    apply(&world, "b", backed(external(), "c")).await;
    apply(&world, "a", backed(on_volume("a.gguf"), "b")).await;
    until_ready(&world, "a").await;
    apply(&world, "c", backed(external(), "a")).await;
    for (name, chain) in [("a", "a -> b -> c -> a"), ("b", "b -> c -> a -> b"), ("c", "c -> a -> b -> c")] {
        let model = until_said(&world, name, "False FallbackLoop").await;
        assert!(
            condition(&model, "Ready").message.contains(chain),
            "{:?}",
            condition(&model, "Ready").message
        );
    }
    let model = until_said(&world, "a", "False FallbackLoop").await;
    assert_eq!(said(&model, "Available"), "True MinimumReplicasAvailable");
    apply(&world, "c", external()).await;
    for name in ["a", "b", "c"] {
        until_ready(&world, name).await;
    }
}
