//! What all servers offer, as one immutable snapshot that answers lists from memory.
//!
//! Each server's last known [`Listing`] is kept apart; whenever one changes the snapshot is built anew, at most every
//! [`PACE`], and whoever holds a stream open learns which lists changed.

mod canonical;
mod hints;
pub(crate) mod kept;
mod kind;
mod listing;
mod names;
mod overrides;
mod pin;
mod search;
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
use crate::source::{Pinned, ServerKey};

pub(crate) use canonical::canonical;
pub(crate) use hints::Hints;
pub(crate) use kind::Route;
pub(crate) use listing::{Definition, Family, Listing};
use pin::Pins;
pub(crate) use pin::{Digests, Drift};
pub(crate) use search::Search;
pub(crate) use snapshot::Snapshot;
pub(crate) use view::{CALL_TOOL, FIND_TOOLS, Hidden, Revision, View, ViewName};

/// Time between two snapshots: a burst of changes becomes one notification.
const PACE: Duration = Duration::from_millis(100);

/// A server and the last list it gave.
#[derive(Debug, Clone)]
pub(crate) struct Listed {
    pub(crate) backend: Arc<Backend>,
    pub(crate) listing: Arc<Listing>,
    /// What its tools mean.
    pub(crate) digests: Arc<Digests>,
    /// Which of them were not approved, if it is pinned.
    pub(crate) drift: Option<Arc<Drift>>,
}

/// What a server's tools mean, and what is remembered of them.
#[derive(Debug, Clone)]
pub(crate) struct Judged {
    pub(crate) digests: Arc<Digests>,
    /// Which tools were not approved, if the server is pinned.
    pub(crate) drift: Option<Drift>,
    pub(crate) pinned: Option<Pinned>,
}

/// The catalogue.
#[derive(Debug)]
pub(crate) struct Catalog {
    metrics: Arc<Metrics>,
    listed: Mutex<BTreeMap<ServerKey, Listed>>,
    building: Mutex<()>,
    dirty: Notify,
    /// What was put or changed, since the start.
    puts: AtomicU64,
    /// How many of them the snapshot holds.
    built: watch::Sender<u64>,
    snapshot: ArcSwap<Snapshot>,
    config: ArcSwap<Config>,
    pins: Pins,
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
            pins: Pins::default(),
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

    /// Tells how many of what was put the newest snapshot holds.
    pub(crate) fn built(&self) -> watch::Receiver<u64> {
        self.built.subscribe()
    }

    /// The lists that servers gave in this process's life.
    pub(crate) fn confirmed(&self) -> Vec<(ServerKey, Arc<Listing>)> {
        let confirmed = |listed: &&Listed| listed.backend.is_confirmed();
        let pair = |listed: &Listed| (listed.backend.key().clone(), Arc::clone(&listed.listing));
        self.lock().values().filter(confirmed).map(pair).collect()
    }

    /// What the tools of `key` mean, and what of them was not approved.
    pub(crate) fn pins(&self, key: &ServerKey) -> Option<Judged> {
        let listed = self.lock().get(key).cloned()?;
        Some(self.judged(&listed))
    }

    /// Whether `key` tells of changes of single resources.
    pub(crate) fn watches(&self, key: &ServerKey) -> bool {
        self.lock().get(key).is_some_and(|listed| listed.listing.subscribes)
    }

    fn judged(&self, listed: &Listed) -> Judged {
        let digests = Arc::clone(&listed.digests);
        let key = listed.backend.key();
        let Some(pinning) = listed.backend.live().server.pinning.clone() else {
            self.pins.forget(key);
            return Judged { digests, drift: None, pinned: None };
        };
        let (drift, pinned) = self.pins.judge(key, &pinning, &digests);
        Judged { digests, drift: Some(drift), pinned }
    }

    /// Replaces the list of a server.
    pub(crate) fn put(&self, backend: Arc<Backend>, listing: Arc<Listing>) {
        let digests = Arc::new(Digests::of(&listing.tools));
        self.lock().insert(backend.key().clone(), Listed { backend, listing, digests, drift: None });
        self.rebuild();
    }

    /// Waits until clients see everything that was put or changed before.
    pub(crate) async fn shown(&self) {
        let put = self.puts.load(Ordering::Acquire);
        // The sender is this catalogue's own.
        self.built.subscribe().wait_for(|built| *built >= put).await.ok();
    }

    /// Forgets a server that is gone from the source.
    pub(crate) fn remove(&self, key: &ServerKey) {
        self.pins.forget(key);
        if self.lock().remove(key).is_some() {
            self.dirty.notify_one();
        }
    }

    /// Builds the snapshot again although no list changed: a server's tool selection did.
    pub(crate) fn rebuild(&self) {
        self.puts.fetch_add(1, Ordering::AcqRel);
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
        let mut listed: Vec<Listed> = self.lock().values().cloned().collect();
        for listed in &mut listed {
            listed.drift = self.judged(listed).drift.map(Arc::new);
        }
        let old = self.snapshot.load_full();
        let new = Arc::new(Snapshot::build(&listed, &self.config.load_full(), &old));
        self.tell_hidden(&listed, &old.all().hidden, &new.all().hidden);
        for Listed { backend, .. } in &listed {
            self.metrics.catalog.tool_bytes(backend.key(), new.tool_bytes(backend));
        }
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
        for hidden in now {
            *counts.entry(&hidden.server).or_default() += 1;
        }
        for key in listed.iter().map(|listed| listed.backend.key()) {
            self.metrics.catalog.hidden(key, counts.get(key).copied().unwrap_or_default());
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<ServerKey, Listed>> {
        self.listed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
