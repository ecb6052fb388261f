//! What is decided, and why.

use std::fmt;

/// How many replicas a server should have, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// Replicas to ask for.
    pub replicas: u32,
    /// Why so many.
    pub reason: Reason,
}

impl Decision {
    pub(crate) const fn new(replicas: u32, reason: Reason) -> Self {
        Self { replicas, reason }
    }
}

/// Why a server should have so many replicas. The names stand in statuses, metrics and events, and do not change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// The load suits the replicas there are.
    Steady,
    /// The load over the window asks for more.
    LoadRose,
    /// The load over a tenth of the window asks for more, at once.
    Burst,
    /// The load asked for fewer all the time that scaling in waits for.
    LoadFell,
    /// Nothing was asked of the server for the idle time, so it needs no replica.
    Idle,
    /// A call came while there was no replica.
    Woken,
    /// Fewer replicas were asked for than there must be.
    BelowMinimum,
    /// More replicas were asked for than there may be, or the load asks for more than there may be.
    AboveMaximum,
    /// More are wanted than may be added in so short a time.
    RateLimited,
    /// Fewer would do, but not for long enough.
    KeptByWindow,
    /// No calls come, but sessions keep the last replica.
    KeptBySessions,
    /// No calls come, but the replicas that came from zero are too young to go, or still starting.
    KeptByDwell,
    /// The replicas that came from zero were not ready in time.
    StartFailed,
    /// No start is tried yet after those that failed.
    BackingOff,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 14] = [
        Self::Steady,
        Self::LoadRose,
        Self::Burst,
        Self::LoadFell,
        Self::Idle,
        Self::Woken,
        Self::BelowMinimum,
        Self::AboveMaximum,
        Self::RateLimited,
        Self::KeptByWindow,
        Self::KeptBySessions,
        Self::KeptByDwell,
        Self::StartFailed,
        Self::BackingOff,
    ];

    /// The name, as in `LoadRose`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Steady => "Steady",
            Self::LoadRose => "LoadRose",
            Self::Burst => "Burst",
            Self::LoadFell => "LoadFell",
            Self::Idle => "Idle",
            Self::Woken => "Woken",
            Self::BelowMinimum => "BelowMinimum",
            Self::AboveMaximum => "AboveMaximum",
            Self::RateLimited => "RateLimited",
            Self::KeptByWindow => "KeptByWindow",
            Self::KeptBySessions => "KeptBySessions",
            Self::KeptByDwell => "KeptByDwell",
            Self::StartFailed => "StartFailed",
            Self::BackingOff => "BackingOff",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}
