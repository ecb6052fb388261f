//! What a server's past says of its future.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use portico_scaling::{Service, Starts, retry_after};
use tokio::time::Instant;

use super::meter::Reading;
use crate::source::Bounds;

/// How long starts and calls took.
#[derive(Debug, Default)]
pub(crate) struct Learnt(Mutex<Past>);

#[derive(Debug, Default)]
struct Past {
    starts: Starts,
    service: Service,
    /// What the service times are reckoned from.
    before: Reading,
    /// Since when it is being started.
    starting: Option<Instant>,
}

impl Learnt {
    /// It is being started, unless it was already.
    pub(crate) fn starting(&self) {
        self.with(|past| {
            past.starting.get_or_insert_with(Instant::now);
        });
    }

    /// It answers; how long the start took, if one was under way.
    pub(crate) fn started(&self) -> Option<Duration> {
        self.with(|past| {
            let took = past.starting.take()?.elapsed();
            past.starts.note(took);
            Some(took)
        })
    }

    /// It does not start.
    pub(crate) fn failed(&self) {
        self.with(|past| past.starting = None);
    }

    /// Takes note of the calls that ended since.
    pub(crate) fn note(&self, now: &Reading) {
        self.with(|past| {
            let ended = now.completions.wrapping_sub(past.before.completions);
            let busy = Duration::from_nanos(now.busy.wrapping_sub(past.before.busy));
            past.service.note(ended, busy);
            past.before = *now;
        });
    }

    /// What a start takes, in the middle.
    pub(crate) fn start(&self) -> Option<Duration> {
        self.with(|past| past.starts.p50())
    }

    /// With how many replicas so many waiting calls are to be served.
    pub(crate) fn wake(&self, bounds: &Bounds, min: u32, waiting: u32) -> u32 {
        let policy = super::policy(bounds, min);
        self.with(|past| portico_scaling::wake(&policy, waiting, 0.0, &past.starts, past.service.mean()))
    }

    /// How long a call may wait whose caller has so much patience.
    pub(crate) fn hold(&self, bounds: &Bounds, patience: Option<Duration>) -> Duration {
        self.with(|past| portico_scaling::hold(bounds.hold, patience, &past.starts))
    }

    /// After what time it is worth trying again where `waiting` calls wait.
    pub(crate) fn retry_after(&self, bounds: &Bounds, waiting: u32, replicas: u32) -> Duration {
        let policy = super::policy(bounds, 0);
        self.with(|past| {
            let elapsed = past.starting.map_or(Duration::ZERO, |since| since.elapsed());
            retry_after(&past.starts, elapsed, waiting, past.service.mean(), &policy, replicas)
        })
    }

    fn with<T>(&self, look: impl FnOnce(&mut Past) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
