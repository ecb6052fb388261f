//! The operator beside one that scales: the gateway, an autoscaler, a person.

use std::collections::BTreeSet;

use futures::StreamExt as _;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::ResourceExt as _;
use kube::api::{ListParams, Patch, PatchParams, WatchEvent, WatchParams};
use portico_cluster::{Level, wait_for, wanted};
use portico_crds::labels;
use serde_json::{Value, json};

use crate::world::{SOON, World, condition, image, is_ready};

/// The slices of the Service of `a`.
const SLICES: &str = "kubernetes.io/service-name=a-mcp";

fn scaled(tag: &str, delay: &str) -> Value {
    let mut spec = image(tag, delay);
    spec.as_object_mut().unwrap().remove("replicas");
    spec["scaling"] = json!({"min": 0, "max": 5});
    spec
}

/// Sets the number of pods as the gateway does.
async fn scale(world: &World, replicas: i32) {
    let patch = Patch::Merge(json!({"spec": {"replicas": replicas}}));
    let params = PatchParams { field_manager: Some("portico-gateway".into()), ..PatchParams::default() };
    world.api::<Deployment>().patch_scale("a-mcp", &params, &patch).await.unwrap();
}

fn ready_in(slices: &[EndpointSlice]) -> BTreeSet<String> {
    let all = slices.iter().flat_map(|slice| slice.endpoints.iter().flatten());
    let ready = all.filter(|one| one.conditions.as_ref().and_then(|c| c.ready) != Some(false));
    ready.filter_map(|one| one.target_ref.as_ref()?.name.clone()).collect()
}

/// Names of the ready pods that the Service leads to.
async fn endpoints(world: &World) -> BTreeSet<String> {
    let own = ListParams::default().labels(SLICES);
    ready_in(&world.api::<EndpointSlice>().list(&own).await.unwrap().items)
}

async fn until_endpoints(world: &World, number: usize) -> BTreeSet<String> {
    wait_for(&format!("{number} endpoints"), SOON, async || {
        let found = endpoints(world).await;
        if found.len() == number { Ok(Some(found)) } else { Err(format!("{found:?}")) }
    })
    .await
    .unwrap()
}

async fn selects_the_label(world: &World) -> bool {
    let service: Service = world.api().get("a-mcp").await.unwrap();
    service.spec.unwrap().selector.unwrap().contains_key(labels::SERVING)
}

#[tokio::test]
async fn the_number_of_pods_and_the_marks_on_them_are_left_to_who_scales() {
    if !wanted(Level::Kwok) {
        return;
    }
    let world = World::start().await;
    world.apply("a", scaled("1", "0s")).await;
    world.until_ready("a").await;
    assert_eq!(world.deployment("a").await.spec.unwrap().replicas, Some(1), "pods at first");
    scale(&world, 3).await;
    let three = until_endpoints(&world, 3).await;
    let mark = world.cluster.audit_mark().unwrap();
    let going = three.first().unwrap();
    let change = json!({"metadata": {"labels": {labels::SERVING: labels::DRAINING},
        "annotations": {labels::DELETION_COST: "-100"}}});
    let params = PatchParams { field_manager: Some("portico-gateway".into()), ..PatchParams::default() };
    world.api::<Pod>().patch(going, &params, &Patch::Merge(change)).await.unwrap();
    let two = until_endpoints(&world, 2).await;
    assert!(!two.contains(going), "the Service still leads to the pod that is to go");
    // A second server shows that the operator has looked.
    world.apply("b", image("1", "0s")).await;
    world.until_ready("b").await;
    let of_a = |event: &portico_cluster::AuditEvent| event.name.starts_with("a-mcp");
    let written: Vec<_> = world.writes(mark, "operator").into_iter().filter(of_a).collect();
    assert!(written.is_empty(), "{written:?}");
    let pod: Pod = world.api().get(going).await.unwrap();
    assert_eq!(pod.labels()[labels::SERVING], labels::DRAINING);
    scale(&world, 2).await;
    wait_for("the pod that was marked is the one that went", SOON, async || {
        let left: BTreeSet<String> = world.pods("a").await.iter().map(kube::ResourceExt::name_any).collect();
        if left == two { Ok(Some(())) } else { Err(format!("{left:?} instead of {two:?}")) }
    })
    .await
    .unwrap();
    // An edit replaces the pods, and not their number.
    world.apply("a", scaled("2", "0s")).await;
    world.until_ready("a").await;
    assert_eq!(
        world.deployment("a").await.spec.unwrap().replicas,
        Some(2),
        "the operator took the replicas back"
    );
    eprintln!("pods after 1, 3 and 2 asked for: {}", until_endpoints(&world, 2).await.len());
}

#[tokio::test]
async fn no_pod_on_purpose_is_ready_and_available_is_not() {
    if !wanted(Level::Kwok) {
        return;
    }
    let world = World::start().await;
    world.apply("a", scaled("1", "0s")).await;
    world.until_ready("a").await;
    scale(&world, 0).await;
    let server = world.until_reason("a", "ScaledToZero").await;
    assert!(is_ready(&server));
    assert_eq!(condition(&server, "Available").status, "False");
    assert_eq!(server.status.unwrap().instances.as_deref(), Some("0/0"));
}

/// Makes the server's objects those of a version that did not know the label; answers the pods.
async fn age(world: &World) -> BTreeSet<String> {
    let template = json!({"spec": {"template": {"metadata": {"labels": {labels::SERVING: null}}}}});
    let params = PatchParams::default();
    world
        .api::<Service>()
        .patch("a-mcp", &params, &Patch::Merge(json!({"spec": {"selector": {labels::SERVING: null}}})))
        .await
        .unwrap();
    world.api::<Deployment>().patch("a-mcp", &params, &Patch::Merge(template)).await.unwrap();
    wait_for("old pods alone, and the Service leads to them", SOON, async || {
        let (pods, found) = (world.pods("a").await, endpoints(world).await);
        let old = |pod: &Pod| !pod.labels().contains_key(labels::SERVING);
        let names: BTreeSet<String> = pods.iter().map(kube::ResourceExt::name_any).collect();
        let done = pods.len() == 2 && pods.iter().all(old) && found == names;
        if done { Ok(Some(names)) } else { Err(format!("{names:?}, {found:?}")) }
    })
    .await
    .unwrap()
}

/// How many ready endpoints there were at each change, until none comes for `SOON` or the task is aborted.
fn counting(world: &World) -> tokio::task::JoinHandle<usize> {
    let (slices, least) = (world.api::<EndpointSlice>(), usize::MAX);
    tokio::spawn(async move {
        let mut least = least;
        let list = slices.list(&ListParams::default().labels(SLICES)).await.unwrap();
        let from = list.metadata.resource_version.unwrap();
        let mut changes =
            Box::pin(slices.watch(&WatchParams::default().labels(SLICES), &from).await.unwrap());
        while let Some(Ok(change)) = changes.next().await {
            match change {
                WatchEvent::Added(slice) | WatchEvent::Modified(slice) => {
                    // The mark of the end.
                    if slice.name_any() == "end" {
                        return least;
                    }
                    least = least.min(ready_in(&[slice]).len());
                }
                WatchEvent::Deleted(_) => least = 0,
                _ => {}
            }
        }
        0
    })
}

#[tokio::test]
async fn a_server_of_an_older_version_gets_the_label_with_its_next_change_and_always_has_endpoints() {
    if !wanted(Level::Kwok) {
        return;
    }
    let world = World::empty().await;
    let mut spec = image("1", "0s");
    spec["replicas"] = json!(2);
    let first = world.operator("first", None).await;
    world.apply("a", spec.clone()).await;
    world.until_ready("a").await;
    first.stop().await;
    let old = age(&world).await;
    let _second = world.operator("second", None).await;
    world.apply("b", image("1", "0s")).await;
    world.until_ready("b").await;
    spec["timeouts"] = json!({"callSeconds": 7});
    world.apply("a", spec.clone()).await;
    world.until_ready("a").await;
    let pods: BTreeSet<String> = world.pods("a").await.iter().map(kube::ResourceExt::name_any).collect();
    assert_eq!((&pods, selects_the_label(&world).await), (&old, false), "pods restarted for a label");
    let counting = counting(&world);
    spec["source"]["image"]["name"] = json!("example:2");
    world.apply("a", spec).await;
    world.until_ready("a").await;
    wait_for("the Service selects the label", SOON, async || {
        Ok::<_, String>(selects_the_label(&world).await.then_some(()))
    })
    .await
    .unwrap();
    wait_for("two endpoints, neither of them old", SOON, async || {
        let new = endpoints(&world).await;
        if new.len() == 2 && new.is_disjoint(&old) { Ok(Some(())) } else { Err(format!("{new:?}")) }
    })
    .await
    .unwrap();
    let end = json!({"metadata": {"labels": {"kubernetes.io/service-name": "a-mcp"}}, "addressType": "IPv4", "endpoints": []});
    world.put::<EndpointSlice>("end", end).await;
    let least = tokio::time::timeout(SOON, counting).await.unwrap().unwrap();
    assert!(least > 0, "the Service lost its last endpoint");
    eprintln!("least endpoints while a server got the label: {least}");
}
