//! What was seen of a server.

/// What was seen of a server since the observation before.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Observation {
    /// Mean number of calls in hand and waiting since the observation before: an integral over that time, divided by
    /// it. The first observation's is not read. What is no number or below zero counts as [`now`](Self::now).
    pub mean: f64,
    /// Calls in hand and waiting now.
    pub now: u32,
    /// Of those, calls that wait for a replica.
    pub waiting: u32,
    /// Calls that came since the observation before.
    pub arrivals: u64,
    /// Sessions that were used lately: they keep the last replica.
    pub sessions: u32,
    /// Replicas that the workload is asked to have now.
    pub desired: u32,
    /// Of those, ready ones.
    pub ready: u32,
}

/// A mean below this is what is left of sums and differences, and no call.
const NOTHING: f64 = 1e-6;

impl Observation {
    /// Whether there is a call in hand or waiting.
    pub(crate) const fn busy(&self) -> bool {
        self.now > 0 || self.waiting > 0
    }

    /// Whether a call has nobody to serve it where no replica is asked for. One that a replica still serves while it
    /// goes needs no new one.
    pub(crate) const fn needs_a_replica(&self) -> bool {
        self.waiting > 0 || self.now > 0 && self.ready == 0
    }

    /// Whether there were calls since the observation before, which may be over.
    pub(crate) fn was_busy(&self) -> bool {
        self.busy() || self.arrivals > 0 || self.mean() > NOTHING
    }

    /// The mean as a number from zero up.
    pub(crate) fn mean(&self) -> f64 {
        if self.mean.is_finite() && self.mean >= 0.0 { self.mean } else { f64::from(self.now) }
    }
}
