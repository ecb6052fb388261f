//! What a cache counts.

use std::sync::atomic::AtomicI64;

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::{Registry, Unit},
};

/// How a look-up ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum Lookup {
    /// A fresh value was there.
    Hit,
    /// None was, or it was too old.
    Miss,
    /// An old value was served, since the source failed.
    Stale,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    outcome: Lookup,
}

/// Counters of a cache; clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct CacheMetrics {
    lookups: Family<Labels, Counter>,
    failures: Counter,
    read: Counter,
    written: Counter,
    held: Gauge<i64, AtomicI64>,
}

impl CacheMetrics {
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register("cache_lookups", "Look-ups in the cache by how they ended", self.lookups.clone());
        registry.register(
            "cache_failures",
            "Commands that the cache in Redis did not answer",
            self.failures.clone(),
        );
        registry.register_with_unit(
            "cache_read",
            "Bytes served from the cache",
            Unit::Bytes,
            self.read.clone(),
        );
        registry.register_with_unit(
            "cache_written",
            "Bytes put into the cache",
            Unit::Bytes,
            self.written.clone(),
        );
        registry.register_with_unit("cache_held", "Bytes held in memory", Unit::Bytes, self.held.clone());
    }

    pub(super) fn looked_up(&self, outcome: Lookup, bytes: usize) {
        self.lookups.get_or_create(&Labels { outcome }).inc();
        self.read.inc_by(bytes as u64);
    }

    pub(super) fn wrote(&self, bytes: usize) {
        self.written.inc_by(bytes as u64);
    }

    pub(super) fn holds(&self, bytes: u64) {
        self.held.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    pub(super) fn failed(&self) {
        self.failures.inc();
    }

    pub(crate) fn lookups(&self, outcome: Lookup) -> u64 {
        self.lookups.get_or_create(&Labels { outcome }).get()
    }
}
