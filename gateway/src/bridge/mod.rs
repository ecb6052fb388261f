//! Serves a local stdio MCP server as streamable HTTP.
//!
//! Each legacy session has a child process of its own, from `initialize` to DELETE, idleness or the child's end; all
//! stateless (modern) requests share one. Messages pass line by line as they are; the bridge speaks whatever the child
//! speaks. A child that ends takes its session with it: the next request gets 404, and a client opens a new session.

mod child;
mod command;
mod http;
mod pool;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::serve::{self, Service};

/// How long requests in flight may go on after the stop; then their children are ended.
const DRAIN: Duration = Duration::from_secs(5);

/// What to serve, and where.
#[derive(Debug, Clone)]
pub struct Options {
    /// The address to listen on.
    pub listen: SocketAddr,
    /// The path of the MCP endpoint, such as `/mcp`.
    pub path: String,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Children at the same time; the next session is refused with 503.
    pub max_children: usize,
}

impl Default for Options {
    /// Any free loopback port, `/mcp`, no command, 32 children.
    fn default() -> Self {
        Self {
            listen: ([127, 0, 0, 1], 0).into(),
            path: "/mcp".to_owned(),
            command: Vec::new(),
            max_children: 32,
        }
    }
}

/// Why a bridge cannot start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No command was given.
    #[error("there is no command to serve; name one after `--`")]
    NoCommand,
    /// The command cannot be found.
    #[error("the command `{0}` is not an executable file, nor one in PATH; correct it or install it")]
    NotFound(String),
    /// The path is none.
    #[error("the path `{0}` must begin with `/` and hold no `{{` or `*`")]
    Path(String),
    /// No room for any child.
    #[error("max_children is zero, which lets no session open; set at least 1")]
    NoChildren,
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// Why not.
        error: std::io::Error,
    },
}

/// Serves `options.command` on `options.listen` until `stop`; afterwards no child is left.
///
/// The future is boxed, so that it is compiled here once and not in every program that awaits it.
#[must_use]
pub fn run(options: Options, stop: CancellationToken) -> BoxFuture<'static, Result<(), Error>> {
    Box::pin(async move {
        let address = options.listen;
        let failed = |error| Error::Listen { address, error };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        serve(options, listener, stop).await
    })
}

/// The same on a listener that exists already.
pub async fn serve(options: Options, listener: TcpListener, stop: CancellationToken) -> Result<(), Error> {
    check(&options)?;
    let failed = |error| Error::Listen { address: options.listen, error };
    let address = listener.local_addr().map_err(failed)?;
    let pool = Arc::new(pool::Pool::new(options.command, options.max_children, stop.child_token()));
    let router = http::router(&pool, &options.path, address.ip());
    let sweeper = tokio::spawn(Arc::clone(&pool).sweep());
    serve::run(listener, Service::plain(router), stop, DRAIN).await;
    sweeper.abort();
    pool.close().await;
    Ok(())
}

fn check(options: &Options) -> Result<(), Error> {
    let program = options.command.first().ok_or(Error::NoCommand)?;
    if !command::exists(program) {
        return Err(Error::NotFound(program.clone()));
    }
    if !options.path.starts_with('/') || options.path.contains(['{', '}', '*']) {
        return Err(Error::Path(options.path.clone()));
    }
    if options.max_children == 0 { Err(Error::NoChildren) } else { Ok(()) }
}
