//! MCP server for the Kroger API: products with the prices of a store, and stores near a place.
//!
//! Names, descriptions and prices are passed on as Kroger gives them, and what it does not give is said to
//! be missing. Answers are kept for minutes only, as its acceptable use policy asks.

pub mod account;
mod api;
mod config;
mod handler;
mod hours;
mod model;
mod money;
mod products;
mod stores;
mod token;

use std::{pin::Pin, sync::Arc};

use portico_kit::{Serving, Transport, serve, serve_on};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use config::Config;
pub use handler::Kroger;
pub use portico_kit::ConfigError;

/// Why the server could not start or stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Serving failed.
    #[error(transparent)]
    Serve(#[from] portico_kit::Error),
}

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
        let (handler, serving) = prepare(config)?;
        let keeping = handler.clone();
        tokio::select! {
            ended = serve(handler, transport, serving, stop) => Ok(ended?),
            () = keeping.keep_token() => Ok(()),
        }
    })
}

/// As [`run`] over HTTP, on a listener that is bound already.
pub async fn run_on(listener: TcpListener, config: Config, stop: CancellationToken) -> Result<(), Error> {
    let (handler, serving) = prepare(config)?;
    let keeping = handler.clone();
    tokio::select! {
        ended = serve_on(listener, handler, serving, stop) => Ok(ended?),
        () = keeping.keep_token() => Ok(()),
    }
}

fn prepare(config: Config) -> Result<(Kroger, Serving), Error> {
    let serving = Serving::default();
    let handler = Kroger::new(config, Arc::clone(&serving.metrics), &serving.checks)?;
    Ok((handler, serving))
}
