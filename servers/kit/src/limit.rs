//! How often one user may call.

use std::{num::NonZeroU32, time::Duration};

use governor::{
    Quota, RateLimiter,
    clock::{Clock as _, DefaultClock},
    state::keyed::DefaultKeyedStateStore,
};

/// Users remembered at once; above that those are forgotten whose allowance is whole again.
const MOST: usize = 50_000;

/// Calls a minute and user, with a burst of as many (GCRA). Each replica counts for itself.
pub struct Limit {
    per_minute: NonZeroU32,
    users: RateLimiter<u128, DefaultKeyedStateStore<u128>, DefaultClock>,
}

impl Limit {
    /// `per_minute` calls for each user.
    #[must_use]
    pub fn new(per_minute: NonZeroU32) -> Self {
        Self { per_minute, users: RateLimiter::keyed(Quota::per_minute(per_minute)) }
    }

    /// Takes one call of `user`; the error says when the next is allowed.
    pub fn take(&self, user: u128) -> Result<(), Duration> {
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

    #[test]
    fn one_user_uses_up_no_others_calls() {
        let limit = Limit::new(NonZeroU32::new(3).unwrap());
        let taken = (0..5).filter(|_| limit.take(1).is_ok()).count();
        assert_eq!(taken, 3);
        let wait = limit.take(1).unwrap_err();
        assert!(wait > Duration::ZERO && wait <= Duration::from_secs(20), "{wait:?}");
        assert_eq!(limit.take(2), Ok(()));
    }
}
