//! Any rhythm, and clocks that jump.

use std::time::Duration;

use portico_scaling::{Observation, Reason};

use super::server::{Server, decision, seconds};

#[test]
fn a_time_before_the_last_counts_as_no_time() {
    let mut server = Server::new(5);
    server.pass(60, 4.5);
    server.now = server.ago(500);
    assert_eq!(server.look(&server.seen(400.0)), decision(5, Reason::Steady));
    // From there on time goes on.
    server.pass(10, 4.5);
    assert_eq!(server.replicas, 5);
    assert_eq!(server.until(Reason::Idle, 0.0), 301);
    assert_eq!(server.state.idle_since(), Some(server.ago(300)));
}

#[test]
fn a_gap_of_hours_counts_with_its_mean() {
    let mut server = Server::new(5);
    server.pass(60, 4.5);
    server.now += seconds(7200);
    assert_eq!(server.look(&server.seen(4.5)), decision(5, Reason::Steady));
    server.now += seconds(7200);
    assert_eq!(server.look(&server.seen(6.5)), decision(7, Reason::LoadRose));
}

#[test]
fn a_burst_after_a_gap_is_seen_within_seconds() {
    let mut server = Server::new(5);
    server.now += seconds(7200);
    server.look(&server.seen(4.5));
    server.now += seconds(7200);
    server.look(&server.seen(4.5));
    assert!(server.until(Reason::Burst, 20.0) <= 3);
}

#[test]
fn a_hundred_looks_in_a_second_come_to_what_one_comes_to() {
    let [one, many] = [1, 100].map(|looks| {
        let mut server = Server::new(3);
        // On the way they differ, since many see a change before the second is over.
        let ends = [3.0, 12.5, 3.0, 12.5].map(|load| {
            for _ in 0..200 * looks {
                server.now += seconds(1) / looks;
                server.look(&server.seen(load));
            }
            server.replicas
        });
        ends.to_vec()
    });
    assert_eq!(one, many);
    assert_eq!(one, [3, 13, 4, 13]);
}

#[test]
fn means_that_are_put_together_ask_for_no_replica_by_what_was_rounded() {
    let mut server = Server::new(3);
    for _ in 0..10_000 {
        server.now += seconds(1) / 7;
        assert_eq!(server.look(&server.seen(3.0)), decision(3, Reason::Steady));
    }
}

#[test]
fn a_look_without_time_since_the_last_changes_no_mean() {
    let mut server = Server::new(5);
    server.pass(60, 4.5);
    for _ in 0..50 {
        let seen = Observation { waiting: 0, ..server.seen(500.0) };
        assert_eq!(server.look(&seen).replicas, 5);
    }
}

#[test]
fn the_ends_of_time_do_no_harm() {
    let mut server = Server::new(5);
    for now in [Duration::ZERO, Duration::MAX, Duration::ZERO, Duration::MAX, seconds(5)] {
        server.now = now;
        assert!(server.look(&server.seen(4.5)).replicas >= 5);
    }
    let starts = [Duration::MAX, seconds(0), Duration::MAX];
    let mut broken = Server::new(0);
    broken.starts = false;
    for now in starts {
        broken.now = now;
        broken.look(&broken.seen(1.0));
        assert!(broken.state.retry_at().is_none_or(|until| until >= now));
    }
}
