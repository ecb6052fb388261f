//! From what was applied, and what the cluster made of it, to the status. Pure.

use jiff::Timestamp;
use k8s_openapi::{
    api::{apps::v1::Deployment, core::v1::Pod},
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
};
use portico_crds::{McpServer, McpServerStatus, condition::Type, mcp_server::CONDITIONS};

use crate::error::Class;

use super::{
    render,
    validate::{Error, ValidatedServer},
};

/// What one pass of the operator found.
pub enum Outcome<'a> {
    /// The children are as the spec wants them.
    Applied {
        /// The server as it was rendered.
        server: &'a ValidatedServer,
        /// Its Deployment as the API server has it; `None` where nothing is deployed.
        deployment: Option<&'a Deployment>,
        /// Its pods.
        pods: &'a [Pod],
    },
    /// The spec was not applied; what ran before runs on.
    Refused {
        /// Why.
        error: &'a Error,
        /// The Deployment of an earlier generation.
        deployment: Option<&'a Deployment>,
    },
    /// The cluster did not take what the spec leads to; it is tried again, more and more seldom.
    Failed {
        /// Why.
        error: &'a crate::error::Error,
        /// The Deployment as it stands.
        deployment: Option<&'a Deployment>,
    },
    /// An annotation asks the operator not to act.
    Paused {
        /// The Deployment as it stands.
        deployment: Option<&'a Deployment>,
    },
}

/// One condition before it is given a time.
#[derive(Clone, Debug, PartialEq)]
struct Verdict {
    kind: Type,
    status: &'static str,
    reason: &'static str,
    message: String,
}

fn verdict(kind: Type, status: &'static str, reason: &'static str, message: impl Into<String>) -> Verdict {
    Verdict { kind, status, reason, message: message.into() }
}

/// The status that follows from `outcome`. `now` is used only for conditions whose status flips.
#[must_use]
pub fn status(resource: &McpServer, outcome: &Outcome<'_>, now: Timestamp) -> McpServerStatus {
    let verdicts = match outcome {
        Outcome::Applied { server, deployment, pods } => applied(server, *deployment, pods),
        Outcome::Refused { error, deployment } => refused(error, *deployment),
        Outcome::Failed { error, deployment } => failed(error, *deployment),
        Outcome::Paused { deployment } => paused(*deployment),
    };
    let previous = resource.status.clone().unwrap_or_default();
    let generation = resource.metadata.generation;
    let (server, deployment) = match outcome {
        Outcome::Applied { server, deployment, .. } => (Some(*server), *deployment),
        Outcome::Refused { deployment, .. }
        | Outcome::Failed { deployment, .. }
        | Outcome::Paused { deployment } => (None, *deployment),
    };
    McpServerStatus {
        conditions: conditions(&previous, &verdicts, generation, now),
        observed_generation: generation,
        replicas: deployment.map(|d| counts(d).exist),
        ready_replicas: deployment.map(|d| counts(d).ready),
        instances: deployment.map(|d| format!("{}/{}", counts(d).ready, counts(d).wanted)),
        selector: deployment.map(|_| selector_text(resource)),
        url: server.map(render::url).or(previous.url),
    }
}

fn selector_text(resource: &McpServer) -> String {
    let pairs = render::selector(resource.metadata.name.as_deref().unwrap_or_default());
    pairs.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}

/// Every known condition, in a fixed order; one that no verdict speaks of is False.
fn conditions(
    previous: &McpServerStatus,
    verdicts: &[Verdict],
    generation: Option<i64>,
    now: Timestamp,
) -> Vec<Condition> {
    let fallback = |kind| verdict(kind, "False", "NotApplicable", "");
    CONDITIONS
        .iter()
        .map(|kind| verdicts.iter().find(|v| v.kind == *kind).cloned().unwrap_or_else(|| fallback(*kind)))
        .map(|verdict| timed(verdict, previous, generation, now))
        .collect()
}

/// `lastTransitionTime` moves only when the status flips, or the operator would feed itself.
fn timed(verdict: Verdict, previous: &McpServerStatus, generation: Option<i64>, now: Timestamp) -> Condition {
    let before = previous.conditions.iter().find(|c| c.type_ == verdict.kind.as_str());
    let since =
        before.filter(|c| c.status == verdict.status).map_or(Time(now), |c| c.last_transition_time.clone());
    Condition {
        type_: verdict.kind.as_str().into(),
        status: verdict.status.into(),
        reason: verdict.reason.into(),
        message: verdict.message,
        observed_generation: generation,
        last_transition_time: since,
    }
}

/// Pods of a Deployment.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    wanted: i32,
    exist: i32,
    ready: i32,
    updated: i32,
    available: i32,
}

fn counts(deployment: &Deployment) -> Counts {
    let status = deployment.status.clone().unwrap_or_default();
    Counts {
        wanted: deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1),
        exist: status.replicas.unwrap_or(0),
        ready: status.ready_replicas.unwrap_or(0),
        updated: status.updated_replicas.unwrap_or(0),
        available: status.available_replicas.unwrap_or(0),
    }
}

/// Whether every wanted pod is of the newest template and serves.
#[must_use]
pub fn rolled_out(deployment: &Deployment) -> bool {
    let c = counts(deployment);
    let observed = deployment.status.as_ref().and_then(|status| status.observed_generation);
    observed >= deployment.metadata.generation
        && c.updated == c.wanted
        && c.exist == c.wanted
        && c.available == c.wanted
}

fn available(deployment: Option<&Deployment>) -> Verdict {
    match deployment.map(counts) {
        Some(c) if c.available > 0 => verdict(
            Type::Available,
            "True",
            "MinimumReplicasAvailable",
            format!("{} of {} pods serve", c.available, c.wanted),
        ),
        Some(c) if c.wanted == 0 => verdict(Type::Available, "False", "ScaledToZero", "No pod is wanted"),
        Some(_) => verdict(Type::Available, "False", "NoReadyPod", "No pod is ready"),
        None => verdict(Type::Available, "False", "NotDeployed", "Nothing is deployed"),
    }
}

fn accepted() -> Vec<Verdict> {
    vec![
        verdict(Type::Accepted, "True", "Valid", "The spec is valid"),
        verdict(Type::ResolvedRefs, "True", "Resolved", "Everything the spec names exists"),
    ]
}

fn applied(server: &ValidatedServer, deployment: Option<&Deployment>, pods: &[Pod]) -> Vec<Verdict> {
    let mut all = accepted();
    let Some(deployment) = deployment else {
        all.push(verdict(
            Type::Ready,
            "True",
            "Registered",
            format!("Nothing to deploy; clients are sent to {}", render::url(server)),
        ));
        all.push(verdict(Type::Available, "Unknown", "NotDeployed", "Portico does not run this server"));
        return all;
    };
    all.push(available(Some(deployment)));
    all.push(scheduled(deployment, pods));
    all.extend(rollout(deployment, pods));
    all
}

fn rollout(deployment: &Deployment, pods: &[Pod]) -> Vec<Verdict> {
    let c = counts(deployment);
    if rolled_out(deployment) {
        let (reason, message) = match c.wanted {
            0 => ("ScaledToZero", "No pod is wanted".to_owned()),
            _ => ("RolledOut", format!("{} of {} pods serve", c.available, c.wanted)),
        };
        return vec![verdict(Type::Ready, "True", reason, message)];
    }
    let trouble = pods.iter().find_map(trouble);
    let message = trouble.as_ref().map_or_else(
        || format!("{} of {} pods are updated, {} serve", c.updated, c.wanted, c.available),
        |(_, message)| message.clone(),
    );
    if let Some(message) = deadline_exceeded(deployment) {
        let message = trouble.map_or(message, |(_, message)| message);
        return vec![
            verdict(Type::Ready, "False", "RolloutFailed", message.clone()),
            verdict(Type::Stalled, "True", "RolloutFailed", message),
        ];
    }
    let reason = trouble.map_or("RollingOut", |(reason, _)| reason);
    vec![
        verdict(Type::Ready, "False", reason, message.clone()),
        verdict(Type::Reconciling, "True", "RollingOut", message),
    ]
}

fn deadline_exceeded(deployment: &Deployment) -> Option<String> {
    let conditions = deployment.status.as_ref()?.conditions.as_ref()?;
    let progressing = conditions.iter().find(|c| c.type_ == "Progressing")?;
    (progressing.reason.as_deref() == Some("ProgressDeadlineExceeded"))
        .then(|| progressing.message.clone().unwrap_or_default())
}

fn scheduled(deployment: &Deployment, pods: &[Pod]) -> Verdict {
    match pods.iter().find_map(unschedulable) {
        Some(message) => verdict(Type::Scheduled, "False", "Unschedulable", message),
        // What serves has a node; the pods of such a Deployment are not read at all.
        None if rolled_out(deployment) && counts(deployment).wanted > 0 => {
            verdict(Type::Scheduled, "True", "Placed", "Every pod has a node")
        }
        None if counts(deployment).wanted == 0 => {
            verdict(Type::Scheduled, "True", "ScaledToZero", "No pod is wanted")
        }
        None if pods.is_empty() => verdict(Type::Scheduled, "Unknown", "NoPods", "No pod exists yet"),
        None => verdict(Type::Scheduled, "True", "Placed", "Every pod has a node"),
    }
}

fn unschedulable(pod: &Pod) -> Option<String> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let placed = conditions.iter().find(|c| c.type_ == "PodScheduled" && c.status == "False")?;
    Some(placed.message.clone().unwrap_or_default())
}

/// What keeps a pod from serving, as reason and message.
fn trouble(pod: &Pod) -> Option<(&'static str, String)> {
    if let Some(message) = unschedulable(pod) {
        return Some(("Unschedulable", message));
    }
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    let status = pod.status.as_ref()?;
    let containers =
        status.init_container_statuses.iter().flatten().chain(status.container_statuses.iter().flatten());
    containers.filter_map(|container| container.state.as_ref()?.waiting.as_ref()).find_map(|waiting| {
        let said = waiting.message.as_deref().unwrap_or_default();
        let reason = waiting_reason(waiting.reason.as_deref()?)?;
        Some((reason, format!("Pod {name} waits: {}: {said}", waiting.reason.as_deref().unwrap_or_default())))
    })
}

/// Reasons are API, so a kubelet's own words become one of ours.
fn waiting_reason(reason: &str) -> Option<&'static str> {
    match reason {
        "ImagePullBackOff" | "ErrImagePull" | "InvalidImageName" | "ErrImageNeverPull" => {
            Some("ImagePullFailed")
        }
        "CrashLoopBackOff" => Some("Crashing"),
        "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError" => {
            Some("ContainerNotCreated")
        }
        _ => None,
    }
}

fn refused(error: &Error, deployment: Option<&Deployment>) -> Vec<Verdict> {
    let message = error.to_string();
    let mut all = match error {
        Error::Invalid(_) => vec![
            verdict(Type::Ready, "False", "InvalidSpec", message.clone()),
            verdict(Type::Accepted, "False", "InvalidSpec", message.clone()),
            verdict(Type::ResolvedRefs, "Unknown", "InvalidSpec", "The spec is not valid"),
            verdict(Type::Stalled, "True", "InvalidSpec", message),
        ],
        Error::Missing(_) => vec![
            verdict(Type::Ready, "False", "ReferenceNotFound", message.clone()),
            verdict(Type::Accepted, "True", "Valid", "The spec is valid"),
            verdict(Type::ResolvedRefs, "False", "ReferenceNotFound", message.clone()),
            verdict(Type::Reconciling, "True", "ReferenceNotFound", message),
        ],
    };
    all.push(available(deployment));
    all.push(verdict(Type::Scheduled, "Unknown", "NotApplied", "The spec was not applied"));
    all
}

/// A name that is taken and a right that is missing may be mended anywhere; what is not valid waits for an edit.
fn failed(error: &crate::error::Error, deployment: Option<&Deployment>) -> Vec<Verdict> {
    let message = error.to_string();
    let (reason, abnormal) = match error.class() {
        Class::Invalid => ("RefusedByApiServer", Type::Stalled),
        Class::Denied => ("Forbidden", Type::Reconciling),
        Class::Conflict => ("NameTaken", Type::Reconciling),
        Class::Transient | Class::Bug => ("Retrying", Type::Reconciling),
    };
    let (valid, explanation) = match error.class() {
        Class::Invalid => ("False", message.clone()),
        _ => ("True", "The spec is valid".to_owned()),
    };
    vec![
        verdict(Type::Ready, "False", reason, message.clone()),
        verdict(Type::Accepted, valid, if valid == "True" { "Valid" } else { reason }, explanation),
        verdict(Type::ResolvedRefs, "Unknown", reason, "The pass did not come to its end"),
        verdict(Type::Scheduled, "Unknown", "NotApplied", "The spec was not applied"),
        verdict(abnormal, "True", reason, message),
        available(deployment),
    ]
}

fn paused(deployment: Option<&Deployment>) -> Vec<Verdict> {
    let message = "The annotation portico.dev/paused is 'true'; remove it and the operator acts again";
    vec![
        verdict(Type::Ready, "Unknown", "Paused", message),
        verdict(Type::Accepted, "Unknown", "Paused", message),
        verdict(Type::ResolvedRefs, "Unknown", "Paused", message),
        verdict(Type::Scheduled, "Unknown", "Paused", message),
        verdict(Type::Paused, "True", "Paused", message),
        available(deployment),
    ]
}
