//! By what one server is scaled.

use std::time::Duration;

/// The part of what it can do that a replica is filled to: it takes `target / FILL` calls at once. As Knative's
/// `container-concurrency-target-percentage`.
pub const FILL: f64 = 0.7;

/// The panic window is the stable one divided by this, as Knative's `panic-window-percentage` of 10.
const PANIC_PART: u32 = 10;
/// Targets are kept within this.
const TARGETS: (f64, f64) = (0.01, 1e9);
/// No window and no start is shorter.
const SHORTEST: Duration = Duration::from_secs(1);
/// The widest dead bands; a whole one would never let a replica go.
const WIDEST: (f64, f64) = (10.0, 0.9);

/// Bounds and times by which one server is scaled.
///
/// A policy that makes no sense is not refused, but read as [`Policy::clamped`] says.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// Fewest replicas. With 0 the last one goes when nothing is asked of it.
    pub min: u32,
    /// Most replicas.
    pub max: u32,
    /// Calls that one replica should have in hand; it is expected to take `target / 0.7`.
    pub target: f64,
    /// Time over which the load is averaged (stable window). A burst is seen over a tenth of it (panic window).
    pub window: Duration,
    /// How long the load must have asked for fewer replicas before any goes; it may take a 64th longer. No shorter than `window`, or the tail of
    /// a burst may take replicas that are needed again; zero turns the rule off.
    pub scale_in_after: Duration,
    /// Without calls, waiting calls and sessions for so long, all replicas go where `min` is 0. That is silence, and so
    /// does not wait for `scale_in_after`.
    pub idle: Duration,
    /// Replicas that came from zero stay at least so long after the first of them was ready.
    pub dwell: Duration,
    /// A start from zero that is not ready by then has failed.
    pub start_within: Duration,
    /// Dead band above: no replica comes until the load is so much over what those there are should have, as a part of it.
    pub band_up: f64,
    /// Dead band below: no replica goes until the load is so much under what one fewer should have, as a part of it.
    pub band_down: f64,
    /// Within this time replicas at most double, or become four more, whichever is more; zero lifts that limit. A start
    /// from zero is not limited.
    pub rise_within: Duration,
}

impl Default for Policy {
    /// From 0 to 10 replicas with 8 calls each.
    fn default() -> Self {
        Self {
            min: 0,
            max: 10,
            target: 8.0,
            window: Duration::from_mins(1),
            scale_in_after: Duration::from_mins(2),
            idle: Duration::from_mins(5),
            dwell: Duration::from_secs(30),
            start_within: Duration::from_mins(5),
            band_up: 0.0,
            band_down: 0.15,
            rise_within: Duration::from_secs(2),
        }
    }
}

impl Policy {
    /// The policy as it is read:
    ///
    /// - `max` is at least 1, and a `min` above it counts as `max`;
    /// - a `target` that is no number above zero counts as 1, and is kept within 0.01 and 10⁹;
    /// - `window` and `start_within` are at least a second;
    /// - a band that is no number from zero up counts as the default; `band_up` is at most 10, `band_down` at most 0.9.
    #[must_use]
    pub fn clamped(&self) -> Self {
        let usual = Self::default();
        let max = self.max.max(1);
        Self {
            min: self.min.min(max),
            max,
            target: if self.target > 0.0 { self.target.clamp(TARGETS.0, TARGETS.1) } else { 1.0 },
            window: self.window.max(SHORTEST),
            start_within: self.start_within.max(SHORTEST),
            band_up: band(self.band_up, usual.band_up, WIDEST.0),
            band_down: band(self.band_down, usual.band_down, WIDEST.1),
            ..*self
        }
    }

    /// Time over which a burst is seen.
    pub(crate) fn panic_window(&self) -> Duration {
        self.window / PANIC_PART
    }

    /// Calls that one replica takes at once.
    pub(crate) fn capacity(&self) -> f64 {
        self.target / FILL
    }
}

/// A dead band within its bounds.
fn band(given: f64, usual: f64, widest: f64) -> f64 {
    if given >= 0.0 { given.min(widest) } else { usual }
}
