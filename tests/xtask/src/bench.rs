//! `cargo xtask bench`.

use crate::steps::{cargo, step, target};

/// Runs the gateway's benchmark, or with `operator` that of the operator, in a release build.
pub fn run(arguments: &[String]) -> Result<(), String> {
    match arguments.first().map(String::as_str) {
        Some("operator") => operator(&arguments[1..]),
        _ => gateway(arguments),
    }
}

fn gateway(arguments: &[String]) -> Result<(), String> {
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
