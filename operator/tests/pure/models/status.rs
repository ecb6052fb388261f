//! The status that follows from what a pass has found.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::Timestamp;
use portico_crds::InferenceModelStatus;
use portico_crds::reason::Reason;
use portico_operator::inference_model::artifact::Artifact;
use portico_operator::inference_model::progress::Progress;
use portico_operator::inference_model::status::{Applied, Seen, status};
use portico_operator::kind::{Outcome, Refusal};
use proptest::prelude::*;
use rstest::rstest;
use serde_json::{Value, json};

use super::{from_url, model, validate};

fn spec() -> Value {
    json!({"source": {"claim": {"name": "models", "path": "a.gguf"}}, "engine": {"llamaCpp": {}}})
}

/// A Deployment of a revision that wants `wanted` pods: so many exist, are updated, are available.
fn deployment(revision: &str, wanted: i32, [exist, updated, available]: [i32; 3]) -> Deployment {
    serde_json::from_value(json!({
        "metadata": {"generation": 2, "labels": {"portico.dev/revision": revision},
            "annotations": {"portico.dev/model-source": format!("claim:{revision}")}},
        "spec": {"replicas": wanted, "selector": {}, "template": {}},
        "status": {"observedGeneration": 2, "replicas": exist, "readyReplicas": available,
            "updatedReplicas": updated, "availableReplicas": available},
    }))
    .unwrap()
}

fn pod(revision: &str, state: &Value, last: &Value) -> Pod {
    serde_json::from_value(json!({
        "metadata": {"name": "chat-1", "labels": {"portico.dev/revision": revision}},
        "status": {"containerStatuses": [{"name": "engine", "image": "", "imageID": "", "ready": false,
            "restartCount": 1, "state": state, "lastState": last}]},
    }))
    .unwrap()
}

fn crashed(revision: &str) -> Pod {
    let last = json!({"terminated": {"exitCode": 1, "reason": "Error", "message": "model is corrupted\n"}});
    pod(revision, &json!({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}}), &last)
}

fn starting(revision: &str) -> Pod {
    pod(revision, &json!({"running": {}}), &json!({}))
}

fn unschedulable(revision: &str) -> Pod {
    let mut pod = starting(revision);
    let conditions = json!([{"type": "PodScheduled", "status": "False", "message": "0/1 nodes: no GPU"}]);
    pod.status = serde_json::from_value(json!({"conditions": conditions})).unwrap();
    pod
}

/// The target is revision `new`; the Service selects `serving`.
fn applied(serving: &str, target: Option<Deployment>, artifact: Artifact, pods: &[Pod]) -> Applied {
    Applied {
        model: validate(&spec()).unwrap(),
        revision: "new".into(),
        serving: serving.into(),
        target: target.map(Arc::new),
        artifact,
        pods: pods.to_vec(),
    }
}

fn awaited(reason: Reason, progress: Option<Progress>, given_up: bool) -> Artifact {
    Artifact::Awaited { reason, message: "in its words".into(), progress, given_up }
}

fn now() -> Timestamp {
    Timestamp::from_second(1_000_000).unwrap()
}

fn seen(active: Option<Deployment>) -> Seen {
    Seen { active: active.map(Arc::new), standby: Vec::new() }
}

fn after(active: Option<Deployment>, applied: &Applied) -> InferenceModelStatus {
    status(&model(&spec()), &seen(active), &Outcome::Applied(applied), now())
}

/// A condition as `status reason: message`.
fn said(status: &InferenceModelStatus, kind: &str) -> String {
    let found = status.conditions.iter().find(|condition| condition.type_ == kind).unwrap();
    format!("{} {}: {}", found.status, found.reason, found.message)
}

#[test]
fn a_model_that_serves_is_ready_loaded_and_active() {
    let serving = deployment("new", 1, [1, 1, 1]);
    let status = after(Some(serving.clone()), &applied("new", Some(serving), Artifact::Mounted, &[]));
    assert_eq!(said(&status, "Ready"), "True RolledOut: 1 of 1 pods serve");
    assert_eq!(said(&status, "ModelLoaded"), "True Loaded: The engine has loaded the model and answers");
    assert_eq!(said(&status, "ArtifactReady"), "True ArtifactMounted: The model is mounted as it is");
    assert_eq!(said(&status, "FallbackActive"), "False NotApplicable: ");
    let active = status.active.unwrap();
    assert_eq!((active.revision.as_str(), active.source.as_str()), ("new", "claim:new"));
    assert_eq!(active.url, "http://chat-model.store.svc:8080/v1");
    assert_eq!((status.target, status.engine.as_deref()), (None, Some("LlamaCpp")));
    assert_eq!(status.instances.as_deref(), Some("1/1"));
}

#[test]
fn a_first_download_tells_its_percent_in_steps_of_five() {
    let progress = Progress { total: Some(1000), percent: Some(48) };
    let status = after(None, &applied("new", None, awaited(Reason::Downloading, Some(progress), false), &[]));
    assert_eq!(said(&status, "Ready"), "False Downloading: in its words");
    assert_eq!(said(&status, "Reconciling"), "True Downloading: in its words");
    assert_eq!(said(&status, "ModelLoaded"), "False Downloading: in its words");
    let download = status.download.unwrap();
    assert_eq!((download.percent, download.total_bytes), (45, Some(1000)));
    assert_eq!(status.target.unwrap().reason, "Downloading");
    assert_eq!(status.active, None);
}

#[test]
fn a_download_that_was_given_up_stalls() {
    let status = after(None, &applied("new", None, awaited(Reason::ChecksumMismatch, None, true), &[]));
    assert_eq!(said(&status, "Stalled"), "True ChecksumMismatch: in its words");
    assert!(said(&status, "Reconciling").starts_with("False"));
    assert_eq!(status.download, None);
}

#[rstest]
#[case::loading(starting("new"), "False Loading: 1 of 1 pods are updated, 0 serve", "Loading")]
#[case::failed(
    crashed("new"),
    "False LoadFailed: Pod chat-1: the engine ended with exit code 1 (Error) before it answered: model is corrupted",
    "LoadFailed"
)]
#[case::unplaced(unschedulable("new"), "False Unschedulable: 0/1 nodes: no GPU", "Unschedulable")]
#[case::an_old_pod_in_trouble(crashed("old"), "False Loading: 1 of 1 pods are updated, 0 serve", "Loading")]
fn a_switch_that_is_not_done_leaves_the_old_revision_active(
    #[case] pod: Pod,
    #[case] ready: &str,
    #[case] reason: &str,
) {
    let old = deployment("old", 1, [1, 1, 1]);
    let target = deployment("new", 1, [1, 1, 0]);
    let status = after(Some(old), &applied("old", Some(target), Artifact::Mounted, &[pod]));
    assert_eq!(said(&status, "Ready"), ready);
    assert!(said(&status, "Available").starts_with("True MinimumReplicasAvailable"));
    assert_eq!(status.active.unwrap().revision, "old");
    let target = status.target.unwrap();
    assert_eq!((target.revision.as_str(), target.reason.as_str()), ("new", reason));
}

#[test]
fn a_loaded_revision_that_the_service_does_not_select_yet_is_switching() {
    let (old, new) = (deployment("old", 1, [1, 1, 1]), deployment("new", 1, [1, 1, 1]));
    let status = after(Some(old), &applied("old", Some(new), Artifact::Mounted, &[]));
    assert!(said(&status, "Ready").starts_with("False Switching"), "{}", said(&status, "Ready"));
    assert_eq!(status.target.unwrap().reason, "Switching");
}

#[test]
fn a_model_at_zero_is_ready_but_not_loaded() {
    let idle = deployment("new", 0, [0, 0, 0]);
    let status = after(Some(idle.clone()), &applied("new", Some(idle), Artifact::Mounted, &[]));
    assert_eq!(said(&status, "Ready"), "True ScaledToZero: No pod is wanted");
    assert_eq!(said(&status, "ModelLoaded"), "False ScaledToZero: No pod is wanted");
    assert_eq!(status.active.unwrap().revision, "new");
}

#[test]
fn a_refused_spec_leaves_the_active_revision_and_says_so() {
    let old = deployment("old", 1, [1, 1, 1]);
    let refusal = Refusal::Loop("spec.fallbacks: chat -> small -> chat".into());
    let status = status(&model(&spec()), &seen(Some(old)), &Outcome::Refused(&refusal), now());
    assert_eq!(said(&status, "Ready"), "False FallbackLoop: spec.fallbacks: chat -> small -> chat");
    assert!(said(&status, "Stalled").starts_with("True FallbackLoop"));
    assert!(said(&status, "Available").starts_with("True"));
    assert!(said(&status, "ModelLoaded").starts_with("Unknown NotApplied"));
    assert_eq!(status.active.unwrap().revision, "old");
}

#[test]
fn a_model_elsewhere_is_registered() {
    let spec = json!({"engine": {"external": {"url": "https://api.example.com/v1?x=1", "model": "gpt"}}});
    let validated = validate(&spec).unwrap();
    let artifact = Artifact::settled(&validated.weights());
    let applied = Applied { model: validated, serving: String::new(), ..applied("", None, artifact, &[]) };
    let status = status(&model(&spec), &seen(None), &Outcome::Applied(&applied), now());
    assert!(said(&status, "Ready").starts_with("True Registered"));
    assert!(said(&status, "Available").starts_with("Unknown NotDeployed"));
    assert_eq!(status.active.unwrap().source, "https://api.example.com/v1");
    assert_eq!((status.target, status.replicas), (None, None));
}

proptest! {
    /// Tools that wait read either Ready or the abnormal conditions: they must never contradict each other. And a second
    /// look at the same things changes nothing, or the operator would feed itself.
    #[test]
    fn the_conditions_agree_and_settle(
        wanted in 0..3i32, exist in 0..4i32, updated in 0..4i32, available in 0..4i32,
        trouble in 0..4usize, artifact in 0..4usize, selected in any::<bool>(), deployed in any::<bool>(),
    ) {
        let pods = [vec![], vec![unschedulable("new")], vec![crashed("new")], vec![starting("new")]];
        let artifacts = [
            Artifact::Mounted,
            awaited(Reason::Downloading, Some(Progress { total: None, percent: Some(99) }), false),
            awaited(Reason::NoSpace, None, false),
            awaited(Reason::ChecksumMismatch, None, true),
        ];
        let target = deployed.then(|| deployment("new", wanted, [exist, updated, available]));
        let active = if selected { target.clone() } else { Some(deployment("old", 1, [1, 1, 1])) };
        let serving = if selected { "new" } else { "old" };
        let applied = applied(serving, target, artifacts[artifact].clone(), &pods[trouble]);
        let found = after(active.clone(), &applied);
        let holds = |kind: &str| said(&found, kind).starts_with("True");
        prop_assert_eq!(holds("Ready"), !holds("Reconciling") && !holds("Stalled"));
        prop_assert_eq!(found.conditions.len(), 11);
        let mut resource = model(&spec());
        resource.status = Some(found.clone());
        let later = Timestamp::from_second(2_000_000).unwrap();
        let again = status(&resource, &seen(active), &Outcome::Applied(&applied), later);
        prop_assert_eq!(found, again);
    }
}

#[test]
fn the_specs_of_these_tests_are_valid() {
    assert!(validate(&from_url()).is_ok() && validate(&spec()).is_ok());
}
