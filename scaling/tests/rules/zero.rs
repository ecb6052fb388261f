//! To zero, and back.

use portico_scaling::{Observation, Reason};

use super::server::{Server, decision, seconds};

#[test]
fn without_calls_all_replicas_go_after_the_idle_time() {
    let mut server = Server::new(3);
    server.pass(60, 2.0);
    let decision_at = server.until(Reason::Idle, 0.0);
    // The second in which calls were last seen is not silent yet.
    assert_eq!((decision_at, server.replicas), (301, 0));
    assert_eq!(server.state.idle_since(), Some(server.ago(300)));
    assert_eq!(server.pass(10, 0.0), decision(0, Reason::Idle));
}

#[test]
fn a_call_in_hand_keeps_a_replica_however_small_the_load() {
    let mut server = Server::new(1);
    server.pass(60, 1.0);
    for _ in 0..1000 {
        server.now += seconds(1);
        let seen = Observation { now: 1, ..server.seen(0.0) };
        assert_eq!(server.look(&seen).replicas, 1);
    }
}

#[test]
fn calls_between_two_looks_end_the_silence() {
    let mut server = Server::new(1);
    server.pass(290, 0.0);
    server.now += seconds(1);
    let seen = Observation { arrivals: 1, mean: 0.01, ..server.seen(0.0) };
    server.look(&seen);
    assert_eq!(server.state.idle_since(), Some(server.now));
    assert_eq!(server.until(Reason::Idle, 0.0), 300);
}

#[test]
fn a_session_keeps_the_last_replica_and_no_more() {
    let mut server = Server::new(4);
    server.sessions = 1;
    server.pass(300, 4.0);
    assert_eq!(server.pass(600, 0.0), decision(1, Reason::KeptBySessions));
    server.sessions = 0;
    assert_eq!(server.until(Reason::Idle, 0.0), 301);
}

#[test]
fn what_may_not_go_below_one_stays_without_calls() {
    let mut server = Server::new(1);
    server.policy.min = 1;
    assert_eq!(server.pass(1000, 0.0), decision(1, Reason::Steady));
}

#[test]
fn a_call_wakes_a_server_at_zero_at_once() {
    let mut server = Server::new(0);
    server.pass(10, 0.0);
    assert_eq!(server.second(1.0), decision(1, Reason::Woken));
    assert_eq!(server.state.starting_since(), Some(server.now));
    assert_eq!(server.state.idle_since(), None);
}

#[test]
fn a_call_that_a_leaving_replica_still_serves_wakes_nothing() {
    let mut server = Server::new(0);
    server.pass(10, 0.0);
    server.now += seconds(1);
    let seen = Observation { now: 1, ready: 1, ..server.seen(0.0) };
    assert_eq!(server.look(&seen), decision(0, Reason::Idle));
    assert_eq!(server.look(&Observation { waiting: 1, ..seen }), decision(1, Reason::Woken));
}

#[test]
fn many_waiting_calls_wake_more_than_one() {
    let mut server = Server::new(0);
    server.pass(10, 0.0);
    // A replica that should have one call takes 1.4, of a second each, and has five seconds for them.
    assert_eq!(server.second(30.0), decision(5, Reason::Woken));
}

#[test]
fn a_server_is_woken_by_what_its_calls_took_before() {
    let mut server = Server::new(1);
    // A call of twenty seconds each half minute.
    for second in 0..600 {
        server.now += seconds(1);
        let load = if second % 30 < 20 { 1.0 } else { 0.0 };
        let seen = Observation { arrivals: u64::from(second % 30 == 0), ..server.seen(load) };
        server.look(&seen);
    }
    server.until(Reason::Idle, 0.0);
    // Three calls of twenty seconds, done within five: nine replicas that take one and a half each, about.
    assert_eq!(server.second(3.0), decision(9, Reason::Woken));
}

#[test]
fn a_replica_that_was_woken_stays_for_the_dwell_time() {
    let mut server = Server::new(0);
    server.policy.idle = seconds(5);
    server.pass(10, 0.0);
    server.second(1.0);
    // Ready, and its first look, at the next second.
    assert_eq!(server.pass(29, 0.0), decision(1, Reason::KeptByDwell));
    assert_eq!(server.pass(2, 0.0), decision(0, Reason::Idle));
}

#[test]
fn a_start_goes_on_when_its_caller_leaves() {
    let mut server = Server::new(0);
    server.policy.idle = seconds(5);
    server.starts = false;
    server.pass(10, 0.0);
    server.second(1.0);
    assert_eq!(server.pass(250, 0.0), decision(1, Reason::KeptByDwell));
}

#[test]
fn zero_does_not_wait_for_the_scale_in_window() {
    let mut server = Server::new(3);
    server.policy.idle = seconds(20);
    server.pass(300, 3.0);
    assert_eq!(server.until(Reason::Idle, 0.0), 21);
}
