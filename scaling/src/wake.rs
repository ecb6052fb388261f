//! How a server is woken, and how long its calls wait.

use std::time::Duration;

use crate::number::ceiling;
use crate::{Policy, Starts};

/// Seconds in which the calls that wait should be done once replicas are ready.
pub const DRAIN: f64 = 5.0;
/// What a call takes as long as none has ended.
pub const UNKNOWN_SERVICE: Duration = Duration::from_secs(1);
/// Starts from which on their times bound how long a call is held.
const ENOUGH_STARTS: usize = 5;
/// They never bound it to less.
const SHORTEST_HOLD: Duration = Duration::from_secs(30);
/// A call is held so many times as long as slow starts take.
const PATIENCE: f64 = 1.5;
/// Seconds; nobody is told to wait longer.
const LONGEST_RETRY: f64 = 300.0;

/// How many replicas a server at zero is woken with: within the bounds of the policy, and at least one.
///
/// ```text
/// max(1, ceil((waiting + arrivals_per_second · p50(starts)) · service / (target/0.7 · 5 s)))
/// ```
///
/// A start whose time is not known counts as none, a call whose time is not known as one second.
#[must_use]
pub fn wake(
    policy: &Policy,
    waiting: u32,
    arrivals_per_second: f64,
    starts: &Starts,
    service: Option<Duration>,
) -> u32 {
    let policy = policy.clamped();
    let cold = starts.p50().unwrap_or_default().as_secs_f64();
    let coming = if arrivals_per_second.is_finite() { arrivals_per_second.max(0.0) * cold } else { 0.0 };
    let work = (f64::from(waiting) + coming) * service.unwrap_or(UNKNOWN_SERVICE).as_secs_f64();
    ceiling(work / (policy.capacity() * DRAIN)).clamp(policy.min.max(1), policy.max)
}

/// How long a call may be held for a replica: the least of `cap`, the caller's `deadline`, and, once there were five
/// starts, one and a half times what 95 of 100 of them took (half a minute at least: a machine that is busy for a while must cost no call).
#[must_use]
pub fn hold(cap: Duration, deadline: Option<Duration>, starts: &Starts) -> Duration {
    let slow = starts.p95().filter(|_| starts.len() >= ENOUGH_STARTS);
    let patience =
        slow.map(|slow| Duration::try_from_secs_f64(slow.as_secs_f64() * PATIENCE).unwrap_or(Duration::MAX));
    let patience = patience.map_or(Duration::MAX, |patience| patience.max(SHORTEST_HOLD));
    cap.min(deadline.unwrap_or(Duration::MAX)).min(patience)
}

/// When a call that is refused is worth making again: whole seconds, from 1 to 300.
///
/// ```text
/// max(0, p50(starts) − elapsed) + waiting · service / (target/0.7 · max(1, replicas))
/// ```
///
/// `elapsed` is the time since the start that is under way began. A start whose time is not known counts as none, a
/// call whose time is not known as one second.
#[must_use]
#[expect(clippy::too_many_arguments, reason = "the terms of the formula")]
pub fn retry_after(
    starts: &Starts,
    elapsed: Duration,
    waiting: u32,
    service: Option<Duration>,
    policy: &Policy,
    replicas: u32,
) -> Duration {
    let start = starts.p50().unwrap_or_default().saturating_sub(elapsed).as_secs_f64();
    let work = f64::from(waiting) * service.unwrap_or(UNKNOWN_SERVICE).as_secs_f64();
    let capacity = policy.clamped().capacity() * f64::from(replicas.max(1));
    let seconds = (start + work / capacity).clamp(1.0, LONGEST_RETRY);
    Duration::from_secs(u64::from(ceiling(seconds)))
}
