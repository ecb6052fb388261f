//! Why a command ended badly, in words for the person who gave it.

use std::path::PathBuf;

/// Why a command ended badly.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The system gives no threads.
    #[error("the runtime cannot be started: {0}")]
    Runtime(std::io::Error),
    /// The log filter is wrong.
    #[error("LOG_LEVEL: {0}; set error, warn, info, debug or trace, or a filter such as portico=debug,info")]
    LogLevel(String),
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// No cluster is configured, or its configuration is wrong.
    #[error(
        "no cluster can be reached: {0}; set KUBECONFIG or write ~/.kube/config, or run in a pod with a service account"
    )]
    Cluster(String),
    /// An address is in use or not ours.
    #[error("cannot listen on {address}: {source}; {mend}")]
    Listen {
        /// The address that was asked for.
        address: std::net::SocketAddr,
        /// The system's reason.
        source: std::io::Error,
        /// What to do.
        mend: &'static str,
    },
    /// The gateway's configuration file is wrong.
    #[error("{path}: {source}; docs/gateway.md tells what the gateway's configuration file may say")]
    Config {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        source: portico_gateway::config::Error,
    },
    /// A session key is wrong.
    #[error("{0}: a session key is 64 hexadecimal digits a line; make one with `openssl rand -hex 32`")]
    SessionKey(PathBuf),
    /// A token file holds none.
    #[error("{0}: must hold a token, one line of visible ASCII characters")]
    Token(PathBuf),
    /// A part of Portico failed, in its own words.
    #[error("{0}")]
    Part(String),
}

impl Failure {
    /// A failure in the words of the part that failed.
    pub fn part(error: &impl ToString) -> Self {
        Self::Part(error.to_string())
    }

    /// A failure about a file.
    pub fn file(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { path, source }
    }
}
