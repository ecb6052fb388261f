//! How servers are told who asks.

use std::path::PathBuf;

use serde::Deserialize;

use super::glob::Globs;
use super::{Error, auth};
use crate::source::ServerKey;

/// How servers are told who asks. Without this part they are not told.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Identity {
    /// The gateway's name in what it signs: the URL below which servers find its keys.
    pub issuer: String,
    /// A file with private keys, or a folder of such files, as a mounted Secret is. Absent: a key that is made up and lasts as
    /// long as the process.
    pub keys: Option<PathBuf>,
    /// Globs over `namespace/server`; none means all servers that are not remote.
    #[serde(default)]
    servers: Globs,
}

impl Identity {
    /// Whether `server`, which is `remote` or not, is told.
    pub(crate) fn tells(&self, server: &ServerKey, remote: bool) -> bool {
        if self.servers.is_empty() { !remote } else { self.servers.matches(&server.to_string()) }
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        auth::url("identity.issuer", &self.issuer)
    }
}
