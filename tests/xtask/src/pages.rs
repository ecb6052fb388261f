//! The pages of `ui/`: whether they are what their sources make, and how they behave in a real browser.

use std::path::PathBuf;
use std::process::Command;

use crate::steps::{root, step};

/// Installs what they are built and tested with by its exact versions, and runs their tests in Chromium; one of them builds the pages anew
/// and compares.
pub fn test() -> Result<(), String> {
    if !folder().join("node_modules/.package-lock.json").is_file() {
        let quiet = ["ci", "--no-audit", "--no-fund", "--ignore-scripts"];
        step("what pages are built with", &mut npm(&quiet))?;
    }
    step("types of the pages", &mut npm(&["run", "--silent", "check"]))?;
    step("pages in Chromium", &mut npm(&["test", "--silent"]))
}

fn folder() -> PathBuf {
    root().join("ui")
}

fn npm(arguments: &[&str]) -> Command {
    let mut command = Command::new("npm");
    command.args(arguments).current_dir(folder());
    command
}
