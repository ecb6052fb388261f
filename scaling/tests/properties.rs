//! What holds for every load.

use std::time::Duration;

use portico_scaling::{Decision, Observation, Policy, State};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

/// A server whose replicas are ready at once, looked at each second.
struct Server {
    policy: Policy,
    state: State,
    now: Duration,
    replicas: u32,
}

impl Server {
    fn new(policy: Policy, replicas: u32) -> Self {
        Self { policy, state: State::default(), now: Duration::ZERO, replicas }
    }

    /// A second under a load, no call of which waits.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small and from zero up")]
    fn second(&mut self, load: f64) -> u32 {
        let seen = Observation {
            mean: load,
            now: load.ceil() as u32,
            desired: self.replicas,
            ready: self.replicas,
            ..Observation::default()
        };
        self.now += Duration::from_secs(1);
        self.replicas = self.state.decide(&self.policy, &seen, self.now).replicas;
        self.replicas
    }
}

fn wide() -> Policy {
    Policy { max: 1000, ..Policy::default() }
}

/// Times that the replicas turn from more to fewer, or the other way.
fn turns(replicas: &[u32]) -> usize {
    let mut steps = replicas.to_vec();
    steps.dedup();
    steps.windows(3).filter(|three| (three[0] < three[1]) != (three[1] < three[2])).count()
}

/// So many cases, the same each time.
fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        rng_seed: RngSeed::Fixed(15),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

fn target() -> impl Strategy<Value = f64> {
    0.5..20.0_f64
}

fn observation() -> impl Strategy<Value = Observation> {
    let load = prop_oneof![Just(0.0), 0.0..500.0_f64, Just(f64::NAN), Just(f64::INFINITY), -5.0..0.0];
    let count = || prop_oneof![Just(0_u32), 0..20_u32, any::<u32>()];
    (load, count(), count(), any::<u64>(), count(), count(), count()).prop_map(
        |(mean, now, waiting, arrivals, sessions, desired, ready)| Observation {
            mean,
            now,
            waiting,
            arrivals,
            sessions,
            desired,
            ready,
        },
    )
}

fn policy() -> impl Strategy<Value = Policy> {
    let seconds =
        || prop_oneof![Just(Duration::ZERO), (0..600_u64).prop_map(Duration::from_secs), Just(Duration::MAX)];
    let target = prop_oneof![Just(0.0), Just(f64::NAN), 0.01..100.0_f64, Just(f64::INFINITY)];
    let band = || prop_oneof![Just(f64::NAN), -1.0..2.0_f64];
    (
        (0..20_u32, 0..20_u32),
        target,
        [seconds(), seconds(), seconds(), seconds(), seconds(), seconds()],
        band(),
        band(),
    )
        .prop_map(|((min, max), target, times, band_up, band_down)| Policy {
            min,
            max,
            target,
            window: times[0],
            scale_in_after: times[1],
            idle: times[2],
            dwell: times[3],
            start_within: times[4],
            rise_within: times[5],
            band_up,
            band_down,
        })
}

/// Seconds from one observation to the next, and back sometimes.
fn moment() -> impl Strategy<Value = f64> {
    prop_oneof![4 => 0.0..2.0_f64, 1 => Just(0.0), 1 => -100.0..0.0_f64, 1 => 0.0..20_000.0_f64]
}

proptest! {
    #![proptest_config(cases(128))]

    /// For noise up to `e = d / (2 − d)`, where d is the lower dead band.
    #[test]
    fn noise_within_the_dead_band_turns_nothing_round(
        target in target(),
        level in 0.1..40.0_f64,
        band_down in 0.02..0.5_f64,
        start in 1..60_u32,
        noise in prop::collection::vec((-1.0..1.0_f64, 1..200_usize), 1..20),
    ) {
        let mut server = Server::new(Policy { target, band_down, ..wide() }, start);
        let most = 0.999 * band_down / (2.0 - band_down);
        let loads = noise.iter().flat_map(|(noise, seconds)| std::iter::repeat_n(noise, *seconds));
        let replicas: Vec<u32> =
            loads.map(|noise| server.second(level * target * (1.0 + noise * most))).collect();
        prop_assert_eq!(turns(&replicas), 0, "{:?}", replicas);
    }

    #[test]
    fn after_a_step_replicas_move_in_one_direction_and_then_rest(
        target in target(),
        before in 0.1..60.0_f64,
        after in 0.1..60.0_f64,
    ) {
        let mut server = Server::new(Policy { target, ..wide() }, 1);
        for _ in 0..400 {
            server.second(before * target);
        }
        let replicas: Vec<u32> = (0..800).map(|_| server.second(after * target)).collect();
        prop_assert_eq!(turns(&replicas), 0, "{:?}", replicas);
        prop_assert!(replicas[400..].iter().all(|many| *many == replicas[799]));
        // They carry the load, and no more of them than the dead band keeps.
        let last = f64::from(replicas[799]);
        prop_assert!(last * 1.000_001 >= after && (last - 1.0) * 0.85 <= after * 1.000_001);
    }

    #[test]
    fn a_steady_load_needs_as_many_replicas_as_littles_law_says(
        target in target(),
        per_second in 0.1..100.0_f64,
        takes in 0.05..5.0_f64,
    ) {
        let mut server = Server::new(Policy { target, max: 100_000, ..wide() }, 1);
        for _ in 0..600 {
            server.second(per_second * takes);
        }
        prop_assert!(f64::from(server.replicas) * 1.000_001 >= per_second * takes / target);
    }

    #[test]
    fn replicas_that_came_stay_for_the_whole_window(
        target in target(),
        loads in prop::collection::vec((0.0..40.0_f64, 1..120_usize), 1..40),
    ) {
        let policy = Policy { target, min: 1, ..wide() };
        let mut server = Server::new(policy.clone(), 1);
        let (mut before, mut rose) = (1, Duration::ZERO);
        for (load, seconds) in loads {
            for _ in 0..seconds {
                let now = server.second(load * target);
                if now < before && !rose.is_zero() {
                    prop_assert!(server.now >= rose + policy.scale_in_after);
                }
                if now > before {
                    rose = server.now;
                }
                before = now;
            }
        }
    }

    #[test]
    fn whatever_is_seen_the_bounds_are_kept_and_the_state_is_bounded(
        policy in policy(),
        steps in prop::collection::vec((observation(), moment()), 1..100),
    ) {
        let (mut state, mut now) = (State::default(), 10_000.0_f64);
        let bounds = policy.clamped();
        for (seen, moment) in steps {
            now = (now + moment).max(0.0);
            let Decision { replicas, reason } = state.decide(&policy, &seen, Duration::from_secs_f64(now));
            prop_assert!((bounds.min..=bounds.max).contains(&replicas), "{replicas} {reason}");
            if seen.now > 0 && seen.ready > 0 && seen.desired > 0 {
                prop_assert!(replicas > 0, "{reason} with calls in hand");
            }
            let _ = (state.idle_since(), state.retry_at(), state.starting_since());
            prop_assert!(state.size() <= 10_000, "{} bytes", state.size());
        }
    }
}

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn however_often_it_is_asked_the_state_is_bounded(
        moments in prop::collection::vec(0.001..3.0_f64, 2..6),
        window in 1..4000_u64,
    ) {
        let window = Duration::from_secs(window);
        let policy = Policy { window, scale_in_after: window, rise_within: window, ..wide() };
        let (mut state, mut now) = (State::default(), 0.0);
        for look in 0..3000_u32 {
            now += moments[look as usize % moments.len()];
            // The load falls all the time, so that no recommendation makes another one needless.
            let mean = f64::from(6000 - look);
            let seen = Observation { mean, desired: 3000 - look, ready: 1, now: 1, ..Observation::default() };
            state.decide(&policy, &seen, Duration::from_secs_f64(now));
            prop_assert!(state.size() <= 8_192, "{} bytes", state.size());
        }
    }
}

#[test]
fn slow_noise_turns_replicas_round_without_the_dead_band_only() {
    // Around the load of five replicas, 7 % up and down, four minutes each.
    let noise = |band_down| {
        let mut server = Server::new(Policy { target: 1.0, band_down, ..wide() }, 5);
        let load = |second: u32| if (second / 240).is_multiple_of(2) { 5.0 * 1.07 } else { 5.0 * 0.93 };
        let replicas: Vec<u32> = (0..4800).map(|second| server.second(load(second))).collect();
        turns(&replicas)
    };
    assert_eq!(noise(0.15), 0);
    assert!(noise(0.0) >= 15, "{}", noise(0.0));
}
