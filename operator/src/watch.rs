//! Watches, pruned before they are kept.

use std::fmt::Debug;

use futures::{Stream, StreamExt as _};
use kube::{
    Api, Resource, ResourceExt as _,
    core::PartialObjectMeta,
    runtime::{
        WatchStreamExt as _, predicates,
        reflector::{self, Store},
        watcher,
    },
};
use portico_crds::labels;
use serde::de::DeserializeOwned;

/// What every watched type can do.
pub trait Watched:
    Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static
{
}
impl<K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static> Watched for K {}

/// Whether a cache has been filled once. `Store::wait_until_ready` wakes only the last of several that wait, so it is
/// left to the controller alone.
#[derive(Clone, Debug)]
pub struct Filled(tokio::sync::watch::Receiver<bool>);

impl Filled {
    /// Waits until it has; false if the watch has ended before.
    pub async fn wait(&self) -> bool {
        self.0.clone().wait_for(|filled| *filled).await.is_ok()
    }
}

/// A sender, and what tells it that the first list is complete.
fn filled<K>() -> (Filled, impl FnMut(&std::result::Result<watcher::Event<K>, watcher::Error>)) {
    let (sender, receiver) = tokio::sync::watch::channel(false);
    let note = move |event: &std::result::Result<watcher::Event<K>, watcher::Error>| {
        if matches!(event, Ok(watcher::Event::InitDone)) {
            sender.send_replace(true);
        }
    };
    (Filled(receiver), note)
}

/// Objects as a watch brings them, or why it does not.
pub type Result<K> = std::result::Result<K, watcher::Error>;

/// Children that the operator made for one kind, which `component` names: a cache of them, and the stream that fills it and tells of changes.
pub fn children<K: Watched>(
    api: Api<K>,
    component: &str,
) -> (Store<K>, Filled, impl Stream<Item = Result<K>> + Send + use<K>) {
    let ((reader, writer), (filled, note)) = (reflector::store(), filled());
    let own = format!("{}={},{}={component}", labels::MANAGED_BY, labels::OPERATOR, labels::COMPONENT);
    let config = watcher::Config::default().labels(&own);
    let stream = watcher(api, config)
        .default_backoff()
        .modify(|object| object.managed_fields_mut().clear())
        .reflect(writer)
        .inspect(note)
        .touched_objects();
    (reader, filled, stream)
}

/// The resources themselves: a cache, and what changes of them but for the writes that `is_own` knows.
pub fn resources<K: Watched>(
    api: Api<K>,
    is_own: impl Fn(&K) -> bool + Send,
) -> (Store<K>, Filled, impl Stream<Item = Result<K>> + Send) {
    let (reader, filled, changes) = all(api);
    let others = changes.filter(move |change| std::future::ready(!change.as_ref().is_ok_and(&is_own)));
    (reader, filled, others)
}

/// All objects with everything that changes of them, statuses included: a cache, and the changes once they are in it.
pub fn all<K: Watched>(api: Api<K>) -> (Store<K>, Filled, impl Stream<Item = Result<K>> + Send) {
    let ((reader, writer), (filled, note)) = (reflector::store(), filled());
    let stream = watcher(api, watcher::Config::default())
        .default_backoff()
        .modify(|object| object.managed_fields_mut().clear())
        .reflect(writer)
        .inspect(note)
        .touched_objects();
    (reader, filled, stream)
}

/// Changes of objects of which only the name matters; nothing is kept.
pub fn names<K>(api: Api<PartialObjectMeta<K>>) -> impl Stream<Item = Result<PartialObjectMeta<K>>> + Send
where
    K: Watched,
{
    watcher(api, watcher::Config::default())
        .default_backoff()
        .modify(|object| {
            object.managed_fields_mut().clear();
            object.annotations_mut().clear();
        })
        .touched_objects()
        .predicate_filter(predicates::resource_version, kube::runtime::PredicateConfig::default())
}

/// Changes of pods that carry `label`; nothing is kept.
pub fn pods<K: Watched>(api: Api<K>, label: &str) -> impl Stream<Item = Result<K>> + Send + use<K> {
    watcher(api, watcher::Config::default().labels(label)).default_backoff().touched_objects()
}
