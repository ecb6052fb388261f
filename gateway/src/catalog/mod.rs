//! What all servers offer, as one immutable snapshot that answers lists from memory.
//!
//! Each server's last known [`Listing`] is kept apart; whenever one changes the snapshot is built anew, at once when all was
//! quiet and with a pause within a burst, and whoever holds a stream open learns which lists changed.

mod canonical;
mod hints;
pub(crate) mod kept;
mod kind;
mod links;
mod listing;
mod names;
mod overrides;
mod pace;
mod pin;
mod search;
mod snapshot;
mod uri;
mod view;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

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
use pace::Telling;
use pin::Pins;
pub(crate) use pin::{Digests, Drift};
pub(crate) use search::Search;
pub(crate) use snapshot::Snapshot;
pub(crate) use view::{CALL_TOOL, FIND_TOOLS, Hidden, Revision, View, ViewName};

/// Names that are not shown and are told of one server.
const MAX_HIDDEN: usize = 16;

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
        let mut telling = Telling::default();
        loop {
            if telling.takes() {
                self.tell();
            }
            let due = telling.due();
            tokio::select! {
                () = self.dirty.notified() => {
                    let began = Instant::now();
                    if self.build_untold() {
                        telling.add();
                    }
                    if telling.takes() {
                        self.tell();
                    }
                    tokio::time::sleep(pace::pause(began.elapsed())).await;
                }
                () = until(due) => {}
            }
        }
    }

    /// Builds a snapshot of all lists as they are now, and tells of it.
    pub(crate) fn build(&self) {
        if self.build_untold() {
            self.tell();
        }
    }

    fn tell(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    /// Whether some list changed.
    fn build_untold(&self) -> bool {
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
        new.differs(&old)
    }

    /// Tools and prompts of `key` that `/mcp` does not show, and the server that has the name of each; some, if there are many.
    pub(crate) fn hidden(&self, key: &ServerKey) -> Vec<(String, ServerKey)> {
        let snapshot = self.load();
        let own = snapshot.all().hidden.iter().filter(|hidden| hidden.server == *key);
        own.take(MAX_HIDDEN).map(|hidden| (hidden.name.clone(), hidden.kept.clone())).collect()
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

async fn until(due: Option<tokio::time::Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::source::Server;

    fn put(catalog: &Catalog, server: usize, tool: usize) {
        let key = ServerKey { namespace: "shop".into(), name: format!("s{server}") };
        let text = format!(
            r#"{{"form":1,"era":"modern","version":"2026-07-28","hasResources":false,"tools":[{{"name":"t{tool}","inputSchema":{{}}}}],"resources":[],"resourceTemplates":[],"prompts":[]}}"#
        );
        let backend = Arc::new(Backend::new(&Server::new(key, Vec::new())));
        catalog.put(backend, Arc::new(kept::read(&text).unwrap()));
    }

    fn tools(catalog: &Catalog) -> usize {
        let page = catalog.load().all().tools.page(None, 2000).unwrap();
        String::from_utf8(page.items.to_vec()).unwrap().matches("inputSchema").count()
    }

    fn running() -> Arc<Catalog> {
        let catalog = Arc::new(Catalog::new(Arc::new(Metrics::new())));
        let of_task = Arc::clone(&catalog);
        tokio::spawn(async move { of_task.run().await });
        catalog
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_is_shown_and_told_at_once_when_all_was_quiet() {
        let catalog = running();
        let mut changes = catalog.changes();
        for server in 0..3 {
            let before = tokio::time::Instant::now();
            put(&catalog, server, 0);
            catalog.shown().await;
            changes.changed().await.unwrap();
            assert_eq!(before.elapsed(), Duration::ZERO, "no time passed");
            assert_eq!(tools(&catalog), server + 1);
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_start_with_many_servers_shows_all_of_them_without_a_snapshot_for_each() {
        let catalog = running();
        let (began, before) = (tokio::time::Instant::now(), *catalog.changes().borrow());
        for server in 0..20 {
            put(&catalog, server, server);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        catalog.shown().await;
        assert_eq!(tools(&catalog), 20);
        assert!(began.elapsed() < Duration::from_millis(60), "{:?}", began.elapsed());
        for server in 0..1000 {
            put(&catalog, server, server);
        }
        catalog.shown().await;
        assert_eq!(tools(&catalog), 1000);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(*catalog.changes().borrow() - before, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_changes_all_the_time_is_told_of_ten_times_a_second_and_at_last() {
        let catalog = running();
        let told = catalog.changes();
        for change in 0..1000 {
            put(&catalog, 0, change);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let many = *told.borrow();
        assert!((9..=11).contains(&many), "{many} notifications in a second");
        tokio::time::sleep(Duration::from_millis(250)).await;
        let all = *told.borrow();
        assert!((many + 1..=many + 2).contains(&all), "the last change is told of");
        let list =
            String::from_utf8(catalog.load().all().tools.page(None, 1).unwrap().items.to_vec()).unwrap();
        assert!(list.contains("t999"), "{list}");
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(*told.borrow(), all, "and nothing else");
    }
}
