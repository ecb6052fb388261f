//! Which of several operators acts: a Lease, taken and renewed under its resource version.
//!
//! Expiry is measured from when this process saw the record change, never by comparing clocks of two machines.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use kube::{Api, Client, api::PostParams};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::{client::Fence, error::Error};

/// How long a record is believed after it was last seen to change.
pub const DURATION: Duration = Duration::from_secs(15);
/// How long a holder may fail to renew before it stops acting.
pub const RENEW_DEADLINE: Duration = Duration::from_secs(10);
/// Time between two looks at the record.
pub const RETRY: Duration = Duration::from_secs(2);

/// Where the Lease is, and who asks for it.
#[derive(Clone, Debug)]
pub struct Claim {
    /// Namespace of the Lease.
    pub namespace: String,
    /// Name of the Lease.
    pub name: String,
    /// Name of this process, unlike any other's.
    pub identity: String,
}

/// What this process knows of the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// When the record was last seen to change.
    pub changed: Instant,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Write this process in as the holder.
    Acquire,
    /// Write a new renewal time.
    Renew,
    /// Look again later.
    Wait,
}

/// What to do about a record. Pure.
#[must_use]
pub fn decide(now: Instant, seen: Seen, holder: Option<&str>, me: &str) -> Step {
    match holder {
        Some(name) if name == me => Step::Renew,
        None | Some("") => Step::Acquire,
        Some(_) if now.saturating_duration_since(seen.changed) >= DURATION => Step::Acquire,
        Some(_) => Step::Wait,
    }
}

/// An election in which this process takes part.
pub struct Election {
    api: Api<Lease>,
    claim: Claim,
    fence: Fence,
    record: Option<Lease>,
    seen: Seen,
}

impl Election {
    /// Takes part in the election of `claim`; `fence` is open while this process holds the Lease.
    #[must_use]
    pub fn new(client: Client, claim: Claim, fence: Fence) -> Self {
        let api = Api::namespaced(client, &claim.namespace);
        fence.open_for(Duration::ZERO);
        Self { api, claim, fence, record: None, seen: Seen { changed: Instant::now() } }
    }

    /// Waits until this process is the holder.
    pub async fn win(&mut self) {
        loop {
            match self.attempt().await {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(%error, lease = self.claim.name, "cannot take part in the election");
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
        let holder = self.record.as_ref().and_then(|lease| lease.spec.as_ref()?.holder_identity.as_deref());
        let began = Instant::now();
        let holds = match decide(began, self.seen, holder, &self.claim.identity) {
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
            self.seen = Seen { changed: Instant::now() };
        }
        self.record = found;
    }

    /// A lost race is no error: the other one is the holder.
    async fn write(&mut self, holder: Option<String>) -> Result<bool, Error> {
        let next = self.next(holder);
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
            Err(error) if error.is_gone() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The record as it should be; it keeps the resource version it was read under.
    fn next(&self, holder: Option<String>) -> Lease {
        let before = self.record.clone();
        let old = before.as_ref().and_then(|lease| lease.spec.clone()).unwrap_or_default();
        let now = MicroTime(Timestamp::now());
        let changes = old.holder_identity != holder;
        let metadata = before.map_or_else(
            || ObjectMeta {
                name: Some(self.claim.name.clone()),
                namespace: Some(self.claim.namespace.clone()),
                ..ObjectMeta::default()
            },
            |lease| lease.metadata,
        );
        let spec = LeaseSpec {
            holder_identity: holder,
            lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
            renew_time: Some(now.clone()),
            acquire_time: if changes { Some(now) } else { old.acquire_time },
            lease_transitions: Some(old.lease_transitions.unwrap_or(0) + i32::from(changes)),
            ..LeaseSpec::default()
        };
        Lease { metadata, spec: Some(spec) }
    }

    /// Lets go, so that another process need not wait for the record to expire.
    async fn release(&mut self) -> Result<(), Error> {
        self.fence.open_for(Duration::ZERO);
        let found = self.call("get", self.api.get_opt(&self.claim.name)).await?;
        self.observe(found);
        let holder = self.record.as_ref().and_then(|lease| lease.spec.as_ref()?.holder_identity.clone());
        if holder.as_ref() == Some(&self.claim.identity) {
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
    use proptest::prelude::*;

    use super::*;

    fn after(seconds: u64) -> (Instant, Seen) {
        let changed = Instant::now();
        (changed + Duration::from_secs(seconds), Seen { changed })
    }

    #[test]
    fn a_free_lease_is_taken_and_an_own_one_renewed() {
        let (now, seen) = after(0);
        assert_eq!(decide(now, seen, None, "me"), Step::Acquire);
        assert_eq!(decide(now, seen, Some(""), "me"), Step::Acquire);
        assert_eq!(decide(now, seen, Some("me"), "me"), Step::Renew);
    }

    proptest! {
        #[test]
        fn anothers_lease_is_taken_only_once_it_has_not_changed_for_its_duration(seconds in 0u64..100) {
            let (now, seen) = after(seconds);
            let expected = if seconds >= DURATION.as_secs() { Step::Acquire } else { Step::Wait };
            prop_assert_eq!(decide(now, seen, Some("other"), "me"), expected);
        }
    }

    #[test]
    fn a_holder_stops_before_another_may_take_over() {
        assert!(RENEW_DEADLINE + RETRY < DURATION);
    }
}
