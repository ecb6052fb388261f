//! How often snapshots are built, and clients told of them.

use std::time::Duration;

use tokio::time::Instant;

/// Time between two notifications of clients: a burst of changes becomes one.
const TELLING: Duration = Duration::from_millis(100);
/// The pause after a snapshot is this many times what building it took: a burst takes a quarter of one core at most, however
/// many servers there are.
const RATIO: u32 = 3;
/// The shortest and the longest pause.
const SHORTEST: Duration = Duration::from_millis(2);
const LONGEST: Duration = Duration::from_secs(1);

/// The pause after a snapshot that took `built_in`.
pub(super) fn pause(built_in: Duration) -> Duration {
    (built_in * RATIO).clamp(SHORTEST, LONGEST)
}

/// Whether clients are to be told now.
#[derive(Debug, Default)]
pub(super) struct Telling {
    /// When they were told last.
    last: Option<Instant>,
    /// Whether something changed since.
    pending: bool,
}

impl Telling {
    /// Something changed.
    pub(super) fn add(&mut self) {
        self.pending = true;
    }

    /// When clients are to be told of what changed; `None` if nothing did.
    pub(super) fn due(&self) -> Option<Instant> {
        self.pending.then(|| self.last.map_or_else(Instant::now, |last| last + TELLING))
    }

    /// Whether to tell them now; then they count as told.
    pub(super) fn takes(&mut self) -> bool {
        // Asked after the time that is due, which may be now.
        let due = self.due().is_some_and(|due| due <= Instant::now());
        let now = Instant::now();
        if due {
            *self = Self { last: Some(now), pending: false };
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_grows_with_what_a_snapshot_costs() {
        for (built_in, pause_in) in [(0, 2), (1, 3), (30, 90), (170, 510), (5_000, 1_000)] {
            assert_eq!(pause(Duration::from_millis(built_in)), Duration::from_millis(pause_in));
        }
    }

    /// On the real clock, on which no two moments are the same.
    #[tokio::test]
    async fn what_changes_after_a_long_silence_is_told_at_once() {
        let mut telling = Telling::default();
        assert!(!telling.takes() && telling.due().is_none());
        telling.add();
        assert!(telling.due().is_some() && telling.takes());
        telling.add();
        assert!(!telling.takes(), "not again so soon");
        assert!(telling.due().unwrap() > Instant::now());
    }
}
