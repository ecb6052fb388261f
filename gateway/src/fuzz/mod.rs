//! Mutated messages for everything that reads what strangers write.
//!
//! Each target takes bytes, and fails when something panics or an invariant does not hold. It begins with the seeds in
//! `gateway/corpus/TARGET` and changes them in the ways that find mistakes of readers. A run of the tests tries the same few
//! thousand inputs each time; `cargo xtask fuzz SECONDS` tries others. This finds less than a fuzzer that sees which branches
//! an input takes, which needs a nightly compiler; but it runs with every test, on the stable one.

mod mutate;
mod targets;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use mutate::Mutator;

/// Inputs in an ordinary run, always the same; they take a second or two.
const INPUTS: usize = 30_000;
/// Seconds for each target, with inputs that differ from run to run.
const SECONDS: &str = "PORTICO_FUZZ_SECONDS";

/// The seeds of `target`, in the order of their names.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

/// Tries the seeds of `target` and `more`, and what becomes of them.
fn fuzz(target: &str, more: Vec<Vec<u8>>, check: impl Fn(&[u8])) {
    let mut seeds = seeds(target);
    assert!(!seeds.is_empty(), "{target} has no seeds");
    seeds.extend(more);
    for seed in &seeds {
        attempt(target, seed, &check);
    }
    let seconds: Option<u64> = std::env::var(SECONDS).ok().and_then(|text| text.parse().ok());
    let start = seconds.map_or(0, |_| rand::random());
    let (mut mutator, began) = (Mutator::new(start, seeds), Instant::now());
    let mut tried = 0_usize;
    let goes_on = |tried| match seconds {
        Some(seconds) => began.elapsed() < Duration::from_secs(seconds),
        None => tried < INPUTS,
    };
    while goes_on(tried) {
        attempt(target, &mutator.next(), &check);
        tried += 1;
    }
    println!("{target}: {tried} inputs, start {start}, in {:?}", began.elapsed());
}

fn attempt(target: &str, input: &[u8], check: &impl Fn(&[u8])) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| check(input))) {
        eprintln!("{target} fails for b\"{}\"; keep it in gateway/corpus/{target}", input.escape_ascii());
        resume_unwind(panic);
    }
}
