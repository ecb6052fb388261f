//! Where a model's file is kept, and how long fetching and loading it may take.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::mcp_server::{EmptyDir, Quantity};

/// Seconds that a download may take where the spec says nothing: six hours.
pub const DEFAULT_DOWNLOAD_SECONDS: i32 = 21_600;

/// Where a downloaded model is kept: a union of which exactly one member is set.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq)]
#[x_kube(validation = kube::core::Rule::new("has(self.persistentVolumeClaim) != has(self.emptyDir)")
    .message("`cache` must have exactly one of `persistentVolumeClaim` and `emptyDir`"))]
#[serde(rename_all = "camelCase")]
pub struct Cache {
    /// A volume that outlives the pods: the model is downloaded once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub persistent_volume_claim: Option<ClaimCache>,
    /// Scratch space of each pod: every new pod downloads the model anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub empty_dir: Option<EmptyDir>,
}

/// A volume that outlives the pods.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq)]
#[x_kube(validation = kube::core::Rule::new("self.size == oldSelf.size || quantity(string(self.size)).compareTo(quantity(string(oldSelf.size))) >= 0")
    .message("`size` must not become smaller: a volume only grows").field_path(".size"))]
#[serde(rename_all = "camelCase")]
pub struct ClaimCache {
    /// Size of the volume, such as '20Gi'. It may grow later where the storage class allows it.
    #[schemars(schema_with = "crate::schema::quantity")]
    pub size: Quantity,
    /// Storage class of the volume. Absent: the cluster's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub storage_class_name: Option<String>,
    /// Whether pods on several nodes may use the volume.
    #[serde(default)]
    pub access_mode: AccessMode,
    /// What becomes of the volume when the `InferenceModel` is deleted.
    #[serde(default)]
    pub when_deleted: WhenDeleted,
}

/// Whether pods on several nodes may use a volume.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AccessMode {
    /// Pods of one node may: all of the model's pods run there.
    #[default]
    ReadWriteOnce,
    /// Pods of all nodes may.
    ReadWriteMany,
}

impl AccessMode {
    /// The mode as a claim's `accessModes` names it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ReadWriteOnce => "ReadWriteOnce",
            Self::ReadWriteMany => "ReadWriteMany",
        }
    }
}

/// What becomes of a volume when its `InferenceModel` is deleted.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenDeleted {
    /// It is deleted, too: a model can be downloaded again.
    #[default]
    Delete,
    /// It stays, and an `InferenceModel` of the same name finds the model in it.
    Retain,
}

/// How long fetching and loading a model may take.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Load {
    /// Seconds from the start of the engine until it must answer; then it is started anew, and fallbacks answer.
    /// Absent: 60, or 600 with `engine.vllm`, which compiles at its start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 5, max = 7200))]
    pub deadline_seconds: Option<i32>,
    /// Seconds that the download may take, all its tries together. Absent: 21600, six hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 10, max = 604_800))]
    pub download_seconds: Option<i32>,
}
