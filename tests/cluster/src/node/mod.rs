//! A stand-in for a kubelet: a node whose containers are local processes.
//!
//! It has a node's identity and rights, registers `proc-1`, runs the pods that the scheduler binds to it, and
//! reports as a kubelet does: init containers in order, probes, restarts with back-off, graceful ends. What
//! differs from a real node:
//!
//! - An image is a local program ([`NodeOptions::images`], [`crate::Cluster::add_image`]), with a private copy on
//!   write of the machine's file system under it.
//! - Pods share one [`network`](crate::network). Each has an address of its own, and an argument or a variable that
//!   says `0.0.0.0` is given that address instead; a program that listens on all addresses on its own accord would
//!   meet those of other pods. `NetworkPolicies` are not enforced.
//! - Users, capabilities, seccomp, resource limits and post-start hooks are not applied. Claims, image volumes, gRPC
//!   probes and probes over TLS are refused with a message in the container's status.

mod address;
mod agent;
mod board;
mod container;
mod environment;
mod events;
pub(crate) mod images;
mod launch;
mod pod;
mod probe;
mod projection;
mod quantity;
mod register;
mod report;
mod sandbox;
mod status;
mod volume;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use k8s_openapi::api::core::v1::Node;
use kube::Api;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::control::client_of;
use crate::{Error, identity, kwok, wait_for};

/// The node's name.
pub const NODE_NAME: &str = "proc-1";
/// From the agent's start until the scheduler may use the node.
const READY: Duration = Duration::from_mins(1);

/// What the node runs, and how fast it tries again.
#[derive(Clone, Debug)]
pub struct NodeOptions {
    /// Image name (a repository, without a tag) to the program and first arguments that it stands for. A pod's
    /// `command` replaces them, unless it names the same program.
    pub images: BTreeMap<String, Vec<String>>,
    /// The pause before a container's second restart; it doubles up to thirty times itself, as the ten seconds of
    /// a kubelet do.
    pub restart_backoff: Duration,
    /// How often mounted Secrets and `ConfigMaps` are brought up to date; a kubelet takes up to a minute.
    pub volume_refresh: Duration,
}

impl Default for NodeOptions {
    fn default() -> Self {
        Self {
            images: BTreeMap::new(),
            restart_backoff: Duration::from_millis(500),
            volume_refresh: Duration::from_secs(1),
        }
    }
}

/// Why a container cannot be made; the variant gives the reason that its status shows.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// There is no program for the image.
    #[error(
        "no local program stands for image \"{0}\": name one in NodeOptions::images or by Cluster::add_image"
    )]
    Image(String),
    /// What the container refers to is missing or not as it should be.
    #[error("{0}")]
    Config(String),
    /// This node cannot do it.
    #[error("{0}")]
    Create(String),
    /// The API server did not answer as expected.
    #[error("asking the API server: {0}")]
    Api(#[from] kube::Error),
    /// A file or process could not be had.
    #[error(transparent)]
    Local(#[from] Error),
}

impl Refusal {
    /// The reason a kubelet gives in such a case.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::Image(_) => "ErrImagePull",
            Self::Config(_) | Self::Api(_) => "CreateContainerConfigError",
            Self::Create(_) | Self::Local(_) => "CreateContainerError",
        }
    }
}

/// The node at work, on a thread and a runtime of its own: the tests' runtimes come and go.
#[derive(Debug)]
pub(crate) struct NodeThread {
    stop: CancellationToken,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl NodeThread {
    /// Starts the node of the cluster in `folder`, and waits until the scheduler may use it.
    pub(crate) async fn start(folder: &Path, options: NodeOptions) -> Result<Self, Error> {
        for (name, command) in &options.images {
            images::add(&folder.join("images"), name, command)?;
        }
        let stop = CancellationToken::new();
        let (path, token) = (folder.to_owned(), stop.clone());
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(Error::file("starting the runtime of", Path::new(NODE_NAME)))?;
        let (failed, failure) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            if let Err(error) = runtime.block_on(agent::run(path, options, token)) {
                failed.send(error).ok();
            }
        });
        let node = Self { stop, thread: Some(thread) };
        tokio::select! {
            ready = ready(folder) => ready.map(|()| node),
            Ok(error) = failure => Err(error),
        }
    }
}

async fn ready(folder: &Path) -> Result<(), Error> {
    let nodes: Api<Node> = Api::all(client_of(&identity::ADMIN.kubeconfig(folder)).await?);
    wait_for("the readiness of node proc-1", READY, async || {
        Ok::<_, Error>(nodes.get_opt(NODE_NAME).await?.filter(kwok::takes_pods).map(drop))
    })
    .await
}

impl Drop for NodeThread {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}
