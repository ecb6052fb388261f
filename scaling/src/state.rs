//! What is remembered of a server, and the decision.

use std::cmp::Reverse;
use std::time::Duration;

use crate::calls::Calls;
use crate::clock::Clock;
use crate::number::ceiling;
use crate::peak::Peak;
use crate::policy::FILL;
use crate::quiet::Quiet;
use crate::starting::Starting;
use crate::wake::{DRAIN, UNKNOWN_SERVICE};
use crate::window::LoadWindow;
use crate::{Decision, Observation, Policy, Reason, Starts, wake};

/// Over so many times what the replicas should have, the load is a burst: Knative's `panic-threshold-percentage`.
const PANIC_FACTOR: f64 = 2.0;
/// Replicas may become so many times more within `rise_within`, or [`RISE_STEP`] more.
const RISE_FACTOR: u32 = 2;
/// See [`RISE_FACTOR`].
const RISE_STEP: u32 = 4;
/// Part of a load that may come from adding up, and asks for no replica.
const ROUNDING: f64 = 1e-9;

/// What is remembered of one server between decisions.
///
/// It is bounded: at most 128 spans of the load, and 66 recommendations each way, whatever the windows, and however
/// often it is asked.
///
/// A state without history (a new leader, a restart) takes no capacity away: the replicas it finds count as
/// recommended at its first observation, so that none goes before it has watched for `scale_in_after`, and the last
/// one does not before it has seen `idle` of silence itself, unless [`State::resumed`] says since when there is.
#[derive(Debug, Clone, Default)]
pub struct State {
    clock: Clock,
    load: LoadWindow,
    /// Calls a second that came, over the panic window.
    arrivals: LoadWindow,
    calls: Calls,
    /// Replicas that the load asked for.
    wanted: Peak<u32>,
    /// Fewest replicas there were, but for none.
    fewest: Peak<Reverse<u32>>,
    quiet: Quiet,
    starting: Starting,
    /// Replicas at the last observation, and those then decided.
    before: Option<(u32, u32)>,
}

impl State {
    /// A state that knows since when nothing is asked of the server, by the caller's clock; with none it is a new one.
    #[must_use]
    pub fn resumed(idle_since: Option<Duration>) -> Self {
        Self { quiet: Quiet { calls: idle_since, all: idle_since }, ..Self::default() }
    }

    /// How many replicas there should be at `now`, and why.
    ///
    /// `now` is a time since any moment that the caller chose; a time before the last one counts as no time. To be
    /// called about once a second, and at once when calls begin to wait; any other rhythm works, and a long gap counts
    /// with its mean. A server that is at zero is woken with what [`wake`](crate::wake()) says of the calls that wait
    /// and of what calls took before; a caller that knows what starts take may ask for more.
    pub fn decide(&mut self, policy: &Policy, seen: &Observation, now: Duration) -> Decision {
        let policy = policy.clamped();
        let span = self.clock.advance(now);
        self.watch(&policy, seen, span);
        let decision = match seen.desired {
            0 => self.at_zero(&policy, seen, span),
            _ => self.with_replicas(&policy, seen),
        };
        self.before = Some((seen.desired, decision.replicas));
        decision
    }

    /// Since when nothing was asked of the server, by the caller's clock.
    #[must_use]
    pub fn idle_since(&self) -> Option<Duration> {
        self.quiet.all.map(|since| self.clock.told(since))
    }

    /// Until when no start is tried after those that failed: 10 s after the first, twice as long after each further
    /// one, at most 300 s. A start that works ends it.
    #[must_use]
    pub fn retry_at(&self) -> Option<Duration> {
        self.starting.retry_at.map(|until| self.clock.told(until))
    }

    /// Since when replicas are asked for and none is ready.
    #[must_use]
    pub fn starting_since(&self) -> Option<Duration> {
        self.starting.since.map(|since| self.clock.told(since))
    }

    /// Bytes that it takes, on the heap and itself.
    #[must_use]
    pub fn size(&self) -> usize {
        size_of::<Self>() + self.load.heap() + self.arrivals.heap() + self.wanted.heap() + self.fewest.heap()
    }

    fn watch(&mut self, policy: &Policy, seen: &Observation, span: Option<Duration>) {
        let now = self.clock.time();
        if let Some(span) = span {
            self.load.note(span, seen.mean(), policy.window);
            self.arrivals.note(span, per_second(seen.arrivals, span), policy.panic_window());
            self.calls.watch(seen, span);
        }
        self.quiet.watch(seen, now);
        // Replicas that came right after we let the last one go are a new start, although zero was never seen.
        if seen.ready == 0 && self.before.is_some_and(|(_, decided)| decided == 0) {
            self.starting.up = None;
        }
        self.starting.watch(seen, now);
        // How fast replicas come is limited from the first ones on, whoever woke them.
        if seen.desired > 0 {
            self.fewest.note(Reverse(seen.desired), now, policy.rise_within);
        }
        // What somebody else asked for, or was there before us, is kept as if we had wanted it. That it is more than
        // at the last look tells it from an answer of ours that has not arrived.
        if self.before.is_none_or(|(desired, decided)| seen.desired > desired.max(decided)) {
            self.wanted.note(seen.desired, now, policy.scale_in_after);
        }
    }

    fn at_zero(&mut self, policy: &Policy, seen: &Observation, span: Option<Duration>) -> Decision {
        let now = self.clock.time();
        if policy.min > 0 {
            self.starting.ask(now);
            return Decision::new(policy.min, Reason::BelowMinimum);
        }
        if self.starting.pauses(now) {
            return Decision::new(0, Reason::BackingOff);
        }
        if !seen.needs_a_replica() {
            return Decision::new(0, Reason::Idle);
        }
        let rate = span.map_or(0.0, |span| per_second(seen.arrivals, span));
        let replicas = wake(policy, seen.waiting, rate, &Starts::default(), self.calls.mean());
        self.starting.ask(now);
        self.wanted.note(replicas, now, policy.scale_in_after);
        Decision::new(replicas, Reason::Woken)
    }

    fn with_replicas(&mut self, policy: &Policy, seen: &Observation) -> Decision {
        let now = self.clock.time();
        if policy.min == 0 && self.starting.up.is_none() {
            if self.starting.pauses(now) {
                return Decision::new(0, Reason::BackingOff);
            }
            if self.starting.is_stuck(policy, now) {
                self.starting.fail(now);
                return Decision::new(0, Reason::StartFailed);
            }
        }
        let by_load = self.by_load(policy, seen);
        let rests = by_load.replicas == seen.desired;
        match self.without_calls(policy, seen) {
            Some(Reason::Idle) => Decision::new(0, Reason::Idle),
            Some(kept) if rests => Decision::new(by_load.replicas, kept),
            _ => by_load,
        }
    }

    /// Whether the last replica goes, or what keeps it although no calls come.
    fn without_calls(&self, policy: &Policy, seen: &Observation) -> Option<Reason> {
        let now = self.clock.time();
        let long =
            |since: Option<Duration>| since.is_some_and(|since| now.saturating_sub(since) >= policy.idle);
        if policy.min > 0 || !long(self.quiet.calls) {
            None
        } else if seen.sessions > 0 {
            Some(Reason::KeptBySessions)
        } else if !long(self.quiet.all) {
            None
        } else if self.starting.may_go(policy, now) {
            Some(Reason::Idle)
        } else {
            Some(Reason::KeptByDwell)
        }
    }

    /// The decision of the load alone, which leaves at least one replica.
    fn by_load(&mut self, policy: &Policy, seen: &Observation) -> Decision {
        let now = self.clock.time();
        let (load, rose) = self.load(policy, seen);
        let load = if seen.ready < seen.desired { self.while_starting(policy, seen, load) } else { load };
        let asked = recommended(policy, seen.desired, load);
        let wanted = asked.clamp(policy.min.max(1), policy.max);
        self.wanted.note(wanted, now, policy.scale_in_after);
        if seen.desired > policy.max {
            Decision::new(policy.max, Reason::AboveMaximum)
        } else if seen.desired < policy.min {
            Decision::new(policy.min, Reason::BelowMinimum)
        } else if wanted > seen.desired {
            self.risen(seen.desired, wanted, rose)
        } else if wanted < seen.desired {
            self.fallen(seen.desired, wanted)
        } else if asked > wanted {
            Decision::new(wanted, Reason::AboveMaximum)
        } else {
            Decision::new(wanted, Reason::Steady)
        }
    }

    /// The load that counts, and how it is called if it asks for more.
    fn load(&self, policy: &Policy, seen: &Observation) -> (f64, Reason) {
        let over = |time| self.load.mean(time).unwrap_or_else(|| f64::from(seen.now));
        let (stable, panic) = (over(policy.window), over(policy.panic_window()));
        // Those that still start count: the calls that wait for them are theirs.
        let replicas = f64::from(seen.desired);
        let is_burst = panic > PANIC_FACTOR * replicas * policy.target
            || seen.waiting > 0 && panic > replicas * policy.capacity();
        if is_burst { (panic.max(stable), Reason::Burst) } else { (stable, Reason::LoadRose) }
    }

    /// The load that counts while replicas start. What waits for them grows until they are ready, and is done soon
    /// after; so it asks for as many more as do it within seconds, and not for one by each few calls.
    fn while_starting(&self, policy: &Policy, seen: &Observation, load: f64) -> f64 {
        let service = self.calls.mean().unwrap_or(UNKNOWN_SERVICE).as_secs_f64();
        let coming = self.arrivals.mean(policy.panic_window()).unwrap_or(0.0) * service;
        let in_hand = f64::from(seen.now.saturating_sub(seen.waiting));
        let needed = coming.max(in_hand) + f64::from(seen.waiting) * service * FILL / DRAIN;
        // It keeps from more replicas, and asks for no fewer.
        let enough = f64::from(seen.desired) * policy.target;
        load.min(needed.max(enough))
    }

    fn risen(&self, desired: u32, wanted: u32, rose: Reason) -> Decision {
        let limit = self.fewest.largest().map_or(u32::MAX, |Reverse(fewest)| {
            fewest.saturating_mul(RISE_FACTOR).max(fewest.saturating_add(RISE_STEP)).max(desired)
        });
        if wanted > limit { Decision::new(limit, Reason::RateLimited) } else { Decision::new(wanted, rose) }
    }

    fn fallen(&self, desired: u32, wanted: u32) -> Decision {
        let kept = self.wanted.largest().map_or(wanted, |largest| largest.max(wanted));
        if kept < desired {
            Decision::new(kept, Reason::LoadFell)
        } else {
            Decision::new(desired, Reason::KeptByWindow)
        }
    }
}

/// The replicas that `load` asks for where there are `replicas`; those, within the dead bands.
fn recommended(policy: &Policy, replicas: u32, load: f64) -> u32 {
    let (load, target) = (load * (1.0 - ROUNDING), policy.target);
    let lower = target * (1.0 - policy.band_down);
    if load > f64::from(replicas) * target * (1.0 + policy.band_up) {
        ceiling(load / target).max(replicas)
    } else if load < f64::from(replicas.saturating_sub(1)) * lower {
        ceiling(load / lower).clamp(1, replicas)
    } else {
        replicas
    }
}

#[expect(clippy::cast_precision_loss, reason = "calls of one span, far below 2^52")]
fn per_second(arrivals: u64, span: Duration) -> f64 {
    if span.is_zero() { 0.0 } else { arrivals as f64 / span.as_secs_f64() }
}
