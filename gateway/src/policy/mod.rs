//! What of those that are let in somebody may do: rules over who asks, which server and tool, and the arguments.

mod explain;
mod expression;
mod facts;
mod seen;
mod value;

use std::sync::Arc;

use crate::config::Config;
use crate::config::access::{Condition, Effect, Otherwise, Rule};
use crate::metrics::Metrics;

pub use explain::{Call, Explanation, Finding, explain};
pub(crate) use expression::Expression;
pub(crate) use facts::{Arguments, Facts};
use seen::Seen;
pub(crate) use value::parse as parse_value;

/// What a configuration lets people do.
#[derive(Debug)]
pub(crate) struct Policy {
    config: Arc<Config>,
    metrics: Arc<Metrics>,
    seen: Seen,
}

/// How a rule stands to a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Match {
    /// All its conditions hold.
    Yes,
    /// This one does not.
    No(Condition),
    /// Whether `when` holds cannot be said, and why.
    Unsure(String),
}

/// What becomes of a call.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Verdict<'a> {
    /// By this rule; by none where nothing else is said.
    Allow(Option<&'a Rule>),
    /// The same.
    Deny(Option<&'a Rule>),
    Approve(&'a Rule),
    RequireScopes(&'a Rule),
}

impl<'a> Verdict<'a> {
    /// Its name in metrics and logs.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Allow(_) => "allow",
            Self::Deny(_) => "deny",
            Self::Approve(_) => "approve",
            Self::RequireScopes(_) => "require_scopes",
        }
    }

    /// The rule's name; the default has none.
    pub(crate) fn rule(self) -> &'a str {
        match self {
            Self::Allow(Some(rule))
            | Self::Deny(Some(rule))
            | Self::Approve(rule)
            | Self::RequireScopes(rule) => &rule.name,
            Self::Allow(None) | Self::Deny(None) => "default",
        }
    }
}

impl Policy {
    /// As `config` says.
    pub(crate) fn new(config: Arc<Config>, metrics: Arc<Metrics>) -> Self {
        Self { config, metrics, seen: Seen::default() }
    }

    /// The configuration.
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// Whether everybody may do everything.
    pub(crate) fn allows_all(&self) -> bool {
        self.config.access.is_empty()
    }

    /// What becomes of a call. What would be refused in a dry run is logged and counted.
    pub(crate) fn judge(&self, facts: &Facts<'_>) -> Verdict<'_> {
        let access = &self.config.access;
        for rule in &access.rules {
            let Some(verdict) = decided(rule, &matched(rule, facts), facts) else { continue };
            if (rule.dry_run || access.dry_run) && !matches!(verdict, Verdict::Allow(_)) {
                self.tell(verdict, facts, true);
                continue;
            }
            self.metrics.policy.decided(&rule.name, verdict.as_str(), false);
            return verdict;
        }
        match access.default {
            Otherwise::Allow => Verdict::Allow(None),
            Otherwise::Deny => {
                self.tell(Verdict::Deny(None), facts, access.dry_run);
                if access.dry_run { Verdict::Allow(None) } else { Verdict::Deny(None) }
            }
        }
    }

    fn tell(&self, verdict: Verdict<'_>, facts: &Facts<'_>, dry_run: bool) {
        self.metrics.policy.decided(verdict.rule(), verdict.as_str(), dry_run);
        if dry_run {
            let Facts { server, name, .. } = facts;
            tracing::info!(rule = verdict.rule(), decision = verdict.as_str(), principal = %facts.principal.name, %server, name, "a rule would have refused this call, had it not been a dry run");
        }
    }

    /// Whether somebody may see that there is such a tool, prompt or resource: with some arguments, or after an approval or
    /// with further scopes, it can be used.
    pub(crate) fn shows(&self, facts: &Facts<'_>) -> bool {
        let access = &self.config.access;
        if access.dry_run {
            return true;
        }
        let facts = &Facts { arguments: Arguments::Unknown, ..*facts };
        for rule in access.rules.iter().filter(|rule| !rule.dry_run) {
            let found = matched(rule, facts);
            let open = matches!(found, Match::Unsure(_))
                && rule.when.as_ref().is_some_and(Expression::uses_arguments);
            match (decided(rule, &found, facts), open) {
                (Some(Verdict::Deny(_)), false) => return false,
                (Some(Verdict::Allow(_) | Verdict::Approve(_)), _) => return true,
                // It holds with some arguments.
                (None, true) if rule.effect == Effect::Allow => return true,
                _ => {}
            }
        }
        access.default == Otherwise::Allow
    }
}

fn matched(rule: &Rule, facts: &Facts<'_>) -> Match {
    if let Some(condition) = rule.unmet(&facts.principal.name, facts.server, facts.tool()) {
        return Match::No(condition);
    }
    let Some(when) = &rule.when else { return Match::Yes };
    match when.holds(|variable| facts.value(variable)) {
        Ok(true) => Match::Yes,
        Ok(false) => Match::No(Condition::When),
        Err(reason) => Match::Unsure(reason),
    }
}

/// What a rule that stands so to the call decides. In doubt nothing is allowed, and what refuses does.
fn decided<'a>(rule: &'a Rule, found: &Match, facts: &Facts<'_>) -> Option<Verdict<'a>> {
    let doubtful = match found {
        Match::No(_) => return None,
        Match::Yes => false,
        Match::Unsure(_) => true,
    };
    match rule.effect {
        Effect::Allow if doubtful => None,
        Effect::Allow => Some(Verdict::Allow(Some(rule))),
        Effect::Deny => Some(Verdict::Deny(Some(rule))),
        Effect::Approve => Some(Verdict::Approve(rule)),
        Effect::RequireScopes => {
            let lacks = |scope: &&String| !facts.principal.has_scope(scope);
            rule.scopes.iter().any(|scope| lacks(&scope)).then_some(Verdict::RequireScopes(rule))
        }
    }
}
