//! The operator as a process.

use std::{net::SocketAddr, pin::Pin};

use kube::Client;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    error::Error,
    health::{self, Readiness},
    lease::{Claim, Election},
    mcp_server::{self, Scope, validate::Settings},
    metrics::Metrics,
};

/// How the operator runs.
#[derive(Clone, Debug)]
pub struct Options {
    /// The one namespace to look at; `None` for all.
    pub namespace: Option<String>,
    /// Images of the servers' pods.
    pub settings: Settings,
    /// Address of `/healthz`, `/readyz` and `/metrics`.
    pub listen: SocketAddr,
    /// The Lease under which it acts; `None` where it is certain to be the only one.
    pub claim: Option<Claim>,
}

/// Runs until `shutdown`, or until another operator has taken over.
///
/// The future is boxed, so that it is compiled here once and not in every program that awaits it.
///
/// # Errors
/// [`Error::Fatal`] when the address is taken or the Lease is lost.
#[must_use]
pub fn run(
    client: Client,
    options: Options,
    shutdown: CancellationToken,
) -> Pin<Box<dyn Future<Output = Result<(), Error>> + Send>> {
    Box::pin(operate(client, options, shutdown))
}

async fn operate(client: Client, options: Options, shutdown: CancellationToken) -> Result<(), Error> {
    let (metrics, readiness) = (Metrics::default(), Readiness::default());
    let listener = TcpListener::bind(options.listen).await.map_err(|error| {
        Error::Fatal(format!(
            "cannot listen on {}: {error}; choose another address with --listen",
            options.listen
        ))
    })?;
    let health =
        tokio::spawn(health::serve(listener, metrics.clone(), readiness.clone(), shutdown.child_token()));
    let ended = lead(client, options, &metrics, &readiness, &shutdown).await;
    readiness.set(false);
    shutdown.cancel();
    // The health server has ended by itself or ends now.
    let _ = health.await;
    ended
}

async fn lead(
    client: Client,
    options: Options,
    metrics: &Metrics,
    readiness: &Readiness,
    shutdown: &CancellationToken,
) -> Result<(), Error> {
    let scope = Scope { client: client.clone(), namespace: options.namespace };
    let stop = shutdown.child_token();
    let act = mcp_server::run(scope, options.settings, metrics.clone(), readiness.clone(), stop.clone());
    let Some(claim) = options.claim else {
        metrics.leads(true);
        act.await;
        return unexpected(shutdown);
    };
    let mut election = Election::new(client, claim);
    // One that waits for its turn is ready: it does what is asked of it.
    readiness.set(true);
    tokio::select! {
        () = election.win() => {}
        () = shutdown.cancelled() => return Ok(()),
    }
    tracing::info!("leading");
    metrics.leads(true);
    // Passes under way end before the Lease is let go; without the Lease they end at once.
    let finished = CancellationToken::new();
    tokio::select! {
        kept = election.keep(&finished) => kept,
        () = act => {
            finished.cancel();
            election.keep(&finished).await?;
            unexpected(shutdown)
        }
    }
}

/// A controller that ends by itself must not leave a process that looks alive.
fn unexpected(shutdown: &CancellationToken) -> Result<(), Error> {
    if shutdown.is_cancelled() { Ok(()) } else { Err(Error::Fatal("the watches ended by themselves".into())) }
}
