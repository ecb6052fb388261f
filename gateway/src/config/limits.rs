//! How much of what somebody may do.

use std::collections::HashSet;
use std::path::PathBuf;

use serde::Deserialize;

use super::glob::Globs;
use super::{Error, field};
use crate::source::ServerKey;

/// Quotas in a configuration.
const MAX_QUOTAS: usize = 64;
/// Bytes in the name of a quota.
const MAX_NAME: usize = 63;
/// Calls in a quota, and seconds that they are counted over.
const MAX_CALLS: u64 = 1_000_000_000;
const MAX_SECONDS: u64 = 31 * 24 * 60 * 60;
/// The least and the most that sizes can be set to.
const BYTES: std::ops::RangeInclusive<usize> = 1024..=64 * 1024 * 1024;
const DEPTHS: std::ops::RangeInclusive<usize> = 8..=1000;

/// How much of what somebody may do.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub struct Limits {
    /// Bytes in the body of a request.
    pub body_bytes: Option<usize>,
    /// Levels of objects and arrays in a request.
    pub depth: Option<usize>,
    /// Bytes in the arguments of a call.
    pub argument_bytes: Option<usize>,
    /// How many calls or requests somebody may make. All that are about a call must let it through.
    pub quotas: Vec<Quota>,
    /// Where replicas count together; absent: each for itself.
    pub redis: Option<Redis>,
}

/// How many calls or requests somebody may make.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Quota {
    /// Its name, in metrics and refusals.
    pub name: String,
    /// What is counted.
    #[serde(default)]
    pub counts: Counts,
    /// Globs over principals it is about.
    #[serde(default)]
    principals: Globs,
    /// Globs over `namespace/server`.
    #[serde(default)]
    servers: Globs,
    /// Globs over tools, or over `namespace/server/tool`.
    #[serde(default)]
    tools: Globs,
    /// What is counted apart; nothing means all together.
    #[serde(default)]
    pub per: Vec<Per>,
    /// How many.
    pub calls: u64,
    /// In how many seconds, at an even rate.
    pub seconds: Option<u64>,
    /// With `seconds`: how many at once; absent: all of them.
    pub burst: Option<u64>,
    /// In which stretch of time by UTC.
    pub every: Option<Every>,
}

/// What a quota counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub enum Counts {
    /// Calls of tools, prompts and resources that are read.
    #[default]
    Calls,
    /// All requests, also those that are refused for their credentials.
    Requests,
}

/// What is counted apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
pub enum Per {
    /// Who asks.
    Principal,
    /// Whence; of IPv6 the first 64 bits.
    Address,
    /// Which server.
    Server,
    /// Which tool of which server.
    Tool,
}

/// A stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Every {
    /// An hour.
    Hour,
    /// A day.
    Day,
    /// A month of the calendar.
    Month,
}

/// A Redis server, or one that speaks its protocol.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Redis {
    /// `redis://host:port/database`, or `rediss://` with TLS; with a name and without a password.
    pub url: String,
    /// A file with the password.
    pub password_file: Option<PathBuf>,
}

impl Quota {
    /// Whether it counts what `principal` does with `tool` of `server`, where there are any.
    pub(crate) fn covers(&self, principal: &str, server: Option<&ServerKey>, tool: Option<&str>) -> bool {
        self.principals.admit(principal)
            && self.servers.admit_server(server)
            && self.tools.admit_tool(server, tool)
    }

    /// How much there is, for people.
    pub(crate) fn amount(&self) -> String {
        let period = match (self.seconds, self.every) {
            (Some(seconds), _) => format!("in {seconds} s"),
            (None, Some(Every::Hour)) => "each hour".to_owned(),
            (None, Some(Every::Day) | None) => "each day".to_owned(),
            (None, Some(Every::Month)) => "each month".to_owned(),
        };
        format!("{} {period}", self.calls)
    }

    fn check(&self, at: impl Fn(&str) -> String) -> Result<(), Error> {
        if self.name.is_empty() || self.name.len() > MAX_NAME {
            return Err(field(at("name"), format!("must have 1 to {MAX_NAME} bytes")));
        }
        if !(1..=MAX_CALLS).contains(&self.calls) {
            return Err(field(at("calls"), format!("must be 1 to {MAX_CALLS}")));
        }
        match (self.seconds, self.every) {
            (Some(seconds), None) if (1..=MAX_SECONDS).contains(&seconds) => {}
            (None, Some(_)) if self.burst.is_none() => {}
            (None, Some(_)) => return Err(field(at("burst"), "goes with `seconds`, not with `every`")),
            (Some(_), None) => return Err(field(at("seconds"), format!("must be 1 to {MAX_SECONDS}"))),
            _ => return Err(field(at("seconds"), "exactly one of `seconds` and `every` is needed")),
        }
        if self.burst.is_some_and(|burst| !(1..=self.calls).contains(&burst)) {
            return Err(field(at("burst"), format!("must be 1 to {}, the number of `calls`", self.calls)));
        }
        let of_calls = self.per.iter().any(|per| matches!(per, Per::Server | Per::Tool))
            || !self.servers.is_empty()
            || !self.tools.is_empty();
        if self.counts == Counts::Requests && of_calls {
            let message =
                "`servers`, `tools`, `Server` and `Tool` go with `counts: Calls`: a request may be for none";
            return Err(field(at("counts"), message));
        }
        Ok(())
    }
}

impl Limits {
    pub(super) fn check(&self) -> Result<(), Error> {
        let sizes = [("bodyBytes", self.body_bytes), ("argumentBytes", self.argument_bytes)];
        for (name, size) in sizes {
            if size.is_some_and(|size| !BYTES.contains(&size)) {
                let message = format!("must be {} to {}", BYTES.start(), BYTES.end());
                return Err(field(format!("limits.{name}"), message));
            }
        }
        if self.depth.is_some_and(|depth| !DEPTHS.contains(&depth)) {
            return Err(field("limits.depth", format!("must be {} to {}", DEPTHS.start(), DEPTHS.end())));
        }
        if self.quotas.len() > MAX_QUOTAS {
            return Err(field("limits.quotas", format!("at most {MAX_QUOTAS} quotas are allowed")));
        }
        let mut names = HashSet::new();
        for (index, quota) in self.quotas.iter().enumerate() {
            let at = |member: &str| format!("limits.quotas[{index}].{member}");
            quota.check(at)?;
            if !names.insert(&quota.name) {
                return Err(field(at("name"), format!("'{}' is the name of a quota before it", quota.name)));
            }
        }
        self.redis.as_ref().map_or(Ok(()), Redis::check)
    }

    /// The first quota that is about who asks.
    pub(super) fn needs_principals(&self) -> Option<String> {
        let named = |quota: &Quota| !quota.principals.is_empty() || quota.per.contains(&Per::Principal);
        let index = self.quotas.iter().position(named)?;
        Some(format!("limits.quotas[{index}]"))
    }
}

impl Redis {
    fn check(&self) -> Result<(), Error> {
        let rest = self.url.strip_prefix("redis://").or_else(|| self.url.strip_prefix("rediss://"));
        let rest = rest.filter(|rest| !rest.is_empty());
        let rest =
            rest.ok_or_else(|| field("limits.redis.url", "must be redis://host:port or rediss://host:port"))?;
        let user = rest.rsplit_once('@').map(|(user, _)| user);
        if user.is_some_and(|user| user.contains(':')) {
            return Err(field("limits.redis.url", "must hold no password; put it into `passwordFile`"));
        }
        Ok(())
    }
}
