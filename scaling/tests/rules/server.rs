//! A server that is watched each second and does what is decided.

use std::time::Duration;

use portico_scaling::{Decision, Observation, Policy, Reason, State};

pub fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A server whose replicas are ready at once, unless `starts` is false.
pub struct Server {
    pub policy: Policy,
    pub state: State,
    pub now: Duration,
    pub replicas: u32,
    pub starts: bool,
    pub sessions: u32,
}

impl Server {
    /// With so many replicas, at a time that is not zero, and with targets of one call so that loads read as replicas.
    pub fn new(replicas: u32) -> Self {
        let policy = Policy { target: 1.0, max: 100, ..Policy::default() };
        let (now, state) = (seconds(1000), State::default());
        Self { policy, state, now, replicas, starts: true, sessions: 0 }
    }

    /// The time so many seconds ago.
    pub fn ago(&self, time: u64) -> Duration {
        self.now.saturating_sub(seconds(time))
    }

    /// What is seen under a load of so many calls.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small and from zero up")]
    pub fn seen(&self, load: f64) -> Observation {
        let ready = if self.starts { self.replicas } else { 0 };
        let now = load.ceil() as u32;
        // A replica that should have one call takes one and a half, about.
        let waiting = now.saturating_sub(ready * 10 / 7);
        Observation {
            mean: load,
            now,
            waiting,
            arrivals: u64::from(now),
            sessions: self.sessions,
            desired: self.replicas,
            ready,
        }
    }

    /// A decision at this moment, which is done.
    pub fn look(&mut self, seen: &Observation) -> Decision {
        let decision = self.state.decide(&self.policy, seen, self.now);
        self.replicas = decision.replicas;
        decision
    }

    /// A second goes by under a load.
    pub fn second(&mut self, load: f64) -> Decision {
        self.now += seconds(1);
        self.look(&self.seen(load))
    }

    /// So many seconds go by under a load; the last decision.
    pub fn pass(&mut self, time: u64, load: f64) -> Decision {
        let last = (0..time).map(|_| self.second(load)).last();
        last.expect("a second at least")
    }

    /// Seconds under a load until there is a decision for this reason.
    pub fn until(&mut self, reason: Reason, load: f64) -> u64 {
        (1..10_000).find(|_| self.second(load).reason == reason).expect("the reason comes")
    }
}

pub fn decision(replicas: u32, reason: Reason) -> Decision {
    Decision { replicas, reason }
}
