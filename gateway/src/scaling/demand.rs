//! What one replica of the gateway knows of the load of the servers.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::Reading;
use crate::backend::Backend;
use crate::core::Core;
use crate::source::{Kind, ServerKey};

/// What one replica of the gateway tells of all servers that are scaled.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Told {
    /// Which process tells it; its counts begin at zero.
    pub(crate) process: u64,
    /// When, on its own clock, in nanoseconds.
    pub(crate) at: u64,
    /// Servers that are not named have no calls, no sessions, and no call that came or ended for a while.
    pub(crate) servers: Vec<Load>,
}

/// Of one server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Load {
    pub(crate) kind: Kind,
    pub(crate) key: ServerKey,
    pub(crate) reading: Reading,
    /// Sessions of clients that were used lately.
    pub(crate) sessions: u32,
    /// Where it is.
    pub(crate) places: Vec<Place>,
}

/// Of one replica of a server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) url: String,
    /// Calls that it has in hand.
    pub(crate) calls: u32,
    /// Sessions with it that were used lately.
    pub(crate) sessions: u32,
    /// Whether anything new is sent to it.
    pub(crate) open: bool,
}

impl Place {
    /// Whether it has a call in hand or is sent some.
    pub(super) fn is_in_use(&self) -> bool {
        self.open || self.calls > 0
    }
}

impl Load {
    /// What this process knows of `backend`, whose sessions are those by endpoint in `sessions`.
    pub(crate) fn of(backend: &Backend, sessions: &HashMap<u64, u32>, now: Instant) -> Self {
        let live = backend.live();
        let place = |endpoint: &Arc<crate::backend::Endpoint>, open| Place {
            url: endpoint.url.clone(),
            calls: u32::try_from(endpoint.in_flight.load(Ordering::Relaxed)).unwrap_or(u32::MAX),
            sessions: sessions.get(&endpoint.id).copied().unwrap_or_default(),
            open,
        };
        let open = live.endpoints.iter().map(|endpoint| place(endpoint, true));
        let draining = live.draining.iter().map(|endpoint| place(endpoint, false));
        // A replica that has ceased to be ready, and is as one that starts or is not named any more, may still answer what it has in hand;
        // its sessions move.
        let is_busy =
            |endpoint: &&Arc<crate::backend::Endpoint>| endpoint.in_flight.load(Ordering::Acquire) > 0;
        let busy = live.starting.iter().filter(is_busy).chain(live.busy());
        let busy = busy.map(|endpoint| Place { sessions: 0, ..place(endpoint, false) });
        let places: Vec<Place> = open.chain(draining).chain(busy).collect();
        Self {
            kind: live.server.kind(),
            key: backend.key().clone(),
            reading: backend.meter.read(now),
            sessions: places.iter().map(|place| place.sessions).sum(),
            places,
        }
    }

    fn says_nothing(&self) -> bool {
        let Reading { open, waiting, arrivals, .. } = self.reading;
        open == 0 && waiting == 0 && arrivals == 0 && self.sessions == 0 && self.places.is_empty()
    }
}

impl Told {
    /// What this process knows.
    pub(crate) fn by(core: &Core) -> Self {
        let now = Instant::now();
        let scaled: Vec<Arc<Backend>> = core.scaled();
        let longest = scaled.iter().map(|backend| session_time(backend)).max().unwrap_or_default();
        let used = core.sessions.used_within(longest);
        let of = |backend: &Arc<Backend>| {
            let within = session_time(backend);
            let mut sessions = HashMap::new();
            for (endpoint, unused) in used.get(&backend.id()).into_iter().flatten() {
                if *unused <= within {
                    *sessions.entry(*endpoint).or_default() += 1;
                }
            }
            Load::of(backend, &sessions, now)
        };
        let servers = scaled.iter().map(of).filter(|load| !load.says_nothing()).collect();
        Self { process: core.process, at: core.running_for(now), servers }
    }
}

fn session_time(backend: &Backend) -> Duration {
    let live = backend.live();
    live.server.scaled.as_ref().map(|scaled| scaled.bounds.session).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{Endpoint, Server};

    fn server(endpoints: &[&str]) -> Server {
        let key = ServerKey { namespace: "shop".into(), name: "files".into() };
        Server::new(key, endpoints.iter().map(|url| Endpoint::pod(*url)).collect())
    }

    #[test]
    fn a_call_at_a_replica_that_ceases_to_be_ready_is_told_until_it_ends() {
        let backend = Backend::new(&server(&["http://127.0.0.1:1/mcp"]));
        let (_, chosen) = backend.choose(&[]).unwrap();
        let places = || Load::of(&backend, &HashMap::new(), Instant::now()).places;
        let seen = || places().iter().map(|place| (place.calls, place.open)).collect::<Vec<_>>();
        backend.update(&server(&[]));
        assert_eq!(seen(), [(1, false)], "where nothing names it");
        let starting = vec![Endpoint::pod("http://127.0.0.1:1/mcp")];
        backend.update(&Server { starting, ..server(&[]) });
        assert_eq!(seen(), [(1, false)], "where it is named like one that starts");
        drop(chosen);
        assert_eq!(places(), []);
    }
}
