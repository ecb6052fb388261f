//! Tests that cross crates: what they share.

pub mod cluster;
pub mod gateway;
pub mod llama;
pub mod node;

use std::path::{Path, PathBuf};

/// Names the program under test; `cargo xtask test` sets it.
pub const PROGRAM_VARIABLE: &str = "PORTICO_BIN";

/// The built `portico`: the one that [`PROGRAM_VARIABLE`] names, or that beside the running test.
///
/// # Panics
/// When there is none, with what to do.
#[must_use]
pub fn program() -> PathBuf {
    let named = std::env::var_os(PROGRAM_VARIABLE).map(PathBuf::from);
    let found = named.or_else(beside_the_test).filter(|program| program.is_file());
    assert!(
        found.is_some(),
        "the program is not built: run `cargo build` first, or name it by {PROGRAM_VARIABLE}"
    );
    found.unwrap_or_default()
}

/// Cargo puts tests into `deps/`, a folder below the programs.
fn beside_the_test() -> Option<PathBuf> {
    let test = std::env::current_exe().ok()?;
    Some(test.parent().and_then(Path::parent)?.join("portico"))
}
