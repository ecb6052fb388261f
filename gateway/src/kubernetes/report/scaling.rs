//! How a server is scaled, as its status tells it. Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use portico_crds::condition::Type;
use portico_crds::labels;
use portico_crds::reason::Reason;
use portico_crds::scaling::{MAX_DECISION, MAX_HISTORY, MAX_MESSAGE, ScalingDecision, ScalingStatus};

use super::status::{Verdict, shortened};
use crate::scaling::{Activity, Record, ScalingReport};

/// Whether the gateway scales it.
pub(super) fn active(report: &ScalingReport) -> Verdict {
    let (status, reason, message) = match &report.activity {
        Activity::Active => ("True", Reason::ScaledByLoad, "The number of pods follows the load".to_owned()),
        Activity::Owned { owner } => (
            "False",
            Reason::ReplicasOwnedByOther,
            format!(
                "'{owner}' has set the replicas of the Deployment, which stay as they are; annotate this resource with {}=TIME, the time now as in 2026-03-01T12:00:00Z, to have the gateway set them again",
                labels::TAKE_REPLICAS
            ),
        ),
        Activity::StartFailed { reason } => {
            ("False", Reason::StartFailed, format!("It could not be started: {reason}"))
        }
        Activity::DemandUnknown { reason } => {
            ("False", Reason::DemandUnknown, format!("No pod is taken away: {reason}"))
        }
        Activity::TimeZoneUnknown { zones } => (
            "False",
            Reason::TimeZoneUnknown,
            format!("Schedules with these time zones do not count: {zones}"),
        ),
    };
    Verdict { kind: Type::ScalingActive, status, reason, message }
}

/// What was decided.
pub(super) fn scaled(report: &ScalingReport) -> ScalingStatus {
    ScalingStatus {
        desired: i32::try_from(report.desired).ok(),
        idle_since: report.idle_since.map(Time),
        retry_at: report.retry_at.map(Time),
        start_milliseconds: report.start.and_then(|start| i64::try_from(start.as_millis()).ok()),
        decision: report.history.front().map(|record| shortened(&text(record), MAX_DECISION)),
        history: report.history.iter().take(MAX_HISTORY).map(decision).collect(),
    }
}

/// A decision in a few words.
pub(super) fn text(record: &Record) -> String {
    format!("{} to {}: {}", record.from, record.to, record.reason)
}

fn decision(record: &Record) -> ScalingDecision {
    ScalingDecision {
        time: Time(record.time),
        from: i32::try_from(record.from).unwrap_or(i32::MAX),
        to: i32::try_from(record.to).unwrap_or(i32::MAX),
        reason: record.reason.clone(),
        message: shortened(&record.message, MAX_MESSAGE),
    }
}
