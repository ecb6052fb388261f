//! The status that follows from what a pass has found.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::Timestamp;
use portico_crds::{McpServer, McpServerStatus};
use portico_operator::error;
use portico_operator::kind::{Outcome, Refusal};
use portico_operator::mcp_server::status::{Applied, status};
use proptest::prelude::*;
use rstest::rstest;
use serde_json::{Value, json};

use super::{server, validate};

fn spec() -> Value {
    json!({"source": {"image": {"name": "example:1"}}})
}

fn valid(pods: &[Pod]) -> Applied {
    Applied { server: validate(&spec()).unwrap(), pods: pods.to_vec() }
}

/// A Deployment that wants `wanted` pods: so many exist, are updated, are available.
fn deployment(wanted: i32, [exist, updated, available]: [i32; 3]) -> Deployment {
    serde_json::from_value(json!({
        "metadata": {"generation": 2},
        "spec": {"replicas": wanted, "selector": {}, "template": {}},
        "status": {"observedGeneration": 2, "replicas": exist, "readyReplicas": available,
            "updatedReplicas": updated, "availableReplicas": available},
    }))
    .unwrap()
}

fn stuck() -> Deployment {
    let mut deployment = deployment(1, [1, 1, 0]);
    let condition = json!([{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded",
        "message": "ReplicaSet has timed out progressing."}]);
    deployment.status.as_mut().unwrap().conditions = serde_json::from_value(condition).unwrap();
    deployment
}

fn pod(status: Value) -> Pod {
    let mut pod: Pod = serde_json::from_value(json!({"metadata": {"name": "shop-1"}})).unwrap();
    pod.status = serde_json::from_value(status).unwrap();
    pod
}

fn waiting(reason: &str) -> Pod {
    let state = json!({"waiting": {"reason": reason, "message": "said the kubelet"}});
    pod(json!({"containerStatuses": [
        {"name": "server", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": state}]}))
}

fn unschedulable() -> Pod {
    pod(json!({"conditions": [{"type": "PodScheduled", "status": "False", "message": "0/1 nodes: no GPU"}]}))
}

fn now() -> Timestamp {
    Timestamp::from_second(1_000_000).unwrap()
}

fn after(deployment: Option<&Deployment>, outcome: &Outcome<'_, Applied>) -> McpServerStatus {
    status(&server(&spec()), deployment, outcome, now())
}

fn applied(deployment: &Deployment, pods: &[Pod]) -> McpServerStatus {
    after(Some(deployment), &Outcome::Applied(&valid(pods)))
}

/// A condition as `status reason: message`.
fn said(status: &McpServerStatus, kind: &str) -> String {
    let found = status.conditions.iter().find(|condition| condition.type_ == kind).unwrap();
    format!("{} {}: {}", found.status, found.reason, found.message)
}

#[rstest]
#[case::serving(deployment(2, [2, 2, 2]), "True RolledOut: 2 of 2 pods serve")]
#[case::at_zero_on_purpose(deployment(0, [0, 0, 0]), "True ScaledToZero: No pod is wanted")]
#[case::an_old_pod_is_left(deployment(1, [2, 1, 1]), "False RollingOut: 1 of 1 pods are updated, 1 serve")]
#[case::not_yet_serving(deployment(1, [1, 1, 0]), "False RollingOut: 1 of 1 pods are updated, 0 serve")]
#[case::past_its_deadline(stuck(), "False RolloutFailed: ReplicaSet has timed out progressing.")]
fn ready_tells_of_the_rollout(#[case] deployment: Deployment, #[case] expected: &str) {
    assert_eq!(said(&applied(&deployment, &[]), "Ready"), expected);
}

#[test]
fn a_deployment_that_its_controller_has_not_seen_is_not_rolled_out() {
    let mut unseen = deployment(1, [1, 1, 1]);
    unseen.metadata.generation = Some(3);
    assert!(said(&applied(&unseen, &[]), "Ready").starts_with("False RollingOut"));
}

#[rstest]
#[case::image(
    waiting("ImagePullBackOff"),
    "False ImagePullFailed: Pod shop-1 waits: ImagePullBackOff: said the kubelet"
)]
#[case::crash(
    waiting("CrashLoopBackOff"),
    "False Crashing: Pod shop-1 waits: CrashLoopBackOff: said the kubelet"
)]
#[case::start(waiting("ContainerCreating"), "False RollingOut: 1 of 1 pods are updated, 0 serve")]
#[case::place(unschedulable(), "False Unschedulable: 0/1 nodes: no GPU")]
fn a_pod_in_trouble_is_the_reason(#[case] pod: Pod, #[case] expected: &str) {
    assert_eq!(said(&applied(&deployment(1, [1, 1, 0]), &[pod]), "Ready"), expected);
}

#[rstest]
#[case::a_log(
    "starting\n\u{1b}cannot open /data/x.db: set FILES_DIR\n\n",
    "; its last words: cannot open /data/x.db: set FILES_DIR"
)]
#[case::nothing(" \n", "")]
fn the_last_line_of_a_container_that_ends_again_and_again_is_told(#[case] message: &str, #[case] told: &str) {
    let said = said(&applied(&deployment(1, [1, 1, 0]), &[crashed(message)]), "Ready");
    let expected = format!("False Crashing: Pod shop-1 waits: CrashLoopBackOff: back-off{told}");
    assert_eq!(said, expected);
}

#[test]
fn last_words_are_bounded() {
    let said = said(&applied(&deployment(1, [1, 1, 0]), &[crashed(&"ü".repeat(2000))]), "Ready");
    assert!(said.len() < 600 && said.ends_with("ü…"), "{said}");
}

fn crashed(message: &str) -> Pod {
    pod(json!({"containerStatuses": [
        {"name": "server", "image": "", "imageID": "", "ready": false, "restartCount": 3,
            "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}},
            "lastState": {"terminated": {"exitCode": 1, "message": message}}}]}))
}

#[test]
fn a_rolled_out_server_has_its_pods_placed_without_reading_them() {
    assert_eq!(
        said(&applied(&deployment(1, [1, 1, 1]), &[]), "Scheduled"),
        "True Placed: Every pod has a node"
    );
}

#[test]
fn an_invalid_spec_stalls_and_a_missing_reference_is_awaited_while_the_old_pods_serve() {
    let old = deployment(1, [1, 1, 1]);
    let invalid = Refusal::Invalid(vec!["spec.x: wrong".to_owned()]);
    let status = after(Some(&old), &Outcome::Refused(&invalid));
    assert_eq!(said(&status, "Ready"), "False InvalidSpec: spec.x: wrong");
    assert_eq!(said(&status, "Stalled"), "True InvalidSpec: spec.x: wrong");
    assert!(said(&status, "Available").starts_with("True "));
    let missing = Refusal::Missing(Vec::new());
    let status = after(Some(&old), &Outcome::Refused(&missing));
    assert!(said(&status, "Reconciling").starts_with("True ReferenceNotFound"));
    assert!(said(&status, "Stalled").starts_with("False "));
}

#[test]
fn a_name_that_somebody_else_has_is_told() {
    let conflict = error::Error::Conflict { kind: "Service".to_owned(), name: "shop-mcp".to_owned() };
    let status = after(None, &Outcome::Failed(&conflict));
    assert!(said(&status, "Ready").starts_with("False NameTaken: Service 'shop-mcp' exists"));
    assert_eq!(said(&status, "Accepted"), "True Valid: The spec is valid");
}

#[test]
fn a_condition_keeps_its_time_until_its_status_flips() {
    let mut server: McpServer = server(&spec());
    let valid = valid(&[]);
    let look = |server: &McpServer, counts: [i32; 3], seconds: i64| {
        let deployment = deployment(1, counts);
        status(server, Some(&deployment), &Outcome::Applied(&valid), Timestamp::from_second(seconds).unwrap())
    };
    let time = |status: &McpServerStatus| status.conditions[0].last_transition_time.0.as_second();
    server.status = Some(look(&server, [1, 1, 0], 10));
    server.status = Some(look(&server, [1, 0, 0], 20));
    assert_eq!(time(server.status.as_ref().unwrap()), 10);
    server.status = Some(look(&server, [1, 1, 1], 30));
    assert_eq!(time(server.status.as_ref().unwrap()), 30);
}

proptest! {
    /// Tools that wait read either Ready or the abnormal conditions: they must never contradict each other.
    #[test]
    fn ready_never_holds_together_with_an_abnormal_condition(
        wanted in 0..3i32, exist in 0..4i32, updated in 0..4i32, available in 0..4i32, trouble in 0..4usize,
    ) {
        let pods = [vec![], vec![unschedulable()], vec![waiting("CrashLoopBackOff")], vec![waiting("ErrImagePull")]];
        let found = applied(&deployment(wanted, [exist, updated, available]), &pods[trouble]);
        let holds = |kind: &str| said(&found, kind).starts_with("True");
        prop_assert_eq!(holds("Ready"), !holds("Reconciling") && !holds("Stalled"));
        prop_assert_eq!(found.observed_generation, Some(3));
        prop_assert_eq!(found.conditions.len(), 8);
    }

    /// Or the operator would feed itself.
    #[test]
    fn a_second_look_at_the_same_things_changes_nothing(wanted in 0..3i32, available in 0..3i32) {
        let deployment = deployment(wanted, [wanted, wanted, available]);
        let valid = valid(&[]);
        let outcome = Outcome::Applied(&valid);
        let mut server = server(&spec());
        server.status = Some(status(&server, Some(&deployment), &outcome, now()));
        let again = status(&server, Some(&deployment), &outcome, Timestamp::from_second(2_000_000).unwrap());
        prop_assert_eq!(server.status, Some(again));
    }
}

#[test]
fn a_server_that_fails_the_handshake_is_not_ready_until_the_gateway_says_otherwise() {
    let (deployment, applied) = (deployment(1, [1, 1, 1]), valid(&[]));
    let ready = |connected: &str, reason: &str, generation: i64| {
        let mut server = server(&spec());
        server.status = serde_json::from_value(json!({"conditions": [
            {"type": "Connected", "status": connected, "reason": reason, "message": "it spoke FTP",
             "observedGeneration": generation, "lastTransitionTime": "2026-01-01T00:00:00Z"}]}))
        .unwrap();
        let after = status(&server, Some(&deployment), &Outcome::Applied(&applied), now());
        assert!(
            after.conditions.iter().all(|condition| condition.type_ != "Connected"),
            "it is the gateway's"
        );
        said(&after, "Ready")
    };
    assert_eq!(ready("False", "HandshakeFailed", 3), "False HandshakeFailed: it spoke FTP");
    assert_eq!(ready("False", "NotAuthorized", 3), "False NotAuthorized: it spoke FTP");
    let rolled_out = "True RolledOut: 1 of 1 pods serve";
    assert_eq!(ready("False", "HandshakeFailed", 2), rolled_out, "of an earlier generation");
    assert_eq!(ready("False", "Unreachable", 3), rolled_out, "the gateway may be the one that is cut off");
    assert_eq!(ready("True", "SpeaksMcp", 3), rolled_out);
}
