//! A newer operator restarts no server that has not changed.

use std::collections::BTreeSet;

use k8s_openapi::api::apps::v1::Deployment;
use kube::ResourceExt as _;
use portico_cluster::{Level, wait_for, wanted};
use portico_operator::mcp_server::validate::Settings;
use serde_json::{Value, json};

use crate::world::{SOON, World};

fn settings(image: &str) -> Settings {
    Settings { portico_image: image.to_owned(), ..Settings::default() }
}

fn builtin() -> Value {
    json!({"source": {"builtin": {"name": "files"}}, "replicas": 1})
}

fn stdio(argument: &str) -> Value {
    json!({"source": {"package": {"name": "npm:a", "version": "1.0.0", "args": [argument]}}, "replicas": 1})
}

async fn pods(world: &World) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for server in ["own", "bridged"] {
        all.extend(world.pods(server).await.iter().filter_map(kube::ResourceExt::uid));
    }
    all
}

/// Images of Portico's own that the pods of a server name.
async fn own_image(world: &World, server: &str) -> String {
    let found = world.api::<Deployment>().get_opt(&format!("{server}-mcp")).await.unwrap();
    let Some(pod) = found.and_then(|deployment| deployment.spec?.template.spec) else { return String::new() };
    let all = pod.init_containers.into_iter().flatten().chain(pod.containers);
    let own = all.filter_map(|container| container.image).find(|image| image.starts_with("portico:"));
    own.unwrap_or_default()
}

async fn until_image(world: &World, server: &str, image: &str) {
    wait_for(&format!("{server} on {image}"), SOON, async || {
        let found = own_image(world, server).await;
        if found == image { Ok(Some(())) } else { Err(found) }
    })
    .await
    .unwrap();
    world.until_ready(server).await;
}

#[tokio::test]
async fn a_newer_operator_restarts_nothing_and_moves_what_is_edited_or_asked_to_restart() {
    if !wanted(Level::Kwok) {
        return;
    }
    let world = World::empty().await;
    let old = world.operator_with("old", settings("portico:1")).await;
    world.apply("own", builtin()).await;
    world.apply("bridged", stdio("one")).await;
    until_image(&world, "own", "portico:1").await;
    until_image(&world, "bridged", "portico:1").await;
    let before = pods(&world).await;
    old.stop().await;
    let _new = world.operator_with("new", settings("portico:2")).await;
    // A third server shows that the newer operator has looked at everything.
    world.apply("third", builtin()).await;
    until_image(&world, "third", "portico:2").await;
    assert_eq!(pods(&world).await, before, "pods restarted by an upgrade");
    eprintln!("pods restarted by an upgrade: 0 of {}", before.len());
    world.apply("bridged", stdio("two")).await;
    until_image(&world, "bridged", "portico:2").await;
    world.kubectl(&["annotate", "mcpserver/own", "portico.dev/restarted-at=now"]).await;
    until_image(&world, "own", "portico:2").await;
    // An annotation that somebody has edited is not believed.
    let uid = world.deployment("own").await.uid();
    world.kubectl(&["annotate", "--overwrite", "deployment/own-mcp", "portico.dev/image=portico:evil"]).await;
    until_image(&world, "own", "portico:2").await;
    assert_eq!(world.deployment("own").await.uid(), uid);
}

#[tokio::test]
async fn a_spec_that_stops_naming_replicas_leaves_them_as_they_are_until_somebody_else_scales() {
    if !wanted(Level::Kwok) {
        return;
    }
    let world = World::start().await;
    let mut spec = builtin();
    spec["replicas"] = json!(3);
    world.apply("a", spec.clone()).await;
    world.until_ready("a").await;
    spec.as_object_mut().unwrap().remove("replicas");
    spec["scaling"] = json!({"min": 1, "max": 5});
    let replicas = async || world.deployment("a").await.spec.unwrap().replicas;
    world.apply("a", spec.clone()).await;
    world.until("a", "the spec without replicas seen", crate::world::is_ready).await;
    assert_eq!(replicas().await, Some(3), "fewer pods than before although nobody asked for it");
    world.kubectl(&["scale", "deployment/a-mcp", "--replicas=2"]).await;
    spec["timeouts"] = json!({"callSeconds": 7});
    world.apply("a", spec).await;
    world.until_ready("a").await;
    assert_eq!(replicas().await, Some(2), "the operator took the replicas back");
}
