//! The pages of `ui/`: whether they are what their sources make, and how they behave in a real browser.

use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use crate::steps::root;

/// Installs what they are built and tested with by its exact versions, and runs their tests in Chromium; one of them builds the pages anew
/// and compares. It says nothing but the counts, unless something fails: other tests may run beside it.
pub fn test() -> Result<(), String> {
    if !folder().join("node_modules/.package-lock.json").is_file() {
        let quiet = ["ci", "--no-audit", "--no-fund", "--ignore-scripts"];
        quietly("what pages are built with", &mut npm(&quiet))?;
    }
    quietly("types of the pages", &mut npm(&["run", "--silent", "check"]))?;
    quietly("pages in Chromium", &mut npm(&["test", "--silent"]))
}

/// Runs a step to its end, and shows what it said only where it fails.
fn quietly(name: &str, command: &mut Command) -> Result<(), String> {
    eprintln!("==> {name}");
    let begin = Instant::now();
    let ended = command.output().map_err(|error| format!("{name}: npm cannot be started: {error}"))?;
    let (took, said) = (begin.elapsed().as_secs(), String::from_utf8_lossy(&ended.stdout).into_owned());
    let counts: Vec<&str> =
        said.lines().filter(|line| line.starts_with("# pass") || line.starts_with("# fail")).collect();
    eprintln!("    {name}: done in {took} s {}", counts.join(" "));
    if ended.status.success() {
        return Ok(());
    }
    let complaints = String::from_utf8_lossy(&ended.stderr).into_owned();
    Err(format!("{said}\n{complaints}\n{name}: failed after {took} s"))
}

fn folder() -> PathBuf {
    root().join("ui")
}

fn npm(arguments: &[&str]) -> Command {
    let mut command = Command::new("npm");
    command.args(arguments).current_dir(folder());
    command
}
