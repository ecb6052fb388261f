//! What the operator counts. Label values are enums, so that no object's name can make a series.

use std::{sync::Arc, time::Duration};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use crate::error::Class;

/// Labels of a pass.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Pass {
    kind: &'static str,
    outcome: &'static str,
}

/// Labels of a kind.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    kind: &'static str,
}

/// The operator's metrics.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Arc<Registry>,
    passes: Family<Pass, Counter>,
    seconds: Family<Kind, Histogram, fn() -> Histogram>,
    leader: Gauge,
}

fn seconds() -> Histogram {
    Histogram::new([0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0])
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("portico_operator");
        let passes = Family::<Pass, Counter>::default();
        let seconds = Family::<Kind, Histogram, fn() -> Histogram>::new_with_constructor(seconds);
        let leader = Gauge::default();
        registry.register("reconciles", "Passes over resources, by kind and outcome", passes.clone());
        registry.register("reconcile_seconds", "Duration of a pass, by kind", seconds.clone());
        registry.register("leader", "1 while this process acts, 0 while another one does", leader.clone());
        Self { registry: Arc::new(registry), passes, seconds, leader }
    }
}

impl Metrics {
    /// Counts one pass over a resource of `kind`; `failure` is its error's class.
    pub fn pass(&self, kind: &'static str, failure: Option<Class>, took: Duration) {
        let outcome = failure.map_or("success", Class::as_str);
        self.passes.get_or_create(&Pass { kind, outcome }).inc();
        self.seconds.get_or_create(&Kind { kind }).observe(took.as_secs_f64());
    }

    /// Says whether this process acts.
    pub fn leads(&self, leads: bool) {
        self.leader.set(i64::from(leads));
    }

    /// All metrics in the `OpenMetrics` text format.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_are_counted_by_kind_and_outcome() {
        let metrics = Metrics::default();
        metrics.pass("McpServer", None, Duration::from_millis(3));
        metrics.pass("McpServer", Some(Class::Denied), Duration::from_millis(3));
        metrics.leads(true);
        let text = metrics.text();
        assert!(
            text.contains(r#"portico_operator_reconciles_total{kind="McpServer",outcome="success"} 1"#),
            "{text}"
        );
        assert!(
            text.contains(r#"portico_operator_reconciles_total{kind="McpServer",outcome="denied"} 1"#),
            "{text}"
        );
        assert!(text.contains("portico_operator_leader 1"), "{text}");
    }
}
