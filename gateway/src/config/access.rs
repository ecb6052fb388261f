//! Who of those that are let in may do what.

use std::collections::HashSet;

use serde::Deserialize;

use super::glob::Globs;
use super::{Error, field};
use crate::policy::Expression;
use crate::source::ServerKey;

/// Rules in a configuration.
const MAX_RULES: usize = 128;
/// Bytes in the name and in the message of a rule.
const MAX_NAME: usize = 63;
const MAX_MESSAGE: usize = 512;
/// Scopes in a rule.
const MAX_SCOPES: usize = 32;

/// Who may use which endpoint, and make which call.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub struct Access {
    /// Globs over principals that may use `/mcp` and `/ns/{namespace}/mcp`; none means all who are let in.
    pub(super) all: Globs,
    /// Looked at one after the other; the first that decides does.
    pub(crate) rules: Vec<Rule>,
    /// What holds where no rule decides.
    pub(crate) default: Otherwise,
    /// Nothing is refused; what would be is logged and counted.
    pub(crate) dry_run: bool,
}

/// What holds where no rule decides.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub enum Otherwise {
    /// The call is made.
    #[default]
    Allow,
    /// It is not.
    Deny,
}

/// One rule about calls, prompts and resources. What is absent of its conditions holds for all.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Rule {
    /// Its name, in logs, metrics and refusals.
    pub name: String,
    /// Globs over principals.
    #[serde(default)]
    principals: Globs,
    /// Globs over `namespace/server`.
    #[serde(default)]
    servers: Globs,
    /// Globs over tools, or over `namespace/server/tool`; the rule is then about calls of tools alone.
    #[serde(default)]
    tools: Globs,
    /// A CEL expression.
    pub(crate) when: Option<Expression>,
    /// What the rule decides.
    pub effect: Effect,
    /// The scopes that `RequireScopes` is about.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// Told to whoever is refused or asked.
    pub message: Option<String>,
    /// Decides nothing; what it would refuse is logged and counted.
    #[serde(default)]
    pub dry_run: bool,
}

/// What a rule decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Effect {
    /// The call is made.
    Allow,
    /// It is not.
    Deny,
    /// The client's user is asked first.
    Approve,
    /// It is not, unless the access token has `scopes`; with them the next rules are looked at.
    RequireScopes,
}

/// A condition of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Condition {
    Principals,
    Servers,
    Tools,
    When,
}

impl Condition {
    /// The field that says it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Principals => "principals",
            Self::Servers => "servers",
            Self::Tools => "tools",
            Self::When => "when",
        }
    }
}

impl Rule {
    /// The first condition besides `when` that does not hold for this call.
    pub(crate) fn unmet(&self, principal: &str, server: &ServerKey, tool: Option<&str>) -> Option<Condition> {
        let conditions = [
            (Condition::Principals, self.principals.admit(principal)),
            (Condition::Servers, self.servers.admit_server(Some(server))),
            (Condition::Tools, self.tools.admit_tool(Some(server), tool)),
        ];
        conditions.into_iter().find(|(_, holds)| !holds).map(|(condition, _)| condition)
    }
}

impl Access {
    pub(super) fn check(&self) -> Result<(), Error> {
        if self.rules.len() > MAX_RULES {
            return Err(field("access.rules", format!("at most {MAX_RULES} rules are allowed")));
        }
        let mut names = HashSet::new();
        for (index, rule) in self.rules.iter().enumerate() {
            let at = |member: &str| format!("access.rules[{index}].{member}");
            if rule.name.is_empty() || rule.name.len() > MAX_NAME {
                return Err(field(at("name"), format!("must have 1 to {MAX_NAME} bytes")));
            }
            if !names.insert(&rule.name) {
                return Err(field(at("name"), format!("'{}' is the name of a rule before it", rule.name)));
            }
            if rule.message.as_ref().is_some_and(|message| message.len() > MAX_MESSAGE) {
                return Err(field(at("message"), format!("must have at most {MAX_MESSAGE} bytes")));
            }
            let wants_scopes = rule.effect == Effect::RequireScopes;
            if wants_scopes == rule.scopes.is_empty() || rule.scopes.len() > MAX_SCOPES {
                let message =
                    format!("1 to {MAX_SCOPES} are needed with `effect: RequireScopes`, and none otherwise");
                return Err(field(at("scopes"), message));
            }
            if let Some(bad) = rule.scopes.iter().position(|scope| !is_scope(scope)) {
                return Err(field(format!("{}[{bad}]", at("scopes")), "is no scope (RFC 6749 section 3.3)"));
            }
        }
        Ok(())
    }

    /// Whether any rule is about who asks.
    pub(super) fn needs_principals(&self) -> Option<String> {
        let named = self
            .rules
            .iter()
            .position(|rule| !rule.principals.is_empty() || rule.effect == Effect::RequireScopes)?;
        Some(format!("access.rules[{named}].principals"))
    }

    /// Whether there is anything to judge by.
    pub(crate) fn is_empty(&self) -> bool {
        self.rules.is_empty() && self.default == Otherwise::Allow
    }
}

/// Printable ASCII without space, quotation mark and backslash.
pub(super) fn is_scope(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\')
}
