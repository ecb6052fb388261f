//! HTTP paths of a server that are reached through the gateway beside MCP.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An HTTP path of the server.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq)]
#[x_kube(validation = kube::core::Rule::new("!self.path.contains('//') && self.path.split('/').all(part, part != '.' && part != '..')")
    .message("`path` must not have empty parts, and no part '.' or '..'").field_path(".path"))]
#[serde(rename_all = "camelCase")]
pub struct Exposed {
    /// The path, such as `/oauth/callback`. The path of the MCP endpoint is never forwarded.
    #[schemars(length(min = 2, max = 256), regex(pattern = r"^/[A-Za-z0-9._~/-]*[A-Za-z0-9._~-]$"))]
    pub path: String,
    /// Whether the path alone is meant, or everything below it as well.
    #[serde(default, rename = "type")]
    pub kind: PathType,
    /// The methods that are forwarded. Absent or empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 7))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Set)]
    pub methods: Vec<HttpMethod>,
}

/// How a path is compared.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PathType {
    /// The path alone.
    #[default]
    Exact,
    /// The path, and everything below it, part by part.
    Prefix,
}

/// A method of HTTP (RFC 9110).
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "UPPERCASE")]
pub enum HttpMethod {
    /// Read.
    Get,
    /// Read the head alone.
    Head,
    /// Create, or do.
    Post,
    /// Replace.
    Put,
    /// Change.
    Patch,
    /// Remove.
    Delete,
    /// Ask what is possible.
    Options,
}

impl HttpMethod {
    /// As it stands in a request.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Options => "OPTIONS",
        }
    }
}
