//! What is known of a pod's containers: written by those that run them, read by the one that reports.

use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, PodSpec};
use nix::unistd::Pid;
use tokio::sync::watch;

/// A container's role in its pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Runs to its end before the next one starts.
    Init,
    /// An init container that stays (`restartPolicy: Always`).
    Sidecar,
    /// What the pod is for.
    Main,
}

/// One run that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) code: i32,
    pub(super) begin: Timestamp,
    pub(super) end: Timestamp,
}

/// What a container does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    Waiting { reason: String, message: String },
    Running { since: Timestamp, pid: Pid },
    Ended(Ended),
}

/// What is known of one container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) name: String,
    pub(super) image: String,
    pub(super) role: Role,
    pub(super) state: State,
    /// The run before the present one.
    pub(super) last: Option<Ended>,
    pub(super) restarts: i32,
    /// Its start-up probe has succeeded.
    pub(super) started: bool,
    /// Its readiness probe succeeds.
    pub(super) ready: bool,
}

impl Record {
    pub(super) fn new(container: &Container, role: Role) -> Self {
        let reason = if role == Role::Main { "ContainerCreating" } else { "PodInitializing" };
        Self {
            name: container.name.clone(),
            image: container.image.clone().unwrap_or_default(),
            role,
            state: State::Waiting { reason: reason.to_owned(), message: String::new() },
            last: None,
            restarts: 0,
            started: false,
            ready: false,
        }
    }

    /// Whether it ended for good with success.
    pub(super) fn succeeded(&self) -> bool {
        matches!(&self.state, State::Ended(ended) if ended.code == 0)
    }
}

/// The records of one pod, init containers first.
#[derive(Debug)]
pub(super) struct Board {
    records: Mutex<Vec<Record>>,
    version: watch::Sender<u64>,
}

/// The role of an init container.
pub(super) fn init_role(container: &Container) -> Role {
    if container.restart_policy.as_deref() == Some("Always") { Role::Sidecar } else { Role::Init }
}

impl Board {
    pub(super) fn new(spec: &PodSpec) -> Self {
        let inits = spec.init_containers.iter().flatten().map(|init| Record::new(init, init_role(init)));
        let mains = spec.containers.iter().map(|main| Record::new(main, Role::Main));
        Self { records: Mutex::new(inits.chain(mains).collect()), version: watch::Sender::new(0) }
    }

    pub(super) fn records(&self) -> Vec<Record> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes one record, and tells those who wait if it differs now.
    pub(super) fn update(&self, index: usize, change: impl FnOnce(&mut Record)) {
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(record) = records.get_mut(index) else { return };
        let before = record.clone();
        change(record);
        if *record != before {
            self.version.send_modify(|version| *version += 1);
        }
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    /// Waits until a record is as wanted.
    pub(super) async fn until(&self, index: usize, wanted: impl Fn(&Record) -> bool) {
        let mut version = self.subscribe();
        while !self.records().get(index).is_none_or(&wanted) {
            if version.changed().await.is_err() {
                return;
            }
        }
    }
}
