//! Values in this process, within a number of bytes.

use std::time::{Duration, Instant};

use moka::{Expiry, future::Cache};

use super::entry::Entry;

/// Bytes that an entry takes besides its key and its value, about.
const OVERHEAD: usize = 128;

pub(super) struct Memory(Cache<String, Entry>);

struct Ends;

impl Expiry<String, Entry> for Ends {
    fn expire_after_create(&self, _: &String, entry: &Entry, _: Instant) -> Option<Duration> {
        Some(entry.keep.whole())
    }

    fn expire_after_update(
        &self,
        _: &String,
        entry: &Entry,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(entry.keep.whole())
    }
}

fn weight(key: &str, entry: &Entry) -> u32 {
    u32::try_from(key.len() + entry.value.len() + OVERHEAD).unwrap_or(u32::MAX)
}

impl Memory {
    pub(super) fn new(bytes: u64) -> Self {
        Self(
            Cache::builder()
                .max_capacity(bytes)
                .weigher(|key: &String, entry: &Entry| weight(key, entry))
                .expire_after(Ends)
                .build(),
        )
    }

    pub(super) async fn get(&self, key: &str) -> Option<Entry> {
        self.0.get(key).await
    }

    pub(super) async fn put(&self, key: &str, entry: Entry) {
        self.0.insert(key.to_owned(), entry).await;
        // What is too much goes now, not some time later.
        self.0.run_pending_tasks().await;
    }

    pub(super) async fn remove(&self, key: &str) {
        self.0.invalidate(key).await;
    }

    pub(super) async fn remove_all(&self, prefix: &str) {
        let keys: Vec<_> = self.0.iter().map(|(key, _)| key).filter(|key| key.starts_with(prefix)).collect();
        for key in keys {
            self.0.invalidate(key.as_str()).await;
        }
        self.0.run_pending_tasks().await;
    }

    /// Bytes that are held, about.
    pub(super) fn bytes(&self) -> u64 {
        self.0.weighted_size()
    }
}
