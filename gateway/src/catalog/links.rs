//! Where URIs lead that servers write into what they answer: links to resources, and the pages of tools (MCP Apps).
//!
//! A URI stays as it is where it leads to the server that wrote it. Where two servers list one URI, or where a URI stands in no
//! list and more than one server has resources, it gets its server's prefix, so that reading it leads back.

use std::collections::HashMap;
use std::sync::Arc;

use super::kind::Kind;
use super::uri::{unwrapped, wrap};
use crate::backend::Backend;

/// The servers of one view that have resources, if there are several.
#[derive(Debug, Default)]
pub(super) struct Links {
    by_prefix: HashMap<String, Arc<Backend>>,
    servers: HashMap<u64, Server>,
}

#[derive(Debug, Default)]
struct Server {
    prefix: String,
    /// Listed URIs that clients know by another one.
    renamed: HashMap<String, String>,
}

impl Links {
    /// Between `servers`, each with its prefix, whose listed resources are `resources`.
    pub(super) fn between(servers: Vec<(String, Arc<Backend>)>, resources: &Kind) -> Self {
        if servers.len() < 2 {
            return Self::default();
        }
        let mut links = Self::default();
        for (prefix, backend) in servers {
            let server = Server { prefix: prefix.clone(), renamed: HashMap::new() };
            links.servers.insert(backend.id(), server);
            links.by_prefix.insert(prefix, backend);
        }
        for (exposed, route) in resources.routes() {
            let server = links.servers.get_mut(&route.backend.id());
            if let Some(server) = server.filter(|_| exposed != route.original) {
                server.renamed.insert(route.original.clone(), exposed.to_owned());
            }
        }
        links
    }

    /// Whether URIs in answers of this server may have to change.
    pub(super) fn concern(&self, backend: u64) -> bool {
        self.servers.contains_key(&backend)
    }

    /// What clients know the listed resource `uri` of a server by, where that is something else.
    pub(super) fn renamed(&self, backend: u64, uri: &str) -> Option<&str> {
        self.servers.get(&backend)?.renamed.get(uri).map(String::as_str)
    }

    /// `uri` with the prefix of a server.
    pub(super) fn wrapped(&self, backend: u64, uri: &str) -> Option<String> {
        self.servers.get(&backend).map(|server| wrap(&server.prefix, uri))
    }

    /// The server whose prefix `uri` has, and the URI without it.
    pub(super) fn lead(&self, uri: &str) -> Option<(&Arc<Backend>, String)> {
        let (prefix, original) = unwrapped(uri)?;
        self.by_prefix.get(prefix).map(|backend| (backend, original))
    }
}
