//! What servers offer, in numbers.

use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::ServerLabels;
use crate::source::ServerKey;

/// One number a server.
type PerServer = Family<ServerLabels, Gauge>;

/// What servers offer, in numbers.
#[derive(Debug)]
pub(crate) struct CatalogMetrics {
    tools: PerServer,
    bytes: PerServer,
    tokens: PerServer,
    hidden: PerServer,
    unapproved: PerServer,
    unconfirmed: PerServer,
}

impl CatalogMetrics {
    /// All of them, registered.
    pub(super) fn new(registry: &mut Registry) -> Self {
        let mut register = |name: &str, help: &str| {
            let family = PerServer::default();
            registry.register(name, help, family.clone());
            family
        };
        Self {
            tools: register("catalog_tools", "Tools that servers list"),
            bytes: register("catalog_tool_bytes", "Bytes of a server's tools in the list at /mcp"),
            tokens: register(
                "catalog_tool_tokens",
                "Tokens of a server's tools in a model's context, estimated as a quarter of their bytes",
            ),
            hidden: register(
                "catalog_hidden",
                "Tools and prompts that are not shown because another server has their name",
            ),
            unapproved: register(
                "catalog_unapproved_tools",
                "Tools of pinned servers that are not what was approved",
            ),
            unconfirmed: register(
                "catalog_unconfirmed",
                "1 while a server's lists are those that were kept before a restart",
            ),
        }
    }

    /// How many tools `server` lists.
    pub(crate) fn tools(&self, server: &ServerKey, count: usize) {
        set(&self.tools, server, count);
    }

    /// How large the tools of `server` are in the list of all.
    pub(crate) fn tool_bytes(&self, server: &ServerKey, bytes: usize) {
        set(&self.bytes, server, bytes);
        set(&self.tokens, server, bytes.div_ceil(4));
    }

    /// How many of a server's names others have.
    pub(crate) fn hidden(&self, server: &ServerKey, count: usize) {
        set(&self.hidden, server, count);
    }

    /// How many tools of a pinned server were not approved.
    pub(crate) fn unapproved(&self, server: &ServerKey, count: usize) {
        set(&self.unapproved, server, count);
    }

    /// Whether the lists of `server` are still those that were kept.
    pub(crate) fn unconfirmed(&self, server: &ServerKey, is_so: bool) {
        set(&self.unconfirmed, server, usize::from(is_so));
    }

    /// `server` is gone from the source.
    pub(super) fn forget(&self, server: &ServerKey) {
        let all = [&self.tools, &self.bytes, &self.tokens, &self.hidden, &self.unapproved, &self.unconfirmed];
        for family in all {
            family.remove(&server.into());
        }
    }
}

fn set(family: &PerServer, server: &ServerKey, number: usize) {
    family.get_or_create(&server.into()).set(i64::try_from(number).unwrap_or(i64::MAX));
}
