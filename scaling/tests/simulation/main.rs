//! An hour of five loads in virtual time: replicas that take four calls at once and start in three seconds, calls of
//! a second by a Poisson process, three seeds. It prints a table, and holds ours to a bar.
//!
//! The bar is another simulation of the same formulae, which did not say all it assumed. Assumed here, and near its
//! figures: calls spread log-normally with sigma 0.5, one call a second between bursts, 5 a second in the sparse
//! minute, and two minutes of silence until all replicas go.

mod control;
mod load;
mod world;

use std::time::Duration;

use control::{Control, Kpa, Naive, Ours, TARGET};
use load::{EDGE, LOADS, Load, calls};
use portico_scaling::Policy;
use world::{Outcome, optimum, run};

const SEEDS: [u64; 3] = [1, 2, 3];

/// The most that each load may come to. Changes are not bounded: those of one direction do no harm.
#[derive(Clone, Copy)]
struct Bar {
    reversals: f64,
    p99: f64,
    pod_hours: f64,
}

/// What the other simulation came to, for the loads in their order.
const REFERENCE: [Bar; 5] = [
    Bar { reversals: 0.0, p99: 0.2, pod_hours: 3.2 },
    Bar { reversals: 2.0, p99: 2.3, pod_hours: 11.6 },
    Bar { reversals: 6.0, p99: 0.5, pod_hours: 6.3 },
    Bar { reversals: 0.0, p99: 4.4, pod_hours: 10.4 },
    Bar { reversals: 2.0, p99: 3.8, pod_hours: 1.1 },
];
/// Room for other seeds, in waits and in hours of replicas; none in reversals.
const ROOM: (f64, f64) = (1.25, 1.1);

impl Bar {
    fn holds(&self, outcome: &Outcome) -> bool {
        outcome.reversals <= self.reversals
            && outcome.p99 <= self.p99 * ROOM.0
            && outcome.pod_hours <= self.pod_hours * ROOM.1
    }
}

/// As it is by default.
fn policy(load: &Load) -> Policy {
    Policy { min: load.min, max: 100, target: TARGET, idle: Duration::from_mins(2), ..Policy::default() }
}

/// With the limit to how fast replicas come that a `HorizontalPodAutoscaler` has.
fn limited(load: &Load) -> Policy {
    Policy { rise_within: Duration::from_secs(15), ..policy(load) }
}

fn without_band(load: &Load) -> Policy {
    Policy { band_down: 0.0, ..policy(load) }
}

fn without_window(load: &Load) -> Policy {
    Policy { scale_in_after: Duration::ZERO, ..policy(load) }
}

/// The mean of the seeds, with replicas that start in three seconds.
fn hour(load: &Load, control: impl Fn() -> Box<dyn Control>) -> Outcome {
    slow_hour(load, 3, control)
}

/// The mean of the seeds, with replicas that start in so many seconds.
fn slow_hour(load: &Load, cold_start: u32, control: impl Fn() -> Box<dyn Control>) -> Outcome {
    let outcomes = SEEDS.map(|seed| run(&calls(load, seed), control().as_mut(), load.min, cold_start));
    let mean = |part: fn(&Outcome) -> f64| outcomes.iter().map(part).sum::<f64>() / 3.0;
    Outcome {
        changes: mean(|outcome| outcome.changes),
        reversals: mean(|outcome| outcome.reversals),
        p99: mean(|outcome| outcome.p99),
        pod_hours: mean(|outcome| outcome.pod_hours),
    }
}

fn ours(load: &Load, policy: fn(&Load) -> Policy) -> Outcome {
    hour(load, || Box::new(Ours::new(policy(load))))
}

fn naive(load: &Load) -> Outcome {
    hour(load, || Box::new(Naive { min: load.min }))
}

fn print(load: &Load) {
    let best = SEEDS.map(|seed| optimum(&calls(load, seed))).iter().sum::<f64>() / 3.0;
    let row = |name: &str, outcome: Outcome| {
        let Outcome { changes, reversals, p99, pod_hours } = outcome;
        let times = pod_hours / best;
        println!(
            "| {:40} | {name:22} | {changes:6.1} | {reversals:5.1} | {p99:5.2} | {pod_hours:5.2} | {times:4.1} |",
            load.name
        );
    };
    row("ours", ours(load, policy));
    row("ours, rise limited", ours(load, limited));
    row("ours, no dead band", ours(load, without_band));
    row("ours, no window rule", ours(load, without_window));
    row("KPA", hour(load, || Box::new(Kpa::new(load.min))));
    row("naive", naive(load));
}

#[test]
fn an_hour_of_each_load_stays_within_the_bar() {
    println!("| load | control | changes | reversals | p99 wait, s | pod-hours | times the optimum |");
    LOADS.iter().chain([&EDGE]).for_each(print);
    for (load, bar) in LOADS.iter().zip(&REFERENCE) {
        let outcome = ours(load, policy);
        assert!(bar.holds(&outcome), "{}: {outcome:?}", load.name);
    }
}

#[test]
fn as_many_replicas_as_the_calls_of_a_moment_ask_for_turns_round_all_the_time() {
    for (load, bar) in LOADS.iter().zip(&REFERENCE) {
        let outcome = naive(load);
        assert!(!bar.holds(&outcome) && outcome.reversals > 40.0, "{}: {outcome:?}", load.name);
    }
}

#[test]
fn knatives_formula_turns_round_on_a_constant_load_where_ours_does_not() {
    let kpa = hour(&LOADS[0], || Box::new(Kpa::new(1)));
    assert!(kpa.reversals > 10.0, "{kpa:?}");
    assert!(ours(&LOADS[0], policy).reversals < 0.1);
}

#[test]
fn noise_at_the_edge_of_a_replica_turns_it_round_only_without_the_dead_band() {
    let (with, without) = (ours(&EDGE, policy), ours(&EDGE, without_band));
    assert!(with.reversals < 0.1, "{with:?}");
    assert!(without.reversals > 1.0, "{without:?}");
}

#[test]
fn without_the_window_rule_every_load_breaks_the_bar() {
    for (load, bar) in LOADS.iter().zip(&REFERENCE) {
        let outcome = ours(load, without_window);
        assert!(!bar.holds(&outcome), "{}: {outcome:?}", load.name);
    }
}

/// A limit to how fast replicas come costs waits, which the bar has none of.
#[test]
fn the_limited_rise_costs_waits_on_bursts_and_no_reversal() {
    for (load, bar) in LOADS.iter().zip(&REFERENCE) {
        let outcome = ours(load, limited);
        assert!(outcome.reversals <= bar.reversals && outcome.p99 <= 14.0, "{}: {outcome:?}", load.name);
    }
    assert!(ours(&LOADS[3], limited).p99 > 2.0 * ours(&LOADS[3], policy).p99);
}

/// What waits while replicas start must not ask for one by each few calls: by that, an hour of the sparse load takes
/// 23.8 hours of replicas, and one of the constant load 7.3.
#[test]
fn replicas_that_start_for_two_minutes_are_not_asked_for_again_and_again() {
    for (load, most) in [(&LOADS[0], 4.2), (&LOADS[4], 5.2)] {
        let outcome = slow_hour(load, 120, || Box::new(Ours::new(policy(load))));
        println!("{}, starts of 120 s: {outcome:?}", load.name);
        assert!(outcome.pod_hours <= most, "{}: {outcome:?}", load.name);
    }
}
