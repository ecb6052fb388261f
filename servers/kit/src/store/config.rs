//! Where the database is, and as whom.

use std::{fmt, path::PathBuf};

use reqwest::Url;

use super::Engine;
use crate::{ConfigError, Environment, Secret};

const URL: &str = "DATABASE_URL";
const READ_URL: &str = "DATABASE_READ_URL";
const MEND: &str = "set sqlite:PATH, sqlite::memory:, or postgres://USER:PASSWORD@HOST/DATABASE";

/// Which database a server keeps its data in.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    pub(super) place: Place,
    /// Address of a replica for reads, of PostgreSQL alone.
    pub(super) replica: Option<Secret>,
    /// Most connections of a pool.
    pub(super) connections: u32,
}

/// Where data is kept.
#[derive(Clone)]
pub(super) enum Place {
    /// In this process, and gone with it.
    Memory,
    /// In a file of SQLite.
    File(PathBuf),
    /// In a database of PostgreSQL, by its address.
    Postgres(Secret),
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown())
    }
}

impl Place {
    pub(super) fn engine(&self) -> Engine {
        if matches!(self, Self::Postgres(_)) { Engine::Postgres } else { Engine::Sqlite }
    }

    /// As errors name it: never with a user or a password.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Memory => "SQLite in memory".to_owned(),
            Self::File(path) => format!("SQLite in {}", path.display()),
            Self::Postgres(url) => shown(url),
        }
    }
}

/// Host, port and database of an address of PostgreSQL.
pub(super) fn shown(url: &Secret) -> String {
    let Ok(url) = Url::parse(url.expose()) else { return "PostgreSQL".to_owned() };
    let host = url.host_str().filter(|host| !host.is_empty()).unwrap_or("a socket");
    format!("PostgreSQL at {host}:{}{}", url.port().unwrap_or(5432), url.path())
}

impl StoreConfig {
    /// Reads `DATABASE_URL` (`sqlite:PATH`, `sqlite::memory:` or `postgres://…`), `DATABASE_READ_URL` (a replica of
    /// PostgreSQL for reads) and `DATABASE_MAX_CONNECTIONS` (1 to 100, by default 10). Both addresses may come from files, by
    /// the same names with `_FILE` behind them.
    ///
    /// Without `DATABASE_URL` data is kept in memory and lost with the process; a warning says so.
    pub fn from_env(environment: &Environment<'_>) -> Result<Self, ConfigError> {
        let place = match environment.optional_secret(URL)? {
            Some(url) => place(&url)?,
            // A placeholder that was never filled in must not look like a wish for memory.
            None if environment.is_set(URL) => return Err(ConfigError::new(URL, "is empty", MEND)),
            None => unnamed(),
        };
        let replica = environment.optional_secret(READ_URL)?;
        if replica.as_ref().is_some_and(|url| !is_postgres(url.expose()))
            || (replica.is_some() && place.engine() == Engine::Sqlite)
        {
            return Err(ConfigError::new(
                READ_URL,
                "is for a replica of PostgreSQL",
                "set postgres://… in DATABASE_URL and here, or leave this unset",
            ));
        }
        let connections = environment.number("DATABASE_MAX_CONNECTIONS", 1..=100, 10)?;
        Ok(Self { place, replica, connections: u32::try_from(connections).unwrap_or(10) })
    }

    /// Data in memory, for tests and trials.
    #[must_use]
    pub fn memory() -> Self {
        Self { place: Place::Memory, replica: None, connections: 1 }
    }

    /// Whether data is kept in memory, and lost with the process.
    #[must_use]
    pub fn is_memory(&self) -> bool {
        matches!(self.place, Place::Memory)
    }

    /// The file of SQLite, where data is kept in one.
    #[must_use]
    pub fn file(&self) -> Option<&std::path::Path> {
        if let Place::File(path) = &self.place { Some(path) } else { None }
    }
}

fn unnamed() -> Place {
    tracing::warn!("DATABASE_URL is not set: what users keep here is in memory and lost with this process");
    Place::Memory
}

fn is_postgres(url: &str) -> bool {
    url.starts_with("postgres://") || url.starts_with("postgresql://")
}

fn place(url: &Secret) -> Result<Place, ConfigError> {
    let text = url.expose();
    if is_postgres(text) {
        return match Url::parse(text) {
            Ok(_) => Ok(Place::Postgres(url.clone())),
            Err(error) => Err(ConfigError::new(URL, format!("is not an address ({error})"), MEND)),
        };
    }
    let Some(path) = text.strip_prefix("sqlite:") else {
        return Err(ConfigError::new(URL, "names no database that is known here", MEND));
    };
    let path = path.strip_prefix("//").unwrap_or(path);
    match path {
        ":memory:" => Ok(Place::Memory),
        "" => Err(ConfigError::new(URL, "names no file", MEND)),
        _ if path.contains('?') => {
            Err(ConfigError::new(URL, "takes no parameters for SQLite", "leave out `?` and what follows"))
        }
        _ => Ok(Place::File(PathBuf::from(path))),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<StoreConfig, ConfigError> {
        let lookup =
            |name: &str| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        StoreConfig::from_env(&Environment::new(&lookup))
    }

    #[rstest]
    #[case("sqlite:data.db", "SQLite in data.db")]
    #[case("sqlite:///var/lib/shop.db", "SQLite in /var/lib/shop.db")]
    #[case("sqlite::memory:", "SQLite in memory")]
    #[case("postgres://ada:secret@db.shop:5433/kroger?sslmode=require", "PostgreSQL at db.shop:5433/kroger")]
    #[case("postgresql://ada:secret@db/kroger", "PostgreSQL at db:5432/kroger")]
    fn an_address_is_shown_without_who_it_is_for(#[case] url: &str, #[case] shown: &str) {
        let config = read(&[("DATABASE_URL", url)]).unwrap();
        assert_eq!(config.place.shown(), shown);
        let debug = format!("{config:?}");
        assert!(!debug.contains("secret") && !debug.contains("ada"), "{debug}");
    }

    #[rstest]
    #[case(&[("DATABASE_URL", "mysql://ada:secret@db/x")], "DATABASE_URL")]
    #[case(&[("DATABASE_URL", "postgres://ada:secret@[db/x")], "DATABASE_URL")]
    #[case(&[("DATABASE_URL", "sqlite:")], "DATABASE_URL")]
    #[case(&[("DATABASE_URL", " \n")], "DATABASE_URL")]
    #[case(&[("DATABASE_URL", "")], "DATABASE_URL")]
    #[case(&[("DATABASE_URL", "sqlite:x.db?mode=ro")], "DATABASE_URL")]
    #[case(&[("DATABASE_URL", "sqlite:x.db"), ("DATABASE_READ_URL", "postgres://secret@db/x")], "DATABASE_READ_URL")]
    #[case(&[("DATABASE_URL", "postgres://db/x"), ("DATABASE_READ_URL", "sqlite:secret")], "DATABASE_READ_URL")]
    #[case(&[("DATABASE_MAX_CONNECTIONS", "0")], "DATABASE_MAX_CONNECTIONS")]
    #[case(&[("DATABASE_MAX_CONNECTIONS", "101")], "DATABASE_MAX_CONNECTIONS")]
    fn what_cannot_work_is_refused_by_its_variable(#[case] pairs: &[(&str, &str)], #[case] variable: &str) {
        let error = read(pairs).unwrap_err();
        assert_eq!(error.variable, variable);
        assert!(!error.to_string().contains("secret"), "{error}");
    }

    #[test]
    fn nothing_set_is_memory() {
        assert!(matches!(read(&[]).unwrap().place, Place::Memory));
    }
}
