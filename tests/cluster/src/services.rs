//! What makes Services real at level `Processes`: the Service proxy and the name server.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::json;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::child::Child;
use crate::control::{FIRST_SERVICE_ADDRESS, start_program};
use crate::network::{ADDRESS, RANGE};
use crate::node::NODE_NAME;
use crate::pki::put;
use crate::{Error, identity, wait_for};

/// Both need the API server's first answers; that takes a second.
const READY: Duration = Duration::from_mins(1);
/// For one connection.
const PATIENCE: Duration = Duration::from_millis(300);
/// A name that resolves as soon as the name server knows the Services.
const FIRST_NAME: &str = "kubernetes.default.svc.cluster.local:443";

/// Starts both and waits until the API server's own Service answers by its name.
pub(crate) async fn start(folder: &Path) -> Result<Vec<Child>, Error> {
    translator()?;
    let configuration = folder.join("kube-proxy.json");
    put(&configuration, &proxy_configuration(folder))?;
    let corefile = folder.join("Corefile");
    put(&corefile, &name_server_configuration(folder))?;
    let flag = |flag: &str, path: &Path| vec![format!("{flag}={}", path.display())];
    let children = vec![
        start_program(folder, "kube-proxy", &flag("--config", &configuration))?,
        start_program(folder, "coredns", &flag("-conf", &corefile))?,
    ];
    wait_for("the API server's Service by its name", READY, async || {
        children.iter().try_for_each(Child::check)?;
        answers().await.map(Some)
    })
    .await?;
    Ok(children)
}

/// The proxy only logs that it has no `nft`, and goes on without Services.
fn translator() -> Result<(), Error> {
    let found = Command::new("nft").arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).status();
    found.map(drop).map_err(Error::NoTranslator)
}

async fn answers() -> Result<(), Error> {
    let name = Path::new(FIRST_NAME);
    let found: Vec<SocketAddr> =
        tokio::net::lookup_host(FIRST_NAME).await.map_err(Error::file("resolving", name))?.collect();
    let service = found.into_iter().find(|address| address.ip().to_string() == FIRST_SERVICE_ADDRESS);
    let address =
        service.ok_or_else(|| Error::file("resolving", name)(std::io::ErrorKind::NotFound.into()))?;
    // One that began before the proxy's rules were there gets no answer at all.
    let connected = timeout(PATIENCE, TcpStream::connect(address)).await;
    let connected = connected.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()));
    connected.map(drop).map_err(Error::file("connecting to", name))
}

/// In JSON, which every reader of YAML reads. What it leaves alone (`conntrack`) cannot be changed in here.
fn proxy_configuration(folder: &Path) -> String {
    json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": identity::PROXY.kubeconfig(folder)},
        "hostnameOverride": NODE_NAME,
        "bindAddress": ADDRESS,
        "mode": "nftables",
        "clusterCIDR": RANGE,
        "healthzBindAddress": "",
        "metricsBindAddress": "",
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
        // A deleted pod's address gets connections until the next sync: by default a second.
        "nftables": {"minSyncPeriod": "50ms"},
    })
    .to_string()
}

fn name_server_configuration(folder: &Path) -> String {
    let kubeconfig = identity::NAMES.kubeconfig(folder);
    format!(
        ".:53 {{\n bind {ADDRESS}\n errors\n cache 1\n kubernetes cluster.local {{\n  kubeconfig {} test\n  ttl 1\n }}\n}}\n",
        kubeconfig.display()
    )
}
