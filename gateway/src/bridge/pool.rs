//! The children that run, by session.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::child::{Child, Error as ChildError};
use super::command;
use crate::backend::control::Ids;

/// How long a session's child may be idle.
const IDLE: Duration = Duration::from_mins(30);
/// How often idle children are looked for.
const SWEEP: Duration = Duration::from_secs(30);

/// Why there is no child for a request.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// All places are taken.
    #[error("all {0} children are in use; end a session or try again later")]
    Full(usize),
    /// The child cannot be started.
    #[error(transparent)]
    Child(#[from] ChildError),
}

/// The children.
#[derive(Debug)]
pub(super) struct Pool {
    command: Vec<String>,
    max: usize,
    places: Arc<Semaphore>,
    sessions: Mutex<HashMap<String, Arc<Child>>>,
    shared: Mutex<Option<Arc<Child>>>,
    tracker: TaskTracker,
    stop: CancellationToken,
    /// Ids of requests to the shared child, whose clients do not know of each other.
    pub(super) ids: Ids,
}

impl Pool {
    /// No child yet.
    pub(super) fn new(command: Vec<String>, max: usize, stop: CancellationToken) -> Self {
        Self {
            command,
            max,
            places: Arc::new(Semaphore::new(max)),
            sessions: Mutex::default(),
            shared: Mutex::default(),
            tracker: TaskTracker::new(),
            stop,
            ids: Ids::new(),
        }
    }

    /// A new child.
    pub(super) fn start(&self) -> Result<Arc<Child>, Error> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| Error::Full(self.max))?;
        Ok(Child::start(&self.command, &self.tracker, place, &self.stop)?)
    }

    /// Keeps `child` as that of a new session, and gives the session's id.
    pub(super) fn keep(&self, child: Arc<Child>) -> String {
        let id = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 24]>());
        self.sessions().insert(id.clone(), child);
        id
    }

    /// The child of session `id`, if it lives.
    pub(super) fn session(&self, id: &str) -> Option<Arc<Child>> {
        let mut sessions = self.sessions();
        let child = Arc::clone(sessions.get(id)?);
        if child.has_ended() {
            sessions.remove(id);
            return None;
        }
        Some(child)
    }

    /// Ends session `id`; whether there was one.
    pub(super) fn end(&self, id: &str) -> bool {
        self.sessions().remove(id).is_some()
    }

    /// The child for requests without a session; started when there is none.
    pub(super) fn shared(&self) -> Result<Arc<Child>, Error> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        match &*shared {
            Some(child) if !child.has_ended() => Ok(Arc::clone(child)),
            _ => {
                // The place of one that ended is free only when it is gone.
                *shared = None;
                let child = self.start()?;
                *shared = Some(Arc::clone(&child));
                Ok(child)
            }
        }
    }

    /// Whether the command can still be started.
    pub(super) fn is_healthy(&self) -> bool {
        self.command.first().is_some_and(|program| command::exists(program))
    }

    /// Says when everything ends.
    pub(super) fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    /// Ends idle children, for ever.
    pub(super) async fn sweep(self: Arc<Self>) {
        loop {
            tokio::time::sleep(SWEEP).await;
            self.sessions().retain(|_, child| !child.has_ended() && child.idle() < IDLE);
            let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
            if shared.as_ref().is_some_and(|child| child.idle() >= IDLE) {
                *shared = None;
            }
        }
    }

    /// Ends all children and waits until they are gone.
    pub(super) async fn close(&self) {
        self.stop.cancel();
        self.sessions().clear();
        self.tracker.close();
        self.tracker.wait().await;
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<String, Arc<Child>>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
