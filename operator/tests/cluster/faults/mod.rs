//! What goes wrong between the operator and the API server, and that it ends the same.

mod caches;
mod client;
mod revision;
mod scenario;
mod snapshot;
mod sweep;
mod trouble;

pub use client::{Plan, Used};
pub use scenario::{Act, Run, Scenario};
pub use snapshot::{CHILDREN, Leaves, difference, resource, snapshot};

use kube::api::ApiResource;
use portico_cluster::{Level, wanted};
use portico_crds::{InferenceModel, KrogerIntegration, McpServer, ShopConnector};
use serde_json::{Value, json};

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

pub fn mcp_server() -> Scenario {
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

/// Without a volume and without pods: what becomes of those is a matter of the server's own sweep.
fn integration(level: &str) -> Value {
    json!({
        "credentials": {"secretRef": "keys", "clientIdKey": "api", "clientSecretKey": "api"},
        "storage": {"postgresql": {"secretRef": "keys", "key": "api"}},
        "logLevel": level,
        "server": {"replicas": 0},
    })
}

/// Its deletion is the garbage collector's work, and has a test of its own.
pub fn kroger_integration() -> Scenario {
    let steps = vec![
        Act::Secret("one"),
        Act::Apply(integration("Info")),
        Act::Apply(integration("Debug")),
        Act::Annotate("portico.dev/rotate-keys", "one"),
        Act::Secret("two"),
    ];
    Scenario { kind: ApiResource::erase::<KrogerIntegration>(&()), steps }
}

/// Above all: no fault makes a second key, or loses one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kroger_integration_ends_the_same_whichever_write_fails_and_however() {
    if !wanted(Level::Kwok) {
        return;
    }
    assert_same_end(sweep::sweep(kroger_integration()).await);
}

fn shop(servers: &[&str]) -> Value {
    let servers: Vec<Value> = servers.iter().map(|name| json!({"name": name, "replicas": 1})).collect();
    let account = json!({"secretRef": "keys", "apiKeyKey": "api", "apiSecretKey": "api"});
    json!({"platform": {"museo": {"url": "http://museo", "serviceAccount": account}}, "servers": servers})
}

pub fn shop_connector() -> Scenario {
    let steps = vec![
        Act::Secret("one"),
        Act::Apply(shop(&["Storefront"])),
        Act::Apply(shop(&["Storefront", "Admin"])),
        Act::Apply(shop(&["Admin"])),
        Act::Delete,
    ];
    Scenario { kind: ApiResource::erase::<ShopConnector>(&()), steps }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shop_connector_ends_the_same_whichever_write_fails_and_however() {
    if !wanted(Level::Kwok) {
        return;
    }
    assert_same_end(sweep::sweep(shop_connector()).await);
}

/// A model on a volume that is downloaded once; the second engine is another revision.
pub fn inference_model() -> Scenario {
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
