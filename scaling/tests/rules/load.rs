//! Up, down, and what keeps from it.

use portico_scaling::{Observation, Policy, Reason};

use super::server::{Server, decision, seconds};

#[test]
fn a_load_that_suits_the_replicas_changes_nothing() {
    let mut server = Server::new(5);
    assert_eq!(server.pass(600, 4.5), decision(5, Reason::Steady));
}

#[test]
fn a_load_over_the_replicas_brings_as_many_as_it_asks_for() {
    let mut server = Server::new(5);
    server.pass(60, 4.5);
    // The mean of a minute is over five only after many of its seconds, and half of them ask for a sixth.
    assert_eq!(server.until(Reason::LoadRose, 6.5), 16);
    assert_eq!(server.replicas, 6);
    server.pass(60, 6.5);
    assert_eq!(server.replicas, 7);
}

#[test]
fn a_load_of_twice_the_replicas_is_a_burst_and_brings_them_within_seconds() {
    let mut server = Server::new(5);
    server.policy.rise_within = seconds(0);
    server.pass(60, 5.0);
    assert_eq!(server.until(Reason::Burst, 40.0), 1);
    server.pass(6, 40.0);
    assert!(f64::from(server.replicas) / 0.7 >= 40.0, "no call waits for {}", server.replicas);
}

#[test]
fn calls_that_wait_make_a_burst_of_less_than_twice_the_replicas() {
    let mut server = Server::new(5);
    server.pass(60, 5.0);
    let busy = server.seen(8.0);
    let decisions = [0, 1].map(|waiting| {
        let mut server = Server::new(5);
        server.pass(60, 5.0);
        for _ in 0..6 {
            server.now += seconds(1);
            let seen = Observation { waiting, desired: 5, ready: 5, ..busy };
            server.look(&seen);
            server.replicas = 5;
        }
        server.now += seconds(1);
        server.look(&Observation { waiting, ..busy }).reason
    });
    assert_eq!(decisions, [Reason::LoadRose, Reason::Burst]);
}

#[test]
fn within_the_dead_band_no_replica_goes() {
    let mut server = Server::new(5);
    // Four replicas would do for 4, but with 15 % to spare only for 3.4.
    assert_eq!(server.pass(1000, 3.45), decision(5, Reason::Steady));
    assert_eq!(server.until(Reason::KeptByWindow, 3.34), 28);
    assert_eq!(server.until(Reason::LoadFell, 3.34), 120);
    assert_eq!(server.replicas, 4);
}

#[test]
fn replicas_go_only_after_the_load_asked_for_fewer_all_the_time() {
    let mut server = Server::new(9);
    server.pass(300, 9.0);
    server.until(Reason::KeptByWindow, 1.0);
    assert_eq!(server.pass(118, 1.0), decision(9, Reason::KeptByWindow));
    // One burst, and the wait begins again.
    assert_eq!(server.pass(2, 60.0).replicas, 18);
    assert_eq!(server.pass(119, 1.0), decision(18, Reason::KeptByWindow));
    // Moments within a 64th of the window count as one, so that it may take two seconds longer.
    assert!(server.until(Reason::LoadFell, 1.0) <= 2);
}

#[test]
fn replicas_go_to_the_most_that_were_asked_for_in_the_window() {
    let mut server = Server::new(9);
    server.pass(300, 9.0);
    server.pass(70, 5.0);
    // The mean is 5 from the sixtieth of these seconds on, for which six will do: ceil(5 / 0.85).
    assert_eq!(server.pass(112, 1.0).replicas, 6);
    assert_eq!(server.pass(60, 1.0).replicas, 2);
}

#[test]
fn replicas_that_still_start_count_as_replicas() {
    // Five asked for, one ready; under each load five suffice, though one does not. Six calls in hand or waiting are
    // a burst for one, and 3.6 would be too few for more than four if one were not enough.
    for load in [3.6, 4.5, 6.0_f64] {
        let mut server = Server::new(5);
        server.pass(60, load.min(4.5));
        for _ in 0..5 {
            server.now += seconds(1);
            let seen = Observation { ready: 1, waiting: 4, ..server.seen(load) };
            assert_eq!(server.look(&seen), decision(5, Reason::Steady), "{load}");
        }
    }
}

#[test]
fn calls_that_wait_for_starting_replicas_ask_for_as_many_as_do_them_within_seconds() {
    let mut server = Server::new(2);
    server.policy.rise_within = seconds(0);
    // Two calls of a second each second.
    for _ in 0..60 {
        server.now += seconds(1);
        let seen = Observation { arrivals: 2, ..server.seen(2.0) };
        assert_eq!(server.look(&seen), decision(2, Reason::Steady));
    }
    // Both replicas break, and fifty calls wait for the next one: seven in hand at once do them in five seconds.
    server.starts = false;
    for _ in 0..10 {
        server.now += seconds(1);
        server.look(&Observation { arrivals: 2, ..server.seen(50.0) });
    }
    assert_eq!(server.replicas, 9);
    // Ready, and they wait on: then the load counts as it is.
    server.starts = true;
    server.now += seconds(1);
    assert!(server.look(&Observation { arrivals: 2, ..server.seen(50.0) }).replicas > 40);
}

#[test]
fn replicas_at_most_double_in_the_time_of_the_limit() {
    let mut server = Server::new(10);
    server.policy = Policy { rise_within: seconds(15), ..server.policy };
    server.pass(60, 10.0);
    assert_eq!(server.until(Reason::RateLimited, 90.0), 1);
    assert_eq!(server.replicas, 20);
    assert_eq!(server.pass(14, 90.0), decision(20, Reason::RateLimited));
    assert_eq!(server.second(90.0), decision(40, Reason::RateLimited));
}

#[test]
fn few_replicas_may_become_four_more() {
    let mut server = Server::new(1);
    server.pass(60, 1.0);
    server.until(Reason::RateLimited, 90.0);
    assert_eq!(server.replicas, 5);
}

#[test]
fn replicas_that_somebody_else_woke_may_double_at_once() {
    let mut server = Server::new(0);
    server.pass(60, 0.0);
    server.replicas = 6;
    server.second(6.0);
    server.until(Reason::RateLimited, 90.0);
    assert_eq!(server.replicas, 12);
}

#[test]
fn the_bounds_hold_whatever_the_load() {
    let mut server = Server::new(5);
    server.policy = Policy { min: 3, max: 6, ..server.policy };
    server.pass(30, 50.0);
    assert_eq!(server.second(50.0), decision(6, Reason::AboveMaximum));
    server.pass(400, 0.0);
    assert_eq!(server.second(0.0), decision(3, Reason::Steady));
}

#[test]
fn bounds_that_move_are_kept_at_once() {
    let mut server = Server::new(5);
    server.pass(60, 5.0);
    server.policy.max = 4;
    assert_eq!(server.second(5.0), decision(4, Reason::AboveMaximum));
    server.policy = Policy { min: 8, max: 9, ..server.policy };
    assert_eq!(server.second(5.0), decision(8, Reason::BelowMinimum));
}

#[test]
fn replicas_that_somebody_else_adds_stay_as_long_as_ours() {
    let mut server = Server::new(5);
    server.pass(300, 4.5);
    server.replicas = 20;
    server.pass(119, 4.5);
    assert_eq!(server.second(4.5), decision(20, Reason::KeptByWindow));
    server.pass(2, 4.5);
    assert_eq!(server.replicas, 6);
}

#[test]
fn an_answer_that_is_seen_late_is_given_again_and_changes_nothing() {
    let mut server = Server::new(9);
    server.pass(300, 9.0);
    server.until(Reason::LoadFell, 1.0);
    let fallen = server.replicas;
    server.replicas = 9;
    assert!(server.pass(3, 1.0).replicas <= fallen);
}
