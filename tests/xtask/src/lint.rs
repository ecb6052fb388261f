//! What CI checks besides tests.

use std::process::Command;

use crate::steps::{built, cargo, root, step};
use crate::{generate, planted, tools};

/// A test fails by panicking, also in the functions that tests share.
const FOR_TESTS: [&str; 6] =
    ["-A", "clippy::unwrap_used", "-A", "clippy::expect_used", "-A", "clippy::panic"];

/// Every check, cheapest first.
pub fn run() -> Result<(), String> {
    step("format", &mut cargo(&["fmt", "--all", "--check"]))?;
    planted::check()?;
    step("clippy", &mut cargo(&["clippy", "--workspace", "--locked", "--", "-D", "warnings"]))?;
    let mut clippy = cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]);
    step("clippy of the tests", clippy.args(FOR_TESTS))?;
    let mut doc = cargo(&["doc", "--workspace", "--no-deps", "--locked", "--document-private-items"]);
    step("documentation", doc.env("RUSTDOCFLAGS", "-D warnings"))?;
    let mut deny = Command::new(tools::install(&tools::DENY)?);
    step("licences and sources", deny.current_dir(root()).args(["check", "licenses", "bans", "sources"]))?;
    generate::run(true)?;
    let mut examples = Command::new(built("portico"));
    examples.current_dir(root()).args(["check", "--strict", "examples/quickstart", "examples/scaling"]);
    step("examples", &mut examples)
}
