//! Where a server comes from.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where a server comes from: a union of which exactly one member is set.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq)]
#[x_kube(validation = kube::core::Rule::new("[has(self.image), has(self.builtin), has(self.__package__), has(self.remote), has(self.service)].exists_one(x, x)")
    .message("`source` must have exactly one of `image`, `builtin`, `package`, `remote` and `service`"))]
#[serde(rename_all = "camelCase")]
pub struct Source {
    /// A container image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Image>,
    /// A server that Portico ships.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub builtin: Option<Builtin>,
    /// A package of a public registry, run by npx (npm) or uvx (`PyPI`) in a stock image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<Package>,
    /// A server that runs elsewhere; nothing is deployed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<Remote>,
    /// A Service of this namespace; nothing is deployed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceRef>,
}

/// A container image.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq)]
#[x_kube(validation = kube::core::Rule::new("!has(self.command) || size(self.command) > 0")
    .message("`command` must be absent or name a program"))]
#[serde(rename_all = "camelCase")]
pub struct Image {
    /// Reference of the image, as a container runtime pulls it; with a digest it can never change.
    #[schemars(length(min = 1, max = 512), regex(pattern = r"^[^\s]+$"))]
    pub name: String,
    /// Program and its first arguments, instead of the image's entry point. With `transport: Stdio` it must be
    /// given, since the bridge starts it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 4096)))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Atomic)]
    pub command: Vec<String>,
    /// Arguments, instead of the image's own. `$(NAME)` stands for an environment variable.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 4096)))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Atomic)]
    pub args: Vec<String>,
    /// When the image is pulled. Absent: 'Always' for the tag `latest`, else 'IfNotPresent'.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_policy: Option<PullPolicy>,
    /// Names of Secrets with registry credentials.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), inner(length(min = 1, max = 253)))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Set)]
    pub pull_secret_refs: Vec<String>,
}

/// When an image is pulled.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum PullPolicy {
    /// At every start of a pod.
    Always,
    /// When the node does not have it.
    IfNotPresent,
    /// Never; the node must have it.
    Never,
}

impl PullPolicy {
    /// The value of `imagePullPolicy`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Always => "Always",
            Self::IfNotPresent => "IfNotPresent",
            Self::Never => "Never",
        }
    }
}

/// A server that Portico ships, in Portico's own image.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Builtin {
    /// Which server. It is configured by environment variables, listed in its guide.
    pub name: BuiltinName,
}

/// The servers that Portico ships.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum BuiltinName {
    /// Files of allowed directories.
    Files,
    /// Products and stores of Kroger.
    Kroger,
    /// Products, baskets and payment links of a shop, for its customers.
    Storefront,
    /// Products of a shop, for those who keep its catalogue.
    Admin,
    /// Stock of a shop.
    Inventory,
    /// What a person means, as a call of a tool.
    Intent,
    /// Messages by e-mail, SMS and `WhatsApp`.
    Notifications,
}

impl BuiltinName {
    /// The name as it stands in a manifest and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Kroger => "kroger",
            Self::Storefront => "storefront",
            Self::Admin => "admin",
            Self::Inventory => "inventory",
            Self::Intent => "intent",
            Self::Notifications => "notifications",
        }
    }

    /// Whether this version's image contains the server.
    #[must_use]
    pub const fn is_included(self) -> bool {
        matches!(self, Self::Files | Self::Kroger)
    }
}

/// A package of a public registry.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Package {
    /// Registry and name, such as 'npm:@modelcontextprotocol/server-everything' or 'pypi:mcp-server-time'.
    #[schemars(
        length(min = 5, max = 256),
        regex(
            pattern = r"^(npm:(@[a-z0-9._-]+/)?[a-z0-9._-]+|pypi:[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?)$"
        )
    )]
    pub name: String,
    /// Exact version. It is required so that a restart never runs other code than the one before it.
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[0-9][A-Za-z0-9.+_-]*$"))]
    pub version: String,
    /// Arguments of the program.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 4096)))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Atomic)]
    pub args: Vec<String>,
    /// Image with npx or uvx, instead of the stock one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512), regex(pattern = r"^[^\s]+$"))]
    pub image: Option<String>,
}

/// A public package registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registry {
    /// JavaScript packages, run by npx.
    Npm,
    /// Python packages, run by uvx.
    Pypi,
}

impl Package {
    /// The registry, and the package's name in it; `None` for a name the schema refuses.
    #[must_use]
    pub fn split(&self) -> Option<(Registry, &str)> {
        let (registry, name) = self.name.split_once(':')?;
        match registry {
            "npm" => Some((Registry::Npm, name)),
            "pypi" => Some((Registry::Pypi, name)),
            _ => None,
        }
    }
}

/// A server that runs elsewhere.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq)]
#[x_kube(validation = kube::core::Rule::new("isURL(self.url) && self.url.matches('^https?://[^/?#:@]')")
    .message("`url` must be an absolute URL with the scheme 'http' or 'https'").field_path(".url"))]
#[serde(rename_all = "camelCase")]
pub struct Remote {
    /// URL of the MCP endpoint, such as `https://mcp.example.com/mcp`.
    #[schemars(length(min = 8, max = 2048))]
    pub url: String,
}

/// A Service of this namespace.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ServiceRef {
    /// Name of the Service.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// Port of the Service.
    #[schemars(range(min = 1, max = 65535))]
    pub port: i32,
}
