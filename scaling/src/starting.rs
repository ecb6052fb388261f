//! Replicas that come from zero, and what is done when they do not come.

use std::time::Duration;

use crate::{Observation, Policy};

/// How long no start is tried after a first one that failed; doubled with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(10);
/// The longest such time.
const LONGEST_PAUSE: Duration = Duration::from_mins(5);
/// Doubled more often the pause would be over the longest anyway.
const MOST_DOUBLINGS: u32 = 8;

/// How the replicas there are came up, and how often others did not.
#[derive(Debug, Clone, Default)]
pub struct Starting {
    /// Since when replicas are asked for and none is ready.
    pub since: Option<Duration>,
    /// Since when there was a ready one, after there were none at all.
    pub up: Option<Duration>,
    /// Until when no start is tried.
    pub retry_at: Option<Duration>,
    failures: u32,
}

impl Starting {
    /// Takes in what was seen at `now`.
    pub fn watch(&mut self, seen: &Observation, now: Duration) {
        if seen.desired == 0 {
            (self.since, self.up) = (None, None);
        } else if seen.ready == 0 {
            self.since.get_or_insert(now);
        } else {
            self.up.get_or_insert(now);
            (self.since, self.retry_at, self.failures) = (None, None, 0);
        }
    }

    /// Replicas are asked for, where there were none.
    pub const fn ask(&mut self, now: Duration) {
        (self.since, self.up) = (Some(now), None);
    }

    /// Whether no start is tried at `now`.
    pub fn pauses(&self, now: Duration) -> bool {
        self.retry_at.is_some_and(|until| now < until)
    }

    /// Whether what came from zero should be ready by `now`, and never was. One that was ready once is not judged: it
    /// is for the kubelet to start it again.
    pub fn is_stuck(&self, policy: &Policy, now: Duration) -> bool {
        let late = |since: Duration| now.saturating_sub(since) >= policy.start_within;
        self.up.is_none() && self.since.is_some_and(late)
    }

    /// Counts a start that failed.
    pub fn fail(&mut self, now: Duration) {
        let pause = FIRST_PAUSE * (1 << self.failures.min(MOST_DOUBLINGS));
        self.failures = self.failures.saturating_add(1);
        self.retry_at = Some(now.saturating_add(pause.min(LONGEST_PAUSE)));
        self.since = None;
    }

    /// Whether the replicas there are may go at `now`.
    pub fn may_go(&self, policy: &Policy, now: Duration) -> bool {
        self.up.is_some_and(|up| now.saturating_sub(up) >= policy.dwell)
    }
}
