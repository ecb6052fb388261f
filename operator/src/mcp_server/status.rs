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
    let verdicts = verdicts(deployment, outcome);
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
