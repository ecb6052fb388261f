//! Whether a model's file is where its engine looks for it. Pure.

use k8s_openapi::api::{
    batch::v1::Job,
    core::v1::{ContainerStateTerminated, ContainerStatus, Pod},
};
use portico_crds::{condition::Type, labels, reason::Reason};

use super::{progress::Progress, render::FETCH, source::Weights};
use crate::{
    condition::{Verdict, verdict},
    workload::trouble,
};

/// How the file of a model stands.
#[derive(Clone, Debug, PartialEq)]
pub enum Artifact {
    /// The engine brings the model itself.
    NotNeeded,
    /// The model is mounted as it is.
    Mounted,
    /// It lies where it belongs; whether it was held against a checksum of the spec.
    Stored(bool),
    /// It is not there yet.
    Awaited {
        /// Why.
        reason: Reason,
        /// The same for people.
        message: String,
        /// How far the download is, if it tells.
        progress: Option<Progress>,
        /// Whether it will not be tried again by itself.
        given_up: bool,
    },
}

impl Artifact {
    /// The state of a model of which nothing has to be awaited.
    #[must_use]
    pub const fn settled(weights: &Weights<'_>) -> Self {
        match weights {
            Weights::File(remote) => Self::Stored(remote.is_verified()),
            Weights::Claim { .. } | Weights::Image { .. } => Self::Mounted,
            Weights::Repository(_) | Weights::Library(_) | Weights::Elsewhere => Self::NotNeeded,
        }
    }

    /// Whether the engine can have it.
    #[must_use]
    pub const fn is_there(&self) -> bool {
        !matches!(self, Self::Awaited { .. })
    }

    /// Whether bytes come in, so that it is worth asking again soon.
    #[must_use]
    pub fn is_moving(&self) -> bool {
        matches!(self, Self::Awaited { reason: Reason::Downloading, .. })
    }

    /// The condition `ArtifactReady`.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let there = |reason, message| verdict(Type::ArtifactReady, "True", reason, message);
        match self {
            Self::NotNeeded => there(Reason::NotNeeded, "The engine brings or fetches the model itself"),
            Self::Mounted => there(Reason::ArtifactMounted, "The model is mounted as it is"),
            Self::Stored(true) => there(Reason::ArtifactStored, "The model's file is stored and verified"),
            Self::Stored(false) => there(
                Reason::ArtifactUnverified,
                "The model's file is stored; the spec gives no sha256 for it",
            ),
            Self::Awaited { reason, message, .. } => {
                verdict(Type::ArtifactReady, "False", *reason, message.clone())
            }
        }
    }
}

fn awaited(reason: Reason, message: impl Into<String>) -> Artifact {
    Artifact::Awaited { reason, message: message.into(), progress: None, given_up: false }
}

/// Whether a Job has brought what it should.
#[must_use]
pub fn is_complete(job: &Job) -> bool {
    ended(job, "Complete").is_some()
}

/// The message of a Job's end.
fn ended(job: &Job, kind: &str) -> Option<String> {
    let conditions = job.status.as_ref()?.conditions.as_ref()?;
    let found = conditions.iter().find(|condition| condition.type_ == kind && condition.status == "True")?;
    Some(found.message.clone().unwrap_or_default())
}

/// The state of a download by a Job; `pods` are the model's.
#[must_use]
pub fn of_job(job: Option<&Job>, pods: &[Pod], progress: Option<Progress>) -> Artifact {
    let mut own: Vec<&Pod> = pods.iter().filter(|pod| is_download(pod)).collect();
    own.sort_by_key(|pod| pod.metadata.creation_timestamp.as_ref().map(|time| time.0));
    let last = own.iter().rev().find_map(|pod| last_words(pod));
    if let Some(message) = job.and_then(|job| ended(job, "Failed")) {
        let (reason, message) = last.unwrap_or((Reason::DownloadFailed, message));
        return Artifact::Awaited { reason, message, progress: None, given_up: true };
    }
    match own.iter().rev().find(|pod| is_under_way(pod)) {
        Some(pod) => under_way(pod, last, progress),
        None => last.map_or_else(
            || awaited(Reason::Downloading, "The download is about to begin"),
            |(reason, message)| awaited(reason, message),
        ),
    }
}

/// The state of a download within each pod of a revision, which is not rolled out.
#[must_use]
pub fn of_pods(weights: &Weights<'_>, pods: &[Pod], progress: Option<Progress>) -> Artifact {
    let fetching = |pod: &&Pod| fetch_status(pod).is_some_and(|status| !is_done(status));
    let Some(pod) = pods.iter().find(fetching) else { return Artifact::settled(weights) };
    under_way(pod, last_words(pod), progress)
}

fn under_way(pod: &Pod, last: Option<(Reason, String)>, progress: Option<Progress>) -> Artifact {
    if is_fetching(pod) {
        let message = "The model's file is being downloaded".to_owned();
        return Artifact::Awaited { reason: Reason::Downloading, message, progress, given_up: false };
    }
    // What the download said last is more than that its container is not started at once again.
    let known = last.or_else(|| trouble(pod));
    known.map_or_else(
        || awaited(Reason::Downloading, "The download waits for its pod"),
        |(reason, message)| awaited(reason, message),
    )
}

/// Whether a pod belongs to a download, not to an engine.
#[must_use]
pub fn is_download(pod: &Pod) -> bool {
    pod.metadata.labels.as_ref().is_some_and(|labels| !labels.contains_key(labels::REVISION))
}

/// Whether the pod's download runs, and can be asked how far it is.
#[must_use]
pub fn is_fetching(pod: &Pod) -> bool {
    fetch_status(pod).is_some_and(|status| status.state.as_ref().is_some_and(|state| state.running.is_some()))
}

fn is_under_way(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    !matches!(phase, Some("Succeeded" | "Failed"))
}

fn is_done(status: &ContainerStatus) -> bool {
    let ended = status.state.as_ref().and_then(|state| state.terminated.as_ref());
    ended.is_some_and(|ended| ended.exit_code == 0)
}

fn fetch_status(pod: &Pod) -> Option<&ContainerStatus> {
    let status = pod.status.as_ref()?;
    let all = status.init_container_statuses.iter().chain(&status.container_statuses).flatten();
    all.into_iter().find(|status| status.name == FETCH)
}

/// What a download said when it failed, as `portico fetch` writes it: `REASON: message`.
fn last_words(pod: &Pod) -> Option<(Reason, String)> {
    let status = fetch_status(pod)?;
    let of = |state: &Option<k8s_openapi::api::core::v1::ContainerState>| state.as_ref()?.terminated.clone();
    let ended = of(&status.state).or_else(|| of(&status.last_state)).filter(|ended| ended.exit_code != 0)?;
    Some(words(&ended))
}

fn words(ended: &ContainerStateTerminated) -> (Reason, String) {
    let said = ended.message.as_deref().unwrap_or_default().trim();
    match said.split_once(": ") {
        Some(("ChecksumMismatch", message)) => (Reason::ChecksumMismatch, message.to_owned()),
        Some(("NoSpace", message)) => (Reason::NoSpace, message.to_owned()),
        Some(("NotFound" | "Unauthorized" | "Unreachable" | "Interrupted" | "Unwritable", message)) => {
            (Reason::DownloadFailed, message.to_owned())
        }
        _ => {
            let why = ended.reason.as_deref().unwrap_or("Error");
            let message = format!("The download ended with exit code {} ({why}): {said}", ended.exit_code);
            (Reason::DownloadFailed, message.trim_end_matches([':', ' ']).to_owned())
        }
    }
}
