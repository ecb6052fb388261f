//! Which models answer in place of which others. Pure.

use std::collections::BTreeSet;

use portico_crds::{
    condition::Type,
    inference_model::{Fallback, Trigger},
    reason::Reason,
};

use crate::condition::{Verdict, verdict};

/// A fallback, and whether it could answer now.
#[derive(Clone, Debug, PartialEq)]
pub struct Standby {
    /// As the spec names it.
    pub fallback: Fallback,
    /// Whether it answers.
    pub available: bool,
}

/// The models that can be reached from `name` over fallbacks.
#[must_use]
pub fn reachable(name: &str, links: impl Fn(&str) -> Vec<String>) -> BTreeSet<String> {
    let (mut seen, mut open) = (BTreeSet::new(), links(name));
    while let Some(next) = open.pop() {
        if seen.insert(next.clone()) {
            open.extend(links(&next));
        }
    }
    seen
}

/// A chain of fallbacks that leads from `name` back to it, as `a -> b -> a`; the shortest one.
#[must_use]
pub fn chain_back(name: &str, links: impl Fn(&str) -> Vec<String>) -> Option<String> {
    let mut seen = BTreeSet::new();
    let mut chains = vec![vec![name.to_owned()]];
    while !chains.is_empty() {
        let mut longer = Vec::new();
        for chain in chains {
            for next in chain.last().map(|last| links(last)).unwrap_or_default() {
                let extended = [chain.as_slice(), std::slice::from_ref(&next)].concat();
                if next == name {
                    return Some(extended.join(" -> "));
                }
                if seen.insert(next) {
                    longer.push(extended);
                }
            }
        }
        chains = longer;
    }
    None
}

/// Whether a fallback answers for the model; `own` is the model's condition Available. A model that waits at zero pods
/// for a request answers for itself.
#[must_use]
pub fn active(own: &Verdict, load_failed: bool, standby: &[Standby]) -> Option<Verdict> {
    let kind = Type::FallbackActive;
    if standby.is_empty() {
        return None;
    }
    if own.status != "False" || own.reason == Reason::ScaledToZero {
        return Some(verdict(kind, "False", Reason::FallbackIdle, "The model answers for itself"));
    }
    let steps_in = |fallback: &Fallback| {
        fallback.steps_in(Trigger::Unavailable) || (load_failed && fallback.steps_in(Trigger::LoadFailed))
    };
    let answering = standby.iter().find(|other| other.available && steps_in(&other.fallback));
    Some(if let Some(other) = answering {
        let message = format!("'{}' answers in place of this model", other.fallback.model_ref);
        verdict(kind, "True", Reason::FallbackInUse, message)
    } else {
        let message = "The model cannot serve, and none of its fallbacks can step in";
        verdict(kind, "False", Reason::FallbackUnavailable, message)
    })
}
