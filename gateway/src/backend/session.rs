//! Sessions of ours with legacy servers: a bounded map of those that are open.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http::header::HeaderValue;
use http::{HeaderMap, Uri};
use tokio::sync::OnceCell;

use super::Endpoint;
use super::client::{PROTOCOL_VERSION, SESSION_ID};
use super::credential::Caller;
use super::line::Line;
use crate::assertion::Told;
use crate::version::MODERN;

const MODERN_HEADER: HeaderValue = HeaderValue::from_static(MODERN);

/// One legacy session with one endpoint.
#[derive(Debug)]
pub(crate) struct Session {
    /// The id the server gave; simple servers give none.
    pub(crate) id: Option<HeaderValue>,
    /// The revision it answered.
    pub(crate) version: HeaderValue,
}

/// How an endpoint is spoken to.
#[derive(Debug, Clone)]
pub(crate) enum Peer {
    /// Without state.
    Modern,
    /// `initialize` itself, which comes before any session.
    Opening,
    /// In a session.
    Legacy(Arc<Session>),
    /// In a session that is a stream, as revision 2024-11-05 has it, and since the handshake in a revision.
    Sse { line: Arc<Line>, version: Option<HeaderValue> },
}

/// A way to one endpoint.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    pub(crate) endpoint: Arc<Endpoint>,
    pub(crate) peer: Peer,
    /// For whom it is used.
    pub(crate) caller: Caller,
}

impl Link {
    /// Where a message goes; a stream names its own address for that.
    pub(crate) fn to(&self) -> &Uri {
        match &self.peer {
            Peer::Sse { line, .. } => &line.to,
            _ => &self.endpoint.uri,
        }
    }

    /// Whether it is a session, which a server does not end when a connection ends, but for that of its stream.
    pub(crate) fn is_session(&self) -> bool {
        matches!(self.peer, Peer::Legacy(_) | Peer::Sse { .. })
    }

    /// Adds the headers that say in which revision and session a request is made.
    pub(crate) fn identify(&self, headers: &mut HeaderMap) {
        match &self.peer {
            Peer::Opening => {}
            Peer::Sse { version, .. } => {
                headers.extend(version.clone().map(|version| (PROTOCOL_VERSION, version)));
            }
            Peer::Modern => {
                headers.insert(PROTOCOL_VERSION, MODERN_HEADER);
            }
            Peer::Legacy(session) => {
                headers.insert(PROTOCOL_VERSION, session.version.clone());
                if let Some(id) = &session.id {
                    headers.insert(SESSION_ID, id.clone());
                }
            }
        }
    }

    /// What its server may be told of who uses it.
    pub(crate) fn told(&self) -> Told<'_> {
        let endpoint = &self.endpoint;
        Told {
            caller: self.caller.as_ref().map(|caller| (&*caller.name, caller.id)),
            server: &endpoint.owner.key,
            id: endpoint.owner.id,
            remote: endpoint.remote,
        }
    }

    /// Whether the server keeps a session for this link.
    pub(crate) fn has_session(&self) -> bool {
        matches!(&self.peer, Peer::Legacy(session) if session.id.is_some())
    }
}

/// Whose session with which server it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct SessionKey {
    /// A legacy client's session, or the number that modern clients of the same capabilities share.
    pub(crate) client: u128,
    /// The server.
    pub(crate) backend: u64,
    /// The endpoint for a shared session, so that every pod gets calls; else 0: a client stays with one pod.
    pub(crate) endpoint: u64,
    /// Which of several sessions that serve one call at a time; 0 where one serves all.
    pub(crate) lane: u8,
}

/// A session that is open or being opened; whoever needs it first makes the handshake, the others wait for it.
pub(crate) type Slot = Arc<OnceCell<Link>>;

#[derive(Debug)]
struct Entry {
    slot: Slot,
    used: Instant,
    busy: Arc<AtomicBool>,
}

impl Entry {
    /// Whether a call has it for itself: one that waits for its client may take longer than sessions are kept idle.
    fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Acquire)
    }
}

impl Default for Entry {
    fn default() -> Self {
        Self { slot: Slot::default(), used: Instant::now(), busy: Arc::default() }
    }
}

/// Keeps other calls off a session until it is dropped.
#[derive(Debug)]
pub(crate) struct Busy(Arc<AtomicBool>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// A slot that was found, and the sessions that gave way for it.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) key: SessionKey,
    pub(crate) slot: Slot,
    /// How long it was not used before.
    pub(crate) unused: Duration,
    /// Held by the call that has the session for itself.
    pub(crate) busy: Option<Busy>,
    pub(crate) gone: Vec<Link>,
}

/// Sessions for one call at a time, beside each other; further calls share the first.
const LANES: u8 = 8;

/// The open sessions.
#[derive(Debug)]
pub(crate) struct Sessions {
    entries: Mutex<HashMap<SessionKey, Entry>>,
    capacity: usize,
    idle: Duration,
}

impl Sessions {
    /// Room for `capacity` sessions, each kept `idle` after its last use.
    pub(crate) fn new(capacity: usize, idle: Duration) -> Self {
        Self { entries: Mutex::default(), capacity: capacity.max(1), idle }
    }

    /// The slot of `key`, for any number of calls. A session that does not stay where it is, which may depend on how long it was not
    /// used, gives way for a new one: no call that comes later finds it. It is not ended, since calls may still be in hand there.
    pub(crate) fn shared(&self, key: SessionKey, stays: impl Fn(&Link, Duration) -> bool) -> Place {
        let mut entries = self.lock();
        let moves = |entry: &Entry| entry.slot.get().is_some_and(|link| !stays(link, entry.used.elapsed()));
        if entries.get(&key).is_some_and(moves) {
            entries.remove(&key);
        }
        self.place(&mut entries, key, false)
    }

    /// A slot for one call alone, in a lane beside `key`; when all are busy, that of `key` with others.
    pub(crate) fn exclusive(&self, key: SessionKey) -> Place {
        let mut entries = self.lock();
        let free = (0..LANES)
            .map(|lane| SessionKey { lane, ..key })
            .find(|key| entries.get(key).is_none_or(|entry| !entry.busy.load(Ordering::Acquire)));
        match free {
            Some(key) => self.place(&mut entries, key, true),
            None => self.place(&mut entries, key, false),
        }
    }

    fn place(&self, entries: &mut HashMap<SessionKey, Entry>, key: SessionKey, alone: bool) -> Place {
        let mut gone = Vec::new();
        if !entries.contains_key(&key) && entries.len() >= self.capacity {
            gone = self.make_room(entries);
        }
        let entry = entries.entry(key).or_default();
        let now = Instant::now();
        let unused = now.saturating_duration_since(std::mem::replace(&mut entry.used, now));
        let busy = alone.then(|| {
            entry.busy.store(true, Ordering::Release);
            Busy(Arc::clone(&entry.busy))
        });
        Place { key, slot: Arc::clone(&entry.slot), unused, busy, gone }
    }

    /// Takes the oldest sixteenth out, so that a full map is not searched at every new session.
    fn make_room(&self, entries: &mut HashMap<SessionKey, Entry>) -> Vec<Link> {
        let idle = entries.iter().filter(|(_, entry)| !entry.is_busy());
        let mut ages: Vec<(Instant, SessionKey)> = idle.map(|(key, entry)| (entry.used, *key)).collect();
        ages.sort_unstable_by_key(|(used, _)| *used);
        ages.truncate((self.capacity / 16).max(1));
        ages.iter().filter_map(|(_, key)| entries.remove(key)).filter_map(|entry| opened(&entry)).collect()
    }

    /// Forgets a session that the server lost, unless it was re-made already.
    pub(crate) fn forget(&self, key: SessionKey, slot: &Slot) {
        let mut entries = self.lock();
        if entries.get(&key).is_some_and(|entry| Arc::ptr_eq(&entry.slot, slot)) {
            entries.remove(&key);
        }
    }

    /// Takes out the sessions of a client that ended its own.
    pub(crate) fn end_client(&self, client: u128) -> Vec<Link> {
        self.take(|key, _| key.client == client)
    }

    /// Takes out the sessions with a server that is gone.
    pub(crate) fn end_backend(&self, backend: u64) -> Vec<Link> {
        self.take(|key, _| key.backend == backend)
    }

    /// Takes out the sessions that were not used for long.
    pub(crate) fn end_idle(&self) -> Vec<Link> {
        self.take(|_, entry| !entry.is_busy() && entry.used.elapsed() > self.idle)
    }

    /// The open sessions of a client, each with the server.
    pub(crate) fn of_client(&self, client: u128) -> Vec<(u64, Link)> {
        let entries = self.lock();
        let own = entries.iter().filter(|(key, _)| key.client == client);
        own.filter_map(|(key, entry)| Some((key.backend, entry.slot.get()?.clone()))).collect()
    }

    /// The sessions of clients that were used within this time, by the server's id: each with the id of its endpoint, and for
    /// how long it was not used. Those that clients without sessions share are none, since any pod serves these.
    pub(crate) fn used_within(&self, time: Duration) -> HashMap<u64, Vec<(u64, Duration)>> {
        let mut used = HashMap::<u64, Vec<(u64, Duration)>>::new();
        for (key, entry) in self.lock().iter().filter(|(key, _)| key.endpoint == 0) {
            let unused = if entry.is_busy() { Duration::ZERO } else { entry.used.elapsed() };
            if let Some(link) = entry.slot.get().filter(|_| unused <= time) {
                used.entry(key.backend).or_default().push((link.endpoint.id, unused));
            }
        }
        used
    }

    /// How many there are with each server, by the server's id.
    pub(crate) fn by_backend(&self) -> HashMap<u64, usize> {
        let mut counts = HashMap::new();
        for key in self.lock().keys() {
            *counts.entry(key.backend).or_default() += 1;
        }
        counts
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    fn take(&self, which: impl Fn(&SessionKey, &Entry) -> bool) -> Vec<Link> {
        let mut entries = self.lock();
        let taken = entries.extract_if(|key, entry| which(key, entry));
        taken.filter_map(|(_, entry)| opened(&entry)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SessionKey, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn opened(entry: &Entry) -> Option<Link> {
    entry.slot.get().filter(|link| link.has_session()).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(client: u128) -> SessionKey {
        SessionKey { client, backend: 1, endpoint: 0, lane: 0 }
    }

    fn shared(sessions: &Sessions, client: u128) -> Place {
        sessions.shared(key(client), |_, _| true)
    }

    #[test]
    fn a_full_map_lets_the_least_recently_used_session_go() {
        let sessions = Sessions::new(2, Duration::from_mins(1));
        let first = shared(&sessions, 1).slot;
        shared(&sessions, 2);
        assert!(Arc::ptr_eq(&first, &shared(&sessions, 1).slot));
        shared(&sessions, 3);
        assert_eq!(sessions.len(), 2);
        assert!(Arc::ptr_eq(&first, &shared(&sessions, 1).slot));
    }

    #[test]
    fn a_session_re_made_in_the_meantime_is_not_forgotten() {
        let sessions = Sessions::new(2, Duration::from_mins(1));
        let old = shared(&sessions, 1).slot;
        sessions.forget(key(1), &old);
        let new = shared(&sessions, 1).slot;
        sessions.forget(key(1), &old);
        assert!(Arc::ptr_eq(&new, &shared(&sessions, 1).slot));
    }

    #[test]
    fn a_session_that_does_not_stay_gives_way_for_a_new_one_and_others_find_that() {
        let sessions = Sessions::new(2, Duration::from_mins(1));
        let place = crate::source::Endpoint::pod("http://127.0.0.1:1/mcp");
        let key_of = crate::source::ServerKey { namespace: "shop".into(), name: "files".into() };
        let backend = crate::backend::Backend::new(&crate::source::Server::new(key_of, vec![place]));
        let link = Link { endpoint: backend.pick(&[]).unwrap(), peer: Peer::Opening, caller: None };
        let old = shared(&sessions, 1).slot;
        let leaves = |_: &Link, _| false;
        assert!(Arc::ptr_eq(&old, &sessions.shared(key(1), leaves).slot), "it is being opened");
        assert!(old.set(link).is_ok());
        assert_eq!(sessions.used_within(Duration::from_mins(1))[&1].len(), 1);
        let new = sessions.shared(key(1), leaves).slot;
        assert!(!Arc::ptr_eq(&old, &new) && Arc::ptr_eq(&new, &shared(&sessions, 1).slot));
        assert!(sessions.used_within(Duration::from_mins(1)).is_empty());
    }

    #[test]
    fn idle_sessions_and_those_of_an_ended_client_are_taken_out() {
        let sessions = Sessions::new(8, Duration::ZERO);
        shared(&sessions, 1);
        shared(&sessions, 2);
        sessions.end_client(1);
        assert_eq!(sessions.len(), 1);
        std::thread::yield_now();
        let open = sessions.exclusive(key(4));
        sessions.end_idle();
        assert_eq!(sessions.len(), 1);
        drop(open);
        sessions.end_idle();
        assert_eq!(sessions.len(), 0);
    }

    #[test]
    fn calls_have_sessions_for_themselves_until_all_are_busy() {
        let sessions = Sessions::new(100, Duration::from_mins(1));
        let alone: Vec<Place> = (0..LANES).map(|_| sessions.exclusive(key(2))).collect();
        assert!(alone.iter().all(|place| place.busy.is_some()));
        assert!((1..alone.len()).all(|at| !Arc::ptr_eq(&alone[0].slot, &alone[at].slot)));
        let shared = sessions.exclusive(key(2));
        assert!(shared.busy.is_none() && Arc::ptr_eq(&shared.slot, &alone[0].slot));
        assert_eq!(sessions.exclusive(key(4)).key, key(4));
        let (third, key) = (Arc::clone(&alone[3].slot), alone[3].key);
        drop(alone);
        assert_eq!(sessions.exclusive(super::tests::key(2)).key.lane, 0);
        let again: Vec<Place> = (0..4).map(|_| sessions.exclusive(super::tests::key(2))).collect();
        assert!(again[3].key == key && Arc::ptr_eq(&again[3].slot, &third));
    }
}
