//! The streams that legacy clients hold open for their sessions, and what servers say to single clients there.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::client::Capabilities;

/// Messages that wait for a slow client.
const WAITING: usize = 64;

/// The client has no stream open, or does not read it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unheard;

#[derive(Debug)]
struct Ear {
    messages: mpsc::Sender<Bytes>,
    capabilities: Capabilities,
    ends: CancellationToken,
    /// The servers that are read for this client, each with the endpoint where, and what ends that.
    heard: HashMap<u64, (u64, CancellationToken)>,
}

/// The open streams by session; a second stream of one session takes over from the first.
#[derive(Debug, Default)]
pub(crate) struct Ears(Mutex<HashMap<u128, Ear>>);

impl Ears {
    /// The client of `session` opens its stream.
    pub(crate) fn open(self: &Arc<Self>, session: u128, capabilities: Capabilities) -> Listening {
        let (messages, receiver) = mpsc::channel(WAITING);
        let ends = CancellationToken::new();
        let ear = Ear { messages, capabilities, ends: ends.clone(), heard: HashMap::new() };
        if let Some(earlier) = self.lock().insert(session, ear) {
            earlier.ends.cancel();
        }
        Listening { ears: Arc::clone(self), session, ends, messages: receiver }
    }

    /// Sends `message` to the client of `session`.
    pub(crate) fn say(&self, session: u128, message: Bytes) -> Result<(), Unheard> {
        let ears = self.lock();
        let ear = ears.get(&session).ok_or(Unheard)?;
        ear.messages.try_send(message).map_err(|_| Unheard)
    }

    /// Whether the client of `session` listens and can do what is needed.
    pub(crate) fn can(&self, session: u128, needed: Capabilities) -> bool {
        self.lock().get(&session).is_some_and(|ear| ear.capabilities.has(needed))
    }

    /// Somebody begins to read what `backend` says to the client at `endpoint`; gives what ends it. Whoever read it at another one, from
    /// which the client has moved, ceases to. `None` if the client does not listen or somebody reads there already.
    pub(crate) fn begin(&self, session: u128, (backend, endpoint): (u64, u64)) -> Option<CancellationToken> {
        let mut ears = self.lock();
        let ear = ears.get_mut(&session)?;
        if ear.heard.get(&backend).is_some_and(|(there, _)| *there == endpoint) {
            return None;
        }
        let ends = ear.ends.child_token();
        if let Some((_, earlier)) = ear.heard.insert(backend, (endpoint, ends.clone())) {
            earlier.cancel();
        }
        Some(ends)
    }

    /// Nobody reads `backend` any more, if the client's stream is still the one it was read for.
    pub(crate) fn end(&self, session: u128, (backend, ends): (u64, &CancellationToken)) {
        if let Some(ear) = self.lock().get_mut(&session).filter(|_| !ends.is_cancelled()) {
            ear.heard.remove(&backend);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u128, Ear>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One open stream; what is read for it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Listening {
    ears: Arc<Ears>,
    session: u128,
    ends: CancellationToken,
    messages: mpsc::Receiver<Bytes>,
}

impl Listening {
    /// The next message of a server; none comes after another stream of the session took over.
    pub(crate) async fn next(&mut self) -> Option<Bytes> {
        self.messages.recv().await
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        // A later stream of the session cancelled this one and is not to be closed with it.
        if !self.ends.is_cancelled() {
            self.ears.lock().remove(&self.session);
            self.ends.cancel();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_newest_stream_of_a_session_hears() {
        let ears = Arc::new(Ears::default());
        assert_eq!(ears.say(1, Bytes::new()), Err(Unheard));
        let mut first = ears.open(1, Capabilities::default());
        let moved = ears.begin(1, (7, 1)).unwrap();
        assert!(ears.begin(1, (7, 1)).is_none());
        let reader = ears.begin(1, (7, 2)).unwrap();
        assert!(moved.is_cancelled());
        ears.end(1, (7, &moved));
        assert!(ears.begin(1, (7, 2)).is_none(), "it is read where the client has moved to");
        let mut second = ears.open(1, Capabilities::ALL);
        assert!(reader.is_cancelled());
        assert_eq!(first.next().await, None);
        drop(first);
        ears.say(1, Bytes::from_static(b"m")).unwrap();
        assert_eq!(second.next().await.as_deref(), Some(b"m".as_slice()));
        assert!(ears.can(1, Capabilities::URL));
        drop(second);
        assert_eq!(ears.say(1, Bytes::new()), Err(Unheard));
    }

    #[tokio::test]
    async fn a_client_that_does_not_read_is_not_waited_for() {
        let ears = Arc::new(Ears::default());
        let _silent = ears.open(1, Capabilities::default());
        assert!((0..WAITING).all(|_| ears.say(1, Bytes::new()).is_ok()));
        assert_eq!(ears.say(1, Bytes::new()), Err(Unheard));
    }
}
