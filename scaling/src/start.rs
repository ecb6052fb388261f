//! What starts and calls of a server take, learnt.

use std::collections::VecDeque;
use std::time::Duration;

/// Starts that are remembered.
const REMEMBERED: usize = 32;
/// A call weighs as much as this part of those before it.
const MEMORY: u64 = 64;

/// What starts took: from the first call that was held until a replica took it. The last 32 count.
#[derive(Debug, Clone, Default)]
pub struct Starts {
    last: VecDeque<Duration>,
}

impl Starts {
    /// Adds what a start took.
    pub fn note(&mut self, took: Duration) {
        if self.last.len() >= REMEMBERED {
            self.last.pop_front();
        }
        self.last.push_back(took);
    }

    /// How many starts are remembered, at most 32.
    #[must_use]
    pub fn len(&self) -> usize {
        self.last.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.last.is_empty()
    }

    /// The time that half of the starts kept to.
    #[must_use]
    pub fn p50(&self) -> Option<Duration> {
        self.percentile(50)
    }

    /// The time that 95 of 100 starts kept to.
    #[must_use]
    pub fn p95(&self) -> Option<Duration> {
        self.percentile(95)
    }

    /// The smallest time that so many of 100 kept to.
    fn percentile(&self, part: usize) -> Option<Duration> {
        let mut sorted = Vec::from(self.last.clone());
        sorted.sort_unstable();
        let rank = (sorted.len() * part).div_ceil(100);
        sorted.get(rank.saturating_sub(1)).copied()
    }
}

/// The mean time of a call, learnt: the mean of the first 64, and then one in which each further call weighs a
/// sixty-fourth.
#[derive(Debug, Clone, Default)]
pub struct Service {
    calls: u64,
    /// Seconds.
    mean: f64,
}

impl Service {
    /// Adds `calls` that ended, which were in hand for `busy` altogether.
    #[expect(clippy::cast_precision_loss, reason = "calls since the last note, far below 2^52")]
    pub fn note(&mut self, calls: u64, busy: Duration) {
        if calls == 0 {
            return;
        }
        self.calls = self.calls.saturating_add(calls);
        let weight = (calls as f64 / self.calls.min(MEMORY) as f64).min(1.0);
        self.mean += (busy.as_secs_f64() / calls as f64 - self.mean) * weight;
    }

    /// The mean time of a call, once one ended.
    #[must_use]
    pub fn mean(&self) -> Option<Duration> {
        (self.calls > 0).then(|| Duration::try_from_secs_f64(self.mean).unwrap_or_default())
    }
}
