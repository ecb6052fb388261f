//! Single resources that clients watch. A server is asked once for a resource, however many clients watch it; what it then
//! tells reaches each of them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::broadcast;

use crate::backend::Backend;
use crate::catalog::Route;
use crate::envelope::{Edits, Message, Object, quoted};
use crate::meta::SUBSCRIPTION_ID;

/// Watched resources, each counted once for every client that watches it.
const MAX_WATCHES: usize = 65_536;
/// Resources that one session or stream may watch.
pub(crate) const MAX_OF_ONE: usize = 1024;
/// Updates that a slow stream may be behind; then it is told that everything it watches changed.
const BEHIND: usize = 256;

/// A server told that a resource of its changed.
#[derive(Debug, Clone)]
pub(crate) struct Updated {
    backend: u64,
    /// The URI as the server knows it.
    uri: Arc<str>,
    /// The whole notification.
    text: Arc<str>,
}

/// One client's interest in one resource; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Watch {
    backend: Arc<Backend>,
    original: String,
    exposed: String,
    total: Arc<AtomicUsize>,
}

impl Watch {
    /// The URI as the client knows it.
    pub(crate) fn exposed(&self) -> &str {
        &self.exposed
    }

    fn is_of(&self, updated: &Updated) -> bool {
        self.backend.id() == updated.backend && self.original == *updated.uri
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.total.fetch_sub(1, Ordering::Relaxed);
        self.backend.unwatch(&self.original);
    }
}

/// What the session of a legacy client watches.
#[derive(Debug)]
struct OfSession {
    watches: HashMap<String, Watch>,
    since: Instant,
}

/// Who watches what.
#[derive(Debug)]
pub(crate) struct Subscriptions {
    sessions: Mutex<HashMap<u128, OfSession>>,
    updates: broadcast::Sender<Updated>,
    total: Arc<AtomicUsize>,
}

impl Subscriptions {
    /// Nobody watches anything.
    pub(crate) fn new() -> Self {
        let updates = broadcast::Sender::new(BEHIND);
        Self { sessions: Mutex::default(), updates, total: Arc::default() }
    }

    /// Watches the resource that clients know as `exposed`; `None` when too many are watched.
    pub(crate) fn watch(&self, exposed: &str, route: &Route) -> Option<Watch> {
        if self.total.fetch_add(1, Ordering::Relaxed) >= MAX_WATCHES {
            self.total.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        let (backend, original) = (Arc::clone(&route.backend), route.original.clone());
        backend.watch(&original);
        Some(Watch { backend, original, exposed: exposed.to_owned(), total: Arc::clone(&self.total) })
    }

    /// The session of a legacy client watches a resource; false when too many are watched.
    pub(crate) fn subscribe(&self, session: u128, exposed: &str, route: &Route) -> bool {
        let mut sessions = self.lock();
        let of_session = sessions
            .entry(session)
            .or_insert_with(|| OfSession { watches: HashMap::new(), since: Instant::now() });
        if of_session.watches.contains_key(exposed) {
            return true;
        }
        let room = of_session.watches.len() < MAX_OF_ONE;
        match room.then(|| self.watch(exposed, route)).flatten() {
            Some(watch) => of_session.watches.insert(exposed.to_owned(), watch).is_none(),
            None => false,
        }
    }

    /// The session does not watch the resource any more.
    pub(crate) fn unsubscribe(&self, session: u128, exposed: &str) {
        let mut sessions = self.lock();
        if let Some(of_session) = sessions.get_mut(&session) {
            of_session.watches.remove(exposed);
            if of_session.watches.is_empty() {
                sessions.remove(&session);
            }
        }
    }

    /// The session ended.
    pub(crate) fn end(&self, session: u128) {
        self.lock().remove(&session);
    }

    /// Forgets sessions that are too old to be accepted.
    pub(crate) fn end_older(&self, lifetime: Duration) {
        self.lock().retain(|_, of_session| of_session.since.elapsed() <= lifetime);
    }

    /// `backend` sent the notification `text`.
    pub(crate) fn updated(&self, backend: &Backend, text: &str) {
        let Ok(Message::Notification { params: Some(params), .. }) = Message::parse(text) else { return };
        let uri =
            Object::parse(params).ok().and_then(|params| params.string("uri").map(|uri| Arc::from(&*uri)));
        let Some(uri) = uri else { return };
        // Nobody may have a stream open.
        self.updates.send(Updated { backend: backend.id(), uri, text: text.into() }).ok();
    }

    /// What servers tell from now on.
    pub(crate) fn updates(&self) -> broadcast::Receiver<Updated> {
        self.updates.subscribe()
    }

    /// The URI under which the session watches the resource of `updated`.
    pub(crate) fn watched_by(&self, session: u128, updated: &Updated) -> Option<String> {
        let sessions = self.lock();
        sessions.get(&session)?.watches.values().find_map(|watch| own(watch, updated))
    }

    /// Everything that the session watches.
    pub(crate) fn all_of(&self, session: u128) -> Vec<String> {
        self.lock().get(&session).map(|held| held.watches.keys().cloned().collect()).unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u128, OfSession>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The URI under which one of `watches` knows the resource of `updated`.
pub(crate) fn watched(watches: &[Watch], updated: &Updated) -> Option<String> {
    watches.iter().find_map(|watch| own(watch, updated))
}

fn own(watch: &Watch, updated: &Updated) -> Option<String> {
    watch.is_of(updated).then(|| watch.exposed.clone())
}

/// The notification for a client that knows the resource as `exposed` and, in the modern era, listens by the request
/// `subscription`.
pub(crate) fn message(updated: &Updated, exposed: &str, subscription: Option<&str>) -> Bytes {
    let text = &updated.text;
    let mut edits = Edits::of(text);
    let Ok(Message::Notification { params: Some(params), .. }) = Message::parse(text) else {
        return changed(exposed, subscription);
    };
    let Ok(params) = Object::parse(params) else { return changed(exposed, subscription) };
    if *updated.uri != *exposed
        && let Some(uri) = params.get("uri")
    {
        edits.replace(uri, quoted(exposed));
    }
    let own = subscription.map(|id| format!(r#""{SUBSCRIPTION_ID}":{id}"#));
    match params.object("_meta") {
        Some(meta) => {
            let others = meta.members().iter().filter(|(key, _)| key != SUBSCRIPTION_ID);
            let others = others.map(|(key, value)| format!("{}:{value}", quoted(key)));
            let members: Vec<String> = own.into_iter().chain(others).collect();
            edits.replace(meta.raw(), format!("{{{}}}", members.join(",")));
        }
        None => {
            if let Some(own) = own {
                edits.prepend(params.raw(), &format!(r#""_meta":{{{own}}}"#));
            }
        }
    }
    edits.finish()
}

/// The notification of the gateway itself, where it cannot tell which updates a client missed.
pub(crate) fn changed(exposed: &str, subscription: Option<&str>) -> Bytes {
    let meta = subscription.map(|id| format!(r#""_meta":{{"{SUBSCRIPTION_ID}":{id}}},"#)).unwrap_or_default();
    let uri = quoted(exposed);
    format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{{{meta}"uri":{uri}}}}}"#
    )
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn updated(text: &str) -> Updated {
        Updated { backend: 1, uri: "a:b".into(), text: text.into() }
    }

    #[test]
    fn an_update_within_one_era_passes_as_it_is() {
        let text = r#"{"params": {"uri" :"a:b", "title":1e400},"method":"notifications/resources/updated","jsonrpc":"2.0"}"#;
        assert_eq!(message(&updated(text), "a:b", None), text);
        assert_eq!(message(&updated(text), "x+a:b", None), text.replace("\"a:b\"", "\"x+a:b\""));
    }

    #[test]
    fn an_update_carries_the_subscription_of_its_own_stream_alone() {
        let of = |meta: &str| {
            format!(
                r#"{{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{{{meta}"uri":"a:b"}}}}"#
            )
        };
        let theirs = updated(&of(&format!(r#""_meta":{{"{SUBSCRIPTION_ID}":9,"x/y":1}},"#)));
        assert_eq!(
            message(&theirs, "a:b", Some("\"s\"")),
            of(&format!(r#""_meta":{{"{SUBSCRIPTION_ID}":"s","x/y":1}},"#))
        );
        assert_eq!(message(&theirs, "a:b", None), of(r#""_meta":{"x/y":1},"#));
        let mine = of(&format!(r#""_meta":{{"{SUBSCRIPTION_ID}":4}},"#));
        assert_eq!(message(&updated(&of("")), "a:b", Some("4")), mine);
        assert_eq!(changed("a:b", Some("4")), mine);
    }
}
