//! Answers of an API, kept for a while: in memory, or in Redis for all replicas of a server.
//!
//! Keys are made by the server, of parts with `/` between them, such as `products/01400376/milk`; what begins alike can be
//! removed together. Values stand there as they are: what is personal is sealed first.

mod entry;
mod flight;
mod memory;
mod metrics;
mod redis;
mod removals;

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use bytes::Bytes;

use crate::{ConfigError, Environment, Metrics, Secret, upstream};

pub(crate) use metrics::CacheMetrics;
pub use metrics::Lookup;

use entry::Entry;
use flight::Flights;
use memory::Memory;
use redis::Redis;

/// Longest value that is kept, in bytes.
const MAX_VALUE: usize = 8 * 1024 * 1024;
/// Longest key under which something is kept, in bytes.
const MAX_KEY: usize = 1_024;
/// Longest time for one command of Redis.
const PATIENCE: Duration = Duration::from_millis(250);
const MEBIBYTE: u64 = 1024 * 1024;

/// How long a value serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// Without a question.
    pub fresh: Duration,
    /// After that, as long as the source fails.
    pub stale: Duration,
}

impl Keep {
    fn whole(self) -> Duration {
        self.fresh.saturating_add(self.stale)
    }
}

/// A value that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// The value.
    pub value: Bytes,
    /// Time since it was made.
    pub age: Duration,
    /// Whether it serves without a question; if not, it serves only when its source fails.
    pub is_fresh: bool,
}

/// What [`Cache::fetch`] found or made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The value.
    pub value: Bytes,
    /// Time since it was made.
    pub age: Duration,
    /// Whether it is older than it should be, since its source fails: say so to whoever sees it.
    pub is_stale: bool,
}

/// Keeps answers. Clones share them.
#[derive(Clone)]
pub struct Cache {
    inner: Arc<Inner>,
}

enum Backend {
    Memory(Memory),
    Redis(Box<Redis>),
}

struct Inner {
    backend: Backend,
    flights: Flights,
    metrics: CacheMetrics,
}

impl Cache {
    fn new(backend: Backend, metrics: &Metrics) -> Self {
        let metrics = metrics.cache().clone();
        Self { inner: Arc::new(Inner { backend, flights: Flights::default(), metrics }) }
    }

    /// Keeps up to so many mebibytes in this process, what is asked for most before the rest.
    #[must_use]
    pub fn memory(mebibytes: u64, metrics: &Metrics) -> Self {
        Self::new(Backend::Memory(Memory::new(mebibytes.saturating_mul(MEBIBYTE))), metrics)
    }

    /// Keeps values in Redis, under keys that begin with `prefix`, such as `portico:kroger:`. It connects when it is first asked,
    /// and while Redis is away everything is a miss. One command takes 250 milliseconds at most.
    pub fn redis(url: &Secret, prefix: &str, metrics: &Metrics) -> Result<Self, ConfigError> {
        Self::redis_within(url, prefix, PATIENCE, metrics)
    }

    /// As [`Cache::redis`], with another longest time for one command.
    pub fn redis_within(
        url: &Secret,
        prefix: &str,
        patience: Duration,
        metrics: &Metrics,
    ) -> Result<Self, ConfigError> {
        Ok(Self::new(Backend::Redis(Box::new(Redis::new(url, prefix, patience)?)), metrics))
    }

    /// Reads `REDIS_URL` (or `REDIS_URL_FILE`); where it is not set, values are kept in memory, up to the number of mebibytes in
    /// `variable` (1 to 65,536, by default 64).
    pub fn from_env(
        environment: &Environment<'_>,
        variable: &str,
        prefix: &str,
        metrics: &Metrics,
    ) -> Result<Self, ConfigError> {
        match environment.optional_secret("REDIS_URL")? {
            Some(url) => Self::redis(&url, prefix, metrics),
            None => Ok(Self::memory(environment.number(variable, 1..=65_536, 64)?, metrics)),
        }
    }

    /// The value under `key`, fresh or not.
    pub async fn get(&self, key: &str) -> Option<Hit> {
        let found = self.inner.get(key).await;
        let outcome = if found.as_ref().is_some_and(Entry::is_fresh) { Lookup::Hit } else { Lookup::Miss };
        self.inner.metrics.looked_up(outcome, found.as_ref().map_or(0, |entry| entry.value.len()));
        found.map(|entry| Hit { age: entry.age(), is_fresh: entry.is_fresh(), value: entry.value })
    }

    /// Keeps `value`, where there is room: up to 8 MiB, under a key of up to 1,024 bytes.
    pub async fn put(&self, key: &str, value: Bytes, keep: Keep) {
        self.inner.put(key, &value, keep).await;
    }

    /// Removes what is under `key`, and has nothing kept there that is being made now.
    pub async fn remove(&self, key: &str) {
        self.inner.flights.removed(key, false);
        self.inner.remove(key).await;
    }

    /// Removes everything whose key begins with `prefix`, as [`Cache::remove`] does.
    pub async fn remove_all(&self, prefix: &str) {
        self.inner.flights.removed(prefix, true);
        self.inner.remove_all(prefix).await;
    }

    /// The fresh value under `key`; else what `make` makes, once however many ask at a time. Where that fails for a reason that
    /// passes, the value that is there, if it may still serve.
    ///
    /// `make` is polled by a task of its own: a caller that goes away does not end it for the others.
    pub async fn fetch<F>(&self, key: &str, keep: Keep, make: F) -> Result<Fetched, upstream::Error>
    where
        F: Future<Output = Result<Bytes, upstream::Error>> + Send + 'static,
    {
        let held = self.inner.get(key).await;
        if let Some(entry) = held.as_ref().filter(|entry| entry.is_fresh()) {
            return Ok(self.serve(entry, Lookup::Hit));
        }
        match (flight::join(&self.inner, key, keep, make).await, held) {
            (Err(error), Some(entry)) if error.class().allows_stale() && !entry.is_over() => {
                Ok(self.serve(&entry, Lookup::Stale))
            }
            (made, _) => {
                self.inner.metrics.looked_up(Lookup::Miss, 0);
                Ok(Fetched { value: made?, age: Duration::ZERO, is_stale: false })
            }
        }
    }

    /// Takes one of `per_minute` calls of all replicas under `key`; the error is the time until the next is allowed. No answer where nothing is
    /// shared: in memory, and while Redis is away.
    pub(crate) async fn admit(&self, key: &str, per_minute: NonZeroU32) -> Option<Result<(), Duration>> {
        let Backend::Redis(redis) = &self.inner.backend else { return None };
        let admitted = redis.admit(key, per_minute).await;
        self.inner.note(admitted.is_some());
        admitted
    }

    fn serve(&self, entry: &Entry, outcome: Lookup) -> Fetched {
        self.inner.metrics.looked_up(outcome, entry.value.len());
        Fetched { value: entry.value.clone(), age: entry.age(), is_stale: outcome == Lookup::Stale }
    }
}

impl Inner {
    async fn get(self: &Arc<Self>, key: &str) -> Option<Entry> {
        let found = match &self.backend {
            Backend::Memory(memory) => memory.get(key).await,
            Backend::Redis(redis) => {
                let (answered, found) = redis.get(key).await;
                self.note(answered);
                if answered && redis.is_unsettled() {
                    tokio::spawn(Arc::clone(self).settle());
                }
                found
            }
        };
        found.filter(|entry| !entry.is_over())
    }

    async fn fresh(self: &Arc<Self>, key: &str) -> Option<Bytes> {
        self.get(key).await.filter(Entry::is_fresh).map(|entry| entry.value)
    }

    async fn put(&self, key: &str, value: &Bytes, keep: Keep) {
        if value.len() > MAX_VALUE || key.len() > MAX_KEY || keep.whole().is_zero() {
            return;
        }
        let entry = Entry::new(value, keep);
        self.metrics.wrote(value.len());
        match &self.backend {
            Backend::Memory(memory) => {
                memory.put(key, entry).await;
                self.metrics.holds(memory.bytes());
            }
            Backend::Redis(redis) => self.note(redis.put(key, &entry).await),
        }
    }

    async fn remove(&self, key: &str) {
        match &self.backend {
            Backend::Memory(memory) => memory.remove(key).await,
            Backend::Redis(redis) => self.note(redis.remove(key).await),
        }
    }

    async fn remove_all(&self, prefix: &str) {
        match &self.backend {
            Backend::Memory(memory) => {
                memory.remove_all(prefix).await;
                self.metrics.holds(memory.bytes());
            }
            Backend::Redis(redis) => self.note(redis.remove_all(prefix).await),
        }
    }

    async fn settle(self: Arc<Self>) {
        if let Backend::Redis(redis) = &self.backend {
            redis.settle().await;
        }
    }

    fn note(&self, answered: bool) {
        if !answered {
            self.metrics.failed();
        }
    }
}
