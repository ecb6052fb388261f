//! `portico gateway`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use kube::{Client, Config};
use portico_crds::lease::{OWN_NAMESPACE, namespace};
use portico_gateway::keep::{Folder, Recalled};
use portico_gateway::kubernetes::{Claim, Duties};
use portico_gateway::scaling::Peers;
use portico_gateway::{Gateway, Options, config, kubernetes, trace};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::cli;
use crate::failure::Failure;
use crate::logging;

/// Name of the Lease of the gateway that writes statuses.
const LEASE: &str = "portico-gateway";

pub async fn run(arguments: cli::Gateway, stop: CancellationToken) -> Result<(), Failure> {
    let listener = listen(arguments.listen, "choose another address with --listen").await?;
    let admin = match arguments.admin {
        Some(address) => Some(listen(address, "choose another address with --admin").await?),
        None => None,
    };
    let mut options = options(&arguments)?;
    // Before anything else is done, so that a mistake is told at once.
    let load = |path: &PathBuf| {
        config::Config::load(path).map_err(|source| Failure::Config { path: path.clone(), source })
    };
    let config = arguments.config.as_ref().map(load).transpose()?;
    if config.is_none_or(|config| config.auth.is_none()) {
        tracing::warn!(
            "whoever reaches this address may use every tool; `auth` in the file of --config says who may"
        );
    }
    let traces = trace::Settings::from_variables(|name| std::env::var(name).ok());
    let traces = traces.map_err(|error| Failure::part(&error))?;
    let scope = kubernetes::Scope { client: client().await?, namespace: arguments.namespace.clone() };
    options.secrets = Some(Arc::new(kubernetes::ClusterSecrets::new(scope.client.clone())));
    tracing::info!(address = %arguments.listen, "waiting for the cluster's McpServers");
    let folder = arguments.state.as_deref().map(|path| Folder::open(path).map_err(Failure::file(path)));
    let folder = folder.transpose()?;
    let kept = folder.as_ref().and_then(|folder| folder.seen(scope.namespace.as_deref()));
    let Some(found) = kubernetes::follow(&scope, kept, stop.child_token()).await else { return Ok(()) };
    let lists = recalled(&arguments, folder.as_ref(), &scope).await?;
    let address = listener.local_addr().unwrap_or(arguments.listen);
    tracing::info!(%address, servers = found.servers.borrow().len(), "serving MCP at /mcp");
    let gateway = Gateway::with_lists(options, found.servers.clone(), &lists);
    let gateway = gateway.map_err(|error| Failure::part(&error))?;
    if let Some(path) = &arguments.config {
        gateway.configure_from(path).map_err(|source| Failure::Config { path: path.clone(), source })?;
    }
    let kept_in_cluster = folder.is_none();
    if let Some(folder) = folder {
        gateway.keep_servers(folder.clone(), &found);
        gateway.keep_lists(Arc::new(folder), &lists);
    }
    let reporting = (!arguments.no_status).then(|| {
        let lists = kept_in_cluster.then_some(lists);
        let duties = Duties { claim: claim(&arguments), lists, peers: peers(&arguments, &scope, &stop) };
        let report = kubernetes::report(scope.client.clone(), &found, &gateway, duties, stop.child_token());
        tokio::spawn(report)
    });
    if let Some(settings) = traces {
        gateway.trace(settings);
    }
    // It answers until the last call has ended.
    let _answering = admin.map(|listener| serve_admin(&gateway, listener));
    let served = gateway.serve(listener, stop).await.map_err(|error| Failure::part(&error));
    if let Some(reporting) = reporting {
        // It lets go of the Lease.
        reporting.await.ok();
    }
    served
}

/// Serves the admin port until the guard is dropped.
fn serve_admin(gateway: &Gateway, listener: TcpListener) -> DropGuard {
    let ended = CancellationToken::new();
    if let Ok(address) = listener.local_addr() {
        tracing::info!(%address, "serving the admin port");
    }
    tokio::spawn(gateway.serve_admin(listener, logging::filter_in_force(), ended.clone()));
    ended.drop_guard()
}

/// Where the other replicas are, if a Service is named behind which they are.
fn peers(arguments: &cli::Gateway, scope: &kubernetes::Scope, stop: &CancellationToken) -> Peers {
    let alone = || tokio::sync::watch::channel(Arc::default()).1;
    let namespace = namespace(arguments.lease_namespace.as_deref(), OWN_NAMESPACE);
    arguments.peer_service.as_deref().map_or_else(alone, |name| {
        let own = arguments.peer_url.as_deref().and_then(|url| url.rsplit(':').next()?.parse().ok());
        kubernetes::peers(scope.client.clone(), (namespace.as_str(), name, own), stop.child_token())
    })
}

fn claim(arguments: &cli::Gateway) -> Claim {
    Claim {
        namespace: namespace(arguments.lease_namespace.as_deref(), OWN_NAMESPACE),
        name: LEASE.to_owned(),
        identity: super::operator::identity(),
    }
}

/// The lists that were kept before: in the folder that is named, else in the cluster.
async fn recalled(
    arguments: &cli::Gateway,
    folder: Option<&Folder>,
    scope: &kubernetes::Scope,
) -> Result<Recalled, Failure> {
    match (folder, &arguments.state) {
        (Some(folder), Some(path)) => folder.load().map_err(Failure::file(path)),
        _ if arguments.no_status => Ok(Recalled::new()),
        _ => Ok(kubernetes::kept_lists(scope).await),
    }
}

async fn listen(address: std::net::SocketAddr, mend: &'static str) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|source| Failure::Listen { address, source, mend })
}

/// A client for the cluster of the environment.
pub async fn client() -> Result<Client, Failure> {
    let config = Config::infer().await.map_err(|error| Failure::Cluster(error.to_string()))?;
    Client::try_from(config).map_err(|error| Failure::Cluster(error.to_string()))
}

fn options(arguments: &cli::Gateway) -> Result<Options, Failure> {
    let read = |path: &Path| std::fs::read(path).map_err(Failure::file(path));
    let keys = arguments.session_keys_file.as_deref();
    Ok(Options {
        public_hosts: arguments.public_host.clone(),
        peer_url: arguments.peer_url.clone(),
        session_keys: keys.map_or(Ok(Vec::new()), |path| session_keys(path, &read(path)?))?,
        extra_authorities: arguments.ca_file.as_deref().map_or(Ok(Vec::new()), read)?,
        allowed_remotes: arguments.allow_remote.clone(),
        shutdown_delay: Duration::from_secs(arguments.shutdown_delay),
        ..Options::default()
    })
}

/// The message names the file, never what stands in it.
fn session_keys(path: &Path, content: &[u8]) -> Result<Vec<[u8; 32]>, Failure> {
    let text = std::str::from_utf8(content).map_err(|_| Failure::SessionKey(path.to_owned()))?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let keys: Option<Vec<_>> = lines.map(key).collect();
    keys.filter(|keys| !keys.is_empty()).ok_or_else(|| Failure::SessionKey(path.to_owned()))
}

fn key(line: &str) -> Option<[u8; 32]> {
    if line.len() != 64 || !line.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let mut key = [0; 32];
    for (place, byte) in key.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&line[2 * place..2 * place + 2], 16).ok()?;
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_keys_are_read_one_a_line_and_a_wrong_one_is_refused_without_being_shown() {
        let path = Path::new("/keys");
        let good = format!("{}\n\n{}\n", "0a".repeat(32), "ff".repeat(32));
        assert_eq!(session_keys(path, good.as_bytes()).unwrap(), [[10; 32], [255; 32]]);
        for bad in ["", "0a", &"zz".repeat(32), &"+1".repeat(32)] {
            let error = session_keys(path, bad.as_bytes()).unwrap_err().to_string();
            assert!(
                error.contains("/keys") && (bad.is_empty() || !error.contains(bad) || bad == "0a"),
                "{error}"
            );
        }
    }
}
