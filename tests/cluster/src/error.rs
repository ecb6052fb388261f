//! Why a cluster could not do what a test asked.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::{Level, programs};

/// Why a cluster could not start, or could not answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The programs of Kubernetes are missing and could not be built.
    #[error(transparent)]
    Programs(#[from] programs::Error),
    /// A level was named that does not exist.
    #[error("there is no level `{0}`: choose api, control, kwok, processes or external")]
    UnknownLevel(String),
    /// A file or a process could not be had.
    #[error("{action} {path}: {source}")]
    File {
        /// What was tried.
        action: &'static str,
        /// On which file or program.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
    /// A key or a certificate could not be made.
    #[error("making the cluster's keys: {0}")]
    Keys(#[from] rcgen::Error),
    /// A program of the cluster ended by itself.
    #[error("{program} ended with exit code {code}; the end of its log:\n{log}")]
    Ended {
        /// Which program.
        program: String,
        /// Its exit code; 128 and the signal's number when a signal ended it.
        code: i32,
        /// The last lines it wrote.
        log: String,
    },
    /// Something did not come about in time.
    #[error("{what}: not within {deadline:?}{last}")]
    Late {
        /// What was waited for.
        what: String,
        /// For how long.
        deadline: Duration,
        /// The last failure seen while waiting, or nothing.
        last: String,
    },
    /// The API server refused or could not be reached.
    #[error("asking the API server: {0}")]
    Api(#[from] kube::Error),
    /// A kubeconfig could not be read.
    #[error("reading the kubeconfig: {0}")]
    Kubeconfig(#[from] kube::config::KubeconfigError),
    /// This machine's users may not make namespaces.
    #[error(
        "level processes needs a network of its own, and `unshare` or `ip` could not make one ({0}): install \
         util-linux and iproute2, and allow user namespaces (on some distributions `sysctl -w \
         kernel.apparmor_restrict_unprivileged_userns=0`)"
    )]
    NoNamespaces(String),
    /// Nothing translates Services' addresses.
    #[error(
        "level processes needs the program `nft` for Services, and it does not run ({0}): install nftables"
    )]
    NoTranslator(io::Error),
    /// Level `Processes` was asked for in the machine's own network.
    #[error(
        "level processes runs only in a network of its own: begin the test with portico_cluster::wanted, or the \
         program with portico_cluster::network::enter"
    )]
    NoOwnNetwork,
    /// A container could not be kept apart from the machine.
    #[error(
        "a trial container could not start ({0}): level processes needs overlay mounts in user namespaces, which Linux has since 5.11"
    )]
    NoContainers(String),
    /// A second cluster with Services was asked for in one network.
    #[error("a cluster of level processes runs in this network already, and there is room for one: share it")]
    NetworkTaken,
    /// An existing cluster was asked for, and none is named.
    #[error("level external needs PORTICO_CLUSTER_KUBECONFIG, the path of a kubeconfig")]
    NoExternal,
    /// Something that only a cluster of this crate's own has.
    #[error("{what} is not to be had from a cluster of level {level}")]
    NotHere {
        /// What was asked for.
        what: &'static str,
        /// Of which cluster.
        level: Level,
    },
    /// A file of the cluster does not hold what it should.
    #[error("{path} is not what this crate writes there: {source}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

impl Error {
    /// Turns an error of the system into one that says what was tried on which file.
    pub(crate) fn file(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { action, path, source }
    }
}
