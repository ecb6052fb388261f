//! How long a failing object waits. Each object has its own wait, so that one never slows the others.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// The first wait.
const FIRST: Duration = Duration::from_secs(1);
/// The longest wait.
const LONGEST: Duration = Duration::from_mins(5);

/// Failures in a row, by object.
#[derive(Debug)]
pub struct Failures<K>(Mutex<HashMap<K, u32>>);

impl<K> Default for Failures<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash> Failures<K> {
    /// Counts a failure and says how long to wait: doubling from one second to five minutes, give or take a fifth.
    pub fn wait(&self, object: K) -> Duration {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = all.entry(object).and_modify(|count| *count = count.saturating_add(1)).or_insert(0);
        delay(*count).mul_f64(rand::random_range(0.8..1.2))
    }

    /// Forgets the failures of an object that succeeded or is gone.
    pub fn clear(&self, object: &K) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(object);
    }
}

fn delay(failures: u32) -> Duration {
    FIRST.saturating_mul(1 << failures.min(20)).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_five_minutes_and_start_anew_after_a_success() {
        let failures = Failures::default();
        let waits: Vec<u64> = (0..12).map(|_| failures.wait("a").as_secs()).collect();
        assert!(waits[0] <= 1, "{waits:?}");
        assert!((6..=9).contains(&waits[3]), "{waits:?}");
        assert!(waits[11] >= 240 && waits[11] <= 360, "{waits:?}");
        failures.clear(&"a");
        assert!(failures.wait("a") < Duration::from_secs(2));
    }

    #[test]
    fn one_object_does_not_make_another_wait() {
        let failures = Failures::default();
        for _ in 0..8 {
            failures.wait("a");
        }
        assert!(failures.wait("b") < Duration::from_secs(2));
    }
}
