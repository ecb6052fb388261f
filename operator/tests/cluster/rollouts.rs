//! What an edit takes away, in which order it is carried out, and when it is called done.

use std::sync::{Arc, Mutex};

use futures::StreamExt as _;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Service};
use kube::runtime::{WatchStreamExt as _, watcher};
use portico_cluster::{Level, wait_for, wanted};
use portico_crds::McpServer;
use serde_json::{Value, json};

use crate::world::{SOON, World, condition, image, is_observed};

fn template(deployment: &Deployment) -> Value {
    json!(deployment.spec.as_ref().unwrap().template.spec)
}

#[tokio::test]
async fn what_is_taken_out_of_a_spec_goes_from_the_children_and_the_number_of_pods_stays() {
    if !wanted(Level::Kwok) {
        return;
    }
    let world = World::start().await;
    let mut spec = image("1", "0s");
    spec["replicas"] = json!(3);
    let least = {
        let mut least = spec.clone();
        least.as_object_mut().unwrap().remove("replicas");
        least["configFiles"] = json!([{"path": "/etc/a", "content": "a"}]);
        least
    };
    spec["env"] = json!([{"name": "GONE", "value": "1"}]);
    spec["volumes"] = json!([{"name": "gone", "mountPath": "/gone", "emptyDir": {}}]);
    spec["placement"] = json!({"nodeSelector": {"kubernetes.io/os": "linux"}});
    spec["configFiles"] = json!([{"path": "/etc/a", "content": "a"}, {"path": "/etc/b", "content": "b"}]);
    world.apply("a", spec).await;
    world.until_ready("a").await;
    world.apply("a", least).await;
    world.until_ready("a").await;
    let deployment = world.deployment("a").await;
    let pod = template(&deployment);
    assert!(!pod.to_string().contains("gone") && !pod.to_string().contains("GONE"), "{pod}");
    assert_eq!(pod["nodeSelector"], Value::Null);
    let files: ConfigMap = world.api().get("a-mcp-files").await.unwrap();
    assert_eq!(files.data.unwrap().len(), 1);
    assert_eq!(deployment.spec.unwrap().replicas, Some(3), "nobody asked for fewer pods");
}

/// A rolling update leaves its bounds behind, which the API server refuses beside `Recreate`; an older version made one for each
/// server that writes to a claim.
#[tokio::test]
async fn a_server_that_comes_to_be_the_only_one_to_write_to_its_claim_takes_turns_without_new_pods() {
    if !wanted(Level::Kwok) {
        return;
    }
    let world = World::start().await;
    let mut spec = image("1", "0s");
    spec["volumes"] = json!([{"name": "data", "mountPath": "/data", "claimRef": "data"}]);
    let claim =
        json!({"spec": {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}}});
    world.put::<PersistentVolumeClaim>("data", claim).await;
    let until = async |replicas: i32, strategy: &str| {
        let mut spec = spec.clone();
        spec["replicas"] = json!(replicas);
        world.apply("a", spec).await;
        wait_for(&format!("{strategy} of {replicas}"), SOON, async || {
            let found =
                world.api::<Deployment>().get_opt("a-mcp").await.map_err(|error| error.to_string())?;
            let Some(deployment) = found else { return Err("no Deployment".to_owned()) };
            let found = deployment.spec.as_ref().and_then(|spec| spec.strategy.clone()).unwrap_or_default();
            let right = found.type_.as_deref() == Some(strategy)
                && found.rolling_update.is_some() == (strategy == "RollingUpdate");
            if right { Ok(Some(deployment)) } else { Err(format!("{found:?}")) }
        })
        .await
        .unwrap()
    };
    let several = until(2, "RollingUpdate").await;
    let one = until(1, "Recreate").await;
    assert_eq!(json!(several.spec.unwrap().template), json!(one.spec.unwrap().template), "new pods");
    until(3, "RollingUpdate").await;
}

/// Everything that a status has said: whose generation, and whether that was ready.
fn record(world: &World) -> Arc<Mutex<Vec<McpServer>>> {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (all, to) = (watcher(world.api::<McpServer>(), watcher::Config::default()), Arc::clone(&seen));
    tokio::spawn(all.touched_objects().for_each(move |server| {
        to.lock().unwrap().extend(server.ok());
        std::future::ready(())
    }));
    seen
}

#[tokio::test]
async fn an_edit_is_never_called_ready_before_its_pods_serve() {
    if !wanted(Level::Kwok) {
        return;
    }
    let world = World::start().await;
    world.apply("a", image("1", "0s")).await;
    world.until_ready("a").await;
    let seen = record(&world);
    // From here on nothing is missed; its first list might else come after the rollout.
    world.until("a", "seen by the record", |_| !seen.lock().unwrap().is_empty()).await;
    let generation = world.apply("a", image("2", "1s")).await.metadata.generation;
    let ready = world.until_reason("a", "RolledOut").await;
    world.until("a", "seen by the record", |_| seen.lock().unwrap().contains(&ready)).await;
    let seen = seen.lock().unwrap();
    let mut of_edit =
        seen.iter().filter(|server| server.metadata.generation == generation && is_observed(server));
    let first = condition(of_edit.next().unwrap(), "Ready");
    assert_eq!((first.status.as_str(), first.reason.as_str()), ("False", "RollingOut"));
}

#[tokio::test]
async fn what_pods_need_is_there_before_them() {
    if !wanted(Level::Kwok) {
        return;
    }
    let world = World::start().await;
    let mark = world.cluster.audit_mark().unwrap();
    let mut spec = image("1", "0s");
    spec["configFiles"] = json!([{"path": "/etc/a", "content": "a"}]);
    world.apply("a", spec).await;
    world.until_ready("a").await;
    let writes = world.writes(mark, "operator");
    let made: Vec<&str> =
        writes.iter().filter(|event| event.code == 201).map(|event| event.resource.as_str()).collect();
    assert_eq!(made.first(), Some(&"networkpolicies"), "{made:?}");
    assert_eq!((made.last(), made.len()), (Some(&"deployments"), 6), "{made:?}");
}

#[tokio::test]
async fn a_server_that_has_no_children_takes_away_nobody_elses() {
    if !wanted(Level::Kwok) {
        return;
    }
    let world = World::start().await;
    // Such as one that was left when its owner was deleted with orphans.
    let labels =
        json!({"app.kubernetes.io/managed-by": "portico-operator", "app.kubernetes.io/component": "server"});
    let service = json!({"metadata": {"labels": labels}, "spec": {"ports": [{"port": 7}]}});
    world.put::<Service>("a-mcp", service).await;
    world.apply("a", json!({"source": {"remote": {"url": "https://mcp.example.com/mcp"}}})).await;
    world.until_ready("a").await;
    let service: Service = world.api().get("a-mcp").await.unwrap();
    assert_eq!(service.metadata.deletion_timestamp, None);
}
