//! A state without history.

use portico_scaling::{Reason, State};

use super::server::{Server, decision};

#[test]
fn a_new_leader_takes_no_replica_before_it_has_watched_long_enough() {
    let mut server = Server::new(9);
    server.look(&server.seen(1.0));
    assert_eq!(server.pass(119, 1.0), decision(9, Reason::KeptByWindow));
    assert!(server.until(Reason::LoadFell, 1.0) <= 2);
    assert_eq!(server.replicas, 2);
}

#[test]
fn a_new_leader_waits_for_a_silence_of_its_own() {
    let mut server = Server::new(1);
    server.look(&server.seen(0.0));
    assert_eq!(server.pass(299, 0.0).replicas, 1);
    assert_eq!(server.second(0.0), decision(0, Reason::Idle));
}

#[test]
fn a_new_leader_that_is_told_of_the_silence_goes_on_with_it() {
    let mut server = Server::new(1);
    server.state = State::resumed(Some(server.ago(280)));
    assert_eq!(server.look(&server.seen(0.0)).replicas, 1);
    assert_eq!(server.pass(19, 0.0).replicas, 1);
    // It saw the replica ready 20 s ago, and so for all it knows it is younger than the dwell time.
    assert_eq!(server.second(0.0), decision(1, Reason::KeptByDwell));
    assert_eq!(server.pass(10, 0.0), decision(0, Reason::Idle));
}

#[test]
fn a_new_leader_that_sees_a_call_forgets_what_it_was_told() {
    let mut server = Server::new(1);
    server.state = State::resumed(Some(server.ago(1000)));
    server.look(&server.seen(1.0));
    assert_eq!(server.state.idle_since(), None);
    assert_eq!(server.until(Reason::Idle, 0.0), 301);
}

#[test]
fn a_new_leader_adds_what_is_missing_at_once() {
    let mut server = Server::new(2);
    assert_eq!(server.look(&server.seen(5.0)), decision(5, Reason::Burst));
}
