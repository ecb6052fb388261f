//! The application token: fetched once however many callers wait, and renewed before it ends.

use std::time::Duration;

use portico_kit::{
    Secret,
    upstream::{Body, Call, Client, Error, Method},
};
use serde::Deserialize;
use tokio::{sync::Mutex, time::Instant};

/// A token is renewed this long before it ends, or after half of its life if that is shorter.
const EARLY: Duration = Duration::from_mins(1);
/// Callers that waited for a fetch that failed get its error for this long, rather than fetch in turn.
const FAILURE_KEPT: Duration = Duration::from_secs(1);
/// Longest life that is believed.
const MAX_LIFE: u64 = 7 * 24 * 3600;

#[derive(Debug, Deserialize)]
struct Granted {
    access_token: String,
    expires_in: u64,
}

#[derive(Debug, Clone)]
enum State {
    Empty,
    Held { token: Secret, until: Instant },
    Failed { error: Error, at: Instant },
}

/// Where the token comes from and is kept.
pub(crate) struct Tokens {
    id: String,
    secret: Secret,
    state: Mutex<State>,
}

impl Tokens {
    pub(crate) fn new(id: String, secret: Secret) -> Self {
        Self { id, secret, state: Mutex::new(State::Empty) }
    }

    /// A token with some life left.
    pub(crate) async fn get(&self, client: &Client) -> Result<Secret, Error> {
        let asked = Instant::now();
        // Held over the fetch, so that everyone else waits for its result.
        let mut state = self.state.lock().await;
        match &*state {
            State::Held { token, until } if Instant::now() < *until => return Ok(token.clone()),
            State::Failed { error, at } if *at >= asked || at.elapsed() < FAILURE_KEPT => {
                return Err(error.clone());
            }
            _ => {}
        }
        match self.fetch(client).await {
            Ok((token, until)) => {
                *state = State::Held { token: token.clone(), until };
                Ok(token)
            }
            Err(error) => {
                *state = State::Failed { error: error.clone(), at: Instant::now() };
                Err(error)
            }
        }
    }

    /// Forgets `refused`, unless another caller has renewed it already.
    pub(crate) async fn forget(&self, refused: &Secret) {
        let mut state = self.state.lock().await;
        if matches!(&*state, State::Held { token, .. } if token.expose() == refused.expose()) {
            *state = State::Empty;
        }
    }

    async fn fetch(&self, client: &Client) -> Result<(Secret, Instant), Error> {
        let form =
            vec![("grant_type", "client_credentials".to_owned()), ("scope", "product.compact".to_owned())];
        // A token that nobody uses does no harm, so this may be sent again.
        let call = Call::new(Method::POST, "/v1/connect/oauth2/token")
            .basic(&self.id, self.secret.clone())
            .body(Body::Form(form))
            .repeatable();
        let granted: Granted = client.send(&call).await?.json()?;
        let life = Duration::from_secs(granted.expires_in.min(MAX_LIFE));
        let until = Instant::now() + life.saturating_sub(EARLY.min(life / 2));
        Ok((Secret::new(granted.access_token), until))
    }
}
