//! Starting the control plane: etcd, the API server, the controllers, the scheduler.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use k8s_openapi::api::core::v1::ServiceAccount;
use kube::{Api, Client};

use crate::child::{Child, mortal, tail};
use crate::folder::Folder;
use crate::pki::put;
use crate::{Error, Level, identity, wait_for};

/// Services get their addresses from here.
const SERVICE_RANGE: &str = "10.96.0.0/16";
/// The first of them: the API server's own Service.
pub(crate) const FIRST_SERVICE_ADDRESS: &str = "10.96.0.1";
/// What the API server's Service points to where Services do not work. It must not be loopback; without it a
/// machine with no default route could not start it. An address for documentation (RFC 5737): nobody answers there.
const ADVERTISED: &str = "203.0.113.1";
/// A machine with two busy cores needs ten seconds; anything near this is a hang.
const START: Duration = Duration::from_secs(90);
/// A free port may be taken between the look and the use.
const PORT_ATTEMPTS: u32 = 3;

/// Counts what tested programs write, and nothing that the cluster itself writes or anybody reads.
const AUDIT_POLICY: &str = "\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules:
- level: None
  users: ['system:apiserver', 'system:kube-controller-manager', 'system:kube-scheduler', kwok]
- level: None
  userGroups: ['system:nodes', 'system:serviceaccounts:kube-system']
- level: None
  resources: [{group: coordination.k8s.io, resources: [leases]}]
- level: Metadata
  verbs: [create, update, patch, delete, deletecollection]
- level: None
";

/// Starts what `level` needs of the control plane, in `folder`, whose `bin` holds the programs.
pub(crate) async fn start(folder: &Folder, level: Level) -> Result<Vec<Child>, Error> {
    let path = folder.path();
    crate::pki::write(&path.join("pki"))?;
    put(&path.join("audit.yaml"), AUDIT_POLICY)?;
    let mut children = vec![etcd(path).await?];
    children.push(api_server(path, level).await?);
    if level.has_controllers() {
        children.push(start_program(path, "kube-controller-manager", &controller_arguments(path))?);
        children.push(start_program(path, "kube-scheduler", &scheduler_arguments(path))?);
        await_service_account(path, &children).await?;
    }
    Ok(children)
}

/// Starts one of the cluster's programs, with its log under `log/`.
pub(crate) fn start_program(folder: &Path, name: &str, arguments: &[String]) -> Result<Child, Error> {
    let mut command = program(folder, name);
    command.args(arguments);
    Child::start(name, command, &log_of(folder, name))
}

fn program(folder: &Path, name: &str) -> Command {
    let mut command = mortal(folder.join("bin").join(name));
    // Proxies are for the world outside; collecting garbage less often makes the start a fifth faster.
    command.current_dir(folder).env("GOGC", "400").env("NO_PROXY", "*");
    command
}

fn log_of(folder: &Path, name: &str) -> PathBuf {
    folder.join("log").join(format!("{name}.log"))
}

/// Etcd on unix sockets in the private folder: no port, and no other user can reach it. Its check of addresses
/// wants `host:port`, so the sockets' names, relative to the working directory, end in `:0`.
async fn etcd(folder: &Path) -> Result<Child, Error> {
    let arguments = [
        "--name=a",
        "--data-dir=etcd",
        "--unsafe-no-fsync",
        "--log-level=warn",
        "--listen-client-urls=unix://client:0",
        "--advertise-client-urls=unix://client:0",
        "--listen-peer-urls=unix://peer:0",
        "--initial-advertise-peer-urls=unix://peer:0",
        "--initial-cluster=a=unix://peer:0",
    ];
    let child = start_program(folder, "etcd", &arguments.map(str::to_owned))?;
    let socket = folder.join("client:0");
    // An API server that starts before etcd listens loses a second to its back-off.
    alive_until("etcd's socket", &child, async || socket.exists()).await?;
    Ok(child)
}

/// Waits until `done`, or until the child has ended.
async fn alive_until(what: &str, child: &Child, done: impl AsyncFn() -> bool) -> Result<(), Error> {
    let looks = wait_for(what, START, async || Ok::<_, Error>(done().await.then_some(())));
    tokio::select! {
        done = looks => done,
        _ = child.wait() => child.check(),
    }
}

async fn api_server(folder: &Path, level: Level) -> Result<Child, Error> {
    for attempt in 1.. {
        let port = free_port()?;
        identity::write(folder, port)?;
        let child = start_program(folder, "kube-apiserver", &server_arguments(folder, port, level))?;
        let client = client_of(&identity::ADMIN.kubeconfig(folder)).await?;
        match alive_until("the API server's readiness", &child, async || is_ready(&client).await).await {
            Ok(()) => return Ok(child),
            Err(error) if attempt == PORT_ATTEMPTS || !port_was_taken(folder) => return Err(error),
            Err(_) => {}
        }
    }
    Err(Error::NotHere { what: "a free port", level: Level::Api })
}

fn port_was_taken(folder: &Path) -> bool {
    tail(&log_of(folder, "kube-apiserver")).contains("address already in use")
}

async fn is_ready(client: &Client) -> bool {
    let Ok(request) = http::Request::get("/readyz").body(Vec::new()) else { return false };
    client.request_text(request).await.is_ok_and(|text| text == "ok")
}

/// Binds and lets go: the API server cannot choose its port itself.
fn free_port() -> Result<u16, Error> {
    let any = Path::new("127.0.0.1:0");
    let listener =
        TcpListener::bind("127.0.0.1:0").map_err(Error::file("looking for a free port at", any))?;
    Ok(listener.local_addr().map_err(Error::file("looking for a free port at", any))?.port())
}

fn server_arguments(folder: &Path, port: u16, level: Level) -> Vec<String> {
    // In a network of its own it may be reached from everywhere there.
    let (bind, advertised) = match level {
        Level::Processes => ("0.0.0.0", crate::network::ADDRESS),
        _ => ("127.0.0.1", ADVERTISED),
    };
    let at = |name: &str| folder.join(name).display().to_string();
    [
        ("etcd-servers", format!("unix://{}", at("client:0"))),
        ("bind-address", bind.to_owned()),
        ("secure-port", port.to_string()),
        ("advertise-address", advertised.to_owned()),
        ("tls-cert-file", at("pki/apiserver.crt")),
        ("tls-private-key-file", at("pki/apiserver.key")),
        ("client-ca-file", at("pki/ca.crt")),
        ("service-account-issuer", "https://kubernetes.default.svc.cluster.local".to_owned()),
        ("service-account-key-file", at("pki/sa.pub")),
        ("service-account-signing-key-file", at("pki/sa.key")),
        ("service-cluster-ip-range", SERVICE_RANGE.to_owned()),
        ("token-auth-file", at("tokens.csv")),
        // The default would allow everything, and every test of permissions would pass.
        ("authorization-mode", "Node,RBAC".to_owned()),
        ("enable-admission-plugins", "NodeRestriction,OwnerReferencesPermissionEnforcement".to_owned()),
        ("audit-policy-file", at("audit.yaml")),
        ("audit-log-path", at("audit.log")),
        // A line is on the disk before the caller has its answer, so that a count is exact.
        ("audit-log-mode", "blocking".to_owned()),
        ("profiling", "false".to_owned()),
        ("shutdown-delay-duration", "0s".to_owned()),
        ("allow-privileged", "true".to_owned()),
    ]
    .into_iter()
    .map(|(flag, value)| format!("--{flag}={value}"))
    .collect()
}

/// The default rates, meant for real clusters, make tests with hundreds of objects crawl.
const RATES: [&str; 4] =
    ["--leader-elect=false", "--secure-port=0", "--kube-api-qps=500", "--kube-api-burst=1000"];

fn controller_arguments(folder: &Path) -> Vec<String> {
    let at = |name: &str| folder.join(name).display().to_string();
    let mut arguments = RATES.map(str::to_owned).to_vec();
    arguments.extend([
        format!("--kubeconfig={}", identity::CONTROLLERS.kubeconfig(folder).display()),
        "--use-service-account-credentials".to_owned(),
        format!("--service-account-private-key-file={}", at("pki/sa.key")),
        format!("--root-ca-file={}", at("pki/ca.crt")),
    ]);
    arguments
}

fn scheduler_arguments(folder: &Path) -> Vec<String> {
    let mut arguments = RATES.map(str::to_owned).to_vec();
    arguments.push(format!("--kubeconfig={}", identity::SCHEDULER.kubeconfig(folder).display()));
    arguments
}

/// Pods made before their service account exists are refused, so its arrival is part of the start.
async fn await_service_account(folder: &Path, children: &[Child]) -> Result<(), Error> {
    let accounts: Api<ServiceAccount> =
        Api::namespaced(client_of(&identity::ADMIN.kubeconfig(folder)).await?, "default");
    wait_for("the controllers' first service account", START, async || {
        children.iter().try_for_each(Child::check)?;
        Ok::<_, Error>(accounts.get_opt("default").await?.map(drop))
    })
    .await
}

/// A client of the user whose kubeconfig this is.
pub(crate) async fn client_of(kubeconfig: &Path) -> Result<Client, Error> {
    Ok(Client::try_from(config_of(kubeconfig).await?)?)
}

/// The connection's settings from a kubeconfig.
pub(crate) async fn config_of(kubeconfig: &Path) -> Result<kube::Config, Error> {
    rustls::crypto::ring::default_provider().install_default().ok();
    let file = kube::config::Kubeconfig::read_from(kubeconfig)?;
    Ok(kube::Config::from_custom_kubeconfig(file, &kube::config::KubeConfigOptions::default()).await?)
}
