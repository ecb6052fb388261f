//! Portico's command line: it reads arguments, wires the crates together, and does nothing else.

mod cli;
mod command;
mod failure;
mod logging;

use std::process::ExitCode;

use clap::Parser as _;

use crate::cli::{Cli, Command};
use crate::failure::Failure;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::from(1)
        }
    }
}

fn run(cli: Cli) -> Result<ExitCode, Failure> {
    match cli.command {
        // Without a runtime: these print and end.
        Command::Crds(arguments) => return command::crds::run(&arguments),
        Command::Rbac(arguments) => return command::rbac::run(&arguments),
        Command::Explain(arguments) => return command::explain::run(&arguments),
        Command::Access(arguments) => return command::access::run(&arguments),
        Command::Check(arguments) => return command::check::run(&arguments),
        Command::Keep(cli::Keep { grace, command }) => {
            let code = portico_local::keep::run(&command, std::time::Duration::from_millis(grace));
            return Ok(ExitCode::from(code));
        }
        Command::Completions(arguments) => return Ok(command::completions::run(&arguments)),
        Command::Bridge(cli::Bridge { install: Some(directory), .. }) => {
            return command::bridge::install(&directory);
        }
        _ => {}
    }
    logging::start(&cli.command, cli.log_format)?;
    // One provider in the whole graph; a second call would only say that it is there already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::Runtime)?;
    let ended = runtime.block_on(command::run(cli.command));
    // What still blocks a thread, such as a read of standard input, must not hold the end up.
    runtime.shutdown_background();
    ended
}
