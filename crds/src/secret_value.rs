//! Values that are read from Secrets of the resource's namespace, and never written into a manifest.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// One value of a Secret of this namespace.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct SecretValue {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub secret_ref: String,
    /// The key whose value is read.
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}

/// A Secret of this namespace with the URL of a service, user name and password included.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct SecretUrl {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub secret_ref: String,
    /// The key whose value is the URL.
    #[serde(default = "default_url_key")]
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}

/// A Secret of this namespace with the identifier of an application and its secret.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ClientCredentials {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub secret_ref: String,
    /// The key whose value is the identifier.
    #[serde(default = "default_client_id_key")]
    #[schemars(length(min = 1, max = 253))]
    pub client_id_key: String,
    /// The key whose value is the secret.
    #[serde(default = "default_client_secret_key")]
    #[schemars(length(min = 1, max = 253))]
    pub client_secret_key: String,
}

pub(crate) fn default_url_key() -> String {
    "url".to_owned()
}

fn default_client_id_key() -> String {
    "client-id".to_owned()
}

fn default_client_secret_key() -> String {
    "client-secret".to_owned()
}
