//! `portico bridge`.

use std::path::Path;
use std::process::ExitCode;

use portico_gateway::bridge::{self, Options};
use tokio_util::sync::CancellationToken;

use crate::cli::Bridge;
use crate::failure::Failure;

pub async fn run(arguments: Bridge, stop: CancellationToken) -> Result<(), Failure> {
    let Bridge { listen, path, max_children, command, .. } = arguments;
    bridge::run(Options { listen, path, command, max_children }, stop)
        .await
        .map_err(|error| Failure::part(&error))
}

/// Copies this program to `directory`, under its own name and as a whole or not at all.
pub fn install(directory: &Path) -> Result<ExitCode, Failure> {
    let own = std::env::current_exe().map_err(Failure::file(Path::new("portico")))?;
    let (target, partial) = (directory.join("portico"), directory.join(".portico.partial"));
    std::fs::create_dir_all(directory).map_err(Failure::file(directory))?;
    std::fs::copy(&own, &partial).map_err(Failure::file(&partial))?;
    std::fs::rename(&partial, &target).map_err(Failure::file(&target))?;
    Ok(ExitCode::SUCCESS)
}
