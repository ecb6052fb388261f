//! Files that are made from code.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::steps::{build_all, built, root, step};

/// Writes them, or says whether they differ.
pub fn run(check: bool) -> Result<(), String> {
    build_all()?;
    let committed = root().join("crds/yaml");
    if !check {
        return write(&committed);
    }
    let fresh = crate::steps::target().join("generated");
    std::fs::remove_dir_all(&fresh).ok();
    write(&fresh)?;
    let stale: Vec<String> = names(&fresh)
        .into_iter()
        .chain(names(&committed))
        .filter(|name| std::fs::read(fresh.join(name)).ok() != std::fs::read(committed.join(name)).ok())
        .map(|name| format!("crds/yaml/{}", name.display()))
        .collect();
    if stale.is_empty() {
        return Ok(());
    }
    Err(format!("not what the code makes now: {}; run `cargo xtask generate` and commit", stale.join(", ")))
}

fn write(folder: &Path) -> Result<(), String> {
    step("custom resource definitions", Command::new(built("portico")).args(["crds", "--write"]).arg(folder))
}

fn names(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| PathBuf::from(entry.file_name())).collect()
}
