//! Files that are made from code.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::steps::{build_all, built, root, step};

/// What is generated: a folder or file of the repository, and the arguments that print or write it.
const GENERATED: [(&str, &[&str]); 3] = [
    ("crds/yaml", &["crds", "--write"]),
    ("docs/reasons.md", &["explain", "--markdown"]),
    ("operator/rbac.yaml", &["rbac"]),
];

/// Writes them, or says whether they differ.
pub fn run(check: bool) -> Result<(), String> {
    build_all()?;
    if !check {
        return GENERATED.iter().try_for_each(|(path, arguments)| write(&root().join(path), arguments));
    }
    let fresh = crate::steps::target().join("generated");
    std::fs::remove_dir_all(&fresh).ok();
    let mut stale = Vec::new();
    for (path, arguments) in GENERATED {
        write(&fresh.join(path), arguments)?;
        stale.extend(differing(path, &fresh));
    }
    if stale.is_empty() {
        return Ok(());
    }
    Err(format!("not what the code makes now: {}; run `cargo xtask generate` and commit", stale.join(", ")))
}

/// Files below `path` that are not the same in the repository and in `fresh`.
fn differing(path: &str, fresh: &Path) -> Vec<String> {
    let (made, committed) = (fresh.join(path), root().join(path));
    let files = if made.is_dir() {
        let all = names(&made).into_iter().chain(names(&committed));
        all.map(|name| PathBuf::from(path).join(name)).collect()
    } else {
        vec![PathBuf::from(path)]
    };
    let differs =
        |file: &PathBuf| std::fs::read(fresh.join(file)).ok() != std::fs::read(root().join(file)).ok();
    files.iter().filter(|file| differs(file)).map(|file| file.display().to_string()).collect()
}

/// A folder is written to by the program itself; to a file goes what it prints.
fn write(to: &Path, arguments: &[&str]) -> Result<(), String> {
    let mut command = Command::new(built("portico"));
    command.args(arguments);
    if to.extension().is_none() {
        return step(&to.display().to_string(), command.arg(to));
    }
    let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", to.display());
    let output = command.output().map_err(|error| failed(&error))?;
    if !output.status.success() {
        return Err(failed(&String::from_utf8_lossy(&output.stderr)));
    }
    let folder = to.parent().unwrap_or(to);
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(to, output.stdout))
        .map_err(|error| failed(&error))
}

fn names(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| PathBuf::from(entry.file_name())).collect()
}
