//! The arguments of every command.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Runs MCP servers on Kubernetes, and on a laptop, behind one endpoint.
#[derive(Debug, Parser)]
#[command(name = "portico", version, propagate_version = true, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Form of the log on standard error; `text` on a terminal, else `json`. LOG_LEVEL says how much is logged.
    #[arg(long, value_enum, global = true)]
    pub log_format: Option<LogFormat>,
}

/// Form of the log.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a folder of manifests here: servers as local processes, and one endpoint for all of them.
    Up(Up),
    /// Check manifests by schema, rule and reference, as a cluster would.
    Check(Check),
    /// Print the custom resource definitions, ready for `kubectl apply -f -`.
    Crds(Crds),
    /// Print the operator's roles, for the whole cluster or for single namespaces.
    Rbac(Rbac),
    /// Say what the reason of a condition or an event means, and what to do.
    Explain(Explain),
    /// Say whether the gateway's rules let somebody call a tool, and which rule decides.
    Access(Access),
    /// Turn McpServers of a cluster into running workloads.
    Operator(Operator),
    /// Serve one MCP endpoint in front of a cluster's McpServers.
    Gateway(Gateway),
    /// Run one of the MCP servers that Portico ships.
    Serve(Serve),
    /// Serve a local stdio MCP server over streamable HTTP.
    Bridge(Bridge),
    /// Download the file of a language model: resumed, verified, and in its place only when it is whole.
    Fetch(Fetch),
    /// Run a local imitation of an upstream API, for trials and tests.
    Standin(Standin),
    /// Print the completion script of a shell.
    Completions(Completions),
    /// Run a command that ends when standard input, a socket, closes: how `up` runs everything.
    #[command(hide = true)]
    Keep(Keep),
}

/// Arguments of `up`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  portico up examples/quickstart
  portico up --listen 127.0.0.1:0 --json manifests/ | jq -c 'select(.state == \"failed\")'

Edits to the files take effect while it runs. Ctrl-C ends everything that was started.")]
pub struct Up {
    /// A manifest, or a folder of them.
    pub path: PathBuf,
    /// Address of the MCP endpoint, which is at `/mcp`; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:7300", env = "PORTICO_LISTEN")]
    pub listen: SocketAddr,
    /// YAML file that says how names are made and which tool sets are served (docs/gateway.md).
    #[arg(long, env = "PORTICO_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print one JSON object a line for each change of state.
    #[arg(long)]
    pub json: bool,
    /// Network outside the public Internet in which remote servers may be, such as 192.168.0.0/16; may be repeated. This
    /// machine always is.
    #[arg(long, value_name = "CIDR")]
    pub allow_remote: Vec<ipnet::IpNet>,
    /// Show what the servers themselves print.
    #[arg(long, short)]
    pub verbose: bool,
}

/// Arguments of `check`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  portico check examples/quickstart
  portico check --json server.yaml

Exit codes: 0 all valid, 1 something is wrong, 2 wrong usage.")]
pub struct Check {
    /// Manifests, or folders of them.
    #[arg(required = true)]
    pub paths: Vec<PathBuf>,
    /// Print one JSON object a line for each finding.
    #[arg(long)]
    pub json: bool,
    /// Count references that lead out of what is checked as wrong.
    #[arg(long)]
    pub strict: bool,
}

/// Arguments of `crds`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  portico crds | kubectl apply --server-side -f -")]
pub struct Crds {
    /// Write one file a definition into this folder instead of printing them.
    #[arg(long, value_name = "FOLDER")]
    pub write: Option<PathBuf>,
}

/// Arguments of `rbac`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  portico rbac | kubectl apply -f -
  portico rbac --namespace shop --namespace kitchen | kubectl apply -f -

With namespaces there are only Roles and RoleBindings, for an installation without cluster-wide rights.")]
pub struct Rbac {
    /// A namespace that the operator looks at; may be repeated.
    #[arg(long)]
    pub namespace: Vec<String>,
    /// The operator's service account, as NAMESPACE/NAME.
    #[arg(long, default_value = "portico-system/portico-operator")]
    pub account: String,
}

/// Arguments of `explain`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  portico explain ReferenceNotFound
  portico explain

Exit codes: 0 explained, 1 no such reason, 2 wrong usage.")]
pub struct Explain {
    /// The reason, as a condition or an event gives it; absent: all of them, a line each.
    pub reason: Option<String>,
    /// Print JSON, one object a line.
    #[arg(long)]
    pub json: bool,
    /// Print the reference page.
    #[arg(long, hide = true)]
    pub markdown: bool,
}

/// Arguments of `access`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  portico access --config gateway.yaml --as key:till-3 shop/pos refund --arguments '{\"amount\": 120}'
  portico access --config gateway.yaml --claims claims.json shop/files read_file --annotations '{\"readOnlyHint\": true}'

Exit codes: 0 the call would be made, 3 it would not, or not at once; 1 the configuration is wrong, 2 wrong usage.")]
pub struct Access {
    /// The gateway's configuration file.
    #[arg(long, env = "PORTICO_CONFIG", value_name = "FILE")]
    pub config: PathBuf,
    /// Who calls: `anonymous`, `key:NAME` or `ISSUER#SUBJECT`; absent: as the claims say, else anonymous.
    #[arg(long = "as", value_name = "PRINCIPAL")]
    pub principal: Option<String>,
    /// JSON file with what the caller's access token says.
    #[arg(long, value_name = "FILE")]
    pub claims: Option<PathBuf>,
    /// Address the call comes from.
    #[arg(long)]
    pub address: Option<std::net::IpAddr>,
    /// The server, as NAMESPACE/NAME.
    pub server: String,
    /// The tool, by its name before any prefix.
    pub tool: String,
    /// The tool's annotations, a JSON object; absent: as MCP says of a tool without.
    #[arg(long, default_value = "{}", value_name = "JSON")]
    pub annotations: String,
    /// The arguments of the call, a JSON object.
    #[arg(long, default_value = "{}", value_name = "JSON")]
    pub arguments: String,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Kinds of resources, as kubectl names them.
#[derive(Debug, Clone, Copy, ValueEnum)]
#[value(rename_all = "lower")]
pub enum Kind {
    /// MCP servers.
    McpServers,
    /// Language models.
    InferenceModels,
    /// Integrations of Kroger.
    KrogerIntegrations,
    /// Shops.
    ShopConnectors,
}

/// Arguments of `operator`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  portico operator --namespace shop
  portico operator --no-leader-election

It talks to the cluster of KUBECONFIG or ~/.kube/config, or of the pod it runs in.")]
pub struct Operator {
    /// Look at this namespace alone; may be repeated; absent: at all.
    #[arg(long, env = "PORTICO_NAMESPACE", value_delimiter = ',')]
    pub namespace: Vec<String>,
    /// Act on these kinds alone; a kind that is left out needs no role.
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        env = "PORTICO_KINDS",
        default_value = "mcpservers,inferencemodels,krogerintegrations,shopconnectors"
    )]
    pub kinds: Vec<Kind>,
    /// Address of /healthz, /readyz and /metrics.
    #[arg(long, default_value = "0.0.0.0:8081", env = "PORTICO_OPERATOR_LISTEN")]
    pub listen: SocketAddr,
    /// Portico's own image, for the shipped servers and the stdio bridge.
    #[arg(long, env = "PORTICO_IMAGE", value_name = "IMAGE")]
    pub portico_image: Option<String>,
    /// Image in which npm packages run.
    #[arg(long, env = "PORTICO_NPM_IMAGE", value_name = "IMAGE")]
    pub npm_image: Option<String>,
    /// Image in which PyPI packages run.
    #[arg(long, env = "PORTICO_PYPI_IMAGE", value_name = "IMAGE")]
    pub pypi_image: Option<String>,
    /// Image of the server of llama.cpp, for the CPU.
    #[arg(long, env = "PORTICO_LLAMA_IMAGE", value_name = "IMAGE")]
    pub llama_image: Option<String>,
    /// The same for CUDA.
    #[arg(long, env = "PORTICO_LLAMA_CUDA_IMAGE", value_name = "IMAGE")]
    pub llama_cuda_image: Option<String>,
    /// Image of the vLLM server.
    #[arg(long, env = "PORTICO_VLLM_IMAGE", value_name = "IMAGE")]
    pub vllm_image: Option<String>,
    /// Image of Ollama.
    #[arg(long, env = "PORTICO_OLLAMA_IMAGE", value_name = "IMAGE")]
    pub ollama_image: Option<String>,
    /// Namespace of the gateway: servers and models let in its pods of this namespace alone. Absent: pods with the gateway's label, of any namespace.
    #[arg(long, env = "PORTICO_GATEWAY_NAMESPACE", value_name = "NAME")]
    pub gateway_namespace: Option<String>,
    /// Namespace of the operator: the same of its own pods.
    #[arg(long, env = "PORTICO_OPERATOR_NAMESPACE", value_name = "NAME")]
    pub operator_namespace: Option<String>,
    /// Namespace of the Lease by which several operators agree who acts. Absent: the pod's own, outside a cluster `portico-system`.
    #[arg(long, env = "POD_NAMESPACE", value_name = "NAME")]
    pub lease_namespace: Option<String>,
    /// Act without a Lease: only where no other operator can run.
    #[arg(long)]
    pub no_leader_election: bool,
}

/// Arguments of `gateway`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  portico gateway --namespace shop --public-host mcp.example.com
  portico gateway --listen 127.0.0.1:7300

It talks to the cluster of KUBECONFIG or ~/.kube/config, or of the pod it runs in.")]
pub struct Gateway {
    /// Look at this namespace alone; absent: at all.
    #[arg(long, env = "PORTICO_NAMESPACE")]
    pub namespace: Option<String>,
    /// Address of the MCP endpoint /mcp, and of /healthz, /readyz and /metrics.
    #[arg(long, default_value = "0.0.0.0:7300", env = "PORTICO_LISTEN")]
    pub listen: SocketAddr,
    /// Address of the admin port: a page, /status, /log, and /healthz, /readyz and /metrics; a port alone is one on loopback.
    /// It asks nobody who they are. Absent: none.
    #[arg(long, env = "PORTICO_ADMIN", value_name = "ADDRESS", value_parser = admin_address)]
    pub admin: Option<SocketAddr>,
    /// Host name under which clients reach the gateway; may be repeated. Absent: on an address other than loopback
    /// any host is accepted.
    #[arg(long, value_name = "HOST")]
    pub public_host: Vec<String>,
    /// URL under which the other replicas reach this one, such as `http://10.1.2.3:7300` with the pod's own address: what clients
    /// answer to its questions is then handed on to it. All replicas need the same session keys, and no TLS of their own.
    #[arg(long, value_name = "URL", env = "PORTICO_PEER_URL", value_parser = peer_url)]
    pub peer_url: Option<String>,
    /// File of keys that seal session ids, one a line, 64 hexadecimal digits each; the first seals, all open. All
    /// replicas need the same. Absent: a key of this process alone.
    #[arg(long, env = "PORTICO_SESSION_KEYS_FILE", value_name = "FILE")]
    pub session_keys_file: Option<PathBuf>,
    /// Folder in which the servers and their last known lists outlive a restart, also one while the cluster cannot be
    /// reached; absent: lists alone, in ConfigMaps beside the McpServers.
    #[arg(long, env = "PORTICO_STATE", value_name = "FOLDER")]
    pub state: Option<PathBuf>,
    /// Namespace of the Lease by which several gateways agree who writes statuses. Absent: the pod's own, outside a cluster
    /// `portico-system`.
    #[arg(long, env = "POD_NAMESPACE", value_name = "NAME")]
    pub lease_namespace: Option<String>,
    /// Service in the namespace of the Lease behind which all replicas of the gateway are: the one that scales servers asks the
    /// others how much they have to do. Absent: this one is alone.
    #[arg(long, value_name = "NAME", env = "PORTICO_PEER_SERVICE", requires = "session_keys_file")]
    pub peer_service: Option<String>,
    /// Write nothing to the cluster: what the gateway knows of the servers is then not in their status, and none is scaled.
    #[arg(long)]
    pub no_status: bool,
    /// YAML file that says how names are made and which tool sets are served (docs/gateway.md); its changes are taken
    /// over while the gateway runs.
    #[arg(long, env = "PORTICO_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// PEM file of certificate authorities that may vouch for remote servers, besides the system's.
    #[arg(long, env = "PORTICO_CA_FILE", value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// Network outside the public Internet in which remote servers may be, such as 10.20.0.0/16; may be repeated.
    #[arg(long, value_name = "CIDR")]
    pub allow_remote: Vec<ipnet::IpNet>,
    /// Seconds for which clients are still served after SIGTERM, not ready any more, until the cluster sends them elsewhere.
    #[arg(long, default_value_t = 5, env = "PORTICO_SHUTDOWN_DELAY", value_name = "SECONDS")]
    pub shutdown_delay: u64,
}

/// A port alone is one that nobody reaches from outside.
fn admin_address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(port) = text.parse::<u16>() {
        return Ok((std::net::Ipv4Addr::LOCALHOST, port).into());
    }
    text.parse().map_err(|_| "give a port, or an address and a port such as 0.0.0.0:7301".to_owned())
}

/// Arguments of `serve`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  FILES_ALLOWED_DIRS=/srv/docs portico serve files
  KROGER_CLIENT_ID=… KROGER_CLIENT_SECRET_FILE=/run/secret DATABASE_URL=sqlite:kroger.db portico serve kroger
  FILES_ALLOWED_DIRS=\"$PWD\" portico serve files --stdio")]
pub struct Serve {
    /// Which server; its settings are environment variables.
    #[arg(value_enum)]
    pub name: ServerName,
    /// Address to listen on; the endpoint is at `/mcp`. By default 127.0.0.1 and the server's port: 9011 for kroger, 8080 for others.
    #[arg(long, env = "PORTICO_LISTEN")]
    pub listen: Option<SocketAddr>,
    /// Speak on standard input and output instead.
    #[arg(long, conflicts_with = "listen")]
    pub stdio: bool,
}

/// The servers that Portico ships.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum ServerName {
    /// Files of allowed directories (FILES_ALLOWED_DIRS, FILES_WRITABLE, FILES_MAX_BYTES).
    Files,
    /// Products, stores, carts, lists and meal plans of Kroger (KROGER_CLIENT_ID, KROGER_CLIENT_SECRET, KROGER_BASE_URL, …).
    Kroger,
}

impl ServerName {
    /// The port that it listens on where nothing else is said.
    pub const fn port(self) -> u16 {
        match self {
            Self::Files => 8080,
            Self::Kroger => 9011,
        }
    }
}

/// Arguments of `bridge`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  portico bridge --listen 127.0.0.1:9000 -- npx -y @modelcontextprotocol/server-everything"
)]
pub struct Bridge {
    /// Address to listen on.
    #[arg(long, default_value = "127.0.0.1:8080", env = "PORTICO_LISTEN")]
    pub listen: SocketAddr,
    /// Path of the MCP endpoint.
    #[arg(long, default_value = "/mcp")]
    pub path: String,
    /// Processes of the server at the same time, one a session; a further session is refused.
    #[arg(long, default_value_t = 32)]
    pub max_children: usize,
    /// Copy this program into a folder and end: how a pod brings the bridge into another image.
    #[arg(long, value_name = "FOLDER", conflicts_with = "command")]
    pub install: Option<PathBuf>,
    /// The stdio server and its arguments, after `--`.
    #[arg(last = true, required_unless_present = "install")]
    pub command: Vec<String>,
}

/// Arguments of `fetch`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  portico fetch --url https://models.example.com/small.gguf --sha256 \"$SUM\" --into /models/small.gguf
  portico fetch --hugging-face ggml-org/gemma-3-4b-it-GGUF --file gemma-3-4b-it-Q4_K_M.gguf --into /models/gemma.gguf

What has come so far is kept in FILE.partial; the same command goes on from there. Without --sha256 a file of Hugging Face is
held against the checksum that the repository states, which rules out damage on the way but not another file. HF_ENDPOINT names
another endpoint than the public one. Proxies are taken from HTTPS_PROXY, HTTP_PROXY and NO_PROXY.

The outcome also goes, as one line `REASON: message`, to the file that PORTICO_TERMINATION_LOG names, else to
/dev/termination-log where that exists.

Exit codes: 0 Downloaded, 1 wrong token file or address, 2 wrong usage, 3 ChecksumMismatch, 4 NoSpace, 5 NotFound,
6 Unauthorized, 7 Unreachable, 8 Interrupted, 9 Unwritable.")]
pub struct Fetch {
    /// URL of the file.
    #[arg(long, required_unless_present = "hugging_face", requires = "sha256")]
    pub url: Option<String>,
    /// Owner and name of a Hugging Face repository.
    #[arg(long, value_name = "REPOSITORY", conflicts_with = "url", requires = "file")]
    pub hugging_face: Option<String>,
    /// Path of the file in the repository.
    #[arg(long, requires = "hugging_face")]
    pub file: Option<String>,
    /// Branch, tag or commit of the repository.
    #[arg(long, default_value = "main")]
    pub revision: String,
    /// Endpoint of Hugging Face.
    #[arg(long, default_value = "https://huggingface.co", env = "HF_ENDPOINT", hide = true)]
    pub hf_endpoint: String,
    /// SHA-256 that the file must have, as `sha256sum` prints it.
    #[arg(long, value_name = "HEX")]
    pub sha256: Option<portico_models::fetch::Sha256>,
    /// Bytes that the file must have.
    #[arg(long, value_name = "BYTES")]
    pub size: Option<u64>,
    /// Where the file goes; its folder is made.
    #[arg(long, value_name = "FILE")]
    pub into: PathBuf,
    /// File with a token, which is sent to the origin of the URL alone.
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Address at which `GET /progress` tells how far it is, as JSON.
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
    /// Seconds for everything, all tries together.
    #[arg(long, value_name = "SECONDS", default_value_t = 21_600)]
    pub deadline: u64,
    /// File for the outcome.
    #[arg(long, env = "PORTICO_TERMINATION_LOG", hide = true)]
    pub termination_log: Option<PathBuf>,
}

/// Arguments of `standin`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  portico standin kroger --listen 127.0.0.1:9500")]
pub struct Standin {
    /// Which API.
    #[arg(value_enum)]
    pub name: StandinName,
    /// Address to listen on.
    #[arg(long, default_value = "127.0.0.1:8080", env = "PORTICO_LISTEN")]
    pub listen: SocketAddr,
}

/// The upstream APIs that are imitated.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum StandinName {
    /// The Kroger public API (STANDIN_CLIENT_ID, STANDIN_CLIENT_SECRET), over invented products.
    Kroger,
}

/// Arguments of `completions`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  portico completions bash > ~/.local/share/bash-completion/completions/portico"
)]
pub struct Completions {
    /// The shell.
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

/// Arguments of `keep`.
#[derive(Debug, Args)]
pub struct Keep {
    /// Milliseconds between asking the command to end and killing it.
    #[arg(long, default_value_t = 10_000)]
    pub grace: u64,
    /// The command and its arguments, after `--`.
    #[arg(last = true, required = true)]
    pub command: Vec<String>,
}

/// A URL of a replica, without the slash that may end it.
fn peer_url(text: &str) -> Result<String, String> {
    let url = text.trim_end_matches('/');
    let authority = url.strip_prefix("http://").filter(|rest| !rest.is_empty() && !rest.contains('/'));
    authority.map(|_| url.to_owned()).ok_or_else(|| "must be http://ADDRESS:PORT, without a path".to_owned())
}
