//! How much is asked of one server, exactly: the area under the number of its calls over time, added up at each change and not
//! sampled. The mean of any time is the difference of two areas, divided by the time between them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// Counts one server's calls. One short lock a change: a few nanoseconds, which the benchmark of calls does not see.
#[derive(Debug)]
pub(crate) struct Meter(Mutex<Counts>);

/// What was counted up to some moment; all but the first three only grow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reading {
    /// Calls that servers have in hand.
    pub(crate) open: u32,
    /// Calls that wait for a replica.
    pub(crate) waiting: u32,
    /// Bytes of these.
    pub(crate) waiting_bytes: u64,
    /// The area under `open + waiting`, in nanoseconds; it may wrap around.
    pub(crate) area: u64,
    /// Calls that were sent.
    pub(crate) arrivals: u64,
    /// Calls that ended.
    pub(crate) completions: u64,
    /// The time that these took together, in nanoseconds; it may wrap around.
    pub(crate) busy: u64,
}

#[derive(Debug)]
struct Counts {
    reading: Reading,
    /// Until when the area is added up.
    until: Instant,
}

impl Counts {
    fn advance(&mut self, now: Instant) {
        let passed = nanoseconds(now.saturating_duration_since(self.until));
        let calls = u64::from(self.reading.open) + u64::from(self.reading.waiting);
        self.reading.area = self.reading.area.wrapping_add(passed.wrapping_mul(calls));
        self.until = self.until.max(now);
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

impl Default for Meter {
    fn default() -> Self {
        Self(Mutex::new(Counts { reading: Reading::default(), until: Instant::now() }))
    }
}

impl Meter {
    /// A call is sent, for as long as the answer lives.
    pub(crate) fn open(self: &Arc<Self>) -> Open {
        let began = Instant::now();
        let mut counts = self.at(began);
        counts.reading.open += 1;
        counts.reading.arrivals += 1;
        drop(counts);
        Open { meter: Arc::clone(self), began }
    }

    /// A call of so many bytes waits for a replica, for as long as the answer lives; `None` if too much waits already.
    pub(crate) fn wait(self: &Arc<Self>, bytes: u64, (most, most_bytes): (u32, u64)) -> Option<Waiting> {
        let mut counts = self.at(Instant::now());
        let held = &mut counts.reading;
        if held.waiting >= most || held.waiting_bytes.saturating_add(bytes) > most_bytes {
            return None;
        }
        held.waiting += 1;
        held.waiting_bytes += bytes;
        drop(counts);
        Some(Waiting { meter: Arc::clone(self), bytes })
    }

    /// What was counted up to `now`.
    pub(crate) fn read(&self, now: Instant) -> Reading {
        self.at(now).reading
    }

    fn at(&self, now: Instant) -> MutexGuard<'_, Counts> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.advance(now);
        counts
    }
}

/// A call that a server has in hand.
#[derive(Debug)]
pub(crate) struct Open {
    meter: Arc<Meter>,
    began: Instant,
}

impl Drop for Open {
    fn drop(&mut self) {
        let now = Instant::now();
        let mut counts = self.meter.at(now);
        counts.reading.open -= 1;
        counts.reading.completions += 1;
        let took = nanoseconds(now.saturating_duration_since(self.began));
        counts.reading.busy = counts.reading.busy.wrapping_add(took);
    }
}

/// A call that waits for a replica.
#[derive(Debug)]
pub(crate) struct Waiting {
    meter: Arc<Meter>,
    bytes: u64,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut counts = self.meter.at(Instant::now());
        counts.reading.waiting -= 1;
        counts.reading.waiting_bytes -= self.bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: (u32, u64) = (2, 100);

    async fn pass(milliseconds: u64) {
        tokio::time::advance(Duration::from_millis(milliseconds)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn the_area_is_exact_however_calls_overlap() {
        let meter = Arc::new(Meter::default());
        let first = meter.open();
        pass(30).await;
        let second = meter.open();
        pass(10).await;
        drop(first);
        pass(5).await;
        let waiting = meter.wait(1, ROOM);
        pass(1).await;
        drop((second, waiting));
        pass(1000).await;
        let reading = meter.read(Instant::now());
        assert_eq!(reading.area, 1_000_000 * (30 + 2 * 10 + 5 + 2));
        assert_eq!(reading.busy, 1_000_000 * (40 + 16));
        assert_eq!((reading.open, reading.waiting, reading.arrivals, reading.completions), (0, 0, 2, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn calls_wait_within_bounds_of_number_and_bytes() {
        let meter = Arc::new(Meter::default());
        let first = meter.wait(60, ROOM).unwrap();
        assert!(meter.wait(41, ROOM).is_none());
        let _second = meter.wait(40, ROOM).unwrap();
        assert!(meter.wait(0, ROOM).is_none());
        drop(first);
        assert!(meter.wait(60, ROOM).is_some());
        assert_eq!(meter.read(Instant::now()).waiting_bytes, 40);
    }
}
