//! What a decision costs, and what is kept for it, with 10, 100, 1,000 and 10,000 servers.
//!
//! Each server has full windows: it was looked at each second for longer than the longest of them, under a load that
//! changes each time. A round is one look at every server, as once a second in a gateway. The control of the same run is
//! what decides without a memory: the calls of this moment by the target. The time of a decision must not grow with
//! the number of servers, but for what the caches of the processor hold no more. In a build for debugging the figures
//! mean nothing: `cargo bench -p portico-scaling`.

#![expect(clippy::cast_precision_loss, reason = "figures for people, far below where a float loses digits")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use portico_scaling::{Observation, Policy, State};

const SIZES: [usize; 4] = [10, 100, 1_000, 10_000];
/// Looks at each server before any is timed, a second apart: the longest window is two minutes.
const WARM: u64 = 150;
/// Decisions that are timed at each size, in rounds.
const DECISIONS: usize = 200_000;

fn main() {
    println!("| servers | decision, ns | of a round, µs | without memory, ns | state, bytes |");
    println!("|---|---|---|---|---|");
    SIZES.into_iter().for_each(row);
}

fn row(servers: usize) {
    let policy = Policy { max: 1_000, scale_in_after: Duration::from_mins(2), ..Policy::default() };
    let mut states = vec![State::default(); servers];
    for second in 0..WARM {
        for (server, state) in states.iter_mut().enumerate() {
            state.decide(&policy, &seen(server, second), Duration::from_secs(second));
        }
    }
    let rounds = (DECISIONS / servers).max(5) as u64;
    let decision = timed(rounds, servers, |server, second| {
        let second = WARM + second;
        let decision = states[server].decide(&policy, &seen(server, second), Duration::from_secs(second));
        u64::from(decision.replicas)
    });
    let control = timed(rounds, servers, |server, second| {
        let seen = black_box(seen(server, second));
        u64::from(seen.now.div_ceil(8))
    });
    let bytes = states.iter().map(State::size).sum::<usize>() / servers;
    let round = decision * servers as f64 / 1e3;
    println!("| {servers} | {decision:.0} | {round:.1} | {control:.1} | {bytes} |");
}

/// Nanoseconds of one, in the middle one of the rounds.
fn timed(rounds: u64, servers: usize, mut one: impl FnMut(usize, u64) -> u64) -> f64 {
    let mut times: Vec<Duration> = (0..rounds)
        .map(|second| {
            let began = Instant::now();
            let sum: u64 = (0..servers).map(|server| one(server, second)).sum();
            black_box(sum);
            began.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1e9 / servers as f64
}

/// A load that falls for two minutes and then jumps up again, so that every recommendation of that time is kept.
fn seen(server: usize, second: u64) -> Observation {
    let phase = u32::try_from((server as u64 + second) % 120).unwrap_or_default();
    let load = 8 * (200 - phase);
    Observation {
        mean: f64::from(load),
        now: load,
        arrivals: 100,
        desired: 210,
        ready: 210,
        ..Observation::default()
    }
}
