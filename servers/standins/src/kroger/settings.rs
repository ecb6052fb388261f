//! What a test can set about the stand-in: lives of tokens, daily limits, the clock, who signs in, what a partner may.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Longest list or map of settings.
const MAX_ENTRIES: usize = 64;
/// Longest name of a customer, in bytes.
const MAX_CUSTOMER: usize = 64;
/// Coupons beyond those of the data.
const MAX_COUPONS: usize = 10_000;
/// Access and refresh tokens of the real API, in seconds: half an hour and six months.
const TOKEN_SECONDS: u64 = 1_800;
const REFRESH_SECONDS: u64 = 182 * 24 * 3_600;

/// Zero and empty stand for "as the real API".
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Settings {
    /// Life of a new access token, in seconds.
    token_seconds: u64,
    /// Life of a new refresh token, in seconds.
    refresh_seconds: u64,
    /// What `expires_in` says in place of the truth, in seconds.
    claimed_seconds: Option<u64>,
    /// How far the header `Date` is off, in seconds.
    pub(crate) date_skew_seconds: i64,
    /// Calls a day of each group of paths.
    daily_limit: u64,
    /// Calls a day of single groups, such as `products`; they go before `daily_limit`.
    daily_limits: BTreeMap<String, u64>,
    /// `Retry-After` of the answer when a day's calls are used up, in seconds; none without it.
    pub(crate) quota_retry_after: Option<u64>,
    /// Who the next sign-in is; `ada` where it is empty.
    customer: String,
    /// The customer refuses the next sign-ins.
    pub(crate) deny: bool,
    /// Redirect addresses of the application; every loopback address where there are none.
    pub(crate) redirect_uris: Vec<String>,
    /// So many refreshes are served, and then the connection breaks before the client learns of it.
    pub(crate) drop_refreshes: u64,
    /// The application is a partner's.
    pub(crate) partner: bool,
    /// So many coupons more than the data has, all alike.
    pub(crate) more_coupons: usize,
}

impl Settings {
    /// These settings with the fields of `change`; what is wrong with it otherwise.
    pub(crate) fn with(&self, change: &Value) -> Result<Self, String> {
        let mut all = serde_json::to_value(self).map_err(|error| error.to_string())?;
        let (Some(fields), Some(change)) = (all.as_object_mut(), change.as_object()) else {
            return Err("settings are an object\n".to_owned());
        };
        fields.extend(change.clone());
        let new: Self = serde_json::from_value(all).map_err(|error| format!("{error}\n"))?;
        if new.redirect_uris.len() > MAX_ENTRIES || new.daily_limits.len() > MAX_ENTRIES {
            return Err("redirect_uris and daily_limits have at most 64 entries\n".to_owned());
        }
        if new.customer.len() > MAX_CUSTOMER {
            return Err("customer has at most 64 bytes\n".to_owned());
        }
        if new.more_coupons > MAX_COUPONS {
            return Err("more_coupons is at most 10000\n".to_owned());
        }
        Ok(new)
    }

    pub(crate) fn customer(&self) -> &str {
        if self.customer.is_empty() { "ada" } else { &self.customer }
    }

    pub(crate) fn token_seconds(&self) -> u64 {
        if self.token_seconds == 0 { TOKEN_SECONDS } else { self.token_seconds }
    }

    pub(crate) fn refresh_seconds(&self) -> u64 {
        if self.refresh_seconds == 0 { REFRESH_SECONDS } else { self.refresh_seconds }
    }

    /// What the client is told of the life of its token.
    pub(crate) fn told_seconds(&self) -> u64 {
        self.claimed_seconds.unwrap_or_else(|| self.token_seconds())
    }

    /// Calls a day of a group; 0 for no limit.
    pub(crate) fn limit(&self, group: &str) -> u64 {
        self.daily_limits.get(group).copied().unwrap_or(self.daily_limit)
    }
}
