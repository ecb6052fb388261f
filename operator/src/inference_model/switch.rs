//! Which revision of a model serves, while another is made ready. Pure.
//!
//! The selector of the Service is the only memory: whatever a process that died has left half done, the next one sees
//! in the objects and goes on from there.

use k8s_openapi::api::apps::v1::Deployment;
use portico_crds::labels;

use crate::workload::{counts, rolled_out};

/// A revision's Deployment, as far as a switch depends on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The revision.
    pub revision: String,
    /// What of it serves.
    pub state: State,
}

/// What of a revision serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Every wanted pod, or none is wanted.
    RolledOut,
    /// Some of the wanted pods.
    Partly,
    /// No pod, on purpose or until its controller has seen that none is wanted.
    Idle,
    /// No pod, though it was rolled out once: they come back.
    Down,
    /// No pod, and never yet.
    New,
}

impl Standing {
    /// How a Deployment stands.
    #[must_use]
    pub fn of(deployment: &Deployment) -> Self {
        let counts = counts(deployment);
        let conditions = deployment.status.iter().flat_map(|status| status.conditions.iter().flatten());
        let proven = |reason: Option<&str>| reason == Some("NewReplicaSetAvailable");
        let state = match () {
            () if rolled_out(deployment) => State::RolledOut,
            () if counts.available > 0 => State::Partly,
            () if counts.wanted == 0 => State::Idle,
            () if conditions.into_iter().any(|c| c.type_ == "Progressing" && proven(c.reason.as_deref())) => {
                State::Down
            }
            () => State::New,
        };
        Self { revision: revision(deployment).unwrap_or_default().to_owned(), state }
    }
}

/// The revision that a Deployment runs.
#[must_use]
pub fn revision(deployment: &Deployment) -> Option<&str> {
    deployment.metadata.labels.as_ref()?.get(labels::REVISION).map(String::as_str)
}

/// The revision that the Service is to select; `selected` is the one that it selects now.
///
/// The target takes over once all of it serves. Until then the one before it stays, unless it has never served: that
/// one would only keep devices from the target.
#[must_use]
pub fn serving(selected: Option<&str>, all: &[Standing], target: &str) -> String {
    let find = |revision: &str| all.iter().find(|standing| standing.revision == revision);
    if find(target).is_some_and(|standing| standing.state == State::RolledOut) {
        return target.to_owned();
    }
    let present = selected.and_then(find);
    let (steady, down) = match present.map(|standing| standing.state) {
        Some(State::RolledOut | State::Partly | State::Idle) => (present, None),
        Some(State::Down) => (None, present),
        _ => (None, None),
    };
    let first = |wanted: &dyn Fn(State) -> bool| {
        let of = all.iter().filter(|standing| wanted(standing.state));
        of.min_by_key(|standing| (standing.revision != target, &standing.revision))
    };
    let chosen = steady
        .or_else(|| first(&|state| matches!(state, State::RolledOut | State::Partly)))
        .or(down)
        .or_else(|| first(&|state| matches!(state, State::Idle | State::Down)));
    chosen.map_or(target, |standing| &standing.revision).to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn standing(revision: &str, state: State) -> Standing {
        Standing { revision: revision.to_owned(), state }
    }

    fn served(revision: &str) -> Standing {
        standing(revision, State::RolledOut)
    }

    fn loading(revision: &str) -> Standing {
        standing(revision, State::New)
    }

    #[test]
    fn the_first_revision_is_selected_before_it_serves() {
        assert_eq!(serving(None, &[], "new"), "new");
        assert_eq!(serving(None, &[loading("new")], "new"), "new");
    }

    #[test]
    fn the_old_revision_serves_until_all_of_the_new_one_does() {
        assert_eq!(serving(Some("old"), &[served("old")], "new"), "old");
        assert_eq!(serving(Some("old"), &[served("old"), loading("new")], "new"), "old");
        let partly = standing("new", State::Partly);
        assert_eq!(serving(Some("old"), &[served("old"), partly], "new"), "old");
        assert_eq!(serving(Some("old"), &[served("old"), served("new")], "new"), "new");
    }

    #[test]
    fn an_old_revision_that_is_down_for_a_moment_or_at_zero_is_kept_and_one_that_never_served_is_not() {
        assert_eq!(serving(Some("old"), &[standing("old", State::Down), loading("new")], "new"), "old");
        assert_eq!(serving(Some("old"), &[standing("old", State::Idle), loading("new")], "new"), "old");
        assert_eq!(serving(Some("old"), &[loading("old"), loading("new")], "new"), "new");
    }

    #[test]
    fn a_service_that_was_deleted_or_turned_by_hand_finds_back_to_what_serves() {
        assert_eq!(serving(None, &[served("old"), loading("new")], "new"), "old");
        assert_eq!(serving(Some("none"), &[served("old"), loading("new")], "new"), "old");
        assert_eq!(serving(Some("new"), &[served("old"), loading("new")], "new"), "old");
        assert_eq!(serving(None, &[standing("old", State::Down), loading("new")], "new"), "old");
    }

    #[test]
    fn a_target_that_is_scaled_up_or_restarts_goes_on_serving() {
        assert_eq!(serving(Some("new"), &[standing("new", State::Partly)], "new"), "new");
        assert_eq!(serving(Some("new"), &[standing("new", State::Down)], "new"), "new");
    }

    proptest! {
        /// Whatever a process left behind: what serves is never left for what does not, and nothing is left at random.
        #[test]
        fn nothing_that_serves_is_left_for_something_that_does_not(
            selected in proptest::option::of(0..3usize), states in proptest::collection::vec(0..5usize, 0..=3),
        ) {
            let names = ["a", "b", "new"];
            let kinds = [State::RolledOut, State::Partly, State::Idle, State::Down, State::New];
            let all: Vec<_> = states.iter().zip(names).map(|(state, name)| standing(name, kinds[*state])).collect();
            let chosen = serving(selected.map(|index| names[index]), &all, "new");
            let of = |name: &str| all.iter().find(|s| s.revision == name).map(|s| s.state);
            let serves = |state| matches!(state, State::RolledOut | State::Partly | State::Idle);
            prop_assert!(of(&chosen).is_some_and(serves) || !all.iter().any(|s| matches!(s.state, State::RolledOut | State::Partly)));
            prop_assert_eq!(serving(Some(&chosen), &all, "new"), chosen);
        }
    }
}
