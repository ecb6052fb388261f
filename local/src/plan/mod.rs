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
use portico_gateway::source::{Endpoint, Scaled, Server, ServerKey};
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

/// One of the processes of a workload.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Replica {
    /// The workload.
    pub id: Id,
    /// Which of its processes, counted from 0.
    pub number: u32,
}

impl Replica {
    /// The first process of a workload, to which its Service leads.
    #[must_use]
    pub const fn first(id: Id) -> Self {
        Self { id, number: 0 }
    }

    /// What takes the place of the pod's name: no two processes have the same.
    #[must_use]
    pub fn name(&self) -> String {
        suffixed(&self.id.key().name, self.number)
    }

    /// Directory of the process below that of a run; it goes with the process.
    #[must_use]
    pub fn directory(&self, run_directory: &Path) -> PathBuf {
        let key = self.id.key();
        let kind = match self.id {
            Id::Deployment(_) => "deployments",
            Id::Server(_) => "servers",
        };
        run_directory.join(kind).join(&key.namespace).join(&key.name).join(self.number.to_string())
    }
}

/// The first process goes by its workload's name, the second as `name-2`.
impl fmt::Display for Replica {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&suffixed(&self.id.to_string(), self.number))
    }
}

fn suffixed(name: &str, number: u32) -> String {
    if number == 0 { name.to_owned() } else { format!("{name}-{}", number.saturating_add(1)) }
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
    /// It runs, as any number of processes: the command of each, and that of the first one also while it does not run.
    Run(BTreeMap<u32, Command>),
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
    /// A free port for each process, and for the first of each workload also while it does not run.
    pub ports: &'a BTreeMap<Replica, u16>,
    /// Finds a program by its name.
    pub find_program: &'a dyn Fn(&str) -> Option<PathBuf>,
}

/// The workloads of a folder, each with its fate.
pub type Plan = BTreeMap<Id, Fate>;

/// Every workload.
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
    let command = |replica: &Replica| {
        let mut command = container::command(scene, replica, &spec.template)?;
        if !keep_caches {
            drop_caches(&mut command, &spec.template);
        }
        Ok(command)
    };
    match command(&Replica::first(id.clone())) {
        Ok(first) => {
            let others = further(scene.machine, id);
            // What is wrong with one of these alone is that no port was left for it.
            let others = others.filter_map(|replica| Some((replica.number, command(replica).ok()?)));
            Fate::Run(std::iter::once((0, first)).chain(others).collect())
        }
        Err(reason) => Fate::Skipped(reason),
    }
}

/// The processes of a workload that have a port, but the first.
fn further<'a>(machine: &'a Machine<'_>, id: &Id) -> impl Iterator<Item = &'a Replica> {
    let (from, to) = (Replica { id: id.clone(), number: 1 }, Replica { id: id.clone(), number: u32::MAX });
    machine.ports.range(from..=to).map(|(replica, _)| replica)
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

/// Where a server is, by URL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// Where it serves.
    pub serving: Vec<String>,
    /// Where its process has started and does not serve yet.
    pub starting: Vec<String>,
    /// Where it is about to go.
    pub draining: Vec<String>,
}

/// The server as the gateway sees it, where its processes are.
#[must_use]
pub fn gateway_server(key: &Key, server: &McpServer, places: Places, scaled: Option<Scaled>) -> Server {
    let remote = server.spec.source.remote.is_some();
    let endpoints =
        |urls: Vec<String>| urls.into_iter().map(|url| Endpoint { url, remote }).collect::<Vec<_>>();
    Server {
        // A manifest need not name its namespace.
        key: ServerKey { namespace: key.namespace.clone(), name: key.name.clone() },
        starting: endpoints(places.starting),
        draining: endpoints(places.draining),
        scaled,
        ..Server::from_resource(server, endpoints(places.serving))
    }
}
