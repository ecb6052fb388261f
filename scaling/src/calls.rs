//! What calls of a server take, by how many came and how long they were in hand (Little's law).

use std::time::Duration;

use crate::{Observation, Service};

/// Calls that came, and the time in hand since then: theirs, until the next come. So a call that takes many spans
/// counts with all of them. Time in which calls wait tells nothing.
#[derive(Debug, Clone, Default)]
pub struct Calls {
    service: Service,
    came: u64,
    busy: Duration,
}

impl Calls {
    /// Takes in what was seen in the time just past.
    pub fn watch(&mut self, seen: &Observation, span: Duration) {
        if seen.waiting > 0 {
            (self.came, self.busy) = (0, Duration::ZERO);
            return;
        }
        if seen.arrivals > 0 {
            self.service.note(self.came, self.busy);
            (self.came, self.busy) = (seen.arrivals, Duration::ZERO);
        }
        let busy = Duration::try_from_secs_f64(seen.mean() * span.as_secs_f64());
        self.busy = self.busy.saturating_add(busy.unwrap_or_default());
    }

    /// The mean time of a call, once it is known.
    pub fn mean(&self) -> Option<Duration> {
        self.service.mean()
    }
}
