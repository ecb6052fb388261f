//! How many processes each server has, and which ones: as its manifest says, or as the gateway asks for. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use jiff::Timestamp;
use portico_crds::McpServerSpec;
use portico_gateway::{
    scaling::{Change, Error},
    source::Bounds,
};

use crate::{
    manifest::{Key, Objects},
    plan::{Id, Replica},
};

/// The processes of one server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Numbers of the processes that there should be.
    pub numbers: BTreeSet<u32>,
    /// Those of them that are to go soon.
    pub draining: BTreeSet<u32>,
    /// The last change that the gateway has asked for.
    pub change: Option<Asked>,
}

/// A change that the gateway has asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The change.
    pub change: Change,
    /// When it asked.
    pub at: Timestamp,
    /// The same, on a clock that is not set.
    pub since: Instant,
}

impl Wanted {
    /// How many there should be.
    pub fn desired(&self) -> u32 {
        u32::try_from(self.numbers.len()).unwrap_or(u32::MAX)
    }

    /// Makes them `count`. The lowest free numbers are added; those go first that drain, then those that do not serve,
    /// then the highest.
    fn resize(&mut self, count: u32, serves: impl Fn(u32) -> bool) {
        let free: Vec<u32> = (0..count).filter(|number| !self.numbers.contains(number)).collect();
        let missing = count.saturating_sub(self.desired());
        self.numbers.extend(free.into_iter().take(missing as usize));
        let surplus = self.desired().saturating_sub(count);
        let mut leaving: Vec<u32> = self.numbers.iter().rev().copied().collect();
        leaving.sort_by_key(|number| (!self.draining.contains(number), serves(*number)));
        for number in leaving.into_iter().take(surplus as usize) {
            self.numbers.remove(&number);
        }
        self.draining.retain(|number| self.numbers.contains(number));
    }
}

/// The processes of all servers.
#[derive(Debug, Default)]
pub struct Replicas(BTreeMap<Key, Wanted>);

impl Replicas {
    /// Takes over what manifests say. A server that is new, or was forgotten, has one process, so that its tools
    /// become known; the number of one that is scaled stays, within its bounds.
    pub fn follow(&mut self, objects: &Objects, serves: impl Fn(&Replica) -> bool) {
        self.0.retain(|key, _| objects.servers.contains_key(key));
        for (key, (server, _)) in &objects.servers {
            let known = self.0.get(key).map(Wanted::desired);
            let serves = |number| serves(&Replica { id: Id::Server(key.clone()), number });
            let (count, wanted) = (count(&server.spec, known), self.0.entry(key.clone()).or_default());
            if known != Some(count) {
                wanted.resize(count, serves);
                // That there are so many is the manifest's doing.
                wanted.change = None;
            }
        }
    }

    /// Forgets servers that do not run here: they begin anew when they do.
    pub fn retain(&mut self, runs: impl Fn(&Key) -> bool) {
        self.0.retain(|key, _| runs(key));
    }

    /// The processes of a server.
    pub fn of(&self, key: &Key) -> Option<&Wanted> {
        self.0.get(key)
    }

    /// Numbers of the processes that a workload should have. A Deployment has one.
    pub fn numbers(&self, id: &Id) -> BTreeSet<u32> {
        match id {
            Id::Deployment(_) => BTreeSet::from([0]),
            Id::Server(key) => self.of(key).map(|wanted| wanted.numbers.clone()).unwrap_or_default(),
        }
    }

    /// Gives a server another number of processes, as the gateway asks.
    ///
    /// # Errors
    /// `Changed` when the number is another one than the gateway thought, `Failed` when the server is not here.
    pub fn scale(
        &mut self,
        (key, change): (&Key, Change),
        serves: impl Fn(u32) -> bool,
    ) -> Result<(), Error> {
        let wanted = self.0.get_mut(key).ok_or_else(|| Error::Failed(format!("{key} does not run here")))?;
        if wanted.desired() != change.from {
            return Err(Error::Changed);
        }
        wanted.resize(change.to, serves);
        // Those that stay were to go for a decision that is carried out now.
        wanted.draining.clear();
        wanted.change = Some(Asked { change, at: Timestamp::now(), since: Instant::now() });
        Ok(())
    }

    /// Marks processes of a server as going soon, or as staying.
    ///
    /// # Errors
    /// `Failed` when the server is not here.
    pub fn drain(&mut self, key: &Key, numbers: &[u32], draining: bool) -> Result<(), Error> {
        let wanted = self.0.get_mut(key).ok_or_else(|| Error::Failed(format!("{key} does not run here")))?;
        for number in numbers.iter().filter(|number| wanted.numbers.contains(*number)) {
            if draining {
                wanted.draining.insert(*number);
            } else {
                wanted.draining.remove(number);
            }
        }
        Ok(())
    }

    /// Has a server at zero start one process, so that its tools become known.
    pub fn learn(&mut self, key: &Key) {
        if let Some(wanted) = self.0.get_mut(key).filter(|wanted| wanted.numbers.is_empty()) {
            wanted.resize(1, |_| false);
            wanted.change = None;
        }
    }
}

/// How many processes a server should have that has `known` now.
fn count(spec: &McpServerSpec, known: Option<u32>) -> u32 {
    match (&spec.scaling, known) {
        (Some(scaling), Some(known)) => {
            let bounds = Bounds::of_server(scaling);
            known.max(bounds.minimum()).min(bounds.max)
        }
        (Some(_), None) => 1,
        (None, _) => spec.replicas.map_or(1, |count| u32::try_from(count).unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::manifest::parse;

    fn objects(rest: &str) -> Objects {
        let text = format!(
            "{{apiVersion: portico.dev/v1alpha1, kind: McpServer, metadata: {{name: a}}, spec: {{source: {{builtin: {{name: files}}}}{rest}}}}}"
        );
        Objects::from_documents(&parse(Path::new("a.yaml"), &text).0).unwrap()
    }

    fn key() -> Key {
        Key { namespace: "default".into(), name: "a".into() }
    }

    fn followed(replicas: &mut Replicas, rest: &str) -> Vec<u32> {
        replicas.follow(&objects(rest), |_| true);
        numbers(replicas)
    }

    fn numbers(replicas: &Replicas) -> Vec<u32> {
        replicas.numbers(&Id::Server(key())).into_iter().collect()
    }

    fn scaled(replicas: &mut Replicas, from: u32, to: u32, serving: &[u32]) -> Result<Vec<u32>, Error> {
        replicas.scale((&key(), Change { from, to }), |number| serving.contains(&number))?;
        Ok(numbers(replicas))
    }

    const SCALING: &str = ", scaling: {min: 0, max: 3}";

    #[test]
    fn a_server_has_as_many_processes_as_its_manifest_says_and_one_where_it_says_nothing() {
        let mut replicas = Replicas::default();
        assert_eq!(followed(&mut replicas, ""), [0]);
        assert_eq!(followed(&mut replicas, ", replicas: 3"), [0, 1, 2]);
        assert_eq!(followed(&mut replicas, ", replicas: 2"), [0, 1]);
        assert_eq!(followed(&mut replicas, ", replicas: 0"), Vec::<u32>::new());
    }

    #[test]
    fn a_scaled_server_begins_with_one_process_and_keeps_its_number_within_its_bounds() {
        let mut replicas = Replicas::default();
        assert_eq!(followed(&mut replicas, ", scaling: {min: 2, max: 3}"), [0], "the gateway raises it");
        let mut replicas = Replicas::default();
        assert_eq!(followed(&mut replicas, SCALING), [0]);
        assert_eq!(scaled(&mut replicas, 1, 3, &[]).unwrap(), [0, 1, 2]);
        assert_eq!(followed(&mut replicas, SCALING), [0, 1, 2], "another edit changes nothing");
        assert!(replicas.of(&key()).unwrap().change.is_some());
        assert_eq!(followed(&mut replicas, ", scaling: {min: 0, max: 2}"), [0, 1]);
        assert!(replicas.of(&key()).unwrap().change.is_none(), "the manifest is the reason now");
        assert_eq!(scaled(&mut replicas, 2, 0, &[]).unwrap(), Vec::<u32>::new());
        assert_eq!(followed(&mut replicas, SCALING), Vec::<u32>::new(), "an edit wakes nobody");
        assert_eq!(followed(&mut replicas, ", scaling: {min: 2, max: 3}"), [0, 1]);
        assert_eq!(followed(&mut replicas, ""), [0], "without scaling it is one again");
    }

    #[test]
    fn those_go_first_that_drain_then_those_that_do_not_serve_then_the_highest() {
        let mut replicas = Replicas::default();
        followed(&mut replicas, ", scaling: {min: 0, max: 9}");
        assert_eq!(scaled(&mut replicas, 1, 5, &[]).unwrap(), [0, 1, 2, 3, 4]);
        replicas.drain(&key(), &[0, 7], true).unwrap();
        assert_eq!(scaled(&mut replicas, 5, 3, &[0, 2, 3, 4]).unwrap(), [2, 3, 4]);
        assert_eq!(scaled(&mut replicas, 3, 2, &[2, 3, 4]).unwrap(), [2, 3]);
        assert_eq!(scaled(&mut replicas, 2, 4, &[]).unwrap(), [0, 1, 2, 3], "the lowest free numbers come");
    }

    #[test]
    fn what_drained_for_another_decision_stays_and_may_be_kept_after_all() {
        let mut replicas = Replicas::default();
        followed(&mut replicas, SCALING);
        scaled(&mut replicas, 1, 3, &[]).unwrap();
        replicas.drain(&key(), &[1, 2], true).unwrap();
        replicas.drain(&key(), &[2], false).unwrap();
        assert_eq!(replicas.of(&key()).unwrap().draining, BTreeSet::from([1]));
        assert_eq!(scaled(&mut replicas, 3, 3, &[]).unwrap(), [0, 1, 2]);
        assert!(replicas.of(&key()).unwrap().draining.is_empty());
    }

    #[test]
    fn a_change_that_was_decided_for_another_number_or_a_server_that_went_is_refused() {
        let mut replicas = Replicas::default();
        followed(&mut replicas, SCALING);
        assert!(matches!(scaled(&mut replicas, 0, 1, &[]), Err(Error::Changed)));
        replicas.retain(|_| false);
        assert!(matches!(scaled(&mut replicas, 1, 2, &[]), Err(Error::Failed(_))));
        assert!(matches!(replicas.drain(&key(), &[0], true), Err(Error::Failed(_))));
        assert_eq!(followed(&mut replicas, SCALING), [0], "it begins anew");
    }

    #[test]
    fn a_server_at_zero_starts_once_more_to_learn_its_tools_and_one_that_runs_does_not() {
        let mut replicas = Replicas::default();
        followed(&mut replicas, SCALING);
        scaled(&mut replicas, 1, 0, &[]).unwrap();
        replicas.learn(&key());
        assert_eq!(numbers(&replicas), [0]);
        scaled(&mut replicas, 1, 2, &[]).unwrap();
        replicas.learn(&key());
        assert_eq!(numbers(&replicas), [0, 1]);
    }
}
