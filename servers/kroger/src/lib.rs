//! MCP server for Kroger: products with the prices of a store, stores near a place, and with a customer's sign-in carts, lists, meal plans.
//!
//! Names, descriptions and prices are passed on as Kroger gives them, and what it does not give is said to be missing. Answers are kept
//! for minutes only, as its acceptable use policy asks; what users keep of their own is sealed.

mod account;
mod config;
mod server;
mod shop;
mod tools;
mod upstream;

use std::{pin::Pin, sync::Arc};

use portico_kit::{Hosting, Serving, Transport, host, host_on, seal, store};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use config::Config;
pub use portico_kit::ConfigError;

use server::Kroger;
use shop::Shop;

/// Why the server could not start or stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The database cannot be used.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The keys that seal what users keep cannot be used.
    #[error(transparent)]
    Keys(#[from] seal::Error),
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
        let Ready { hosting, server, shop, serving } = prepare(config).await?;
        tokio::select! {
            ended = host(server, transport, hosting, serving, stop) => Ok(ended?),
            () = shop.keep() => Ok(()),
        }
    })
}

/// As [`run`] over HTTP, on a listener that is bound already.
pub fn run_on(
    listener: TcpListener,
    config: Config,
    stop: CancellationToken,
) -> Pin<Box<dyn Future<Output = Result<(), Error>> + Send>> {
    Box::pin(async move {
        let Ready { hosting, server, shop, serving } = prepare(config).await?;
        tokio::select! {
            ended = host_on(listener, server, hosting, serving, stop) => Ok(ended?),
            () = shop.keep() => Ok(()),
        }
    })
}

struct Ready {
    hosting: Hosting,
    server: Arc<Kroger>,
    shop: Arc<Shop>,
    serving: Serving,
}

async fn prepare(config: Config) -> Result<Ready, Error> {
    let serving = Serving::default();
    let shop = Arc::new(Shop::open(&config, &serving).await?);
    let server = Arc::new(Kroger::new(Arc::clone(&shop)));
    let hosting = Hosting { shared: Some(shop.cache.clone()), ..config.hosting };
    Ok(Ready { hosting, server, shop, serving })
}
