//! How several processes agree by a Lease which of them acts: the decisions alone, which operator and gateway share.
//! Each asks the API server in its own way.
//!
//! Expiry is measured from when a process saw the record change, never by comparing clocks of two machines.

use std::{path::Path, time::Duration};

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};

/// How long a record is believed after it was last seen to change.
pub const DURATION: Duration = Duration::from_secs(15);
/// How long a holder may fail to renew before it stops acting.
pub const RENEW_DEADLINE: Duration = Duration::from_secs(10);
/// Time between two looks at the record.
pub const RETRY: Duration = Duration::from_secs(2);

/// File in which a pod finds the name of its own namespace.
pub const OWN_NAMESPACE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";
/// Namespace of the shipped roles.
const DEFAULT_NAMESPACE: &str = "portico-system";

/// The namespace that is `named`, else the one that a pod finds written in the file `own`, else that of the shipped roles.
pub fn namespace(named: Option<&str>, own: impl AsRef<Path>) -> String {
    let written = || std::fs::read_to_string(own).ok();
    let given = named.map(ToOwned::to_owned).filter(|name| !name.trim().is_empty()).or_else(written);
    let given = given.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
    given.unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned())
}

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

/// What `me` does about a record that names `holder` and was not seen to change for the time `unchanged`.
#[must_use]
pub fn decide(unchanged: Duration, holder: Option<&str>, me: &str) -> Step {
    match holder {
        Some(name) if name == me => Step::Renew,
        None | Some("") => Step::Acquire,
        Some(_) if unchanged >= DURATION => Step::Acquire,
        Some(_) => Step::Wait,
    }
}

/// Who holds the Lease that `record` is.
#[must_use]
pub fn holder(record: Option<&Lease>) -> Option<&str> {
    record?.spec.as_ref()?.holder_identity.as_deref()
}

/// The record of `claim` with another holder; it keeps the resource version that `before` was read under.
#[must_use]
pub fn record(claim: &Claim, before: Option<Lease>, holder: Option<String>, now: Timestamp) -> Lease {
    let old = before.as_ref().and_then(|lease| lease.spec.clone()).unwrap_or_default();
    let now = MicroTime(now);
    let changes = old.holder_identity != holder;
    let metadata = before.map_or_else(
        || ObjectMeta {
            name: Some(claim.name.clone()),
            namespace: Some(claim.namespace.clone()),
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_free_lease_is_taken_and_an_own_one_renewed() {
        assert_eq!(decide(Duration::ZERO, None, "me"), Step::Acquire);
        assert_eq!(decide(Duration::ZERO, Some(""), "me"), Step::Acquire);
        assert_eq!(decide(Duration::ZERO, Some("me"), "me"), Step::Renew);
    }

    proptest! {
        #[test]
        fn anothers_lease_is_taken_only_once_it_has_not_changed_for_its_duration(seconds in 0u64..100) {
            let unchanged = Duration::from_secs(seconds);
            let expected = if unchanged >= DURATION { Step::Acquire } else { Step::Wait };
            prop_assert_eq!(decide(unchanged, Some("other"), "me"), expected);
        }
    }

    #[test]
    fn a_holder_stops_before_another_may_take_over() {
        assert!(RENEW_DEADLINE + RETRY < DURATION);
    }

    #[test]
    fn a_record_counts_its_holders_and_keeps_the_version_it_was_read_under() {
        let claim = Claim { namespace: "a".into(), name: "b".into(), identity: "me".into() };
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut first = record(&claim, None, Some("me".into()), at(1));
        first.metadata.resource_version = Some("7".into());
        let renewed = record(&claim, Some(first.clone()), Some("me".into()), at(2));
        let spec = renewed.spec.clone().unwrap();
        assert_eq!((spec.lease_transitions, spec.acquire_time), (Some(1), Some(MicroTime(at(1)))));
        assert_eq!(renewed.metadata.resource_version.as_deref(), Some("7"));
        let other = record(&claim, Some(renewed), Some("other".into()), at(3));
        assert_eq!(
            (holder(Some(&other)), other.spec.as_ref().unwrap().lease_transitions),
            (Some("other"), Some(2))
        );
    }

    #[test]
    fn a_lease_is_in_the_namespace_that_is_named_else_in_the_pods_own_else_in_that_of_the_roles() {
        let folder = std::env::temp_dir().join(format!("portico-lease-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (file, empty) = (folder.join("namespace"), folder.join("empty"));
        std::fs::write(&file, "tools\n").unwrap();
        std::fs::write(&empty, "").unwrap();
        let found = [
            namespace(Some("named"), &file),
            namespace(None, &file),
            namespace(Some(""), &file),
            namespace(None, &empty),
            namespace(None, folder.join("none")),
        ];
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(found, ["named", "tools", "tools", "portico-system", "portico-system"]);
    }
}
