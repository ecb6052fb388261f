//! How much of what somebody may do: quotas, counted here or, where Redis is given, by all replicas together.

mod local;
mod shared;
mod window;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use crate::config::limits::{Counts, Limits, Per, Quota};
use crate::metrics::Metrics;
use crate::source::ServerKey;

pub(crate) use local::Local;
use shared::Shared;

/// What is asked of the quotas.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Use<'a> {
    pub(crate) principal: &'a str,
    pub(crate) address: Option<IpAddr>,
    /// None of a request that is no call.
    pub(crate) server: Option<&'a ServerKey>,
    pub(crate) tool: Option<&'a str>,
}

/// A quota is used up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Over {
    /// Which.
    pub(crate) quota: String,
    /// When there will be room again.
    pub(crate) after: Duration,
}

/// One of a quota, for one of those that it counts apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Want {
    key: u128,
    amount: Amount,
}

/// How much there is; times in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Amount {
    /// One each `interval`, and up to `ahead` of time (GCRA, ITU-T I.371: the emission interval and the tolerance).
    Rate { interval: u64, ahead: u64 },
    /// So many in a window, which ends after this time.
    Window { calls: u64, number: u64, ends: u64 },
}

/// The quotas of a configuration.
#[derive(Debug)]
pub(crate) struct Quotas {
    limits: Limits,
    local: Arc<Local>,
    shared: Option<Shared>,
    metrics: Arc<Metrics>,
}

impl Quotas {
    /// As `limits` says. What was counted here goes on in `local`.
    pub(crate) fn new(limits: &Limits, local: Arc<Local>, metrics: Arc<Metrics>) -> Self {
        let shared = limits.redis.as_ref().map(Shared::new);
        Self { limits: limits.clone(), local, shared, metrics }
    }

    /// Takes one from every quota that counts this use of the gateway; from none if one is used up.
    pub(crate) async fn take(&self, counts: Counts, used: &Use<'_>) -> Result<(), Over> {
        let about: Vec<&Quota> = self
            .limits
            .quotas
            .iter()
            .filter(|quota| quota.counts == counts && quota.covers(used.principal, used.server, used.tool))
            .collect();
        if about.is_empty() {
            return Ok(());
        }
        let now = window::now();
        let wants: Vec<Want> = about.iter().map(|quota| want(quota, used, now)).collect();
        let (index, after) = match self.counted(&wants).await {
            Ok(()) => return Ok(()),
            Err(over) => over,
        };
        let quota = about.get(index).map_or_else(String::new, |quota| quota.name.clone());
        self.metrics.policy.over(&quota);
        Err(Over { quota, after: Duration::from_micros(after) })
    }

    /// Counts together with the other replicas; when that fails, alone: a store that is away must not end all service, nor all
    /// limits.
    async fn counted(&self, wants: &[Want]) -> Result<(), (usize, u64)> {
        if let Some(shared) = &self.shared {
            match shared.take(wants).await {
                Ok(counted) => return counted,
                Err(error) => {
                    self.metrics.policy.store_failed();
                    shared.tell(&error);
                }
            }
        }
        self.local.take(wants)
    }
}

fn want(quota: &Quota, used: &Use<'_>, now: u64) -> Want {
    let amount = match (quota.seconds, quota.every) {
        (Some(seconds), _) => {
            let interval = (seconds * 1_000_000 / quota.calls).max(1);
            Amount::Rate { interval, ahead: interval * (quota.burst.unwrap_or(quota.calls) - 1) }
        }
        (None, every) => {
            let (number, ends) = window::of(every, now);
            Amount::Window { calls: quota.calls, number, ends }
        }
    };
    Want { key: key(quota, used), amount }
}

/// A digest of the quota and of what it counts apart.
fn key(quota: &Quota, used: &Use<'_>) -> u128 {
    let mut digest = Sha256::new();
    let mut add = |text: &str| {
        digest.update((text.len() as u64).to_be_bytes());
        digest.update(text);
    };
    add(&quota.name);
    for per in &quota.per {
        match per {
            Per::Principal => add(used.principal),
            Per::Address => add(&used.address.map(network).unwrap_or_default()),
            Per::Server => add(&used.server.map(ToString::to_string).unwrap_or_default()),
            Per::Tool => {
                add(&used.server.map(ToString::to_string).unwrap_or_default());
                add(used.tool.unwrap_or_default());
            }
        }
    }
    let digest: [u8; 32] = digest.finalize().into();
    digest.first_chunk::<16>().map_or(0, |bytes| u128::from_be_bytes(*bytes))
}

/// Who has one address of IPv6 has 2^64 of them.
fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("{:x}", address.to_bits() >> 64),
    }
}
