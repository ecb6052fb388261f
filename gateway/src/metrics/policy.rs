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

/// What rules decide, in numbers.
#[derive(Debug)]
pub(crate) struct PolicyMetrics {
    decisions: Family<Labels, Counter>,
}

impl PolicyMetrics {
    /// All of them, registered.
    pub(super) fn new(registry: &mut Registry) -> Self {
        let decisions = Family::default();
        registry.register("policy_decisions", "Calls by the rule that decided about them", decisions.clone());
        Self { decisions }
    }

    /// The rule of this name decided so.
    pub(crate) fn decided(&self, rule: &str, decision: &'static str, dry_run: bool) {
        let dry_run = if dry_run { "true" } else { "false" };
        self.decisions.get_or_create(&Labels { rule: rule.to_owned(), decision, dry_run }).inc();
    }

    /// Another configuration holds, perhaps with other rules.
    pub(crate) fn forget(&self) {
        self.decisions.clear();
    }
}
