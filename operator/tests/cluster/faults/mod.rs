//! What goes wrong between the operator and the API server, and that it ends the same.

mod caches;
mod client;
mod revision;
mod scenario;
mod snapshot;
mod sweep;
mod trouble;

pub use client::Plan;
pub use snapshot::{Leaves, difference, snapshot};

use kube::api::ApiResource;
use portico_cluster::{Level, wanted};
use portico_crds::{InferenceModel, McpServer};
use serde_json::{Value, json};

use scenario::{Act, Scenario};

/// A server that has every kind of child and names a Secret.
fn server(tag: &str, replicas: i32) -> Value {
    json!({
        "source": {"image": {"name": format!("example:{tag}")}},
        "replicas": replicas,
        "env": [{"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "api"}}}],
        "configFiles": [{"path": "/etc/greeting", "content": tag}],
        "podTemplate": {"metadata": {"annotations": {"kwok.portico.dev/ready-after": "0s"}}},
    })
}

fn mcp_server() -> Scenario {
    let steps = vec![
        Act::Secret("one"),
        Act::Apply(server("1", 1)),
        Act::Apply(server("2", 1)),
        Act::Apply(server("2", 2)),
        Act::Secret("two"),
        Act::Delete,
    ];
    Scenario { kind: ApiResource::erase::<McpServer>(&()), steps }
}

fn assert_same_end((runs, wrong): (usize, Vec<String>)) {
    assert!(wrong.is_empty(), "{} of {runs} runs ended otherwise:\n{}", wrong.len(), wrong.join("\n"));
}

/// Slow, and worth it: the one test in which every single write meets every fault.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_mcp_server_ends_the_same_whichever_write_fails_and_however() {
    if !wanted(Level::Kwok) {
        return;
    }
    assert_same_end(sweep::sweep(mcp_server()).await);
}

/// A model on a volume that is downloaded once; the second engine is another revision.
fn inference_model() -> Scenario {
    let model = |context: i32, replicas: i32| {
        json!({
            "source": {"url": {"url": "https://models.example.com/one.gguf", "sha256": "0".repeat(64)}},
            "engine": {"llamaCpp": {"contextLength": context}},
            "replicas": replicas,
            "env": [{"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "api"}}}],
            "cache": {"persistentVolumeClaim": {"size": "1Gi", "storageClassName": "simulated"}},
            "podTemplate": {"metadata": {"annotations": {"kwok.portico.dev/ready-after": "0s"}}},
        })
    };
    let steps = vec![
        Act::Secret("one"),
        Act::Apply(model(512, 1)),
        Act::Apply(model(1024, 1)),
        Act::Apply(model(1024, 2)),
        Act::Secret("two"),
        Act::Delete,
    ];
    Scenario { kind: ApiResource::erase::<InferenceModel>(&()), steps }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_inference_model_ends_the_same_whichever_write_fails_and_however() {
    if !wanted(Level::Kwok) {
        return;
    }
    assert_same_end(sweep::sweep(inference_model()).await);
}
