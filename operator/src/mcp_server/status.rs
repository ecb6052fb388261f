//! From what was applied, and what the cluster made of it, to the status. Pure.

use jiff::Timestamp;
use k8s_openapi::{
    api::{apps::v1::Deployment, core::v1::Pod},
    apimachinery::pkg::apis::meta::v1::Condition,
};
use portico_crds::{McpServer, McpServerStatus, condition::Type, mcp_server::CONDITIONS, reason::Reason};

use super::{render, validate::ValidatedServer};
use crate::{
    condition::{Verdict, accepted, conditions, not_applied, verdict},
    kind::{Outcome, Reported},
    workload::{available, counts, rollout, scheduled},
};

/// A server whose spec was applied.
#[derive(Clone, Debug)]
pub struct Applied {
    /// The server as it was rendered.
    pub server: ValidatedServer,
    /// Its pods, where they are not all as they should be.
    pub pods: Vec<Pod>,
}

impl Reported for McpServerStatus {
    const CONDITIONS: &'static [Type] = &CONDITIONS;

    fn conditions(&self) -> &[Condition] {
        &self.conditions
    }

    /// Without what the gateway writes.
    fn own(mut self) -> Self {
        self.conditions.retain(is_own);
        self.catalog = None;
        self.scaling = None;
        self
    }

    fn adopt(&mut self, seen: &Self) {
        self.conditions.retain(is_own);
        self.conditions.extend(seen.conditions.iter().filter(|condition| !is_own(condition)).cloned());
        self.catalog.clone_from(&seen.catalog);
        self.scaling.clone_from(&seen.scaling);
    }

    fn heard(&self) -> Option<(&str, &str)> {
        connected(self).map(|connected| (connected.status.as_str(), connected.reason.as_str()))
    }
}

fn is_own(condition: &Condition) -> bool {
    CONDITIONS.iter().any(|own| own.as_str() == condition.type_)
}

fn connected(status: &McpServerStatus) -> Option<&Condition> {
    status.conditions.iter().find(|condition| condition.type_ == Type::Connected.as_str())
}

/// A server that is rolled out and fails the handshake of MCP, or lets the gateway not in, does not serve. Only the gateway knows; one that reaches
/// nobody, or that does not run, says nothing about the server.
fn follow_gateway(verdicts: &mut [Verdict], resource: &McpServer) {
    let said = resource.status.as_ref().and_then(connected);
    let failures = [Reason::HandshakeFailed, Reason::NotAuthorized];
    let failed = said
        .filter(|said| said.observed_generation == resource.metadata.generation)
        .and_then(|said| Some((failures.into_iter().find(|reason| reason.as_str() == said.reason)?, said)));
    let ready = verdicts.iter_mut().find(|verdict| verdict.kind == Type::Ready && verdict.status == "True");
    if let (Some((reason, failed)), Some(ready)) = (failed, ready) {
        *ready = verdict(Type::Ready, "False", reason, failed.message.clone());
    }
}

/// The status that follows from `outcome`; `deployment` is as the API server has it, of whatever generation.
#[must_use]
pub fn status(
    resource: &McpServer,
    deployment: Option<&Deployment>,
    outcome: &Outcome<'_, Applied>,
    now: Timestamp,
) -> McpServerStatus {
    // What is being deleted still shows in the caches for a moment.
    let deployment = deployment.filter(|_| match outcome {
        Outcome::Applied(applied) => applied.server.spec.is_deployed(),
        _ => true,
    });
    let mut verdicts = verdicts(deployment, outcome);
    follow_gateway(&mut verdicts, resource);
    let previous = resource.status.clone().unwrap_or_default();
    let generation = resource.metadata.generation;
    let url = match outcome {
        Outcome::Applied(applied) => Some(render::url(&applied.server)),
        _ => previous.url,
    };
    McpServerStatus {
        conditions: conditions(&CONDITIONS, &previous.conditions, &verdicts, generation, now),
        observed_generation: generation,
        replicas: deployment.map(|d| counts(d).exist),
        ready_replicas: deployment.map(|d| counts(d).ready),
        instances: deployment.map(|d| format!("{}/{}", counts(d).ready, counts(d).wanted)),
        selector: deployment.map(|_| selector_text(resource)),
        url,
        // The gateway's.
        catalog: None,
        scaling: None,
    }
}

fn selector_text(resource: &McpServer) -> String {
    let pairs = render::selector(resource.metadata.name.as_deref().unwrap_or_default());
    pairs.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}

fn verdicts(deployment: Option<&Deployment>, outcome: &Outcome<'_, Applied>) -> Vec<Verdict> {
    if let Some(mut all) = not_applied(outcome, &[Type::Scheduled]) {
        all.push(available(deployment));
        return all;
    }
    match outcome {
        Outcome::Applied(applied) => applied_verdicts(applied, deployment),
        _ => Vec::new(),
    }
}

fn applied_verdicts(applied: &Applied, deployment: Option<&Deployment>) -> Vec<Verdict> {
    let mut all = accepted();
    let Some(deployment) = deployment else {
        let message = format!("Nothing to deploy; clients are sent to {}", render::url(&applied.server));
        all.push(verdict(Type::Ready, "True", Reason::Registered, message));
        let message = "Portico does not run this server";
        all.push(verdict(Type::Available, "Unknown", Reason::NotDeployed, message));
        return all;
    };
    all.push(available(Some(deployment)));
    all.push(scheduled(deployment, &applied.pods));
    all.extend(rollout(deployment, &applied.pods));
    all
}
