//! One request to the source however many wait for its answer.

use std::{
    collections::HashMap,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use futures::FutureExt as _;
use tokio::sync::watch;

use super::{Inner, Keep, removals::Removals};
use crate::{
    trace::within_call,
    upstream::{Class, Error},
};

type Made = Result<Bytes, Error>;
type Waiting = watch::Receiver<Option<Made>>;

/// What is being made, and what was removed meanwhile.
#[derive(Default)]
pub(super) struct Flights(Mutex<State>);

#[derive(Default)]
struct State {
    running: HashMap<String, Waiting>,
    removals: Removals,
}

impl Flights {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of a removal: who asks after it gets nothing that was asked for before it.
    pub(super) fn removed(&self, key: &str, is_prefix: bool) {
        let mut state = self.state();
        state.removals.add(key, is_prefix);
        let is_removed = |running: &String| if is_prefix { running.starts_with(key) } else { running == key };
        state.running.retain(|running, _| !is_removed(running));
    }
}

/// Waits for `make`, or for that of somebody else who asked for the same. It goes on when its first caller goes away.
pub(super) async fn join<F>(inner: &Arc<Inner>, key: &str, keep: Keep, make: F) -> Made
where
    F: Future<Output = Made> + Send + 'static,
{
    let mut waiting = begin(inner, key, keep, make);
    let done = waiting.wait_for(Option::is_some).await;
    done.ok().and_then(|made| made.clone()).unwrap_or_else(|| Err(broken()))
}

fn begin<F>(inner: &Arc<Inner>, key: &str, keep: Keep, make: F) -> Waiting
where
    F: Future<Output = Made> + Send + 'static,
{
    let mut state = inner.flights.state();
    if let Some(waiting) = state.running.get(key) {
        return waiting.clone();
    }
    let (sender, waiting) = watch::channel(None);
    state.running.insert(key.to_owned(), waiting.clone());
    let flight =
        Flight { inner: Arc::clone(inner), key: key.to_owned(), since: state.removals.number(), sender };
    tokio::spawn(within_call(flight.run(keep, make)));
    waiting
}

struct Flight {
    inner: Arc<Inner>,
    key: String,
    /// The last removal when it began.
    since: i64,
    sender: watch::Sender<Option<Made>>,
}

impl Flight {
    async fn run(self, keep: Keep, make: impl Future<Output = Made> + Send) {
        let made = match self.inner.fresh(&self.key).await {
            // Another has ended between our first look and our beginning.
            Some(value) => Ok(value),
            None => self.make(keep, make).await,
        };
        self.land();
        // Nobody may be waiting any more.
        self.sender.send(Some(made)).ok();
    }

    async fn make(&self, keep: Keep, make: impl Future<Output = Made> + Send) -> Made {
        let made = AssertUnwindSafe(make).catch_unwind().await.unwrap_or_else(|_| Err(broken()));
        if let Ok(value) = &made
            && !self.is_outdated()
        {
            self.inner.put(&self.key, value, keep).await;
            // A removal may have passed while it was put.
            if self.is_outdated() {
                self.inner.remove(&self.key).await;
            }
        }
        made
    }

    fn is_outdated(&self) -> bool {
        self.inner.flights.state().removals.since(self.since, &self.key)
    }

    /// After a removal there may be a newer one under the same key.
    fn land(&self) {
        let mut state = self.inner.flights.state();
        let is_own = state
            .running
            .get(&self.key)
            .is_some_and(|waiting| waiting.same_channel(&self.sender.subscribe()));
        if is_own {
            state.running.remove(&self.key);
        }
    }
}

/// The maker panicked, or the process is ending.
fn broken() -> Error {
    Error::new("server", Class::Server, "the answer could not be made; the server's log says why")
}
