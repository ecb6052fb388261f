//! What rules decide, in numbers.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    rule: String,
    decision: &'static str,
    dry_run: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct QuotaLabels {
    quota: String,
}

/// What rules decide, in numbers.
#[derive(Debug)]
pub(crate) struct PolicyMetrics {
    decisions: Family<Labels, Counter>,
    over: Family<QuotaLabels, Counter>,
    store_failures: Counter,
}

impl PolicyMetrics {
    /// All of them, registered.
    pub(super) fn new(registry: &mut Registry) -> Self {
        let decisions = Family::default();
        registry.register("policy_decisions", "Calls by the rule that decided about them", decisions.clone());
        let over = Family::default();
        registry.register(
            "quota_refusals",
            "Calls and requests by the quota that they found used up",
            over.clone(),
        );
        let store_failures = Counter::default();
        registry.register(
            "quota_store_failures",
            "Times that quotas were counted by this replica alone, since the store of all was away",
            store_failures.clone(),
        );
        Self { decisions, over, store_failures }
    }

    /// The rule of this name decided so.
    pub(crate) fn decided(&self, rule: &str, decision: &'static str, dry_run: bool) {
        let dry_run = if dry_run { "true" } else { "false" };
        self.decisions.get_or_create(&Labels { rule: rule.to_owned(), decision, dry_run }).inc();
    }

    /// The quota of this name was found used up.
    pub(crate) fn over(&self, quota: &str) {
        self.over.get_or_create(&QuotaLabels { quota: quota.to_owned() }).inc();
    }

    /// How often the quota of this name was found used up.
    pub(crate) fn refused(&self, quota: &str) -> u64 {
        self.over.get(&QuotaLabels { quota: quota.to_owned() }).map_or(0, |count| count.get())
    }

    /// The store that replicas count in was away.
    pub(crate) fn store_failed(&self) {
        self.store_failures.inc();
    }

    /// Another configuration holds, perhaps with other rules.
    pub(crate) fn forget(&self) {
        self.decisions.clear();
        self.over.clear();
    }
}
