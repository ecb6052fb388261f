//! Which of several gateways writes statuses: by a Lease, as `portico_crds::lease` decides.

use std::future::Future;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::jiff::Timestamp;
use kube::api::PostParams;
use kube::{Api, Client};
use portico_crds::lease::{Claim, RENEW_DEADLINE, RETRY, Step, decide, holder, record};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::cause;

/// Until when this process may act; the past if it may not.
pub(in crate::kubernetes) type Held = watch::Receiver<Instant>;

/// Whether this process may act now.
pub(in crate::kubernetes) fn is_held(until: Instant) -> bool {
    Instant::now() < until
}

/// Takes part in the election of `claim` until `stop`; the task then lets go and ends.
pub(super) fn take_part(client: Client, claim: Claim, stop: CancellationToken) -> (Held, JoinHandle<()>) {
    let (until, held) = watch::channel(Instant::now());
    let api = Api::namespaced(client, &claim.namespace);
    let mut election = Election { api, claim, until, record: None, changed: Instant::now() };
    let task = tokio::spawn(async move {
        stop.run_until_cancelled(election.run()).await;
        election.release().await;
    });
    (held, task)
}

struct Election {
    api: Api<Lease>,
    claim: Claim,
    until: watch::Sender<Instant>,
    record: Option<Lease>,
    /// When the record was last seen to change.
    changed: Instant,
}

impl Election {
    async fn run(&mut self) {
        let mut failing = false;
        loop {
            match self.attempt().await {
                Ok(()) => failing = false,
                Err(error) => {
                    if !std::mem::replace(&mut failing, true) {
                        let (lease, error) = (&self.claim.name, self.words(&error));
                        tracing::warn!(
                            lease,
                            error,
                            "cannot take part in the election of the gateway that writes statuses"
                        );
                    }
                }
            }
            sleep(RETRY).await;
        }
    }

    /// What is wrong, and how to mend it where that is known.
    fn words(&self, error: &kube::Error) -> String {
        match error {
            kube::Error::Api(status) if status.code == 404 => format!(
                "namespace '{}' does not exist; create it, or name another with --lease-namespace",
                self.claim.namespace
            ),
            other => cause::innermost(other),
        }
    }

    /// One look and at most one write.
    async fn attempt(&mut self) -> Result<(), kube::Error> {
        let Some(found) = soon(self.api.get_opt(&self.claim.name)).await? else { return Ok(()) };
        self.observe(found);
        let began = Instant::now();
        let unchanged = began.saturating_duration_since(self.changed);
        let me = &self.claim.identity;
        let holds = match decide(unchanged, holder(self.record.as_ref()), me) {
            Step::Wait => false,
            Step::Acquire | Step::Renew => self.write(Some(me.clone())).await?,
        };
        // Counted from before the write was sent: that is the earliest that others can have seen it.
        self.until.send_replace(if holds { began + RENEW_DEADLINE } else { began });
        Ok(())
    }

    fn observe(&mut self, found: Option<Lease>) {
        let version = |lease: &Option<Lease>| lease.as_ref().and_then(kube::ResourceExt::resource_version);
        if version(&found) != version(&self.record) {
            self.changed = Instant::now();
        }
        self.record = found;
    }

    /// Whether it was written; a lost race is no error. To create something in a namespace that does not exist is none.
    async fn write(&mut self, holder: Option<String>) -> Result<bool, kube::Error> {
        let next = record(&self.claim, self.record.clone(), holder, Timestamp::now());
        let (params, replaces) = (PostParams::default(), self.record.is_some());
        let written = if replaces {
            soon(self.api.replace(&self.claim.name, &params, &next)).await
        } else {
            soon(self.api.create(&params, &next)).await
        };
        match written {
            Ok(Some(lease)) => {
                self.observe(Some(lease));
                Ok(true)
            }
            Ok(None) => Ok(false),
            Err(kube::Error::Api(status)) if status.code == 409 || replaces && status.code == 404 => {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Lets go, so that another process need not wait for the record to expire.
    async fn release(&mut self) {
        self.until.send_replace(Instant::now());
        if holder(self.record.as_ref()) == Some(self.claim.identity.as_str()) {
            self.write(None).await.ok();
        }
    }
}

/// What the API server answers, unless it takes longer than a look may.
async fn soon<T>(call: impl Future<Output = Result<T, kube::Error>>) -> Result<Option<T>, kube::Error> {
    const LONGEST: Duration = RETRY.saturating_mul(2);
    timeout(LONGEST, call).await.map_or(Ok(None), |answer| answer.map(Some))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU16, Ordering};

    use http::{Method, Request, Response};
    use kube::client::Body;
    use serde_json::json;

    use super::*;

    const REASONS: [&str; 2] = ["NotFound", "AlreadyExists"];

    /// An election at an API server without any Lease, which answers a creation with a status.
    fn election(status: Arc<AtomicU16>) -> Election {
        let service = tower::service_fn(move |request: Request<Body>| {
            let code = if *request.method() == Method::POST { status.load(Ordering::SeqCst) } else { 404 };
            let body = match code {
                201 => json!({"metadata": {"name": "portico-gateway", "resourceVersion": "1"}}),
                _ => {
                    json!({"status": "Failure", "message": "no", "reason": REASONS[usize::from(code == 409)], "code": code})
                }
            };
            let answer = Response::builder().status(code).body(Body::from(body.to_string().into_bytes()));
            async move { answer }
        });
        let api = Api::namespaced(Client::new(service, "default"), "portico-system");
        let (namespace, name) = ("portico-system".to_owned(), "portico-gateway".to_owned());
        let claim = Claim { namespace, name, identity: "me".to_owned() };
        Election {
            api,
            claim,
            until: watch::channel(Instant::now()).0,
            record: None,
            changed: Instant::now(),
        }
    }

    #[tokio::test]
    async fn a_namespace_that_does_not_exist_is_told_and_taken_up_as_soon_as_it_does() {
        let status = Arc::new(AtomicU16::new(404));
        let mut election = election(Arc::clone(&status));
        let error = election.attempt().await.unwrap_err();
        let expected =
            "namespace 'portico-system' does not exist; create it, or name another with --lease-namespace";
        assert_eq!(election.words(&error), expected);
        assert!(!is_held(*election.until.borrow()));
        status.store(409, Ordering::SeqCst);
        election.attempt().await.expect("somebody else was faster");
        assert!(!is_held(*election.until.borrow()));
        status.store(201, Ordering::SeqCst);
        election.attempt().await.unwrap();
        assert!(is_held(*election.until.borrow()));
    }
}
