//! How long to wait before the next start. Pure.

use std::time::Duration;

/// Waits that double with each failure, up to a bound, and begin anew after a good run.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    good_after: Duration,
    next: Duration,
}

impl Backoff {
    /// Waits from `first` to `longest`; a run that served for `good_after` makes the next wait the first again.
    #[must_use]
    pub const fn new(first: Duration, longest: Duration, good_after: Duration) -> Self {
        Self { first, longest, good_after, next: first }
    }

    /// The wait after a run that served for `served`.
    pub fn after(&mut self, served: Duration) -> Duration {
        if served >= self.good_after {
            self.next = self.first;
        }
        let wait = self.next;
        self.next = (wait * 2).min(self.longest);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_bound_and_begin_anew_after_a_good_run() {
        let seconds = Duration::from_secs;
        let mut backoff = Backoff::new(seconds(1), seconds(5), seconds(30));
        let waits: Vec<u64> = [0, 0, 29, 0, 0, 30, 0]
            .into_iter()
            .map(|served| backoff.after(seconds(served)).as_secs())
            .collect();
        assert_eq!(waits, [1, 2, 4, 5, 5, 1, 2]);
    }
}
