//! What goes wrong between the operator and the API server, and that it ends the same.

mod client;
mod scenario;
mod snapshot;
mod sweep;
mod trouble;

pub use client::Plan;
pub use scenario::{Run, Scenario};
pub use snapshot::{CHILDREN, Leaves, difference, resource, snapshot};

use kube::api::ApiResource;
use portico_cluster::{Level, wanted};
use portico_crds::McpServer;
use serde_json::{Value, json};

use scenario::Act;

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
