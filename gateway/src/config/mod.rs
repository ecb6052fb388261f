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
mod tests;
