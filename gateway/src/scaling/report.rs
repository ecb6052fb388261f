//! What was decided of one server, for people.

use std::collections::VecDeque;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Decisions that are remembered.
pub const HISTORY: usize = 10;

/// How one server is scaled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScalingReport {
    /// Replicas that the gateway asks for.
    pub desired: u32,
    /// Since when nothing is asked of it, if so.
    pub idle_since: Option<Timestamp>,
    /// Not before then is a start tried that has failed.
    pub retry_at: Option<Timestamp>,
    /// What a start takes, in the middle of those that were seen.
    pub start: Option<Duration>,
    /// Whether the gateway scales it.
    pub activity: Activity,
    /// The last decisions that changed something, the newest first.
    pub history: VecDeque<Record>,
}

/// Whether the gateway scales a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Activity {
    /// It does.
    Active,
    /// Somebody else says how many replicas there are.
    Owned {
        /// Who.
        owner: String,
    },
    /// Its last start has failed.
    StartFailed {
        /// Why, as far as is known.
        reason: String,
    },
    /// Another replica of the gateway does not tell its load, so that nothing is scaled in.
    DemandUnknown {
        /// Which one, and why.
        reason: String,
    },
    /// A time zone of its schedules is not known, so that these do not count.
    TimeZoneUnknown {
        /// Which ones.
        zones: String,
    },
}

/// A decision that changed something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// When.
    pub time: Timestamp,
    /// Replicas before.
    pub from: u32,
    /// Replicas after.
    pub to: u32,
    /// Why: a reason of the decider, such as `LoadRose`.
    pub reason: String,
    /// What was seen.
    pub message: String,
}
