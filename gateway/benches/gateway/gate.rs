//! Whether a call through the gateway still costs no more than it may, as a multiple of what the floor takes for it: that
//! ratio hardly depends on the machine.

use std::time::Duration;

use crate::load::{self, Load, Target};
use crate::{BEHIND, Failed, call, legacy, roles};

/// Processor time of a call over the floor's.
const GOAL: f64 = 2.1;
/// The best of so many rounds counts, for whatever else the machine does makes a round worse and never better.
const ROUNDS: usize = 5;
/// How long each way is measured in a round.
const LASTING: Duration = Duration::from_millis(1000);
const LOADS: [Load; 2] = [legacy(32, 100), Load { sessions: 32, bytes: 100, modern: true }];

/// Measures, prints, and fails when the goal is missed.
pub async fn run() -> Result<(), Failed> {
    let mut missed = Vec::new();
    for load in LOADS {
        let era = if load.modern { "modern" } else { "legacy" };
        let ratios = ratios(load, era).await?;
        let best = ratios.iter().copied().fold(f64::INFINITY, f64::min);
        let all: Vec<String> = ratios.iter().map(|ratio| format!("{ratio:.2}")).collect();
        println!(
            "{era}: CPU of a call over the floor's {best:.2} at best (of {}); the goal is {GOAL}",
            all.join(", ")
        );
        if best > GOAL {
            missed.push(era);
        }
    }
    if missed.is_empty() { Ok(()) } else { Err(format!("calls cost too much: {}", missed.join(", ")).into()) }
}

async fn ratios(load: Load, era: &str) -> Result<Vec<f64>, Failed> {
    let servers = roles::start(&["server", BEHIND, era])?;
    let urls: Vec<&str> = servers.addresses.iter().map(String::as_str).collect();
    let floor = roles::start(&[&["floor"], &urls[..]].concat())?;
    let gateway = roles::start(&[&["gateway"], &urls[..]].concat())?;
    load::until_listed(&Target::new(&gateway.addresses[0]), roles::TOOLS * urls.len()).await?;
    let mut ratios = Vec::new();
    while ratios.len() < ROUNDS {
        let floored = call(&Target::new(&floor.addresses[0]), Some(floor.cpu()), load, LASTING).await?;
        let gated = call(&Target::new(&gateway.addresses[0]), Some(gateway.cpu()), load, LASTING).await?;
        let ratio = gated.cpu_per_call().zip(floored.cpu_per_call()).map(|(gated, floored)| gated / floored);
        ratios.push(ratio.ok_or("there is no processor time to compare")?);
        // Well below the goal, more rounds tell nothing.
        if ratios.iter().any(|ratio| *ratio < GOAL * 0.95) {
            break;
        }
    }
    Ok(ratios)
}
