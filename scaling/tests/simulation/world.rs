//! Replicas that start, serve and go, in virtual time.

use std::collections::VecDeque;
use std::time::Duration;

use portico_scaling::Observation;

use super::control::Control;
use super::load::{Call, SECONDS, TICKS};

/// Calls that a replica takes at once.
pub const CAPACITY: u32 = 4;
/// A change of direction within so many ticks is a reversal.
const REVERSAL: u32 = 120 * TICKS;

/// What came of an hour.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// Times that another number of replicas was asked for.
    pub changes: f64,
    /// Changes up soon after one down, and the other way.
    pub reversals: f64,
    /// Seconds that 99 of 100 calls did not wait longer than.
    pub p99: f64,
    /// Hours of replicas that were asked for.
    pub pod_hours: f64,
}

/// Lets `control` scale what serves `calls`, beginning with `replicas` ready ones; others
/// are ready `cold_start` seconds after they are asked for.
pub fn run(calls: &[Call], control: &mut dyn Control, replicas: u32, cold_start: u32) -> Outcome {
    let mut world = World::new(replicas, cold_start * TICKS);
    let mut calls = calls.iter().peekable();
    for tick in 0..SECONDS * TICKS {
        world.begin(tick);
        while let Some(call) = calls.next_if(|call| call.tick == tick) {
            world.come(*call);
        }
        world.serve(tick);
        if tick % (control.every() * TICKS) == 0 {
            let seen = world.observe(tick);
            let replicas = control.decide(&seen, Duration::from_secs(u64::from(tick / TICKS)));
            world.scale(replicas, tick);
        }
    }
    world.outcome()
}

struct World {
    /// Ticks from asking for a replica until it is ready.
    cold_start: u32,
    /// Ticks at which those that start are ready, the next one first.
    starting: VecDeque<u32>,
    ready: u32,
    queue: VecDeque<Call>,
    in_hand: u32,
    /// How many calls end at a tick.
    ends: Vec<u32>,
    /// Ticks.
    waits: Vec<u32>,
    changes: Vec<(u32, bool)>,
    pod_ticks: u64,
    /// Since the last observation.
    sum: u64,
    arrivals: u64,
    looked: u32,
}

impl World {
    fn new(ready: u32, cold_start: u32) -> Self {
        Self {
            cold_start,
            ready,
            starting: VecDeque::new(),
            queue: VecDeque::new(),
            in_hand: 0,
            ends: vec![0; (SECONDS * TICKS * 2) as usize],
            waits: Vec::new(),
            changes: Vec::new(),
            pod_ticks: 0,
            sum: 0,
            arrivals: 0,
            looked: 0,
        }
    }

    fn desired(&self) -> u32 {
        self.ready + u32::try_from(self.starting.len()).unwrap()
    }

    fn waiting(&self) -> u32 {
        u32::try_from(self.queue.len()).unwrap()
    }

    fn begin(&mut self, tick: u32) {
        self.in_hand -= self.ends[tick as usize];
        while self.starting.front().is_some_and(|ready| *ready <= tick) {
            self.starting.pop_front();
            self.ready += 1;
        }
    }

    fn come(&mut self, call: Call) {
        self.queue.push_back(call);
        self.arrivals += 1;
    }

    /// Gives waiting calls to ready replicas, the oldest first. Those that go end their calls.
    fn serve(&mut self, tick: u32) {
        while self.in_hand < CAPACITY * self.ready
            && let Some(call) = self.queue.pop_front()
        {
            self.waits.push(tick - call.tick);
            self.in_hand += 1;
            self.ends[(tick + call.takes) as usize] += 1;
        }
        self.sum += u64::from(self.in_hand + self.waiting());
        self.pod_ticks += u64::from(self.desired());
    }

    #[expect(clippy::cast_precision_loss, reason = "calls of some ticks")]
    fn observe(&mut self, tick: u32) -> Observation {
        let seen = Observation {
            mean: self.sum as f64 / f64::from((tick - self.looked).max(1)),
            now: self.in_hand + self.waiting(),
            waiting: self.waiting(),
            arrivals: self.arrivals,
            sessions: 0,
            desired: self.desired(),
            ready: self.ready,
        };
        (self.sum, self.arrivals, self.looked) = (0, 0, tick);
        seen
    }

    fn scale(&mut self, replicas: u32, tick: u32) {
        let before = self.desired();
        if replicas != before {
            self.changes.push((tick, replicas > before));
        }
        for _ in before..replicas {
            self.starting.push_back(tick + self.cold_start);
        }
        for _ in replicas..before {
            if self.starting.pop_back().is_none() {
                self.ready -= 1;
            }
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "counts of an hour")]
    fn outcome(mut self) -> Outcome {
        let end = SECONDS * TICKS;
        self.waits.extend(self.queue.iter().map(|call| end - call.tick));
        self.waits.sort_unstable();
        let rank = (self.waits.len() * 99).div_ceil(100).saturating_sub(1);
        let is_reversal = |pair: &&[(u32, bool)]| pair[0].1 != pair[1].1 && pair[1].0 - pair[0].0 <= REVERSAL;
        Outcome {
            changes: self.changes.len() as f64,
            reversals: self.changes.windows(2).filter(is_reversal).count() as f64,
            p99: f64::from(self.waits.get(rank).copied().unwrap_or(0)) / f64::from(TICKS),
            pod_hours: hours(self.pod_ticks),
        }
    }
}

/// The least hours of replicas with which no call waits, for who knows the future and starts replicas ahead.
pub fn optimum(calls: &[Call]) -> f64 {
    let mut change = vec![0_i64; (SECONDS * TICKS * 2) as usize];
    for call in calls {
        change[call.tick as usize] += 1;
        change[(call.tick + call.takes) as usize] -= 1;
    }
    let mut in_hand = 0;
    let ticks = change.iter().take((SECONDS * TICKS) as usize).map(|change| {
        in_hand += change;
        u64::try_from(in_hand).unwrap().div_ceil(u64::from(CAPACITY))
    });
    hours(ticks.sum())
}

#[expect(clippy::cast_precision_loss, reason = "ticks of an hour")]
fn hours(pod_ticks: u64) -> f64 {
    pod_ticks as f64 / f64::from(TICKS) / 3600.0
}
