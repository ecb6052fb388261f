//! From one revision to the next.

use std::collections::BTreeSet;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Service};
use kube::ResourceExt;
use kube::api::{ListParams, Patch, PatchParams};
use portico_cluster::{Level, wait_for, wanted};
use portico_crds::labels;
use serde_json::json;

use super::downloads::{downloaded, slow};
use super::{
    active, apply, condition, download_pod, end, on_volume, pods, revisions, said, selected, steered,
    until_ready, until_said, volume,
};
use crate::world::{SOON, World};

/// Waits until there is one revision alone, and answers it.
async fn one_left(world: &World) -> String {
    wait_for("one revision", SOON, async || {
        let all = revisions(world, "chat").await;
        if let [one] = all.as_slice() { Ok(Some(one.clone())) } else { Err(format!("{all:?}")) }
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn the_old_revision_serves_until_the_new_one_does_and_then_goes() {
    if !wanted(Level::Kwok) {
        return;
    }
    let mut world = World::start().await;
    volume(&world).await;
    apply(&world, "chat", on_volume("a.gguf")).await;
    let old = active(&until_ready(&world, "chat").await).unwrap();
    apply(&world, "chat", steered("b.gguf", "kwok.portico.dev/ready", "false")).await;
    let model = until_said(&world, "chat", "False Loading").await;
    assert_eq!(said(&model, "Available"), "True MinimumReplicasAvailable");
    assert_eq!(active(&model), Some(old.clone()));
    let target = model.status.unwrap().target.unwrap();
    assert_eq!(target.reason, "Loading");
    assert_eq!(selected(&world, "chat").await, old);
    // A new process finds in the objects alone where the switch stands.
    world.restart_operator().await;
    world.kubectl(&["delete", "service", "chat-model"]).await;
    wait_for("the Service", SOON, async || {
        let found = world.try_kubectl(&["get", "service", "chat-model"]).await;
        found.map(Some)
    })
    .await
    .unwrap();
    assert_eq!(selected(&world, "chat").await, old);
    apply(&world, "chat", on_volume("b.gguf")).await;
    let new = active(&until_ready(&world, "chat").await).unwrap();
    assert_ne!(new, old);
    assert_eq!(selected(&world, "chat").await, new);
    assert_eq!(one_left(&world).await, new);
}

#[tokio::test]
async fn a_revision_that_does_not_load_leaves_the_old_one_serving_and_an_edit_back_ends_it() {
    if !wanted(Level::Kwok) {
        return;
    }
    let world = World::start().await;
    volume(&world).await;
    apply(&world, "chat", on_volume("a.gguf")).await;
    let old = active(&until_ready(&world, "chat").await).unwrap();
    apply(&world, "chat", steered("broken.gguf", "kwok.portico.dev/ready", "false")).await;
    let model = until_said(&world, "chat", "False Loading").await;
    let target = model.status.unwrap().target.unwrap().revision;
    let new = pods(&world, "chat", true)
        .await
        .into_iter()
        .find(|pod| pod.metadata.labels.as_ref().unwrap()[portico_crds::labels::REVISION] == target);
    end(&world, &new.unwrap().metadata.name.unwrap(), ("Running", "engine"), 1, "model is corrupted").await;
    let model = until_said(&world, "chat", "False LoadFailed").await;
    assert!(condition(&model, "Ready").message.ends_with("model is corrupted"), "{model:?}");
    assert_eq!(said(&model, "ModelLoaded"), "False LoadFailed");
    assert_eq!(said(&model, "Available"), "True MinimumReplicasAvailable");
    assert_eq!((active(&model), selected(&world, "chat").await), (Some(old.clone()), old.clone()));
    let status = model.status.unwrap().target.unwrap();
    assert_eq!((status.revision, status.reason.as_str()), (target, "LoadFailed"));
    apply(&world, "chat", on_volume("a.gguf")).await;
    let model = until_ready(&world, "chat").await;
    assert_eq!((active(&model), one_left(&world).await), (Some(old.clone()), old));
}

#[tokio::test]
async fn another_source_is_downloaded_beside_the_one_that_serves() {
    if !wanted(Level::Kwok) {
        return;
    }
    let world = World::start().await;
    apply(&world, "chat", downloaded("one")).await;
    let old = active(&until_ready(&world, "chat").await).unwrap();
    apply(&world, "chat", slow("two", "127.77.0.4")).await;
    let model = until_said(&world, "chat", "False Downloading").await;
    assert_eq!(active(&model), Some(old.clone()));
    assert_eq!(revisions(&world, "chat").await, std::slice::from_ref(&old));
    // One that is being deleted stays for as long as a pod has it, and does not count.
    let volumes = async || {
        let all = world.api::<PersistentVolumeClaim>().list(&ListParams::default()).await.unwrap();
        all.iter().filter(|claim| claim.metadata.deletion_timestamp.is_none()).count()
    };
    assert_eq!(volumes().await, 2);
    let pod = download_pod(&world, "chat").await;
    end(&world, &pod, ("Succeeded", "fetch"), 0, "Downloaded").await;
    let new = active(&until_ready(&world, "chat").await).unwrap();
    assert_eq!(one_left(&world).await, new);
    wait_for("the end of the old volume", SOON, async || {
        Ok::<_, portico_cluster::Error>((volumes().await == 1).then_some(()))
    })
    .await
    .unwrap();
}

/// Whether the Service of `chat` selects pods by the label of those that serve.
async fn selects_the_label(world: &World) -> bool {
    let service: Service = world.api().get("chat-model").await.unwrap();
    service.spec.unwrap().selector.unwrap().contains_key(labels::SERVING)
}

async fn names(world: &World) -> BTreeSet<String> {
    pods(world, "chat", true).await.iter().map(ResourceExt::name_any).collect()
}

#[tokio::test]
async fn a_model_of_an_older_version_keeps_revision_and_pods_and_gets_the_label_when_it_restarts() {
    if !wanted(Level::Kwok) {
        return;
    }
    let world = World::empty().await;
    let first = world.operator("first", None).await;
    volume(&world).await;
    apply(&world, "chat", on_volume("a.gguf")).await;
    let revision = active(&until_ready(&world, "chat").await).unwrap();
    assert!(selects_the_label(&world).await);
    first.stop().await;
    // What an older version would have written.
    let (params, none) = (PatchParams::default(), json!({labels::SERVING: null}));
    let template = json!({"spec": {"template": {"metadata": {"labels": none}}}});
    let selector = Patch::Merge(json!({"spec": {"selector": none}}));
    world.api::<Service>().patch("chat-model", &params, &selector).await.unwrap();
    let name = format!("chat-model-{revision}");
    world.api::<Deployment>().patch(&name, &params, &Patch::Merge(template)).await.unwrap();
    let old = wait_for("one old pod", SOON, async || {
        let all = pods(&world, "chat", true).await;
        let is_old = |pod: &Pod| !pod.labels().contains_key(labels::SERVING);
        let one = matches!(all.as_slice(), [pod] if is_old(pod));
        if one { Ok(Some(names(&world).await)) } else { Err(format!("{:?}", names(&world).await)) }
    })
    .await
    .unwrap();
    let _second = world.operator("second", None).await;
    apply(&world, "other", on_volume("b.gguf")).await;
    until_ready(&world, "other").await;
    assert_eq!(active(&until_ready(&world, "chat").await), Some(revision.clone()));
    assert_eq!((names(&world).await, selects_the_label(&world).await), (old.clone(), false));
    world.kubectl(&["annotate", "inferencemodel/chat", "portico.dev/restarted-at=now"]).await;
    wait_for("the label", SOON, async || Ok::<_, String>(selects_the_label(&world).await.then_some(())))
        .await
        .unwrap();
    // An old pod on its way out is still there for a while.
    wait_for("other pods alone", SOON, async || {
        let now = names(&world).await;
        if !now.is_empty() && now.is_disjoint(&old) { Ok(Some(())) } else { Err(format!("{now:?}")) }
    })
    .await
    .unwrap();
    assert_eq!(selected(&world, "chat").await, revision, "another revision for a label");
}
