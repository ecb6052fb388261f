//! From the objects of a folder to commands of this machine. Pure: ports and programs are found before.

mod address;
mod container;
mod environment;
mod mounts;

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use k8s_openapi::api::{apps::v1::Deployment, core::v1::PodTemplateSpec};
use portico_crds::McpServer;
use portico_gateway::source::{Endpoint, Server, ServerKey};
use portico_operator::{
    kind::Refusal,
    mcp_server::{
        render::{Desired, render},
        validate::{Program, Settings, validate},
    },
};

use crate::manifest::{Key, Objects};
use address::Addresses;

/// What a process is run for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Id {
    /// A Deployment of the folder.
    Deployment(Key),
    /// An `McpServer`.
    Server(Key),
}

impl Id {
    /// Namespace and name.
    #[must_use]
    pub const fn key(&self) -> &Key {
        match self {
            Self::Deployment(key) | Self::Server(key) => key,
        }
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = self.key();
        match key.namespace.as_str() {
            "default" => f.write_str(&key.name),
            _ => write!(f, "{key}"),
        }
    }
}

impl Id {
    /// Directory of the workload below that of a run; it goes when the workload changes.
    #[must_use]
    pub fn directory(&self, run_directory: &Path) -> PathBuf {
        let key = self.key();
        let kind = match self {
            Self::Deployment(_) => "deployments",
            Self::Server(_) => "servers",
        };
        run_directory.join(kind).join(&key.namespace).join(&key.name)
    }
}

/// One process: what the pod's container would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Path of the program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Environment variables of the manifest, on top of the few that every program needs.
    pub env: BTreeMap<String, String>,
    /// Directories that must exist.
    pub directories: Vec<PathBuf>,
    /// Files that must exist, with their content.
    pub files: Vec<(PathBuf, Vec<u8>)>,
    /// Where it runs.
    pub work_directory: PathBuf,
    /// The port it listens on, on 127.0.0.1.
    pub port: u16,
    /// How to find out whether it serves.
    pub probe: Probe,
}

/// How to find out whether a process serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// It takes connections.
    Connect,
    /// It answers a GET of this path with a status below 400.
    Get(String),
}

/// What becomes of one workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It runs.
    Run(Box<Command>),
    /// It runs elsewhere, at this URL.
    Elsewhere(String),
    /// It does not run here, for this reason.
    Skipped(String),
    /// It names objects that are not there: it is not started for this reason, and runs on if it ran.
    Blocked(String),
}

/// What this machine offers.
pub struct Machine<'a> {
    /// Portico's own program.
    pub portico: &'a Path,
    /// Where files and scratch space of this run lie.
    pub run_directory: &'a Path,
    /// Where volume claims outlive a run.
    pub state_directory: &'a Path,
    /// A free port for each workload.
    pub ports: &'a BTreeMap<Id, u16>,
    /// Finds a program by its name.
    pub find_program: &'a dyn Fn(&str) -> Option<PathBuf>,
}

/// The workloads of a folder, each with its fate.
pub type Plan = BTreeMap<Id, Fate>;

/// Every workload that needs a port.
#[must_use]
pub fn workloads(objects: &Objects) -> Vec<Id> {
    let deployments = objects.deployments.keys().cloned().map(Id::Deployment);
    deployments.chain(objects.servers.keys().cloned().map(Id::Server)).collect()
}

/// What the operator would make of one server.
enum Made {
    Workload(Box<Desired>),
    Elsewhere(String),
    Not(String),
    Blocked(String),
}

/// Decides what becomes of every workload.
#[must_use]
pub fn plan(objects: &Objects, machine: &Machine<'_>) -> Plan {
    let made: BTreeMap<&Key, Made> =
        objects.servers.iter().map(|(key, (server, _))| (key, make(objects, key, server))).collect();
    let mut addresses = Addresses::default();
    for (key, service) in &objects.services {
        addresses.add_service(key, service, objects, machine);
    }
    for (key, made) in &made {
        if let Made::Workload(desired) = made {
            addresses.add_server(key, desired, machine);
        }
    }
    let scene = container::Scene { objects, machine, addresses: &addresses };
    let deployments = objects.deployments.iter().map(|(key, deployment)| {
        let id = Id::Deployment(key.clone());
        let fate = deployed(&scene, &id, deployment, true);
        (id, fate)
    });
    let servers = made.iter().map(|(key, made)| {
        let id = Id::Server((*key).clone());
        let fate = server_fate(&scene, &id, made);
        (id, fate)
    });
    deployments.chain(servers).collect()
}

fn make(objects: &Objects, key: &Key, server: &McpServer) -> Made {
    match validate(server, &objects.references(key, server), &Settings::default()) {
        Ok(valid) => match &valid.program {
            Program::Elsewhere { url } => Made::Elsewhere(url.clone()),
            _ => Made::Workload(Box::new(render(&valid))),
        },
        Err(error @ Refusal::Missing(_)) => Made::Blocked(error.to_string()),
        Err(error) => Made::Not(error.to_string()),
    }
}

fn server_fate(scene: &container::Scene<'_>, id: &Id, made: &Made) -> Fate {
    match made {
        Made::Not(reason) => Fate::Skipped(reason.clone()),
        Made::Blocked(reason) => Fate::Blocked(reason.clone()),
        Made::Elsewhere(url) => scene.addresses.localise(url, &id.key().namespace).map_or_else(
            |service| Fate::Skipped(format!("Service '{service}' leads to nothing that runs here")),
            Fate::Elsewhere,
        ),
        Made::Workload(desired) => desired.deployment.as_ref().map_or_else(
            || Fate::Skipped("nothing is deployed".into()),
            |deployment| deployed(scene, id, deployment, own_caches(scene, id)),
        ),
    }
}

/// Whether the runner's cache variables are the manifest's own wish; here a package runner uses the person's cache.
fn own_caches(scene: &container::Scene<'_>, id: &Id) -> bool {
    scene.objects.servers.get(id.key()).is_none_or(|(server, _)| server.spec.source.package.is_none())
}

fn deployed(scene: &container::Scene<'_>, id: &Id, deployment: &Deployment, keep_caches: bool) -> Fate {
    let Some(spec) = &deployment.spec else { return Fate::Skipped("has no spec".into()) };
    if spec.replicas == Some(0) {
        return Fate::Skipped("has zero replicas".into());
    }
    match container::command(scene, id, &spec.template) {
        Ok(mut command) => {
            if !keep_caches {
                drop_caches(&mut command, &spec.template);
            }
            Fate::Run(Box::new(command))
        }
        Err(reason) => Fate::Skipped(reason),
    }
}

fn drop_caches(command: &mut Command, template: &PodTemplateSpec) {
    let containers = template.spec.iter().flat_map(|pod| &pod.containers);
    let given: Vec<&str> = containers
        .flat_map(|container| container.env.iter().flatten())
        .filter(|variable| {
            variable.value.as_deref().is_some_and(|value| value == "/tmp" || value.starts_with("/tmp/"))
        })
        .map(|variable| variable.name.as_str())
        .collect();
    command.env.retain(|name, _| !(given.contains(&name.as_str()) && RUNNER_CACHES.contains(&name.as_str())));
}

/// Variables that point a package runner at scratch space in a pod.
const RUNNER_CACHES: [&str; 3] = ["HOME", "npm_config_cache", "UV_CACHE_DIR"];

/// The server as the gateway sees it, at `endpoint` if it serves.
#[must_use]
pub fn gateway_server(key: &Key, server: &McpServer, endpoint: Option<String>) -> Server {
    let remote = server.spec.source.remote.is_some();
    let mut found =
        Server::from_resource(server, endpoint.map(|url| Endpoint { url, remote }).into_iter().collect());
    // A manifest need not name its namespace.
    found.key = ServerKey { namespace: key.namespace.clone(), name: key.name.clone() };
    found
}
