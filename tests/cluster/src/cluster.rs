//! A running cluster and what a test does with it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::Arc;

use kube::{Client, Config};

use crate::audit::{AuditEvent, AuditMark};
use crate::child::Child;
use crate::control::{self, config_of};
use crate::folder::Folder;
use crate::node::{NodeOptions, NodeThread, images};
use crate::programs::Programs;
use crate::shared::{self, Manifest};
use crate::{Error, Level, Namespace, audit, diagnose, identity, kwok, network, services};

/// A running cluster. Dropped, its processes are killed and its folder is removed, unless it was joined.
#[derive(Debug)]
pub struct Cluster {
    level: Level,
    folder: Option<PathBuf>,
    kubeconfig: PathBuf,
    config: Config,
    _own: Option<Own>,
}

/// What runs here; nothing of a joined cluster. Dropped in this order.
#[derive(Debug)]
struct Own {
    _node: Option<NodeThread>,
    _children: Vec<Child>,
    _folder: Folder,
    _network: Option<File>,
}

impl Cluster {
    /// Starts a cluster of the test's own, which takes 3 to 10 seconds and as much processor time. For tests that
    /// count audit lines, restart something or change what all share; others use [`Cluster::shared`].
    pub async fn start(level: Level) -> Result<Self, Error> {
        Self::start_with(level, NodeOptions::default()).await
    }

    /// Like [`Cluster::start`], with a say about the node of level [`Level::Processes`].
    pub async fn start_with(level: Level, options: NodeOptions) -> Result<Self, Error> {
        if level == Level::External {
            return Self::external().await;
        }
        let network = if level == Level::Processes { Some(network::claim()?) } else { None };
        let folder = Folder::create()?;
        let programs = tokio::task::spawn_blocking(move || Programs::find(level));
        let programs = programs.await.map_err(|_| Error::NotHere { what: "the programs", level })??;
        programs.link_into(&folder.path().join("bin"))?;
        let mut children = control::start(&folder, level).await?;
        let path = folder.path().to_owned();
        let node = match level {
            Level::Processes => {
                let node = NodeThread::start(&path, options).await?;
                // The Service proxy waits for its node.
                children.extend(services::start(&path).await?);
                Some(node)
            }
            Level::Kwok => {
                children.push(kwok::start(&path).await?);
                None
            }
            _ => None,
        };
        let kubeconfig = identity::ADMIN.kubeconfig(&path);
        Manifest { level, kubeconfig: kubeconfig.clone() }.write(&path)?;
        let config = config_of(&kubeconfig).await?;
        let own = Own { _node: node, _children: children, _folder: folder, _network: network };
        Ok(Self { level, folder: Some(path), kubeconfig, config, _own: Some(own) })
    }

    /// The cluster of this level that all tests of this process share, or that `cargo xtask test` started for all
    /// test processes. It lives until the process ends.
    pub async fn shared(level: Level) -> Result<Arc<Self>, Error> {
        shared::get(level).await
    }

    pub(crate) async fn join(folder: &Path, manifest: Manifest) -> Result<Self, Error> {
        let config = config_of(&manifest.kubeconfig).await?;
        Ok(Self {
            level: manifest.level,
            folder: Some(folder.to_owned()),
            kubeconfig: manifest.kubeconfig,
            config,
            _own: None,
        })
    }

    async fn external() -> Result<Self, Error> {
        let kubeconfig = std::env::var_os("PORTICO_CLUSTER_KUBECONFIG").ok_or(Error::NoExternal)?;
        let kubeconfig = PathBuf::from(kubeconfig);
        let config = config_of(&kubeconfig).await?;
        Ok(Self { level: Level::External, folder: None, kubeconfig, config, _own: None })
    }

    /// How much of a cluster runs here; a joined one may have more than was asked for.
    #[must_use]
    pub fn level(&self) -> Level {
        self.level
    }

    /// The administrator's kubeconfig.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The folder with logs and sockets, which [`crate::JOIN_VARIABLE`] takes; none for an external cluster.
    #[must_use]
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// The administrator's connection settings, to be changed for a client with its own timeouts.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// A client with all rights. It belongs to the runtime that it is made in: make one a test.
    pub fn client(&self) -> Result<Client, Error> {
        Ok(Client::try_from(self.config.clone())?)
    }

    /// A client with the rights of `user` in `groups` (of a service account:
    /// `system:serviceaccount:NAMESPACE:NAME`). The audit log names that user.
    pub fn client_as(&self, user: &str, groups: &[&str]) -> Result<Client, Error> {
        let mut config = self.config.clone();
        config.auth_info.impersonate = Some(user.to_owned());
        let groups: Vec<String> = groups.iter().map(ToString::to_string).collect();
        config.auth_info.impersonate_groups = (!groups.is_empty()).then_some(groups);
        Ok(Client::try_from(config)?)
    }

    /// Runs kubectl as administrator: the cluster's own, or for an external one that on the `PATH`.
    pub async fn kubectl(&self, arguments: &[&str]) -> Result<Output, Error> {
        let program =
            self.folder.as_ref().map_or_else(|| "kubectl".into(), |folder| folder.join("bin/kubectl"));
        tokio::process::Command::new(&program)
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
            .args(arguments)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .map_err(Error::file("running", &program))
    }

    /// A new namespace with its `default` service account.
    pub async fn namespace(&self, prefix: &str) -> Result<Namespace, Error> {
        Namespace::create(self, prefix).await
    }

    /// From now on pods may name the image `name` (a repository, without a tag): it is the program and first
    /// arguments `command`, on this machine. Holds for all who share the cluster; later pods see it.
    pub fn add_image(&self, name: &str, command: &[&str]) -> Result<(), Error> {
        let command: Vec<String> = command.iter().map(ToString::to_string).collect();
        images::add(&self.own("an image of a local program")?.join("images"), name, &command)
    }

    /// What a container of level [`Level::Processes`] has printed, all its runs together; empty before the first.
    pub fn container_log(&self, namespace: &str, pod: &str, container: &str) -> Result<String, Error> {
        let folder = self.own("a container's log")?.join("logs").join(namespace).join(pod);
        Ok(std::fs::read_to_string(folder.join(format!("{container}.log"))).unwrap_or_default())
    }

    /// The audit log's end, before what is to be counted.
    pub fn audit_mark(&self) -> Result<AuditMark, Error> {
        Ok(audit::mark(&self.audit_log()?))
    }

    /// The writes since `mark` that `wanted` picks, most often by their user. What the cluster's own parts write
    /// is not in the log, nor are leases, nor anything read.
    pub fn audit_writes(
        &self,
        mark: AuditMark,
        wanted: impl Fn(&AuditEvent) -> bool,
    ) -> Result<Vec<AuditEvent>, Error> {
        let mut events = audit::since(&self.audit_log()?, mark)?;
        events.retain(wanted);
        Ok(events)
    }

    fn audit_log(&self) -> Result<PathBuf, Error> {
        Ok(self.own("the audit log")?.join("audit.log"))
    }

    fn own(&self, what: &'static str) -> Result<&Path, Error> {
        self.folder().ok_or(Error::NotHere { what, level: self.level })
    }

    /// What is known of a namespace, for a failed test's output: its pods and events, and the ends of the logs of
    /// its containers and of the cluster's programs.
    pub async fn diagnose(&self, namespace: &str) -> String {
        match self.client() {
            Ok(client) => diagnose::report(&client, namespace, self.folder()).await,
            Err(error) => error.to_string(),
        }
    }
}
