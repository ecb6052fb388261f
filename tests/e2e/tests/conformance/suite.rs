//! Runs the suite and reads what it says.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::process::Command;

pub const LEGACY: &str = "2025-11-25";
pub const MODERN: &str = "2026-07-28";

/// A run takes seconds.
const PATIENCE: Duration = Duration::from_mins(4);

/// A required scenario that cannot pass, and why.
pub struct Reason {
    pub scenario: &'static str,
    pub why: &'static str,
}

/// What a run of the suite came to.
pub struct Outcome {
    title: String,
    /// Checks passed and failed in each required scenario.
    required: BTreeMap<String, (usize, usize)>,
    /// The same of the extension `io.modelcontextprotocol/tasks`, which is scored apart.
    tasks: BTreeMap<String, (usize, usize)>,
    /// The suite's own word: whether every required scenario passed.
    passed: bool,
    output: String,
}

/// Runs the scenarios that `requirements` asks of the server at `url`.
pub async fn run(url: &str, requirements: &str, server: &str) -> Outcome {
    let programs = tokio::task::block_in_place(|| portico_e2e::node::programs(env!("CARGO_TARGET_TMPDIR")));
    let results = tempfile::tempdir().unwrap();
    let mut command = Command::new(programs.join("node"));
    command.arg(programs.join("conformance")).args(["server", "--url", url, "--requirements", requirements]);
    command.arg("-o").arg(results.path()).kill_on_drop(true);
    let output =
        tokio::time::timeout(PATIENCE, command.output()).await.expect("the suite does not end").unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let title = format!("requirements of {requirements}, {server}");
    let tasks = scores(&text).filter(|(name, _)| name.starts_with("tasks-")).collect();
    Outcome { title, required: required(&text), tasks, passed: output.status.success(), output: text }
}

/// The lines of the summary that count: `✓ ping: 2 passed, 0 failed`.
fn required(output: &str) -> BTreeMap<String, (usize, usize)> {
    let (_, summary) = output.split_once("=== SUMMARY ===").expect("the suite sums up");
    let (scores, notes) = summary.split_once("Not scored for").unwrap_or((summary, ""));
    let unscored: Vec<&str> = notes.lines().filter_map(|line| line.trim().split(' ').nth(1)).collect();
    let scores = scores.lines().filter_map(score);
    scores.filter(|(name, _)| !unscored.contains(&name.as_str())).collect()
}

fn scores(output: &str) -> impl Iterator<Item = (String, (usize, usize))> {
    let (_, summary) = output.split_once("=== SUMMARY ===").expect("the suite sums up");
    summary.lines().filter_map(score)
}

fn score(line: &str) -> Option<(String, (usize, usize))> {
    let (name, counts) = line.strip_prefix(['✓', '✗'])?.trim().split_once(": ")?;
    let (passed, failed) = counts.split_once(" passed, ")?;
    Some((name.to_owned(), (passed.parse().ok()?, failed.strip_suffix(" failed")?.parse().ok()?)))
}

/// Prints the counts; fails unless exactly the scenarios of `reasons` failed.
pub fn check(outcome: &Outcome, reasons: &[Reason]) {
    let sum = |count: fn(&(usize, usize)) -> usize| outcome.required.values().map(count).sum::<usize>();
    let failed: Vec<&str> = outcome
        .required
        .iter()
        .filter(|(_, (_, failed))| *failed > 0)
        .map(|(name, _)| name.as_str())
        .collect();
    println!(
        "{}: {} scenarios, {} of them fail; {} checks passed, {} failed",
        outcome.title,
        outcome.required.len(),
        failed.len(),
        sum(|(passed, _)| *passed),
        sum(|(_, failed)| *failed)
    );
    for Reason { scenario, why } in reasons {
        println!("  {scenario}: {why}");
    }
    let mut expected: Vec<&str> = reasons.iter().map(|reason| reason.scenario).collect();
    expected.sort_unstable();
    assert!(outcome.required.len() >= 30, "the suite ran: {}", outcome.output);
    assert_eq!(failed, expected, "{}", outcome.output);
    assert_eq!(outcome.passed, reasons.is_empty(), "{}", outcome.output);
}

/// Prints the counts of the extension for tasks; fails if any check of it does.
pub fn check_tasks(outcome: &Outcome) {
    let passed: usize = outcome.tasks.values().map(|(passed, _)| passed).sum();
    println!("{}: {} scenarios about tasks, {passed} checks passed", outcome.title, outcome.tasks.len());
    let failed: Vec<&String> =
        outcome.tasks.iter().filter(|(_, (_, failed))| *failed > 0).map(|(name, _)| name).collect();
    assert!(failed.is_empty(), "{failed:?}: {}", outcome.output);
    assert!(outcome.tasks.len() >= 10 && passed >= 40, "the suite asked about tasks: {}", outcome.output);
}
