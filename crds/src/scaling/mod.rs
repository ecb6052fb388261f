//! How many pods, by load and by the clock, and what the gateway reports of it.

mod schedule;
mod status;

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

pub use schedule::{DEFAULT_TIME_ZONE, Day, Schedule};
pub use status::{MAX_DECISION, MAX_HISTORY, MAX_MESSAGE, ScalingDecision, ScalingStatus};

/// What the scaling of an `McpServer` is where its spec says nothing.
pub const SERVER_DEFAULTS: Resolved = Resolved {
    target_concurrency: 8,
    idle_seconds: 300,
    window_seconds: 60,
    hold_seconds: 120,
    scale_in_seconds: 120,
    start_seconds: 300,
    drain_seconds: 60,
    session_seconds: 300,
};

/// What the scaling of an InferenceModel is where its spec says nothing: a model takes minutes to load.
pub const MODEL_DEFAULTS: Resolved = Resolved {
    target_concurrency: 4,
    idle_seconds: 900,
    window_seconds: 300,
    hold_seconds: 600,
    scale_in_seconds: 300,
    start_seconds: 1800,
    drain_seconds: 300,
    session_seconds: 0,
};

/// Bounds within which the number of pods follows the load.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq)]
#[x_kube(
    validation = kube::core::Rule::new("self.min <= self.max").message("`min` must be at most `max`").field_path(".min"),
    validation = kube::core::Rule::new("!has(self.schedules) || self.schedules.all(schedule, schedule.min <= self.max)")
        .message("the `min` of each of `schedules` must be at most `max`").field_path(".schedules")
)]
#[serde(rename_all = "camelCase")]
pub struct Scaling {
    /// Fewest pods; 0 lets the server stop when nobody uses it.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1000))]
    pub min: i32,
    /// Most pods.
    #[serde(default = "default_max")]
    #[schemars(range(min = 1, max = 1000))]
    pub max: i32,
    /// Calls that one pod should have in hand at a time. Absent: 8, and 4 for an InferenceModel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10000))]
    pub target_concurrency: Option<i32>,
    /// Seconds without a call after which the last pod goes, where `min` is 0. Absent: 300, and 900 for an
    /// InferenceModel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 86400))]
    pub idle_seconds: Option<i32>,
    /// Seconds over which the load is averaged. Absent: 60, and 300 for an InferenceModel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 5, max = 3600))]
    pub window_seconds: Option<i32>,
    /// Seconds that a call waits for a server that has no pod. Absent: 120, and 600 for an InferenceModel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 3600))]
    pub hold_seconds: Option<i32>,
    /// Seconds for which the load must have asked for fewer pods before any goes. Absent: 120, and 300 for an
    /// InferenceModel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 3600))]
    pub scale_in_seconds: Option<i32>,
    /// Seconds within which a start must lead to a ready pod. One that does not has failed, and is tried again later.
    /// Absent: 300, and 1800 for an InferenceModel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 5, max = 7200))]
    pub start_seconds: Option<i32>,
    /// Seconds that calls and sessions of a pod that is to go may go on. Absent: 60, and 300 for an InferenceModel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 3600))]
    pub drain_seconds: Option<i32>,
    /// A client's session that was used within so many seconds keeps its pod. Absent: 300. It means nothing for an
    /// InferenceModel, which has no sessions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 86400))]
    pub session_seconds: Option<i32>,
    /// What starts a server that has no pod: `OnCall`, a call; `OnSession`, also a client that begins a session or asks
    /// what there is. It means nothing for an InferenceModel, which has calls alone.
    #[serde(default)]
    pub warm_up: WarmUp,
    /// Times within which there are more pods than `min`, however small the load.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["name".into()]))]
    pub schedules: Vec<Schedule>,
}

/// What starts a server that has no pod.
#[derive(Serialize, Deserialize, schemars::JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WarmUp {
    /// A call.
    #[default]
    OnCall,
    /// A call, and a client that begins a session or asks what there is.
    OnSession,
}

/// The numbers of a [`Scaling`], those of its kind in place of what the spec leaves out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// Calls that one pod should have in hand at a time; at least 1.
    pub target_concurrency: u32,
    /// Seconds without a call after which the last pod goes.
    pub idle_seconds: u32,
    /// Seconds over which the load is averaged; at least 1.
    pub window_seconds: u32,
    /// Seconds that a call waits for a server that has no pod.
    pub hold_seconds: u32,
    /// Seconds for which the load must have asked for fewer pods before any goes.
    pub scale_in_seconds: u32,
    /// Seconds within which a start must lead to a ready pod.
    pub start_seconds: u32,
    /// Seconds that calls and sessions of a pod that is to go may go on.
    pub drain_seconds: u32,
    /// A session that was used within so many seconds keeps its pod.
    pub session_seconds: u32,
}

const fn default_max() -> i32 {
    10
}

/// The defaults of the schema; the rest is left to the kind.
impl Default for Scaling {
    fn default() -> Self {
        Self {
            min: 0,
            max: default_max(),
            target_concurrency: None,
            idle_seconds: None,
            window_seconds: None,
            hold_seconds: None,
            scale_in_seconds: None,
            start_seconds: None,
            drain_seconds: None,
            session_seconds: None,
            warm_up: WarmUp::OnCall,
            schedules: Vec::new(),
        }
    }
}

impl Scaling {
    /// The numbers for an `McpServer`.
    #[must_use]
    pub fn for_server(&self) -> Resolved {
        self.resolved(SERVER_DEFAULTS)
    }

    /// The numbers for an InferenceModel. It has no sessions: `session_seconds` is 0, whatever the spec says.
    #[must_use]
    pub fn for_model(&self) -> Resolved {
        Resolved { session_seconds: 0, ..self.resolved(MODEL_DEFAULTS) }
    }

    fn resolved(&self, of_kind: Resolved) -> Resolved {
        // A negative number, which the schema keeps out, counts as none.
        let or = |given: Option<i32>, default| given.and_then(|n| u32::try_from(n).ok()).unwrap_or(default);
        Resolved {
            target_concurrency: or(self.target_concurrency, of_kind.target_concurrency).max(1),
            idle_seconds: or(self.idle_seconds, of_kind.idle_seconds),
            window_seconds: or(self.window_seconds, of_kind.window_seconds).max(1),
            hold_seconds: or(self.hold_seconds, of_kind.hold_seconds),
            scale_in_seconds: or(self.scale_in_seconds, of_kind.scale_in_seconds),
            start_seconds: or(self.start_seconds, of_kind.start_seconds),
            drain_seconds: or(self.drain_seconds, of_kind.drain_seconds),
            session_seconds: or(self.session_seconds, of_kind.session_seconds),
        }
    }

    /// Fewest pods at `now`: the most that `min` and the schedules of that time ask for, at most `max`.
    #[must_use]
    pub fn minimum_at(&self, now: jiff::Timestamp) -> i32 {
        let asked = self.schedules.iter().filter(|schedule| schedule.holds_at(now)).map(|one| one.min);
        asked.fold(self.min, i32::max).clamp(0, self.max.max(0))
    }

    /// The time zones of schedules that are not known here, as the spec writes them. Their schedules do not count.
    #[must_use]
    pub fn unknown_time_zones(&self) -> Vec<&str> {
        let mut unknown: Vec<&str> = self
            .schedules
            .iter()
            .filter(|one| one.zone().is_none())
            .map(|one| one.time_zone.as_str())
            .collect();
        unknown.sort_unstable();
        unknown.dedup();
        unknown
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn scaling(spec: serde_json::Value) -> Scaling {
        serde_json::from_value(spec).unwrap()
    }

    #[test]
    fn what_a_spec_leaves_out_is_that_of_its_kind() {
        let empty = scaling(json!({}));
        assert_eq!(empty, Scaling::default());
        assert_eq!((empty.min, empty.max, empty.warm_up), (0, 10, WarmUp::OnCall));
        assert_eq!((empty.for_server(), empty.for_model()), (SERVER_DEFAULTS, MODEL_DEFAULTS));
    }

    #[test]
    fn what_a_spec_says_holds_for_both_kinds_and_zero_is_said() {
        let given =
            scaling(json!({"targetConcurrency": 2, "idleSeconds": 10, "windowSeconds": 5, "holdSeconds": 1,
            "scaleInSeconds": 0, "startSeconds": 6, "drainSeconds": 0, "sessionSeconds": 7}));
        let expected = Resolved {
            target_concurrency: 2,
            idle_seconds: 10,
            window_seconds: 5,
            hold_seconds: 1,
            scale_in_seconds: 0,
            start_seconds: 6,
            drain_seconds: 0,
            session_seconds: 7,
        };
        assert_eq!(given.for_server(), expected);
        assert_eq!(given.for_model(), Resolved { session_seconds: 0, ..expected });
    }

    #[test]
    fn what_a_spec_leaves_out_is_not_written_either() {
        assert_eq!(
            serde_json::to_value(scaling(json!({}))).unwrap(),
            json!({"min": 0, "max": 10, "warmUp": "OnCall"})
        );
    }
}
