//! Programs of others that the chores need, built once into the cache by their exact version.

use std::path::PathBuf;

use crate::steps::{cargo, step};

/// A program published as a crate.
pub struct Tool {
    /// Name of the crate and of its program.
    name: &'static str,
    version: &'static str,
}

/// Checks licences and sources of dependencies.
pub const DENY: Tool = Tool { name: "cargo-deny", version: "0.20.2" };
/// Measures which lines tests run.
pub const LLVM_COV: Tool = Tool { name: "cargo-llvm-cov", version: "0.9.1" };

/// The tool's program; built, which takes minutes, unless it is in the cache.
pub fn install(tool: &Tool) -> Result<PathBuf, String> {
    let folder = cache().join(format!("{}-{}", tool.name, tool.version));
    let program = folder.join("bin").join(tool.name);
    if !program.is_file() {
        let mut command = cargo(&["install", tool.name, "--version", tool.version, "--locked", "--root"]);
        command.arg(&folder);
        // Its own target folder: the workspace's may be in use, and nothing in it is of use to the tool.
        command.env("CARGO_TARGET_DIR", folder.join("build"));
        step(&format!("install {} {}", tool.name, tool.version), &mut command)?;
        std::fs::remove_dir_all(folder.join("build")).ok();
    }
    Ok(program)
}

fn cache() -> PathBuf {
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_else(|| "/tmp".into())).join(".cache");
    std::env::var_os("XDG_CACHE_HOME").map_or_else(home, PathBuf::from).join("portico/tools")
}
