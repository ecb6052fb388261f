//! The gateway's configuration file: how names are made, and which tool sets are served.

pub mod access;
pub mod audit;
pub mod auth;
mod follow;
mod glob;
pub mod identity;
mod last;
pub mod limits;
pub mod tls;

use std::collections::HashSet;
use std::path::Path;

use ipnet::IpNet;
use serde::Deserialize;

use crate::catalog::ViewName;
use crate::source::ServerKey;
use glob::Globs;

pub(crate) use follow::follow;
pub(crate) use last::LastLoad;

/// Bytes in a configuration file.
const MAX_BYTES: usize = 1024 * 1024;
/// Tool sets in a configuration.
const MAX_SETS: usize = 64;
/// Bytes in the name of a tool set.
const MAX_NAME: usize = 63;

const NEEDS_AUTH: &str = "without `auth` nobody knows who asks: say how with it, or leave this out";

/// Why a configuration is not taken.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("it cannot be read: {0}")]
    Read(#[from] std::io::Error),
    /// The file is too large.
    #[error("it is longer than {MAX_BYTES} bytes")]
    Size,
    /// It is not YAML.
    #[error("it is not YAML: {0}")]
    Yaml(String),
    /// A field is wrong.
    #[error("{path}: {message}")]
    Field {
        /// Path of the field, such as `toolSets[0].servers[1]`.
        path: String,
        /// What is wrong, and what would be right.
        message: String,
    },
}

/// What a configuration file says; the default is that of an empty file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub struct Config {
    /// How the names of tools and prompts are made.
    pub names: Names,
    /// Selections of tools that have an endpoint of their own.
    pub tool_sets: Vec<ToolSet>,
    /// Who may use the gateway; absent: everybody who reaches it.
    pub auth: Option<auth::Auth>,
    /// The URL under which browsers reach the gateway, without a path; absent: nobody can sign in to servers.
    pub public_url: Option<String>,
    /// How servers are told who asks; absent: they are not told.
    pub identity: Option<identity::Identity>,
    /// How much of what they may do.
    pub limits: limits::Limits,
    /// Networks of proxies whose `X-Forwarded-For` is believed when it says whence a request comes.
    pub trusted_proxies: Vec<IpNet>,
    /// Who of them may use which endpoint and make which call; endpoints of tool sets say so themselves.
    pub access: access::Access,
    /// What is written down of calls; absent: nothing.
    pub audit: Option<audit::Audit>,
    /// TLS towards clients; absent: none.
    pub tls: Option<tls::Tls>,
}

/// How the names of tools and prompts are made.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub struct Names {
    /// When a name gets the prefix of its server.
    pub prefix: Prefix,
}

/// When a name gets the prefix `server__`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub enum Prefix {
    /// When two servers use the name.
    #[default]
    OnClash,
    /// Always.
    Always,
    /// Never: the first server in the order of namespace and name keeps a name that two use.
    Never,
}

/// A selection of tools, served under `/sets/NAME/mcp`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ToolSet {
    /// Its name.
    pub name: String,
    /// Globs over `namespace/server`; none means all.
    #[serde(default)]
    servers: Globs,
    /// Globs over names of tools, or over `namespace/server/tool` where they contain a slash; none means all.
    #[serde(default)]
    tools: Globs,
    /// Whether its tools are listed, or found.
    #[serde(default)]
    pub discovery: Discovery,
    /// Globs, as in `tools`, of those that are listed also where tools are found.
    #[serde(default)]
    pinned: Globs,
    /// Globs over principals that may use it; none means all who are let in.
    #[serde(default)]
    principals: Globs,
}

/// How clients learn of a set's tools.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub enum Discovery {
    /// All are listed.
    #[default]
    List,
    /// `find_tools` finds them and `call_tool` calls them.
    Search,
}

impl ToolSet {
    /// Whether it lists the tool `name` of `server`, which it takes, before somebody asks for it.
    pub(crate) fn pins(&self, server: &ServerKey, name: &str) -> bool {
        self.pinned.matches(name) || self.pinned.matches(&format!("{server}/{name}"))
    }

    /// Whether it selects single tools.
    pub(crate) fn names_tools(&self) -> bool {
        !self.tools.is_empty()
    }

    /// Whether it takes anything of `server`.
    pub(crate) fn takes_server(&self, server: &ServerKey) -> bool {
        self.servers.is_empty() || self.servers.matches(&server.to_string())
    }

    /// Whether it takes the tool `name` of `server`, which it takes otherwise.
    pub(crate) fn takes_tool(&self, server: &ServerKey, name: &str) -> bool {
        self.tools.is_empty() || self.tools.matches(name) || self.tools.matches(&format!("{server}/{name}"))
    }
}

impl Config {
    /// Whether `principal`, who was let in, may use the endpoint `name`.
    pub(crate) fn admits(&self, name: &ViewName, principal: &str) -> bool {
        let globs = match name {
            ViewName::Set(name) => {
                self.tool_sets.iter().find(|set| set.name == *name).map(|set| &set.principals)
            }
            ViewName::All | ViewName::Namespace(_) => Some(&self.access.all),
        };
        globs.is_none_or(|globs| globs.is_empty() || globs.matches(principal))
    }

    /// Reads the file at `path`.
    pub fn load(path: &Path) -> Result<Self, Error> {
        Self::parse(&read(path)?)
    }

    /// Reads the YAML `text`. An empty one is the default configuration.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.len() > MAX_BYTES {
            return Err(Error::Size);
        }
        let value: serde_json::Value =
            serde_yaml::from_str(text).map_err(|error| Error::Yaml(error.to_string()))?;
        if value.is_null() {
            return Ok(Self::default());
        }
        let config: Self = serde_path_to_error::deserialize(value)
            .map_err(|error| field(error.path().to_string(), error.inner().to_string()))?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), Error> {
        self.auth.as_ref().map_or(Ok(()), auth::Auth::check)?;
        self.public_url.as_ref().map_or(Ok(()), |url| auth::url("publicUrl", url))?;
        self.identity.as_ref().map_or(Ok(()), identity::Identity::check)?;
        self.access.check()?;
        self.limits.check()?;
        self.audit.as_ref().map_or(Ok(()), audit::Audit::check)?;
        let named = self.access.needs_principals().or_else(|| self.limits.needs_principals());
        if let Some(path) = named.filter(|_| self.auth.is_none()) {
            return Err(field(path, NEEDS_AUTH));
        }
        self.tls.as_ref().map_or(Ok(()), tls::Tls::check)?;
        if self.tool_sets.len() > MAX_SETS {
            return Err(field("toolSets", format!("at most {MAX_SETS} tool sets are allowed")));
        }
        if self.auth.is_none() && !self.access.all.is_empty() {
            return Err(field("access.all", NEEDS_AUTH));
        }
        let mut names = HashSet::new();
        for (index, set) in self.tool_sets.iter().enumerate() {
            if self.auth.is_none() && !set.principals.is_empty() {
                return Err(field(format!("toolSets[{index}].principals"), NEEDS_AUTH));
            }
            let path = format!("toolSets[{index}].name");
            if !is_name(&set.name) {
                let rule = format!(
                    "must be 1 to {MAX_NAME} characters of 'a-z', '0-9' and '-', and begin and end with a letter or digit"
                );
                return Err(field(path, rule));
            }
            if !names.insert(&set.name) {
                return Err(field(path, format!("'{}' is the name of a set before it", set.name)));
            }
            if set.discovery == Discovery::List && !set.pinned.is_empty() {
                let message = "needs `discovery: Search`: without it every tool is listed";
                return Err(field(format!("toolSets[{index}].pinned"), message));
            }
        }
        Ok(())
    }
}

/// A name that may stand in a path (RFC 1123 label).
fn is_name(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=MAX_NAME).contains(&name.len())
        && name.bytes().all(inner)
        && !name.starts_with('-')
        && !name.ends_with('-')
}

pub(crate) fn field(path: impl Into<String>, message: impl Into<String>) -> Error {
    Error::Field { path: path.into(), message: message.into() }
}

/// The text of the file at `path`.
pub(crate) fn read(path: &Path) -> Result<String, Error> {
    if std::fs::metadata(path)?.len() > MAX_BYTES as u64 {
        return Err(Error::Size);
    }
    Ok(std::fs::read_to_string(path)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        Config::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn an_empty_file_is_the_default() {
        for text in ["", "# nothing\n", "{}", "names: {}"] {
            let config = Config::parse(text).unwrap();
            assert_eq!((config.names.prefix, config.tool_sets.len()), (Prefix::OnClash, 0), "{text}");
        }
    }

    #[test]
    fn an_error_names_the_path_and_what_would_be_right() {
        for (text, expected) in [
            (
                "name: {}",
                "unknown field `name`, expected one of `names`, `toolSets`, `auth`, `publicUrl`, `identity`, `limits`, `trustedProxies`, `access`, `audit`, `tls`",
            ),
            ("names: {prefix: Sometimes}", "names.prefix: unknown variant `Sometimes`"),
            ("toolSets: [{name: a}, {name: b, server: []}]", "toolSets[1].server: unknown field"),
            ("toolSets: [{name: a, tools: ['a', '[']}]", "toolSets[0].tools[1]: "),
            ("toolSets: [{name: A}]", "toolSets[0].name: must be 1 to 63 characters"),
            ("toolSets: [{name: a}, {name: a}]", "toolSets[1].name: 'a' is the name of a set before it"),
            ("toolSets: [{name: a, pinned: [b]}]", "toolSets[0].pinned: needs `discovery: Search`"),
            ("toolSets: [{servers: []}]", "toolSets[0]: missing field `name`"),
            ("access: {all: ['key:a']}", "access.all: without `auth` nobody knows"),
            ("toolSets: [{name: a, principals: ['key:a']}]", "toolSets[0].principals: without `auth`"),
            (
                "access: {rules: [{name: a, principals: ['key:a'], effect: Deny}]}",
                "access.rules[0].principals: without",
            ),
            (
                "access: {rules: [{name: a, effect: Allow}, {name: a, effect: Deny}]}",
                "access.rules[1].name: 'a' is the name of a rule before it",
            ),
            (
                "access: {rules: [{name: a, effect: Refuse}]}",
                "access.rules[0].effect: unknown variant `Refuse`",
            ),
            (
                "access: {rules: [{name: a, effect: Deny, when: 'a >'}]}",
                "access.rules[0].when: it is not a CEL",
            ),
            (
                "access: {rules: [{name: a, effect: Deny, when: 'amount > 1'}]}",
                "access.rules[0].when: there is no `amount`; there are principal,",
            ),
            (
                "access: {rules: [{name: a, effect: RequireScopes}]}",
                "access.rules[0].scopes: 1 to 32 are needed",
            ),
            ("access: {rules: [{name: a, effect: Deny, scopes: [b]}]}", "access.rules[0].scopes: 1 to 32"),
            ("limits: {quotas: [{name: a, calls: 0, seconds: 1}]}", "limits.quotas[0].calls: must be 1 to"),
            ("limits: {quotas: [{name: a, calls: 1}]}", "limits.quotas[0].seconds: exactly one of"),
            (
                "limits: {quotas: [{name: a, calls: 1, every: Day, burst: 1}]}",
                "limits.quotas[0].burst: goes with",
            ),
            (
                "limits: {quotas: [{name: a, calls: 2, seconds: 1, burst: 3}]}",
                "limits.quotas[0].burst: must be 1 to 2",
            ),
            (
                "limits: {quotas: [{name: a, calls: 2, every: Week}]}",
                "limits.quotas[0].every: unknown variant `Week`",
            ),
            (
                "limits: {quotas: [{name: a, calls: 2, every: Day, counts: Requests, per: [Tool]}]}",
                "limits.quotas[0].counts: ",
            ),
            (
                "limits: {quotas: [{name: a, calls: 2, every: Day, per: [Principal]}]}",
                "limits.quotas[0]: without `auth`",
            ),
            ("limits: {redis: {url: 'redis://me:secret@a'}}", "limits.redis.url: must hold no password"),
            ("limits: {redis: {url: 'http://a'}}", "limits.redis.url: must be redis://"),
            ("limits: {bodyBytes: 10}", "limits.bodyBytes: must be 1024 to"),
            ("audit: {}", "audit: missing field `file`"),
            ("audit: {file: a, redact: ['[']}", "audit.redact[0]: "),
            ("trustedProxies: [10.0.0.0/99]", "trustedProxies[0]: "),
            ("auth: {}", "auth: lets nobody in"),
            (
                "auth: {oauth: {resource: 'http://a.example', issuers: []}}",
                "auth.oauth.resource: must be an absolute URL",
            ),
            (
                "auth: {oauth: {resource: 'https://a.example', issuers: []}}",
                "auth.oauth.issuers: 1 to 16 are allowed",
            ),
            (
                "auth: {oauth: {resource: 'https://a.example', issuers: [{issuer: id}]}}",
                "auth.oauth.issuers[0].issuer: must be",
            ),
            ("publicUrl: http://a.example", "publicUrl: must be an absolute URL"),
            ("identity: {}", "identity: missing field `issuer`"),
            ("identity: {issuer: gateway}", "identity.issuer: must be an absolute URL"),
            ("tls: {certFile: a}", "tls: missing field `keyFile`"),
            ("tls: {certFile: a, keyFile: ''}", "tls.keyFile: must be the path"),
            ("auth: {apiKeys: {file: a}}", "auth.apiKeys.file: unknown field"),
            ("names: {prefix: Never}\nnames: {prefix: Always}", "it is not YAML: "),
            ("names: [", "it is not YAML: "),
        ] {
            let message = refused(text);
            assert!(message.contains(expected), "{text}: {message}");
        }
        let many: String = (0..65).map(|index| format!("- name: s{index}\n")).collect();
        assert!(refused(&format!("toolSets:\n{many}")).contains("at most 64 tool sets"));
        assert!(refused(&"#".repeat(MAX_BYTES + 1)).contains("longer than"));
    }

    #[test]
    fn a_set_takes_servers_and_tools_by_globs() {
        let text = "toolSets: [{name: a, servers: ['shop/*', kitchen/stove], tools: ['read_*', 'shop/files/write']}]";
        let set = &Config::parse(text).unwrap().tool_sets[0];
        let key = |namespace: &str, name: &str| ServerKey { namespace: namespace.into(), name: name.into() };
        let files = key("shop", "files");
        assert!(set.takes_server(&files) && set.takes_server(&key("kitchen", "stove")));
        assert!(!set.takes_server(&key("kitchen", "files")) && !set.takes_server(&key("a", "shop")));
        assert!(set.takes_tool(&files, "read_file") && set.takes_tool(&files, "write"));
        assert!(!set.takes_tool(&key("kitchen", "stove"), "write") && !set.takes_tool(&files, "delete"));
    }
}
