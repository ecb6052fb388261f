//! How the number of a server's replicas follows its load, and where that stands.

use std::time::Duration;

use crate::scaling::Record;
use k8s_openapi::jiff::Timestamp;
use portico_crds::scaling::{Resolved, Scaling, WarmUp};
use serde::{Deserialize, Serialize};

/// A server whose replicas follow its load.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scaled {
    /// Within which bounds.
    pub bounds: Bounds,
    /// Replicas that its workload is asked to have.
    pub desired: u32,
    /// Who else says how many there are, if somebody does; the gateway then leaves the number alone.
    pub owner: Option<String>,
    /// Nobody is known to say it yet, and the gateway has to, so that it can be told who else does.
    pub unclaimed: bool,
    /// Why a replica does not come to serve, as far as its cluster or machine tells.
    pub trouble: Option<Trouble>,
    /// A start has failed, and none is tried before then.
    pub retry_at: Option<Timestamp>,
    /// What was decided before, the newest first.
    pub history: Vec<Record>,
}

/// Bounds and times; as an `McpServer` or an `InferenceModel` says, or its defaults.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Bounds {
    /// What was said, for its minimum by time of day.
    pub spec: Scaling,
    /// Most replicas.
    pub max: u32,
    /// Calls that a replica should have in hand.
    pub target: u32,
    /// Over how long the load is averaged.
    pub window: Duration,
    /// For how long it must have been low before replicas go.
    pub scale_in_after: Duration,
    /// Without calls for so long the last replica goes, where the minimum is 0.
    pub idle: Duration,
    /// How long a call waits for a server that has no replica.
    pub hold: Duration,
    /// A start that takes longer has failed.
    pub start_within: Duration,
    /// How long calls and sessions of a replica that is to go may go on.
    pub drain: Duration,
    /// A session that was used within this time keeps its replica.
    pub session: Duration,
}

/// What keeps a replica from serving.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// In a word, such as `ErrImagePull`, which callers may read.
    pub reason: String,
    /// For whoever runs the server: it may name what is none of a caller's business.
    pub message: String,
}

impl Bounds {
    /// Fewest replicas at this time of the day.
    #[must_use]
    pub fn minimum(&self) -> u32 {
        u32::try_from(self.spec.minimum_at(Timestamp::now())).unwrap_or_default()
    }

    fn of(spec: &Scaling, times: &Resolved) -> Self {
        let seconds = |number: u32| Duration::from_secs(number.into());
        Self {
            max: u32::try_from(spec.max).unwrap_or(1),
            target: times.target_concurrency,
            window: seconds(times.window_seconds),
            scale_in_after: seconds(times.scale_in_seconds),
            idle: seconds(times.idle_seconds),
            hold: seconds(times.hold_seconds),
            start_within: seconds(times.start_seconds),
            drain: seconds(times.drain_seconds),
            session: seconds(times.session_seconds),
            spec: spec.clone(),
        }
    }

    /// Those of an `McpServer`.
    #[must_use]
    pub fn of_server(spec: &Scaling) -> Self {
        Self::of(spec, &spec.for_server())
    }

    /// Those of an `InferenceModel`.
    #[must_use]
    pub fn of_model(spec: &Scaling) -> Self {
        Self::of(spec, &spec.for_model())
    }

    /// Whether a client that begins a session starts the server.
    #[must_use]
    pub fn warms_up_on_session(&self) -> bool {
        self.spec.warm_up == WarmUp::OnSession
    }
}

impl Default for Bounds {
    fn default() -> Self {
        Self::of_server(&Scaling { min: 0, max: 10, ..Scaling::default() })
    }
}

impl Scaled {
    /// A server that has `desired` replicas, of which nothing bad is known.
    #[must_use]
    pub fn new(bounds: Bounds, desired: u32) -> Self {
        Self {
            bounds,
            desired,
            owner: None,
            unclaimed: false,
            trouble: None,
            retry_at: None,
            history: Vec::new(),
        }
    }
}
