//! What the gateway is told about the servers behind it. Whoever finds them (Kubernetes watches, a folder of
//! manifests, a test) fills these types and sends them through a `tokio::sync::watch` channel.

mod model;
mod scaled;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use portico_crds::mcp_server::{Exposed, Hint, PathType, UpstreamAuth};
use portico_crds::{McpServer, McpServerSpec, labels, mcp_server};
use serde::{Deserialize, Deserializer, Serialize};

pub use model::Model;
pub use scaled::{Bounds, Scaled, Trouble};

/// Identifies one server: a namespace and a name unique in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ServerKey {
    /// The namespace; servers of one name may live in several.
    pub namespace: String,
    /// The name; it is the prefix of a tool's name when two servers clash.
    pub name: String,
}

impl fmt::Display for ServerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// Which revisions of MCP a server is spoken to in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Protocol {
    /// Ask with `server/discover`; fall back to `initialize`.
    #[default]
    Auto,
    /// The session-based revisions, up to 2025-11-25.
    Legacy,
    /// The stateless revision 2026-07-28.
    Modern,
}

/// How a server takes messages over HTTP.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Transport {
    /// Streamable HTTP, or one stream where a server refuses the former as servers of 2024-11-05 do.
    #[default]
    Auto,
    /// Streamable HTTP.
    StreamableHttp,
    /// One stream for all that the server says, and an address for what is said to it (revision 2024-11-05).
    Sse,
}

impl Transport {
    /// What a manifest says. A bridge in front of standard input and output speaks streamable HTTP.
    fn of(spec: &McpServerSpec) -> Self {
        match (spec.transport, spec.transport()) {
            (_, mcp_server::Transport::Sse) => Self::Sse,
            (None, mcp_server::Transport::StreamableHttp) if spec.source.builtin.is_none() => Self::Auto,
            (_, mcp_server::Transport::StreamableHttp | mcp_server::Transport::Stdio) => Self::StreamableHttp,
        }
    }
}

/// Which of a server's tools are shown, by globs over the names the server itself gives them, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolSelection {
    /// Tools to show; none means all.
    pub include: Vec<String>,
    /// Tools to hide, also when included.
    pub exclude: Vec<String>,
    /// What clients are told of single tools in place of what the server says, by the server's own names.
    pub overrides: BTreeMap<String, ToolOverride>,
}

/// What clients are told of one tool; what is absent stays as the server wrote it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolOverride {
    /// The name clients call it by.
    pub rename: Option<String>,
    /// Its title.
    pub title: Option<String>,
    /// Its description.
    pub description: Option<String>,
    /// Hints of its `annotations` and what they are to be.
    #[serde(deserialize_with = "known_hints")]
    pub hints: BTreeMap<&'static str, bool>,
}

/// The hints of a tool's `annotations`.
const HINTS: [&str; 4] = ["readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"];

/// A hint that is not known is left out.
fn known_hints<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<&'static str, bool>, D::Error> {
    let all: BTreeMap<String, bool> = Deserialize::deserialize(from)?;
    Ok(HINTS.into_iter().filter_map(|hint| Some((hint, *all.get(hint)?))).collect())
}

impl From<mcp_server::ToolOverride> for ToolOverride {
    fn from(spec: mcp_server::ToolOverride) -> Self {
        let annotations = spec.annotations.unwrap_or_default();
        let said = [
            annotations.read_only_hint,
            annotations.destructive_hint,
            annotations.idempotent_hint,
            annotations.open_world_hint,
        ];
        let hints = HINTS.into_iter().zip(said);
        let given = |(name, hint): (_, Option<Hint>)| hint.map(|hint| (name, hint == Hint::Asserted));
        Self {
            rename: spec.rename,
            title: spec.title,
            description: spec.description,
            hints: hints.filter_map(given).collect(),
        }
    }
}

impl From<mcp_server::Tools> for ToolSelection {
    fn from(spec: mcp_server::Tools) -> Self {
        let overrides = spec.overrides.into_iter().map(|change| (change.name.clone(), change.into()));
        Self { include: spec.include, exclude: spec.exclude, overrides: overrides.collect() }
    }
}

/// That a server's tools must stay what they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pinning {
    /// What happens when they do not.
    pub mode: mcp_server::Pin,
    /// The digest of the list that somebody approved, `sha256:…`.
    pub approved: Option<String>,
    /// What was remembered outside of this process.
    pub remembered: Option<Pinned>,
}

/// What a server's tools meant when they were approved or seen first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pinned {
    /// The digest of each tool's definition, by the name that the server gives it.
    pub tools: BTreeMap<String, String>,
}

/// Which HTTP paths of a server are forwarded.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Exposure {
    /// The paths.
    pub paths: Vec<Exposed>,
    /// The path of the MCP endpoint, which is not forwarded, nor anything below it.
    pub mcp: String,
}

impl Exposure {
    /// Whether `path` is forwarded with some method.
    #[must_use]
    pub fn covers(&self, path: &str) -> bool {
        !covers(&self.mcp, PathType::Prefix, path) && self.of(path).next().is_some()
    }

    /// Whether `path`, which is forwarded, is with this method.
    #[must_use]
    pub fn allows(&self, path: &str, method: &str) -> bool {
        self.of(path).any(|exposed| {
            exposed.methods.is_empty() || exposed.methods.iter().any(|allowed| allowed.as_str() == method)
        })
    }

    fn of(&self, path: &str) -> impl Iterator<Item = &Exposed> {
        self.paths.iter().filter(move |exposed| covers(&exposed.path, exposed.kind, path))
    }
}

fn covers(own: &str, kind: PathType, path: &str) -> bool {
    match path.strip_prefix(own) {
        Some("") => true,
        Some(rest) => kind == PathType::Prefix && rest.starts_with('/'),
        None => false,
    }
}

/// How long a server may take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeouts {
    /// For each call, counted from the last sign of progress.
    pub call: Duration,
    /// The same for single tools, by the name the server gives them.
    pub tools: BTreeMap<String, Duration>,
}

impl Timeouts {
    /// The time `tool` may take.
    #[must_use]
    pub fn of(&self, tool: &str) -> Duration {
        self.tools.get(tool).copied().unwrap_or(self.call)
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { call: Duration::from_mins(1), tools: BTreeMap::new() }
    }
}

/// One place where a server answers: one ready pod, process or remote host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Endpoint {
    /// The URL of its MCP endpoint, such as `http://127.0.0.1:40001/mcp`.
    pub url: String,
    /// Whether a person wrote the URL, as that of a remote server: it must then be public or allowed.
    pub remote: bool,
}

impl Endpoint {
    /// A pod or process, where whoever runs it says that it is.
    pub fn pod(url: impl Into<String>) -> Self {
        Self { url: url.into(), remote: false }
    }

    /// A remote server, where its manifest says that it is.
    pub fn remote(url: impl Into<String>) -> Self {
        Self { url: url.into(), remote: true }
    }
}

/// What a server serves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// MCP.
    #[default]
    Server,
    /// A language model, over an API like that of `OpenAI`.
    Model,
}

/// One MCP server, or one language model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Server {
    /// Which server.
    pub key: ServerKey,
    /// The revisions to speak with it.
    pub protocol: Protocol,
    /// How it takes messages.
    pub transport: Transport,
    /// Which of its tools to show.
    pub tools: ToolSelection,
    /// Whether its tools must stay what they are.
    pub pinning: Option<Pinning>,
    /// How long it may take.
    pub timeouts: Timeouts,
    /// Which of its paths are forwarded beside MCP.
    pub exposure: Exposure,
    /// How the gateway proves to it who it is.
    pub auth: Option<UpstreamAuth>,
    /// Where it is ready. With none it stays listed with its last known list, and calls answer that it has no ready pod, or
    /// wait for one if it is scaled.
    pub endpoints: Vec<Endpoint>,
    /// Where it starts: it is used there as soon as it answers, also before its cluster calls it ready.
    pub starting: Vec<Endpoint>,
    /// Where it is about to go: sessions that are open there go on, and nothing new begins.
    pub draining: Vec<Endpoint>,
    /// How its replicas follow its load; `None` if they do not.
    pub scaled: Option<Scaled>,
    /// What there is to know of a language model; `None` of a server of MCP.
    pub model: Option<Model>,
}

impl Server {
    /// What it serves.
    #[must_use]
    pub fn kind(&self) -> Kind {
        if self.model.is_some() { Kind::Model } else { Kind::Server }
    }

    /// A server about which nothing else is said, ready at `endpoints`.
    #[must_use]
    pub fn new(key: ServerKey, endpoints: Vec<Endpoint>) -> Self {
        Self {
            key,
            protocol: Protocol::Auto,
            transport: Transport::Auto,
            tools: ToolSelection::default(),
            pinning: None,
            timeouts: Timeouts::default(),
            exposure: Exposure::default(),
            auth: None,
            endpoints,
            starting: Vec::new(),
            draining: Vec::new(),
            scaled: None,
            model: None,
        }
    }

    /// The server that an `McpServer` describes, ready at `endpoints`, with what its annotations say.
    #[must_use]
    pub fn from_resource(resource: &McpServer, endpoints: Vec<Endpoint>) -> Self {
        let meta = &resource.metadata;
        let key = ServerKey {
            namespace: meta.namespace.clone().unwrap_or_default(),
            name: meta.name.clone().unwrap_or_default(),
        };
        let mut server = Self::from_spec(key, &resource.spec, endpoints);
        if let Some(pinning) = &mut server.pinning {
            let annotations = meta.annotations.as_ref();
            pinning.approved = annotations.and_then(|all| all.get(labels::APPROVED_TOOLS)).cloned();
        }
        server
    }

    /// The server that the spec of an `McpServer` describes, ready at `endpoints`.
    #[must_use]
    pub fn from_spec(key: ServerKey, spec: &McpServerSpec, endpoints: Vec<Endpoint>) -> Self {
        let tools = spec.tools.clone().unwrap_or_default();
        let timeouts = spec.timeouts.clone().unwrap_or_default();
        let per_tool = timeouts.tools.into_iter().map(|tool| (tool.name, seconds(tool.call_seconds)));
        Self {
            protocol: match spec.protocol {
                mcp_server::Protocol::Auto => Protocol::Auto,
                mcp_server::Protocol::Legacy => Protocol::Legacy,
                mcp_server::Protocol::Modern => Protocol::Modern,
            },
            transport: Transport::of(spec),
            pinning: tools.pin.map(|mode| Pinning { mode, approved: None, remembered: None }),
            tools: tools.into(),
            timeouts: Timeouts { call: seconds(timeouts.call_seconds), tools: per_tool.collect() },
            exposure: Exposure { paths: spec.expose.clone(), mcp: spec.path.clone() },
            auth: spec.upstream_auth.clone(),
            ..Self::new(key, endpoints)
        }
    }
}

/// The schema lets no negative number through; one that slips in means the default.
fn seconds(number: i32) -> Duration {
    let number = u64::try_from(number).unwrap_or(mcp_server::DEFAULT_CALL_SECONDS.unsigned_abs().into());
    Duration::from_secs(number)
}

/// All servers at one moment.
pub type Servers = Arc<Vec<Server>>;
