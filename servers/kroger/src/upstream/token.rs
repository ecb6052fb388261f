//! The application token: fetched once however many callers wait, and renewed before it ends.

use std::time::Duration;

use portico_kit::{
    Check, Secret, SecretSource,
    upstream::{Body, Call, Class, Client, Error, Method},
};
use serde::Deserialize;
use tokio::{sync::Mutex, time::Instant};

/// A token is renewed this long before it ends, or after half of its life if that is shorter.
const EARLY: Duration = Duration::from_mins(1);
/// Callers that waited for a fetch that failed get its error for this long, rather than fetch in turn.
const FAILURE_KEPT: Duration = Duration::from_secs(1);
/// First and longest wait before a token is asked for again in the background, where the last attempt failed.
const RETRY: (Duration, Duration) = (Duration::from_secs(10), Duration::from_mins(5));
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
    secret: SecretSource,
    credentials: Check,
    state: Mutex<State>,
}

impl Tokens {
    pub(crate) fn new(id: String, secret: SecretSource, credentials: Check) -> Self {
        Self { id, secret, credentials, state: Mutex::new(State::Empty) }
    }

    /// Asks for a token now and whenever one is due. Never ends.
    pub(crate) async fn keep(&self, client: &Client) {
        let (first, longest) = RETRY;
        let mut wait = first;
        loop {
            if self.get(client).await.is_ok() {
                wait = first;
                self.until_due().await;
            } else {
                tokio::time::sleep(wait).await;
                wait = longest.min(wait * 2);
            }
        }
    }

    async fn until_due(&self) {
        let until = match &*self.state.lock().await {
            State::Held { until, .. } => *until,
            _ => return,
        };
        tokio::time::sleep_until(until).await;
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
        let fetched = self.fetch(client).await;
        self.record(fetched.as_ref().err());
        match fetched {
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

    fn record(&self, error: Option<&Error>) {
        match error {
            None => self.credentials.ok("Accepted", "Kroger has given a token for the credentials"),
            Some(error) if is_refusal(error.class()) => {
                let message = format!("Kroger refuses the credentials: {}", error.reason());
                self.credentials.failing("Refused", &message);
            }
            Some(error) => {
                let message = format!("Kroger gives no token: {}", error.reason());
                self.credentials.failing("Unreachable", &message);
            }
        }
    }

    async fn fetch(&self, client: &Client) -> Result<(Secret, Instant), Error> {
        let form =
            vec![("grant_type", "client_credentials".to_owned()), ("scope", "product.compact".to_owned())];
        // A token that nobody uses does no harm, so this may be sent again.
        let call = Call::new(Method::POST, "/v1/connect/oauth2/token")
            .group("token")
            .basic(&self.id, self.secret.current())
            .body(Body::Form(form))
            .repeatable();
        let granted: Granted = client.send(&call).await?.json()?;
        let life = Duration::from_secs(granted.expires_in.min(MAX_LIFE));
        let until = Instant::now() + life.saturating_sub(EARLY.min(life / 2));
        Ok((Secret::new(granted.access_token), until))
    }
}

/// Whether asking again with the same credentials is in vain.
fn is_refusal(class: Class) -> bool {
    matches!(class, Class::Authentication | Class::Authorization | Class::Validation)
}
