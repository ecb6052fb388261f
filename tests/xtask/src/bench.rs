//! `cargo xtask bench`.

use crate::steps::{cargo, step};

/// Runs the gateway's benchmark in a release build.
pub fn run(arguments: &[String]) -> Result<(), String> {
    let mut bench = cargo(&["bench", "--locked", "--package", "portico-gateway", "--bench", "gateway", "--"]);
    step("benchmark of the gateway", bench.args(arguments))
}
