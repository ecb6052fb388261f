//! What can go wrong with a database, said so that it can be mended.

use sqlx::error::ErrorKind;

use crate::tool::ToolError;

/// Why something could not be read or written. No variant holds an address with its password.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database cannot be opened.
    #[error("cannot open {place}: {problem}; {mend}")]
    Open {
        /// Which database.
        place: String,
        /// What it said.
        problem: String,
        /// What to do.
        mend: &'static str,
    },
    /// The database was written by a newer program.
    #[error(
        "{place} has migration {found} (`{name}`), which this version of the program does not know; run a version that does, or restore a backup from before it"
    )]
    Newer {
        /// Which database.
        place: String,
        /// Number of the first migration that is not known.
        found: i64,
        /// Its name.
        name: String,
    },
    /// A migration that was applied is not the one that this program has under its number.
    #[error(
        "{place} has another migration {version} (`{found}`) than this program (`{own}`); is it the database of another server? Give each server a database of its own"
    )]
    Foreign {
        /// Which database.
        place: String,
        /// Number of the migration.
        version: i64,
        /// Name that the database has for it.
        found: String,
        /// Name that the program has for it.
        own: &'static str,
    },
    /// A migration failed. Nothing of it was kept.
    #[error("migration {version} (`{name}`) of {place} failed: {problem}; {mend}")]
    Migration {
        /// Which database.
        place: String,
        /// Number of the migration.
        version: i64,
        /// Its name.
        name: &'static str,
        /// What the database said.
        problem: String,
        /// What to do.
        mend: &'static str,
    },
    /// There is no room on the disk.
    #[error("{doing}: the disk of the database is full; make room")]
    Full {
        /// What was being done.
        doing: &'static str,
    },
    /// The database cannot be written to.
    #[error(
        "{doing}: the database is read-only; check the rights of its file and folder, or whether it is a replica"
    )]
    ReadOnly {
        /// What was being done.
        doing: &'static str,
    },
    /// The database does not answer, or is at work for others.
    #[error("{doing}: the database does not answer ({problem}); try again shortly")]
    Away {
        /// What was being done.
        doing: &'static str,
        /// What was met.
        problem: String,
    },
    /// A rule of the schema refuses the row, such as that a key is there once.
    #[error("{doing}: it does not fit what is there already ({problem})")]
    Conflict {
        /// What was being done.
        doing: &'static str,
        /// Which rule.
        problem: String,
    },
    /// Anything else.
    #[error("{doing}: the database failed: {problem}")]
    Failed {
        /// What was being done.
        doing: &'static str,
        /// What it said.
        problem: String,
    },
}

/// What kind of failure a database reports; what to do follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Full,
    ReadOnly,
    Away,
    Conflict,
    Credentials,
    NoDatabase,
    NotADatabase,
    Other,
}

impl Kind {
    pub(super) fn of(error: &sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(error) => {
                Self::of_code(&error.kind(), error.code().as_deref().unwrap_or_default())
            }
            sqlx::Error::Io(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::Protocol(_)
            | sqlx::Error::Tls(_) => Self::Away,
            _ => Self::Other,
        }
    }

    /// Codes of SQLite are decimal, with the primary code in the low byte; those of PostgreSQL have five characters, the
    /// first two of which are a class.
    fn of_code(kind: &ErrorKind, code: &str) -> Self {
        if matches!(
            kind,
            ErrorKind::UniqueViolation
                | ErrorKind::ForeignKeyViolation
                | ErrorKind::NotNullViolation
                | ErrorKind::CheckViolation
        ) {
            return Self::Conflict;
        }
        if code.len() != 5 {
            return match code.parse::<u32>().unwrap_or_default() & 0xff {
                5 | 6 => Self::Away,
                8 => Self::ReadOnly,
                // CANTOPEN also stands for a folder that is not there.
                14 => Self::NoDatabase,
                13 => Self::Full,
                11 | 26 => Self::NotADatabase,
                _ => Self::Other,
            };
        }
        match (&code[..2], code) {
            ("53", "53100") => Self::Full,
            ("25", "25006") => Self::ReadOnly,
            ("28", _) => Self::Credentials,
            ("3D", _) => Self::NoDatabase,
            // Of class 55 a lock that was not had in time; the others are objects in another state, which no waiting mends.
            ("55", "55P03") | ("08" | "53" | "57", _) => Self::Away,
            _ => Self::Other,
        }
    }

    /// What whoever runs the server can do.
    pub(super) fn mend(self) -> &'static str {
        match self {
            Self::Full => "make room on its disk",
            Self::ReadOnly => {
                "let this process write to the file and its folder, and the disk be mounted for writing"
            }
            Self::Away => "check that it runs and can be reached from here",
            Self::Credentials => "check user and password in DATABASE_URL",
            Self::NoDatabase => "create it, or its folder, or correct DATABASE_URL",
            Self::NotADatabase => "name another file in DATABASE_URL, or restore a backup",
            Self::Conflict | Self::Other => "see what it says",
        }
    }
}

impl Error {
    /// What `error` means, met while `doing` something, such as "saving a sign-in".
    #[must_use]
    pub fn met(doing: &'static str, error: &sqlx::Error) -> Self {
        let problem = told(error);
        match Kind::of(error) {
            Kind::Full => Self::Full { doing },
            Kind::ReadOnly => Self::ReadOnly { doing },
            Kind::Away => Self::Away { doing, problem },
            Kind::Conflict => Self::Conflict { doing, problem },
            _ => Self::Failed { doing, problem },
        }
    }

    /// Whether the same may work a moment later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Away { .. })
    }
}

/// What the database said, without values of rows: details of PostgreSQL hold them and are not part of its message.
pub(super) fn told(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(error) => error.message().to_owned(),
        sqlx::Error::PoolTimedOut => "all connections are in use, or none can be made".to_owned(),
        other => other.to_string(),
    }
}

impl From<Error> for ToolError {
    fn from(error: Error) -> Self {
        let problem = error.to_string();
        if error.is_transient() { Self::Away(problem) } else { Self::Internal(problem) }
    }
}
