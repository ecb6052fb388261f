//! Finds the servers by watching a cluster: `McpServer`s say which there are, `EndpointSlice`s where they are ready.
//!
//! What was seen last stays in force while the API server is away; after that only differences are acted on. A gateway
//! that starts meanwhile begins with what an earlier one kept.

mod find;
mod lists;
mod peers;
mod replicas;
mod report;
mod scaler;
mod secrets;
mod watched;

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{SelectAll, StreamExt as _};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::runtime::reflector::Store;
use kube::runtime::watcher;
use kube::{Api, Client};
use portico_crds::{InferenceModel, McpServer};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::keep::Seen;
use crate::source::Servers;
use find::Objects;
pub use lists::kept_lists;
pub use peers::peers;
pub use portico_crds::lease::Claim;
pub use report::{Duties, FIELD_MANAGER, report};
pub use scaler::Deployments;
pub use secrets::ClusterSecrets;
use watched::{Change, watched, watched_as};

/// Changes within this time are taken as one: a rollout brings many.
const SETTLE: Duration = Duration::from_millis(20);
/// How long the cluster is waited for at the start where kept servers can be served meanwhile.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the operator makes of servers and models.
const OURS: &str = "app.kubernetes.io/name in (mcp-server, inference-model)";

/// Where to look.
#[derive(Clone)]
pub struct Scope {
    /// The API server.
    pub client: Client,
    /// The one namespace to look at; `None` for all.
    pub namespace: Option<String>,
}

impl Scope {
    fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>,
    {
        let client = self.client.clone();
        self.namespace
            .as_ref()
            .map_or_else(|| Api::all(client.clone()), |name| Api::namespaced(client.clone(), name))
    }
}

#[derive(Clone)]
struct Caches {
    servers: Store<McpServer>,
    models: Store<InferenceModel>,
    slices: Store<EndpointSlice>,
    services: Store<Service>,
    deployments: Store<Deployment>,
    pods: Store<Pod>,
}

impl Caches {
    /// Waits until each cache was filled once; `false` if that can never be.
    async fn filled(&self) -> bool {
        let (servers, models, slices, services, deployments, pods) = tokio::join!(
            self.servers.wait_until_ready(),
            self.models.wait_until_ready(),
            self.slices.wait_until_ready(),
            self.services.wait_until_ready(),
            self.deployments.wait_until_ready(),
            self.pods.wait_until_ready()
        );
        [servers, models, slices, services, deployments, pods].iter().all(Result::is_ok)
    }

    fn find(&self) -> Servers {
        Arc::new(find::servers(&Objects {
            resources: self.servers.state(),
            models: self.models.state(),
            slices: self.slices.state(),
            services: self.services.state(),
            deployments: self.deployments.state(),
            pods: self.pods.state(),
        }))
    }
}

/// What is found in a cluster, and followed.
pub struct Found {
    /// The servers.
    pub servers: watch::Receiver<Servers>,
    /// The same, with what is known of when.
    pub(crate) seen: watch::Receiver<Seen>,
    /// The one namespace that is looked at.
    pub(crate) namespace: Option<String>,
    /// What says so.
    caches: Caches,
    /// Counts what was seen to change.
    changes: watch::Receiver<u64>,
}

/// Follows the servers of `scope` until `stop`. Returns once they have all been seen; `None` if `stop` came first. With
/// `kept` servers it waits two seconds at most, and begins with those until the cluster tells of its own.
///
/// The future is boxed, so that it is compiled here once and not in every program that awaits it.
#[must_use]
pub fn follow(scope: &Scope, kept: Option<Seen>, stop: CancellationToken) -> BoxFuture<'_, Option<Found>> {
    Box::pin(first_seen(scope, kept, stop))
}

async fn first_seen(scope: &Scope, kept: Option<Seen>, stop: CancellationToken) -> Option<Found> {
    let (servers, server_changes) = watched(scope.api());
    let (slices, slice_changes) = watched(scope.api());
    let (services, service_changes) = watched(scope.api());
    let (models, model_changes) = watched(scope.api());
    let ours = || watcher::Config::default().labels(OURS);
    let (deployments, deployment_changes) = watched_as(scope.api(), ours(), replicas::prune);
    let (pods, pod_changes) = watched_as(scope.api(), ours(), replicas::prune_pod);
    let caches = Caches { servers, models, slices, services, deployments, pods };
    let changes =
        [server_changes, model_changes, slice_changes, service_changes, deployment_changes, pod_changes];
    let changes = futures::stream::select_all(changes);
    let may_begin = kept.is_some();
    let news = News::new(kept);
    let (count, mut counted) = watch::channel(0);
    let found = Found {
        servers: news.servers.subscribe(),
        seen: news.seen.subscribe(),
        namespace: scope.namespace.clone(),
        caches: caches.clone(),
        changes: counted.clone(),
    };
    tokio::spawn(async move { stop.run_until_cancelled(publish(caches, changes, news, count)).await });
    let patience = if may_begin { PATIENCE } else { Duration::MAX };
    match tokio::time::timeout(patience, counted.changed()).await {
        Ok(seen) => seen.ok()?,
        Err(_) => tell_stale(&found.seen.borrow()),
    }
    Some(found)
}

fn tell_stale(seen: &Seen) {
    let (servers, seconds) = (seen.servers.len(), seen.age().as_secs());
    tracing::warn!(
        servers,
        seconds,
        "the cluster cannot be reached; serving the servers that were kept so many seconds ago, until it can"
    );
}

/// Where the servers are published.
struct News {
    servers: watch::Sender<Servers>,
    seen: watch::Sender<Seen>,
}

impl News {
    /// With what is known before the cluster tells anything.
    fn new(kept: Option<Seen>) -> Self {
        let seen = kept.unwrap_or_else(|| Seen::now(Servers::default()));
        Self { servers: watch::Sender::new(Arc::clone(&seen.servers)), seen: watch::Sender::new(seen) }
    }

    /// The cluster tells of `found`; what did not change is no news.
    fn tell(&self, found: &Servers) {
        let first = !self.seen.borrow().fresh;
        let differs = self.servers.send_if_modified(|known| {
            let differs = known != found;
            *known = Arc::clone(found);
            differs
        });
        if first {
            tracing::info!(
                servers = found.len(),
                changed = differs,
                "the cluster tells of its servers again"
            );
        }
        if first || differs {
            self.seen.send_replace(Seen::now(Arc::clone(found)));
        }
    }
}

/// Publishes the servers at every change, for ever.
async fn publish(caches: Caches, mut changes: SelectAll<Change>, news: News, count: watch::Sender<u64>) {
    let filling = async { while changes.next().await.is_some() {} };
    tokio::select! {
        filled = caches.filled() => if !filled { return },
        () = filling => return,
    }
    news.tell(&caches.find());
    count.send_modify(|count| *count += 1);
    while changes.next().await.is_some() {
        let until = tokio::time::sleep(SETTLE);
        tokio::pin!(until);
        loop {
            tokio::select! {
                more = changes.next() => if more.is_none() { return },
                () = &mut until => break,
            }
        }
        news.tell(&caches.find());
        count.send_modify(|count| *count += 1);
    }
}
