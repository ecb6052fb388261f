//! Level `Kwok`: the real scheduler places pods on simulated nodes, or says why it cannot.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ListParams, PostParams};
use kube::{Api, Client};
use portico_cluster::{Cluster, Error, Level, wait_for, wanted};
use serde_json::json;

use crate::SOON;

async fn deploy(client: &Client, namespace: &str, gpus: u32) {
    let deployment: Deployment = serde_json::from_value(json!({
        "metadata": {"name": "model"},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "model"}},
            "template": {
                "metadata": {"labels": {"app": "model"}},
                "spec": {
                    "nodeSelector": {"nvidia.com/gpu.product": "NVIDIA-L4"},
                    "containers": [{"name": "model", "image": "model:1",
                        "resources": {"limits": {"nvidia.com/gpu": gpus.to_string()}}}],
                },
            },
        },
    }))
    .unwrap();
    Api::namespaced(client.clone(), namespace).create(&PostParams::default(), &deployment).await.unwrap();
}

/// Waits until each of the two pods answers the question.
async fn two<T>(client: &Client, namespace: &str, what: &str, answer: impl Fn(&Pod) -> Option<T>) -> Vec<T> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    wait_for(what, SOON, async || {
        let list = pods.list(&ListParams::default()).await?;
        let answers: Vec<T> = list.items.iter().filter_map(&answer).collect();
        Ok::<_, Error>((answers.len() == 2).then_some(answers))
    })
    .await
    .unwrap()
}

fn condition<'a>(pod: &'a Pod, name: &str) -> Option<(&'a str, Option<&'a str>)> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let found = conditions.iter().find(|condition| condition.type_ == name)?;
    Some((&found.status, found.message.as_deref()))
}

#[tokio::test]
async fn pods_that_ask_for_gpus_become_ready_on_the_node_that_has_them() {
    if !wanted(Level::Kwok) {
        return;
    }
    let cluster = Cluster::shared(Level::Kwok).await.unwrap();
    let (client, namespace) = (cluster.client().unwrap(), cluster.namespace("gpu").await.unwrap());
    deploy(&client, namespace.name(), 2).await;
    let nodes = two(&client, namespace.name(), "two ready pods", |pod| {
        let ready = condition(pod, "Ready").is_some_and(|(status, _)| status == "True");
        ready.then(|| pod.spec.as_ref().unwrap().node_name.clone().unwrap())
    });
    assert_eq!(nodes.await, ["gpu-l4", "gpu-l4"]);
    namespace.delete().await.unwrap();
}

#[tokio::test]
async fn pods_that_ask_for_more_gpus_than_any_node_has_carry_the_schedulers_reason() {
    if !wanted(Level::Kwok) {
        return;
    }
    let cluster = Cluster::shared(Level::Kwok).await.unwrap();
    let (client, namespace) = (cluster.client().unwrap(), cluster.namespace("gpu").await.unwrap());
    deploy(&client, namespace.name(), 16).await;
    let reasons = two(&client, namespace.name(), "two verdicts of the scheduler", |pod| {
        condition(pod, "PodScheduled").and_then(|(_, message)| message.map(ToOwned::to_owned))
    });
    for reason in reasons.await {
        assert!(reason.contains("Insufficient nvidia.com/gpu"), "{reason}");
    }
}
