//! Since when nothing is asked of a server.

use std::time::Duration;

use crate::Observation;

/// Since when there was no call, and since when there was no session either.
#[derive(Debug, Clone, Default)]
pub struct Quiet {
    /// Without calls.
    pub calls: Option<Duration>,
    /// Without calls and sessions.
    pub all: Option<Duration>,
}

impl Quiet {
    /// Takes in what was seen until `now`. Calls that came and went in between end the silence before them.
    pub fn watch(&mut self, seen: &Observation, now: Duration) {
        if seen.was_busy() {
            *self = Self::default();
        }
        if seen.busy() {
            return;
        }
        self.calls.get_or_insert(now);
        if seen.sessions > 0 {
            self.all = None;
        } else {
            self.all.get_or_insert(now);
        }
    }
}
