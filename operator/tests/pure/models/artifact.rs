//! What a download's Job and pods say of a model's file.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use portico_operator::inference_model::artifact::{Artifact, is_complete, of_job, of_pods};
use portico_operator::inference_model::progress::Progress;
use rstest::rstest;
use serde_json::{Value, json};

use super::{from_url, validate};

fn job(condition: &str) -> Job {
    let conditions = json!([{"type": condition, "status": "True", "message": "said the controller"}]);
    serde_json::from_value(json!({"metadata": {"name": "j"}, "status": {"conditions": conditions}})).unwrap()
}

fn pod(phase: &str, state: &Value, last: &Value) -> Pod {
    serde_json::from_value(json!({
        "metadata": {"name": "p", "labels": {}},
        "status": {"phase": phase, "containerStatuses": [{
            "name": "fetch", "image": "", "imageID": "", "ready": false, "restartCount": 0,
            "state": state, "lastState": last,
        }]},
    }))
    .unwrap()
}

fn failed(code: i32, message: &str) -> Pod {
    pod(
        "Failed",
        &json!({"terminated": {"exitCode": code, "reason": "Error", "message": message}}),
        &json!({}),
    )
}

fn running() -> Pod {
    pod("Running", &json!({"running": {}}), &json!({}))
}

fn said(artifact: &Artifact) -> String {
    let verdict = artifact.verdict();
    format!("{} {}: {}", verdict.status, verdict.reason.as_str(), verdict.message)
}

#[rstest]
#[case::checksum(3, "ChecksumMismatch: x has another", "False ChecksumMismatch: x has another")]
#[case::space(4, "NoSpace: 5 bytes are missing", "False NoSpace: 5 bytes are missing")]
#[case::absent(5, "NotFound: x does not exist", "False DownloadFailed: x does not exist")]
#[case::rights(6, "Unauthorized: x is refused", "False DownloadFailed: x is refused")]
#[case::network(7, "Unreachable: x cannot be had", "False DownloadFailed: x cannot be had")]
#[case::folder(9, "Unwritable: /model: no", "False DownloadFailed: /model: no")]
#[case::silent(137, "", "False DownloadFailed: The download ended with exit code 137 (Error)")]
#[case::other(
    1,
    "error: odd",
    "False DownloadFailed: The download ended with exit code 1 (Error): error: odd"
)]
fn a_failed_download_is_told_in_its_own_words(
    #[case] code: i32,
    #[case] message: &str,
    #[case] expected: &str,
) {
    let pods = [failed(code, message)];
    assert_eq!(said(&of_job(Some(&Job::default()), &pods, None)), expected);
    let Artifact::Awaited { given_up, .. } = of_job(Some(&job("Failed")), &pods, None) else { panic!() };
    assert!(given_up, "a Job that has failed is not tried again");
}

#[test]
fn a_download_that_runs_is_told_with_its_progress_and_one_without_a_pod_is_about_to_begin() {
    let progress = Progress { total: Some(100), percent: Some(12) };
    let pods = [failed(7, "Unreachable: x"), running()];
    let artifact = of_job(Some(&Job::default()), &pods, Some(progress.clone()));
    assert_eq!(said(&artifact), "False Downloading: The model's file is being downloaded");
    assert!(artifact.is_moving());
    let Artifact::Awaited { progress: told, given_up, .. } = artifact else { panic!() };
    assert_eq!((told, given_up), (Some(progress), false));
    assert_eq!(said(&of_job(None, &[], None)), "False Downloading: The download is about to begin");
}

#[test]
fn a_job_that_ended_without_words_is_told_in_its_controllers() {
    assert_eq!(said(&of_job(Some(&job("Failed")), &[], None)), "False DownloadFailed: said the controller");
    assert!(is_complete(&job("Complete")) && !is_complete(&job("Failed")) && !is_complete(&Job::default()));
}

#[test]
fn a_pod_of_the_download_that_no_node_takes_is_the_reason() {
    let mut waiting = pod("Pending", &json!({}), &json!({}));
    waiting.status.as_mut().unwrap().conditions =
        serde_json::from_value(json!([{"type": "PodScheduled", "status": "False", "message": "0/3 nodes"}]))
            .unwrap();
    assert_eq!(said(&of_job(Some(&Job::default()), &[waiting], None)), "False Unschedulable: 0/3 nodes");
}

#[test]
fn a_download_within_the_engines_pods_is_told_until_it_is_done() {
    let model = validate(&from_url()).unwrap();
    let init = |state: &Value, last: &Value| {
        let mut pod = pod("Pending", state, last);
        let status = pod.status.as_mut().unwrap();
        status.init_container_statuses = status.container_statuses.take();
        pod
    };
    let done = json!({"terminated": {"exitCode": 0}});
    let crashed = json!({"terminated": {"exitCode": 4, "message": "NoSpace: 5 bytes"}});
    let waits = json!({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}});
    let of = |pod: Pod| said(&of_pods(&model.weights(), &[pod], None));
    assert_eq!(of(init(&done, &json!({}))), "True ArtifactStored: The model's file is stored and verified");
    assert!(of(init(&json!({"running": {}}), &json!({}))).starts_with("False Downloading"));
    assert_eq!(of(init(&waits, &crashed)), "False NoSpace: 5 bytes");
}
