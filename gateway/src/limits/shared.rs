//! Counting in Redis, for all replicas together. One script a call takes all or none, by the clock of Redis.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, RedisError, Script};
use tokio::sync::OnceCell;
use tokio::time::timeout;

use super::window::now;
use super::{Amount, Want};
use crate::config::limits::Redis;

/// Time for one answer. Longer would hold up every call.
const WITHIN: Duration = Duration::from_millis(500);
/// Time in which nothing is asked after a failure, in microseconds.
const PAUSE: u64 = 1_000_000;
/// All keys lie in one slot of a cluster, since one script reads several.
const PREFIX: &str = "portico:{quotas}:";

/// Numbers stay below 2^53, which is what Lua holds: microseconds until 2255.
const TAKE: &str = r"
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local after = {}
for i, key in ipairs(KEYS) do
  local kind, first, second, ends = ARGV[4 * i - 3], tonumber(ARGV[4 * i - 2]), tonumber(ARGV[4 * i - 1]), tonumber(ARGV[4 * i])
  if kind == 'rate' then
    local due = math.max(tonumber(redis.call('GET', key) or '0'), now)
    if due - now > second then return {i, due - now - second} end
    after[i] = {due + first, math.ceil((due + first - now) / 1000) + 1}
  else
    local used = tonumber(redis.call('GET', key) or '0')
    if used >= first then return {i, ends} end
    after[i] = {used + 1, math.ceil(ends / 1000) + 1}
  end
end
for i, key in ipairs(KEYS) do
  redis.call('SET', key, string.format('%.0f', after[i][1]), 'PX', string.format('%.0f', after[i][2]))
end
return {0, 0}
";

/// Why it was not counted.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("{0}")]
    Redis(#[from] RedisError),
    #[error("no answer within {} ms", WITHIN.as_millis())]
    Late,
    #[error("it failed a moment ago")]
    Resting,
    #[error("the password cannot be read: {0}")]
    Password(std::io::Error),
}

/// A Redis server that several replicas count in.
pub(super) struct Shared {
    config: Redis,
    connection: OnceCell<ConnectionManager>,
    script: Script,
    told: AtomicBool,
    rests_until: AtomicU64,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("url", &self.config.url).finish_non_exhaustive()
    }
}

impl Shared {
    pub(super) fn new(config: &Redis) -> Self {
        let script = Script::new(TAKE);
        Self {
            config: config.clone(),
            connection: OnceCell::new(),
            script,
            told: AtomicBool::new(false),
            rests_until: AtomicU64::new(0),
        }
    }

    /// Takes all of `wants` or none; then which is used up, and the microseconds until it is not.
    pub(super) async fn take(&self, wants: &[Want]) -> Result<Result<(), (usize, u64)>, Error> {
        if now() < self.rests_until.load(Ordering::Relaxed) {
            return Err(Error::Resting);
        }
        let ran = timeout(WITHIN, self.run(wants)).await.unwrap_or(Err(Error::Late));
        let (index, wait) = ran.inspect_err(|_| self.rests_until.store(now() + PAUSE, Ordering::Relaxed))?;
        if self.told.swap(false, Ordering::Relaxed) {
            tracing::info!("quotas are counted by all replicas together again");
        }
        Ok(if index == 0 { Ok(()) } else { Err((index - 1, wait)) })
    }

    async fn run(&self, wants: &[Want]) -> Result<(usize, u64), Error> {
        let mut connection = self.connection.get_or_try_init(|| self.connect()).await?.clone();
        let mut call = self.script.prepare_invoke();
        for Want { key, amount } in wants {
            match amount {
                Amount::Rate { interval, ahead } => {
                    call.key(format!("{PREFIX}{key:032x}")).arg("rate").arg(*interval).arg(*ahead).arg(0)
                }
                // The window stands in the key, so that each begins at nothing.
                Amount::Window { calls, number, ends } => call
                    .key(format!("{PREFIX}{key:032x}:{number}"))
                    .arg("window")
                    .arg(*calls)
                    .arg(0)
                    .arg(*ends),
            };
        }
        Ok(call.invoke_async(&mut connection).await?)
    }

    async fn connect(&self) -> Result<ConnectionManager, Error> {
        let mut info: redis::ConnectionInfo =
            redis::IntoConnectionInfo::into_connection_info(self.config.url.as_str())?;
        if let Some(file) = &self.config.password_file {
            let password = tokio::fs::read_to_string(file).await.map_err(Error::Password)?;
            let settings = info.redis_settings().clone().set_password(password.trim());
            info = info.set_redis_settings(settings);
        }
        let config =
            ConnectionManagerConfig::new().set_connection_timeout(Some(WITHIN)).set_number_of_retries(1);
        Ok(ConnectionManager::new_with_config(Client::open(info)?, config).await?)
    }

    /// Says once that counting failed.
    pub(super) fn tell(&self, error: &Error) {
        if !self.told.swap(true, Ordering::Relaxed) {
            tracing::error!(url = %self.config.url, %error, "quotas cannot be counted together; this replica counts alone until they can");
        }
    }
}
