//! Which resources of one kind name which other objects, so that a change reaches them and nobody else.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Mutex, PoisonError},
};

use crate::reference::Kind;

type Object = (String, Kind, String);

#[derive(Default)]
struct Index {
    by_resource: HashMap<(String, String), BTreeSet<(Kind, String)>>,
    by_object: HashMap<Object, BTreeSet<String>>,
}

/// An index from objects to the resources that name them.
#[derive(Default)]
pub struct Referrers(Mutex<Index>);

impl Referrers {
    /// Notes that the resource names `objects` and no others.
    pub fn note(&self, namespace: &str, resource: &str, objects: BTreeSet<(Kind, String)>) {
        let mut index = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        index.remove(namespace, resource);
        for (kind, name) in &objects {
            let key = (namespace.to_owned(), *kind, name.clone());
            index.by_object.entry(key).or_default().insert(resource.to_owned());
        }
        if !objects.is_empty() {
            index.by_resource.insert((namespace.to_owned(), resource.to_owned()), objects);
        }
    }

    /// Drops a resource that is gone.
    pub fn forget(&self, namespace: &str, resource: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(namespace, resource);
    }

    /// The resources that name an object.
    pub fn of(&self, namespace: &str, kind: Kind, name: &str) -> BTreeSet<String> {
        let index = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        index.by_object.get(&(namespace.to_owned(), kind, name.to_owned())).cloned().unwrap_or_default()
    }
}

impl Index {
    fn remove(&mut self, namespace: &str, resource: &str) {
        let Some(objects) = self.by_resource.remove(&(namespace.to_owned(), resource.to_owned())) else {
            return;
        };
        for (kind, name) in objects {
            let key = (namespace.to_owned(), kind, name);
            if let Some(resources) = self.by_object.get_mut(&key) {
                resources.remove(resource);
                if resources.is_empty() {
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
    fn a_change_reaches_the_resources_that_name_the_object_and_no_others() {
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
        assert!(index.by_object.is_empty() && index.by_resource.is_empty());
    }
}
