//! Load on one server with a database file and a cache in memory: requests arrive by the clock, so that one that waits is counted from
//! when it was due. Stand-in, server and load are processes of their own on the same cores.
//!
//! `cargo xtask bench kroger [--quick] [RATE …]`

mod arrivals;
mod process;
mod requests;

use std::{num::NonZeroU32, time::Duration};

use portico_kit::upstream::Policy;
use portico_kroger::{Config, run_on};
use portico_standins::kroger::{self as standin, Credentials};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use arrivals::{Outcome, Plan, run};
use process::Process;
use requests::{KINDS, Mix};

/// Requests a second.
const RATES: [u32; 5] = [250, 500, 750, 1_000, 1_500];
/// What a rate is held by.
const MOST_P95: Duration = Duration::from_millis(200);

fn main() {
    rustls::crypto::ring::default_provider().install_default().ok();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    match std::env::var(process::ROLE).as_deref() {
        Ok("standin") => runtime.block_on(stand_in()),
        Ok(_) => runtime.block_on(serve()),
        Err(_) => runtime.block_on(measure()),
    }
}

async fn stand_in() {
    let listener = process::listener().await;
    standin::run_on(listener, Credentials::from_env(&|_| None), CancellationToken::new()).await.unwrap();
}

async fn serve() {
    let listener: TcpListener = process::listener().await;
    // Kroger would set other bounds; here it is the server that is measured.
    let policy = Policy { per_minute: NonZeroU32::new(600_000).unwrap(), ..Policy::default() };
    let config = Config::from_env(&|name| std::env::var(name).ok()).unwrap().with_policy(policy);
    run_on(listener, config, CancellationToken::new()).await.unwrap();
}

async fn measure() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let quick = arguments.iter().any(|argument| argument == "--quick");
    let given: Vec<u32> = arguments.iter().filter_map(|argument| argument.parse().ok()).collect();
    let rates = if given.is_empty() { RATES.to_vec() } else { given };
    let seconds = if quick { 3 } else { 10 };
    let standin = Process::start("standin", &[]).await;
    let folder = tempfile::tempdir().unwrap();
    let server = Process::start("server", &process::environment(&folder, standin.address)).await;
    let mix = Mix::prepare(server.address, standin.address).await;
    let plan = |rate, seconds| Plan { rate, seconds };
    run(plan(100, 3), &mix.requests()).await;
    println!(
        "| requests/s | of what | p50 | p95 | p99 | errors | CPU of the server per request | of the stand-in | of the load |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    let mut best = None;
    for rate in rates {
        for (what, requests) in [("/healthz", mix.control()), ("the mix", mix.requests())] {
            let before = [server.cpu(), standin.cpu(), process::own_cpu()];
            let outcome = run(plan(rate, seconds), &requests).await;
            let after = [server.cpu(), standin.cpu(), process::own_cpu()];
            row(
                rate,
                what,
                &outcome,
                std::array::from_fn(|number| after[number].saturating_sub(before[number])),
            );
            if what == "the mix" {
                parts(&outcome);
                let holds = outcome.percentile(None, 95) < MOST_P95 && outcome.errors() == 0;
                best = if holds { best.max(Some(rate)) } else { best };
            }
        }
    }
    match best {
        Some(rate) => println!(
            "\nThe highest rate with p95 below 200 ms and without an error: {rate} requests a second."
        ),
        None => println!("\nNo rate was held with p95 below 200 ms and without an error."),
    }
}

fn row(rate: u32, what: &str, outcome: &Outcome, cpu: [Duration; 3]) {
    let [p50, p95, p99] = [50, 95, 99].map(|share| milliseconds(outcome.percentile(None, share)));
    let [server, standin, load] = cpu.map(|cpu| cpu.as_micros() / u128::from(outcome.count().max(1)));
    let errors = outcome.errors();
    println!(
        "| {rate} | {what} | {p50} | {p95} | {p99} | {errors} | {server} µs | {standin} µs | {load} µs |"
    );
}

/// The same by kind of request.
fn parts(outcome: &Outcome) {
    for kind in KINDS {
        let [p50, p95] = [50, 95].map(|share| milliseconds(outcome.percentile(Some(kind), share)));
        eprintln!("    {kind}: p50 {p50}, p95 {p95}");
    }
    if let Some(problem) = &outcome.problem {
        eprintln!("    the first error: {problem}");
    }
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1_000.0)
}
