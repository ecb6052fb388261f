//! What the cluster has made of a Deployment, as verdicts. Pure; shared by all kinds that run pods.

use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{ContainerStatus, Pod},
};
use portico_crds::{condition::Type, reason::Reason};

use crate::condition::{Verdict, verdict};

/// Most bytes of a container's last words.
const LAST_WORDS: usize = 400;

/// Pods of a Deployment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// That the spec wants.
    pub wanted: i32,
    /// That exist, of any generation.
    pub exist: i32,
    /// That are ready.
    pub ready: i32,
    /// That are of the newest template.
    pub updated: i32,
    /// That have been ready long enough.
    pub available: i32,
}

/// Counts the pods of a Deployment.
#[must_use]
pub fn counts(deployment: &Deployment) -> Counts {
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

/// Whether anything serves, of whatever generation.
#[must_use]
pub fn available(deployment: Option<&Deployment>) -> Verdict {
    match deployment.map(counts) {
        Some(c) if c.available > 0 => verdict(
            Type::Available,
            "True",
            Reason::MinimumReplicasAvailable,
            format!("{} of {} pods serve", c.available, c.wanted),
        ),
        Some(c) if c.wanted == 0 => {
            verdict(Type::Available, "False", Reason::ScaledToZero, "No pod is wanted")
        }
        Some(_) => verdict(Type::Available, "False", Reason::NoReadyPod, "No pod is ready"),
        None => verdict(Type::Available, "False", Reason::NotDeployed, "Nothing is deployed"),
    }
}

/// How far the newest generation is rolled out: Ready, and Reconciling or Stalled where it is not.
#[must_use]
pub fn rollout(deployment: &Deployment, pods: &[Pod]) -> Vec<Verdict> {
    let c = counts(deployment);
    if rolled_out(deployment) {
        let (reason, message) = match c.wanted {
            0 => (Reason::ScaledToZero, "No pod is wanted".to_owned()),
            _ => (Reason::RolledOut, format!("{} of {} pods serve", c.available, c.wanted)),
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
            verdict(Type::Ready, "False", Reason::RolloutFailed, message.clone()),
            verdict(Type::Stalled, "True", Reason::RolloutFailed, message),
        ];
    }
    let reason = trouble.map_or(Reason::RollingOut, |(reason, _)| reason);
    vec![
        verdict(Type::Ready, "False", reason, message.clone()),
        verdict(Type::Reconciling, "True", Reason::RollingOut, message),
    ]
}

fn deadline_exceeded(deployment: &Deployment) -> Option<String> {
    let conditions = deployment.status.as_ref()?.conditions.as_ref()?;
    let progressing = conditions.iter().find(|c| c.type_ == "Progressing")?;
    (progressing.reason.as_deref() == Some("ProgressDeadlineExceeded"))
        .then(|| progressing.message.clone().unwrap_or_default())
}

/// Whether every pod has a node.
#[must_use]
pub fn scheduled(deployment: &Deployment, pods: &[Pod]) -> Verdict {
    match pods.iter().find_map(unschedulable) {
        Some(message) => verdict(Type::Scheduled, "False", Reason::Unschedulable, message),
        // What serves has a node; the pods of such a Deployment are not read at all.
        None if rolled_out(deployment) && counts(deployment).wanted > 0 => {
            verdict(Type::Scheduled, "True", Reason::Placed, "Every pod has a node")
        }
        None if counts(deployment).wanted == 0 => {
            verdict(Type::Scheduled, "True", Reason::ScaledToZero, "No pod is wanted")
        }
        None if pods.is_empty() => verdict(Type::Scheduled, "Unknown", Reason::NoPods, "No pod exists yet"),
        None => verdict(Type::Scheduled, "True", Reason::Placed, "Every pod has a node"),
    }
}

fn unschedulable(pod: &Pod) -> Option<String> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let placed = conditions.iter().find(|c| c.type_ == "PodScheduled" && c.status == "False")?;
    Some(placed.message.clone().unwrap_or_default())
}

/// What keeps a pod from serving, as reason and message.
#[must_use]
pub fn trouble(pod: &Pod) -> Option<(Reason, String)> {
    if let Some(message) = unschedulable(pod) {
        return Some((Reason::Unschedulable, message));
    }
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    let status = pod.status.as_ref()?;
    let containers =
        status.init_container_statuses.iter().flatten().chain(status.container_statuses.iter().flatten());
    containers.into_iter().find_map(|container| {
        let waiting = container.state.as_ref()?.waiting.as_ref()?;
        let (why, said) = (waiting.reason.as_deref()?, waiting.message.as_deref().unwrap_or_default());
        let last =
            last_words(container).map(|words| format!("; its last words: {words}")).unwrap_or_default();
        Some((waiting_reason(why)?, format!("Pod {name} waits: {why}: {said}{last}")))
    })
}

/// The last line of what a container said when it ended last.
fn last_words(container: &ContainerStatus) -> Option<String> {
    let ended = container.last_state.as_ref()?.terminated.as_ref()?;
    let line = ended.message.as_deref()?.lines().map(str::trim).rfind(|line| !line.is_empty())?;
    let line: String = line.chars().filter(|char| !char.is_control()).collect();
    let end = line.floor_char_boundary(LAST_WORDS);
    Some(if end < line.len() { format!("{}…", &line[..end]) } else { line })
}

/// Reasons are API, so a kubelet's own words become one of ours.
fn waiting_reason(reason: &str) -> Option<Reason> {
    match reason {
        "ImagePullBackOff" | "ErrImagePull" | "InvalidImageName" | "ErrImageNeverPull" => {
            Some(Reason::ImagePullFailed)
        }
        "CrashLoopBackOff" => Some(Reason::Crashing),
        "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError" => {
            Some(Reason::ContainerNotCreated)
        }
        _ => None,
    }
}
