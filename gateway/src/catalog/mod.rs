//! What all servers offer, as one immutable snapshot that answers lists from memory.
//!
//! Each server's last known [`Listing`] is kept apart; whenever one changes the snapshot is built anew, at most every
//! [`PACE`], and whoever holds a stream open learns which lists changed.

mod kind;
mod listing;
mod names;
mod overrides;
mod snapshot;
mod uri;
mod view;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{Notify, watch};

use crate::backend::Backend;
use crate::config::Config;
use crate::metrics::Metrics;
use crate::source::ServerKey;

pub(crate) use kind::Route;
pub(crate) use listing::{Definition, Family, Listing};
pub(crate) use snapshot::Snapshot;
pub(crate) use view::{Hidden, Revision, View, ViewName};

/// Time between two snapshots: a burst of changes becomes one notification.
const PACE: Duration = Duration::from_millis(100);

/// A server and the last list it gave.
#[derive(Debug, Clone)]
pub(crate) struct Listed {
    pub(crate) backend: Arc<Backend>,
    pub(crate) listing: Arc<Listing>,
}

/// The catalogue.
#[derive(Debug)]
pub(crate) struct Catalog {
    metrics: Arc<Metrics>,
    listed: Mutex<BTreeMap<ServerKey, Listed>>,
    building: Mutex<()>,
    dirty: Notify,
    /// Lists that were put, since the start.
    puts: AtomicU64,
    /// How many of them the snapshot holds.
    built: watch::Sender<u64>,
    snapshot: ArcSwap<Snapshot>,
    config: ArcSwap<Config>,
    /// Counts the snapshots in which some list changed.
    changes: watch::Sender<u64>,
}

impl Catalog {
    /// An empty one.
    pub(crate) fn new(metrics: Arc<Metrics>) -> Self {
        Self {
            metrics,
            listed: Mutex::default(),
            building: Mutex::default(),
            dirty: Notify::new(),
            puts: AtomicU64::new(0),
            built: watch::Sender::new(0),
            snapshot: ArcSwap::from_pointee(Snapshot::default()),
            config: ArcSwap::default(),
            changes: watch::Sender::new(0),
        }
    }

    /// The newest snapshot.
    pub(crate) fn load(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// Tells of changes; a reader that is late sees one change instead of many.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Takes another configuration; its endpoints are there when this returns.
    pub(crate) fn configure(&self, config: Arc<Config>) {
        self.config.store(config);
        self.build();
    }

    /// The last list of `key`.
    pub(crate) fn listing(&self, key: &ServerKey) -> Option<Arc<Listing>> {
        self.lock().get(key).map(|listed| Arc::clone(&listed.listing))
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
        let old = self.snapshot.load_full();
        let new = Arc::new(Snapshot::build(&listed, &self.config.load(), &old));
        self.tell_hidden(&listed, &old.all().hidden, &new.all().hidden);
        self.snapshot.store(Arc::clone(&new));
        self.built.send_replace(put);
        if new.differs(&old) {
            self.changes.send_modify(|count| *count += 1);
        }
    }

    /// Says once of each name that another server has it, and counts them.
    fn tell_hidden(&self, listed: &[Listed], before: &[Hidden], now: &[Hidden]) {
        for Hidden { server, name, kept } in now.iter().filter(|hidden| !before.contains(hidden)) {
            tracing::warn!(%server, %name, %kept, "a name is in use already and is not shown; rename it with `tools.overrides`, or let names have prefixes");
        }
        let mut counts: BTreeMap<&ServerKey, usize> = BTreeMap::new();
        now.iter().for_each(|hidden| *counts.entry(&hidden.server).or_default() += 1);
        for key in listed.iter().map(|listed| listed.backend.key()) {
            self.metrics.hidden(key, counts.get(key).copied().unwrap_or_default());
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<ServerKey, Listed>> {
        self.listed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
