//! From what was applied, and what its server says, to the status. Pure.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use portico_crds::{
    KrogerIntegration, KrogerIntegrationStatus,
    condition::Type,
    kroger_integration::{CONDITIONS, Keys},
    reason::Reason,
};

use super::render;
use crate::{
    checks::{Check, State},
    composite::awaited,
    condition::{Verdict, accepted, conditions, not_applied, verdict},
    kind::{Outcome, Reported},
    rendered::RenderedServer,
};

/// Name of the check that tells of the credentials.
pub const CREDENTIALS: &str = "credentials";
/// The check's reason where the upstream has refused the credentials.
const REFUSED: &str = "Refused";

/// An integration whose spec was applied as far as its keys allow.
#[derive(Clone, Debug, PartialEq)]
pub struct Applied {
    /// The keys, or why they cannot be read.
    pub keys: Result<Keys, String>,
    /// The server as the API server has it; `None` while the keys cannot be read.
    pub server: Option<RenderedServer>,
    /// What is known of the credentials.
    pub credentials: Credentials,
    /// Seconds until something changes by itself.
    pub until_next: Option<u64>,
}

/// What is known of the credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// The upstream takes them.
    Accepted(String),
    /// The upstream refuses them.
    Refused(String),
    /// The upstream could not be asked.
    Unreachable(String),
    /// The server has asked, and has no answer yet.
    Asked,
    /// No pod of the server is wanted, so none can be asked.
    NotWanted,
    /// The server was not asked, or did not answer.
    Unknown(&'static str),
}

impl Credentials {
    /// What a server's checks say of them; `None` is no answer.
    #[must_use]
    pub fn from_checks(checks: Option<&[Check]>) -> Self {
        let Some(checks) = checks else {
            return Self::Unknown(
                "The operator cannot read the server's checks; see its log and the network policies",
            );
        };
        let Some(check) = checks.iter().find(|check| check.name == CREDENTIALS) else {
            return Self::Unknown("The server's version does not tell of its credentials");
        };
        match check.state {
            State::Ok => Self::Accepted(check.message.clone()),
            State::Failing if check.reason == REFUSED => Self::Refused(check.message.clone()),
            State::Failing => Self::Unreachable(check.message.clone()),
            State::Unknown => Self::Asked,
        }
    }

    fn verdict(&self) -> Verdict {
        let (status, reason, message) = match self {
            Self::Accepted(message) => ("True", Reason::CredentialsAccepted, message.as_str()),
            Self::Refused(message) => ("False", Reason::CredentialsRefused, message.as_str()),
            Self::Unreachable(message) => ("Unknown", Reason::UpstreamUnreachable, message.as_str()),
            Self::Asked => ("Unknown", Reason::CredentialsUnchecked, "The server is asking the upstream"),
            Self::NotWanted => ("Unknown", Reason::ScaledToZero, "No pod is wanted"),
            Self::Unknown(message) => ("Unknown", Reason::CredentialsUnchecked, *message),
        };
        verdict(Type::CredentialsValid, status, reason, message)
    }
}

impl Reported for KrogerIntegrationStatus {
    const CONDITIONS: &'static [Type] = &CONDITIONS;

    fn conditions(&self) -> &[Condition] {
        &self.conditions
    }
}

/// The status that follows from `outcome`.
#[must_use]
pub fn status(
    resource: &KrogerIntegration,
    outcome: &Outcome<'_, Applied>,
    now: Timestamp,
) -> KrogerIntegrationStatus {
    let previous = resource.status.clone().unwrap_or_default();
    let generation = resource.metadata.generation;
    let verdicts = verdicts(outcome);
    let (server, url, keys) = match outcome {
        Outcome::Applied(Applied { keys, server: Some(server), .. }) => {
            let name = resource.metadata.name.as_deref().unwrap_or_default();
            let url = server.url().map(ToOwned::to_owned);
            (Some(render::server_name(name)), url.or(previous.url), keys.clone().ok())
        }
        _ => (previous.server, previous.url, previous.keys),
    };
    KrogerIntegrationStatus {
        conditions: conditions(&CONDITIONS, &previous.conditions, &verdicts, generation, now),
        observed_generation: generation,
        server,
        url,
        keys,
    }
}

fn verdicts(outcome: &Outcome<'_, Applied>) -> Vec<Verdict> {
    if let Some(all) = not_applied(outcome, &[Type::CredentialsValid, Type::KeysReady]) {
        return all;
    }
    let Outcome::Applied(applied) = outcome else { return Vec::new() };
    let mut all = accepted();
    all.push(applied.credentials.verdict());
    all.push(match &applied.keys {
        Ok(_) => verdict(Type::KeysReady, "True", Reason::KeysCurrent, "The session keys are in use"),
        Err(fault) => verdict(Type::KeysReady, "False", Reason::KeysUnreadable, fault.clone()),
    });
    all.extend(readiness(applied));
    all
}

fn readiness(applied: &Applied) -> Vec<Verdict> {
    let not_ready = |reason, message: &str, abnormal| {
        vec![verdict(Type::Ready, "False", reason, message), verdict(abnormal, "True", reason, message)]
    };
    if let Err(fault) = &applied.keys {
        return not_ready(Reason::KeysUnreadable, fault, Type::Stalled);
    }
    let server = applied.server.as_ref();
    let name = server.and_then(|server| server.metadata.name.as_deref()).unwrap_or_default();
    if let Some(awaited) = awaited([(name, server)]) {
        return awaited;
    }
    match &applied.credentials {
        Credentials::Refused(message) => not_ready(Reason::CredentialsRefused, message, Type::Stalled),
        Credentials::Asked => not_ready(
            Reason::CredentialsUnchecked,
            "The server is asking the upstream for a token",
            Type::Reconciling,
        ),
        _ => {
            let message = format!("McpServer '{name}' is ready");
            vec![verdict(Type::Ready, "True", Reason::ServersReady, message)]
        }
    }
}
