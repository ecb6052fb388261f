//! Time as a state counts it: it goes forward only.

use std::time::Duration;

/// Counts the time between observations. A time of the caller before the last one counts as no time; from then on
/// time goes on from there.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    /// The caller's last time.
    last: Option<Duration>,
    /// Time as it is counted; that of the caller until a first jump back.
    time: Duration,
}

impl Clock {
    /// Goes on to the caller's `now`; the time since the observation before, none before the first.
    pub fn advance(&mut self, now: Duration) -> Option<Duration> {
        let span = self.last.map(|last| now.saturating_sub(last));
        self.time = match span {
            Some(span) => self.time.saturating_add(span),
            None => now,
        };
        self.last = Some(now);
        span
    }

    /// The time as it is counted.
    pub const fn time(&self) -> Duration {
        self.time
    }

    /// A counted time as the caller's.
    pub fn told(&self, time: Duration) -> Duration {
        let last = self.last.unwrap_or(self.time);
        match self.time.checked_sub(time) {
            Some(ago) => last.saturating_sub(ago),
            None => last.saturating_add(time.saturating_sub(self.time)),
        }
    }
}
