//! Databases of tests.

#![allow(dead_code, reason = "each test program takes its part")]

use std::time::{Duration, Instant};

use portico_kit::{
    Environment, StoreConfig,
    store::{Error, Migration, Store},
};
use portico_services::Postgres;

/// Longest wait for anything that must happen.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// Which database a test runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    Memory,
    File,
    Postgres,
}

/// A database that is gone with its test.
pub struct Database {
    pub folder: tempfile::TempDir,
    pub postgres: Option<Postgres>,
    pub url: String,
}

impl Database {
    pub async fn new(on: On) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let postgres = if on == On::Postgres { Some(Postgres::start(&[]).await.unwrap()) } else { None };
        let url = match (on, &postgres) {
            (On::Memory, _) => "sqlite::memory:".to_owned(),
            (_, Some(postgres)) => postgres.url("postgres"),
            (_, None) => format!("sqlite:{}", folder.path().join("data.db").display()),
        };
        Self { folder, postgres, url }
    }

    pub async fn open(&self, migrations: &'static [Migration]) -> Result<Store, Error> {
        open(&[("DATABASE_URL", &self.url)], migrations).await
    }
}

/// Opens a store as a server's environment says.
pub async fn open(pairs: &[(&str, &str)], migrations: &'static [Migration]) -> Result<Store, Error> {
    let lookup =
        |name: &str| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
    let config = StoreConfig::from_env(&Environment::new(&lookup)).unwrap();
    Store::open(&config, migrations).await
}

/// Waits until `is_so`.
pub async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so().await {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
