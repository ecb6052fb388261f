//! What each principal sees of a view. Made when its lists are asked for first, and kept until the view changes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Arguments, Facts, Policy};
use crate::auth::Principal;
use crate::catalog::{Route, View, ViewName};
use crate::method::Method;

/// Views that are kept; beyond them those of the views that are gone are dropped, else all.
const MAX_KEPT: usize = 1024;

type Key = (ViewName, u128);

/// A view, and what is seen of it.
type Made = (Arc<View>, Arc<View>);

/// What was made so far.
#[derive(Debug, Default)]
pub(super) struct Seen(Mutex<HashMap<Key, Made>>);

impl Policy {
    /// What `principal` sees of `view`, which is called `name`.
    pub(crate) fn seen(&self, principal: &Principal, name: &ViewName, view: &Arc<View>) -> Arc<View> {
        if self.allows_all() {
            return Arc::clone(view);
        }
        let key = (name.clone(), principal.facts());
        let lock = || self.seen.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, seen)) = lock().get(&key)
            && Arc::ptr_eq(of, view)
        {
            return Arc::clone(seen);
        }
        let shows = |method: Method, route: &Route| {
            self.shows(&Facts::of((principal, None), (method, route), Arguments::Unknown))
        };
        let seen = Arc::new(view.part(shows));
        let mut kept = lock();
        if kept.len() >= MAX_KEPT {
            kept.retain(|(of, _), (made_of, _)| of != name || Arc::ptr_eq(made_of, view));
        }
        if kept.len() >= MAX_KEPT {
            kept.clear();
        }
        kept.insert(key, (Arc::clone(view), Arc::clone(&seen)));
        seen
    }
}
