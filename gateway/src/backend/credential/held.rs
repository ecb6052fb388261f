//! One key of a Secret, as it was read last.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use portico_crds::mcp_server::SecretKeyRef;
use secrecy::SecretString;
use tokio::time::{Instant, timeout};

use super::super::client::Http;
use super::super::fault::Fault;
use crate::secret::Error;
use crate::source::ServerKey;

/// A value older than this is read again, beside the requests.
const FRESH: Duration = Duration::from_secs(30);
/// A value that is missing or refused is read again no more often than this.
const PAUSE: Duration = Duration::from_secs(1);
/// Time for one reading.
const WITHIN: Duration = Duration::from_secs(5);

type Value = Result<Arc<SecretString>, Error>;

/// A key of a Secret that a server's manifest names.
#[derive(Debug)]
pub(super) struct Held {
    namespace: String,
    /// Path of the field below `spec.upstreamAuth`.
    field: &'static str,
    key: SecretKeyRef,
    /// What was read, and when.
    read: Mutex<Option<(Instant, Value)>>,
    reading: tokio::sync::Mutex<()>,
}

impl Held {
    pub(super) fn new(server: &ServerKey, field: &'static str, key: &SecretKeyRef) -> Arc<Self> {
        Arc::new(Self {
            namespace: server.namespace.clone(),
            field,
            key: key.clone(),
            read: Mutex::default(),
            reading: tokio::sync::Mutex::default(),
        })
    }

    /// Its value.
    pub(super) async fn value(self: &Arc<Self>, http: &Http) -> Result<Arc<SecretString>, Fault> {
        if let Some((at, Ok(value))) = self.known() {
            if at.elapsed() >= FRESH && self.reading.try_lock().is_ok() {
                let (held, http) = (Arc::clone(self), http.clone());
                tokio::spawn(async move { held.read(&http, FRESH).await });
            }
            return Ok(value);
        }
        self.read(http, PAUSE).await.map_err(|error| self.fault(&error.to_string()))
    }

    /// Reads it again, for somebody refuses what it says.
    pub(super) async fn doubt(&self, http: &Http) -> Result<(), Fault> {
        let read = self.read(http, PAUSE).await;
        read.map(drop).map_err(|error| self.fault(&error.to_string()))
    }

    /// What is wrong with it, and where the manifest names it.
    pub(super) fn fault(&self, reason: &str) -> Fault {
        Fault::Credential(format!("spec.upstreamAuth.{}: {reason}", self.field))
    }

    fn known(&self) -> Option<(Instant, Value)> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads it, unless that was done within `pause`; who comes meanwhile waits for the same answer.
    async fn read(&self, http: &Http, pause: Duration) -> Value {
        let _one_at_a_time = self.reading.lock().await;
        let known = self.known();
        if let Some((at, value)) = &known
            && at.elapsed() < pause
        {
            return value.clone();
        }
        let unavailable =
            |reason: &str| Error::Unavailable { secret: self.key.name.clone(), reason: reason.to_owned() };
        let read = match &http.secrets {
            Some(secrets) => timeout(WITHIN, secrets.read(&self.namespace, &self.key)).await,
            None => Ok(Err(unavailable("this gateway reads no Secrets"))),
        };
        let read = read.unwrap_or_else(|_| Err(unavailable("no answer in time")));
        let value = match (read.map(Arc::new), known) {
            // What is known stays while nobody can say.
            (Err(error @ Error::Unavailable { .. }), Some((_, Ok(value)))) => {
                tracing::warn!(namespace = %self.namespace, %error, "the value that was read last stays in use");
                Ok(value)
            }
            (read, _) => read,
        };
        *self.read.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), value.clone()));
        value
    }
}
