//! Which of several operators acts: a Lease, taken and renewed under its resource version.
//!
//! Expiry is measured from when this process saw the record change, never by comparing clocks of two machines.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client, api::PostParams};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::{client::Fence, error::Error};

pub use portico_crds::lease::{Claim, DURATION, RENEW_DEADLINE, RETRY};
use portico_crds::lease::{Step, decide, holder, record};

/// An election in which this process takes part.
pub struct Election {
    api: Api<Lease>,
    claim: Claim,
    fence: Fence,
    record: Option<Lease>,
    /// When the record was last seen to change.
    changed: Instant,
}

impl Election {
    /// Takes part in the election of `claim`; `fence` is open while this process holds the Lease.
    #[must_use]
    pub fn new(client: Client, claim: Claim, fence: Fence) -> Self {
        let api = Api::namespaced(client, &claim.namespace);
        fence.open_for(Duration::ZERO);
        Self { api, claim, fence, record: None, changed: Instant::now() }
    }

    /// Waits until this process is the holder.
    pub async fn win(&mut self) {
        let mut told = None;
        loop {
            match self.attempt().await {
                Ok(true) => return,
                Ok(false) => told = None,
                Err(error) => {
                    let error = error.to_string();
                    // The same is told once, however often it is tried.
                    if told.as_ref() != Some(&error) {
                        tracing::warn!(error, lease = self.claim.name, "cannot take part in the election");
                    }
                    told = Some(error);
                }
            }
            sleep(RETRY).await;
        }
    }

    /// Renews until `shutdown`, then lets go.
    ///
    /// # Errors
    /// [`Error::Fatal`] when another process holds the Lease or it could not be renewed in time: whoever acted
    /// under it must end at once.
    pub async fn keep(&mut self, shutdown: &CancellationToken) -> Result<(), Error> {
        let mut renewed = Instant::now();
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return self.release().await,
                () = sleep(RETRY) => {}
            }
            let left = RENEW_DEADLINE.saturating_sub(renewed.elapsed());
            match timeout(left, self.attempt()).await {
                Ok(Ok(true)) => renewed = Instant::now(),
                Ok(Ok(false)) => return Err(Error::Fatal("another operator holds the Lease".into())),
                Ok(Err(error)) => tracing::warn!(%error, "cannot renew the Lease"),
                Err(_) => tracing::warn!("the Lease's renewal got no answer in time"),
            }
            if renewed.elapsed() >= RENEW_DEADLINE {
                return Err(Error::Fatal("the Lease could not be renewed in time".into()));
            }
        }
    }

    /// One look and at most one write; answers whether this process is the holder.
    async fn attempt(&mut self) -> Result<bool, Error> {
        let found = self.call("get", self.api.get_opt(&self.claim.name)).await?;
        self.observe(found);
        let began = Instant::now();
        let unchanged = began.saturating_duration_since(self.changed);
        let holds = match decide(unchanged, holder(self.record.as_ref()), &self.claim.identity) {
            Step::Wait => false,
            Step::Acquire | Step::Renew => self.write(Some(self.claim.identity.clone())).await?,
        };
        // Counted from before the write was sent: that is the earliest that others can have seen it.
        let left = if holds { RENEW_DEADLINE.saturating_sub(began.elapsed()) } else { Duration::ZERO };
        self.fence.open_for(left);
        Ok(holds)
    }

    fn observe(&mut self, found: Option<Lease>) {
        let version = |lease: &Option<Lease>| lease.as_ref().and_then(kube::ResourceExt::resource_version);
        if version(&found) != version(&self.record) {
            self.changed = Instant::now();
        }
        self.record = found;
    }

    /// A lost race is no error: the other one is the holder.
    async fn write(&mut self, holder: Option<String>) -> Result<bool, Error> {
        let next = record(&self.claim, self.record.clone(), holder, Timestamp::now());
        let params = PostParams::default();
        let written = if self.record.is_some() {
            self.call("update", self.api.replace(&self.claim.name, &params, &next)).await
        } else {
            self.call("create", self.api.create(&params, &next)).await
        };
        match written {
            Ok(lease) => {
                self.observe(Some(lease));
                Ok(true)
            }
            Err(error) if self.record.is_none() && error.is_nowhere() => {
                Err(Error::NoNamespace(self.claim.namespace.clone()))
            }
            Err(error) if error.is_gone() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Lets go, so that another process need not wait for the record to expire.
    async fn release(&mut self) -> Result<(), Error> {
        self.fence.open_for(Duration::ZERO);
        let found = self.call("get", self.api.get_opt(&self.claim.name)).await?;
        self.observe(found);
        if holder(self.record.as_ref()) == Some(self.claim.identity.as_str()) {
            self.write(None).await?;
        }
        Ok(())
    }

    async fn call<T>(
        &self,
        verb: &'static str,
        call: impl Future<Output = Result<T, kube::Error>>,
    ) -> Result<T, Error> {
        let object = || format!("Lease '{}'", self.claim.name);
        match timeout(RETRY * 2, call).await {
            Ok(answer) => {
                answer.map_err(|source| Error::Api { verb, object: object(), source: Box::new(source) })
            }
            Err(_) => Err(Error::Timeout { verb, object: object() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU16, AtomicUsize, Ordering},
    };

    use http::{Method, Request, Response};
    use kube::client::Body;
    use serde_json::json;

    use super::*;

    const REASONS: [&str; 2] = ["NotFound", "AlreadyExists"];

    /// An API server without any Lease, which answers a creation with a status; and how many it has answered.
    fn api_server(status: Arc<AtomicU16>) -> (Client, Arc<AtomicUsize>) {
        let creations = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&creations);
        let service = tower::service_fn(move |request: Request<Body>| {
            let code = match *request.method() {
                Method::POST => {
                    counted.fetch_add(1, Ordering::SeqCst);
                    status.load(Ordering::SeqCst)
                }
                _ => 404,
            };
            let body = match code {
                201 => json!({"metadata": {"name": "portico-operator", "resourceVersion": "1"}}),
                _ => {
                    json!({"status": "Failure", "message": "no", "reason": REASONS[usize::from(code == 409)], "code": code})
                }
            };
            let answer = Response::builder().status(code).body(Body::from(body.to_string().into_bytes()));
            async move { answer }
        });
        (Client::new(service, "default"), creations)
    }

    fn election(status: u16) -> (Election, Arc<AtomicU16>, Arc<AtomicUsize>) {
        let status = Arc::new(AtomicU16::new(status));
        let (client, creations) = api_server(Arc::clone(&status));
        let (namespace, name) = ("portico-system".to_owned(), "portico-operator".to_owned());
        let claim = Claim { namespace, name, identity: "me".to_owned() };
        (Election::new(client, claim, Fence::default()), status, creations)
    }

    #[tokio::test]
    async fn a_lease_that_somebody_else_has_just_made_is_a_lost_race() {
        let (mut election, ..) = election(409);
        assert!(!election.attempt().await.unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn a_namespace_that_does_not_exist_is_told_and_awaited() {
        let (mut election, status, creations) = election(404);
        let told = election.attempt().await.unwrap_err().to_string();
        let expected =
            "namespace 'portico-system' does not exist; create it, or name another with --lease-namespace";
        assert_eq!(told, expected);
        let winning = tokio::spawn(async move { election.win().await });
        while creations.load(Ordering::SeqCst) < 4 {
            sleep(RETRY).await;
        }
        assert!(!winning.is_finished());
        status.store(201, Ordering::SeqCst);
        timeout(RETRY * 4, winning).await.expect("it goes on trying").unwrap();
    }
}
