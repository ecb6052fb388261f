//! A shop with a REST API of its own.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::mapping::Mapping;
use crate::rules;
use crate::secret_value::SecretValue;

/// A shop with a REST API of its own.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Custom {
    /// URL that the paths of `mapping` are added to. No request goes to another host.
    #[schemars(length(min = 8, max = 2048))]
    #[x_kube(validation = rules::http_url("url"))]
    pub url: String,
    /// How requests are authenticated.
    pub auth: CustomAuth,
    /// Where the API has what, and by which names.
    pub mapping: Mapping,
}

/// How requests are authenticated: exactly one member is set.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq, Eq)]
#[x_kube(validation = kube::core::Rule::new("[has(self.bearer), has(self.header), has(self.basic), has(self.none)].exists_one(x, x)")
    .message("`auth` must have exactly one of `bearer`, `header`, `basic` and `none`"))]
#[serde(rename_all = "camelCase")]
pub struct CustomAuth {
    /// A token, in the header `Authorization` after the word 'Bearer'.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer: Option<SecretValue>,
    /// A value in a header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<HeaderLogin>,
    /// A user name and password, as HTTP has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basic: Option<BasicLogin>,
    /// Nothing: whoever reaches the API may use it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub none: Option<NoLogin>,
}

/// A value in a header.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct HeaderLogin {
    /// Name of the header, such as 'X-Api-Key'.
    #[schemars(length(min = 1, max = 64), regex(pattern = "^[A-Za-z0-9-]+$"))]
    pub name: String,
    /// Name of the Secret with its value.
    #[schemars(length(min = 1, max = 253))]
    pub secret_ref: String,
    /// The key whose value is the header's.
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}

/// A Secret with a user name and a password, by default with the keys of the type `kubernetes.io/basic-auth`.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct BasicLogin {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub secret_ref: String,
    /// The key whose value is the user name.
    #[serde(default = "default_username_key")]
    #[schemars(length(min = 1, max = 253))]
    pub username_key: String,
    /// The key whose value is the password.
    #[serde(default = "default_password_key")]
    #[schemars(length(min = 1, max = 253))]
    pub password_key: String,
}

fn default_username_key() -> String {
    "username".to_owned()
}

fn default_password_key() -> String {
    "password".to_owned()
}

/// An API that asks for no credentials. It has no fields: write `none: {}`.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NoLogin {}
