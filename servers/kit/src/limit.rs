//! How often one user may call.

use std::{num::NonZeroU32, time::Duration};

use crate::Cache;
use governor::{
    Quota, RateLimiter,
    clock::{Clock as _, DefaultClock},
    state::keyed::DefaultKeyedStateStore,
};

/// Users remembered at once; above that those are forgotten whose allowance is whole again.
const MOST: usize = 50_000;

/// Calls a minute and user, with a burst of as many (GCRA). Replicas with one Redis count together; without it, and while it is away, each
/// counts for itself.
pub struct Limit {
    per_minute: NonZeroU32,
    users: RateLimiter<u128, DefaultKeyedStateStore<u128>, DefaultClock>,
    shared: Option<Cache>,
}

impl Limit {
    /// `per_minute` calls for each user, counted with all that have the same cache in Redis.
    #[must_use]
    pub fn new(per_minute: NonZeroU32, shared: Option<Cache>) -> Self {
        Self { per_minute, users: RateLimiter::keyed(Quota::per_minute(per_minute)), shared }
    }

    /// Takes one call of `user`; the error says when the next is allowed.
    pub async fn take(&self, user: u128) -> Result<(), Duration> {
        // What is too much here is too much for all together: nobody is asked.
        self.take_here(user)?;
        let Some(cache) = &self.shared else { return Ok(()) };
        cache.admit(&format!("limit/{user:032x}"), self.per_minute).await.unwrap_or(Ok(()))
    }

    fn take_here(&self, user: u128) -> Result<(), Duration> {
        if self.users.len() > MOST {
            self.users.retain_recent();
        }
        self.users
            .check_key(&user)
            .map_err(|not_until| not_until.wait_time_from(DefaultClock::default().now()))
    }

    /// Calls a minute.
    #[must_use]
    pub fn per_minute(&self) -> NonZeroU32 {
        self.per_minute
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_user_uses_up_no_others_calls() {
        let limit = Limit::new(NonZeroU32::new(3).unwrap(), None);
        for _ in 0..3 {
            assert_eq!(limit.take(1).await, Ok(()));
        }
        let wait = limit.take(1).await.unwrap_err();
        assert!(wait > Duration::ZERO && wait <= Duration::from_secs(20), "{wait:?}");
        assert_eq!(limit.take(2).await, Ok(()));
    }
}
