//! `cargo xtask test`, `coverage` and the quickstart of the release build.

use std::ffi::OsString;
use std::process::Command;
use std::time::Instant;

use crate::clusters::Clusters;
use crate::steps::{build_all, built, cargo, step, target};
use crate::{pages, suites, system, tools};

/// Tests that need a cluster fail without one when this is set, and say that they were left out otherwise.
pub const CLUSTER_TESTS: &str = "PORTICO_CLUSTER_TESTS";
/// The folders of running clusters.
pub const JOIN: &str = "PORTICO_TEST_CLUSTER";
/// The program under test, for tests of other crates.
const PROGRAM: &str = "PORTICO_BIN";

/// Runs the tests whose names contain one of `arguments`; all if there is none.
pub fn run(arguments: &[String]) -> Result<(), String> {
    let (options, filters): (Vec<&String>, Vec<&String>) =
        arguments.iter().partition(|text| text.starts_with("--"));
    let without = match options.as_slice() {
        [] => false,
        [only] if *only == "--no-cluster" => true,
        _ => return Err("cargo xtask test knows the option --no-cluster alone".to_owned()),
    };
    if !without {
        system::prepare()?;
    }
    build_all()?;
    let clusters = if without { None } else { Some(Clusters::start()?) };
    let mut environment: Vec<(&str, OsString)> = vec![(PROGRAM, built("portico").into())];
    if let Some(clusters) = &clusters {
        environment.extend([(CLUSTER_TESTS, "1".into()), (JOIN, clusters.folders())]);
    }
    if !filters.is_empty() {
        // Whoever picks tests wants to see the figures that they print, and picks among those of cargo.
        let mut tests = cargo(&["test", "--workspace", "--locked", "--no-fail-fast", "--", "--show-output"]);
        return step("tests", tests.args(&filters).envs(environment));
    }
    // The pages mostly wait for a browser, so they do it beside the others.
    let pages = (!without).then(|| std::thread::spawn(pages::test));
    let begin = Instant::now();
    let tested = suites::run(&environment);
    eprintln!("    tests: done in {} s", begin.elapsed().as_secs());
    let shown = pages
        .map(|pages| pages.join().unwrap_or_else(|_| Err("the tests of the pages broke off".to_owned())));
    tested.and(shown.unwrap_or(Ok(())))
}

/// Runs the random lives of resources for so many minutes, each kind in turn.
pub fn soak(arguments: &[String]) -> Result<(), String> {
    let minutes: u64 = match arguments {
        [] => 60,
        [minutes] => minutes.parse().map_err(|_| format!("'{minutes}' is no number of minutes"))?,
        _ => return Err("cargo xtask soak takes one number, the minutes of each kind".to_owned()),
    };
    build_all()?;
    let clusters = Clusters::start()?;
    let mut tests = cargo(&["test", "--locked", "--package", "portico-operator", "--test", "cluster", "--"]);
    tests.args(["random::", "--nocapture", "--test-threads=1"]);
    tests.env("PORTICO_SOAK_SECONDS", (minutes * 60).to_string());
    step("random lives", tests.env(CLUSTER_TESTS, "1").env(JOIN, clusters.folders()))
}

/// Tries mutated messages on the gateway's readers for so many seconds each, other ones each time.
pub fn fuzz(arguments: &[String]) -> Result<(), String> {
    let seconds: u64 = match arguments {
        [] => 60,
        [seconds] => seconds.parse().map_err(|_| format!("'{seconds}' is no number of seconds"))?,
        _ => return Err("cargo xtask fuzz takes one number, the seconds of each target".to_owned()),
    };
    // With the features of the other tests, so that nothing is built twice.
    let mut tests = cargo(&["test", "--workspace", "--locked", "--lib", "--", "fuzz::", "--nocapture"]);
    step("mutated messages", tests.env("PORTICO_FUZZ_SECONDS", seconds.to_string()))
}

/// What a newcomer runs first: the release build, and the quickstart until every server is there.
pub fn quickstart() -> Result<(), String> {
    // As the README has it, without a word on which of the workspace's programs is meant.
    step("release build", &mut cargo(&["run", "--release", "--locked", "--", "--version"]))?;
    let mut test = cargo(&["test", "--workspace", "--locked", "--test", "up", "--", "quickstart"]);
    test.env(PROGRAM, target().join("release/portico"));
    step("the quickstart of the release build", &mut test)
}

/// Prints the share of lines that the tests without a cluster run.
pub fn coverage() -> Result<(), String> {
    let tool = tools::install(&tools::LLVM_COV)?;
    let mut command = Command::new(tool);
    command.args(["llvm-cov", "--workspace", "--locked", "--summary-only", "--exclude", "xtask"]);
    command.env(PROGRAM, built("portico"));
    step("coverage", &mut command)
}
