//! What to print when a test fails: the namespace's events and pods, and the ends of the logs.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::{ContainerStatus, Event, Pod};
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};

use crate::child::tail;

/// Events are listed from the newest; so many tell the story.
const EVENTS: usize = 40;

/// Never fails: what cannot be had is said in the text.
pub(crate) async fn report(client: &Client, namespace: &str, folder: Option<&Path>) -> String {
    let mut text = format!("== namespace {namespace}\n");
    text += &pods(client, namespace).await;
    text += &events(client, namespace).await;
    for log in folder.map(|folder| logs(folder, namespace)).unwrap_or_default() {
        let end = worth_reading(&tail(&log));
        if !end.trim().is_empty() {
            let _ = write!(text, "-- the end of {}\n{end}\n", log.display());
        }
    }
    text
}

/// Kubernetes' programs write lines of information, which begin with an `I` and the date, by the hundred.
fn worth_reading(log: &str) -> String {
    let is_information =
        |line: &&str| line.starts_with('I') && line[1..].starts_with(|c: char| c.is_ascii_digit());
    log.lines().filter(|line| !is_information(line)).collect::<Vec<_>>().join("\n")
}

async fn pods(client: &Client, namespace: &str) -> String {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    match pods.list(&ListParams::default()).await {
        Ok(list) => list.items.iter().map(pod).collect(),
        Err(error) => format!("pods cannot be listed: {error}\n"),
    }
}

fn pod(pod: &Pod) -> String {
    let status = pod.status.clone().unwrap_or_default();
    let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).unwrap_or("no node");
    let phase = status.phase.as_deref().unwrap_or("no phase");
    let mut text = format!("pod {} on {node}: {phase}\n", pod.name_any());
    for condition in status.conditions.iter().flatten().filter(|condition| condition.status != "True") {
        let message = condition.message.as_deref().unwrap_or_default();
        let reason = condition.reason.as_deref().unwrap_or_default();
        let _ = writeln!(text, "  {} {}: {reason} {message}", condition.type_, condition.status);
    }
    let all = status.init_container_statuses.iter().chain(&status.container_statuses).flatten();
    all.fold(text, |text, status| text + &container(status))
}

fn container(status: &ContainerStatus) -> String {
    let state = serde_json::to_string(&status.state).unwrap_or_default();
    format!("  container {} ready={} restarts={}: {state}\n", status.name, status.ready, status.restart_count)
}

async fn events(client: &Client, namespace: &str) -> String {
    let events: Api<Event> = Api::namespaced(client.clone(), namespace);
    let mut list = match events.list(&ListParams::default()).await {
        Ok(list) => list.items,
        Err(error) => return format!("events cannot be listed: {error}\n"),
    };
    list.sort_by_key(|event| std::cmp::Reverse(event.creation_timestamp()));
    list.iter().take(EVENTS).map(event).collect()
}

fn event(event: &Event) -> String {
    let object = &event.involved_object;
    format!(
        "event {} {}/{}: {}\n",
        event.reason.as_deref().unwrap_or_default(),
        object.kind.as_deref().unwrap_or_default(),
        object.name.as_deref().unwrap_or_default(),
        event.message.as_deref().unwrap_or_default()
    )
}

/// The controllers' logs, the node's, and those of the namespace's containers.
fn logs(folder: &Path, namespace: &str) -> Vec<PathBuf> {
    let mut logs: Vec<PathBuf> = ["kube-controller-manager", "kube-scheduler", "kwok", "node"]
        .map(|name| folder.join("log").join(format!("{name}.log")))
        .to_vec();
    let mut open = vec![folder.join("logs").join(namespace)];
    while let Some(next) = open.pop() {
        for path in std::fs::read_dir(next).into_iter().flatten().flatten().map(|entry| entry.path()) {
            let list = if path.is_dir() { &mut open } else { &mut logs };
            list.push(path);
        }
    }
    logs
}
