//! Brings a database to the form that the program expects, once however many processes start together.

use sqlx::{Any, AssertSqlSafe, Row as _, Transaction};

use super::{
    Engine, Store,
    error::{Error, Kind, told},
    now,
};

/// One step of a schema. Steps that were published are never changed, only followed by others.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    /// Its number: 1 to 99 are the kit's, a server's begin at 100.
    pub version: i64,
    /// What it does, in a few words.
    pub name: &'static str,
    /// Statements for both engines. `{blob}` stands for the type of bytes, `BLOB` or `BYTEA`; times are `BIGINT`s, in
    /// milliseconds since 1970.
    pub sql: &'static str,
}

/// Any number will do, as long as all processes of all versions take the same.
const LOCK: i64 = 0x706f_7274_6963_6f31;

const TABLE: &str = "CREATE TABLE IF NOT EXISTS kit_migrations (
    version BIGINT NOT NULL PRIMARY KEY, name TEXT NOT NULL, digest TEXT NOT NULL, applied_at BIGINT NOT NULL)";

impl Migration {
    fn text(&self, engine: Engine) -> String {
        self.sql.replace("{blob}", engine.blob())
    }

    fn digest(&self) -> String {
        crate::digest::hex(self.sql.as_bytes())
    }
}

struct Applied {
    version: i64,
    name: String,
    digest: String,
}

/// Applies what is missing of `migrations`, which ascend, all of it or nothing.
pub(super) async fn apply(store: &Store, migrations: &[Migration]) -> Result<(), Error> {
    let opened = |error: &sqlx::Error| Error::Open {
        place: store.place(),
        problem: told(error),
        mend: Kind::of(error).mend(),
    };
    let mut transaction = store.begin().await?;
    if store.engine() == Engine::Postgres {
        // Creating a table twice at once fails, even with IF NOT EXISTS; the lock ends with the transaction.
        let lock =
            sqlx::query("SELECT 1 AS taken FROM (SELECT pg_advisory_xact_lock($1)) AS locked").bind(LOCK);
        lock.execute(&mut *transaction).await.map_err(|error| opened(&error))?;
    }
    sqlx::raw_sql(TABLE).execute(&mut *transaction).await.map_err(|error| opened(&error))?;
    let applied = applied(&mut transaction).await.map_err(|error| opened(&error))?;
    refuse_strangers(store, migrations, &applied)?;
    for migration in migrations.iter().filter(|own| applied.iter().all(|there| there.version != own.version))
    {
        run(store.engine(), &mut transaction, migration).await.map_err(|error| Error::Migration {
            place: store.place(),
            version: migration.version,
            name: migration.name,
            problem: told(&error),
            mend: Kind::of(&error).mend(),
        })?;
    }
    transaction.commit().await.map_err(|error| opened(&error))
}

async fn applied(transaction: &mut Transaction<'static, Any>) -> Result<Vec<Applied>, sqlx::Error> {
    let rows = sqlx::query("SELECT version, name, digest FROM kit_migrations ORDER BY version")
        .fetch_all(&mut **transaction)
        .await?;
    rows.iter()
        .map(|row| Ok(Applied { version: row.try_get(0)?, name: row.try_get(1)?, digest: row.try_get(2)? }))
        .collect()
}

/// A database that a newer program, or another one, has written to must not be written to by this one.
fn refuse_strangers(store: &Store, own: &[Migration], applied: &[Applied]) -> Result<(), Error> {
    for there in applied {
        match own.iter().find(|own| own.version == there.version) {
            None => {
                return Err(Error::Newer {
                    place: store.place(),
                    found: there.version,
                    name: there.name.clone(),
                });
            }
            Some(own) if own.digest() != there.digest => {
                return Err(Error::Foreign {
                    place: store.place(),
                    version: own.version,
                    found: there.name.clone(),
                    own: own.name,
                });
            }
            Some(_) => {}
        }
    }
    Ok(())
}

async fn run(
    engine: Engine,
    transaction: &mut Transaction<'static, Any>,
    migration: &Migration,
) -> Result<(), sqlx::Error> {
    // The text is a constant of a program, with a type put in.
    sqlx::raw_sql(AssertSqlSafe(migration.text(engine))).execute(&mut **transaction).await?;
    sqlx::query("INSERT INTO kit_migrations (version, name, digest, applied_at) VALUES ($1, $2, $3, $4)")
        .bind(migration.version)
        .bind(migration.name)
        .bind(migration.digest())
        .bind(now())
        .execute(&mut **transaction)
        .await?;
    tracing::info!(version = migration.version, name = migration.name, "migration applied");
    Ok(())
}
