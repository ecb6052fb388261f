//! What the gateway is told about the servers behind it. Whoever finds them (Kubernetes watches, a folder of
//! manifests, a test) fills these types and sends them through a `tokio::sync::watch` channel.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use portico_crds::{McpServerSpec, mcp_server};

/// Identifies one server: a namespace and a name unique in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Protocol {
    /// Ask with `server/discover`; fall back to `initialize`.
    #[default]
    Auto,
    /// The session-based revisions, up to 2025-11-25.
    Legacy,
    /// The stateless revision 2026-07-28.
    Modern,
}

/// Which of a server's tools are shown, by globs over the names the server itself gives them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ToolSelection {
    /// Tools to show; none means all.
    pub include: Vec<String>,
    /// Tools to hide, also when included.
    pub exclude: Vec<String>,
}

/// How long a server may take.
#[derive(Debug, Clone, PartialEq, Eq)]
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
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
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

/// One MCP server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Which server.
    pub key: ServerKey,
    /// The revisions to speak with it.
    pub protocol: Protocol,
    /// Which of its tools to show.
    pub tools: ToolSelection,
    /// How long it may take.
    pub timeouts: Timeouts,
    /// Where it is ready. With none it stays listed with its last known list, and calls answer that it has no ready pod.
    pub endpoints: Vec<Endpoint>,
}

impl Server {
    /// The server that an `McpServer` describes, ready at `endpoints`.
    #[must_use]
    pub fn from_spec(key: ServerKey, spec: &McpServerSpec, endpoints: Vec<Endpoint>) -> Self {
        let tools = spec.tools.clone().unwrap_or_default();
        let timeouts = spec.timeouts.clone().unwrap_or_default();
        let per_tool = timeouts.tools.into_iter().map(|tool| (tool.name, seconds(tool.call_seconds)));
        Self {
            key,
            protocol: match spec.protocol {
                mcp_server::Protocol::Auto => Protocol::Auto,
                mcp_server::Protocol::Legacy => Protocol::Legacy,
                mcp_server::Protocol::Modern => Protocol::Modern,
            },
            tools: ToolSelection { include: tools.include, exclude: tools.exclude },
            timeouts: Timeouts { call: seconds(timeouts.call_seconds), tools: per_tool.collect() },
            endpoints,
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
