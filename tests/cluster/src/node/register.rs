//! The node's own object and its heartbeat.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::api::core::v1::Node;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};

use super::NODE_NAME;
use super::status::{HOST_ADDRESS, now};
use crate::{Error, programs};

/// The controllers give a node up after 40 seconds without a heartbeat.
const HEARTBEAT: Duration = Duration::from_secs(10);
const LEASE_SECONDS: i32 = 40;
/// More than the machine has: limits are not applied, and tests are not to wait for each other's pods.
const CAPACITY: [(&str, &str); 5] = [
    ("cpu", "64"),
    ("memory", "256Gi"),
    ("ephemeral-storage", "256Gi"),
    ("pods", "500"),
    ("nvidia.com/gpu", "0"),
];

/// How much of a resource the node claims to have.
pub(super) fn capacity(resource: &str) -> Option<&'static str> {
    CAPACITY.iter().find(|(name, _)| *name == resource).map(|(_, amount)| *amount)
}

/// Creates the node and says that it is ready.
pub(super) async fn register(client: &Client) -> Result<(), Error> {
    let nodes: Api<Node> = Api::all(client.clone());
    let mut node = Node::default();
    node.metadata.name = Some(NODE_NAME.to_owned());
    let label = |name: &str, value: &str| (format!("kubernetes.io/{name}"), value.to_owned());
    let labels = [label("hostname", NODE_NAME), label("os", "linux"), label("arch", architecture())];
    node.metadata.labels = Some(labels.into());
    nodes.create(&PostParams::default(), &node).await?;
    nodes.patch_status(NODE_NAME, &PatchParams::default(), &Patch::Merge(status())).await?;
    leases(client).create(&PostParams::default(), &lease()).await?;
    Ok(())
}

/// Kubernetes' name for the machine's architecture.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn status() -> Value {
    let capacity: serde_json::Map<String, Value> =
        CAPACITY.iter().map(|(name, amount)| ((*name).to_owned(), json!(amount))).collect();
    let condition = |name: &str, status: &str, reason: &str| {
        json!({"type": name, "status": status, "reason": reason, "message": "",
            "lastHeartbeatTime": now(), "lastTransitionTime": now()})
    };
    json!({"status": {
        "capacity": capacity,
        "allocatable": capacity,
        "addresses": [{"type": "InternalIP", "address": HOST_ADDRESS}, {"type": "Hostname", "address": NODE_NAME}],
        "conditions": [
            condition("Ready", "True", "ProcessesCanRun"),
            condition("MemoryPressure", "False", "NotMeasured"),
            condition("DiskPressure", "False", "NotMeasured"),
            condition("PIDPressure", "False", "NotMeasured"),
        ],
        "nodeInfo": {
            "architecture": architecture(), "operatingSystem": "linux", "kubeletVersion": programs::KUBERNETES_VERSION,
            "kubeProxyVersion": "", "containerRuntimeVersion": "process://1", "osImage": "this machine",
            "kernelVersion": "", "machineID": "", "systemUUID": "", "bootID": "",
        },
    }})
}

fn leases(client: &Client) -> Api<Lease> {
    Api::namespaced(client.clone(), "kube-node-lease")
}

fn lease() -> Lease {
    let mut lease = Lease::default();
    lease.metadata.name = Some(NODE_NAME.to_owned());
    lease.spec = Some(LeaseSpec {
        holder_identity: Some(NODE_NAME.to_owned()),
        lease_duration_seconds: Some(LEASE_SECONDS),
        renew_time: Some(MicroTime(Timestamp::now())),
        ..LeaseSpec::default()
    });
    lease
}

/// Renews the lease for ever; a failed renewal is made good by the next.
pub(super) async fn beat(client: Client) {
    let leases = leases(&client);
    loop {
        tokio::time::sleep(HEARTBEAT).await;
        let spec = json!({"spec": lease().spec});
        leases.patch(NODE_NAME, &PatchParams::default(), &Patch::Merge(spec)).await.ok();
    }
}
