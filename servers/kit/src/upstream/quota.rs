//! A count of requests against a daily allowance.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

const DAY: Duration = Duration::from_hours(24);

/// Requests of one process in a window of 24 hours that opens with its first request.
#[derive(Debug)]
pub struct DailyQuota {
    limit: u64,
    window: Mutex<Window>,
}

#[derive(Debug, Default)]
struct Window {
    opened: Option<Instant>,
    used: u64,
}

/// What [`DailyQuota::take`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// One request taken; so many are used. `warn` once, as four fifths are reached.
    Granted { used: u64, warn: bool },
    /// None is left for this long.
    Exhausted(Duration),
}

impl DailyQuota {
    /// An allowance of `limit` requests a day.
    #[must_use]
    pub fn new(limit: u64) -> Self {
        Self { limit, window: Mutex::default() }
    }

    /// Requests a day.
    #[must_use]
    pub fn limit(&self) -> u64 {
        self.limit
    }

    pub(crate) fn take(&self) -> Taken {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let opened = match window.opened {
            Some(opened) if now.duration_since(opened) < DAY => opened,
            _ => {
                *window = Window { opened: Some(now), used: 0 };
                now
            }
        };
        if window.used >= self.limit {
            return Taken::Exhausted(DAY.saturating_sub(now.duration_since(opened)));
        }
        window.used += 1;
        Taken::Granted { used: window.used, warn: window.used == (self.limit * 4).div_ceil(5) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_used_up_day_opens_again_24_hours_after_its_first_request() {
        let quota = DailyQuota::new(2);
        assert_eq!(quota.take(), Taken::Granted { used: 1, warn: false });
        tokio::time::advance(Duration::from_hours(1)).await;
        assert_eq!(quota.take(), Taken::Granted { used: 2, warn: true });
        assert_eq!(quota.take(), Taken::Exhausted(DAY.checked_sub(Duration::from_hours(1)).unwrap()));
        tokio::time::advance(DAY.checked_sub(Duration::from_hours(1)).unwrap()).await;
        assert_eq!(quota.take(), Taken::Granted { used: 1, warn: false });
    }
}
