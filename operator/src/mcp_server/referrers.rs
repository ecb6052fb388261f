//! Which servers read which Secrets, `ConfigMaps` and Services, so that a change reaches them and nobody else.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Mutex, PoisonError},
};

use super::reference::Kind;

type Object = (String, Kind, String);

#[derive(Default)]
struct Index {
    by_server: HashMap<(String, String), BTreeSet<(Kind, String)>>,
    by_object: HashMap<Object, BTreeSet<String>>,
}

/// An index from objects to the servers that name them.
#[derive(Default)]
pub struct Referrers(Mutex<Index>);

impl Referrers {
    /// Notes that the server reads `objects` and no others.
    pub fn note(&self, namespace: &str, server: &str, objects: BTreeSet<(Kind, String)>) {
        let mut index = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        index.remove(namespace, server);
        for (kind, name) in &objects {
            let key = (namespace.to_owned(), *kind, name.clone());
            index.by_object.entry(key).or_default().insert(server.to_owned());
        }
        if !objects.is_empty() {
            index.by_server.insert((namespace.to_owned(), server.to_owned()), objects);
        }
    }

    /// Drops a server that is gone.
    pub fn forget(&self, namespace: &str, server: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(namespace, server);
    }

    /// The servers that read an object.
    pub fn of(&self, namespace: &str, kind: Kind, name: &str) -> BTreeSet<String> {
        let index = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        index.by_object.get(&(namespace.to_owned(), kind, name.to_owned())).cloned().unwrap_or_default()
    }
}

impl Index {
    fn remove(&mut self, namespace: &str, server: &str) {
        let Some(objects) = self.by_server.remove(&(namespace.to_owned(), server.to_owned())) else { return };
        for (kind, name) in objects {
            let key = (namespace.to_owned(), kind, name);
            if let Some(servers) = self.by_object.get_mut(&key) {
                servers.remove(server);
                if servers.is_empty() {
                    self.by_object.remove(&key);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(name: &str) -> BTreeSet<(Kind, String)> {
        BTreeSet::from([(Kind::Secret, name.to_owned())])
    }

    #[test]
    fn a_change_reaches_the_servers_that_read_the_object_and_no_others() {
        let referrers = Referrers::default();
        referrers.note("shop", "a", secret("keys"));
        referrers.note("shop", "b", secret("keys"));
        referrers.note("other", "c", secret("keys"));
        assert_eq!(referrers.of("shop", Kind::Secret, "keys"), BTreeSet::from(["a".into(), "b".into()]));
        assert!(referrers.of("shop", Kind::ConfigMap, "keys").is_empty());
    }

    #[test]
    fn an_edit_and_a_deletion_leave_nothing_behind() {
        let referrers = Referrers::default();
        referrers.note("shop", "a", secret("old"));
        referrers.note("shop", "a", secret("new"));
        assert!(referrers.of("shop", Kind::Secret, "old").is_empty());
        referrers.forget("shop", "a");
        let index = referrers.0.lock().unwrap();
        assert!(index.by_object.is_empty() && index.by_server.is_empty());
    }
}
