//! `McpServer`: one MCP server, wherever it comes from.

mod expose;
mod overrides;
mod pod;
mod source;
mod status;
mod tools;
mod upstream;

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use crate::scaling::Scaling;

pub use expose::{Exposed, HttpMethod, PathType};
pub use overrides::ServerOverrides;
pub use pod::{
    Access, ConfigFile, ConfigMapKeyRef, Egress, EmptyDir, EnvFrom, EnvVar, EnvVarSource, FieldRef, Gpu,
    GpuSharing, OnChange, Opaque, Placement, Quantity, ResourceClaim, Resources, SecretKeyRef, SecretMount,
    TaintEffect, Toleration, TolerationOperator, TopologySpread, Volume, WhenUnsatisfiable,
};
pub use source::{Builtin, BuiltinName, Image, Package, PullPolicy, Registry, Remote, ServiceRef, Source};
pub use status::{CONDITIONS, McpServerStatus, PinnedTool, ServerCatalog};
pub use tools::{
    DEFAULT_CALL_SECONDS, Hint, Pin, Timeouts, ToolAnnotations, ToolOverride, ToolTimeout, Tools,
};
pub use upstream::{
    ClientAuthMethod, OwnRequests, TokenType, UpstreamAuth, UpstreamClient, UpstreamExchange, UpstreamHeader,
    UpstreamUser,
};

/// The port a server listens on when the spec names none.
pub const DEFAULT_PORT: i32 = 8080;
/// The path of the MCP endpoint when the spec names none.
pub const DEFAULT_PATH: &str = "/mcp";

/// What an `McpServer` should be.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "portico.dev",
    version = "v1alpha1",
    kind = "McpServer",
    plural = "mcpservers",
    namespaced,
    status = "McpServerStatus",
    derive = "PartialEq",
    shortname = "pmcp",
    category = "portico",
    doc = "One MCP server: where it comes from, how it runs, and which of its tools clients see.",
    scale(
        spec_replicas_path = ".spec.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Reason", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].reason"#),
    printcolumn(name = "Instances", type_ = "string", json_path = ".status.instances"),
    printcolumn(name = "Idle", type_ = "date", json_path = ".status.scaling.idleSince"),
    printcolumn(name = "Decision", type_ = "string", json_path = ".status.scaling.decision"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].message"#,
        priority = 1
    ),
    printcolumn(name = "URL", type_ = "string", json_path = ".status.url", priority = 1),
    validation = kube::core::Rule::new("self.metadata.name.size() <= 50 && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')")
        .message("`metadata.name` must be at most 50 characters of 'a-z', '0-9' and '-', begin with a letter and end with a letter or digit"),
    cel
)]
#[x_kube(
    validation = kube::core::Rule::new("!(has(self.replicas) && has(self.scaling))")
        .message("at most one of `replicas` and `scaling` may be given").field_path(".scaling"),
    validation = kube::core::Rule::new("!has(self.transport) || self.transport != 'Stdio' || has(self.source.image) || has(self.source.__package__)")
        .message("`transport` may be 'Stdio' only with `source.image` or `source.package`").field_path(".transport"),
    validation = kube::core::Rule::new("!has(self.transport) || self.transport != 'Sse' || !(has(self.source.builtin) || self.protocol == 'Modern')")
        .message("`transport` may not be 'Sse' with `source.builtin` or `protocol: Modern`, which know streamable HTTP alone").field_path(".transport"),
    validation = kube::core::Rule::new(
        "!(has(self.source.remote) || has(self.source.service)) || !(has(self.replicas) || has(self.scaling) || has(self.env) || has(self.envFrom) || has(self.secretMounts) || has(self.configFiles) || has(self.volumes) || has(self.resources) || has(self.gpu) || has(self.resourceClaims) || has(self.placement) || has(self.podTemplate) || has(self.egress))"
    ).message("with `source.remote` or `source.service` nothing is deployed: `replicas`, `scaling`, `env`, `envFrom`, `secretMounts`, `configFiles`, `volumes`, `resources`, `gpu`, `resourceClaims`, `placement`, `podTemplate` and `egress` must be absent"),
    validation = kube::core::Rule::new("self.port == 8080 || !(has(self.source.remote) || has(self.source.service))")
        .message("`port` must be absent with `source.remote` and `source.service`, which name their own").field_path(".port"),
    validation = kube::core::Rule::new("!has(self.expose) || !(has(self.transport) ? self.transport == 'Stdio' : has(self.source.__package__))")
        .message("`expose` must be absent for a server that speaks standard input and output: it serves no HTTP").field_path(".expose"),
    validation = kube::core::Rule::new("!has(self.expose) || self.expose.all(exposed, exposed.path != self.path)")
        .message("`expose` must not hold the path of the MCP endpoint").field_path(".expose")
)]
#[serde(rename_all = "camelCase")]
pub struct McpServerSpec {
    /// Where the server comes from: exactly one of `image`, `builtin`, `package`, `remote` and `service`.
    pub source: Source,

    /// How the server speaks MCP: 'StreamableHttp'; 'Sse' for one that knows revision 2024-11-05 alone, with `path` that of
    /// its event stream; or 'Stdio' for a program that reads standard input and writes standard output; a bridge then runs
    /// beside it in the same container. Absent: 'Stdio' with `source.package`, else 'StreamableHttp', and 'Sse' where the
    /// server refuses that as such servers do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transport: Option<Transport>,

    /// TCP port the server listens on. It is also given to the program as the environment variable `PORT`.
    #[serde(default = "default_port")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: i32,

    /// Path of the MCP endpoint on `port`. With `source.remote` the URL says it.
    #[serde(default = "default_path")]
    #[schemars(length(min = 1, max = 256), regex(pattern = r"^/[A-Za-z0-9._~/-]*$"))]
    pub path: String,

    /// Which revisions of MCP the gateway speaks to the server. 'Auto' asks the server.
    #[serde(default)]
    pub protocol: Protocol,

    /// Number of pods. Absent: whoever scales the Deployment owns its replicas (1 at first): the gateway with
    /// `scaling`, else an autoscaler or a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1000))]
    pub replicas: Option<i32>,

    /// Bounds within which the gateway lets the number of pods follow the load, to zero and back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scaling: Option<Scaling>,

    /// Environment variables of the server's container.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["name".into()]))]
    pub env: Vec<EnvVar>,

    /// Secrets and ConfigMaps whose every key becomes an environment variable.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Atomic)]
    pub env_from: Vec<EnvFrom>,

    /// Secrets that the server reads as files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["mountPath".into()]))]
    pub secret_mounts: Vec<SecretMount>,

    /// Small text files, written here in full. A change rolls the pods.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["path".into()]))]
    pub config_files: Vec<ConfigFile>,

    /// Further volumes of the server's container.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["name".into()]))]
    pub volumes: Vec<Volume>,

    /// Amounts of CPU, memory and other resources that a pod asks for and may use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,

    /// GPUs that each pod gets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu: Option<Gpu>,

    /// Devices that each pod gets by dynamic resource allocation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["name".into()]))]
    pub resource_claims: Vec<ResourceClaim>,

    /// On which nodes the pods may run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placement: Option<Placement>,

    /// Strategic-merge patch of the pod template, for what no other field says. It is applied last and may undo
    /// what the operator sets, the security defaults included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::opaque_object")]
    pub pod_template: Option<Opaque>,

    /// Destinations the pods may open connections to, besides the cluster's DNS. Absent or empty: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["name".into()]))]
    pub egress: Vec<Egress>,

    /// Which of the server's tools clients see, and how they are described.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tools: Option<Tools>,

    /// How long the gateway waits for the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeouts: Option<Timeouts>,

    /// HTTP paths of the server that the gateway forwards under `/servers/{namespace}/{name}`, as for callbacks, web-hooks
    /// and REST. Absent or empty: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["path".into()]))]
    pub expose: Vec<Exposed>,

    /// How the gateway proves to the server who it is. It shows this to the server's MCP endpoint alone, never to clients
    /// and not on the paths of `expose`. Absent: it shows nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream_auth: Option<UpstreamAuth>,

    /// What is kept of each tool call of a server that Portico ships, as lines of its log. A program of somebody
    /// else reads it as the environment variable `PORTICO_AUDIT`.
    #[serde(default)]
    pub audit: Audit,
}

const fn default_port() -> i32 {
    DEFAULT_PORT
}

fn default_path() -> String {
    DEFAULT_PATH.to_owned()
}

impl McpServerSpec {
    /// How the program speaks, with the default that its source implies.
    #[must_use]
    pub fn transport(&self) -> Transport {
        let implied =
            if self.source.package.is_some() { Transport::Stdio } else { Transport::StreamableHttp };
        self.transport.unwrap_or(implied)
    }

    /// Whether the operator deploys anything for this server.
    #[must_use]
    pub const fn is_deployed(&self) -> bool {
        self.source.remote.is_none() && self.source.service.is_none()
    }
}

/// What is kept of a tool call.
#[derive(Serialize, Deserialize, schemars::JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Audit {
    /// Nothing.
    #[default]
    Off,
    /// Which tool was called, when, how long it took and how it ended.
    Metadata,
    /// The names of its arguments as well; never their values.
    Arguments,
}

impl Audit {
    /// The level as manifests and the variable `PORTICO_AUDIT` write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "Off",
            Self::Metadata => "Metadata",
            Self::Arguments => "Arguments",
        }
    }
}

/// How a server's program speaks MCP.
#[derive(Serialize, Deserialize, schemars::JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Streamable HTTP, one endpoint.
    StreamableHttp,
    /// One event stream for all that the server says, as revision 2024-11-05 has it.
    Sse,
    /// Standard input and output.
    Stdio,
}

/// Revisions of MCP towards a server.
#[derive(Serialize, Deserialize, schemars::JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// Ask the server, newest first, and remember the answer.
    #[default]
    Auto,
    /// The session-based revisions, up to 2025-11-25.
    Legacy,
    /// The stateless revisions, from 2026-07-28.
    Modern,
}
