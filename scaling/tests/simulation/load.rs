//! Loads, and the calls that they make.

use std::f64::consts::TAU;

/// Ticks of a second.
pub const TICKS: u32 = 10;
/// Seconds that are simulated.
pub const SECONDS: u32 = 3600;
/// Spread of the times that calls take, which are log-normal with a mean of one second.
const SIGMA: f64 = 0.5;

/// A load by its name.
#[derive(Clone, Copy)]
pub struct Load {
    pub name: &'static str,
    /// Calls a second at a second.
    pub rate: fn(f64) -> f64,
    /// Fewest replicas.
    pub min: u32,
}

/// The loads of the table.
pub const LOADS: [Load; 5] = [
    Load { name: "constant 6/s", rate: |_| 6.0, min: 1 },
    Load { name: "step 4 and 24/s", rate: |second| if second % 600.0 < 300.0 { 4.0 } else { 24.0 }, min: 1 },
    Load { name: "sine 1 to 19/s", rate: |second| 10.0 - 9.0 * (TAU * second / 600.0).cos(), min: 1 },
    Load {
        name: "bursts of 40/s, 20 s in 600 s, else 1/s",
        rate: |second| if second % 600.0 >= 300.0 && second % 600.0 < 320.0 { 40.0 } else { 1.0 },
        min: 1,
    },
    Load {
        name: "sparse, 5/s for 60 s in 900 s",
        rate: |second| if second % 900.0 >= 300.0 && second % 900.0 < 360.0 { 5.0 } else { 0.0 },
        min: 0,
    },
];

/// Five replicas have as much of this as they should, so that noise asks for a sixth and lets it go, all the time.
pub const EDGE: Load = Load { name: "constant 14/s, the edge of five replicas", rate: |_| 14.0, min: 1 };

/// A call: when it comes, and what it takes.
#[derive(Clone, Copy)]
pub struct Call {
    pub tick: u32,
    /// Ticks, one at least.
    pub takes: u32,
}

/// The calls of an hour, by a seed; every control is given the same.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small and from zero up")]
pub fn calls(load: &Load, seed: u64) -> Vec<Call> {
    let mut random = Random(seed);
    let mut calls = Vec::new();
    for tick in 0..SECONDS * TICKS {
        let expected = (load.rate)(f64::from(tick) / f64::from(TICKS)) / f64::from(TICKS);
        for _ in 0..random.poisson(expected) {
            let seconds = (SIGMA * random.normal() - SIGMA * SIGMA / 2.0).exp();
            let takes = (seconds * f64::from(TICKS)).round().max(1.0) as u32;
            calls.push(Call { tick, takes });
        }
    }
    calls
}

/// `SplitMix64`: the same numbers on every machine and with every version of a library.
pub struct Random(pub u64);

impl Random {
    /// From 0 up to, and without, 1.
    #[expect(clippy::cast_precision_loss, reason = "53 bits")]
    pub fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((bits ^ (bits >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// By Box and Muller.
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (TAU * self.uniform()).cos()
    }

    /// By Knuth; good for small means.
    fn poisson(&mut self, mean: f64) -> u32 {
        let limit = (-mean).exp();
        let (mut product, mut count) = (self.uniform(), 0);
        while product > limit {
            product *= self.uniform();
            count += 1;
        }
        count
    }
}
