//! Pinned tools: what each meant when it was approved or seen first, and which are not that any more.
//!
//! A digest is taken of what the server itself says, in canonical form, so that neither the order of members nor our own
//! overrides matter.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use portico_crds::mcp_server::Pin;
use sha2::{Digest as _, Sha256};

use super::listing::Definition;
use crate::source::{Pinned, Pinning, ServerKey};

/// What a server's tools mean.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Digests {
    /// Of the whole list; the order of the tools does not matter.
    pub(crate) list: String,
    /// Of each tool, by the server's own name.
    pub(crate) tools: BTreeMap<String, String>,
}

impl Digests {
    /// The digests of `tools`.
    pub(crate) fn of(tools: &[Definition]) -> Self {
        let mut all: Vec<(String, String)> =
            tools.iter().map(|tool| (tool.key.clone(), sha256(tool.canonical().as_bytes()))).collect();
        all.sort();
        let lines: String = all.iter().map(|(name, digest)| format!("{digest} {name}\n")).collect();
        let mut tools: BTreeMap<String, String> = BTreeMap::new();
        for (name, digest) in all {
            // One name twice: both definitions count.
            tools
                .entry(name)
                .and_modify(|both| *both = sha256(format!("{both}{digest}").as_bytes()))
                .or_insert(digest);
        }
        Self { list: sha256(lines.as_bytes()), tools }
    }
}

fn sha256(bytes: &[u8]) -> String {
    let digits: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{digits}")
}

/// Tools of a pinned server that are not what was approved.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Drift {
    /// Those that mean something else, in order.
    pub(crate) changed: Vec<String>,
    /// Those that are new, in order.
    pub(crate) added: Vec<String>,
    /// Whether they are hidden.
    pub(crate) quarantined: bool,
}

impl Drift {
    /// Which tools are hidden, by the server's own names.
    pub(crate) fn withheld(&self) -> HashSet<&str> {
        let all = self.changed.iter().chain(&self.added).map(String::as_str);
        if self.quarantined { all.collect() } else { HashSet::new() }
    }
}

/// What is remembered of one server.
#[derive(Debug, Default)]
struct Memory {
    pinned: Option<Pinned>,
    /// What the source last said was remembered.
    told: Option<Pinned>,
}

/// The pins of all servers.
#[derive(Debug, Default)]
pub(crate) struct Pins(Mutex<HashMap<ServerKey, Memory>>);

impl Pins {
    /// What of `now` was not approved, and what is remembered of the server from now on.
    ///
    /// Tools that are seen first count as approved, unless somebody approved a list that is another.
    pub(crate) fn judge(
        &self,
        server: &ServerKey,
        pinning: &Pinning,
        now: &Digests,
    ) -> (Drift, Option<Pinned>) {
        let mut memories = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let memory = memories.entry(server.clone()).or_default();
        if pinning.remembered.is_some() && pinning.remembered != memory.told {
            memory.told.clone_from(&pinning.remembered);
            memory.pinned.clone_from(&pinning.remembered);
        }
        let first = memory.pinned.is_none() && pinning.approved.is_none();
        if first || pinning.approved.as_ref() == Some(&now.list) {
            memory.pinned = Some(Pinned { tools: now.tools.clone() });
        }
        let quarantined = pinning.mode == Pin::Quarantine;
        let nothing = Pinned::default();
        let drift = drift(memory.pinned.as_ref().unwrap_or(&nothing), now, quarantined);
        (drift, memory.pinned.clone())
    }

    /// Drops what is remembered of a server that is gone or not pinned.
    pub(crate) fn forget(&self, server: &ServerKey) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(server);
    }
}

fn drift(pinned: &Pinned, now: &Digests, quarantined: bool) -> Drift {
    let mut drift = Drift { quarantined, ..Drift::default() };
    for (name, digest) in &now.tools {
        match pinned.tools.get(name) {
            Some(approved) if approved == digest => {}
            Some(_) => drift.changed.push(name.clone()),
            None => drift.added.push(name.clone()),
        }
    }
    drift
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::listing::Family;

    fn digests(tools: &[&str]) -> Digests {
        let parse = |raw: &&str| Definition::parse(Family::Tools, raw).unwrap();
        Digests::of(&tools.iter().map(parse).collect::<Vec<_>>())
    }

    const A: &str = r#"{"name":"a","inputSchema":{"type":"object"},"description":"x"}"#;
    const A_MOVED: &str = r#"{ "description" : "\u0078", "inputSchema":{"type":"object"}, "name":"a"}"#;
    const A_CHANGED: &str = r#"{"name":"a","inputSchema":{"type":"object"},"description":"y"}"#;
    const B: &str = r#"{"name":"b","inputSchema":{}}"#;

    fn server() -> ServerKey {
        ServerKey { namespace: "shop".into(), name: "files".into() }
    }

    fn pinning(approved: Option<&Digests>) -> Pinning {
        Pinning {
            mode: Pin::Quarantine,
            approved: approved.map(|digests| digests.list.clone()),
            remembered: None,
        }
    }

    fn names(drift: &Drift) -> (Vec<&str>, Vec<&str>) {
        (drift.changed.iter().map(String::as_str).collect(), drift.added.iter().map(String::as_str).collect())
    }

    #[test]
    fn a_digest_follows_the_meaning_and_neither_the_spelling_nor_the_order() {
        assert_eq!(digests(&[A, B]), digests(&[B, A_MOVED]));
        assert_ne!(digests(&[A]).list, digests(&[A_CHANGED]).list);
        assert_ne!(digests(&[A, A_CHANGED]), digests(&[A]));
    }

    #[test]
    fn what_is_seen_first_is_approved_and_a_change_or_a_new_tool_is_not_until_somebody_agrees() {
        let (pins, key) = (Pins::default(), server());
        assert_eq!(names(&pins.judge(&key, &pinning(None), &digests(&[A])).0), (vec![], vec![]));
        let now = digests(&[A_CHANGED, B]);
        let (drift, _) = pins.judge(&key, &pinning(None), &now);
        assert_eq!((names(&drift), drift.withheld().len()), ((vec!["a"], vec!["b"]), 2));
        assert_eq!(
            names(&pins.judge(&key, &pinning(None), &digests(&[A])).0),
            (vec![], vec![]),
            "it went back"
        );
        assert_eq!(names(&pins.judge(&key, &pinning(Some(&now)), &now).0), (vec![], vec![]));
        // The approval is remembered, also for a part of the list.
        assert_eq!(names(&pins.judge(&key, &pinning(Some(&now)), &digests(&[B])).0), (vec![], vec![]));
        assert_eq!(names(&pins.judge(&key, &pinning(Some(&now)), &digests(&[A])).0), (vec!["a"], vec![]));
    }

    #[test]
    fn a_list_that_is_not_the_approved_one_is_not_trusted_at_first_sight() {
        let (drift, pinned) =
            Pins::default().judge(&server(), &pinning(Some(&digests(&[A]))), &digests(&[A_CHANGED]));
        assert_eq!((names(&drift), pinned), ((vec![], vec!["a"]), None));
    }

    #[test]
    fn what_was_remembered_elsewhere_counts_until_this_process_knows_better() {
        let (pins, key) = (Pins::default(), server());
        let remembered = |tools: &[&str]| Some(Pinned { tools: digests(tools).tools });
        let told = Pinning { remembered: remembered(&[A]), ..pinning(None) };
        let now = digests(&[A_CHANGED]);
        assert_eq!(names(&pins.judge(&key, &told, &now).0), (vec!["a"], vec![]));
        let approved = Pinning { remembered: remembered(&[A]), ..pinning(Some(&now)) };
        assert_eq!(names(&pins.judge(&key, &approved, &now).0), (vec![], vec![]));
        // The source still tells the old pin, for nobody wrote the new one yet.
        assert_eq!(names(&pins.judge(&key, &told, &now).0), (vec![], vec![]));
        let written = Pinning { remembered: remembered(&[A_CHANGED]), ..pinning(None) };
        assert_eq!(names(&pins.judge(&key, &written, &digests(&[A])).0), (vec!["a"], vec![]));
    }
}
