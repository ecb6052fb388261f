//! Logs go to standard error, as text for people and as JSON lines for collectors.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

use crate::cli::{Command, LogFormat};
use crate::failure::Failure;

/// Starts logging; call once.
pub fn start(command: &Command, format: Option<LogFormat>) -> Result<(), Failure> {
    let filter = filter(command)?;
    let format =
        format.unwrap_or(if std::io::stderr().is_terminal() { LogFormat::Text } else { LogFormat::Json });
    let builder = tracing_subscriber::fmt().with_writer(std::io::stderr).with_env_filter(filter);
    match format {
        LogFormat::Text => builder.with_ansi(colours()).with_target(false).init(),
        LogFormat::Json => builder.json().flatten_event(true).init(),
    }
    Ok(())
}

/// `up` shows states itself, so only what goes wrong is logged beside it.
fn filter(command: &Command) -> Result<EnvFilter, Failure> {
    match std::env::var("LOG_LEVEL") {
        Ok(text) if !text.trim().is_empty() => {
            EnvFilter::try_new(text.trim()).map_err(|error| Failure::LogLevel(error.to_string()))
        }
        _ if matches!(command, Command::Up(_)) => Ok(EnvFilter::new("off")),
        // The MCP library tells of every session and of every method a server does not have; the Kubernetes client repeats
        // every failure that whoever called it tells better.
        _ => Ok(EnvFilter::new("info,rmcp=error,kube_client=off")),
    }
}

/// Colours are for terminals whose owner does not object (<https://no-color.org>).
fn colours() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
