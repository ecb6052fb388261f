//! MCP server for the files of allowed directories.
//!
//! Every access goes through a directory handle ([`cap_std::fs::Dir`]), so neither `..` nor a symbolic
//! link reaches anything outside. Where the client shares MCP roots, only what lies in both the roots and the
//! allowed directories can be reached. A client that shares an empty list of roots has narrowed nothing.

mod area;
mod config;
mod edit;
mod handler;
mod info;
mod list;
mod open;
mod read;
mod resources;
mod roots;
mod search;
mod write;

use std::pin::Pin;

use portico_kit::{Serving, Transport, serve, serve_on};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use config::Config;
pub use handler::Files;
pub use portico_kit::{ConfigError, Error};

/// Serves until `stop` is cancelled or standard input ends.
///
/// The future is boxed, so that it is compiled here once and not in every program that awaits it.
#[must_use]
pub fn run(
    transport: Transport,
    config: Config,
    stop: CancellationToken,
) -> Pin<Box<dyn Future<Output = Result<(), Error>> + Send>> {
    Box::pin(async move {
        let serving = serving(&config);
        serve(Files::new(config), transport, serving, stop).await
    })
}

/// As [`run`] over HTTP, on a listener that is bound already.
pub async fn run_on(listener: TcpListener, config: Config, stop: CancellationToken) -> Result<(), Error> {
    let serving = serving(&config);
    serve_on(listener, Files::new(config), serving, stop).await
}

/// A body must hold a file of the largest size, whose text may double in length as JSON.
fn serving(config: &Config) -> Serving {
    let wanted = usize::try_from(config.max_bytes()).unwrap_or(usize::MAX).saturating_mul(2);
    let mut serving = Serving::default();
    serving.max_body_bytes = serving.max_body_bytes.max(wanted);
    serving
}
