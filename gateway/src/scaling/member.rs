//! One server that is scaled: from what is seen of it to what is done.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use portico_scaling::{Decision, Observation, Reason, State};
use tokio::time::Instant;

use super::drain::{Drain, is_over, victims};
use super::gather::{Before, Gathered};
use super::report::{Activity, HISTORY, Record, ScalingReport};
use super::{Change, Error, Scaler, policy};
use crate::backend::Backend;
use crate::core::Core;
use crate::source::{Scaled, Server};

/// Silence after which a server is told to be idle: shorter ones would write a status at every call.
const IDLE_AFTER: Duration = Duration::from_secs(30);

/// What is remembered of one server between two looks.
#[derive(Debug)]
pub(super) struct Member {
    state: State,
    before: Before,
    drain: Option<Drain>,
    history: VecDeque<Record>,
    /// Why the last start failed, until one works.
    failed: Option<String>,
}

/// The moment of a look.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment<'a> {
    /// Since the process began.
    pub(super) now: Duration,
    /// Why not every replica of the gateway tells its load, if so: then nothing is scaled in.
    pub(super) unknown: Option<&'a str>,
}

impl Member {
    /// One that another replica of the gateway may have decided about before; of that the history is known.
    pub(super) fn new(backend: &Backend) -> Self {
        let live = backend.live();
        let history = live.server.scaled.as_ref().map(|scaled| scaled.history.iter().cloned().collect());
        Self {
            state: State::default(),
            before: Before::default(),
            drain: None,
            history: history.unwrap_or_default(),
            failed: None,
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
        let (Some(scaled), Some(scaler)) = (&live.server.scaled, core.scaler.get()) else { return };
        let ready = live.endpoints.len() + live.draining.len();
        let seen = gathered.observe(&mut self.before, scaled, ready);
        backend.learnt.note(&backend.meter.read(Instant::now()));
        let policy = policy(&scaled.bounds, scaled.bounds.minimum());
        let decision = self.state.decide(&policy, &seen, moment.now);
        core.metrics.scaling.decided(backend.key(), &seen, decision);
        if seen.ready > 0 {
            self.failed = None;
        }
        if scaled.owner.is_some() {
            self.drain = None;
        } else if scaled.unclaimed {
            claim((scaler, &live.server, scaled)).await;
        } else {
            self.act((scaler, &live.server, scaled), (&gathered, seen), (decision, moment)).await;
        }
        core.report_scaling(backend, Some(self.report(backend, scaled, moment)));
    }

    async fn act(
        &mut self,
        (scaler, server, scaled): (&Arc<dyn Scaler>, &Server, &Scaled),
        (gathered, seen): (&Gathered<'_>, Observation),
        (decision, moment): (Decision, Moment<'_>),
    ) {
        let to = decision.replicas;
        if decision.reason == Reason::StartFailed {
            let unknown = || "no replica was ready in time".to_owned();
            self.failed = Some(scaled.trouble.clone().unwrap_or_else(unknown));
        }
        if to >= scaled.desired {
            self.stay((scaler, server)).await;
            if to > scaled.desired {
                self.scale((scaler, server, scaled), decision, seen).await;
            }
            return;
        }
        if seen.ready == 0 {
            // Nothing is lost with replicas that never served.
            self.scale((scaler, server, scaled), decision, seen).await;
        } else if moment.unknown.is_none() {
            self.scale_in((scaler, server, scaled), gathered, (decision, seen)).await;
        }
    }

    /// Lets the replicas stay that were to go.
    async fn stay(&mut self, (scaler, server): (&Arc<dyn Scaler>, &Server)) {
        let Some(drain) = &self.drain else { return };
        match scaler.drain(server, &drain.urls, false).await {
            Ok(()) => self.drain = None,
            Err(error) => {
                tracing::debug!(server = %server.key, %error, "replicas could not be kept and are tried again");
            }
        }
    }

    /// Has the replicas go that lose least, once nothing is left to do there.
    async fn scale_in(
        &mut self,
        (scaler, server, scaled): (&Arc<dyn Scaler>, &Server, &Scaled),
        gathered: &Gathered<'_>,
        (decision, seen): (Decision, Observation),
    ) {
        if self.drain.as_ref().is_some_and(|drain| drain.to != decision.replicas) {
            self.stay((scaler, server)).await;
        }
        if let Some(drain) = &self.drain {
            let places = drain.urls.iter().map(|url| gathered.place(url));
            if is_over(places) || Instant::now() >= drain.until {
                self.scale((scaler, server, scaled), decision, seen).await;
            }
            return;
        }
        let all = server.endpoints.iter().chain(&server.draining);
        let places: Vec<_> = all.map(|endpoint| gathered.place(&endpoint.url)).collect();
        // Replicas that do not serve yet go before any other.
        let surplus = scaled.desired.saturating_sub(decision.replicas) as usize;
        let idle = (scaled.desired as usize).saturating_sub(places.len());
        let urls = victims(places, surplus.saturating_sub(idle));
        match scaler.drain(server, &urls, true).await {
            Ok(()) => {
                let until = Instant::now() + scaled.bounds.drain;
                self.drain = Some(Drain { to: decision.replicas, urls, until });
            }
            Err(error) => {
                tracing::debug!(server = %server.key, %error, "replicas could not be drained and are tried again");
            }
        }
    }

    async fn scale(
        &mut self,
        (scaler, server, scaled): (&Arc<dyn Scaler>, &Server, &Scaled),
        Decision { replicas: to, reason }: Decision,
        seen: Observation,
    ) {
        let from = scaled.desired;
        match scaler.scale(server, Change { from, to }).await {
            Ok(()) => {
                self.drain = None;
                let message = self.message(&seen);
                tracing::info!(server = %server.key, from, to, %reason, %message, "a server is scaled");
                let time = whole_second(Timestamp::now());
                let record = Record { time, from, to, reason: reason.as_str().to_owned(), message };
                self.history.push_front(record);
                self.history.truncate(HISTORY);
            }
            Err(Error::Changed) => {}
            Err(error) => {
                tracing::warn!(server = %server.key, from, to, %reason, %error, "a server could not be scaled and is tried again");
            }
        }
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
            retry_at: self.state.retry_at().filter(|at| *at > now).and_then(|at| {
                known_retry.or_else(|| Timestamp::now().checked_add(at - now).ok().map(whole_second))
            }),
            start: backend.learnt.start(),
            activity: self.activity(scaled, unknown),
            history: self.history.clone(),
        }
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

/// Says the number that there is, in the gateway's own name.
async fn claim((scaler, server, scaled): (&Arc<dyn Scaler>, &Server, &Scaled)) {
    let change = Change { from: scaled.desired, to: scaled.desired };
    if let Err(Error::Failed(error)) = scaler.scale(server, change).await {
        tracing::warn!(server = %server.key, error, "the number of a server's replicas could not be claimed and is tried again");
    }
}

fn whole_second(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}
