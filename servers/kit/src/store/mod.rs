//! What a server keeps: SQLite in a file or PostgreSQL, by the same statements.
//!
//! Statements have `$1` placeholders, and columns of `TEXT`, `BIGINT`, `DOUBLE PRECISION` or `{blob}` alone: these mean the
//! same on both. A transaction holds a connection, and in memory there is only one: what runs within it runs on it.

mod config;
mod error;
mod kit;
mod migrate;
mod open;
mod replica;

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use sqlx::{Any, AnyPool, Transaction};

pub use config::StoreConfig;
pub use error::Error;
pub use migrate::Migration;

use config::Place;
use replica::Replica;

/// Longest time for one statement or the wait for a connection. A database that hangs holds up nobody for longer.
const WITHIN: Duration = Duration::from_secs(10);
/// As [`WITHIN`], for a replica: the writer can answer instead.
const REPLICA_WITHIN: Duration = Duration::from_secs(3);
/// Longest time for the answer of a health check.
const HEALTHY_WITHIN: Duration = Duration::from_secs(2);

/// Which database it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// SQLite, in this process.
    Sqlite,
    /// PostgreSQL.
    Postgres,
}

impl Engine {
    /// The type of bytes.
    fn blob(self) -> &'static str {
        match self {
            Self::Sqlite => "BLOB",
            Self::Postgres => "BYTEA",
        }
    }
}

/// A database. Clones share its connections.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    place: Place,
    write: AnyPool,
    replica: Option<Replica>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Store").field(&self.inner.place).finish()
    }
}

impl Store {
    /// Opens the database and brings it to the form that the kit and the server's `migrations` (numbers from 100, ascending)
    /// make. A database that a newer program has written to is refused.
    pub async fn open(config: &StoreConfig, migrations: &'static [Migration]) -> Result<Self, Error> {
        let write = open::writer(config).await?;
        let replica = config.replica.as_ref().map(|url| Replica::new(url, config.connections)).transpose()?;
        let store = Self { inner: Arc::new(Inner { place: config.place.clone(), write, replica }) };
        let all: Vec<Migration> = kit::MIGRATIONS.iter().chain(migrations).copied().collect();
        migrate::apply(&store, &all).await?;
        if let Some(replica) = &store.inner.replica {
            replica.look().await;
            tokio::spawn(replica::watch(Arc::downgrade(&store.inner)));
        }
        Ok(store)
    }

    /// Connections for writing, and for reading what was just written.
    #[must_use]
    pub fn write(&self) -> &AnyPool {
        &self.inner.write
    }

    /// Connections for reading what may be a moment old: those to the replica, where there is one and it answers. A replica
    /// that fails just now is found out by [`Store::reading`].
    #[must_use]
    pub fn read(&self) -> &AnyPool {
        self.inner
            .replica
            .as_ref()
            .filter(|replica| replica.answers())
            .map_or(&self.inner.write, Replica::pool)
    }

    /// Runs `query` on the replica, and where that fails for whatever reason on the writer: a replica gives up what its writer's changes
    /// come in the way of, and may not have a new table yet. `doing` names it in errors, such as `reading the list`.
    pub async fn reading<T, F>(&self, doing: &'static str, query: impl Fn(AnyPool) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, sqlx::Error>>,
    {
        if let Some(replica) = self.inner.replica.as_ref().filter(|replica| replica.answers()) {
            match within(REPLICA_WITHIN, doing, query(replica.pool().clone())).await {
                Ok(found) => return Ok(found),
                Err(Error::Away { problem, .. }) => replica.is_away(&problem),
                Err(error) => tracing::debug!(%error, "the replica could not answer"),
            }
        }
        self.run(doing, query(self.inner.write.clone())).await
    }

    /// Waits for `query`, for ten seconds at most; `doing` names it in errors, such as `saving the list`.
    pub async fn run<T>(
        &self,
        doing: &'static str,
        query: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, Error> {
        within(WITHIN, doing, query).await
    }

    /// Begins a transaction that writes. On SQLite it waits for its turn here rather than failing at its first write.
    pub async fn begin(&self) -> Result<Transaction<'static, Any>, Error> {
        let doing = "beginning a transaction";
        match self.engine() {
            Engine::Sqlite => self.run(doing, self.inner.write.begin_with("BEGIN IMMEDIATE")).await,
            Engine::Postgres => self.run(doing, self.inner.write.begin()).await,
        }
    }

    /// Whether data outlives this process.
    #[must_use]
    pub fn is_lasting(&self) -> bool {
        !matches!(self.inner.place, Place::Memory)
    }

    /// Which database it is.
    #[must_use]
    pub fn engine(&self) -> Engine {
        self.inner.place.engine()
    }

    /// The file of SQLite, where data is kept in one.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        if let Place::File(path) = &self.inner.place { Some(path) } else { None }
    }

    /// Whether the database answers within two seconds.
    pub async fn healthy(&self) -> bool {
        let ask = sqlx::query("SELECT 1").fetch_one(&self.inner.write);
        matches!(tokio::time::timeout(HEALTHY_WITHIN, ask).await, Ok(Ok(_)))
    }

    /// Ends all connections, after which nothing can be read or written.
    pub async fn close(&self) {
        self.inner.write.close().await;
        if let Some(replica) = &self.inner.replica {
            replica.pool().close().await;
        }
    }

    fn place(&self) -> String {
        self.inner.place.shown()
    }
}

async fn within<T>(
    limit: Duration,
    doing: &'static str,
    query: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, Error> {
    match tokio::time::timeout(limit, query).await {
        Ok(done) => done.map_err(|error| Error::met(doing, &error)),
        Err(_) => Err(Error::Away { doing, problem: format!("no answer within {} s", limit.as_secs()) }),
    }
}

/// Milliseconds since 1970.
#[must_use]
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
