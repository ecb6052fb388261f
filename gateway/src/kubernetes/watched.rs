//! One kind as a cache that the API server keeps up to date.

use futures::stream::{BoxStream, StreamExt as _};
use kube::core::NamespaceResourceScope;
use kube::runtime::reflector::{self, Store};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Resource, ResourceExt as _};
use portico_crds::labels;
use serde::de::DeserializeOwned;

use crate::cause;

/// Annotations that say something to the gateway.
const KEPT: [&str; 2] = [labels::APPROVED_TOOLS, labels::TAKE_REPLICAS];

/// A change of one kind; the caches say which.
pub(super) type Change = BoxStream<'static, ()>;

/// A kind that can be watched and kept.
pub(super) trait Cached:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Clone
    + std::fmt::Debug
    + DeserializeOwned
    + Send
    + Sync
    + 'static
{
}

impl<K> Cached for K where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + DeserializeOwned
        + Send
        + Sync
        + 'static
{
}

/// A cache of all objects of one kind, and the stream that fills it and must be polled.
///
/// A watch that breaks is begun again, with a growing pause; the cache keeps what it had.
pub(super) fn watched<K: Cached>(api: Api<K>) -> (Store<K>, Change) {
    watched_as(api, watcher::Config::default(), |object: &mut K| {
        object.managed_fields_mut().clear();
        object.annotations_mut().retain(|key, _| KEPT.contains(&key.as_str()));
    })
}

/// The same of those that `config` selects, with what `prune` leaves of each.
pub(super) fn watched_as<K: Cached>(
    api: Api<K>,
    config: watcher::Config,
    prune: impl Fn(&mut K) + Clone + Send + Sync + 'static,
) -> (Store<K>, Change) {
    let (store, writer) = reflector::store();
    let stream = watcher(api, config)
        .default_backoff()
        .modify(move |object| prune(object))
        .reflect(writer)
        .filter_map(|event| async move {
            match event {
                Ok(_) => Some(()),
                Err(error) => {
                    let (kind, error) = (K::plural(&()), cause::innermost(&error));
                    tracing::warn!(%kind, error, "a watch has broken and is begun again; what was seen last stays in force");
                    None
                }
            }
        });
    (store, stream.boxed())
}
