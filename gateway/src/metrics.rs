//! Prometheus metrics. Every label is bounded: servers come from the source, the rest are closed sets.

mod audit;
mod catalog;
mod door;
mod kept;
mod policy;
mod scaling;

use std::sync::Arc;
use std::time::Instant;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::exemplar::HistogramWithExemplars;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use audit::AuditMetrics;
pub(crate) use catalog::CatalogMetrics;
use door::DoorMetrics;
pub(crate) use door::Handshake;
use kept::KeptMetrics;
pub(crate) use policy::PolicyMetrics;
pub(crate) use scaling::ScalingMetrics;

use crate::audit::Entry;
use crate::keep::Seen;
use crate::source::ServerKey;
use crate::trace::Span;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ServerLabels {
    namespace: String,
    server: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    namespace: String,
    server: String,
    method: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DurationLabels {
    namespace: String,
    server: String,
    method: &'static str,
}

/// Of an exemplar: the trace in which a call took so long.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TraceLabels {
    trace_id: String,
}

type Durations = HistogramWithExemplars<TraceLabels>;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabels {
    namespace: String,
    server: String,
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SpanLabels {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AuthLabels {
    outcome: &'static str,
}

impl From<&ServerKey> for ServerLabels {
    fn from(key: &ServerKey) -> Self {
        Self { namespace: key.namespace.clone(), server: key.name.clone() }
    }
}

/// Bounds of the duration's buckets, in seconds.
const BUCKETS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 2.5, 10.0, 30.0, 120.0];

/// What became of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The server answered, be it with an error of its own.
    Answered,
    /// It did not; the class of the fault.
    Fault(&'static str),
    /// The client went away.
    Cancelled,
    /// It was not made: refused, or its client is asked first.
    NotMade,
}

impl Outcome {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Fault(class) => class,
            Self::Cancelled => "cancelled",
            Self::NotMade => "not_made",
        }
    }
}

/// All metrics of one gateway.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    calls: Family<CallLabels, Counter>,
    duration: Family<DurationLabels, Durations, fn() -> Durations>,
    in_flight: Family<ServerLabels, Gauge>,
    held: Family<ServerLabels, Gauge>,
    state: Family<StateLabels, Gauge>,
    sessions: Gauge,
    streams: Gauge,
    authentications: Family<AuthLabels, Counter>,
    config: Gauge,
    spans: Family<SpanLabels, Counter>,
    kept: KeptMetrics,
    door: DoorMetrics,
    /// What servers offer.
    pub(crate) catalog: CatalogMetrics,
    /// What becomes of lines of the audit log.
    pub(crate) audit: AuditMetrics,
    /// What rules decide.
    pub(crate) policy: PolicyMetrics,
    /// How servers are scaled.
    pub(crate) scaling: ScalingMetrics,
}

impl Metrics {
    /// All metrics at zero.
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("portico_gateway");
        let calls = Family::default();
        let histogram: fn() -> Durations = || Durations::new(BUCKETS.into_iter());
        let duration = Family::new_with_constructor(histogram);
        let (in_flight, held, state) = (Family::default(), Family::default(), Family::default());
        let (sessions, streams) = (Gauge::default(), Gauge::default());
        registry.register("calls", "Calls passed to servers", calls.clone());
        let seconds = Unit::Seconds;
        registry.register_with_unit(
            "call_duration",
            "Time from a call to its answer",
            seconds,
            duration.clone(),
        );
        registry.register("calls_in_flight", "Calls that servers have not answered yet", in_flight.clone());
        registry.register("calls_held", "Calls that wait for a server that is away", held.clone());
        registry.register("backend_state", "1 for the state a server is in", state.clone());
        registry.register("backend_sessions", "Sessions kept with legacy servers", sessions.clone());
        registry.register("client_streams", "Streams that clients hold open", streams.clone());
        let spans = Family::default();
        registry.register("trace_spans", "Spans by whether they reached the collector", spans.clone());
        let authentications = Family::default();
        registry.register(
            "authentications",
            "Requests by whether their credentials were accepted, and why not",
            authentications.clone(),
        );
        let catalog = CatalogMetrics::new(&mut registry);
        let policy = PolicyMetrics::new(&mut registry);
        let audit = AuditMetrics::new(&mut registry);
        let scaling = ScalingMetrics::new(&mut registry);
        let config = configuration(&mut registry);
        let kept = KeptMetrics::new(&mut registry);
        let door = DoorMetrics::new(&mut registry);
        Self {
            registry,
            calls,
            duration,
            in_flight,
            held,
            state,
            sessions,
            streams,
            authentications,
            config,
            spans,
            kept,
            door,
            catalog,
            audit,
            policy,
            scaling,
        }
    }

    /// The text that Prometheus scrapes.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        match prometheus_client::encoding::text::encode(&mut text, &self.registry) {
            Ok(()) => text,
            Err(error) => {
                tracing::warn!(%error, "metrics cannot be written");
                String::new()
            }
        }
    }

    /// A call to `server` begins.
    pub(crate) fn begin(self: &Arc<Self>, server: &ServerKey, method: &'static str) -> Timing {
        self.in_flight.get_or_create(&server.into()).inc();
        let outcome = Outcome::Cancelled;
        let (metrics, server, started) = (Arc::clone(self), server.clone(), Instant::now());
        Timing { metrics, server, method, started, outcome, entry: None, span: None }
    }

    /// A call waits for `server` for as long as the answer lives.
    pub(crate) fn hold(&self, server: &ServerKey) -> Held {
        let gauge = self.held.get_or_create(&server.into()).clone();
        gauge.inc();
        Held(gauge)
    }

    /// The credentials of a request were judged so.
    pub(crate) fn authenticated(&self, outcome: &'static str) {
        self.authentications.get_or_create(&AuthLabels { outcome }).inc();
    }

    /// The state of `server` is `now`, one of `all`.
    pub(crate) fn state(&self, server: &ServerKey, now: &'static str, all: &[&'static str]) {
        for state in all {
            self.state.get_or_create(&state_labels(server, state)).set(i64::from(*state == now));
        }
    }

    /// `server` is gone from the source.
    pub(crate) fn forget(&self, server: &ServerKey, states: &[&'static str]) {
        self.held.remove(&server.into());
        self.catalog.forget(server);
        self.scaling.forget(server);
        for state in states {
            self.state.remove(&state_labels(server, state));
        }
    }

    /// How many sessions with servers are kept.
    pub(crate) fn sessions(&self, count: usize) {
        self.sessions.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// Whether the configuration file was taken when it was read last.
    pub(crate) fn configured(&self, taken: bool) {
        self.config.set(i64::from(taken));
    }

    /// Something could not be kept for the next start.
    pub(crate) fn unkept(&self) {
        self.kept.failures.inc();
    }

    /// Whether the servers in force are those that were kept before the start.
    pub(crate) fn is_stale(&self) -> bool {
        self.kept.is_stale()
    }

    /// Whether certificate and key were taken when they changed last.
    pub(crate) fn identified(&self, taken: bool) {
        self.door.identified(taken);
    }

    /// A TLS handshake with a client ended.
    pub(crate) fn handshake(&self, ended: Handshake) {
        self.door.handshake(ended);
    }

    /// The servers in force, and when they were seen.
    pub(crate) fn seen(&self, seen: &Seen) {
        self.kept.seen(seen);
    }

    /// So many spans were sent, or dropped.
    pub(crate) fn spans(&self, sent: bool, count: u64) {
        self.spans
            .get_or_create(&SpanLabels { outcome: if sent { "sent" } else { "dropped" } })
            .inc_by(count);
    }

    /// The streams that clients hold open.
    pub(crate) fn streams(&self) -> &Gauge {
        &self.streams
    }
}

/// Whether the configuration file was taken; it was, until one is not.
fn configuration(registry: &mut Registry) -> Gauge {
    let config = Gauge::default();
    config.set(1);
    registry.register(
        "config_last_reload_successful",
        "1 unless the configuration file was bad when it changed last; the one before it stays in force then",
        config.clone(),
    );
    config
}

fn state_labels(server: &ServerKey, state: &'static str) -> StateLabels {
    StateLabels { namespace: server.namespace.clone(), server: server.name.clone(), state }
}

/// A call that waits.
#[derive(Debug)]
pub(crate) struct Held(Gauge);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// One call's time; counted when it is dropped.
#[derive(Debug)]
pub(crate) struct Timing {
    metrics: Arc<Metrics>,
    server: ServerKey,
    method: &'static str,
    started: Instant,
    outcome: Outcome,
    /// What is written down of it.
    entry: Option<Entry>,
    /// Its spans, if they are kept.
    span: Option<Box<Span>>,
}

impl Timing {
    /// Writes this down of the call.
    pub(crate) fn write_down(&mut self, entry: Option<Entry>) {
        self.entry = entry;
    }

    /// Ends these spans with the call.
    pub(crate) fn trace(&mut self, span: Option<Box<Span>>) {
        self.span = span;
    }

    /// The answer, in which an error of the server may stand.
    pub(crate) fn says(&mut self, message: &[u8]) {
        if let Some(span) = &mut self.span {
            span.says(message);
        }
    }

    /// What became of the call; without this it counts as cancelled.
    pub(crate) fn set(&mut self, outcome: Outcome) {
        self.outcome = outcome;
        if let Some(entry) = &mut self.entry {
            entry.set(outcome);
        }
        if let (Some(span), Outcome::Fault(class)) = (&mut self.span, outcome) {
            span.failed(class);
        }
    }
}

impl Drop for Timing {
    fn drop(&mut self) {
        let ServerKey { namespace, name } = &self.server;
        let (namespace, server, method) = (namespace.clone(), name.clone(), self.method);
        let labels = CallLabels {
            namespace: namespace.clone(),
            server: server.clone(),
            method,
            outcome: self.outcome.as_str(),
        };
        self.metrics.calls.get_or_create(&labels).inc();
        let labels = DurationLabels { namespace, server, method };
        let exemplar = self.span.take().and_then(|mut span| {
            if self.outcome == Outcome::Cancelled {
                span.failed(self.outcome.as_str());
            }
            span.trace().map(|trace_id| TraceLabels { trace_id })
        });
        let seconds = self.started.elapsed().as_secs_f64();
        self.metrics.duration.get_or_create(&labels).observe(seconds, exemplar, None);
        self.metrics.in_flight.get_or_create(&(&self.server).into()).dec();
    }
}
