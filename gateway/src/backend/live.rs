//! A server's settings, made ready for use.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use globset::{Glob, GlobSet, GlobSetBuilder};

use super::credential::Owner;
use super::endpoint::Endpoint;
use super::fault::Fault;
use crate::scaling::Meter;
use crate::source::{Endpoint as Place, Server, ServerKey};

/// A server's settings, made ready for use.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) server: Server,
    /// Where calls may be sent: where it is ready, and where it starts and has answered.
    pub(crate) endpoints: Vec<Arc<Endpoint>>,
    /// Where it starts and has not answered yet.
    pub(crate) starting: Vec<Arc<Endpoint>>,
    /// Where open sessions alone go on.
    pub(crate) draining: Vec<Arc<Endpoint>>,
    /// Those that are not named any more and have calls in hand: if they are named again, their calls still count.
    leaving: Vec<Arc<Endpoint>>,
    /// Whose they are.
    pub(crate) owner: Arc<Owner>,
    /// The first endpoint that cannot be used, and why.
    pub(crate) bad: Option<Fault>,
    include: GlobSet,
    exclude: GlobSet,
}

impl Live {
    /// `server`, after `before`: endpoints that stay keep what is counted there. Those of `answering` are used before their cluster
    /// calls them ready.
    pub(super) fn new(
        server: &Server,
        before: Option<&Self>,
        (meter, answering): (&Arc<Meter>, &HashSet<String>),
    ) -> Self {
        let (auth, mut bad) = (server.auth.as_ref(), None);
        // Tokens stay with their server as long as it is asked for the same.
        let owner = before.map(|live| &live.owner).filter(|owner| owner.has(auth)).cloned();
        let owner = owner.unwrap_or_else(|| Arc::new(Owner::new(&server.key, auth)));
        let same =
            |known: &&Arc<Endpoint>| Arc::ptr_eq(&known.owner, &owner) && known.transport == server.transport;
        let known = before.into_iter().flat_map(|live| live.all().chain(live.busy())).filter(same);
        let known = known.collect::<Vec<_>>();
        let mut made = |places: &[Place]| -> Vec<Arc<Endpoint>> {
            let mut endpoints = Vec::with_capacity(places.len());
            for place in places {
                let old = known.iter().find(|old| (&old.url, old.remote) == (&place.url, place.remote));
                match old
                    .map_or_else(|| Endpoint::new(place, server, &owner, meter), |old| Ok(Arc::clone(old)))
                {
                    Ok(endpoint) => endpoints.push(endpoint),
                    Err(fault) => bad = bad.take().or(Some(fault)),
                }
            }
            endpoints
        };
        let (mut endpoints, draining) = (made(&server.endpoints), made(&server.draining));
        let (early, starting) =
            made(&server.starting).into_iter().partition(|endpoint| answering.contains(&endpoint.url));
        endpoints.extend::<Vec<_>>(early);
        let include = globs(&server.key, &server.tools.include);
        let exclude = globs(&server.key, &server.tools.exclude);
        // Also those without a call: one may be choosing them just now.
        let leaving = before.into_iter().flat_map(|live| live.all().chain(live.busy())).cloned().collect();
        let mut live = Self {
            server: server.clone(),
            endpoints,
            starting,
            draining,
            leaving,
            owner,
            bad,
            include,
            exclude,
        };
        let named: HashSet<u64> = live.all().map(|endpoint| endpoint.id).collect();
        live.leaving.retain(|endpoint| !named.contains(&endpoint.id));
        live
    }

    /// Those that are not named any more and still have calls.
    pub(crate) fn busy(&self) -> impl Iterator<Item = &Arc<Endpoint>> {
        self.leaving.iter().filter(|endpoint| endpoint.in_flight.load(Ordering::Acquire) > 0)
    }

    fn all(&self) -> impl Iterator<Item = &Arc<Endpoint>> {
        self.endpoints.iter().chain(&self.starting).chain(&self.draining)
    }

    /// Whether the server's tool `name` is shown.
    pub(crate) fn shows(&self, name: &str) -> bool {
        let included = self.server.tools.include.is_empty() || self.include.is_match(name);
        included && !self.exclude.is_match(name)
    }
}

/// A glob that cannot be read matches nothing, which for `include` hides a tool rather than shows it.
fn globs(server: &ServerKey, patterns: &[String]) -> GlobSet {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        match Glob::new(pattern) {
            Ok(glob) => {
                set.add(glob);
            }
            Err(error) => {
                tracing::warn!(%server, %error, "a tool selection is not a glob and matches nothing");
            }
        }
    }
    set.build().unwrap_or_default()
}
