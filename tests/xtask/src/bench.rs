//! `cargo xtask bench`.

use crate::steps::{cargo, step, target};

/// Runs the gateway's benchmark, or with `operator`, `scaling` or `kroger` that of those, in a release build.
pub fn run(arguments: &[String]) -> Result<(), String> {
    match arguments.first().map(String::as_str) {
        Some("operator") => operator(&arguments[1..]),
        Some("scaling") => scaling(),
        Some("kroger") => kroger(&arguments[1..]),
        _ => gateway(arguments),
    }
}

/// Fails when a call through the gateway costs more over the floor than it may. In the release build, which CI has made
/// already but for this program: what a call passes is optimised in it.
pub fn gate() -> Result<(), String> {
    let bench =
        ["--profile", "release", "--package", "portico-gateway", "--bench", "gateway", "--", "--gate"];
    step("what a call costs over the floor", cargo(&["bench", "--locked"]).args(bench))
}

fn gateway(arguments: &[String]) -> Result<(), String> {
    if arguments.iter().any(|argument| argument == "--gate") {
        return gate();
    }
    let mut bench = cargo(&["bench", "--locked", "--package", "portico-gateway", "--bench", "gateway", "--"]);
    step("benchmark of the gateway", bench.args(arguments))
}

/// The operator is measured as the process that clusters run.
fn operator(arguments: &[String]) -> Result<(), String> {
    let mut build = cargo(&["build", "--locked", "--profile", "bench", "--package", "portico"]);
    step("the program, as benchmarks build it", &mut build)?;
    let mut bench = cargo(&["bench", "--locked", "--package", "portico-operator", "--bench", "scale", "--"]);
    bench.args(arguments).env("PORTICO_BIN", target().join("release/portico"));
    step("benchmark of the operator (half an hour; with --quick one minute)", &mut bench)
}

fn scaling() -> Result<(), String> {
    let bench = ["bench", "--locked", "--package", "portico-scaling", "--bench", "decide"];
    step("benchmark of the scaling decision (seconds)", &mut cargo(&bench))
}

/// Requests arrive by the clock at rising rates.
fn kroger(arguments: &[String]) -> Result<(), String> {
    let mut bench = cargo(&["bench", "--locked", "--package", "portico-kroger", "--bench", "load", "--"]);
    step("benchmark of the Kroger server (two minutes; with --quick half of one)", bench.args(arguments))
}
