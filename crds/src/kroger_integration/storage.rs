//! Where an integration keeps what must outlive a pod, and what need not.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::mcp_server::Quantity;
use crate::secret_value::{SecretUrl, default_url_key};

/// Size of the volume when the spec names none.
pub const DEFAULT_SIZE: &str = "1Gi";
/// Mebibytes that each pod's cache takes when the spec says nothing.
pub const DEFAULT_CACHE_MEBIBYTES: i32 = 64;

/// Where sessions, lists and preferences are kept: exactly one member is set.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq, Eq)]
#[x_kube(validation = kube::core::Rule::new("has(self.embedded) != has(self.postgresql)")
    .message("`storage` must have exactly one of `embedded` and `postgresql`"))]
#[serde(rename_all = "camelCase")]
pub struct Storage {
    /// `SQLite` on a volume. One pod alone can open it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedded: Option<Embedded>,
    /// A PostgreSQL database, which any number of pods share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postgresql: Option<PostgreSql>,
}

impl Default for Storage {
    fn default() -> Self {
        Self { embedded: Some(Embedded::default()), postgresql: None }
    }
}

/// A volume: an existing claim, or one that the operator makes.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq, Eq)]
#[x_kube(validation = kube::core::Rule::new("!has(self.claimRef) || !(has(self.size) || has(self.storageClassName) || has(self.whenDeleted))")
    .message("with `claimRef` the claim is yours: `size`, `storageClassName` and `whenDeleted` must be absent"))]
#[serde(rename_all = "camelCase")]
pub struct Embedded {
    /// Size of the volume. It can grow where the storage class allows it, and never shrink. Absent: '1Gi'.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::quantity")]
    pub size: Option<Quantity>,
    /// Storage class of the volume. Absent: the cluster's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub storage_class_name: Option<String>,
    /// Name of an existing `PersistentVolumeClaim` of this namespace, instead of one that the operator makes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub claim_ref: Option<String>,
    /// What becomes of the volume when the integration is deleted: 'Retain' or 'Delete'. Absent: 'Retain'.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when_deleted: Option<WhenDeleted>,
}

/// What becomes of a volume when its owner is deleted.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenDeleted {
    /// It stays, and an integration of the same name finds it again.
    #[default]
    Retain,
    /// It goes, with all that customers kept in it.
    Delete,
}

/// A PostgreSQL database.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct PostgreSql {
    /// Name of the Secret with the database's URL, user name and password included.
    #[schemars(length(min = 1, max = 253))]
    pub secret_ref: String,
    /// The key whose value is the URL.
    #[serde(default = "default_url_key")]
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
    /// The key whose value is the URL of a replica that may be read from. Absent: there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub read_replica_key: Option<String>,
}

/// Where answers are kept for minutes: exactly one member is set.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq, Eq)]
#[x_kube(validation = kube::core::Rule::new("has(self.memory) != has(self.redis)")
    .message("`cache` must have exactly one of `memory` and `redis`"))]
#[serde(rename_all = "camelCase")]
pub struct Cache {
    /// The memory of each pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<MemoryCache>,
    /// A Redis server, which all pods share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redis: Option<SecretUrl>,
}

impl Default for Cache {
    fn default() -> Self {
        Self { memory: Some(MemoryCache::default()), redis: None }
    }
}

/// A cache in the memory of each pod.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct MemoryCache {
    /// Mebibytes it may take.
    #[serde(default = "default_cache_mebibytes")]
    #[schemars(range(min = 1, max = 65536))]
    pub size_mebibytes: i32,
}

const fn default_cache_mebibytes() -> i32 {
    DEFAULT_CACHE_MEBIBYTES
}

impl Default for MemoryCache {
    fn default() -> Self {
        Self { size_mebibytes: DEFAULT_CACHE_MEBIBYTES }
    }
}
