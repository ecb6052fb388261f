//! `portico up`.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use portico_local::up::{self, Options};
use tokio_util::sync::CancellationToken;

use crate::cli::Up;
use crate::failure::Failure;

pub async fn run(arguments: Up, stop: CancellationToken) -> Result<(), Failure> {
    let portico = std::env::current_exe().map_err(Failure::file(Path::new("portico")))?;
    let options = Options {
        state_directory: state_directory(),
        colour: std::io::stdout().is_terminal()
            && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        path: arguments.path,
        config: arguments.config,
        listen: arguments.listen,
        json: arguments.json,
        verbose: arguments.verbose,
        allowed_remotes: arguments.allow_remote,
        portico,
    };
    up::run(options, stop).await.map_err(|error| Failure::part(&error))
}

/// Where volume claims outlive a run (XDG Base Directory Specification).
fn state_directory() -> PathBuf {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    variable("XDG_STATE_HOME")
        .or_else(|| Some(variable("HOME")?.join(".local/state")))
        .unwrap_or_else(std::env::temp_dir)
        .join("portico")
}
