//! How a server is woken, and how long its calls wait.

use std::time::Duration;

use portico_scaling::{Policy, Service, Starts, hold, retry_after, wake};

use super::server::seconds;

fn starts(times: impl IntoIterator<Item = u64>) -> Starts {
    let mut starts = Starts::default();
    times.into_iter().for_each(|time| starts.note(seconds(time)));
    starts
}

/// A replica of these takes ten calls at once.
fn policy() -> Policy {
    Policy { target: 7.0, ..Policy::default() }
}

#[test]
fn percentiles_are_of_the_last_32_starts() {
    assert_eq!((Starts::default().p50(), Starts::default().p95()), (None, None));
    let learnt = starts(1..=20);
    assert_eq!((learnt.p50(), learnt.p95()), (Some(seconds(10)), Some(seconds(19))));
    let later = starts((0..100).map(|_| 100).chain((0..32).map(|_| 2)));
    assert_eq!((later.len(), later.p95()), (32, Some(seconds(2))));
}

#[test]
fn a_server_is_woken_with_what_waits_and_what_comes_while_it_starts() {
    let unknown = Starts::default();
    assert_eq!(wake(&policy(), 1, 0.0, &unknown, None), 1);
    // 200 calls of 1 s for replicas that do 50 in five seconds.
    assert_eq!(wake(&policy(), 200, 0.0, &unknown, None), 4);
    assert_eq!(wake(&policy(), 200, 0.0, &unknown, Some(seconds(2))), 8);
    // And 10 a second for the 20 s that a start takes.
    assert_eq!(wake(&policy(), 200, 10.0, &starts([20]), Some(seconds(1))), 8);
}

#[test]
fn a_server_is_woken_within_its_bounds() {
    assert_eq!(wake(&policy(), u32::MAX, 1e9, &starts([300]), Some(seconds(60))), 10);
    assert_eq!(wake(&Policy { min: 2, ..policy() }, 1, f64::NAN, &starts([3]), None), 2);
}

#[test]
fn a_call_is_held_for_the_least_of_its_deadline_the_cap_and_slow_starts() {
    let (cap, slow) = (seconds(60), starts([20; 5]));
    assert_eq!(hold(cap, None, &Starts::default()), cap);
    assert_eq!(hold(cap, Some(seconds(7)), &slow), seconds(7));
    assert_eq!(hold(cap, None, &slow), seconds(30));
    assert_eq!(hold(seconds(2), None, &slow), seconds(2));
}

#[test]
fn few_starts_do_not_shorten_the_hold_and_quick_ones_not_below_half_a_minute() {
    assert_eq!(hold(seconds(60), None, &starts([1; 4])), seconds(60));
    assert_eq!(hold(seconds(60), None, &starts([1; 5])), seconds(30));
    let mut endless = Starts::default();
    (0..5).for_each(|_| endless.note(Duration::MAX));
    assert_eq!(hold(seconds(60), None, &endless), seconds(60));
}

#[test]
fn it_is_worth_trying_again_when_the_start_and_the_queue_are_done() {
    let learnt = starts([20]);
    let after = |elapsed, waiting, replicas| {
        retry_after(&learnt, seconds(elapsed), waiting, Some(seconds(2)), &policy(), replicas).as_secs()
    };
    assert_eq!(after(5, 0, 0), 15);
    // 100 calls of 2 s in replicas of ten.
    assert_eq!((after(5, 100, 0), after(5, 100, 4)), (35, 20));
    assert_eq!((after(30, 0, 1), after(30, 1_000_000, 1)), (1, 300));
}

#[test]
fn the_time_of_a_call_follows_those_that_end() {
    let mut service = Service::default();
    service.note(0, seconds(9));
    assert_eq!(service.mean(), None);
    service.note(2, seconds(4));
    assert_eq!(service.mean(), Some(seconds(2)));
    service.note(2, seconds(8));
    assert_eq!(service.mean(), Some(seconds(3)));
    (0..1000).for_each(|_| service.note(1, seconds(1)));
    let mean = service.mean().expect("learnt").as_secs_f64();
    assert!((mean - 1.0).abs() < 0.001, "{mean}");
    service.note(1000, seconds(5000));
    assert_eq!(service.mean(), Some(seconds(5)));
}
