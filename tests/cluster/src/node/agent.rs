//! The node at work: what the scheduler binds to it runs, what is deleted ends.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch_objects};
use kube::{Api, Client, ResourceExt};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

use super::address::Addresses;
use super::sandbox::Sandbox;
use super::status::is_final;
use super::{NODE_NAME, NodeOptions, pod, register};
use crate::control::client_of;
use crate::{Error, identity};

/// What all pods of the node share.
pub(super) struct Agent {
    pub(super) client: Client,
    pub(super) sandbox: Sandbox,
    pub(super) addresses: Addresses,
    pub(super) options: NodeOptions,
    /// The cluster's folder.
    pub(super) folder: PathBuf,
    pub(super) images: PathBuf,
}

/// Runs the node until `stop`; then all its containers are killed.
pub(super) async fn run(folder: PathBuf, options: NodeOptions, stop: CancellationToken) -> Result<(), Error> {
    let client = client_of(&identity::NODE.kubeconfig(&folder)).await?;
    let sandbox = Sandbox::find(&folder.join("pods"))?;
    let images = folder.join("images");
    let addresses = Addresses::default();
    register::register(&client).await?;
    let agent = Arc::new(Agent { client: client.clone(), sandbox, addresses, options, folder, images });
    tokio::select! {
        () = register::beat(client) => Ok(()),
        () = stop.cancelled() => Ok(()),
        () = follow(agent) => Ok(()),
    }
}

async fn follow(agent: Arc<Agent>) {
    let api: Api<Pod> = Api::all(agent.client.clone());
    let own = watcher::Config::default().fields(&format!("spec.nodeName={NODE_NAME}"));
    let mut events = watch_objects(api, own).default_backoff().boxed();
    let mut pods = Pods { agent, running: HashMap::new(), listed: HashSet::new() };
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Init) => pods.listed.clear(),
            Ok(Event::InitApply(pod)) => {
                pods.listed.insert(pod.uid().unwrap_or_default());
                pods.seen(pod);
            }
            Ok(Event::InitDone) => pods.keep_listed(),
            Ok(Event::Apply(pod)) => pods.seen(pod),
            Ok(Event::Delete(pod)) => drop(pods.running.remove(&pod.uid().unwrap_or_default())),
            // The stream tries again by itself.
            Err(_) => {}
        }
    }
}

/// The pods that run, by uid. One that is dropped is killed.
struct Pods {
    agent: Arc<Agent>,
    running: HashMap<String, RunningPod>,
    listed: HashSet<String>,
}

struct RunningPod {
    latest: watch::Sender<Pod>,
    task: AbortHandle,
}

impl Drop for RunningPod {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Pods {
    fn seen(&mut self, pod: Pod) {
        let uid = pod.uid().unwrap_or_default();
        if let Some(running) = self.running.get(&uid) {
            running.latest.send_replace(pod);
            return;
        }
        let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default();
        if is_final(phase) && pod.metadata.deletion_timestamp.is_none() {
            return;
        }
        let (latest, changes) = watch::channel(pod);
        let task = tokio::spawn(pod::run(Arc::clone(&self.agent), changes)).abort_handle();
        self.running.insert(uid, RunningPod { latest, task });
    }

    /// What was deleted while the watch was down is in no list.
    fn keep_listed(&mut self) {
        self.running.retain(|uid, _| self.listed.contains(uid));
    }
}
