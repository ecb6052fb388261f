//! What scales: ours, and others to compare with.

use std::collections::VecDeque;
use std::time::Duration;

use portico_scaling::{Observation, Policy, State};

/// Calls that a replica should have: 0.7 of the four that it takes.
pub const TARGET: f64 = 2.8;

pub trait Control {
    /// Seconds between two decisions.
    fn every(&self) -> u32;
    fn decide(&mut self, seen: &Observation, now: Duration) -> u32;
}

/// Ours.
pub struct Ours {
    policy: Policy,
    state: State,
}

impl Ours {
    pub fn new(policy: Policy) -> Self {
        Self { policy, state: State::default() }
    }
}

impl Control for Ours {
    fn every(&self) -> u32 {
        1
    }

    fn decide(&mut self, seen: &Observation, now: Duration) -> u32 {
        self.state.decide(&self.policy, seen, now).replicas
    }
}

/// As many as the calls of this moment ask for.
pub struct Naive {
    pub min: u32,
}

impl Control for Naive {
    fn every(&self) -> u32 {
        2
    }

    fn decide(&mut self, seen: &Observation, _: Duration) -> u32 {
        ceiling(f64::from(seen.now) / TARGET).max(self.min)
    }
}

/// Knative's autoscaler with its defaults: windows of 60 and 6 s, panic from twice the target on, each 2 s.
pub struct Kpa {
    min: u32,
    /// The newest first, of 2 s each.
    means: VecDeque<f64>,
    /// When panic was last called for, and the most replicas since it began.
    panic: Option<(Duration, u32)>,
    idle_since: Option<Duration>,
}

const STABLE: Duration = Duration::from_mins(1);
const GRACE: Duration = Duration::from_secs(30);

impl Kpa {
    pub fn new(min: u32) -> Self {
        Self { min, means: VecDeque::new(), panic: None, idle_since: None }
    }

    fn mean(&self, spans: usize) -> f64 {
        let seen = self.means.len().min(spans).max(1);
        self.means.iter().take(spans).sum::<f64>() / f64::from(u32::try_from(seen).unwrap())
    }

    fn is_long_idle(&mut self, now: Duration) -> bool {
        let idle = self.means.iter().all(|mean| *mean == 0.0);
        self.idle_since = if idle { self.idle_since.or(Some(now)) } else { None };
        self.min == 0 && self.idle_since.is_some_and(|since| now >= since + GRACE)
    }
}

impl Control for Kpa {
    fn every(&self) -> u32 {
        2
    }

    fn decide(&mut self, seen: &Observation, now: Duration) -> u32 {
        self.means.push_front(seen.mean);
        self.means.truncate(30);
        let ready = seen.ready.max(1);
        let bounded = |load: f64| ceiling(load / TARGET).clamp(ready / 2, ready * 1000);
        let (stable, panic) = (bounded(self.mean(30)), bounded(self.mean(3)));
        if ceiling(self.mean(3) / TARGET) >= 2 * ready {
            self.panic = Some((now, self.panic.map_or(seen.desired, |(_, most)| most)));
        }
        self.panic = self.panic.filter(|(last, _)| now < *last + STABLE);
        if let Some((_, most)) = &mut self.panic {
            *most = stable.max(panic).max(*most);
            return *most;
        }
        if self.is_long_idle(now) {
            0
        } else {
            stable.max(self.min.max(u32::from(seen.desired > 0 || seen.now > 0)))
        }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small and from zero up")]
fn ceiling(load: f64) -> u32 {
    load.ceil() as u32
}
