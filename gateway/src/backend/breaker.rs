//! Whether an endpoint is worth a call: one that fails again and again is passed over for a while.
//!
//! It is no more than a preference among the endpoints of one server. Where all of them fail, all are used: to refuse
//! every call would only make an outage out of trouble.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use tokio::time::Instant;

use super::fault::Fault;

/// Failures in a row after which an endpoint is passed over.
const LIMIT: u32 = 5;
/// Milliseconds for which it is passed over at first; doubled with each further failure.
const FIRST: u64 = 1_000;
/// The most.
const LAST: u64 = 30_000;

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Milliseconds on a clock of this process.
pub(crate) fn now() -> u64 {
    u64::try_from(START.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// What is known of an endpoint's failures.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    /// In a row.
    failures: AtomicU32,
    /// Until when it is passed over, in milliseconds; then one call at a time tries it.
    until: AtomicU64,
}

impl Breaker {
    /// Whether others are to be preferred.
    pub(crate) fn is_open(&self) -> bool {
        self.failures.load(Ordering::Relaxed) >= LIMIT
    }

    /// Whether a call may try the endpoint although it is open: one at a time may, when its time has come.
    pub(crate) fn takes_trial(&self, now: u64) -> bool {
        let until = self.until.load(Ordering::Relaxed);
        let next = now.saturating_add(FIRST);
        until <= now && self.until.compare_exchange(until, next, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Takes note of what came of a call.
    pub(crate) fn note(&self, fault: Option<&Fault>, now: u64) {
        match fault {
            None => self.failures.store(0, Ordering::Relaxed),
            // Nobody listens there: one failure is proof enough.
            Some(Fault::Unreachable { .. }) => self.failed(LIMIT, now),
            Some(fault) if fault.is_of_endpoint() => self.failed(1, now),
            Some(_) => {}
        }
    }

    fn failed(&self, weight: u32, now: u64) {
        let before = self.failures.load(Ordering::Relaxed);
        // Capped, so that the doubling below stays within bounds.
        let failures = before.saturating_add(weight.min(LIMIT.saturating_sub(before).max(1))).min(LIMIT + 16);
        self.failures.store(failures, Ordering::Relaxed);
        if let Some(beyond) = failures.checked_sub(LIMIT) {
            self.until.store(now.saturating_add((FIRST << beyond).min(LAST)), Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unreachable() -> Fault {
        Fault::Unreachable { url: "http://a".into(), reason: "refused".into() }
    }

    #[test]
    fn five_failures_in_a_row_open_it_and_one_answer_closes_it() {
        let breaker = Breaker::default();
        for _ in 0..4 {
            breaker.note(Some(&Fault::Timeout { after: std::time::Duration::ZERO }), 0);
        }
        assert!(!breaker.is_open());
        breaker.note(None, 0);
        for _ in 0..5 {
            assert!(!breaker.is_open());
            breaker.note(Some(&Fault::Timeout { after: std::time::Duration::ZERO }), 0);
        }
        assert!(breaker.is_open());
        breaker.note(None, 0);
        assert!(!breaker.is_open());
    }

    #[test]
    fn a_refused_connection_opens_it_at_once_and_what_the_client_did_never() {
        let breaker = Breaker::default();
        for _ in 0..9 {
            breaker.note(Some(&Fault::Cancelled), 0);
        }
        assert!(!breaker.is_open());
        breaker.note(Some(&unreachable()), 0);
        assert!(breaker.is_open());
    }

    #[test]
    fn one_call_at_a_time_tries_it_and_the_pause_doubles_up_to_half_a_minute() {
        let breaker = Breaker::default();
        let mut pauses = Vec::new();
        for _ in 0..8 {
            breaker.note(Some(&unreachable()), 0);
            let pause = (0..).step_by(500).find(|now| breaker.takes_trial(*now)).unwrap();
            assert!(!breaker.takes_trial(pause), "the second waits for what comes of the first");
            pauses.push(pause / 1000);
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30, 30]);
    }
}
