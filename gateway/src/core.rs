//! What all parts of one gateway share.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, ArcSwapOption};
use http::HeaderMap;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use crate::audit::Audit;
use crate::auth::Authenticator;
use crate::backend::client::Http;
use crate::backend::control::{Control, Ids};
use crate::backend::parked::Parking;
use crate::backend::session::{Link, Sessions};
use portico_crds::labels;

use crate::backend::{Backend, Fleet, PinReport, ServerReport, ServerState, TlsError};
use crate::catalog::{Catalog, Definition, Drift, Judged, Listing};
use crate::certificate::Certificate;
use crate::config::limits::Limits;
use crate::config::{Config, LastLoad};
use crate::frontend::approval::Approvals;
use crate::frontend::cancel::Calls;
use crate::frontend::ears::Ears;
use crate::frontend::levels::Levels;
use crate::frontend::questions::Questions;
use crate::frontend::session::{Ended, Keyring};
use crate::limits::{Local, Quotas};
use crate::metrics::Metrics;
use crate::options::Options;
use crate::policy::Policy;
use crate::scaling::{Meter, Scaler, ScalingReport};
use crate::source::{Kind, Server, ServerKey, Servers};
use crate::subscriptions::Subscriptions;
use crate::trace::{Incoming, Tracer};

/// How long the gateway waits for its servers' lists before it calls itself ready: one that hangs must not hold up a roll-out.
const READY_WITHIN: Duration = Duration::from_secs(5);
/// Servers that went and whose kept lists are not dropped yet.
const MAX_GONE: usize = 10_000;
/// How often idle sessions with servers are looked for.
const SWEEP: Duration = Duration::from_secs(30);

/// How models are scaled.
pub(crate) type ModelReports = Vec<(ServerKey, Arc<ScalingReport>)>;

/// What all parts share.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) options: Options,
    pub(crate) catalog: Catalog,
    /// All servers of MCP that the source names.
    pub(crate) backends: ArcSwap<HashMap<ServerKey, Arc<Backend>>>,
    /// All language models that it names.
    pub(crate) models: ArcSwap<HashMap<ServerKey, Arc<Backend>>>,
    pub(crate) control: Control,
    pub(crate) sessions: Sessions,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) keyring: Keyring,
    pub(crate) authenticator: ArcSwap<Authenticator>,
    pub(crate) policy: ArcSwap<Policy>,
    pub(crate) quotas: ArcSwap<Quotas>,
    pub(crate) audit: ArcSwapOption<Audit>,
    /// What quotas counted, which outlives a change of the configuration.
    counted: Arc<Local>,
    pub(crate) certificate: Arc<Certificate>,
    /// Calls that wait for any server to start.
    pub(crate) waiting: Arc<Meter>,
    /// A number of this process alone.
    pub(crate) process: u64,
    /// What gives servers another number of replicas, if anything does.
    pub(crate) scaler: OnceLock<Arc<dyn Scaler>>,
    pub(crate) load: LastLoad,
    pub(crate) started: Instant,
    /// The same on the clock that tests can stop.
    pub(crate) began: tokio::time::Instant,
    tracer: OnceLock<Arc<Tracer>>,
    pub(crate) ended: Ended,
    pub(crate) calls: Arc<Calls>,
    pub(crate) questions: Arc<Questions>,
    pub(crate) ears: Arc<Ears>,
    pub(crate) parking: Parking,
    pub(crate) approvals: Approvals,
    pub(crate) levels: Levels,
    pub(crate) subscriptions: Subscriptions,
    pub(crate) streams: Arc<Semaphore>,
    pub(crate) requests: Arc<Semaphore>,
    /// The stop was asked for; clients are to go elsewhere.
    pub(crate) leaving: CancellationToken,
    pub(crate) shutdown: CancellationToken,
    /// What was kept before this process began, until its server is known.
    /// Whether lists are kept outside of this process.
    pub(crate) keeps: AtomicBool,
    gone: Mutex<Vec<ServerKey>>,
    recalled: Mutex<HashMap<ServerKey, Arc<Listing>>>,
    reports: Mutex<BTreeMap<ServerKey, ServerReport>>,
    published: watch::Sender<Arc<Vec<ServerReport>>>,
    models_published: watch::Sender<Arc<ModelReports>>,
    attempted: watch::Sender<HashSet<ServerKey>>,
    ready: AtomicBool,
    runtime: Handle,
}

impl Core {
    /// The parts of a gateway with these settings, on this runtime.
    pub(crate) fn new(options: Options, runtime: Handle) -> Result<Self, TlsError> {
        let metrics = Arc::new(Metrics::new());
        Ok(Self {
            catalog: Catalog::new(Arc::clone(&metrics)),
            backends: ArcSwap::default(),
            models: ArcSwap::default(),
            control: Control { http: Http::new(&options)?, ids: Ids::new(), patience: options.list_timeout },
            sessions: Sessions::new(options.max_backend_sessions, options.backend_session_idle),
            quotas: ArcSwap::from_pointee(Quotas::new(
                &Limits::default(),
                Arc::default(),
                Arc::clone(&metrics),
            )),
            audit: ArcSwapOption::empty(),
            counted: Arc::default(),
            policy: ArcSwap::from_pointee(Policy::new(Arc::default(), Arc::clone(&metrics))),
            certificate: Arc::new(Certificate::new(Arc::clone(&metrics))),
            waiting: Arc::default(),
            process: rand::random::<u64>() >> 12,
            scaler: OnceLock::new(),
            load: LastLoad::default(),
            started: Instant::now(),
            began: tokio::time::Instant::now(),
            tracer: OnceLock::new(),
            metrics,
            authenticator: ArcSwap::default(),
            keyring: Keyring::new(&options.session_keys, options.session_lifetime),
            ended: Ended::default(),
            calls: Arc::default(),
            ears: Arc::default(),
            questions: Arc::new(Questions::new(options.max_questions)),
            parking: Parking::new(options.max_questions),
            approvals: Approvals::new(options.max_questions),
            levels: Levels::default(),
            subscriptions: Subscriptions::new(),
            streams: Arc::new(Semaphore::new(options.max_streams)),
            requests: Arc::new(Semaphore::new(options.max_requests)),
            leaving: CancellationToken::new(),
            shutdown: CancellationToken::new(),
            keeps: AtomicBool::new(false),
            gone: Mutex::default(),
            recalled: Mutex::default(),
            reports: Mutex::default(),
            published: watch::Sender::new(Arc::default()),
            models_published: watch::Sender::new(Arc::default()),
            attempted: watch::Sender::new(HashSet::new()),
            ready: AtomicBool::new(false),
            runtime,
            options,
        })
    }

    /// Takes another configuration. What is known of keys and tokens stays where nothing about them changed.
    pub(crate) fn configure(&self, config: Config) {
        if self.authenticator.load().config() != config.auth.as_ref() {
            self.authenticator.store(Arc::new(Authenticator::new(config.auth.as_ref(), &self.control.http)));
        }
        self.control.http.identities.configure(config.identity.as_ref());
        self.certificate.want(config.tls.as_ref());
        let config = Arc::new(config);
        self.metrics.policy.forget();
        if self.audit.load().as_ref().map(|audit| audit.config()) != config.audit.as_ref() {
            self.audit.store(config.audit.as_ref().map(|audit| Arc::new(Audit::new(audit, &self.metrics))));
        }
        let quotas = Quotas::new(&config.limits, Arc::clone(&self.counted), Arc::clone(&self.metrics));
        self.quotas.store(Arc::new(quotas));
        self.policy.store(Arc::new(Policy::new(Arc::clone(&config), Arc::clone(&self.metrics))));
        self.catalog.configure(config);
    }

    /// What begins spans, where traces are exported.
    pub(crate) fn tracer(&self) -> Option<&Arc<Tracer>> {
        self.tracer.get()
    }

    /// The trace that the headers of a request name; nobody asks where no traces are exported.
    pub(crate) fn traced(&self, headers: &HeaderMap) -> Option<Incoming> {
        self.tracer().and_then(|_| Incoming::of_headers(headers))
    }

    /// Exports traces from now on, once.
    pub(crate) fn trace(&self, tracer: Arc<Tracer>) -> bool {
        self.tracer.set(tracer).is_ok()
    }

    /// Runs `task` beside everything else; also from a destructor.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(task);
    }

    /// Starts what runs in the background until shutdown.
    pub(crate) fn start(self: &Arc<Self>, servers: watch::Receiver<Servers>) {
        let of_mcp = |server: &&Server| server.kind() == Kind::Server;
        let initial = servers.borrow().iter().filter(of_mcp).map(|server| server.key.clone()).collect();
        self.background(|core| async move { core.catalog.run().await });
        self.background(|core| async move { follow(&core, servers).await });
        self.background(|core| async move { become_ready(&core, initial).await });
        self.background(|core| async move { sweep(&core).await });
        self.background(|core| async move {
            let mut changes = core.catalog.changes();
            while changes.changed().await.is_ok() {
                core.report_hidden();
            }
        });
    }

    fn background<F: Future<Output = ()> + Send + 'static>(
        self: &Arc<Self>,
        task: impl FnOnce(Arc<Self>) -> F,
    ) {
        let (stop, task) = (self.shutdown.clone(), task(Arc::clone(self)));
        self.spawn(async move {
            stop.run_until_cancelled(task).await;
        });
    }

    /// Whether lists are worth asking for.
    pub(crate) fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }

    /// A server was spoken to once, or that failed.
    pub(crate) fn attempted(&self, server: &ServerKey) {
        if !self.is_ready() {
            self.attempted.send_if_modified(|attempted| attempted.insert(server.clone()));
        }
    }

    /// Ends sessions with servers in the background.
    pub(crate) fn end_sessions(self: &Arc<Self>, links: Vec<Link>) {
        for link in links {
            let core = Arc::clone(self);
            self.spawn(async move {
                let ended =
                    tokio::time::timeout(core.control.patience, core.control.http.delete(&link)).await;
                if let Ok(Err(error)) = ended {
                    tracing::debug!(%error, "a session with a server could not be ended");
                }
            });
        }
    }

    /// Takes what was kept before this process began.
    pub(crate) fn remember(&self, recalled: HashMap<ServerKey, Arc<Listing>>) {
        *self.recalled.lock().unwrap_or_else(PoisonError::into_inner) = recalled;
    }

    /// Shows the kept lists of a server until it gives its own.
    pub(crate) fn recall(&self, backend: &Arc<Backend>) {
        let mut recalled = self.recalled.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(listing) = recalled.remove(backend.key()) {
            backend.set_era(listing.era);
            self.catalog.put(Arc::clone(backend), listing);
        }
    }

    /// Tells of all servers.
    pub(crate) fn reports(&self) -> watch::Receiver<Arc<Vec<ServerReport>>> {
        self.published.subscribe()
    }

    /// `backend` is in `state`, with the lists that the catalogue knows.
    pub(crate) fn report(&self, backend: &Backend, state: ServerState) {
        let key = backend.key();
        self.metrics.state(key, state.as_str(), &ServerState::NAMES);
        let listing = self.catalog.listing(key);
        let listing = listing.as_deref();
        let judged = self.catalog.pins(key);
        let drift = judged.as_ref().and_then(|judged| judged.drift.as_ref());
        let withheld = drift.map(Drift::withheld).unwrap_or_default();
        let is_shown = |tool: &&Definition| backend.shows(&tool.key) && !withheld.contains(tool.key.as_str());
        let shown = |listing: &Listing| listing.tools.iter().filter(is_shown).count();
        self.metrics.catalog.unconfirmed(key, listing.is_some() && !backend.is_confirmed());
        self.metrics
            .catalog
            .unapproved(key, drift.map_or(0, |drift| drift.changed.len() + drift.added.len()));
        let report = ServerReport {
            key: key.clone(),
            state,
            tools: listing.map_or(0, shown),
            resources: listing.map_or(0, |listing| listing.resources.len()),
            prompts: listing.map_or(0, |listing| listing.prompts.len()),
            confirmed: backend.is_confirmed(),
            tool_bytes: self.catalog.load().tool_bytes(backend),
            server_version: listing.and_then(|listing| listing.server_version.clone()),
            server_name: listing.and_then(|listing| listing.server_name.clone()),
            protocol_version: listing.map(|listing| listing.version.clone()),
            tools_digest: judged.as_ref().map(|judged| judged.digests.list.clone()),
            pin: judged.as_ref().and_then(pin_report),
            hidden: self.catalog.hidden(key),
            scaling: backend.scaling(),
        };
        self.tell_unapproved(&report);
        self.publish(|reports| reports.insert(key.clone(), report.clone()).as_ref() != Some(&report));
    }

    /// Brings the reports up to date where other servers' lists matter.
    fn report_hidden(&self) {
        self.publish(|reports| {
            let mut changed = false;
            for (key, report) in reports.iter_mut() {
                let hidden = self.catalog.hidden(key);
                changed |= report.hidden != hidden;
                report.hidden = hidden;
            }
            changed
        });
    }

    /// Says once of each pinned server that its tools are not what was approved.
    fn tell_unapproved(&self, report: &ServerReport) {
        let Some(pin) = report.pin.as_ref().filter(|pin| !pin.unapproved.is_empty()) else { return };
        let known = self.lock().get(&report.key).is_some_and(|before| before.pin.as_ref() == Some(pin));
        if !known {
            let (digest, tools) =
                (report.tools_digest.as_deref().unwrap_or_default(), pin.unapproved.join(", "));
            tracing::warn!(server = %report.key, %tools, %digest, quarantined = pin.quarantined, "tools of a pinned server are not what was approved; if they are right, set the annotation {} to the digest", labels::APPROVED_TOOLS);
        }
    }

    /// `backend` is being connected to, which is news only if it was not used before: a server that is tried again after a
    /// failure keeps the reason of the failure.
    pub(crate) fn report_connecting(&self, backend: &Backend) {
        let state = self.lock().get(backend.key()).map(|report| report.state.clone());
        if matches!(state, None | Some(ServerState::Waiting)) {
            self.report(backend, ServerState::Connecting);
        }
    }

    /// The servers that are scaled.
    pub(crate) fn scaled(&self) -> Vec<Arc<Backend>> {
        let (servers, models) = (self.backends.load(), self.models.load());
        // What was scaled once may have replicas that were marked, and must not be for ever.
        let is_scaled = |backend: &&Arc<Backend>| {
            let live = backend.live();
            live.server.scaled.is_some() || !live.draining.is_empty()
        };
        servers.values().chain(models.values()).filter(is_scaled).cloned().collect()
    }

    /// Nanoseconds since this process began.
    pub(crate) fn running_for(&self, now: tokio::time::Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.began).as_nanos()).unwrap_or(u64::MAX)
    }

    /// `backend` is scaled so; none where this replica of the gateway does not decide.
    pub(crate) fn report_scaling(&self, backend: &Backend, scaling: Option<ScalingReport>) {
        let scaling = scaling.map(Arc::new);
        if !backend.set_scaling(scaling.as_ref()) {
            return;
        }
        // Whoever waits for it reads whether a start is tried at all.
        backend.wake();
        if backend.live().server.kind() == Kind::Model {
            return self.publish_models();
        }
        self.publish(|reports| match reports.get_mut(backend.key()) {
            Some(report) => std::mem::replace(&mut report.scaling, scaling.clone()) != scaling,
            None => false,
        });
    }

    /// Tells how the models are scaled that there are now.
    pub(crate) fn publish_models(&self) {
        let models = self.models.load();
        let reports = models.iter().filter_map(|(key, backend)| Some((key.clone(), backend.scaling()?)));
        self.models_published.send_replace(Arc::new(reports.collect()));
    }

    /// Tells how all models are scaled.
    pub(crate) fn model_reports(&self) -> watch::Receiver<Arc<ModelReports>> {
        self.models_published.subscribe()
    }

    /// The servers that went away since this was asked last.
    pub(crate) fn take_gone(&self) -> Vec<ServerKey> {
        std::mem::take(&mut self.gone.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// `server` is gone from the source.
    pub(crate) fn forget_report(&self, server: &ServerKey) {
        let mut gone = self.gone.lock().unwrap_or_else(PoisonError::into_inner);
        if self.keeps.load(Ordering::Relaxed) && gone.len() < MAX_GONE {
            gone.push(server.clone());
        }
        drop(gone);
        self.publish(|reports| reports.remove(server).is_some());
    }

    fn publish(&self, change: impl FnOnce(&mut BTreeMap<ServerKey, ServerReport>) -> bool) {
        let mut reports = self.lock();
        if change(&mut reports) {
            self.published.send_replace(Arc::new(reports.values().cloned().collect()));
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<ServerKey, ServerReport>> {
        self.reports.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn pin_report(judged: &Judged) -> Option<PinReport> {
    let drift = judged.drift.as_ref()?;
    let mut unapproved = [drift.changed.as_slice(), &drift.added].concat();
    unapproved.sort();
    Some(PinReport { pinned: judged.pinned.clone(), unapproved, quarantined: drift.quarantined })
}

/// Keeps the fleet as the source says; when the source is gone, the last word stands.
async fn follow(core: &Arc<Core>, mut servers: watch::Receiver<Servers>) {
    let mut fleet = Fleet::default();
    loop {
        let now = Arc::clone(&servers.borrow_and_update());
        fleet.apply(core, &now);
        if servers.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

async fn become_ready(core: &Arc<Core>, initial: HashSet<ServerKey>) {
    let mut attempted = core.attempted.subscribe();
    let all = attempted.wait_for(|attempted| initial.is_subset(attempted));
    if tokio::time::timeout(READY_WITHIN, all).await.is_err() {
        tracing::warn!("ready before every server gave its lists; the others come as they answer");
    }
    core.catalog.build();
    core.ready.store(true, Ordering::Relaxed);
}

async fn sweep(core: &Arc<Core>) {
    loop {
        tokio::time::sleep(SWEEP).await;
        core.end_sessions(core.sessions.end_idle());
        core.metrics.sessions(core.sessions.len());
        core.subscriptions.end_older(core.options.session_lifetime);
    }
}
