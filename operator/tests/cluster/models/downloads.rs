//! Downloads: by a Job that the simulated nodes run, and that ends as the kubelet would tell it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use axum::{Json, Router, routing};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::ResourceExt;
use kube::api::ListParams;
use portico_cluster::{Level, wait_for, wanted};
use portico_crds::{InferenceModel, labels};
use serde_json::{Value, json};

use super::{apply, condition, download_pod, end, said, until, until_ready, until_said};
use crate::world::{SOON, World};

/// A model that is downloaded onto a simulated volume; its download is over at once.
pub fn downloaded(file: &str) -> Value {
    json!({
        "source": {"url": {"url": format!("https://models.example.com/{file}.gguf"), "sha256": "0".repeat(64)}},
        "engine": {"llamaCpp": {}},
        "replicas": 1,
        "cache": {"persistentVolumeClaim": {"size": "1Gi", "storageClassName": "simulated"}},
    })
}

/// The same, whose download never ends by itself; its pod has the address `ip`, at which a test may listen.
pub fn slow(file: &str, ip: &str) -> Value {
    let mut spec = downloaded(file);
    spec["podTemplate"] = json!({"metadata": {"annotations": {
        "kwok.portico.dev/job-takes": "3600s", "kwok.portico.dev/pod-ip": ip,
    }}});
    spec
}

async fn jobs(world: &World) -> Vec<String> {
    let all = world.api::<Job>().list(&ListParams::default()).await.unwrap().items;
    all.iter().map(ResourceExt::name_any).collect()
}

/// Answers as `portico fetch` does, at its port of one loopback address.
async fn tell_progress(ip: &str, percent: Arc<AtomicI32>) {
    let listener = tokio::net::TcpListener::bind(format!("{ip}:8081")).await.unwrap();
    let answer = move || {
        let percent = percent.load(Ordering::Relaxed);
        async move {
            Json(
                json!({"state": "downloading", "bytes": percent * 10, "total": 1000, "percent": percent, "message": ""}),
            )
        }
    };
    let router = Router::new().route("/progress", routing::get(answer));
    tokio::spawn(async move { axum::serve(listener, router).await });
}

fn percent(model: &InferenceModel) -> Option<i32> {
    Some(model.status.as_ref()?.download.as_ref()?.percent)
}

#[tokio::test]
async fn a_download_tells_its_progress_and_is_known_to_be_stored_by_the_volume_alone() {
    if !wanted(Level::Kwok) {
        return;
    }
    let mut world = World::start().await;
    let progress = Arc::new(AtomicI32::new(48));
    tell_progress("127.77.0.2", Arc::clone(&progress)).await;
    apply(&world, "chat", slow("one", "127.77.0.2")).await;
    let model = until(&world, "chat", "at 45 %", |model| percent(model) == Some(45)).await;
    assert_eq!(said(&model, "ArtifactReady"), "False Downloading");
    assert_eq!(model.status.unwrap().download.unwrap().total_bytes, Some(1000));
    // More often than anything but the clock would make the operator ask.
    for (percent_now, shown) in [(62, 60), (77, 75), (85, 85), (99, 95)] {
        progress.store(percent_now, Ordering::Relaxed);
        until(&world, "chat", &format!("at {shown} %"), |model| percent(model) == Some(shown)).await;
    }
    let pod = download_pod(&world, "chat").await;
    end(&world, &pod, ("Succeeded", "fetch"), 0, "Downloaded: 1000 bytes").await;
    let model = until_ready(&world, "chat").await;
    assert_eq!(said(&model, "ArtifactReady"), "True ArtifactStored");
    assert_eq!(model.status.unwrap().download, None);
    wait_for("the end of the Job", SOON, async || {
        let left = jobs(&world).await;
        if left.is_empty() { Ok(Some(())) } else { Err(format!("{left:?}")) }
    })
    .await
    .unwrap();
    let claims = world.api::<PersistentVolumeClaim>().list(&ListParams::default()).await.unwrap().items;
    assert!(claims[0].annotations().contains_key(labels::ARTIFACT));
    let mark = world.cluster.audit_mark().unwrap();
    world.restart_operator().await;
    let mut edited = slow("one", "127.77.0.2");
    edited["replicas"] = json!(2);
    apply(&world, "chat", edited).await;
    until_ready(&world, "chat").await;
    assert!(!world.writes(mark, "operator").iter().any(|event| event.resource == "jobs"));
}

#[tokio::test]
async fn a_download_that_fails_says_why_in_its_own_words_and_an_edit_starts_another() {
    if !wanted(Level::Kwok) {
        return;
    }
    let world = World::start().await;
    for (file, code, words, reason) in [
        ("space", 4, "NoSpace: 5 bytes of space are missing", "NoSpace"),
        ("absent", 5, "NotFound: it does not exist", "DownloadFailed"),
        ("rights", 6, "Unauthorized: it is refused", "DownloadFailed"),
        ("network", 7, "Unreachable: it cannot be had", "DownloadFailed"),
        ("sum", 3, "ChecksumMismatch: it has another SHA-256", "ChecksumMismatch"),
    ] {
        apply(&world, "chat", slow(file, "127.77.0.3")).await;
        until_said(&world, "chat", "False Downloading").await;
        let pod = download_pod(&world, "chat").await;
        end(&world, &pod, ("Failed", "fetch"), code, words).await;
        let model = until_said(&world, "chat", &format!("False {reason}")).await;
        assert_eq!(condition(&model, "ArtifactReady").message, words.split_once(": ").unwrap().1);
    }
    // Another download of the same address would bring the same.
    let model =
        until(&world, "chat", "stalled", |model| said(model, "Stalled") == "True ChecksumMismatch").await;
    assert_eq!(said(&model, "Reconciling"), "False NotApplicable");
    apply(&world, "chat", downloaded("right")).await;
    until_ready(&world, "chat").await;
    wait_for("one volume, and no Job", SOON, async || {
        let claims =
            world.api::<PersistentVolumeClaim>().list(&ListParams::default()).await.unwrap().items.len();
        let jobs = jobs(&world).await;
        if claims == 1 && jobs.is_empty() { Ok(Some(())) } else { Err(format!("{claims} volumes, {jobs:?}")) }
    })
    .await
    .unwrap();
}
