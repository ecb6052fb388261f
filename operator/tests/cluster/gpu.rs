//! GPUs, by the real scheduler.

use portico_cluster::{Level, wanted};
use serde_json::{Value, json};

use crate::world::{World, condition, is_ready};

fn with_gpus(count: u32, product: &str) -> Value {
    json!({
        "source": {"image": {"name": "example:1"}},
        "replicas": 1,
        "gpu": {"count": count, "product": product},
    })
}

#[tokio::test]
async fn a_server_with_gpus_is_placed_on_the_node_with_that_product() {
    if !wanted(Level::Kwok) {
        return;
    }
    let world = World::start().await;
    world.apply("a", with_gpus(1, "NVIDIA-H100-80GB-HBM3")).await;
    let server = world.until_ready("a").await;
    assert_eq!(condition(&server, "Scheduled").status, "True");
    let nodes: Vec<_> =
        world.pods("a").await.into_iter().map(|pod| pod.spec.unwrap().node_name.unwrap()).collect();
    assert_eq!(nodes, ["gpu-h100"]);
}

#[tokio::test]
async fn a_server_that_no_node_can_take_says_so_in_the_schedulers_words_and_recovers_by_an_edit() {
    if !wanted(Level::Kwok) {
        return;
    }
    let world = World::start().await;
    world.apply("a", with_gpus(64, "NVIDIA-L4")).await;
    let server = world.until_reason("a", "Unschedulable").await;
    let scheduled = condition(&server, "Scheduled");
    assert_eq!((scheduled.status.as_str(), scheduled.reason.as_str()), ("False", "Unschedulable"));
    assert!(scheduled.message.contains("Insufficient nvidia.com/gpu"), "{}", scheduled.message);
    assert_eq!(condition(&server, "Ready").message, scheduled.message);
    assert!(!is_ready(&server));
    world.apply("a", with_gpus(1, "NVIDIA-L4")).await;
    let server = world.until_ready("a").await;
    assert_eq!(condition(&server, "Scheduled").status, "True");
}
