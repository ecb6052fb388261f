//! From verdicts of one pass to the conditions of a status. Pure.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use portico_crds::{condition::Type, reason::Reason};

use crate::{
    error::{Class, Error},
    kind::{Outcome, Refusal},
};

/// One condition before it is given a time.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// Which condition.
    pub kind: Type,
    /// 'True', 'False' or 'Unknown'.
    pub status: &'static str,
    /// Why.
    pub reason: Reason,
    /// The same for people.
    pub message: String,
}

/// A verdict.
#[must_use]
pub fn verdict(kind: Type, status: &'static str, reason: Reason, message: impl Into<String>) -> Verdict {
    Verdict { kind, status, reason, message: message.into() }
}

/// The conditions of `all`, in that order; one that no verdict speaks of is False.
///
/// `now` is used only for conditions whose status flips: were `lastTransitionTime` to move by itself, the operator
/// would feed itself.
#[must_use]
pub fn conditions(
    all: &[Type],
    previous: &[Condition],
    verdicts: &[Verdict],
    generation: Option<i64>,
    now: Timestamp,
) -> Vec<Condition> {
    let fallback = |kind| verdict(kind, "False", Reason::NotApplicable, "");
    let timed = |verdict: Verdict| {
        let before = previous.iter().find(|c| c.type_ == verdict.kind.as_str() && c.status == verdict.status);
        Condition {
            type_: verdict.kind.as_str().into(),
            status: verdict.status.into(),
            reason: verdict.reason.as_str().into(),
            message: verdict.message,
            observed_generation: generation,
            last_transition_time: before.map_or(Time(now), |c| c.last_transition_time.clone()),
        }
    };
    all.iter()
        .map(|kind| verdicts.iter().find(|v| v.kind == *kind).cloned().unwrap_or_else(|| fallback(*kind)))
        .map(timed)
        .collect()
}

/// That the spec is valid and that everything it names exists.
#[must_use]
pub fn accepted() -> Vec<Verdict> {
    vec![
        verdict(Type::Accepted, "True", Reason::Valid, "The spec is valid"),
        verdict(Type::ResolvedRefs, "True", Reason::Resolved, "Everything the spec names exists"),
    ]
}

/// What every kind says of a pass that did not apply the spec; `None` for one that did. The kind's own conditions,
/// `own`, are unknown then, unless it knows better.
#[must_use]
pub fn not_applied<A>(outcome: &Outcome<'_, A>, own: &[Type]) -> Option<Vec<Verdict>> {
    let (mut all, reason, message) = match outcome {
        Outcome::Applied(_) => return None,
        Outcome::Refused(refusal) => (refused(refusal), Reason::NotApplied, "The spec was not applied"),
        Outcome::Failed(error) => (failed(error), Reason::NotApplied, "The spec was not applied"),
        Outcome::Paused => (paused(), Reason::Paused, PAUSED),
    };
    all.extend(own.iter().map(|kind| verdict(*kind, "Unknown", reason, message)));
    Some(all)
}

fn refused(refusal: &Refusal) -> Vec<Verdict> {
    let message = refusal.to_string();
    let stalled = |reason| {
        vec![
            verdict(Type::Ready, "False", reason, message.clone()),
            verdict(Type::Accepted, "False", reason, message.clone()),
            verdict(Type::ResolvedRefs, "Unknown", reason, "The spec is not valid"),
            verdict(Type::Stalled, "True", reason, message.clone()),
        ]
    };
    match refusal {
        Refusal::Invalid(_) => stalled(Reason::InvalidSpec),
        Refusal::NotIncluded(_) => stalled(Reason::NotIncluded),
        Refusal::Loop(_) => stalled(Reason::FallbackLoop),
        Refusal::Missing(_) => vec![
            verdict(Type::Ready, "False", Reason::ReferenceNotFound, message.clone()),
            verdict(Type::Accepted, "True", Reason::Valid, "The spec is valid"),
            verdict(Type::ResolvedRefs, "False", Reason::ReferenceNotFound, message.clone()),
            verdict(Type::Reconciling, "True", Reason::ReferenceNotFound, message),
        ],
    }
}

/// A name that is taken and a right that is missing may be mended anywhere; what is not valid waits for an edit.
fn failed(error: &Error) -> Vec<Verdict> {
    let message = error.to_string();
    let (reason, abnormal) = match error.class() {
        Class::Invalid => (Reason::RefusedByApiServer, Type::Stalled),
        Class::Denied => (Reason::Forbidden, Type::Reconciling),
        Class::Conflict => (Reason::NameTaken, Type::Reconciling),
        Class::Transient | Class::Bug => (Reason::Retrying, Type::Reconciling),
    };
    let accepted = match error.class() {
        Class::Invalid => verdict(Type::Accepted, "False", reason, message.clone()),
        _ => verdict(Type::Accepted, "True", Reason::Valid, "The spec is valid"),
    };
    vec![
        verdict(Type::Ready, "False", reason, message.clone()),
        accepted,
        verdict(Type::ResolvedRefs, "Unknown", reason, "The pass did not come to its end"),
        verdict(abnormal, "True", reason, message),
    ]
}

const PAUSED: &str = "The annotation portico.dev/paused is 'true'; remove it and the operator acts again";

fn paused() -> Vec<Verdict> {
    vec![
        verdict(Type::Ready, "Unknown", Reason::Paused, PAUSED),
        verdict(Type::Accepted, "Unknown", Reason::Paused, PAUSED),
        verdict(Type::ResolvedRefs, "Unknown", Reason::Paused, PAUSED),
        verdict(Type::Paused, "True", Reason::Paused, PAUSED),
    ]
}
