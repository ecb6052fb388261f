//! Programs from npm that tests run, as `tests/e2e/node` pins them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The folder of the programs, which are installed into `target` once: a Node.js new enough for them among them.
///
/// # Panics
/// When `npm` is missing or cannot install them.
#[must_use]
pub fn programs(target: &str) -> &'static Path {
    static INSTALLED: OnceLock<PathBuf> = OnceLock::new();
    INSTALLED.get_or_init(|| install(Path::new(target)))
}

/// A script of `tests/e2e/node` that runs among the programs, with these variables.
#[must_use]
pub fn script(target: &str, text: &str, variables: &[(&str, &str)]) -> Command {
    let programs = programs(target);
    let mut command = Command::new(programs.join("node"));
    command.args(["--input-type=module", "--eval", text]).envs(variables.iter().copied());
    // Where it finds what it imports.
    command.current_dir(programs.parent().and_then(Path::parent).unwrap_or(programs));
    command
}

fn install(target: &Path) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("node");
    let target = target.join("node");
    let lock = std::fs::read(source.join("package-lock.json")).unwrap_or_default();
    let done = target.join("installed.json");
    if std::fs::read(&done).ok().as_ref() != Some(&lock) {
        let failed = fetch(&source, &target).err();
        assert!(failed.is_none(), "the programs of tests/e2e/node: {}", failed.unwrap_or_default());
        std::fs::write(done, lock).ok();
    }
    target.join("node_modules/.bin")
}

fn fetch(source: &Path, target: &Path) -> Result<(), String> {
    let text = |error: std::io::Error| error.to_string();
    std::fs::create_dir_all(target).map_err(text)?;
    for file in ["package.json", "package-lock.json"] {
        std::fs::copy(source.join(file), target.join(file)).map_err(text)?;
    }
    let npm = Command::new("npm").args(["ci", "--no-audit", "--no-fund"]).current_dir(target).output();
    let npm = npm.map_err(|error| format!("`npm` does not start ({error}); install Node.js 20"))?;
    if npm.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&npm.stderr).into_owned()) }
}
