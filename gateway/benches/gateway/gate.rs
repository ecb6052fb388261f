//! Whether a call through the gateway still costs no more than it may, as a multiple of what the floor takes for it: that
//! ratio hardly depends on the machine.

use std::time::Duration;

use crate::load::{self, Load, Target};
use crate::{BEHIND, Failed, call, legacy, roles};

/// Processor time of a call over the floor's.
const GOAL: f64 = 2.1;
/// What a busy machine may add to that ratio: whatever runs beside takes caches from the larger program first.
const ROOM: f64 = 1.15;
/// The best of so many rounds counts, of either way: what else the machine does makes a round worse and never better.
const ROUNDS: usize = 8;
/// How long each way is measured in a round.
const LASTING: Duration = Duration::from_millis(500);
const LOADS: [Load; 2] = [legacy(32, 100), Load { sessions: 32, bytes: 100, modern: true }];

/// Measures, prints, and fails when the goal is missed by more than there is room for.
pub async fn run() -> Result<(), Failed> {
    let mut missed = Vec::new();
    for load in LOADS {
        let era = if load.modern { "2026-07-28" } else { "2025-11-25" };
        let (floor, gateway) = costs(load).await?;
        let ratio = gateway / floor;
        println!(
            "{era}: a call takes {gateway:.1} µs of CPU, the floor {floor:.1} µs: {ratio:.2}, where the goal is {GOAL}"
        );
        if ratio > GOAL * ROOM {
            missed.push(era);
        }
    }
    if missed.is_empty() {
        return Ok(());
    }
    let most = GOAL * ROOM;
    Err(format!("calls of {} cost more than {most:.2} times the floor", missed.join(" and ")).into())
}

/// Processor time of a call through floor and gateway, in microseconds, each the least of all rounds.
async fn costs(load: Load) -> Result<(f64, f64), Failed> {
    let servers = roles::start(&["server", BEHIND, if load.modern { "modern" } else { "legacy" }])?;
    let urls: Vec<&str> = servers.addresses.iter().map(String::as_str).collect();
    let floor = roles::start(&[&["floor"], &urls[..]].concat())?;
    let gateway = roles::start(&[&["gateway"], &urls[..]].concat())?;
    load::until_listed(&Target::new(&gateway.addresses[0]), roles::TOOLS * urls.len()).await?;
    let mut least = (f64::INFINITY, f64::INFINITY);
    for _ in 0..ROUNDS {
        let floored = call(&Target::new(&floor.addresses[0]), Some(floor.cpu()), load, LASTING).await?;
        let gated = call(&Target::new(&gateway.addresses[0]), Some(gateway.cpu()), load, LASTING).await?;
        let costs = floored.cpu_per_call().zip(gated.cpu_per_call());
        let (floored, gated) = costs.ok_or("there is no processor time to compare")?;
        least = (least.0.min(floored), least.1.min(gated));
    }
    Ok(least)
}
