//! What a server counts, in the text format that Prometheus scrapes.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, AtomicU64},
    },
    time::Duration,
};

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};
use tokio::sync::watch;

use crate::cache::{CacheMetrics, Lookup};

/// How a tool call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum Outcome {
    /// The tool answered.
    Ok,
    /// The tool answered with `isError`.
    Failed,
    /// The call got a JSON-RPC error.
    Refused,
    /// The client went away before the answer.
    Cancelled,
}

impl Outcome {
    /// The outcome as lines of the log write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::Cancelled => "cancelled",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    tool: String,
    outcome: Outcome,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ToolLabel {
    tool: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct UpstreamLabels {
    class: &'static str,
    group: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct GroupLabel {
    group: &'static str,
}

/// Whether a retry was made, or withheld for want of budget.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RetryLabels {
    group: &'static str,
    made: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct QuotaLabel {
    quota: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EventLabel {
    event: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FlagLabels {
    flag: String,
    result: &'static str,
}

/// What the process takes of the machine, as Linux tells it (proc(5)); zero elsewhere.
#[derive(Default)]
struct Process {
    resident: Gauge<i64, AtomicI64>,
    cpu: Gauge<f64, AtomicU64>,
}

impl Process {
    fn register(&self, registry: &mut Registry) {
        let help = "Memory that the process holds";
        registry.register_with_unit("process_resident_memory", help, Unit::Bytes, self.resident.clone());
        let help = "Time of processors that the process has used, of all its threads";
        registry.register_with_unit("process_cpu", help, Unit::Seconds, self.cpu.clone());
    }

    fn look(&self) {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let kibibytes = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse::<i64>().ok());
        self.resident.set(kibibytes.unwrap_or_default() * 1024);
        // Behind the name in parentheses the twelfth and thirteenth field are times in user and kernel, in hundredths of a second.
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let fields = stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace().skip(11).take(2));
        let ticks: u32 = fields.into_iter().flatten().filter_map(|text| text.parse::<u32>().ok()).sum();
        self.cpu.set(f64::from(ticks) / 100.0);
    }
}

fn durations() -> Histogram {
    Histogram::new([0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0])
}

/// The counters of one server. Tool names come from the server's own list, so label values stay few.
pub struct Metrics {
    registry: Mutex<Registry>,
    calls: Family<CallLabels, Counter>,
    durations: Family<ToolLabel, Histogram, fn() -> Histogram>,
    in_flight: Gauge<i64, AtomicI64>,
    upstream: Family<UpstreamLabels, Counter>,
    upstream_duration: Histogram,
    retries: Family<RetryLabels, Counter>,
    circuits: Family<GroupLabel, Gauge<i64, AtomicI64>>,
    circuits_opened: Family<GroupLabel, Counter>,
    quota_used: Family<QuotaLabel, Gauge<i64, AtomicI64>>,
    quota_limit: Family<QuotaLabel, Gauge<i64, AtomicI64>>,
    process: Process,
    cache: CacheMetrics,
    security_events: Family<EventLabel, Counter>,
    flag_evaluations: Family<FlagLabels, Counter>,
    flag_changes: Counter,
    running: watch::Sender<u64>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("portico_server");
        let metrics = Self {
            registry: Mutex::default(),
            process: Process::default(),
            calls: Family::default(),
            durations: Family::new_with_constructor(durations),
            in_flight: Gauge::default(),
            upstream: Family::default(),
            upstream_duration: durations(),
            retries: Family::default(),
            circuits: Family::default(),
            circuits_opened: Family::default(),
            quota_used: Family::default(),
            quota_limit: Family::default(),
            cache: CacheMetrics::default(),
            security_events: Family::default(),
            flag_evaluations: Family::default(),
            flag_changes: Counter::default(),
            running: watch::Sender::new(0),
        };
        metrics.register(&mut registry);
        metrics.process.register(&mut registry);
        *metrics.registry() = registry;
        metrics
    }
}

impl Metrics {
    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A counter of the server's own, such as `cart_additions`. Its name is the program's own, and each is asked for once.
    #[must_use]
    pub fn counter(&self, name: &'static str, help: &'static str) -> Counter {
        let counter = Counter::default();
        self.registry().register(name, help, counter.clone());
        counter
    }

    fn register(&self, registry: &mut Registry) {
        registry.register("tool_calls", "Tool calls by outcome", self.calls.clone());
        registry.register_with_unit(
            "tool_call_duration",
            "Time a tool call took",
            Unit::Seconds,
            self.durations.clone(),
        );
        registry.register("tool_calls_in_flight", "Tool calls running now", self.in_flight.clone());
        registry.register(
            "upstream_requests",
            "Requests to the upstream API by class and group of operations",
            self.upstream.clone(),
        );
        registry.register_with_unit(
            "upstream_request_duration",
            "Time an upstream request took",
            Unit::Seconds,
            self.upstream_duration.clone(),
        );
        self.register_resilience(registry);
        registry.register(
            "upstream_quota_limit",
            "Upstream requests that a quota allows in its window",
            self.quota_limit.clone(),
        );
        registry.register(
            "upstream_quota_used",
            "Upstream requests counted in the current window of a quota",
            self.quota_used.clone(),
        );
        self.cache.register(registry);
        self.register_events(registry);
    }

    fn register_events(&self, registry: &mut Registry) {
        registry.register(
            "flag_evaluations",
            "Questions whether a feature is on, by flag and answer",
            self.flag_evaluations.clone(),
        );
        registry.register("flag_changes", "Changes of the file with the flags", self.flag_changes.clone());
        registry.register("security_events", "Entries of the audit log", self.security_events.clone());
    }

    fn register_resilience(&self, registry: &mut Registry) {
        registry.register(
            "upstream_retries",
            "Requests sent again, and those withheld because retries were too large a share already",
            self.retries.clone(),
        );
        registry.register(
            "upstream_circuit",
            "State of the circuit of a group of operations: 0 closed, 1 half open, 2 open",
            self.circuits.clone(),
        );
        registry.register(
            "upstream_circuit_opened",
            "How often the circuit of a group of operations opened",
            self.circuits_opened.clone(),
        );
    }

    /// All counters in OpenMetrics text.
    #[must_use]
    pub fn render(&self) -> String {
        self.process.look();
        let mut out = String::new();
        // Writing into a `String` has no failure of its own.
        let _ = text::encode(&mut out, &self.registry());
        out
    }

    pub(crate) fn call_started(&self) {
        self.in_flight.inc();
        self.running.send_modify(|running| *running += 1);
    }

    pub(crate) fn call_ended(&self, tool: &str, outcome: Outcome, took: Duration) {
        self.in_flight.dec();
        self.running.send_modify(|running| *running = running.saturating_sub(1));
        self.calls.get_or_create(&CallLabels { tool: tool.to_owned(), outcome }).inc();
        self.durations.get_or_create(&ToolLabel { tool: tool.to_owned() }).observe(took.as_secs_f64());
    }

    /// A call of a tool that does not exist.
    pub(crate) fn call_of_nothing(&self) {
        self.calls.get_or_create(&CallLabels { tool: "unknown".to_owned(), outcome: Outcome::Refused }).inc();
    }

    /// Waits until no tool call is running.
    pub(crate) async fn idle(&self) {
        let mut running = self.running.subscribe();
        // The sender lives in `self`, so the wait cannot end early.
        let _ = running.wait_for(|running| *running == 0).await;
    }

    pub(crate) fn upstream_answered(&self, class: &'static str, group: &'static str, took: Duration) {
        self.upstream.get_or_create(&UpstreamLabels { class, group }).inc();
        self.upstream_duration.observe(took.as_secs_f64());
    }

    pub(crate) fn upstream_retried(&self, group: &'static str, made: bool) {
        let made = if made { "yes" } else { "withheld" };
        self.retries.get_or_create(&RetryLabels { group, made }).inc();
    }

    pub(crate) fn circuit(&self, group: &'static str, state: i64, opened: bool) {
        self.circuits.get_or_create(&GroupLabel { group }).set(state);
        if opened {
            self.circuits_opened.get_or_create(&GroupLabel { group }).inc();
        }
    }

    pub(crate) fn quota(&self, quota: &'static str, used: u64, limit: u64) {
        self.quota_limit.get_or_create(&QuotaLabel { quota }).set(i64::try_from(limit).unwrap_or(i64::MAX));
        self.quota_used.get_or_create(&QuotaLabel { quota }).set(i64::try_from(used).unwrap_or(i64::MAX));
    }

    pub(crate) fn security_event(&self, event: &'static str) {
        self.security_events.get_or_create(&EventLabel { event }).inc();
    }

    /// Names of flags come from the server and its file alone.
    pub(crate) fn flag_evaluated(&self, flag: &str, is_on: bool) {
        let labels = FlagLabels { flag: flag.to_owned(), result: if is_on { "on" } else { "off" } };
        self.flag_evaluations.get_or_create(&labels).inc();
    }

    pub(crate) fn flags_changed(&self) {
        self.flag_changes.inc();
    }

    pub(crate) fn cache(&self) -> &CacheMetrics {
        &self.cache
    }

    /// Look-ups in the server's caches that ended so.
    #[must_use]
    pub fn cache_lookups(&self, outcome: Lookup) -> u64 {
        self.cache.lookups(outcome)
    }

    /// Tool calls of `tool` that ended with `outcome`.
    #[must_use]
    pub fn calls(&self, tool: &str, outcome: Outcome) -> u64 {
        self.calls.get_or_create(&CallLabels { tool: tool.to_owned(), outcome }).get()
    }
}
