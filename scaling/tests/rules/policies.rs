//! Policies that make no sense.

use std::time::Duration;

use portico_scaling::{Policy, Reason, wake};

use super::server::Server;

#[test]
fn a_minimum_above_the_maximum_counts_as_the_maximum() {
    let policy = Policy { min: 7, max: 3, ..Policy::default() }.clamped();
    assert_eq!((policy.min, policy.max), (3, 3));
    let mut server = Server::new(7);
    server.policy = Policy { min: 7, max: 3, ..server.policy };
    assert_eq!(server.pass(10, 1.0).replicas, 3);
}

#[test]
fn there_may_always_be_one_replica() {
    let policy = Policy { max: 0, ..Policy::default() };
    assert_eq!(policy.clamped().max, 1);
    assert_eq!(wake(&policy, 100, 0.0, &portico_scaling::Starts::default(), None), 1);
}

#[test]
fn a_target_that_is_no_number_above_zero_counts_as_one() {
    for target in [0.0, -3.0, f64::NAN, f64::NEG_INFINITY] {
        assert!((Policy { target, ..Policy::default() }.clamped().target - 1.0).abs() < f64::EPSILON);
        let mut server = Server::new(1);
        server.policy.target = target;
        assert_eq!(server.pass(60, 2.5).replicas, 3, "{target}");
    }
    assert!(Policy { target: f64::INFINITY, ..Policy::default() }.clamped().target.is_finite());
}

#[test]
fn windows_of_nothing_are_a_second() {
    let policy = Policy { window: Duration::ZERO, start_within: Duration::ZERO, ..Policy::default() };
    let clamped = policy.clamped();
    assert_eq!([clamped.window, clamped.start_within], [Duration::from_secs(1); 2]);
    let mut server = Server::new(1);
    server.policy = Policy { target: 1.0, ..policy };
    assert_eq!(server.second(3.0).replicas, 3);
}

#[test]
fn a_band_that_is_no_number_is_the_default_and_a_whole_one_is_narrowed() {
    let wrong = Policy { band_up: f64::NAN, band_down: -1.0, ..Policy::default() };
    assert_eq!(wrong.clamped(), Policy::default());
    let wide = Policy { band_up: 1e9, band_down: 1.0, ..Policy::default() }.clamped();
    assert_eq!((wide.band_up, wide.band_down), (10.0, 0.9));
}

#[test]
fn a_sensible_policy_is_read_as_it_is() {
    assert_eq!(Policy::default().clamped(), Policy::default());
}

#[test]
fn a_load_that_is_no_number_counts_as_the_calls_in_hand() {
    let mut server = Server::new(3);
    server.pass(60, 3.0);
    for mean in [f64::NAN, f64::INFINITY, -1.0] {
        server.now += Duration::from_secs(1);
        let seen = portico_scaling::Observation { mean, ..server.seen(3.0) };
        assert_eq!(server.look(&seen), super::server::decision(3, Reason::Steady));
    }
}

#[test]
fn each_reason_has_a_name_of_its_own() {
    let mut names = Reason::ALL.map(Reason::as_str).to_vec();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Reason::ALL.len());
    assert!(Reason::ALL.iter().all(|reason| reason.as_str() == format!("{reason:?}")));
}
