//! From what was applied, and what the cluster made of it, to the status. Pure.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::{
    api::{apps::v1::Deployment, core::v1::Pod},
    apimachinery::pkg::apis::meta::v1::Condition,
};
use portico_crds::{
    InferenceModel, InferenceModelStatus,
    condition::Type,
    inference_model::{ActiveModel, CONDITIONS, Download, TargetModel},
    labels,
    reason::Reason,
};

use super::{
    artifact::Artifact,
    fallback::{self, Standby},
    render, source, switch,
    validate::ValidatedModel,
};
use crate::{
    condition::{Verdict, accepted, conditions, not_applied, verdict},
    kind::{Outcome, Reported},
    workload::{available, counts, rolled_out, rollout, scheduled},
};

/// Longest part of an engine's last words that goes into a condition, in bytes.
const LAST_WORDS: usize = 600;

/// A model whose spec was applied.
#[derive(Clone, Debug)]
pub struct Applied {
    /// The model as it was rendered.
    pub model: ValidatedModel,
    /// Its revision.
    pub revision: String,
    /// The revision that the Service selects; empty where nothing is deployed.
    pub serving: String,
    /// The target's Deployment, once there is one.
    pub target: Option<Arc<Deployment>>,
    /// How the model's file stands.
    pub artifact: Artifact,
    /// The model's pods, where they are not all as they should be.
    pub pods: Vec<Pod>,
}

/// What the caches show, whether or not the spec could be applied.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The Deployment that the Service selects.
    pub active: Option<Arc<Deployment>>,
    /// The models that may answer in place of this one.
    pub standby: Vec<Standby>,
}

impl Reported for InferenceModelStatus {
    const CONDITIONS: &'static [Type] = &CONDITIONS;

    fn conditions(&self) -> &[Condition] {
        &self.conditions
    }

    /// Without what the gateway writes.
    fn own(mut self) -> Self {
        self.conditions.retain(is_own);
        self.scaling = None;
        self
    }

    fn adopt(&mut self, seen: &Self) {
        self.conditions.retain(is_own);
        self.conditions.extend(seen.conditions.iter().filter(|condition| !is_own(condition)).cloned());
        self.scaling.clone_from(&seen.scaling);
    }
}

fn is_own(condition: &Condition) -> bool {
    CONDITIONS.iter().any(|own| own.as_str() == condition.type_)
}

/// The status that follows from `outcome` and from what is seen.
#[must_use]
pub fn status(
    resource: &InferenceModel,
    seen: &Seen,
    outcome: &Outcome<'_, Applied>,
    now: Timestamp,
) -> InferenceModelStatus {
    let previous = resource.status.clone().unwrap_or_default();
    let applied = match outcome {
        Outcome::Applied(applied) => Some(*applied),
        _ => None,
    };
    // What is being deleted still shows in the caches for a moment.
    let deployed = applied.is_none_or(|applied| applied.model.is_deployed());
    let deployment = seen.active.as_deref().filter(|_| deployed);
    let verdicts = verdicts(deployment, seen, outcome);
    let ready = verdicts.iter().find(|verdict| verdict.kind == Type::Ready);
    let active = active(resource, deployment, applied);
    InferenceModelStatus {
        conditions: conditions(
            &CONDITIONS,
            &previous.conditions,
            &verdicts,
            resource.metadata.generation,
            now,
        ),
        observed_generation: resource.metadata.generation,
        engine: resource.spec.engine.name().map(str::to_owned),
        target: applied.map_or(previous.target, |applied| target(applied, active.as_ref(), ready)),
        active,
        download: applied.and_then(download),
        replicas: deployment.map(|d| counts(d).exist),
        ready_replicas: deployment.map(|d| counts(d).ready),
        instances: deployment.map(|d| format!("{}/{}", counts(d).ready, counts(d).wanted)),
        selector: deployment.map(|_| selector_text(resource)),
        url: applied.map_or(previous.url, |applied| Some(render::url(&applied.model))),
        // The gateway's.
        scaling: None,
    }
}

fn selector_text(resource: &InferenceModel) -> String {
    let pairs = render::selector(resource.metadata.name.as_deref().unwrap_or_default());
    pairs.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}

/// The revision that answers, or would if a request woke it.
fn active(
    resource: &InferenceModel,
    deployment: Option<&Deployment>,
    applied: Option<&Applied>,
) -> Option<ActiveModel> {
    if let Some(applied) = applied.filter(|applied| !applied.model.is_deployed()) {
        return Some(ActiveModel {
            revision: applied.revision.clone(),
            url: render::url(&applied.model),
            source: source::shown(&applied.model.spec, &applied.model.weights()),
        });
    }
    let meta = &resource.metadata;
    let (namespace, name) = (meta.namespace.as_deref().unwrap_or_default(), meta.name.as_deref()?);
    let deployment = deployment.filter(|deployment| {
        let counts = counts(deployment);
        counts.available > 0 || (counts.wanted == 0 && rolled_out(deployment))
    });
    let Some(deployment) = deployment else {
        let external = applied.is_none() && resource.spec.engine.external.is_some();
        return resource.status.as_ref().filter(|_| external).and_then(|status| status.active.clone());
    };
    let annotations = deployment.metadata.annotations.as_ref();
    Some(ActiveModel {
        revision: switch::revision(deployment)?.to_owned(),
        url: render::service_url(namespace, name),
        source: annotations.and_then(|all| all.get(labels::MODEL_SOURCE).cloned()).unwrap_or_default(),
    })
}

fn target(applied: &Applied, active: Option<&ActiveModel>, ready: Option<&Verdict>) -> Option<TargetModel> {
    let is_active = active.is_some_and(|active| active.revision == applied.revision);
    let reason = ready.map_or(Reason::Switching, |ready| ready.reason);
    (!is_active)
        .then(|| TargetModel { revision: applied.revision.clone(), reason: reason.as_str().to_owned() })
}

/// In steps of five percent, so that it is not written all the time.
fn download(applied: &Applied) -> Option<Download> {
    let Artifact::Awaited { reason: Reason::Downloading, progress: Some(progress), .. } = &applied.artifact
    else {
        return None;
    };
    let percent = progress.percent?.clamp(0, 100) / 5 * 5;
    Some(Download { percent, total_bytes: progress.total.filter(|total| *total >= 0) })
}

fn verdicts(deployment: Option<&Deployment>, seen: &Seen, outcome: &Outcome<'_, Applied>) -> Vec<Verdict> {
    let own = [Type::ArtifactReady, Type::Scheduled, Type::ModelLoaded];
    let (mut all, available) = match outcome {
        Outcome::Applied(applied) if !applied.model.is_deployed() => (registered(applied), elsewhere()),
        Outcome::Applied(applied) => (applied_verdicts(applied), available(deployment)),
        _ => (not_applied(outcome, &own).unwrap_or_default(), available(deployment)),
    };
    let failed = all.iter().any(|v| v.kind == Type::ModelLoaded && v.reason == Reason::LoadFailed);
    all.extend(fallback::active(&available, failed, &seen.standby));
    all.push(available);
    all
}

fn elsewhere() -> Verdict {
    verdict(Type::Available, "Unknown", Reason::NotDeployed, "Portico does not run this model")
}

fn registered(applied: &Applied) -> Vec<Verdict> {
    let mut all = accepted();
    let message = format!("Nothing to deploy; requests are sent to {}", render::url(&applied.model));
    all.push(verdict(Type::Ready, "True", Reason::Registered, message));
    all.push(applied.artifact.verdict());
    let message = "Portico does not run this model";
    all.push(verdict(Type::ModelLoaded, "Unknown", Reason::NotDeployed, message));
    all
}

fn applied_verdicts(applied: &Applied) -> Vec<Verdict> {
    let mut all = accepted();
    all.push(applied.artifact.verdict());
    let Some(target) = applied.target.as_deref() else {
        let (reason, message) = awaited(&applied.artifact);
        all.push(verdict(Type::Scheduled, "Unknown", Reason::NoPods, "No pod exists yet"));
        all.push(verdict(Type::ModelLoaded, "False", reason, message.clone()));
        all.extend(awaiting(&applied.artifact));
        return all;
    };
    let pods = target_pods(applied);
    let failure = pods.iter().find_map(load_failure).filter(|_| !rolled_out(target));
    all.push(scheduled(target, &pods));
    all.push(loaded(target, &applied.artifact, failure.as_deref()));
    if applied.artifact.is_there() {
        all.extend(ready(applied, target, &pods, failure.as_deref()));
    } else {
        all.extend(awaiting(&applied.artifact));
    }
    all
}

fn awaited(artifact: &Artifact) -> (Reason, String) {
    match artifact {
        Artifact::Awaited { reason, message, .. } => (*reason, message.clone()),
        _ => (Reason::Loading, "The engine is about to be started".to_owned()),
    }
}

/// Ready, and why not, of a model whose file is not there.
fn awaiting(artifact: &Artifact) -> [Verdict; 2] {
    let (reason, message) = awaited(artifact);
    let given_up = matches!(artifact, Artifact::Awaited { given_up: true, .. });
    let abnormal = if given_up { Type::Stalled } else { Type::Reconciling };
    [verdict(Type::Ready, "False", reason, message.clone()), verdict(abnormal, "True", reason, message)]
}

fn target_pods(applied: &Applied) -> Vec<Pod> {
    let is_own = |pod: &&Pod| {
        let labels = pod.metadata.labels.as_ref();
        labels.and_then(|labels| labels.get(labels::REVISION)) == Some(&applied.revision)
    };
    applied.pods.iter().filter(is_own).cloned().collect()
}

/// Whether the engine of the target has loaded the model.
fn loaded(target: &Deployment, artifact: &Artifact, failure: Option<&str>) -> Verdict {
    let kind = Type::ModelLoaded;
    let counts = counts(target);
    match failure {
        _ if counts.wanted == 0 => verdict(kind, "False", Reason::ScaledToZero, "No pod is wanted"),
        _ if counts.available > 0 => {
            verdict(kind, "True", Reason::Loaded, "The engine has loaded the model and answers")
        }
        Some(message) => verdict(kind, "False", Reason::LoadFailed, message),
        None if artifact.is_there() => {
            verdict(kind, "False", Reason::Loading, "The engine has not answered yet")
        }
        None => {
            let (reason, message) = awaited(artifact);
            verdict(kind, "False", reason, message)
        }
    }
}

/// How far the target is: the same words as for any Deployment, but for what only models know.
fn ready(applied: &Applied, target: &Deployment, pods: &[Pod], failure: Option<&str>) -> Vec<Verdict> {
    let mut all = rollout(target, pods);
    let is_ready = all.iter().any(|verdict| verdict.kind == Type::Ready && verdict.status == "True");
    if is_ready && applied.serving != applied.revision {
        let message = "The new revision is loaded; requests are being turned to it";
        return switching(message);
    }
    let started = !pods.is_empty() && failure.is_none();
    for verdict in &mut all {
        match (failure, verdict.reason) {
            (Some(message), Reason::RollingOut | Reason::RolloutFailed | Reason::Crashing) => {
                verdict.reason = Reason::LoadFailed;
                message.clone_into(&mut verdict.message);
            }
            (None, Reason::RolloutFailed) if started => verdict.reason = Reason::LoadFailed,
            (None, Reason::RollingOut) => verdict.reason = Reason::Loading,
            _ => {}
        }
    }
    all
}

fn switching(message: &str) -> Vec<Verdict> {
    vec![
        verdict(Type::Ready, "False", Reason::Switching, message),
        verdict(Type::Reconciling, "True", Reason::Switching, message),
    ]
}

/// Why the engine of a pod has ended, in its own last words.
fn load_failure(pod: &Pod) -> Option<String> {
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    let all = pod.status.as_ref()?.container_statuses.as_ref()?;
    let engine = all.iter().find(|status| status.name == render::ENGINE && !status.ready)?;
    let of = |state: &Option<k8s_openapi::api::core::v1::ContainerState>| state.as_ref()?.terminated.clone();
    let ended = of(&engine.state).or_else(|| of(&engine.last_state))?;
    let why = ended.reason.as_deref().unwrap_or("Error");
    let said = ended.message.as_deref().unwrap_or_default().trim();
    let said = &said[said.ceil_char_boundary(said.len().saturating_sub(LAST_WORDS))..];
    let end = if said.is_empty() { String::new() } else { format!(": {said}") };
    Some(format!(
        "Pod {name}: the engine ended with exit code {} ({why}) before it answered{end}",
        ended.exit_code
    ))
}
