//! Making the pools.

use std::{
    fs::{OpenOptions, Permissions},
    io,
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
    sync::Once,
    time::Duration,
};

use sqlx::{
    AnyConnection, AnyPool, ConnectOptions as _, Connection as _, Executor as _,
    any::{AnyConnectOptions, AnyPoolOptions},
};
use tokio::time::{Instant, sleep};

use super::{
    config::{Place, StoreConfig, shown},
    error::{Error, Kind, told},
};
use crate::Secret;

/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// As [`CONNECT`], for a replica: the writer can serve instead.
const CONNECT_REPLICA: Duration = Duration::from_secs(1);
/// How long other processes may hold up the switch to the write-ahead log.
const SWITCH: Duration = Duration::from_secs(5);
const SWITCH_AGAIN: Duration = Duration::from_millis(20);

/// What holds for each connection. FULL: what was committed is on the disk. `secure_delete`: what was deleted is overwritten.
const SQLITE: &str = "PRAGMA busy_timeout = 5000; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON;";
/// A statement, a wait for a lock, and a transaction that does nothing end on their own.
const POSTGRES: &str = "SET statement_timeout = '10s'; SET lock_timeout = '5s'; SET idle_in_transaction_session_timeout = '60s';";

/// The pool that writes.
pub(super) async fn writer(config: &StoreConfig) -> Result<AnyPool, Error> {
    let refused = |error: &sqlx::Error| Error::Open {
        place: config.place.shown(),
        problem: told(error),
        mend: Kind::of(error).mend(),
    };
    match &config.place {
        Place::Memory => memory().await.map_err(|error| refused(&error)),
        Place::File(path) => {
            create(path).map_err(|error| unwritable(&config.place, &error))?;
            file(path, config.connections).await.map_err(|error| refused(&error))
        }
        Place::Postgres(url) => postgres(url, config.connections)?.await.map_err(|error| refused(&error)),
    }
}

fn unwritable(place: &Place, error: &io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::StorageFull => Kind::Full,
        io::ErrorKind::NotFound => Kind::NoDatabase,
        _ => Kind::ReadOnly,
    };
    Error::Open { place: place.shown(), problem: error.to_string(), mend: kind.mend() }
}

/// The file must be nobody else's: what SQLite writes beside it gets its mode.
fn create(path: &Path) -> io::Result<()> {
    let file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    if file.metadata()?.permissions().mode() & 0o077 != 0 {
        file.set_permissions(Permissions::from_mode(0o600))?;
    }
    Ok(())
}

fn parse(url: &str) -> Result<AnyConnectOptions, sqlx::Error> {
    static DRIVERS: Once = Once::new();
    DRIVERS.call_once(sqlx::any::install_default_drivers);
    // Statements are not logged: slow ones would be, with what they ask for.
    Ok(url.parse::<AnyConnectOptions>()?.disable_statement_logging())
}

/// One connection that never closes, for the data is gone with it.
async fn memory() -> Result<AnyPool, sqlx::Error> {
    // A test that is given up half-way would close it, too.
    let pool =
        pool(1, SQLITE).min_connections(1).idle_timeout(None).max_lifetime(None).test_before_acquire(false);
    pool.connect_with(parse("sqlite::memory:")?).await
}

async fn file(path: &Path, connections: u32) -> Result<AnyPool, sqlx::Error> {
    let absolute = std::path::absolute(path)?;
    let mut url = reqwest::Url::from_file_path(&absolute)
        .map_err(|()| sqlx::Error::Configuration("the path cannot be written as an address".into()))?;
    url.set_query(Some("mode=rw"));
    // The scheme `file` can be changed in the text alone.
    let options = parse(&url.as_str().replacen("file:", "sqlite:", 1))?;
    let mut first = first(&options, SQLITE).await?;
    switch_to_log(&mut first).await?;
    first.close().await?;
    pool(connections, SQLITE).connect_with(options).await
}

/// Connects once without a pool, which would try again and again and not say why.
async fn first(options: &AnyConnectOptions, settings: &'static str) -> Result<AnyConnection, sqlx::Error> {
    let connecting = async {
        let mut connection = options.connect().await?;
        connection.execute(sqlx::raw_sql(settings)).await?;
        Ok(connection)
    };
    tokio::time::timeout(CONNECT, connecting).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
}

/// The write-ahead log stays on in the file. SQLite does not wait for others at this one switch, so we do.
async fn switch_to_log(connection: &mut AnyConnection) -> Result<(), sqlx::Error> {
    let deadline = Instant::now() + SWITCH;
    loop {
        match sqlx::query("PRAGMA journal_mode = WAL").fetch_one(&mut *connection).await {
            Err(error) if Kind::of(&error) == Kind::Away && Instant::now() < deadline => {
                sleep(SWITCH_AGAIN).await;
            }
            done => return done.map(drop),
        }
    }
}

fn postgres(
    url: &Secret,
    connections: u32,
) -> Result<impl Future<Output = Result<AnyPool, sqlx::Error>> + use<>, Error> {
    let options = postgres_options(url)?;
    Ok(async move {
        first(&options, POSTGRES).await?.close().await?;
        pool(connections, POSTGRES).connect_with(options).await
    })
}

/// A pool that connects when it is first asked: a replica that is away must not keep a server from starting.
pub(super) fn replica(url: &Secret, connections: u32) -> Result<AnyPool, Error> {
    Ok(pool(connections, POSTGRES).acquire_timeout(CONNECT_REPLICA).connect_lazy_with(postgres_options(url)?))
}

fn postgres_options(url: &Secret) -> Result<AnyConnectOptions, Error> {
    let mend = "see its form at postgresql.org, under `Connection URIs`";
    parse(url.expose()).map_err(|error| Error::Open { place: shown(url), problem: told(&error), mend })
}

fn pool(connections: u32, settings: &'static str) -> AnyPoolOptions {
    AnyPoolOptions::new().max_connections(connections).acquire_timeout(CONNECT).after_connect(
        move |connection: &mut AnyConnection, _| {
            Box::pin(async move { connection.execute(sqlx::raw_sql(settings)).await.map(drop) })
        },
    )
}
