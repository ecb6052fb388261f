//! Starting programs, each said before it runs and timed after it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// The workspace.
pub fn root() -> PathBuf {
    // Asked while it runs: one target directory may serve several clones.
    let own = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let here = Path::new(&own);
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}

/// Where cargo puts what it builds.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// A program built for tests.
pub fn built(name: &str) -> PathBuf {
    target().join("debug").join(name)
}

/// Cargo, in the workspace.
pub fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root()).args(arguments);
    command
}

/// Runs a step to its end.
pub fn step(name: &str, command: &mut Command) -> Result<(), String> {
    eprintln!("==> {name}");
    let begin = Instant::now();
    let status = command
        .status()
        .map_err(|error| format!("{name}: {} cannot be started: {error}", command.get_program().display()))?;
    let took = begin.elapsed().as_secs();
    if status.success() {
        eprintln!("    {name}: done in {took} s");
        return Ok(());
    }
    Err(format!("{name}: failed after {took} s ({status})"))
}

/// Builds every program and test with one set of features, so that nothing is built twice.
pub fn build_all() -> Result<(), String> {
    step("build everything", &mut cargo(&["build", "--workspace", "--bins", "--tests", "--locked"]))
}
