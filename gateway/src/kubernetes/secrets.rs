//! Secrets of the cluster, read by name: no other Secret of a namespace is seen.

use std::fmt;

use futures::future::BoxFuture;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use portico_crds::mcp_server::SecretKeyRef;

use crate::cause;
use crate::secret::{Error, SecretString, Secrets, text};

/// The role that lets a gateway read Secrets.
const ROLE: &str = "portico-gateway-secrets";

/// Reads Secrets through the API server.
#[derive(Clone)]
pub struct ClusterSecrets {
    client: Client,
}

impl ClusterSecrets {
    /// Reads them by `client`.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    async fn value(&self, namespace: &str, key: &SecretKeyRef) -> Result<SecretString, Error> {
        let api: Api<Secret> = Api::namespaced(self.client.clone(), namespace);
        let found = api.get_opt(&key.name).await.map_err(|error| unavailable(key, &error))?;
        let secret = found.ok_or_else(|| Error::NoSecret(key.name.clone()))?;
        let value = secret.data.and_then(|mut data| data.remove(&key.key));
        let no_key = || Error::NoKey { secret: key.name.clone(), key: key.key.clone() };
        let ByteString(bytes) = value.ok_or_else(no_key)?;
        text(key, bytes)
    }
}

fn unavailable(key: &SecretKeyRef, error: &kube::Error) -> Error {
    let reason = match error {
        kube::Error::Api(status) if status.code == 403 => {
            format!("the gateway may not; bind the role {ROLE} to its account in this namespace")
        }
        error => cause::innermost(error),
    };
    Error::Unavailable { secret: key.name.clone(), reason }
}

impl fmt::Debug for ClusterSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterSecrets").finish_non_exhaustive()
    }
}

impl Secrets for ClusterSecrets {
    fn read<'a>(
        &'a self,
        namespace: &'a str,
        key: &'a SecretKeyRef,
    ) -> BoxFuture<'a, Result<SecretString, Error>> {
        Box::pin(self.value(namespace, key))
    }
}
