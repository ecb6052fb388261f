//! One server that is scaled: from what is seen of it to what is done.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use portico_scaling::{Decision, Observation, Reason, State};
use tokio::time::Instant;

use super::drain::{Drain, has_surplus, is_over, victims};
use super::gather::{Before, Gathered};
use super::report::{Activity, HISTORY, Record, ScalingReport};
use super::{Change, Error, Scaler, policy};
use crate::backend::{Backend, Endpoint, Live};
use crate::core::Core;
use crate::source::{Scaled, Server};

/// Silence after which a server is told to be idle: shorter ones would write a status at every call.
const IDLE_AFTER: Duration = Duration::from_secs(30);

/// A number of replicas that was asked for may show in the caches after so long.
const BEHIND: Duration = Duration::from_secs(3);
/// Replicas that were to go and whose number was changed are gone after so long.
const GONE_WITHIN: Duration = Duration::from_secs(10);

/// What is remembered of one server between two looks.
#[derive(Debug)]
pub(super) struct Member {
    state: State,
    before: Before,
    drain: Option<Drain>,
    history: VecDeque<Record>,
    /// Why the last start failed, until one works.
    failed: Option<String>,
    /// What was asked for last, and when.
    sent: Option<(Change, Instant)>,
    /// Replicas at the last look.
    desired: Option<u32>,
    /// Until when no start is tried, by what another replica of the gateway has decided.
    inherited: Option<Timestamp>,
}

/// The moment of a look.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment<'a> {
    /// Since the process began.
    pub(super) now: Duration,
    /// Why not every replica of the gateway tells its load, if so: then nothing is scaled in.
    pub(super) unknown: Option<&'a str>,
}

/// What is acted on, and by what.
#[derive(Debug, Clone, Copy)]
struct Job<'a> {
    scaler: &'a Arc<dyn Scaler>,
    live: &'a Live,
    server: &'a Server,
    scaled: &'a Scaled,
}

impl Member {
    /// One that another replica of the gateway may have decided about before; of that is known what its status tells.
    pub(super) fn new(backend: &Backend) -> Self {
        let live = backend.live();
        let known = live.server.scaled.as_ref();
        Self {
            state: State::default(),
            before: Before::default(),
            drain: None,
            history: known.map(|scaled| scaled.history.iter().cloned().collect()).unwrap_or_default(),
            failed: None,
            sent: None,
            desired: None,
            inherited: known.and_then(|scaled| scaled.retry_at),
        }
    }

    /// Whether it should be looked at again soon.
    pub(super) fn is_draining(&self) -> bool {
        self.drain.is_some()
    }

    /// Looks at `backend` once, and does what is to be done.
    pub(super) async fn look(
        &mut self,
        core: &Core,
        backend: &Arc<Backend>,
        (gathered, moment): (Gathered<'_>, Moment<'_>),
    ) {
        let live = backend.live();
        let (server, Some(scaler)) = (&live.server, core.scaler.get()) else { return };
        let Some(scaled) = &server.scaled else {
            // It is not scaled any more, so that no replica is to go.
            self.stay(scaler, server).await;
            return core.report_scaling(backend, None);
        };
        let job = Job { scaler, live: &live, server, scaled };
        let ready = serving(&live, &gathered).count();
        let mut seen = gathered.observe(&mut self.before, scaled, ready);
        let is_known = server.model.is_some() || core.catalog.listing(&server.key).is_some();
        if scaled.desired == 0 && !is_known {
            // Nobody can call what is not listed, so that it has to be started to be known.
            seen.waiting = seen.waiting.max(1);
        }
        backend.learnt.note(&backend.meter.read(Instant::now()));
        let policy = policy(&scaled.bounds, scaled.bounds.minimum());
        let decision = self.state.decide(&policy, &seen, moment.now);
        core.metrics.scaling.decided(backend.key(), &seen, decision);
        if seen.ready > 0 {
            self.failed = None;
        }
        if !self.is_behind(scaled.desired) {
            self.notice(scaled, &seen);
            self.go_on(job, (&gathered, seen), (decision, moment)).await;
        }
        core.report_scaling(backend, Some(self.report(backend, scaled, moment)));
    }

    /// Whether the number that is seen may be that from before the last change: nothing is to be done for it then.
    fn is_behind(&self, desired: u32) -> bool {
        self.sent.is_some_and(|(change, when)| {
            change.from != change.to && change.from == desired && when.elapsed() < BEHIND
        })
    }

    /// Takes note of a start that some replica of the gateway asked for because calls wait.
    fn notice(&mut self, scaled: &Scaled, seen: &Observation) {
        let before = self.desired.replace(scaled.desired);
        if before == Some(0) && scaled.desired > 0 && scaled.owner.is_none() {
            self.record(Change { from: 0, to: scaled.desired }, Reason::Woken, seen);
        }
    }

    async fn go_on(
        &mut self,
        job: Job<'_>,
        (gathered, seen): (&Gathered<'_>, Observation),
        (decision, moment): (Decision, Moment<'_>),
    ) {
        if job.scaled.owner.is_some() {
            self.stay(job.scaler, job.server).await;
        } else if job.scaled.unclaimed {
            claim(job).await;
        } else {
            self.act(job, (gathered, seen), (decision, moment)).await;
        }
    }

    async fn act(
        &mut self,
        job: Job<'_>,
        (gathered, seen): (&Gathered<'_>, Observation),
        (decision, moment): (Decision, Moment<'_>),
    ) {
        let (to, desired) = (decision.replicas, job.scaled.desired);
        if decision.reason == Reason::StartFailed {
            let told = job.scaled.trouble.as_ref().map(|trouble| trouble.message.clone());
            self.failed = Some(told.unwrap_or_else(|| "no replica was ready in time".to_owned()));
        }
        let is_known = moment.unknown.is_none();
        // Nothing is lost with replicas that never served. One that has ceased to be ready may have calls in hand.
        let is_unused = decision.reason == Reason::StartFailed || !gathered.is_in_use();
        if to < desired && seen.ready == 0 && is_unused {
            self.scale(job, decision, seen).await;
        } else if to < desired && is_known {
            self.scale_in(job, gathered, (decision, seen)).await;
        } else {
            self.stay(job.scaler, job.server).await;
            let backs_off = desired == 0 && self.inherited.is_some_and(|until| until > Timestamp::now());
            if to > desired && !backs_off {
                self.scale(job, decision, seen).await;
            }
        }
    }

    /// Lets the replicas stay that were to go, whoever marked them; not those that go already.
    async fn stay(&mut self, scaler: &Arc<dyn Scaler>, server: &Server) {
        let goes =
            self.sent.is_some_and(|(change, when)| change.to < change.from && when.elapsed() < GONE_WITHIN);
        if self.drain.is_none() && (goes || has_surplus(server)) {
            return;
        }
        let marked = server.draining.iter().map(|endpoint| endpoint.url.clone());
        let mut urls: Vec<String> =
            self.drain.iter().flat_map(|drain| drain.urls.clone()).chain(marked).collect();
        urls.sort();
        urls.dedup();
        if urls.is_empty() {
            self.drain = None;
            return;
        }
        match scaler.drain(server, &urls, false).await {
            Ok(()) => self.drain = None,
            Err(error) => {
                tracing::debug!(server = %server.key, %error, "replicas could not be kept and are tried again");
            }
        }
    }

    /// Has the replicas go that lose least, once nothing is left to do there.
    async fn scale_in(
        &mut self,
        job: Job<'_>,
        gathered: &Gathered<'_>,
        (decision, seen): (Decision, Observation),
    ) {
        if self.drain.as_ref().is_some_and(|drain| drain.to != decision.replicas) {
            self.stay(job.scaler, job.server).await;
        }
        let Some(drain) = &self.drain else {
            let until = Instant::now() + job.scaled.bounds.drain;
            return self.mark(job, gathered, (decision.replicas, until)).await;
        };
        let serving = || serving(job.live, gathered);
        let stay = serving().filter(|endpoint| !drain.urls.contains(&endpoint.url)).count();
        // A rollout has more for a while.
        let more =
            if drain.to == 0 { 0 } else { serving().count().saturating_sub(job.scaled.desired as usize) };
        let places = drain.urls.iter().map(|url| gathered.place(url));
        if Instant::now() >= drain.until {
            self.scale(job, decision, seen).await;
        } else if stay > drain.to as usize + more {
            // Some have begun to serve meanwhile: of these and the others as many are to stay as before.
            self.mark(job, gathered, (drain.to, drain.until)).await;
        } else if is_over(places) && (seen.ready > 0 || !gathered.is_in_use()) {
            self.scale(job, decision, seen).await;
        }
    }

    /// Chooses the replicas that go, and has nothing new sent to them.
    async fn mark(
        &mut self,
        Job { scaler, live, server, scaled }: Job<'_>,
        gathered: &Gathered<'_>,
        (to, until): (u32, Instant),
    ) {
        let places: Vec<_> = serving(live, gathered).map(|endpoint| gathered.place(&endpoint.url)).collect();
        // Replicas that do not serve yet go before any other.
        let surplus = scaled.desired.saturating_sub(to) as usize;
        let idle = (scaled.desired as usize).saturating_sub(places.len());
        let count = if to == 0 { places.len() } else { surplus.saturating_sub(idle) };
        let urls = victims(places, count);
        match scaler.drain(server, &urls, true).await {
            Ok(()) => self.drain = Some(Drain { to, urls, until }),
            Err(error) => {
                tracing::debug!(server = %server.key, %error, "replicas could not be drained and are tried again");
            }
        }
    }

    async fn scale(
        &mut self,
        Job { scaler, server, scaled, .. }: Job<'_>,
        Decision { replicas: to, reason }: Decision,
        seen: Observation,
    ) {
        let change = Change { from: scaled.desired, to };
        match scaler.scale(server, change).await {
            Ok(()) => {
                (self.drain, self.sent, self.desired) = (None, Some((change, Instant::now())), Some(to));
                self.record(change, reason, &seen);
                tracing::info!(server = %server.key, from = change.from, to, %reason, "a server is scaled");
            }
            Err(Error::Changed) => {}
            Err(error) => {
                tracing::warn!(server = %server.key, from = change.from, to, %reason, %error, "a server could not be scaled and is tried again");
            }
        }
    }

    fn record(&mut self, Change { from, to }: Change, reason: Reason, seen: &Observation) {
        let (time, message) = (whole_second(Timestamp::now()), self.message(seen));
        self.history.push_front(Record { time, from, to, reason: reason.as_str().to_owned(), message });
        self.history.truncate(HISTORY);
    }

    fn message(&self, seen: &Observation) -> String {
        let Observation { mean, waiting, sessions, ready, .. } = seen;
        match &self.failed {
            Some(reason) => reason.clone(),
            None => format!("{mean:.1} calls, {waiting} waiting, {sessions} sessions, {ready} ready"),
        }
    }

    fn report(
        &self,
        backend: &Backend,
        scaled: &Scaled,
        Moment { now, unknown }: Moment<'_>,
    ) -> ScalingReport {
        let idle_for = self.state.idle_since().map(|since| now.saturating_sub(since));
        let known = backend.scaling().as_deref().map(|report| (report.idle_since, report.retry_at));
        let (known_idle, known_retry) = known.unwrap_or_default();
        let ago = |time: Duration| Timestamp::now().checked_sub(time).ok().map(whole_second);
        ScalingReport {
            desired: scaled.desired,
            // A time that was told stays what it is, although it is reckoned anew at each look.
            idle_since: idle_for
                .filter(|time| *time >= IDLE_AFTER)
                .and_then(|time| known_idle.or_else(|| ago(time))),
            retry_at: self.retry_at(now, known_retry),
            start: backend.learnt.start(),
            activity: self.activity(scaled, unknown),
            history: self.history.clone(),
        }
    }

    fn retry_at(&self, now: Duration, known: Option<Timestamp>) -> Option<Timestamp> {
        let own = self.state.retry_at().filter(|at| *at > now);
        let at = |at: Duration| Timestamp::now().checked_add(at.saturating_sub(now)).ok().map(whole_second);
        let own = own.and_then(|own| known.or_else(|| at(own)));
        own.or_else(|| self.inherited.filter(|until| *until > Timestamp::now()))
    }

    fn activity(&self, scaled: &Scaled, unknown: Option<&str>) -> Activity {
        let zones = scaled.bounds.spec.unknown_time_zones().join(", ");
        match (&scaled.owner, &self.failed, unknown) {
            (Some(owner), ..) => Activity::Owned { owner: owner.clone() },
            (None, Some(reason), _) => Activity::StartFailed { reason: reason.clone() },
            (None, None, Some(reason)) => Activity::DemandUnknown { reason: reason.to_owned() },
            (None, None, None) if !zones.is_empty() => Activity::TimeZoneUnknown { zones },
            (None, None, None) => Activity::Active,
        }
    }
}

/// The replicas that serve: also those that some replica of the gateway sends calls to before their cluster calls them ready.
fn serving<'a>(live: &'a Live, gathered: &'a Gathered<'_>) -> impl Iterator<Item = &'a Arc<Endpoint>> {
    let in_use = |endpoint: &&Arc<Endpoint>| gathered.place(&endpoint.url).is_in_use();
    live.endpoints.iter().chain(&live.draining).chain(live.starting.iter().filter(in_use))
}

/// Says the number that there is, in the gateway's own name.
async fn claim(Job { scaler, server, scaled, .. }: Job<'_>) {
    let change = Change { from: scaled.desired, to: scaled.desired };
    if let Err(Error::Failed(error)) = scaler.scale(server, change).await {
        tracing::warn!(server = %server.key, error, "the number of a server's replicas could not be claimed and is tried again");
    }
}

fn whole_second(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}
