//! Values in Redis, which replicas share. While it is away everything is a miss, and nobody waits for it.

use std::{
    num::NonZeroU32,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use redis::{
    AsyncConnectionConfig, Client, Cmd, FromRedisValue, RedisError, aio::MultiplexedConnection, cmd,
};

use super::{
    entry::{Entry, milliseconds},
    removals::Unsettled,
};
use crate::{ConfigError, Secret, store::now};

/// Time after a failure in which it is not asked.
const REST: Duration = Duration::from_secs(1);
/// Keys that one step of a search looks at, about.
const STEP: usize = 1_000;
/// Longest time for the removal of all keys with a prefix.
const REMOVAL: Duration = Duration::from_secs(10);
const MINUTE: Duration = Duration::from_mins(1);

pub(super) struct Redis {
    client: Client,
    prefix: String,
    /// Longest time for one command, the connection included.
    patience: Duration,
    connection: tokio::sync::Mutex<Option<MultiplexedConnection>>,
    rests_until: Mutex<Option<Instant>>,
    told: AtomicBool,
    /// When it was told last that Redis refuses something.
    refused: Mutex<Option<Instant>>,
    unsettled: Mutex<Unsettled>,
    settling: AtomicBool,
}

/// The generic cell rate algorithm, by the clock of Redis, which all replicas share: answers 0 where a call is allowed, else the microseconds until
/// the next one is. `ARGV` is the time that one call takes up, and how much may be taken up at once, in microseconds.
const ADMIT: &str = "
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local taken = math.max(tonumber(redis.call('GET', KEYS[1]) or now), now) + tonumber(ARGV[1])
local wait = taken - tonumber(ARGV[2]) - now
if wait > 0 then return math.ceil(wait) end
redis.call('SET', KEYS[1], string.format('%.0f', taken), 'PX', math.ceil((taken - now) / 1000))
return 0";

/// Why a command has no answer.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("it failed a moment ago")]
    Resting,
    #[error("no answer within {} ms", .0.as_millis())]
    Late(Duration),
    #[error("{0}")]
    Redis(#[from] RedisError),
    #[error("Redis refuses: {0}")]
    Refused(RedisError),
}

impl Failure {
    /// An error that Redis itself answers with to one command says nothing of others.
    fn of_command(error: RedisError) -> Self {
        if error.code().is_some() { Self::Refused(error) } else { Self::Redis(error) }
    }
}

impl Redis {
    pub(super) fn new(url: &Secret, prefix: &str, patience: Duration) -> Result<Self, ConfigError> {
        // The message of the parser may hold the address, and that a password.
        let client = Client::open(url.expose()).map_err(|_| {
            ConfigError::new(
                "REDIS_URL",
                "is not an address of Redis",
                "set redis://:PASSWORD@HOST:PORT/0, or rediss:// for TLS",
            )
        })?;
        Ok(Self {
            client,
            prefix: prefix.to_owned(),
            patience,
            connection: tokio::sync::Mutex::default(),
            rests_until: Mutex::default(),
            told: AtomicBool::default(),
            refused: Mutex::default(),
            unsettled: Mutex::default(),
            settling: AtomicBool::default(),
        })
    }

    /// Whether there was an answer, and the entry.
    pub(super) async fn get(&self, key: &str) -> (bool, Option<Entry>) {
        let asked = self.ask::<Option<Vec<u8>>>(cmd("GET").arg(self.key(key))).await;
        let answered = asked.is_ok();
        let entry = asked.ok().flatten().and_then(|written| Entry::read(&Bytes::from(written)));
        // What should be gone and could not be removed is gone for us.
        let unsettled = self.unsettled();
        (answered, entry.filter(|entry| !unsettled.covers(key, entry.made)))
    }

    /// Whether it was taken.
    pub(super) async fn put(&self, key: &str, entry: &Entry) -> bool {
        let keep = milliseconds(entry.keep.whole()).max(1);
        let written = entry.write();
        self.ask::<()>(cmd("SET").arg(self.key(key)).arg(&written[..]).arg("PX").arg(keep)).await.is_ok()
    }

    /// Whether it is gone.
    pub(super) async fn remove(&self, key: &str) -> bool {
        let removed = self.ask::<()>(cmd("UNLINK").arg(self.key(key))).await.is_ok();
        if !removed {
            self.unsettled().add(key, false, now());
        }
        removed
    }

    /// Whether all are gone.
    pub(super) async fn remove_all(&self, prefix: &str) -> bool {
        let removed =
            tokio::time::timeout(REMOVAL, self.sweep(prefix)).await.is_ok_and(|swept| swept.is_ok());
        if !removed {
            self.unsettled().add(prefix, true, now());
        }
        removed
    }

    /// Takes one of `per_minute` calls under `key`: nothing, or how long until the next is allowed. No answer while Redis is away.
    pub(super) async fn admit(&self, key: &str, per_minute: NonZeroU32) -> Option<Result<(), Duration>> {
        let mut command = cmd("EVAL");
        command.arg(ADMIT).arg(1).arg(self.key(key));
        let each = (MINUTE / per_minute.get()).as_micros();
        command.arg(each.to_string()).arg(MINUTE.as_micros().to_string());
        let wait = self.ask::<u64>(&command).await.ok()?;
        Some(if wait == 0 { Ok(()) } else { Err(Duration::from_micros(wait)) })
    }

    /// Whether something that should be gone is still there.
    pub(super) fn is_unsettled(&self) -> bool {
        !self.unsettled().is_empty()
    }

    /// Removes what could not be removed before.
    pub(super) async fn settle(&self) {
        if self.unsettled().is_empty() || self.settling.swap(true, Ordering::Acquire) {
            return;
        }
        let unsettled = self.unsettled().list();
        for (key, is_prefix) in unsettled {
            let done = if is_prefix {
                self.sweep(&key).await
            } else {
                self.ask(cmd("UNLINK").arg(self.key(&key))).await
            };
            if done.is_err() {
                break;
            }
            self.unsettled().settled(&key, is_prefix);
        }
        self.settling.store(false, Ordering::Release);
    }

    /// SCAN blocks nobody for long, however many keys there are; KEYS would.
    async fn sweep(&self, prefix: &str) -> Result<(), Failure> {
        let pattern = format!("{}*", escaped(&self.key(prefix)));
        let mut cursor = "0".to_owned();
        loop {
            let mut scan = cmd("SCAN");
            scan.arg(&cursor).arg("MATCH").arg(&pattern).arg("COUNT").arg(STEP);
            let (next, keys): (String, Vec<Vec<u8>>) = self.ask(&scan).await?;
            if !keys.is_empty() {
                self.ask::<()>(cmd("UNLINK").arg(keys)).await?;
            }
            if next == "0" {
                return Ok(());
            }
            cursor = next;
        }
    }

    fn key(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    fn unsettled(&self) -> std::sync::MutexGuard<'_, Unsettled> {
        self.unsettled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rests_until(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.rests_until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Failure> {
        if self.rests_until().is_some_and(|until| Instant::now() < until) {
            return Err(Failure::Resting);
        }
        let asked = tokio::time::timeout(self.patience, self.exchange(command))
            .await
            .unwrap_or(Err(Failure::Late(self.patience)));
        match &asked {
            Ok(_) if self.told.swap(false, Ordering::Relaxed) => {
                tracing::info!("the cache in Redis answers again");
            }
            Ok(_) => {}
            Err(Failure::Refused(error)) => self.refused(error).await,
            Err(failure) => self.failed(failure).await,
        }
        asked
    }

    async fn exchange<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Failure> {
        let mut connection = self.connected().await?;
        command.query_async(&mut connection).await.map_err(Failure::of_command)
    }

    async fn connected(&self) -> Result<MultiplexedConnection, Failure> {
        let mut connection = self.connection.lock().await;
        if let Some(connection) = &*connection {
            return Ok(connection.clone());
        }
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.patience))
            .set_response_timeout(None);
        let made = self.client.get_multiplexed_async_connection_with_config(&config).await?;
        Ok(connection.insert(made).clone())
    }

    /// Without room for more, without the right to some command: what it answers it goes on answering.
    async fn refused(&self, error: &RedisError) {
        // A replica that takes no writes was the primary before: the next command looks for the new one.
        if error.code() == Some("READONLY") {
            *self.connection.lock().await = None;
        }
        let mut told = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_none_or(|at| at.elapsed() >= MINUTE) {
            *told = Some(Instant::now());
            tracing::warn!(%error, "Redis refuses a command; what it was for goes on without it");
        }
    }

    /// The next command, after a rest, makes a new connection: one that is silent may be so for ever.
    async fn failed(&self, failure: &Failure) {
        *self.rests_until() = Some(Instant::now() + REST);
        *self.connection.lock().await = None;
        if !self.told.swap(true, Ordering::Relaxed) {
            tracing::warn!(%failure, "the cache in Redis does not answer; everything is asked of its source until it does");
        }
    }
}

/// A text without its meaning in patterns of Redis.
fn escaped(text: &str) -> String {
    text.chars()
        .flat_map(|letter| r"*?[]\^-".contains(letter).then_some('\\').into_iter().chain([letter]))
        .collect()
}
