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
                        let (lease, error) = (&self.claim.name, cause::innermost(&error));
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

    /// Whether it was written; a lost race is no error.
    async fn write(&mut self, holder: Option<String>) -> Result<bool, kube::Error> {
        let next = record(&self.claim, self.record.clone(), holder, Timestamp::now());
        let params = PostParams::default();
        let written = if self.record.is_some() {
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
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(false),
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
