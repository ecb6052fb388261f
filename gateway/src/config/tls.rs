//! TLS towards clients.

use std::path::PathBuf;

use serde::Deserialize;

use super::{Error, field};

/// The gateway's certificate. Without this part it speaks HTTP without TLS.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Tls {
    /// PEM file of its certificate and those between it and an authority, its own first.
    pub cert_file: PathBuf,
    /// PEM file of the certificate's private key.
    pub key_file: PathBuf,
    /// PEM file of authorities: with it only clients are let in whose certificate one of them vouches for.
    pub client_ca_file: Option<PathBuf>,
}

impl Tls {
    pub(super) fn check(&self) -> Result<(), Error> {
        let files = [("certFile", Some(&self.cert_file)), ("keyFile", Some(&self.key_file))];
        let files = files.into_iter().chain([("clientCaFile", self.client_ca_file.as_ref())]);
        for (name, path) in files {
            if path.is_some_and(|path| path.as_os_str().is_empty()) {
                return Err(field(format!("tls.{name}"), "must be the path of a PEM file"));
            }
        }
        Ok(())
    }
}
