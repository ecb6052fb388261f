//! Which replicas of a server go, and when they may. Pure.

use tokio::time::Instant;

use super::demand::Place;
use crate::source::Server;

/// Replicas that are to go: nothing new is sent to them, and what they have may end or move meanwhile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Drain {
    /// Replicas that are left then.
    pub(super) to: u32,
    pub(super) urls: Vec<String>,
    /// They go then at the latest.
    pub(super) until: Instant,
}

/// The `count` of `places` that lose least: those that nothing is sent to already, then those with the fewest sessions, then the
/// fewest calls.
pub(super) fn victims(mut places: Vec<Place>, count: usize) -> Vec<String> {
    places.sort_by(|one, other| {
        let loss = |place: &Place| (place.open, place.sessions, place.calls);
        (loss(one), &one.url).cmp(&(loss(other), &other.url))
    });
    places.into_iter().take(count).map(|place| place.url).collect()
}

/// Whether replicas in this state may go: nobody sends to them any more, and nothing is left to do there.
pub(super) fn is_over(places: impl IntoIterator<Item = Place>) -> bool {
    places.into_iter().all(|place| !place.is_in_use() && place.sessions == 0)
}

/// Whether marked replicas are more than are wanted: the cluster has yet to take them away, however slow it is.
pub(super) fn has_surplus(server: &Server) -> bool {
    let serving = server.endpoints.len();
    server.scaled.as_ref().is_some_and(|scaled| serving >= scaled.desired as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{Bounds, Endpoint, Scaled, ServerKey};

    #[test]
    fn marked_replicas_go_while_others_are_as_many_as_are_wanted() {
        let key = ServerKey { namespace: "shop".into(), name: "files".into() };
        let of = |desired: u32, serving: &[&str], draining: &[&str]| {
            let pods = |urls: &[&str]| urls.iter().map(|url| Endpoint::pod(*url)).collect::<Vec<_>>();
            let scaled = Some(Scaled::new(Bounds::default(), desired));
            has_surplus(&Server {
                draining: pods(draining),
                scaled,
                ..Server::new(key.clone(), pods(serving))
            })
        };
        assert!(of(0, &[], &["a"]) && of(1, &["a"], &["b"]));
        assert!(!of(1, &[], &["a"]) && !of(2, &["a"], &["b", "c"]));
        assert!(!has_surplus(&Server::new(key.clone(), vec![Endpoint::pod("a")])), "not scaled");
    }

    fn place(url: &str, sessions: u32, calls: u32) -> Place {
        Place { url: url.into(), calls, sessions, open: false }
    }

    #[test]
    fn the_replicas_with_the_fewest_sessions_go_and_of_these_the_ones_with_the_fewest_calls() {
        let places = vec![place("a", 2, 0), place("b", 1, 9), place("c", 1, 3), place("d", 5, 0)];
        assert_eq!(victims(places.clone(), 2), ["c", "b"]);
        assert_eq!(victims(places, 9).len(), 4);
    }

    #[test]
    fn a_replica_may_go_once_nothing_is_sent_to_it_and_nothing_is_left() {
        assert!(is_over([place("a", 0, 0)]));
        assert!(!is_over([place("a", 0, 0), place("b", 0, 1)]));
        assert!(!is_over([place("a", 1, 0)]));
        assert!(!is_over([Place { open: true, ..place("a", 0, 0) }]));
    }
}
