//! One pod's life: from its address to the last report.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::future::join_all;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};
use kube::api::{DeleteParams, Preconditions};
use kube::{Api, ResourceExt};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::address::Address;
use super::agent::Agent;
use super::board::{Board, Role, init_role};
use super::environment::{Facts, namespace};
use super::report::Reporter;
use super::{Refusal, container, events, status, volume};
use crate::Error;
use crate::network::ADDRESS;
use crate::pki::put;

/// What a pod gets to end in where it does not say.
const GRACE_SECONDS: i64 = 30;

/// What the containers of one pod share. The pod is as it was first seen: its specification never changes.
pub(super) struct Context {
    pub(super) agent: Arc<Agent>,
    pub(super) pod: Pod,
    /// A folder for this pod alone.
    pub(super) folder: PathBuf,
    pub(super) board: Board,
    pub(super) begin: Timestamp,
    pub(super) ip: String,
    /// The pod is to end; sidecars end after the others.
    pub(super) ending: CancellationToken,
    pub(super) sidecars_ending: CancellationToken,
    grace: OnceLock<Duration>,
    _address: Address,
}

impl Context {
    fn new(agent: Arc<Agent>, pod: Pod) -> Result<Self, Refusal> {
        let address = agent.addresses.take()?;
        let folder = agent.folder.join("pods").join(pod.uid().unwrap_or_default());
        std::fs::create_dir_all(&folder).map_err(Error::file("making", &folder))?;
        put(&folder.join("resolv.conf"), &name_resolution(&namespace(&pod)))?;
        Ok(Self {
            board: Board::new(&pod.spec.clone().unwrap_or_default()),
            ip: address.ip.to_string(),
            agent,
            pod,
            folder,
            begin: status::now(),
            ending: CancellationToken::new(),
            sidecars_ending: CancellationToken::new(),
            grace: OnceLock::new(),
            _address: address,
        })
    }

    pub(super) fn facts(&self) -> Facts<'_> {
        Facts { client: &self.agent.client, pod: &self.pod, ip: &self.ip }
    }

    pub(super) fn spec(&self) -> PodSpec {
        self.pod.spec.clone().unwrap_or_default()
    }

    /// How long a container may take to end.
    pub(super) fn grace(&self) -> Duration {
        let own = || seconds(self.pod.spec.as_ref().and_then(|spec| spec.termination_grace_period_seconds));
        self.grace.get().copied().unwrap_or_else(own)
    }

    /// The file that gets what a container prints.
    pub(super) fn log(&self, container: &str) -> Result<PathBuf, Error> {
        let folder = self.agent.folder.join("logs").join(namespace(&self.pod)).join(self.pod.name_any());
        std::fs::create_dir_all(&folder).map_err(Error::file("making", &folder))?;
        Ok(folder.join(format!("{container}.log")))
    }

    pub(super) fn tell(&self, reason: &str, message: String) {
        events::tell(&self.agent.client, &self.pod, reason, message);
    }

    fn is_over(&self) -> bool {
        self.ending.is_cancelled()
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.folder).ok();
    }
}

fn seconds(number: Option<i64>) -> Duration {
    Duration::from_secs(number.unwrap_or(GRACE_SECONDS).unsigned_abs())
}

/// Names resolve as in a pod: its own namespace's first.
fn name_resolution(namespace: &str) -> String {
    format!(
        "nameserver {ADDRESS}\nsearch {namespace}.svc.cluster.local svc.cluster.local cluster.local\n\
         options ndots:5 attempts:1 timeout:2\n"
    )
}

/// Runs a pod until it is gone. Dropped, all its processes are killed.
pub(super) async fn run(agent: Arc<Agent>, mut latest: watch::Receiver<Pod>) {
    let pod = latest.borrow_and_update().clone();
    let client = agent.client.clone();
    let context = match Context::new(agent, pod.clone()) {
        Ok(context) => Arc::new(context),
        Err(refusal) => return events::tell(&client, &pod, "FailedCreatePodSandBox", refusal.to_string()),
    };
    let mut reporter = Reporter::new(Arc::clone(&context), latest.clone());
    tokio::select! {
        () = live(&context) => {}
        () = reporter.follow() => {}
        () = refresh(&context) => {}
        () = await_end(&context, latest.clone()) => {}
    }
    reporter.write().await;
    // One that has ended by itself stays until somebody deletes it.
    latest.wait_for(|pod| pod.metadata.deletion_timestamp.is_some()).await.ok();
    reporter.write().await;
    remove(&context).await;
}

/// Passes on that the pod was deleted; never ends.
async fn await_end(context: &Context, mut latest: watch::Receiver<Pod>) {
    if let Ok(pod) = latest.wait_for(|pod| pod.metadata.deletion_timestamp.is_some()).await {
        context.grace.set(seconds(pod.metadata.deletion_grace_period_seconds)).ok();
    }
    context.ending.cancel();
    std::future::pending::<()>().await;
}

/// Mounted objects follow those on the server; never ends.
async fn refresh(context: &Context) {
    loop {
        tokio::time::sleep(context.agent.options.volume_refresh).await;
        // What went missing meanwhile stays mounted as it was.
        volume::prepare(&context.facts(), &volumes(&context.folder)).await.ok();
    }
}

/// Where a pod's volumes lie in its folder.
pub(super) fn volumes(folder: &Path) -> PathBuf {
    folder.join("volumes")
}

/// Runs the containers: those for the start one after the other, then all others at once.
async fn live(context: &Arc<Context>) {
    let spec = context.spec();
    let mut sidecars = JoinSet::new();
    if start_up(context, &spec, &mut sidecars).await && !context.is_over() {
        let first = spec.init_containers.as_ref().map_or(0, Vec::len);
        let mains = spec.containers.iter().enumerate();
        join_all(mains.map(|(index, main)| container::run(context, first + index, main, Role::Main))).await;
    }
    context.sidecars_ending.cancel();
    sidecars.join_all().await;
}

/// Whether every container for the start has done its part.
async fn start_up(context: &Arc<Context>, spec: &PodSpec, sidecars: &mut JoinSet<i32>) -> bool {
    for (index, init) in spec.init_containers.iter().flatten().enumerate() {
        if init_role(init) == Role::Sidecar {
            sidecars.spawn(sidecar(Arc::clone(context), index, init.clone()));
            tokio::select! {
                () = context.board.until(index, |record| record.started) => {}
                () = context.ending.cancelled() => {}
            }
        } else if container::run(context, index, init, Role::Init).await != 0 {
            return false;
        }
        if context.is_over() {
            return false;
        }
    }
    true
}

async fn sidecar(context: Arc<Context>, index: usize, container: Container) -> i32 {
    container::run(&context, index, &container, Role::Sidecar).await
}

/// The last step of a deletion is the node's: only now the object goes.
async fn remove(context: &Context) {
    let pods: Api<Pod> = Api::namespaced(context.agent.client.clone(), &namespace(&context.pod));
    let preconditions = Preconditions { uid: context.pod.uid(), resource_version: None };
    let now = DeleteParams {
        grace_period_seconds: Some(0),
        preconditions: Some(preconditions),
        ..DeleteParams::default()
    };
    pods.delete(&context.pod.name_any(), &now).await.ok();
}
