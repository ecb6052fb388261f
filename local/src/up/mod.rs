//! `portico up`: a folder of manifests as local processes behind one endpoint, followed while it changes.

mod board;
mod fleet;
mod keys;
mod listen;
mod load;
mod ports;
mod print;
mod replicas;
mod row;
mod run_directory;
mod scale;
mod scaler;
mod secrets;
mod system;
mod watch;

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use portico_gateway::{Gateway, Options as GatewayOptions};
use tokio::{
    sync::watch::{self as channel, Sender},
    task::JoinHandle,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::manifest::Problem;
use load::Folder;
use print::Printer;
use run_directory::RunDirectory;
use scaler::LocalScaler;
use secrets::FolderSecrets;
use system::System;

/// Time that calls in flight get at the end.
const DRAIN: Duration = Duration::from_secs(5);
/// A package is fetched while the gateway waits for its server's first answer.
const FIRST_ANSWER: Duration = Duration::from_mins(1);

/// Longer than any run: nobody else decides how many processes there are.
const FOR_GOOD: Duration = Duration::from_hours(24 * 365 * 10);

/// What to run, and how to show it.
#[derive(Clone, Debug)]
pub struct Options {
    /// A folder of manifests, or one manifest.
    pub path: PathBuf,
    /// The gateway's configuration file.
    pub config: Option<PathBuf>,
    /// Address of the endpoint; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Whether to print JSON lines.
    pub json: bool,
    /// Whether to show what the servers print.
    pub verbose: bool,
    /// Networks besides the public Internet and this machine in which remote servers may be.
    pub allowed_remotes: Vec<ipnet::IpNet>,
    /// Whether to print in colour.
    pub colour: bool,
    /// Path of Portico's own program, which has the commands `serve`, `bridge`, `standin` and `keep`.
    pub portico: PathBuf,
    /// Where volume claims outlive a run, and where the files of this run lie.
    pub state_directory: PathBuf,
}

/// Why nothing runs.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The path cannot be read.
    #[error("{path}: {source}; give a folder of manifests, such as examples/quickstart")]
    Path {
        /// The path.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// There are manifests, and not one is good.
    #[error("no manifest is valid:\n  {}", listed(.0))]
    Broken(Vec<Problem>),
    /// The endpoint cannot be served.
    #[error(transparent)]
    Listen(#[from] listen::Error),
    /// No place for files.
    #[error("{path}: {source}; set XDG_STATE_HOME to a folder that can be written")]
    State {
        /// The state directory.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The gateway's configuration file is wrong.
    #[error("{path}: {source}; docs/gateway.md tells what the gateway's configuration file may say")]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: portico_gateway::config::Error,
    },
    /// The gateway does not work.
    #[error(transparent)]
    Gateway(#[from] portico_gateway::Error),
}

fn listed(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n  ")
}

/// Runs the folder until `stop`; then nothing of it is left.
///
/// The future is boxed, so that it is compiled here once and not in every program that awaits it.
#[must_use]
pub fn run(
    options: Options,
    stop: CancellationToken,
) -> std::pin::Pin<Box<dyn Future<Output = Result<(), Error>>>> {
    Box::pin(hold(options, stop))
}

async fn hold(options: Options, stop: CancellationToken) -> Result<(), Error> {
    let failed = |source| Error::Path { path: options.path.clone(), source };
    let watch = watch::Watch::new(&options.path);
    let mut folder = Folder::new(&options.path);
    let first = folder.load().map_err(failed)?;
    let has_workload =
        first.objects.as_ref().is_some_and(|all| !(all.servers.is_empty() && all.deployments.is_empty()));
    if !has_workload && !first.problems.is_empty() {
        return Err(Error::Broken(first.problems));
    }
    let listener = listen::listen(options.listen).await?;
    let address = listener.local_addr().map_err(portico_gateway::Error::Listener)?;
    let state = |source| Error::State { path: options.state_directory.clone(), source };
    let run_directory = RunDirectory::new(&options.state_directory).map_err(state)?;
    let servers = Sender::default();
    let secrets = Arc::new(FolderSecrets::default());
    let mut gateway_options = GatewayOptions {
        list_timeout: FIRST_ANSWER,
        secrets: Some(Arc::clone(&secrets) as _),
        ..GatewayOptions::default()
    };
    gateway_options.allowed_remotes.extend(&options.allowed_remotes);
    let gateway = Gateway::new(gateway_options, servers.subscribe())?;
    if let Some(config) = &options.config {
        let wrong = |source| Error::Config { path: config.clone(), source };
        gateway.configure_from(config).map_err(wrong)?;
    }
    let (scaler, wishes) = LocalScaler::new();
    let (_leads, leads) = channel::channel(Instant::now() + FOR_GOOD);
    let (_, no_peers) = channel::channel(Arc::default());
    gateway.scale(Arc::new(scaler), leads, no_peers);
    let scheme = if gateway.speaks_tls() { "https" } else { "http" };
    let url = url(scheme, address);
    let reports = gateway.reports();
    let closing = CancellationToken::new();
    let mut serving = tokio::spawn({
        let closing = closing.clone();
        async move { gateway.serve(listener, closing).await }
    });
    let mut printer = Printer::new(Box::new(io::stdout()), options.json, options.colour);
    printer.listening(&url, !address.ip().is_loopback());
    let mut system =
        System::new((options, url), folder, printer, (&run_directory, secrets, servers, reports), wishes);
    system.load(Ok(first));
    let ended = tokio::select! {
        () = stop.cancelled() => Ok(()),
        () = system.follow(watch) => Ok(()),
        ended = &mut serving => ended.unwrap_or(Ok(())),
    };
    closing.cancel();
    system.stop(finished(serving)).await;
    Ok(ended?)
}

async fn finished(serving: JoinHandle<Result<(), portico_gateway::Error>>) {
    if serving.is_finished() {
        return;
    }
    let cut = serving.abort_handle();
    if timeout(DRAIN, serving).await.is_err() {
        cut.abort();
    }
}

/// Where clients on this machine reach the endpoint.
fn url(scheme: &str, address: SocketAddr) -> String {
    let ip = match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        other => other.ip(),
    };
    format!("{scheme}://{}/mcp", SocketAddr::new(ip, address.port()))
}

#[cfg(test)]
mod tests {
    use super::url;

    #[test]
    fn the_url_is_one_that_a_client_can_use() {
        for (address, expected) in [
            ("127.0.0.1:7300", "http://127.0.0.1:7300/mcp"),
            ("0.0.0.0:1", "http://127.0.0.1:1/mcp"),
            ("[::]:1", "http://[::1]:1/mcp"),
            ("192.0.2.1:1", "http://192.0.2.1:1/mcp"),
        ] {
            assert_eq!(url("http", address.parse().unwrap()), expected);
        }
    }
}
