//! How servers are scaled, in numbers.

use std::time::Duration;

use portico_scaling::{Decision, Observation};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::ServerLabels;
use crate::source::ServerKey;

/// Bounds of the buckets of a start, in seconds.
const BUCKETS: [f64; 14] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0];

/// How servers are scaled, in numbers.
#[derive(Debug)]
pub(crate) struct ScalingMetrics {
    starts: Family<ServerLabels, Histogram, fn() -> Histogram>,
    desired: Family<ServerLabels, Gauge>,
    ready: Family<ServerLabels, Gauge>,
    decisions: Family<DecisionLabels, Counter>,
    demand: Family<ServerLabels, Gauge>,
    model_demand: Family<ModelLabels, Gauge>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ModelLabels {
    namespace: String,
    model: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DecisionLabels {
    reason: &'static str,
}

impl ScalingMetrics {
    /// All of them, registered.
    pub(super) fn new(registry: &mut Registry) -> Self {
        let histogram: fn() -> Histogram = || Histogram::new(BUCKETS);
        let starts = Family::new_with_constructor(histogram);
        let help = "Time from the first call that waits for a server at zero to a replica that answers";
        registry.register_with_unit("server_start", help, Unit::Seconds, starts.clone());
        let (desired, ready, decisions) = (Family::default(), Family::default(), Family::default());
        let help = "Replicas that the gateway asks for, told by the replica of the gateway that decides";
        registry.register("server_desired_replicas", help, Family::clone(&desired));
        let help = "Replicas that are ready, told by the replica of the gateway that decides";
        registry.register("server_ready_replicas", help, Family::clone(&ready));
        let help =
            "Decisions about the number of a server's replicas, one a second and server, by their reason";
        registry.register("scaling_decisions", help, Family::clone(&decisions));
        let demand = Family::default();
        let help = "Calls that a server has in hand or that wait for it, in this replica of the gateway; the sum over all replicas is what an autoscaler of its own goes by";
        registry.register("server_demand", help, Family::clone(&demand));
        let model_demand = Family::default();
        let help = "The same of a language model";
        registry.register("model_demand", help, Family::clone(&model_demand));
        Self { starts, desired, ready, decisions, demand, model_demand }
    }

    /// So it was decided about `server`.
    pub(crate) fn decided(&self, server: &ServerKey, seen: &Observation, decision: Decision) {
        self.desired.get_or_create(&server.into()).set(decision.replicas.into());
        self.ready.get_or_create(&server.into()).set(seen.ready.into());
        self.decisions.get_or_create(&DecisionLabels { reason: decision.reason.as_str() }).inc();
    }

    /// `server` answers after it was started for waiting calls.
    pub(crate) fn woken(&self, server: &ServerKey, took: Option<Duration>) {
        if let Some(took) = took {
            self.starts.get_or_create(&server.into()).observe(took.as_secs_f64());
        }
    }

    /// `server` has, or is waited for by, so many calls.
    pub(crate) fn demand(&self, server: &ServerKey, calls: u32) {
        self.demand.get_or_create(&server.into()).set(calls.into());
    }

    /// The model `key` has, or is waited for by, so many requests.
    pub(crate) fn model_demand(&self, key: &ServerKey, calls: u32) {
        let labels = ModelLabels { namespace: key.namespace.clone(), model: key.name.clone() };
        self.model_demand.get_or_create(&labels).set(calls.into());
    }

    /// The model `key` is gone from the source.
    pub(crate) fn forget_model(&self, key: &ServerKey) {
        self.model_demand.remove(&ModelLabels { namespace: key.namespace.clone(), model: key.name.clone() });
    }

    /// `server` is gone from the source.
    pub(super) fn forget(&self, server: &ServerKey) {
        self.starts.remove(&server.into());
        self.demand.remove(&server.into());
        self.desired.remove(&server.into());
        self.ready.remove(&server.into());
    }
}
