//! Starts that fail.

use portico_scaling::{Observation, Policy, Reason};

use super::server::{Server, decision, seconds};

/// A server at zero that never gets ready.
fn broken() -> Server {
    let mut server = Server::new(0);
    server.starts = false;
    server.pass(10, 0.0);
    server
}

#[test]
fn a_start_that_is_not_ready_in_time_is_given_up() {
    let mut server = broken();
    server.second(1.0);
    let asked = server.now;
    assert_eq!(server.state.starting_since(), Some(asked));
    server.until(Reason::StartFailed, 1.0);
    assert_eq!(server.replicas, 0);
    // Counted from when the replica was asked for.
    assert_eq!(server.now, asked + seconds(300));
    assert_eq!(server.state.retry_at(), Some(server.now + seconds(10)));
    assert_eq!(server.state.starting_since(), None);
}

#[test]
fn calls_start_nothing_while_it_backs_off() {
    let mut server = broken();
    server.until(Reason::StartFailed, 1.0);
    assert_eq!(server.pass(9, 50.0), decision(0, Reason::BackingOff));
    assert_eq!(server.second(50.0).reason, Reason::Woken);
}

#[test]
fn each_further_failure_doubles_the_pause_up_to_five_minutes() {
    let mut server = broken();
    let pauses: Vec<u64> = (0..8)
        .map(|_| {
            server.until(Reason::StartFailed, 1.0);
            server.state.retry_at().expect("it backs off").saturating_sub(server.now).as_secs()
        })
        .collect();
    assert_eq!(pauses, [10, 20, 40, 80, 160, 300, 300, 300]);
}

#[test]
fn a_start_that_works_forgets_those_that_failed() {
    let mut server = broken();
    server.until(Reason::StartFailed, 1.0);
    server.until(Reason::StartFailed, 1.0);
    server.until(Reason::Woken, 1.0);
    server.starts = true;
    server.second(1.0);
    assert_eq!((server.state.retry_at(), server.state.starting_since()), (None, None));
    server.until(Reason::Idle, 0.0);
    server.starts = false;
    server.until(Reason::StartFailed, 1.0);
    assert_eq!(server.state.retry_at(), Some(server.now + seconds(10)));
}

#[test]
fn a_failure_that_is_seen_late_counts_once() {
    let mut server = broken();
    server.until(Reason::StartFailed, 1.0);
    let retry_at = server.state.retry_at();
    // Whoever asked for the replica has not heard yet.
    server.replicas = 1;
    assert_eq!(server.second(1.0), decision(0, Reason::BackingOff));
    assert_eq!(server.state.retry_at(), retry_at);
}

#[test]
fn a_server_that_may_not_be_at_zero_goes_on_starting() {
    let mut server = broken();
    server.policy = Policy { min: 1, ..server.policy };
    assert_eq!(server.second(0.5), decision(1, Reason::BelowMinimum));
    let asked = server.now;
    assert_eq!(server.pass(2000, 0.5), decision(1, Reason::Steady));
    assert_eq!(server.state.starting_since(), Some(asked));
    assert_eq!(server.state.retry_at(), None);
}

#[test]
fn a_server_that_was_ready_and_breaks_is_not_given_up() {
    let mut server = Server::new(2);
    server.pass(10, 1.0);
    server.starts = false;
    server.pass(1000, 1.0);
    assert!(server.replicas > 0);
    assert_eq!(server.state.retry_at(), None);
}

#[test]
fn a_replica_that_terminates_is_no_start() {
    let mut server = broken();
    server.now += seconds(1);
    let seen = Observation { ready: 1, ..server.seen(0.0) };
    assert_eq!(server.look(&seen), decision(0, Reason::Idle));
    assert_eq!(server.state.starting_since(), None);
}

#[test]
fn a_start_right_after_the_last_replica_went_is_judged_although_zero_was_never_seen() {
    let mut server = Server::new(1);
    server.policy = Policy { idle: seconds(1), dwell: seconds(1), ..server.policy };
    server.pass(5, 0.0);
    assert_eq!(server.replicas, 0);
    // Somebody woke it before the next look, and it does not come up.
    server.replicas = 1;
    server.starts = false;
    assert_eq!(server.until(Reason::StartFailed, 1.0), server.policy.start_within.as_secs() + 1);
}
