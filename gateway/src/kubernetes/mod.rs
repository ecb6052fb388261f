//! Finds the servers by watching a cluster: `McpServer`s say which there are, `EndpointSlice`s where they are ready.
//!
//! What was seen last stays in force while the API server is away; after that only differences are acted on.

mod find;
mod lists;
mod report;
mod secrets;
mod watched;

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{SelectAll, StreamExt as _};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::runtime::reflector::Store;
use kube::{Api, Client};
use portico_crds::McpServer;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::source::Servers;
pub use lists::kept_lists;
pub use portico_crds::lease::Claim;
pub use report::{Duties, FIELD_MANAGER, report};
pub use secrets::ClusterSecrets;
use watched::{Change, watched};

/// Changes within this time are taken as one: a rollout brings many.
const SETTLE: Duration = Duration::from_millis(20);

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

struct Caches {
    servers: Store<McpServer>,
    slices: Store<EndpointSlice>,
    services: Store<Service>,
}

impl Caches {
    /// Waits until each cache was filled once; `false` if that can never be.
    async fn filled(&self) -> bool {
        let (servers, slices, services) = tokio::join!(
            self.servers.wait_until_ready(),
            self.slices.wait_until_ready(),
            self.services.wait_until_ready()
        );
        servers.is_ok() && slices.is_ok() && services.is_ok()
    }

    fn find(&self) -> Servers {
        Arc::new(find::servers(&self.servers.state(), &self.slices.state(), &self.services.state()))
    }
}

/// What is found in a cluster, and followed.
pub struct Found {
    /// The servers.
    pub servers: watch::Receiver<Servers>,
    /// The resources that say so.
    resources: Store<McpServer>,
    /// Counts what was seen to change.
    changes: watch::Receiver<u64>,
}

/// Follows the servers of `scope` until `stop`. Returns once they have all been seen; `None` if `stop` came first.
///
/// The future is boxed, so that it is compiled here once and not in every program that awaits it.
#[must_use]
pub fn follow(scope: &Scope, stop: CancellationToken) -> BoxFuture<'_, Option<Found>> {
    Box::pin(first_seen(scope, stop))
}

async fn first_seen(scope: &Scope, stop: CancellationToken) -> Option<Found> {
    let (servers, server_changes) = watched(scope.api());
    let (slices, slice_changes) = watched(scope.api());
    let (services, service_changes) = watched(scope.api());
    let resources = servers.clone();
    let caches = Arc::new(Caches { servers, slices, services });
    let changes = futures::stream::select_all([server_changes, slice_changes, service_changes]);
    let sender = watch::Sender::new(Servers::default());
    let (count, counted) = watch::channel(0);
    let receiver = sender.subscribe();
    let (first, seen) = tokio::sync::oneshot::channel();
    let task = publish(Arc::clone(&caches), changes, (sender, count), first);
    tokio::spawn(async move { stop.run_until_cancelled(task).await });
    seen.await.ok().map(|()| Found { servers: receiver, resources, changes: counted })
}

/// Publishes the servers at every change, for ever.
async fn publish(
    caches: Arc<Caches>,
    mut changes: SelectAll<Change>,
    (servers, count): (watch::Sender<Servers>, watch::Sender<u64>),
    first: tokio::sync::oneshot::Sender<()>,
) {
    let filling = async { while changes.next().await.is_some() {} };
    tokio::select! {
        filled = caches.filled() => if !filled { return },
        () = filling => return,
    }
    servers.send_replace(caches.find());
    // Whoever asked may have left.
    let _ = first.send(());
    while changes.next().await.is_some() {
        let until = tokio::time::sleep(SETTLE);
        tokio::pin!(until);
        loop {
            tokio::select! {
                more = changes.next() => if more.is_none() { return },
                () = &mut until => break,
            }
        }
        servers.send_if_modified(|known| {
            let found = caches.find();
            let differs = *known != found;
            *known = found;
            differs
        });
        count.send_modify(|count| *count += 1);
    }
}
