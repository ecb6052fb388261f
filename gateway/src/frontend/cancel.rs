//! Calls in flight that `notifications/cancelled` of a legacy client may stop.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

type CallKey = (u128, String);

/// The calls in flight, by client session and the client's id.
#[derive(Debug, Default)]
pub(crate) struct Calls(Mutex<HashMap<CallKey, CancellationToken>>);

impl Calls {
    /// A call starts. One that takes the id of another in flight cannot be stopped by its id.
    pub(crate) fn start(self: &Arc<Self>, session: u128, id: &str) -> Stop {
        let key = (session, id.to_owned());
        let token = CancellationToken::new();
        let mut calls = self.lock();
        if calls.contains_key(&key) {
            return Stop::never();
        }
        calls.insert(key.clone(), token.clone());
        Stop { token: Some(token), registered: Some((Arc::clone(self), key)) }
    }

    /// The client does not want the call's answer any more.
    pub(crate) fn stop(&self, session: u128, id: &str) {
        if let Some(token) = self.lock().get(&(session, id.to_owned())) {
            token.cancel();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<CallKey, CancellationToken>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says when a call is to stop; the call is forgotten when this is dropped.
#[derive(Debug)]
pub(crate) struct Stop {
    token: Option<CancellationToken>,
    registered: Option<(Arc<Calls>, CallKey)>,
}

impl Stop {
    /// Never: a modern client stops a call by closing its stream.
    pub(crate) fn never() -> Self {
        Self { token: None, registered: None }
    }

    /// Tells when the call is to stop, for whoever cannot hold on to this; none if it never is.
    pub(crate) fn token(&self) -> Option<CancellationToken> {
        self.token.clone()
    }

    /// Returns when the call is to stop.
    pub(crate) async fn cancelled(&self) {
        match &self.token {
            Some(token) => token.cancelled().await,
            None => std::future::pending().await,
        }
    }
}

impl Drop for Stop {
    fn drop(&mut self) {
        if let Some((calls, key)) = self.registered.take() {
            calls.lock().remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_call_is_stopped_by_its_own_session_only() {
        let calls = Arc::new(Calls::default());
        let stop = calls.start(1, "5");
        calls.stop(2, "5");
        calls.stop(1, "\"5\"");
        assert!(!stop.token.as_ref().unwrap().is_cancelled());
        calls.stop(1, "5");
        stop.cancelled().await;
        drop(stop);
        assert!(calls.lock().is_empty());
    }
}
