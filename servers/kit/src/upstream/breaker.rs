//! Leaves an API alone that has failed time after time, and looks now and then whether it is back.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// When a circuit opens, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct Trip {
    /// Failures in a row that open it; 0 means that it never opens.
    pub failures: u32,
    /// How long it stays open before one request may try.
    pub rest: Duration,
}

impl Default for Trip {
    fn default() -> Self {
        Self { failures: 5, rest: Duration::from_mins(1) }
    }
}

/// How a circuit stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Requests pass.
    Closed,
    /// One request tries whether the API is back; the others are refused.
    HalfOpen,
    /// Requests are refused.
    Open,
}

impl State {
    /// The value of the gauge: 0 closed, 1 half open, 2 open.
    pub(crate) const fn number(self) -> i64 {
        match self {
            Self::Closed => 0,
            Self::HalfOpen => 1,
            Self::Open => 2,
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Inner {
    Closed {
        failures: u32,
    },
    Open {
        until: Instant,
    },
    /// A probe is on its way. The number tells it from an earlier one.
    Probing {
        probe: u64,
    },
}

/// The decision alone; it has no clock of its own.
#[derive(Debug)]
struct Core {
    trip: Trip,
    inner: Inner,
    probes: u64,
}

/// How a request ended, as far as the circuit cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The API answered.
    Up,
    /// The API did not answer, or said that it fails.
    Down,
    /// Nothing was learned, as when the caller went away.
    Unknown,
}

impl Core {
    fn state(&self) -> State {
        match self.inner {
            Inner::Closed { .. } => State::Closed,
            Inner::Probing { .. } => State::HalfOpen,
            Inner::Open { .. } => State::Open,
        }
    }

    /// Lets a request pass, as the probe of the given number or as one among others; or says how long to wait.
    fn admit(&mut self, now: Instant) -> Result<Option<u64>, Duration> {
        match self.inner {
            Inner::Closed { .. } => Ok(None),
            Inner::Open { until } if now < until => Err(until - now),
            Inner::Open { .. } => {
                self.probes += 1;
                self.inner = Inner::Probing { probe: self.probes };
                Ok(Some(self.probes))
            }
            // The probe's end is near, and nobody knows when.
            Inner::Probing { .. } => Err(Duration::from_secs(1)),
        }
    }

    fn ended(&mut self, admitted: Option<u64>, verdict: Verdict, now: Instant) {
        match (self.inner, verdict) {
            (Inner::Closed { .. }, Verdict::Up) => self.inner = Inner::Closed { failures: 0 },
            (Inner::Closed { failures }, Verdict::Down) => self.failed(failures + 1, now),
            (Inner::Probing { probe }, verdict) if admitted == Some(probe) => match verdict {
                Verdict::Up => self.inner = Inner::Closed { failures: 0 },
                Verdict::Down => self.inner = Inner::Open { until: now + self.trip.rest },
                Verdict::Unknown => self.inner = Inner::Open { until: now },
            },
            // What was sent before the circuit opened tells nothing new.
            _ => {}
        }
    }

    fn failed(&mut self, failures: u32, now: Instant) {
        let opens = self.trip.failures > 0 && failures >= self.trip.failures;
        self.inner =
            if opens { Inner::Open { until: now + self.trip.rest } } else { Inner::Closed { failures } };
    }
}

/// A circuit that requests of one kind share.
#[derive(Debug)]
pub(super) struct Breaker(Mutex<Core>);

impl Breaker {
    pub(super) fn new(trip: Trip) -> Self {
        Self(Mutex::new(Core { trip, inner: Inner::Closed { failures: 0 }, probes: 0 }))
    }

    pub(super) fn state(&self) -> State {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).state()
    }

    /// Leave for one request, or the time after which to ask for it again.
    pub(super) fn admit(&self) -> Result<Leave<'_>, Duration> {
        let mut core = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let probe = core.admit(Instant::now())?;
        Ok(Leave { breaker: self, probe })
    }
}

/// One request's leave; its end tells the circuit how it went.
pub(super) struct Leave<'a> {
    breaker: &'a Breaker,
    probe: Option<u64>,
}

impl Leave<'_> {
    /// Ends it; the state before and after.
    pub(super) fn end(mut self, verdict: Verdict) -> (State, State) {
        let states = self.tell(verdict);
        // `drop` then has nothing left to say.
        self.probe = None;
        states
    }

    fn tell(&self, verdict: Verdict) -> (State, State) {
        let mut core = self.breaker.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = core.state();
        core.ended(self.probe, verdict, Instant::now());
        (before, core.state())
    }
}

/// A probe whose caller goes away must not keep the circuit half open for ever.
impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.tell(Verdict::Unknown);
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const REST: Duration = Duration::from_mins(1);

    fn breaker(failures: u32) -> Breaker {
        Breaker::new(Trip { failures, rest: REST })
    }

    fn request(breaker: &Breaker, verdict: Verdict) {
        breaker.admit().ok().unwrap().end(verdict);
    }

    #[tokio::test(start_paused = true)]
    async fn five_failures_in_a_row_open_it_for_a_minute() {
        let breaker = Breaker::new(Trip::default());
        for _ in 0..4 {
            request(&breaker, Verdict::Down);
        }
        request(&breaker, Verdict::Up);
        for _ in 0..5 {
            assert_eq!(breaker.state(), State::Closed);
            request(&breaker, Verdict::Down);
        }
        assert_eq!(breaker.state(), State::Open);
        advance(Duration::from_secs(20)).await;
        assert_eq!(breaker.admit().err(), Some(Duration::from_secs(40)));
    }

    #[tokio::test(start_paused = true)]
    async fn one_request_tries_and_its_success_closes_the_circuit() {
        let breaker = breaker(1);
        request(&breaker, Verdict::Down);
        advance(REST).await;
        let probe = breaker.admit().ok().unwrap();
        assert_eq!(breaker.state(), State::HalfOpen);
        assert!(breaker.admit().is_err(), "a second probe was let through");
        probe.end(Verdict::Up);
        assert_eq!(breaker.state(), State::Closed);
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_fails_opens_it_for_another_minute() {
        let breaker = breaker(1);
        request(&breaker, Verdict::Down);
        advance(REST).await;
        request(&breaker, Verdict::Down);
        assert_eq!(breaker.admit().err(), Some(REST));
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_whose_caller_goes_away_leaves_the_next_one_to_try() {
        let breaker = breaker(1);
        request(&breaker, Verdict::Down);
        advance(REST).await;
        drop(breaker.admit().ok().unwrap());
        assert_eq!(breaker.state(), State::Open);
        request(&breaker, Verdict::Up);
        assert_eq!(breaker.state(), State::Closed);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_sent_before_it_opened_neither_closes_nor_prolongs_it() {
        let breaker = breaker(1);
        let (early, late) = (breaker.admit().ok().unwrap(), breaker.admit().ok().unwrap());
        request(&breaker, Verdict::Down);
        advance(Duration::from_secs(30)).await;
        early.end(Verdict::Up);
        assert_eq!(breaker.state(), State::Open);
        late.end(Verdict::Down);
        assert_eq!(breaker.admit().err(), Some(Duration::from_secs(30)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_circuit_of_no_failures_never_opens() {
        let breaker = breaker(0);
        for _ in 0..100 {
            request(&breaker, Verdict::Down);
        }
        assert_eq!(breaker.state(), State::Closed);
    }
}
