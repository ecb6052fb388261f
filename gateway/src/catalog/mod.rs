//! What all servers offer, as one immutable snapshot that answers lists from memory.
//!
//! Each server's last known [`Listing`] is kept apart; whenever one changes the snapshot is built anew, at most every
//! [`PACE`], and whoever holds a stream open learns which lists changed.

mod kind;
mod listing;
mod names;
mod snapshot;
mod uri;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{Notify, watch};

use crate::backend::Backend;
use crate::source::ServerKey;

pub(crate) use kind::Route;
pub(crate) use listing::{Definition, Family, Listing};
pub(crate) use snapshot::Snapshot;

/// Time between two snapshots: a burst of changes becomes one notification.
const PACE: Duration = Duration::from_millis(100);

/// Counts the changes of each list since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Revision {
    pub(crate) tools: u64,
    pub(crate) resources: u64,
    pub(crate) prompts: u64,
}

/// A server and the last list it gave.
#[derive(Debug, Clone)]
pub(crate) struct Listed {
    pub(crate) backend: Arc<Backend>,
    pub(crate) listing: Arc<Listing>,
}

/// The catalogue.
#[derive(Debug)]
pub(crate) struct Catalog {
    listed: Mutex<BTreeMap<ServerKey, Listed>>,
    building: Mutex<()>,
    dirty: Notify,
    /// Lists that were put, since the start.
    puts: AtomicU64,
    /// How many of them the snapshot holds.
    built: watch::Sender<u64>,
    snapshot: ArcSwap<Snapshot>,
    revision: watch::Sender<Revision>,
}

impl Catalog {
    /// An empty one.
    pub(crate) fn new() -> Self {
        Self {
            listed: Mutex::default(),
            building: Mutex::default(),
            dirty: Notify::new(),
            puts: AtomicU64::new(0),
            built: watch::Sender::new(0),
            snapshot: ArcSwap::from_pointee(Snapshot::default()),
            revision: watch::Sender::new(Revision::default()),
        }
    }

    /// The newest snapshot.
    pub(crate) fn load(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// Tells of changes; a reader that is late sees one change instead of many.
    pub(crate) fn revisions(&self) -> watch::Receiver<Revision> {
        self.revision.subscribe()
    }

    /// The last list of `key`.
    pub(crate) fn listing(&self, key: &ServerKey) -> Option<Arc<Listing>> {
        self.lock().get(key).map(|listed| Arc::clone(&listed.listing))
    }

    /// Whether `key` tells of changes of single resources.
    pub(crate) fn watches(&self, key: &ServerKey) -> bool {
        self.lock().get(key).is_some_and(|listed| listed.listing.subscribes)
    }

    /// Replaces the list of a server.
    pub(crate) fn put(&self, backend: Arc<Backend>, listing: Arc<Listing>) {
        self.lock().insert(backend.key().clone(), Listed { backend, listing });
        self.puts.fetch_add(1, Ordering::AcqRel);
        self.dirty.notify_one();
    }

    /// Waits until clients see every list that was put before.
    pub(crate) async fn shown(&self) {
        let put = self.puts.load(Ordering::Acquire);
        // The sender is this catalogue's own.
        self.built.subscribe().wait_for(|built| *built >= put).await.ok();
    }

    /// Forgets a server that is gone from the source.
    pub(crate) fn remove(&self, key: &ServerKey) {
        if self.lock().remove(key).is_some() {
            self.dirty.notify_one();
        }
    }

    /// Builds the snapshot again although no list changed: a server's tool selection did.
    pub(crate) fn rebuild(&self) {
        self.dirty.notify_one();
    }

    /// Builds snapshots as lists change, for ever.
    pub(crate) async fn run(&self) {
        loop {
            self.dirty.notified().await;
            self.build();
            tokio::time::sleep(PACE).await;
        }
    }

    /// Builds a snapshot of all lists as they are now.
    pub(crate) fn build(&self) {
        let _one_at_a_time = self.building.lock().unwrap_or_else(PoisonError::into_inner);
        // Counted before the lists are read: what is put meanwhile may be left out.
        let put = self.puts.load(Ordering::Acquire);
        let listed: Vec<Listed> = self.lock().values().cloned().collect();
        let new = Snapshot::build(&listed);
        let old = self.snapshot.swap(Arc::new(new));
        self.built.send_replace(put);
        let new = self.snapshot.load();
        self.revision.send_if_modified(|revision| {
            let before = *revision;
            revision.tools += u64::from(!new.tools.same_list(&old.tools));
            revision.prompts += u64::from(!new.prompts.same_list(&old.prompts));
            let resources =
                new.resources.same_list(&old.resources) && new.templates.same_list(&old.templates);
            revision.resources += u64::from(!resources);
            before != *revision
        });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<ServerKey, Listed>> {
        self.listed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
