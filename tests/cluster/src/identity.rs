//! Who may talk to the API server: one random token a user, and a kubeconfig for each.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::Error;
use crate::pki::put;

/// A user of the cluster. The group, or for some the name itself, brings the built-in roles.
pub(crate) struct Identity {
    /// Names the kubeconfig file.
    pub(crate) file: &'static str,
    user: &'static str,
    group: &'static str,
}

/// The administrator: what tests use.
pub(crate) const ADMIN: Identity = Identity { file: "admin", user: "admin", group: "system:masters" };
/// The controllers.
pub(crate) const CONTROLLERS: Identity =
    Identity { file: "controllers", user: "system:kube-controller-manager", group: "" };
/// The scheduler.
pub(crate) const SCHEDULER: Identity =
    Identity { file: "scheduler", user: "system:kube-scheduler", group: "" };
/// The simulator of nodes.
pub(crate) const KWOK: Identity = Identity { file: "kwok", user: "kwok", group: "system:masters" };
/// The node that runs processes, with exactly the rights of a node.
pub(crate) const NODE: Identity =
    Identity { file: "node", user: "system:node:proc-1", group: "system:nodes" };
/// The Service proxy.
pub(crate) const PROXY: Identity = Identity { file: "proxy", user: "system:kube-proxy", group: "" };

/// The name server. No built-in role is for it.
pub(crate) const NAMES: Identity = Identity { file: "names", user: "coredns", group: "system:masters" };

const ALL: [Identity; 7] = [ADMIN, CONTROLLERS, SCHEDULER, KWOK, NODE, PROXY, NAMES];

impl Identity {
    /// Where this user's kubeconfig lies.
    pub(crate) fn kubeconfig(&self, folder: &Path) -> PathBuf {
        folder.join(format!("{}.kubeconfig", self.file))
    }
}

/// Writes `tokens.csv` for the API server and each user's kubeconfig.
pub(crate) fn write(folder: &Path, port: u16) -> Result<(), Error> {
    let mut tokens = String::new();
    for identity in &ALL {
        let token = format!("{:032x}", rand::random::<u128>());
        let _ = writeln!(tokens, "{token},{},{},\"{}\"", identity.user, identity.file, identity.group);
        put(&identity.kubeconfig(folder), &kubeconfig(folder, port, &token))?;
    }
    put(&folder.join("tokens.csv"), &tokens)
}

/// A kubeconfig in JSON, which every reader of YAML reads.
fn kubeconfig(folder: &Path, port: u16, token: &str) -> String {
    let server = format!("https://127.0.0.1:{port}");
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": {
            "server": server, "certificate-authority": folder.join("pki/ca.crt")}}],
        "users": [{"name": "test", "user": {"token": token}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "current-context": "test",
    })
    .to_string()
}
