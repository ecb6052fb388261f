//! What CI checks besides tests.

use std::process::Command;

use crate::steps::{built, cargo, root, step};
use crate::{generate, tools};

/// Every check, cheapest first.
pub fn run() -> Result<(), String> {
    step("format", &mut cargo(&["fmt", "--all", "--check"]))?;
    let clippy = ["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"];
    step("clippy", &mut cargo(&clippy))?;
    let mut doc = cargo(&["doc", "--workspace", "--no-deps", "--locked", "--document-private-items"]);
    step("documentation", doc.env("RUSTDOCFLAGS", "-D warnings"))?;
    let mut deny = Command::new(tools::install(&tools::DENY)?);
    step("licences and sources", deny.current_dir(root()).args(["check", "licenses", "bans", "sources"]))?;
    generate::run(true)?;
    let mut examples = Command::new(built("portico"));
    examples.current_dir(root()).args(["check", "--strict", "examples/quickstart"]);
    step("examples", &mut examples)
}
