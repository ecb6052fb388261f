//! `portico completions`.

use std::process::ExitCode;

use clap::CommandFactory as _;

use crate::cli::{Cli, Completions};

pub fn run(arguments: &Completions) -> ExitCode {
    clap_complete::generate(arguments.shell, &mut Cli::command(), "portico", &mut std::io::stdout());
    ExitCode::SUCCESS
}
