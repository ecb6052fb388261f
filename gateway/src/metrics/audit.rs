//! What becomes of lines of the audit log, in numbers.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    outcome: &'static str,
}

/// What becomes of lines of the audit log, in numbers.
#[derive(Debug)]
pub(crate) struct AuditMetrics {
    lines: Family<Labels, Counter>,
}

impl AuditMetrics {
    /// All of them, registered.
    pub(super) fn new(registry: &mut Registry) -> Self {
        let lines = Family::<Labels, Counter>::default();
        registry.register("audit_lines", "Lines of the audit log by what became of them", lines.clone());
        Self { lines }
    }

    /// A line was handed to the writer, or there was no room for it.
    pub(crate) fn line(&self, taken: bool) {
        let outcome = if taken { "taken" } else { "crowded_out" };
        self.lines.get_or_create(&Labels { outcome }).inc();
    }

    /// So many lines could not be written.
    pub(crate) fn unwritten(&self, lines: u64) {
        self.lines.get_or_create(&Labels { outcome: "unwritten" }).inc_by(lines);
    }
}
