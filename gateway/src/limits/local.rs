//! Counting in this process.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

use super::{Amount, Want};

/// What is counted apart. Beyond it all that is new counts as one, until something is forgotten.
const MAX_COUNTED: usize = 100_000;

/// What was used.
#[derive(Debug, Clone, Copy)]
enum Counted {
    /// The time at which the next one would come at an even rate (GCRA, theoretical arrival time).
    Rate(u64),
    /// So many in this window, which ends then.
    Window { number: u64, used: u64, until: u64 },
}

impl Counted {
    /// Whether it says no more than nothing would.
    fn is_over(self, now: u64) -> bool {
        match self {
            Self::Rate(next) => next <= now,
            Self::Window { until, .. } => until <= now,
        }
    }
}

/// What was used here.
#[derive(Debug)]
pub(crate) struct Local {
    began: Instant,
    counted: Mutex<HashMap<u128, Counted>>,
    limit: usize,
}

impl Default for Local {
    fn default() -> Self {
        Self::new(MAX_COUNTED)
    }
}

impl Local {
    fn new(limit: usize) -> Self {
        Self { began: Instant::now(), counted: Mutex::default(), limit }
    }

    /// Takes all of `wants` or none; then which is used up, and the microseconds until it is not.
    pub(super) fn take(&self, wants: &[Want]) -> Result<(), (usize, u64)> {
        let now = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX);
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        if counted.len() + wants.len() > self.limit {
            counted.retain(|_, counted| !counted.is_over(now));
        }
        let is_full = counted.len() + wants.len() > self.limit;
        let mut after = Vec::with_capacity(wants.len());
        for (index, want) in wants.iter().enumerate() {
            let key = if is_full && !counted.contains_key(&want.key) { 0 } else { want.key };
            let next = next(counted.get(&key).copied(), want.amount, now).map_err(|wait| (index, wait))?;
            after.push((key, next));
        }
        counted.extend(after);
        Ok(())
    }
}

/// What is counted after one more; the wait if there is no room.
fn next(before: Option<Counted>, amount: Amount, now: u64) -> Result<Counted, u64> {
    match amount {
        Amount::Rate { interval, ahead } => {
            let due = match before {
                Some(Counted::Rate(next)) => next.max(now),
                _ => now,
            };
            let early = due - now;
            if early > ahead { Err(early - ahead) } else { Ok(Counted::Rate(due + interval)) }
        }
        Amount::Window { calls, number, ends } => {
            let used = match before {
                Some(Counted::Window { number: of, used, .. }) if of == number => used,
                _ => 0,
            };
            if used >= calls {
                Err(ends)
            } else {
                Ok(Counted::Window { number, used: used + 1, until: now + ends })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use tokio::time::advance;

    use super::*;

    fn rate(key: u128, interval: u64, burst: u64) -> Want {
        Want { key, amount: Amount::Rate { interval, ahead: interval * (burst - 1) } }
    }

    fn window(key: u128, calls: u64, number: u64) -> Want {
        Want { key, amount: Amount::Window { calls, number, ends: 1000 } }
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_passes_and_then_one_each_interval() {
        let local = Local::default();
        let want = [rate(1, 1_000_000, 3)];
        for _ in 0..3 {
            local.take(&want).unwrap();
        }
        assert_eq!(local.take(&want), Err((0, 1_000_000)));
        advance(Duration::from_millis(400)).await;
        assert_eq!(local.take(&want), Err((0, 600_000)), "the wait is what is left");
        advance(Duration::from_millis(600)).await;
        local.take(&want).unwrap();
        assert!(local.take(&want).is_err());
        local.take(&[rate(2, 1_000_000, 3)]).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn what_one_quota_refuses_is_taken_from_no_other() {
        let local = Local::default();
        let both = [window(1, 5, 7), window(2, 1, 7)];
        local.take(&both).unwrap();
        for _ in 0..10 {
            assert_eq!(local.take(&both), Err((1, 1000)));
        }
        for _ in 0..4 {
            local.take(&[window(1, 5, 7)]).unwrap();
        }
        assert!(local.take(&[window(1, 5, 7)]).is_err());
        local.take(&[window(1, 5, 8)]).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn however_many_come_memory_is_bounded_and_none_goes_free() {
        let local = Local::new(100);
        let passed = (1..10_000).filter(|key| local.take(&[rate(*key, 1_000_000, 1)]).is_ok()).count();
        assert!(passed <= 101, "{passed}");
        assert!(local.counted.lock().unwrap().len() <= 101);
        advance(Duration::from_secs(2)).await;
        local.take(&[rate(77_777, 1_000_000, 1)]).unwrap();
        assert!(local.counted.lock().unwrap().len() < 5, "what is over is forgotten");
    }

    proptest! {
        #[test]
        fn over_any_time_no_more_pass_than_the_rate_and_the_burst_allow(
            steps in prop::collection::vec(0_u64..3000, 1..200),
            interval in 1_u64..1000,
            burst in 1_u64..20,
        ) {
            let (mut counted, mut now, mut passed) = (None, 0, 0);
            let want = rate(1, interval, burst);
            for step in steps {
                now += step;
                if let Ok(after) = next(counted, want.amount, now) {
                    counted = Some(after);
                    passed += 1;
                }
                prop_assert!(passed <= now / interval + burst, "{passed} in {now} µs");
            }
        }
    }
}
