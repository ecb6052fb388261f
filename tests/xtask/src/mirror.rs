//! A copy of the workspace in which something may be changed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Makes `to` hold what git knows of `from`, changes that are not committed included. What is the same keeps its time,
/// so that cargo builds again only what differs.
pub fn bring(from: &Path, to: &Path) -> Result<(), String> {
    let files = files(from)?;
    for file in &files {
        copy(&from.join(file), &to.join(file)).map_err(|error| format!("{}: {error}", file.display()))?;
    }
    remove_others(to, Path::new(""), &files).map_err(|error| format!("{}: {error}", to.display()))
}

fn files(root: &Path) -> Result<BTreeSet<PathBuf>, String> {
    let arguments = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let output = Command::new("git").current_dir(root).args(arguments).output();
    let output = output.map_err(|error| format!("git: {error}"))?;
    let text = String::from_utf8(output.stdout).map_err(|error| format!("git ls-files: {error}"))?;
    Ok(text.split('\0').filter(|file| root.join(file).is_file()).map(PathBuf::from).collect())
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    let wanted = std::fs::read(from)?;
    if std::fs::read(to).is_ok_and(|found| found == wanted) {
        return Ok(());
    }
    std::fs::create_dir_all(to.parent().unwrap_or(to))?;
    std::fs::copy(from, to).map(drop)
}

fn remove_others(to: &Path, below: &Path, kept: &BTreeSet<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(to.join(below))? {
        let entry = entry?;
        let path = below.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            remove_others(to, &path, kept)?;
        } else if !kept.contains(&path) {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
