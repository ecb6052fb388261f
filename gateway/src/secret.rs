//! Where the gateway reads the secrets that servers ask of it. Whoever knows the servers (a cluster, a folder of manifests,
//! a test) knows their Secrets too.

use std::fmt;

use futures::future::BoxFuture;
use portico_crds::mcp_server::SecretKeyRef;
pub use secrecy::SecretString;

/// Reads keys of Secrets.
pub trait Secrets: fmt::Debug + Send + Sync {
    /// The value of `key` in `namespace`, as it is now.
    ///
    /// # Errors
    /// Why there is none, or none can be had now.
    fn read<'a>(
        &'a self,
        namespace: &'a str,
        key: &'a SecretKeyRef,
    ) -> BoxFuture<'a, Result<SecretString, Error>>;
}

/// Why a key of a Secret has no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is no such Secret.
    #[error("Secret '{0}' does not exist in this namespace; create it")]
    NoSecret(String),
    /// It has no such key.
    #[error("Secret '{secret}' has no key '{key}'; add the key")]
    NoKey {
        /// Name of the Secret.
        secret: String,
        /// The key.
        key: String,
    },
    /// The value is not UTF-8.
    #[error("key '{key}' of Secret '{secret}' is not text; write it anew")]
    NotText {
        /// Name of the Secret.
        secret: String,
        /// The key.
        key: String,
    },
    /// Nobody can say now. A value that is known stays in use.
    #[error("Secret '{secret}' cannot be read now: {reason}")]
    Unavailable {
        /// Name of the Secret.
        secret: String,
        /// What went wrong.
        reason: String,
    },
}

/// The text of `bytes`, which stand at `key`.
///
/// # Errors
/// When they are not UTF-8.
pub fn text(key: &SecretKeyRef, bytes: Vec<u8>) -> Result<SecretString, Error> {
    let not_text = |_| Error::NotText { secret: key.name.clone(), key: key.key.clone() };
    String::from_utf8(bytes).map(SecretString::from).map_err(not_text)
}
