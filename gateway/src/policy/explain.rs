//! Tells what the rules of a configuration say of one call, before somebody makes it.

use std::net::IpAddr;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value};

use super::{Arguments, Facts, Match, Policy};
use crate::auth::{Claims, Principal};
use crate::catalog::Hints;
use crate::config::Config;
use crate::method::Method;
use crate::metrics::Metrics;
use crate::source::ServerKey;

/// A call of a tool that somebody may make.
#[derive(Debug, Clone)]
pub struct Call {
    /// Who: `anonymous`, `key:NAME` or `ISSUER#SUBJECT`.
    pub principal: String,
    /// What the access token says; none without one.
    pub claims: Option<Map<String, Value>>,
    /// Whence.
    pub address: Option<IpAddr>,
    /// Which server.
    pub server: ServerKey,
    /// Which tool, by the name before any prefix.
    pub tool: String,
    /// The tool's `annotations`; what is absent is what MCP says of tools without.
    pub annotations: Map<String, Value>,
    /// The arguments, as JSON.
    pub arguments: String,
}

/// What the rules say of a call.
#[derive(Debug, Clone, Serialize)]
pub struct Explanation {
    /// How each rule stands to it, in order.
    pub rules: Vec<Finding>,
    /// `allow`, `deny`, `approve` or `require_scopes`.
    pub decision: &'static str,
    /// By which rule; `default` where none decides.
    pub rule: String,
    /// Whether the tool is listed for this principal.
    pub listed: bool,
}

/// How one rule stands to a call.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// The rule.
    pub rule: String,
    /// What it decides where it holds.
    pub effect: String,
    /// Whether it only reports.
    pub dry_run: bool,
    /// Whether it holds, or why not.
    pub finding: String,
}

/// What `config` says of `call`.
///
/// # Errors
/// What is wrong with the claims.
pub fn explain(config: Config, call: &Call) -> Result<Explanation, String> {
    let policy = Policy::new(Arc::new(config), Arc::new(Metrics::new()));
    let claims = match &call.claims {
        Some(claims) => {
            let scopes = claims.get("scope").and_then(Value::as_str).unwrap_or_default();
            let scopes = scopes.split(' ').filter(|scope| !scope.is_empty()).map(str::to_owned).collect();
            Some(Claims::read(claims, scopes).ok_or("the claims cannot be read")?)
        }
        None => None,
    };
    let annotations = serde_json::to_string(&call.annotations).unwrap_or_default();
    let facts = Facts {
        principal: &Principal::named(&call.principal, claims),
        address: call.address,
        method: Method::ToolsCall,
        server: &call.server,
        name: &call.tool,
        hints: Hints::of(&annotations),
        arguments: Arguments::of(Some(&call.arguments)),
    };
    let verdict = policy.judge(&facts);
    Ok(Explanation {
        rules: policy.findings(&facts),
        decision: verdict.as_str(),
        rule: verdict.rule().to_owned(),
        listed: policy.shows(&facts),
    })
}

impl Policy {
    fn findings(&self, facts: &Facts<'_>) -> Vec<Finding> {
        let access = &self.config.access;
        let finding = |rule| match super::matched(rule, facts) {
            Match::Yes => "holds".to_owned(),
            Match::No(condition) => format!("`{}` does not hold", condition.as_str()),
            Match::Unsure(reason) => format!("`when` cannot be judged: {reason}"),
        };
        let rules = access.rules.iter().map(|rule| Finding {
            rule: rule.name.clone(),
            effect: format!("{:?}", rule.effect),
            dry_run: rule.dry_run || access.dry_run,
            finding: finding(rule),
        });
        rules.collect()
    }
}
