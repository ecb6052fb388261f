//! What the operator counts, under controller-runtime's names where it has one, so that existing dashboards and
//! alerts work. `docs/operator.md` lists them; a test compares the list with what is emitted.
//!
//! Label values are enums and kinds, but for `portico_resource_condition`, which has one series a condition of each
//! resource and drops them with the resource.

use std::{
    borrow::Cow,
    collections::{BTreeSet, HashMap},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, AtomicU64},
    },
    time::Duration,
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{Resource, ResourceExt as _};
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info},
    registry::Registry,
};
use tokio::time::Instant;

use crate::{
    error::{Class, Error},
    watches::CONCURRENCY,
};

/// Why the operator wrote something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// The object was not there.
    Create,
    /// The spec, or what it refers to, leads to something else than before.
    Change,
    /// Somebody else changed or deleted it.
    Drift,
    /// A new process does not know yet what it wrote before.
    Restart,
    /// The spec does not want it any more.
    Prune,
    /// A status.
    Status,
}

impl Why {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Change => "change",
            Self::Drift => "drift",
            Self::Restart => "restart",
            Self::Prune => "prune",
            Self::Status => "status",
        }
    }
}

type Text = Cow<'static, str>;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Controller {
    controller: Text,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Pass {
    controller: Text,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Failure {
    controller: Text,
    class: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Named {
    name: Text,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    code: u16,
    method: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Verb {
    verb: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Write {
    verb: &'static str,
    kind: Text,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfKind {
    kind: Text,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ConditionOf {
    kind: Text,
    namespace: String,
    name: String,
    r#type: String,
    status: String,
}

type Seconds<L> = Family<L, Histogram, fn() -> Histogram>;

/// The conditions that have a series, by kind, namespace and name.
type Conditions = HashMap<(String, String, String), Vec<ConditionOf>>;

struct Series {
    passes: Family<Pass, Counter>,
    failures: Family<Failure, Counter>,
    errors: Family<Controller, Counter>,
    lasting: Family<Controller, Counter>,
    panics: Family<Controller, Counter>,
    timeouts: Family<Controller, Counter>,
    pass_seconds: Seconds<Controller>,
    workers: Family<Controller, Gauge>,
    most_workers: Family<Controller, Gauge>,
    adds: Family<Named, Counter>,
    retries: Family<Named, Counter>,
    work_seconds: Seconds<Named>,
    unfinished: Family<Named, Gauge<f64, AtomicU64>>,
    longest: Family<Named, Gauge<f64, AtomicU64>>,
    requests: Family<Request, Counter>,
    request_seconds: Seconds<Verb>,
    leader: Family<Named, Gauge<i64, AtomicI64>>,
    writes: Family<Write, Counter>,
    drift: Family<OfKind, Counter>,
    behind: Family<OfKind, Counter>,
    condition: Family<ConditionOf, Gauge>,
}

/// The operator's metrics.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    series: Series,
    conditions: Mutex<Conditions>,
    /// Beginnings of the passes under way, by kind.
    under_way: Mutex<HashMap<Text, BTreeSet<(Instant, u64)>>>,
    next: AtomicU64,
}

/// Up to a minute; the bound of the promise to heal, ten seconds, is one of them.
fn seconds() -> Histogram {
    Histogram::new([0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0])
}

fn timed<L: Clone + std::hash::Hash + Eq>() -> Seconds<L> {
    Family::new_with_constructor(seconds)
}

impl Series {
    fn new() -> Self {
        Self {
            passes: Family::default(),
            failures: Family::default(),
            errors: Family::default(),
            lasting: Family::default(),
            panics: Family::default(),
            timeouts: Family::default(),
            pass_seconds: timed(),
            workers: Family::default(),
            most_workers: Family::default(),
            adds: Family::default(),
            retries: Family::default(),
            work_seconds: timed(),
            unfinished: Family::default(),
            longest: Family::default(),
            requests: Family::default(),
            request_seconds: timed(),
            leader: Family::default(),
            writes: Family::default(),
            drift: Family::default(),
            behind: Family::default(),
            condition: Family::default(),
        }
    }

    fn register(&self, to: &mut Registry) {
        let runtime = to.sub_registry_with_prefix("controller_runtime");
        runtime.register("reconcile", "Passes over resources, by how they ended", self.passes.clone());
        runtime.register("reconcile_errors", "Passes that failed", self.errors.clone());
        runtime.register(
            "terminal_reconcile_errors",
            "Passes that failed and wait for somebody to change something",
            self.lasting.clone(),
        );
        runtime.register("reconcile_panics", "Passes that ended in a fault of Portico", self.panics.clone());
        runtime.register("reconcile_timeouts", "Passes that took too long", self.timeouts.clone());
        runtime.register("reconcile_time_seconds", "Duration of a pass", self.pass_seconds.clone());
        runtime.register("active_workers", "Passes under way", self.workers.clone());
        runtime.register("max_concurrent_reconciles", "Most passes at once", self.most_workers.clone());
        let queue = to.sub_registry_with_prefix("workqueue");
        queue.register("adds", "Passes begun", self.adds.clone());
        queue.register("retries", "Passes asked for again after a failure", self.retries.clone());
        queue.register("work_duration_seconds", "Duration of a pass", self.work_seconds.clone());
        queue.register(
            "unfinished_work_seconds",
            "Time the passes under way have taken",
            self.unfinished.clone(),
        );
        queue.register(
            "longest_running_processor_seconds",
            "Time the longest pass under way has taken",
            self.longest.clone(),
        );
        to.register("rest_client_requests", "Requests to the API server", self.requests.clone());
        to.register(
            "rest_client_request_duration_seconds",
            "Time until the API server's answer begins",
            self.request_seconds.clone(),
        );
        to.register("leader_election_master_status", "1 while this process acts", self.leader.clone());
        self.register_own(to);
    }

    fn register_own(&self, to: &mut Registry) {
        let own = to.sub_registry_with_prefix("portico");
        own.register("operator_reconcile_failures", "Passes that failed, by class", self.failures.clone());
        own.register("operator_api_writes", "Objects written, by kind and cause", self.writes.clone());
        own.register(
            "operator_drift_corrections",
            "Children put right after somebody else changed or deleted them",
            self.drift.clone(),
        );
        own.register(
            "operator_cache_behind",
            "Reads answered from our own last write, which the cache had not seen yet",
            self.behind.clone(),
        );
        own.register("resource_condition", "1 for the status that a condition has", self.condition.clone());
        own.register("build", "The version that runs", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let (mut registry, series) = (Registry::default(), Series::new());
        series.register(&mut registry);
        let (conditions, under_way, next) = (Mutex::default(), Mutex::default(), AtomicU64::new(0));
        Self(Arc::new(Inner { registry, series, conditions, under_way, next }))
    }
}

/// A pass under way.
pub struct UnderWay {
    metrics: Metrics,
    kind: Text,
    key: (Instant, u64),
}

impl UnderWay {
    /// Counts how it ended.
    pub fn end<T>(self, result: &Result<T, Error>) {
        let series = &self.metrics.0.series;
        let (controller, took) = (Controller { controller: self.kind.clone() }, self.key.0.elapsed());
        series.pass_seconds.get_or_create(&controller).observe(took.as_secs_f64());
        series.work_seconds.get_or_create(&Named { name: self.kind.clone() }).observe(took.as_secs_f64());
        let outcome = if result.is_ok() { "requeue_after" } else { "error" };
        series.passes.get_or_create(&Pass { controller: self.kind.clone(), result: outcome }).inc();
        if let Err(error) = result {
            self.failed(error, &controller);
        }
    }

    fn failed(&self, error: &Error, controller: &Controller) {
        let series = &self.metrics.0.series;
        series.errors.get_or_create(controller).inc();
        series.retries.get_or_create(&Named { name: self.kind.clone() }).inc();
        let class = error.class();
        let failure = Failure { controller: self.kind.clone(), class: class.as_str() };
        series.failures.get_or_create(&failure).inc();
        if error.is_lasting() {
            series.lasting.get_or_create(controller).inc();
        }
        if class == Class::Bug {
            series.panics.get_or_create(controller).inc();
        }
        if matches!(error, Error::Timeout { .. }) {
            series.timeouts.get_or_create(controller).inc();
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut all = self.metrics.0.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(self.kind.clone()).or_default().remove(&self.key);
        let controller = Controller { controller: self.kind.clone() };
        self.metrics.0.series.workers.get_or_create(&controller).dec();
    }
}

impl Metrics {
    /// Counts the beginning of a pass over a resource of `kind`.
    #[must_use]
    pub fn pass(&self, kind: &str) -> UnderWay {
        let kind: Text = kind.to_owned().into();
        let controller = Controller { controller: kind.clone() };
        self.0.series.adds.get_or_create(&Named { name: kind.clone() }).inc();
        self.0.series.workers.get_or_create(&controller).inc();
        self.0.series.most_workers.get_or_create(&controller).set(i64::from(CONCURRENCY));
        let key = (Instant::now(), self.0.next.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        let mut all = self.0.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(kind.clone()).or_default().insert(key);
        UnderWay { metrics: self.clone(), kind, key }
    }

    /// Counts a request to the API server; `code` is 0 where none came back.
    pub fn request(&self, method: &http::Method, code: u16, took: Duration) {
        let method = match method.as_str() {
            "GET" => "GET",
            "POST" => "POST",
            "PUT" => "PUT",
            "PATCH" => "PATCH",
            "DELETE" => "DELETE",
            _ => "other",
        };
        self.0.series.requests.get_or_create(&Request { code, method }).inc();
        self.0.series.request_seconds.get_or_create(&Verb { verb: method }).observe(took.as_secs_f64());
    }

    /// Counts an object that was written.
    pub fn wrote(&self, verb: &'static str, kind: &str, why: Why) {
        let kind: Text = kind.to_owned().into();
        if why == Why::Drift {
            self.0.series.drift.get_or_create(&OfKind { kind: kind.clone() }).inc();
        }
        self.0.series.writes.get_or_create(&Write { verb, kind, reason: why.as_str() }).inc();
    }

    /// Counts a read that the cache was too old for.
    pub fn behind(&self, kind: &str) {
        self.0.series.behind.get_or_create(&OfKind { kind: kind.to_owned().into() }).inc();
    }

    /// Says whether this process acts.
    pub fn leads(&self, leads: bool) {
        self.0.series.leader.get_or_create(&Named { name: "portico-operator".into() }).set(i64::from(leads));
    }

    /// Shows the conditions of a resource, and no others of it.
    pub fn conditions<R: Resource<DynamicType = ()>>(&self, resource: &R, conditions: &[Condition]) {
        let (kind, namespace) = (R::kind(&()).into_owned(), resource.namespace().unwrap_or_default());
        let name = resource.name_any();
        let now: Vec<ConditionOf> = conditions
            .iter()
            .map(|condition| ConditionOf {
                kind: kind.clone().into(),
                namespace: namespace.clone(),
                name: name.clone(),
                r#type: condition.type_.clone(),
                status: condition.status.clone(),
            })
            .collect();
        let mut all = self.0.conditions.lock().unwrap_or_else(PoisonError::into_inner);
        let before = all.insert((kind, namespace, name), now.clone()).unwrap_or_default();
        for gone in before.iter().filter(|labels| !now.contains(labels)) {
            self.0.series.condition.remove(gone);
        }
        for labels in &now {
            self.0.series.condition.get_or_create(labels).set(1);
        }
    }

    /// Drops the series of a resource that is gone.
    pub fn forget(&self, kind: &str, namespace: &str, name: &str) {
        let mut all = self.0.conditions.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (kind.to_owned(), namespace.to_owned(), name.to_owned());
        for gone in all.remove(&key).unwrap_or_default() {
            self.0.series.condition.remove(&gone);
        }
    }

    /// All metrics in the `OpenMetrics` text format.
    #[must_use]
    pub fn text(&self) -> String {
        self.measure_passes();
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = encode(&mut text, &self.0.registry);
        text
    }

    /// How long the passes under way have taken is known only when somebody asks.
    fn measure_passes(&self) {
        let all = self.0.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        for (kind, passes) in &*all {
            let took = || passes.iter().map(|(began, _)| began.elapsed().as_secs_f64());
            let name = Named { name: kind.clone() };
            self.0.series.unfinished.get_or_create(&name).set(took().sum());
            self.0.series.longest.get_or_create(&name).set(took().fold(0.0, f64::max));
        }
    }
}

#[cfg(test)]
mod tests;
