//! Where the other replicas of the gateway are: behind their Service.

use std::sync::Arc;

use futures::stream::StreamExt as _;
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};
use kube::runtime::reflector::Store;
use kube::runtime::watcher;
use kube::{Api, Client};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::watched::watched_as;
use crate::scaling::Peers;

/// Follows the replicas behind the Service `name` of `namespace` until `stop`: their URLs, with the port that the Service
/// leads to, or that of `port` if it leads to several. Those that end are among them, since they finish what they have.
#[must_use]
pub fn peers(
    client: Client,
    (namespace, name, port): (&str, &str, Option<u16>),
    stop: CancellationToken,
) -> Peers {
    let api = Api::<EndpointSlice>::namespaced(client, namespace);
    let config = watcher::Config::default().labels(&format!("kubernetes.io/service-name={name}"));
    let (store, mut changes) = watched_as(api, config, |_| {});
    let (urls, peers) = watch::channel(Arc::default());
    tokio::spawn(async move {
        stop.run_until_cancelled(async {
            while changes.next().await.is_some() {
                let now = Arc::new(found(&store, port.map(i32::from)));
                urls.send_if_modified(|known| {
                    let differs = *known != now;
                    *known = now;
                    differs
                });
            }
        })
        .await;
    });
    peers
}

/// A condition that is absent means yes (EndpointSlice API).
fn serves(endpoint: &Endpoint) -> bool {
    let conditions = endpoint.conditions.as_ref();
    let is_ending = conditions.and_then(|conditions| conditions.terminating).unwrap_or(false);
    is_ending || conditions.and_then(|conditions| conditions.serving.or(conditions.ready)).unwrap_or(true)
}

fn found(store: &Store<EndpointSlice>, wanted: Option<i32>) -> Vec<String> {
    let mut urls = Vec::new();
    for slice in store.state() {
        let ports = || slice.ports.iter().flatten().filter_map(|port| port.port);
        let port = ports().find(|port| Some(*port) == wanted).or_else(|| ports().next());
        let Some(port) = port else { continue };
        let serving = slice.endpoints.iter().flatten().filter(|endpoint| serves(endpoint));
        let addresses = serving.flat_map(|endpoint| &endpoint.addresses);
        urls.extend(addresses.map(|address| match slice.address_type.as_str() {
            "IPv6" => format!("http://[{address}]:{port}"),
            _ => format!("http://{address}:{port}"),
        }));
    }
    urls.sort();
    urls.dedup();
    urls
}
