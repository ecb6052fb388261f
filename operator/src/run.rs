//! The operator as a process.

use std::{net::SocketAddr, pin::Pin};

use kube::Client;
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    checks::Checks,
    client::{Fence, wrap},
    error::Error,
    health::{self, Readiness},
    inference_model, kroger_integration,
    lease::{Claim, Election},
    mcp_server::{self, validate::Settings},
    metrics::Metrics,
    shop_connector,
    watches::Scope,
};

/// A kind that the operator acts on. Without one, its role is not needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KindName {
    /// `McpServer`.
    McpServers,
    /// `InferenceModel`.
    InferenceModels,
    /// `KrogerIntegration`.
    KrogerIntegrations,
    /// `ShopConnector`.
    ShopConnectors,
}

impl KindName {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::McpServers, Self::InferenceModels, Self::KrogerIntegrations, Self::ShopConnectors];
}

/// How the operator runs.
#[derive(Clone, Debug)]
pub struct Options {
    /// The namespaces to look at; all of them if empty.
    pub namespaces: Vec<String>,
    /// The kinds to act on.
    pub kinds: Vec<KindName>,
    /// Images of the servers' pods.
    pub settings: Settings,
    /// Address of `/healthz`, `/readyz` and `/metrics`.
    pub listen: SocketAddr,
    /// The Lease under which it acts; `None` where it is certain to be the only one.
    pub claim: Option<Claim>,
    /// How servers are asked for their checks.
    pub checks: Checks,
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
    let _unready = readiness.await_one_more();
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
    let fence = Fence::default();
    let Some(claim) = options.claim.clone() else {
        metrics.leads(true);
        act(client, &options, metrics, (readiness, fence), shutdown).await;
        return unexpected(shutdown);
    };
    // One that waits for its turn is ready: it does what is asked of it.
    metrics.leads(false);
    let mut election = Election::new(client.clone(), claim, fence.clone());
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
        () = act(client, &options, metrics, (readiness, fence), shutdown) => {
            finished.cancel();
            election.keep(&finished).await?;
            unexpected(shutdown)
        }
    }
}

/// Acts on every kind in every namespace that it looks at; ends when one of them does.
async fn act(
    client: Client,
    options: &Options,
    metrics: &Metrics,
    (readiness, fence): (&Readiness, Fence),
    shutdown: &CancellationToken,
) {
    let client = wrap(client, metrics.clone(), fence);
    let namespaces = match options.namespaces.as_slice() {
        [] => vec![None],
        some => some.iter().cloned().map(Some).collect(),
    };
    let stop = shutdown.child_token();
    let mut all = JoinSet::new();
    for namespace in namespaces {
        let scope = Scope { client: client.clone(), namespace };
        for run in kinds(&scope, options, metrics, readiness, &stop) {
            all.spawn(run);
        }
    }
    // One that ends by itself takes the others with it; each lets its passes come to their end.
    all.join_next().await;
    stop.cancel();
    while all.join_next().await.is_some() {}
}

fn kinds(
    scope: &Scope,
    options: &Options,
    metrics: &Metrics,
    readiness: &Readiness,
    stop: &CancellationToken,
) -> Vec<Pin<Box<dyn Future<Output = ()> + Send>>> {
    let (metrics, readiness, stop) = (|| metrics.clone(), || readiness.clone(), || stop.clone());
    let settings = || options.settings.clone();
    let run = |kind: &KindName| match kind {
        KindName::McpServers => mcp_server::run(scope.clone(), settings(), metrics(), readiness(), stop()),
        KindName::InferenceModels => {
            inference_model::run(scope.clone(), settings(), metrics(), readiness(), stop())
        }
        KindName::KrogerIntegrations => {
            kroger_integration::run(scope.clone(), options.checks.clone(), metrics(), readiness(), stop())
        }
        KindName::ShopConnectors => shop_connector::run(scope.clone(), metrics(), readiness(), stop()),
    };
    options.kinds.iter().map(run).collect()
}

/// A controller that ends by itself must not leave a process that looks alive.
fn unexpected(shutdown: &CancellationToken) -> Result<(), Error> {
    if shutdown.is_cancelled() { Ok(()) } else { Err(Error::Fatal("the watches ended by themselves".into())) }
}
