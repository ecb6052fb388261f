//! When a failed request is sent again: how often, after what wait, for which failures, and within what budget.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use rand::Rng;

use super::error::{Class, Error};

/// How the wait before the next attempt grows. The first retry has the number 1.
#[derive(Debug, Clone, Copy)]
pub enum Strategy {
    /// The same each time.
    Fixed(Duration),
    /// Once, twice, three times this.
    Linear(Duration),
    /// This, then twice, four times, eight times it.
    Exponential(Duration),
    /// Whatever the function says for the number of the retry.
    Custom(fn(u32) -> Duration),
}

impl Strategy {
    fn wait(self, retry: u32) -> Duration {
        match self {
            Self::Fixed(wait) => wait,
            Self::Linear(step) => step.saturating_mul(retry),
            Self::Exponential(first) => first.saturating_mul(1 << retry.saturating_sub(1).min(30)),
            Self::Custom(wait) => wait(retry),
        }
    }
}

/// What is tried again, and how often.
#[derive(Debug, Clone, Copy)]
pub struct Retry {
    /// Attempts of a call that may be repeated; 1 means no retry.
    pub attempts: u32,
    /// How the wait grows. It is the upper end of a random one ("full jitter"), so that clients which failed together do not come
    /// back together.
    pub strategy: Strategy,
    /// The longest of these waits.
    pub longest: Duration,
    /// Failures that are worth another attempt.
    pub classes: &'static [Class],
    /// Retries for each hundred calls, beyond the ten that a client may always begin with: below 100, so that retries never double
    /// the load on an API that is in trouble.
    pub percent: u8,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 3,
            strategy: Strategy::Exponential(Duration::from_millis(200)),
            longest: Duration::from_secs(10),
            classes: &[Class::Network, Class::Timeout, Class::RateLimited, Class::Server],
            percent: 20,
        }
    }
}

impl Retry {
    /// The wait before the retry of this number; `None` where the failure is not worth one or there were enough. The API's own wish
    /// goes before our wait.
    pub(super) fn wait(&self, error: &Error, retry: u32) -> Option<Duration> {
        if retry >= self.attempts || !self.classes.contains(&error.class()) {
            return None;
        }
        let ours = jittered(self.strategy.wait(retry).min(self.longest));
        Some(error.wait().map_or(ours, |asked| asked.max(ours)))
    }
}

fn jittered(longest: Duration) -> Duration {
    rand::rng().random_range(Duration::ZERO..=longest)
}

/// Thousandths of a retry.
const RETRY: i64 = 1_000;
/// Retries that a client may save up.
const SAVED: i64 = 10 * RETRY;

/// Retries that are still allowed: each call earns a share of one, each retry costs one.
#[derive(Debug)]
pub(super) struct Budget {
    left: AtomicI64,
    earned: i64,
}

impl Budget {
    pub(super) fn new(percent: u8) -> Self {
        Self { left: AtomicI64::new(SAVED), earned: i64::from(percent) * RETRY / 100 }
    }

    /// A call begins.
    pub(super) fn earn(&self) {
        self.change(|left| (left < SAVED).then(|| SAVED.min(left + self.earned)));
    }

    /// Whether a retry is allowed; it is paid for then.
    pub(super) fn spend(&self) -> bool {
        self.change(|left| (left >= RETRY).then(|| left - RETRY))
    }

    fn change(&self, change: impl FnMut(i64) -> Option<i64>) -> bool {
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, change).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[rstest]
    #[case::fixed(Strategy::Fixed(MS(50)), [50, 50, 50, 50])]
    #[case::linear(Strategy::Linear(MS(50)), [50, 100, 150, 200])]
    #[case::exponential(Strategy::Exponential(MS(50)), [50, 100, 200, 400])]
    #[case::custom(Strategy::Custom(|retry| MS(u64::from(retry).pow(2))), [1, 4, 9, 16])]
    fn a_wait_grows_as_its_strategy_says(#[case] strategy: Strategy, #[case] waits: [u64; 4]) {
        for (retry, wait) in (1..).zip(waits) {
            assert_eq!(strategy.wait(retry), MS(wait), "{retry}");
        }
        assert!(strategy.wait(u32::MAX) >= strategy.wait(1));
    }

    #[test]
    fn waits_are_spread_over_all_of_their_length() {
        let waits: Vec<Duration> = (0..500).map(|_| jittered(MS(100))).collect();
        assert!(waits.iter().all(|wait| *wait <= MS(100)));
        assert!(waits.iter().any(|wait| *wait < MS(20)) && waits.iter().any(|wait| *wait > MS(80)));
    }

    #[test]
    fn only_the_classes_listed_are_tried_again_and_only_so_often() {
        let retry = Retry { classes: &[Class::Timeout], ..Retry::default() };
        let error = |class| Error::new("Shop", class, "");
        assert!(retry.wait(&error(Class::Timeout), 1).is_some());
        assert!(retry.wait(&error(Class::Timeout), 2).is_some());
        assert!(retry.wait(&error(Class::Timeout), 3).is_none());
        assert!(retry.wait(&error(Class::Server), 1).is_none());
    }

    #[test]
    fn the_apis_own_wish_goes_before_our_wait() {
        let limited = Error::new("Shop", Class::RateLimited, "").retry_after(Some(MS(7_000)));
        assert_eq!(Retry::default().wait(&limited, 1), Some(MS(7_000)));
    }

    #[test]
    fn retries_stay_a_share_of_the_calls() {
        let budget = Budget::new(20);
        let mut retries = 0;
        for _ in 0..1_000 {
            budget.earn();
            while budget.spend() {
                retries += 1;
            }
        }
        // Ten to begin with, and a fifth of a thousand.
        assert!((200..=210).contains(&retries), "{retries}");
    }
}
