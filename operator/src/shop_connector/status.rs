//! From what was applied, and what became of the servers, to the status. Pure.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use portico_crds::{
    ShopConnector, ShopConnectorStatus,
    condition::Type,
    reason::Reason,
    shop_connector::{CONDITIONS, Readiness, ServerName, ServerStatus},
};

use super::render;
use crate::{
    composite::awaited,
    condition::{Verdict, accepted, conditions, not_applied, verdict},
    kind::{Outcome, Reported},
    rendered::RenderedServer,
};

/// The servers of a shop whose spec was applied, as the API server has them.
pub type Applied = Vec<(ServerName, Arc<RenderedServer>)>;

impl Reported for ShopConnectorStatus {
    const CONDITIONS: &'static [Type] = &CONDITIONS;

    fn conditions(&self) -> &[Condition] {
        &self.conditions
    }
}

/// The status that follows from `outcome`.
#[must_use]
pub fn status(
    resource: &ShopConnector,
    outcome: &Outcome<'_, Applied>,
    now: Timestamp,
) -> ShopConnectorStatus {
    let previous = resource.status.clone().unwrap_or_default();
    let generation = resource.metadata.generation;
    let verdicts = verdicts(resource, outcome);
    let (servers, servers_ready) = match outcome {
        Outcome::Applied(applied) => (listed(resource, applied), Some(counted(applied))),
        _ => (previous.servers, previous.servers_ready),
    };
    ShopConnectorStatus {
        conditions: conditions(&CONDITIONS, &previous.conditions, &verdicts, generation, now),
        observed_generation: generation,
        platform: resource.spec.platform.name(),
        servers,
        servers_ready,
    }
}

fn name_of(resource: &ShopConnector, server: ServerName) -> String {
    render::server_name(resource.metadata.name.as_deref().unwrap_or_default(), server)
}

fn listed(resource: &ShopConnector, applied: &Applied) -> Vec<ServerStatus> {
    let one = |(name, server): &(ServerName, Arc<RenderedServer>)| {
        let ready = server.ready();
        ServerStatus {
            name: *name,
            mcp_server: name_of(resource, *name),
            ready: match ready.as_ref().map(|condition| condition.status.as_str()) {
                Some("True") => Readiness::True,
                Some("False") => Readiness::False,
                _ => Readiness::Unknown,
            },
            reason: ready.map(|condition| condition.reason),
            url: server.url().map(ToOwned::to_owned),
        }
    };
    applied.iter().map(one).collect()
}

fn counted(applied: &Applied) -> String {
    let ready = applied.iter().filter(|(_, server)| server.is_ready()).count();
    format!("{ready}/{}", applied.len())
}

fn verdicts(resource: &ShopConnector, outcome: &Outcome<'_, Applied>) -> Vec<Verdict> {
    if let Some(all) = not_applied(outcome, &[Type::Synced]) {
        return all;
    }
    let Outcome::Applied(applied) = outcome else { return Vec::new() };
    let mut all = accepted();
    let message = "Every McpServer is written as the spec wants it";
    all.push(verdict(Type::Synced, "True", Reason::Written, message));
    let names: Vec<String> = applied.iter().map(|(name, _)| name_of(resource, *name)).collect();
    let servers =
        names.iter().zip(applied.iter()).map(|(name, (_, server))| (name.as_str(), Some(&**server)));
    all.extend(awaited(servers).unwrap_or_else(|| {
        let message = format!("{} servers are ready", counted(applied));
        vec![verdict(Type::Ready, "True", Reason::ServersReady, message)]
    }));
    all
}
