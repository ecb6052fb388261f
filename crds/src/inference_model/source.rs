//! Where a model comes from.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::mcp_server::PullPolicy;
use crate::rules;
use crate::secret_value::SecretValue;

/// The branch or tag of a Hugging Face repository when the spec names none.
pub const DEFAULT_REVISION: &str = "main";

/// Where a model comes from: a union of which exactly one member is set.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq)]
#[x_kube(validation = kube::core::Rule::new("[has(self.url), has(self.huggingFace), has(self.claim), has(self.image)].exists_one(x, x)")
    .message("`source` must have exactly one of `url`, `huggingFace`, `claim` and `image`"))]
#[serde(rename_all = "camelCase")]
pub struct ModelSource {
    /// A file that is downloaded from a web server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<UrlSource>,
    /// A file of a Hugging Face repository, or the whole of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hugging_face: Option<HuggingFace>,
    /// A file or folder on a volume that exists already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<ClaimSource>,
    /// A file or folder of an OCI image, which the node mounts as a volume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageSource>,
}

/// A file on a web server.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct UrlSource {
    /// URL of the file. Redirects are followed. A token belongs in `tokenSecret`.
    #[schemars(length(min = 8, max = 2048))]
    #[x_kube(validation = rules::http_url("url"))]
    pub url: String,
    /// SHA-256 of the file in hexadecimal, as `sha256sum` prints it. A file that has another is never served.
    #[schemars(length(min = 64, max = 64), regex(pattern = r"^[0-9a-f]{64}$"))]
    pub sha256: String,
    /// Size of the file in bytes. With it, lack of space is noticed before the download begins, and the cache is made
    /// large enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub size_bytes: Option<i64>,
    /// Secret whose key holds a token, sent as `Authorization: Bearer` to the host of `url` alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_secret: Option<SecretValue>,
}

/// A Hugging Face repository.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq)]
#[x_kube(validation = kube::core::Rule::new("has(self.file) || !has(self.sha256)")
    .message("`sha256` must be absent without `file`: a repository as a whole has none").field_path(".sha256"))]
#[serde(rename_all = "camelCase")]
pub struct HuggingFace {
    /// Owner and name of the repository, such as 'ggml-org/gemma-3-4b-it-GGUF'.
    #[schemars(
        length(min = 3, max = 200),
        regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*$")
    )]
    pub repository: String,
    /// Path of the file in the repository. Absent only with `engine.vllm`, which then loads the repository as a whole by
    /// itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 512),
        regex(pattern = r"^([A-Za-z0-9_][A-Za-z0-9._+-]*/)*[A-Za-z0-9_][A-Za-z0-9._+-]*$")
    )]
    pub file: Option<String>,
    /// Branch, tag or commit. Only a commit never changes.
    #[serde(default = "default_revision")]
    #[schemars(length(min = 1, max = 128), regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9._/-]*$"))]
    pub revision: String,
    /// SHA-256 of the file in hexadecimal. Absent: the one the server itself states is held against the download, which
    /// guards against damage but not against another file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 64, max = 64), regex(pattern = r"^[0-9a-f]{64}$"))]
    pub sha256: Option<String>,
    /// Secret whose key holds an access token, for repositories that need one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_secret: Option<SecretValue>,
}

fn default_revision() -> String {
    DEFAULT_REVISION.to_owned()
}

/// A file or folder on a `PersistentVolumeClaim` of this namespace, which is mounted read-only.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ClaimSource {
    /// Name of the `PersistentVolumeClaim`.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Path of the file or folder on the volume.
    #[schemars(
        length(min = 1, max = 512),
        regex(pattern = r"^([A-Za-z0-9_][A-Za-z0-9._+-]*/)*[A-Za-z0-9_][A-Za-z0-9._+-]*$")
    )]
    pub path: String,
}

/// A file or folder of an OCI image. The cluster's nodes must know image volumes (on by default since Kubernetes 1.35).
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ImageSource {
    /// Reference of the image, as a container runtime pulls it; with a digest it can never change.
    #[schemars(length(min = 1, max = 512), regex(pattern = r"^[^\s]+$"))]
    pub reference: String,
    /// Path of the file or folder in the image.
    #[schemars(
        length(min = 1, max = 512),
        regex(pattern = r"^([A-Za-z0-9_][A-Za-z0-9._+-]*/)*[A-Za-z0-9_][A-Za-z0-9._+-]*$")
    )]
    pub path: String,
    /// When the image is pulled. Absent: 'Always' for the tag `latest`, else 'IfNotPresent'.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_policy: Option<PullPolicy>,
}
