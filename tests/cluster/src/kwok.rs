//! Simulated nodes: kwok keeps them ready and plays the pods' lives on them.
//!
//! A pod's annotations steer its play; see `kwok/stages.yaml` for their names.

use std::path::Path;
use std::time::Duration;

use k8s_openapi::api::core::v1::Node;
use k8s_openapi::api::storage::v1::StorageClass;
use kube::api::PostParams;
use kube::{Api, Client};
use serde_json::json;

use crate::child::Child;
use crate::control::{client_of, start_program};
use crate::pki::put;
use crate::{Error, identity, wait_for};

const STAGES: &str = include_str!("kwok/stages.yaml");
/// Nodes become ready within a second of kwok's start.
const READY: Duration = Duration::from_mins(1);
/// The nodes every cluster of this level has: name, GPUs, and what the driver's label calls them.
const NODES: [(&str, u32, &str); 4] = [
    ("gpu-h100", 4, "NVIDIA-H100-80GB-HBM3"),
    ("gpu-l4", 4, "NVIDIA-L4"),
    ("cpu-1", 0, ""),
    ("cpu-2", 0, ""),
];

/// Starts kwok, makes the nodes and a default storage class, and waits until pods can be placed.
pub(crate) async fn start(folder: &Path) -> Result<Child, Error> {
    put(&folder.join("stages.yaml"), STAGES)?;
    let child = start_program(folder, "kwok", &arguments(folder))?;
    let client = client_of(&identity::ADMIN.kubeconfig(folder)).await?;
    let nodes: Api<Node> = Api::all(client.clone());
    for (name, gpus, product) in NODES {
        nodes.create(&PostParams::default(), &fake_node(name, gpus, product)?).await?;
    }
    storage_class(client).await?;
    wait_for("the simulated nodes' readiness", READY, async || {
        child.check()?;
        let list = nodes.list(&kube::api::ListParams::default()).await?;
        Ok::<_, Error>(list.items.iter().all(takes_pods).then_some(()))
    })
    .await?;
    Ok(child)
}

fn arguments(folder: &Path) -> Vec<String> {
    vec![
        format!("--kubeconfig={}", identity::KWOK.kubeconfig(folder).display()),
        format!("--config={}", folder.join("stages.yaml").display()),
        "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake".to_owned(),
        "--cidr=10.250.0.0/16".to_owned(),
        "--node-ip=203.0.113.10".to_owned(),
        "--node-lease-duration-seconds=40".to_owned(),
    ]
}

/// A node for kwok to keep ready: 32 CPUs, 256 GiB, 110 pods, and `gpus` of `nvidia.com/gpu` labelled `product`.
/// It has no taints; a test that needs some adds them.
pub fn fake_node(name: &str, gpus: u32, product: &str) -> Result<Node, Error> {
    let mut labels = json!({
        "kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
    });
    let mut capacity = json!({"cpu": "32", "memory": "256Gi", "pods": "110", "ephemeral-storage": "1Ti"});
    if gpus > 0 {
        labels["nvidia.com/gpu.present"] = json!("true");
        labels["nvidia.com/gpu.product"] = json!(product);
        labels["nvidia.com/gpu.count"] = json!(gpus.to_string());
        capacity["nvidia.com/gpu"] = json!(gpus.to_string());
    }
    serde_json::from_value(json!({
        "metadata": {"name": name, "labels": labels, "annotations": {"kwok.x-k8s.io/node": "fake"}},
        "status": {"capacity": capacity, "allocatable": capacity},
    }))
    .map_err(|source| Error::Malformed { path: name.into(), source })
}

async fn storage_class(client: Client) -> Result<(), Error> {
    let mut class =
        StorageClass { provisioner: "kwok.x-k8s.io/volume".to_owned(), ..StorageClass::default() };
    class.metadata.name = Some("simulated".to_owned());
    let default = ("storageclass.kubernetes.io/is-default-class".to_owned(), "true".to_owned());
    class.metadata.annotations = Some([default].into());
    Api::all(client).create(&PostParams::default(), &class).await?;
    Ok(())
}

/// Whether a node is ready and the controllers have taken away the taint that it was born with.
pub(crate) fn takes_pods(node: &Node) -> bool {
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_ref());
    let ready = conditions.into_iter().flatten().any(|c| c.type_ == "Ready" && c.status == "True");
    let taints = node.spec.as_ref().and_then(|spec| spec.taints.as_ref());
    ready && !taints.into_iter().flatten().any(|taint| taint.key.starts_with("node.kubernetes.io/"))
}
