//! One module a command.

pub mod access;
pub mod bridge;
pub mod check;
pub mod completions;
pub mod crds;
pub mod explain;
mod fetch;
mod gateway;
mod operator;
pub mod rbac;
mod serve;
mod standin;
mod up;

use std::process::ExitCode;

use tokio_util::sync::CancellationToken;

use crate::cli::Command;
use crate::failure::Failure;

/// Runs a command that works until it is told to stop.
pub async fn run(command: Command) -> Result<ExitCode, Failure> {
    let stop = until_told();
    match command {
        Command::Up(arguments) => up::run(arguments, stop).await?,
        Command::Operator(arguments) => operator::run(arguments, stop).await?,
        Command::Gateway(arguments) => gateway::run(arguments, stop).await?,
        Command::Serve(arguments) => serve::run(&arguments, stop).await?,
        Command::Bridge(arguments) => bridge::run(arguments, stop).await?,
        Command::Fetch(arguments) => return fetch::run(&arguments, stop).await,
        Command::Standin(arguments) => standin::run(&arguments, stop).await?,
        Command::Check(_)
        | Command::Crds(_)
        | Command::Rbac(_)
        | Command::Explain(_)
        | Command::Access(_)
        | Command::Completions(_)
        | Command::Keep(_) => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// Cancelled by ctrl-c or SIGTERM; a second one ends the process at once.
fn until_told() -> CancellationToken {
    let stop = CancellationToken::new();
    let told = stop.clone();
    tokio::spawn(async move {
        interrupted().await;
        told.cancel();
        interrupted().await;
        std::process::exit(130);
    });
    stop
}

async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        // Without handlers the signals end the process by themselves.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

/// Reads the environment for servers, which take it as a function.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
