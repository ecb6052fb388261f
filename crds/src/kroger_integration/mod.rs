//! `KrogerIntegration`: Kroger's products, stores and carts as one MCP server.

mod limits;
mod status;
mod storage;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::mcp_server::ServerOverrides;
use crate::rules;
use crate::secret_value::{ClientCredentials, SecretValue};

pub use limits::{DailyRequests, Limits};
pub use status::{CONDITIONS, Keys, KrogerIntegrationStatus};
pub use storage::{
    Cache, DEFAULT_CACHE_MEBIBYTES, DEFAULT_SIZE, Embedded, MemoryCache, PostgreSql, Storage, WhenDeleted,
};

/// What follows the integration's name in the name of its `McpServer`.
pub const SERVER_SUFFIX: &str = "-kroger";
/// Days an old key is kept when the spec says nothing.
pub const DEFAULT_RETAIN_DAYS: i32 = 30;

/// What a `KrogerIntegration` should be.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "portico.dev",
    version = "v1alpha1",
    kind = "KrogerIntegration",
    plural = "krogerintegrations",
    namespaced,
    status = "KrogerIntegrationStatus",
    derive = "PartialEq",
    shortname = "pkroger",
    category = "portico",
    doc = "Kroger's products, stores and carts as one MCP server: the application's credentials, limits, and where sessions are kept.",
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Reason", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].reason"#),
    printcolumn(name = "Credentials", type_ = "string", json_path = r#".status.conditions[?(@.type=="CredentialsValid")].status"#),
    printcolumn(name = "URL", type_ = "string", json_path = ".status.url"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].message"#,
        priority = 1
    ),
    validation = rules::name(43),
    cel
)]
#[x_kube(
    validation = kube::core::Rule::new("(self.environment == 'Custom') == has(self.baseUrl)")
        .message("`baseUrl` must be given with `environment: Custom`, and with no other").field_path(".baseUrl"),
    validation = kube::core::Rule::new("!has(self.server) || !has(self.server.replicas) || self.server.replicas <= 1 || (has(self.storage) && has(self.storage.postgresql))")
        .message("`server.replicas` must be 0 or 1 with embedded storage, which one pod alone can open; more need `storage.postgresql`").field_path(".server.replicas")
)]
#[serde(rename_all = "camelCase")]
pub struct KrogerIntegrationSpec {
    /// The application's credentials, as developer.kroger.com gives them. They belong to one of Kroger's two
    /// environments and fail in the other.
    pub credentials: ClientCredentials,

    /// Which of Kroger's APIs is called: 'Production', 'Certification', which has no customer accounts, or 'Custom'
    /// with `baseUrl`.
    #[serde(default)]
    pub environment: Environment,

    /// Address of the API with `environment: Custom`, such as that of a local imitation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 8, max = 2048))]
    #[x_kube(validation = rules::http_url("baseUrl"))]
    pub base_url: Option<String>,

    /// The store whose prices and stock are shown when a call names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_store: Option<Store>,

    /// How often Kroger may be called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,

    /// Where sessions, lists and preferences are kept. Absent: embedded, on a volume of 1Gi.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<Storage>,

    /// Where answers are kept for minutes. Absent: in the memory of each pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<Cache>,

    /// Where Kroger sends a customer after the sign-in. It must be registered with the application, letter by letter.
    /// It must be the server's own `/auth/callback` as browsers reach it; behind the gateway that is
    /// `https://GATEWAY/servers/NAMESPACE/NAME-kroger/auth/callback`, which the gateway then forwards. Absent: nobody can sign in at Kroger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 8, max = 2048))]
    #[x_kube(validation = rules::https_url("redirectUri"),
        validation = kube::core::Rule::new("self.endsWith('/auth/callback')")
            .message("`redirectUri` must end with '/auth/callback', the path of the server that finishes a sign-in"))]
    pub redirect_uri: Option<String>,

    /// What Kroger has allowed the application: 'Public', as any, or 'Partner' by agreement: carts can then be read and changed, and
    /// coupons clipped.
    #[serde(default)]
    pub rights: Rights,

    /// What becomes of prices that were seen: 'Remember' for a day, in memory, or 'Record', to tell drops over months. Kroger's acceptable
    /// use policy forbids a database of its answers: record only where Kroger permits it.
    #[serde(default)]
    pub prices: Prices,

    /// How long the keys live that seal sessions. The operator makes them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_keys: Option<SessionKeys>,

    /// How much the server logs.
    #[serde(default)]
    pub log_level: LogLevel,

    /// The Sentry project that errors are reported to, by its DSN. Absent: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sentry: Option<SecretValue>,

    /// How the server runs, where it is not as the operator would have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerOverrides>,
}

/// Kroger's APIs.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Environment {
    /// The real one.
    #[default]
    Production,
    /// Kroger's own for trials.
    Certification,
    /// Another, at `baseUrl`.
    Custom,
}

impl Environment {
    /// Kroger's address of the environment; a custom one has none.
    #[must_use]
    pub const fn base_url(self) -> Option<&'static str> {
        match self {
            Self::Production => Some("https://api.kroger.com"),
            Self::Certification => Some("https://api-ce.kroger.com"),
            Self::Custom => None,
        }
    }
}

/// What an application may do at Kroger.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rights {
    /// What Kroger's public API allows.
    #[default]
    Public,
    /// What a partner's agreement allows.
    Partner,
}

/// What becomes of prices that were seen.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Prices {
    /// They are remembered for a day, in memory.
    #[default]
    Remember,
    /// They are written down.
    Record,
}

/// One store.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Store {
    /// Kroger's id of the store: 3 characters of the division and 5 of the store, in quotes, such as "01400376".
    #[schemars(length(min = 8, max = 8), regex(pattern = "^[0-9A-Za-z]{8}$"))]
    pub location_id: String,
}

/// How long the keys live that seal sessions.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct SessionKeys {
    /// Days after which a new key is made. Absent: only when the annotation `portico.dev/rotate-keys` changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 3650))]
    pub rotate_every_days: Option<i32>,
    /// Days an old key is kept once the next one seals. The server seals again with the newest key every six hours what is kept, so no
    /// session ends with a key; backups that are older than this cannot be opened without a copy of the Secret. A key stays for longer where no
    /// server has been serving for twelve hours since.
    #[serde(default = "default_retain_days")]
    #[schemars(range(min = 1, max = 3650))]
    pub retain_days: i32,
}

const fn default_retain_days() -> i32 {
    DEFAULT_RETAIN_DAYS
}

impl Default for SessionKeys {
    fn default() -> Self {
        Self { rotate_every_days: None, retain_days: DEFAULT_RETAIN_DAYS }
    }
}

/// How much a server logs.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogLevel {
    /// What failed for good.
    Error,
    /// And what was overcome.
    Warn,
    /// And what was done.
    #[default]
    Info,
    /// And how.
    Debug,
    /// And every step on the way.
    Trace,
}

impl LogLevel {
    /// The value of `LOG_LEVEL`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}
