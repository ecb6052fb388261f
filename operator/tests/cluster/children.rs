//! Children are made, healed, pruned and deleted.

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{Patch, PatchParams};
use portico_cluster::{Error, Level, wait_for, wanted};
use portico_crds::McpServer;
use serde_json::{Value, json};

use crate::faults::Plan;
use crate::world::{SOON, World, condition, image};

/// All six children of a server `name`.
fn six(name: &str) -> Vec<String> {
    let mut all = five(name);
    all.insert(0, format!("configmap/{name}-mcp-files"));
    all
}

/// Those of a server without files.
fn five(name: &str) -> Vec<String> {
    [
        "deployment.apps",
        "networkpolicy.networking.k8s.io",
        "poddisruptionbudget.policy",
        "service",
        "serviceaccount",
    ]
    .map(|kind| format!("{kind}/{name}-mcp"))
    .to_vec()
}

fn with_files() -> Value {
    json!({
        "source": {"builtin": {"name": "files"}},
        "replicas": 1,
        "configFiles": [{"path": "/etc/greeting", "content": "hello"}],
    })
}

#[tokio::test]
async fn each_source_becomes_its_children_and_is_ready_under_restricted_pod_security() {
    if !wanted(Level::Kwok) {
        return;
    }
    let world = World::start().await;
    world.put::<Service>("there", json!({"spec": {"ports": [{"port": 80}]}})).await;
    let sources = [
        ("image", json!({"image": {"name": "example:1"}}), "RolledOut"),
        ("builtin", json!({"builtin": {"name": "files"}}), "RolledOut"),
        (
            "npm",
            json!({"package": {"name": "npm:@modelcontextprotocol/server-everything", "version": "1.0.0"}}),
            "RolledOut",
        ),
        ("pypi", json!({"package": {"name": "pypi:mcp-server-time", "version": "1.0.0"}}), "RolledOut"),
        ("remote", json!({"remote": {"url": "https://mcp.example.com/mcp"}}), "Registered"),
        ("service", json!({"service": {"name": "there", "port": 80}}), "Registered"),
    ];
    for (name, source, _) in &sources {
        world.apply(name, json!({"source": source})).await;
    }
    for (name, _, reason) in &sources {
        let server = world.until_ready(name).await;
        assert_eq!(condition(&server, "Ready").reason, *reason, "{name}");
        assert_eq!(condition(&server, "Stalled").status, "False", "{name}");
        assert_eq!(condition(&server, "Reconciling").status, "False", "{name}");
    }
    let mut expected: Vec<String> = ["image", "builtin", "npm", "pypi"].into_iter().flat_map(five).collect();
    expected.sort();
    assert_eq!(world.children().await, expected);
}

/// Deletes a child, or damages it; answers what to wait for.
async fn damage(world: &World) {
    world.delete::<Deployment>("a-mcp").await;
    world.delete::<ServiceAccount>("a-mcp").await;
    world.delete::<ConfigMap>("a-mcp-files").await;
    world.delete::<PodDisruptionBudget>("a-mcp").await;
    let change = json!({"spec": {"ports": [{"name": "mcp", "port": 8080, "targetPort": 1}]}});
    let by_hand = PatchParams::default();
    world.api::<Service>().patch("a-mcp", &by_hand, &Patch::Strategic(change)).await.unwrap();
    // Without its label the operator no longer watches it.
    let change =
        json!({"metadata": {"labels": {"app.kubernetes.io/managed-by": null}}, "spec": {"egress": null}});
    world.api::<NetworkPolicy>().patch("a-mcp", &by_hand, &Patch::Merge(change)).await.unwrap();
}

async fn is_whole(world: &World) -> Result<(), String> {
    let children = world.children().await;
    if children != six("a") {
        return Err(format!("{children:?}"));
    }
    let service: Service = world.api().get("a-mcp").await.map_err(|error| error.to_string())?;
    let policy: NetworkPolicy = world.api().get("a-mcp").await.map_err(|error| error.to_string())?;
    let target = service.spec.unwrap().ports.unwrap().remove(0).target_port;
    if target != Some(k8s_openapi::apimachinery::pkg::util::intstr::IntOrString::String("mcp".into())) {
        return Err(format!("the Service's port leads to {target:?}"));
    }
    if policy.spec.unwrap().egress.is_none() {
        return Err("the NetworkPolicy has no egress rule".to_owned());
    }
    Ok(())
}

#[tokio::test]
async fn children_deleted_or_damaged_by_hand_are_restored_long_before_the_operator_looks_by_itself() {
    if !wanted(Level::Kwok) {
        return;
    }
    let world = World::start().await;
    world.apply("a", with_files()).await;
    world.until_ready("a").await;
    is_whole(&world).await.unwrap();
    damage(&world).await;
    wait_for("the healed children", SOON, async || is_whole(&world).await.map(Some)).await.unwrap();
    world.until_ready("a").await;
}

#[tokio::test]
async fn a_server_that_moves_elsewhere_loses_its_children_and_one_without_files_its_config_map() {
    if !wanted(Level::Kwok) {
        return;
    }
    let world = World::start().await;
    world.apply("a", with_files()).await;
    world.until_ready("a").await;
    assert_eq!(world.children().await, six("a"));
    world.apply("a", json!({"source": {"builtin": {"name": "files"}}, "replicas": 1})).await;
    world.until_ready("a").await;
    assert_eq!(world.children().await, five("a"));
    world.apply("a", json!({"source": {"remote": {"url": "https://mcp.example.com/mcp"}}})).await;
    let server = world.until_ready("a").await;
    let status = server.status.unwrap();
    assert_eq!(status.url.as_deref(), Some("https://mcp.example.com/mcp"));
    assert_eq!((status.replicas, status.instances), (None, None));
    gone(&world, SOON).await;
}

#[tokio::test]
async fn a_deleted_server_leaves_nothing() {
    if !wanted(Level::Kwok) {
        return;
    }
    let world = World::start().await;
    world.apply("a", with_files()).await;
    world.until_ready("a").await;
    world.delete::<McpServer>("a").await;
    // The garbage collector looks for new kinds every 30 seconds, and this one may be seconds old.
    gone(&world, SOON * 2).await;
}

async fn gone(world: &World, deadline: Duration) {
    wait_for("the end of children and pods", deadline, async || {
        let (children, pods) = (world.children().await, world.pods("a").await.len());
        if children.is_empty() && pods == 0 {
            Ok(Some(()))
        } else {
            Err(format!("{children:?}, {pods} pods"))
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn whoever_scales_the_deployment_is_left_to_it_where_the_spec_names_no_replicas() {
    if !wanted(Level::Kwok) {
        return;
    }
    let world = World::start().await;
    world.apply("a", json!({"source": {"builtin": {"name": "files"}}})).await;
    world.until_ready("a").await;
    world.kubectl(&["scale", "deployment/a-mcp", "--replicas=3"]).await;
    let instances = |text: &'static str| {
        move |server: &McpServer| server.status.as_ref().unwrap().instances.as_deref() == Some(text)
    };
    world.until("a", "three instances", instances("3/3")).await;
    world.kubectl(&["scale", "deployment/a-mcp", "--replicas=0"]).await;
    world.until_reason("a", "ScaledToZero").await;
    // The next pass for another cause must not undo it.
    world.apply("a", json!({"source": {"builtin": {"name": "files"}}, "timeouts": {"callSeconds": 5}})).await;
    let server = world.until_reason("a", "ScaledToZero").await;
    assert_eq!(condition(&server, "Ready").status, "True");
    assert_eq!(world.deployment("a").await.spec.unwrap().replicas, Some(0));
    // With replicas in the spec, the scale subresource of the server itself is the way.
    world.apply("a", json!({"source": {"builtin": {"name": "files"}}, "replicas": 1})).await;
    world.kubectl(&["scale", "mcpserver/a", "--replicas=2"]).await;
    world.until("a", "two instances", instances("2/2")).await;
}

#[tokio::test]
async fn an_object_of_somebody_else_with_a_childs_name_is_left_alone_and_named() {
    if !wanted(Level::Kwok) {
        return;
    }
    let (world, plan) = (World::empty().await, Plan::default());
    let _operator = world.operator_through("operator", &plan).await;
    world.put::<Service>("a-mcp", json!({"spec": {"ports": [{"port": 7}]}})).await;
    world.apply("a", image("1", "0s")).await;
    let server = world.until_reason("a", "NameTaken").await;
    let message = condition(&server, "Ready").message;
    assert!(message.contains("Service 'a-mcp' exists and does not belong to this resource"), "{message}");
    let service: Service = world.api().get("a-mcp").await.unwrap();
    assert_eq!(service.spec.unwrap().ports.unwrap()[0].port, 7);
    // By then nothing that happened before wakes the operator any more: it must look again by itself.
    wait_for("the operator at rest", SOON, async || {
        Ok::<_, Error>(plan.is_quiet_for(Duration::from_secs(1)).then_some(()))
    })
    .await
    .unwrap();
    world.delete::<Service>("a-mcp").await;
    world.until_ready("a").await;
}

#[tokio::test]
async fn a_paused_server_is_left_as_it_is_until_it_is_resumed() {
    if !wanted(Level::Kwok) {
        return;
    }
    let world = World::start().await;
    world.apply("a", image("1", "0s")).await;
    world.until_ready("a").await;
    world.kubectl(&["annotate", "mcpserver/a", "portico.dev/paused=true"]).await;
    world.until_reason("a", "Paused").await;
    world.apply("a", image("2", "0s")).await;
    let server = world.until_reason("a", "Paused").await;
    assert_eq!(condition(&server, "Available").status, "True");
    let image_of =
        |deployment: Deployment| deployment.spec.unwrap().template.spec.unwrap().containers[0].image.clone();
    assert_eq!(image_of(world.deployment("a").await).as_deref(), Some("example:1"));
    world.kubectl(&["annotate", "mcpserver/a", "portico.dev/paused-"]).await;
    world.until_ready("a").await;
    wait_for("the new image", SOON, async || {
        Ok::<_, Error>((image_of(world.deployment("a").await).as_deref() == Some("example:2")).then_some(()))
    })
    .await
    .unwrap();
}
