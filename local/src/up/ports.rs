//! A port for each process, the same for the whole run, so that an edit of one workload leaves the others alone, and a
//! server that comes back from zero is where it was.

use std::{
    collections::BTreeMap,
    hash::{BuildHasher as _, Hasher as _, RandomState},
    net::{Ipv4Addr, TcpListener},
    ops::Range,
};

use crate::plan::Replica;

/// Below those that systems give to outgoing connections: a port stays free while its process is started again.
const RANGE: Range<u16> = 20_000..32_000;

/// The ports of one run.
#[derive(Debug)]
pub struct Ports {
    given: BTreeMap<Replica, u16>,
    /// Ports in the order in which they are tried.
    next: u16,
}

impl Default for Ports {
    /// Begins anywhere, so that two runs hardly meet.
    fn default() -> Self {
        let anywhere = RandomState::new().build_hasher().finish() % u64::from(RANGE.end - RANGE.start);
        Self { given: BTreeMap::new(), next: RANGE.start + u16::try_from(anywhere).unwrap_or_default() }
    }
}

impl Ports {
    /// Gives each process a port, if there is one left.
    pub fn assign(&mut self, replicas: impl IntoIterator<Item = Replica>) -> &BTreeMap<Replica, u16> {
        for replica in replicas {
            if !self.given.contains_key(&replica)
                && let Some(port) = self.free()
            {
                self.given.insert(replica, port);
            }
        }
        &self.given
    }

    fn free(&mut self) -> Option<u16> {
        RANGE.into_iter().find_map(|_| {
            let port = self.next;
            self.next = if port + 1 == RANGE.end { RANGE.start } else { port + 1 };
            let taken = self.given.values().any(|given| *given == port);
            (!taken && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()).then_some(port)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{manifest::Key, plan::Id};

    fn id(name: &str) -> Replica {
        Replica::first(Id::Server(Key { namespace: "default".into(), name: name.into() }))
    }

    #[test]
    fn each_process_keeps_a_port_of_its_own_that_nobody_has() {
        let mut ports = Ports::default();
        let first = ports.assign([id("a"), id("b")]).clone();
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, ports.next));
        let second = ports.assign([id("c"), id("a")]).clone();
        assert_eq!((first[&id("a")], first[&id("b")]), (second[&id("a")], second[&id("b")]));
        let all: std::collections::BTreeSet<_> = second.values().collect();
        assert_eq!(all.len(), 3);
        if let Ok(taken) = taken {
            assert_ne!(second[&id("c")], taken.local_addr().unwrap().port());
        }
    }

    #[test]
    fn ports_begin_anew_at_the_end_of_the_range() {
        let mut ports = Ports { given: BTreeMap::new(), next: RANGE.end - 1 };
        let given = ports.assign([id("a"), id("b")]).clone();
        assert!(given.values().all(|port| RANGE.contains(port)) && given.len() == 2, "{given:?}");
    }
}
