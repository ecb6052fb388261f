//! How a server's pods run: environment, files, resources and placement.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

/// An object handed to Kubernetes as it is.
pub type Opaque = serde_json::Map<String, serde_json::Value>;

/// An amount as Kubernetes writes it, such as `500m` or `1Gi`; a bare number in a manifest is taken as text.
#[derive(Serialize, Clone, Debug, PartialEq, Eq)]
#[serde(transparent)]
pub struct Quantity(pub String);

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(i64),
            Text(String),
        }
        Ok(Self(match Written::deserialize(deserializer)? {
            Written::Number(number) => number.to_string(),
            Written::Text(text) => text,
        }))
    }
}

/// One environment variable.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq)]
#[x_kube(validation = kube::core::Rule::new("has(self.value) != has(self.valueFrom)")
    .message("a variable must have exactly one of `value` and `valueFrom`"))]
#[serde(rename_all = "camelCase")]
pub struct EnvVar {
    /// Name of the variable.
    #[schemars(length(min = 1, max = 256), regex(pattern = r"^[-._a-zA-Z][-._a-zA-Z0-9]*$"))]
    pub name: String,
    /// Its value; `$(NAME)` stands for a variable defined before it. Secrets belong in `valueFrom`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32768))]
    pub value: Option<String>,
    /// Where its value is read from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_from: Option<EnvVarSource>,
}

/// Where the value of a variable is read from: exactly one member is set.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq)]
#[x_kube(validation = kube::core::Rule::new("[has(self.secretKeyRef), has(self.configMapKeyRef), has(self.fieldRef)].exists_one(x, x)")
    .message("`valueFrom` must have exactly one of `secretKeyRef`, `configMapKeyRef` and `fieldRef`"))]
#[serde(rename_all = "camelCase")]
pub struct EnvVarSource {
    /// A key of a Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_key_ref: Option<SecretKeyRef>,
    /// A key of a `ConfigMap`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map_key_ref: Option<ConfigMapKeyRef>,
    /// A field of the pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field_ref: Option<FieldRef>,
}

/// A key of a Secret of this namespace.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeyRef {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The key whose value is read.
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}

/// A key of a `ConfigMap` of this namespace.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ConfigMapKeyRef {
    /// Name of the `ConfigMap`.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The key whose value is read.
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}

/// A field of the pod.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct FieldRef {
    /// Path of the field, such as `metadata.name` or `status.podIP`.
    #[schemars(length(min = 1, max = 256))]
    pub field_path: String,
}

/// A Secret or `ConfigMap` whose every key becomes an environment variable: exactly one is named.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq)]
#[x_kube(validation = kube::core::Rule::new("[has(self.secretRef), has(self.configMapRef)].exists_one(x, x)")
    .message("an entry of `envFrom` must have exactly one of `secretRef` and `configMapRef`"))]
#[serde(rename_all = "camelCase")]
pub struct EnvFrom {
    /// Name of the Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub secret_ref: Option<String>,
    /// Name of the `ConfigMap`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub config_map_ref: Option<String>,
    /// Text put before every key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128), regex(pattern = r"^[-._a-zA-Z0-9]*$"))]
    pub prefix: Option<String>,
}

/// A Secret that the server reads as files, one a key.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct SecretMount {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub secret_ref: String,
    /// Directory in which the files appear.
    #[schemars(length(min = 2, max = 512), regex(pattern = r"^/[^:]*$"))]
    pub mount_path: String,
    /// What a change of the Secret does to the pods.
    #[serde(default)]
    pub on_change: OnChange,
}

/// What a change of a mounted Secret does.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnChange {
    /// The pods are replaced, one after another.
    #[default]
    Restart,
    /// The pods stay: the server reads the files again by itself. They change within about a minute.
    Reread,
}

/// A small text file.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ConfigFile {
    /// Absolute path of the file in the container.
    #[schemars(length(min = 2, max = 512), regex(pattern = r"^/([^/:]+/)*[^/:]+$"))]
    pub path: String,
    /// The file's text.
    #[schemars(length(max = 65536))]
    pub content: String,
}

/// A volume of the server's container: exactly one of `emptyDir`, `claimRef` and `configMapRef` says what it holds.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq)]
#[x_kube(validation = kube::core::Rule::new("[has(self.emptyDir), has(self.claimRef), has(self.configMapRef)].exists_one(x, x)")
    .message("a volume must have exactly one of `emptyDir`, `claimRef` and `configMapRef`"))]
#[serde(rename_all = "camelCase")]
pub struct Volume {
    /// Name of the volume.
    #[schemars(length(min = 1, max = 50), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// Directory in which it appears.
    #[schemars(length(min = 2, max = 512), regex(pattern = r"^/[^:]*$"))]
    pub mount_path: String,
    /// How the server may use it.
    #[serde(default)]
    pub access: Access,
    /// Scratch space that lives as long as the pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub empty_dir: Option<EmptyDir>,
    /// Name of a `PersistentVolumeClaim` of this namespace. Where the server may write to it and has one pod at most, the old pod has
    /// ended before a new one starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub claim_ref: Option<String>,
    /// Name of a `ConfigMap` of this namespace, whose keys appear as files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub config_map_ref: Option<String>,
}

/// How a volume may be used.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// Read and write; a `ConfigMap` stays read-only.
    #[default]
    ReadWrite,
    /// Read only.
    ReadOnly,
}

/// Scratch space.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct EmptyDir {
    /// Most it may hold, such as `1Gi`; a pod that writes more is evicted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::quantity")]
    pub size_limit: Option<Quantity>,
}

/// Amounts of resources by name, such as `cpu` and `memory`.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Resources {
    /// Amounts that the node must have free.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "crate::schema::quantities")]
    pub requests: BTreeMap<String, Quantity>,
    /// Most that the container may use.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "crate::schema::quantities")]
    pub limits: BTreeMap<String, Quantity>,
}

/// GPUs that each pod gets.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq)]
#[x_kube(
    validation = kube::core::Rule::new("has(self.migProfile) == (self.sharing == 'Mig')")
        .message("`migProfile` must be given with `sharing: Mig`, and only with it").field_path(".migProfile"),
    validation = kube::core::Rule::new("self.sharing != 'TimeSliced' || self.count == 1")
        .message("`count` must be 1 with `sharing: TimeSliced`: more turns are not more GPU").field_path(".count")
)]
#[serde(rename_all = "camelCase")]
pub struct Gpu {
    /// How many GPUs a pod gets.
    #[schemars(range(min = 1, max = 64))]
    pub count: i32,
    /// Name of the extended resource that the device plugin offers.
    #[serde(default = "default_gpu_resource")]
    #[schemars(length(min = 3, max = 253), regex(pattern = r"^[a-z0-9.-]+/[A-Za-z0-9._-]+$"))]
    pub resource_name: String,
    /// Product that the node must have, as its label `<vendor>/gpu.product` says it, such as 'Tesla-T4'.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub product: Option<String>,
    /// Whether a GPU is had whole ('Exclusive'), in turns with other pods ('`TimeSliced`'), or as one of the parts
    /// that the hardware keeps apart ('Mig').
    #[serde(default)]
    pub sharing: GpuSharing,
    /// The part to ask for with `sharing: Mig`, such as '1g.5gb'.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 4, max = 32), regex(pattern = r"^[0-9]+g\.[0-9]+gb(\.me)?$"))]
    pub mig_profile: Option<String>,
}

impl Gpu {
    /// The extended resource that a pod asks for, as the device plugin names it: a shared GPU ends in `.shared`
    /// (time-slicing with `renameByDefault`), a part is `<vendor>/mig-<profile>` (the MIG strategy 'mixed').
    #[must_use]
    pub fn requested_resource(&self) -> String {
        match (self.sharing, &self.mig_profile) {
            (GpuSharing::Mig, Some(profile)) => format!("{}/mig-{profile}", self.vendor()),
            (GpuSharing::TimeSliced, _) => format!("{}.shared", self.resource_name),
            _ => self.resource_name.clone(),
        }
    }

    /// The part of the resource's name before the slash; node labels of the same vendor begin with it.
    #[must_use]
    pub fn vendor(&self) -> &str {
        self.resource_name.split('/').next().unwrap_or_default()
    }
}

/// How pods share a GPU.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GpuSharing {
    /// Nobody else uses it.
    #[default]
    Exclusive,
    /// Pods take turns on it; nothing keeps their memory apart.
    TimeSliced,
    /// The pod gets a part with memory of its own.
    Mig,
}

fn default_gpu_resource() -> String {
    "nvidia.com/gpu".to_owned()
}

/// Devices by dynamic resource allocation (`resource.k8s.io`), for what `gpu` cannot say: exactly one of
/// `claimName` and `claimTemplateName` is set.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq)]
#[x_kube(validation = kube::core::Rule::new("[has(self.claimName), has(self.claimTemplateName)].exists_one(x, x)")
    .message("an entry of `resourceClaims` must have exactly one of `claimName` and `claimTemplateName`"))]
#[serde(rename_all = "camelCase")]
pub struct ResourceClaim {
    /// Name of the entry.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// A `ResourceClaim` of this namespace, which all pods share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub claim_name: Option<String>,
    /// A `ResourceClaimTemplate` of this namespace, of which each pod gets a claim of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub claim_template_name: Option<String>,
    /// The one request within the claim that the container uses. Absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub request: Option<String>,
}

/// On which nodes the pods may run.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Placement {
    /// Labels that the node must have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "crate::schema::strings")]
    pub node_selector: BTreeMap<String, String>,
    /// Affinity and anti-affinity, as in a pod's `spec.affinity`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::opaque_object")]
    pub affinity: Option<Opaque>,
    /// Taints of nodes that the pods accept. The taint of the GPU's resource name is always accepted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Atomic)]
    pub tolerations: Vec<Toleration>,
    /// How the pods spread over zones, nodes or other labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["topologyKey".into()]))]
    pub topology_spread: Vec<TopologySpread>,
    /// Priority class of the pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub priority_class_name: Option<String>,
    /// Runtime class of the pods, such as 'gvisor'.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub runtime_class_name: Option<String>,
}

/// A taint that the pods accept, as in a pod's `spec.tolerations`.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Toleration {
    /// Key of the taint. Absent: every key, with `operator: Exists`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 316))]
    pub key: Option<String>,
    /// Whether the taint's value must equal `value`, or only the key must exist. Absent: 'Equal'.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<TolerationOperator>,
    /// Value of the taint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub value: Option<String>,
    /// Effect of the taint: 'NoSchedule', 'PreferNoSchedule' or 'NoExecute'. Absent: every effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<TaintEffect>,
    /// Seconds that a pod stays on a node once it gets a 'NoExecute' taint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub toleration_seconds: Option<i64>,
}

/// How a toleration is compared with a taint.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum TolerationOperator {
    /// The key must exist.
    Exists,
    /// Key and value must be equal.
    Equal,
}

/// What a taint does.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaintEffect {
    /// New pods stay away.
    NoSchedule,
    /// New pods stay away where they can.
    PreferNoSchedule,
    /// Running pods are evicted, too.
    NoExecute,
}

/// How pods spread over the values of a node label.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct TopologySpread {
    /// The node label, such as `topology.kubernetes.io/zone`.
    #[schemars(length(min = 1, max = 316))]
    pub topology_key: String,
    /// Most by which the numbers of pods of two values may differ.
    #[serde(default = "default_max_skew")]
    #[schemars(range(min = 1, max = 100))]
    pub max_skew: i32,
    /// What happens to a pod that would break the rule.
    #[serde(default)]
    pub when_unsatisfiable: WhenUnsatisfiable,
}

const fn default_max_skew() -> i32 {
    1
}

/// What happens to a pod that would break a spread rule.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenUnsatisfiable {
    /// It is placed all the same, where it does the least harm.
    #[default]
    ScheduleAnyway,
    /// It waits.
    DoNotSchedule,
}

/// Destinations that pods may open connections to: addresses, or pods.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq)]
#[x_kube(validation = kube::core::Rule::new("[has(self.cidrs), has(self.podLabels)].exists_one(x, x)")
    .message("an entry of `egress` must have exactly one of `cidrs` and `podLabels`"))]
#[serde(rename_all = "camelCase")]
pub struct Egress {
    /// Name of the entry; it says what the destination is for.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// Address ranges, such as '203.0.113.0/24', or '0.0.0.0/0' for any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 64),
        inner(length(min = 3, max = 49), regex(pattern = r"^[0-9A-Fa-f.:]+/[0-9]{1,3}$"))
    )]
    #[x_kube(merge_strategy = kube::core::ListMerge::Set)]
    pub cidrs: Vec<String>,
    /// Labels of pods of this namespace.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "crate::schema::strings")]
    pub pod_labels: BTreeMap<String, String>,
    /// TCP ports. Absent or empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(range(min = 1, max = 65535)))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Set)]
    pub ports: Vec<i32>,
}
