//! What is kept for the next start, and whether this one had to begin with it.

use std::time::UNIX_EPOCH;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use crate::keep::Seen;

/// Metrics of what is kept.
#[derive(Debug, Default)]
pub(super) struct KeptMetrics {
    /// What could not be kept.
    pub(super) failures: Counter,
    stale: Gauge,
    at: Gauge,
}

impl KeptMetrics {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let this = Self::default();
        registry.register(
            "state_write_failures",
            "Attempts to keep lists or servers for the next start that failed",
            this.failures.clone(),
        );
        registry.register(
            "servers_stale",
            "1 while the servers are those that were kept before the start, because the cluster cannot be reached",
            this.stale.clone(),
        );
        registry.register_with_unit(
            "servers_seen_timestamp",
            "Unix time at which the cluster told of the servers in force; 0 without --state",
            Unit::Seconds,
            this.at.clone(),
        );
        this
    }

    pub(super) fn is_stale(&self) -> bool {
        self.stale.get() == 1
    }

    pub(super) fn seen(&self, seen: &Seen) {
        self.stale.set(i64::from(!seen.fresh));
        let since = seen.at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        self.at.set(i64::try_from(since).unwrap_or(i64::MAX));
    }
}
