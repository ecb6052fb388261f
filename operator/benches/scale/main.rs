//! The operator with 100, 1,000 and 5,000 `McpServers`, against a real API server, controllers and scheduler, on
//! simulated nodes.
//!
//! The control of each run is the same number of bare Deployments without an operator (at most a thousand): the time
//! that the cluster itself needs on this machine. What must not grow with the number of objects: writes, CPU and memory
//! per object, the cost of one edit, and the writes of a restart, which are none.

#![expect(clippy::cast_precision_loss, reason = "figures for people, far below where a float loses digits")]

mod cluster;
mod process;

use std::time::{Duration, Instant};

use cluster::Scene;
use process::{Operator, Usage};

type Failed = Box<dyn std::error::Error>;

/// How many servers there are at each stop, all told.
const SIZES: [usize; 3] = [100, 1000, 5000];
/// Most bare Deployments of the control.
const MOST_CONTROLS: usize = 1000;
/// At rest for so long an operator has nothing more to do.
const QUIET: Duration = Duration::from_secs(3);
/// Edits of which the median is told.
const EDITS: usize = 5;

fn main() -> Result<(), Failed> {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let given: Vec<usize> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let sizes = match (given.as_slice(), quick) {
        ([], true) => SIZES[..1].to_vec(),
        ([], false) => SIZES.to_vec(),
        (given, _) => given.to_vec(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().worker_threads(2).build()?;
    runtime.block_on(run(&sizes))
}

async fn run(sizes: &[usize]) -> Result<(), Failed> {
    let scene = Scene::start(sizes.last().copied().unwrap_or(100)).await?;
    let mut operator = Operator::start(&scene, QUIET, 0).await?;
    let empty = operator.usage().await?;
    println!(
        "{:>6} {:>9} {:>9} {:>8} {:>8} {:>9} {:>9} | one edit {:>6} {:>7} | restart {:>6} {:>6} {:>7}",
        "size",
        "ready s",
        "control s",
        "ms each",
        "writes",
        "cpu ms",
        "KiB each",
        "ms",
        "cpu ms",
        "s",
        "writes",
        "cpu s"
    );
    let mut before = 0;
    for size in sizes {
        operator.size = *size;
        let grown = grow(&scene, &operator, before, *size).await?;
        let memory =
            operator.usage().await?.resident.saturating_sub(empty.resident) as f64 / 1024.0 / *size as f64;
        let edit = edits(&scene, &operator).await?;
        let restart = restart(&scene, &mut operator).await?;
        print!("{size:>6} {grown} {memory:>9.1} | ");
        println!(
            "{:>15.0} {:>7.1} | {:>14.1} {:>6} {:>7.2}",
            edit.0, edit.1, restart.0, restart.1, restart.2
        );
        before = *size;
    }
    Ok(())
}

/// Adds servers, and tells what each of them cost.
async fn grow(scene: &Scene, operator: &Operator, before: usize, size: usize) -> Result<String, Failed> {
    let added = size - before;
    let controls = added.min(MOST_CONTROLS);
    let began = Instant::now();
    scene.deployments(size, controls).await?;
    let control = began.elapsed().as_secs_f64() * added as f64 / controls as f64;
    scene.remove_deployments().await?;
    let (usage, mark, began) = (operator.usage().await?, scene.mark()?, Instant::now());
    scene.servers(before..size).await?;
    scene.until_ready(size).await?;
    let took = began.elapsed().as_secs_f64();
    let spent = operator.settled(QUIET).await?.since(&usage);
    let writes = scene.writes(mark)? as f64 / added as f64;
    let (each, cpu) = (took * 1000.0 / added as f64, spent.cpu.as_secs_f64() * 1000.0 / added as f64);
    Ok(format!("{took:>9.1} {control:>9.1} {each:>8.1} {writes:>8.2} {cpu:>9.2}"))
}

/// Milliseconds until an edited server is rolled out, and the CPU that it cost, both as medians.
async fn edits(scene: &Scene, operator: &Operator) -> Result<(f64, f64), Failed> {
    let (mut times, mut cpu) = (Vec::new(), Vec::new());
    for number in 0..EDITS {
        let usage = operator.settled(QUIET).await?;
        let began = Instant::now();
        scene.edit(number).await?;
        times.push(began.elapsed().as_secs_f64() * 1000.0);
        cpu.push(operator.settled(QUIET).await?.since(&usage).busy(QUIET).as_secs_f64() * 1000.0);
    }
    Ok((median(times), median(cpu)))
}

/// Seconds until a new operator has looked at everything, its writes, and its CPU seconds.
async fn restart(scene: &Scene, operator: &mut Operator) -> Result<(f64, usize, f64), Failed> {
    operator.stop()?;
    let (mark, began) = (scene.mark()?, Instant::now());
    *operator = Operator::start(scene, QUIET, operator.size).await?;
    let took = began.elapsed().saturating_sub(QUIET).as_secs_f64();
    let Usage { cpu, .. } = operator.usage().await?;
    Ok((took, scene.writes(mark)?, cpu.as_secs_f64()))
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}
