//! What servers keep, in SQLite and in PostgreSQL.

mod support;

use std::{
    io::{BufRead as _, BufReader},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use portico_kit::store::{Engine, Error, Migration, Store, now};
use rstest::rstest;
use sqlx::Row as _;

use support::{Database, On, PATIENCE, eventually, open};

const FIRST: Migration = Migration {
    version: 100,
    name: "notes",
    sql: "CREATE TABLE notes (id BIGINT NOT NULL PRIMARY KEY, text TEXT, bytes {blob}, weight DOUBLE PRECISION);
          CREATE TABLE tags (note BIGINT NOT NULL REFERENCES notes (id), name TEXT NOT NULL)",
};
const SECOND: Migration = Migration {
    version: 101,
    name: "pinned",
    sql: "ALTER TABLE notes ADD COLUMN pinned BIGINT NOT NULL DEFAULT 0",
};
const OLD: &[Migration] = &[FIRST];
const NEW: &[Migration] = &[FIRST, SECOND];

async fn insert(store: &Store, id: i64, text: &str) -> Result<(), Error> {
    let query = sqlx::query("INSERT INTO notes (id, text) VALUES ($1, $2)").bind(id).bind(text.to_owned());
    store.run("saving a note", query.execute(store.write())).await.map(drop)
}

async fn count(store: &Store) -> i64 {
    let counting = async |pool: sqlx::AnyPool| {
        sqlx::query_scalar::<_, i64>("SELECT COUNT(*) FROM notes").fetch_one(&pool).await
    };
    store.reading("counting notes", counting).await.unwrap()
}

#[rstest]
#[tokio::test]
async fn every_type_comes_back_as_it_was_kept(#[values(On::Memory, On::File, On::Postgres)] on: On) {
    let database = Database::new(on).await;
    let store = database.open(OLD).await.unwrap();
    let write =
        sqlx::query("INSERT INTO notes (id, text, bytes, weight) VALUES ($1, $2, $3, $4), ($5, $6, $7, $8)")
            .bind(i64::MAX)
            .bind("Grüße, 'quoted' $1 {blob}")
            .bind(vec![0_u8, 255, 39])
            .bind(0.1_f64)
            .bind(now())
            .bind(None::<String>)
            .bind(None::<Vec<u8>>)
            .bind(None::<f64>);
    assert_eq!(write.execute(store.write()).await.unwrap().rows_affected(), 2);
    let rows = sqlx::query("SELECT id, text, bytes, weight FROM notes ORDER BY id DESC")
        .fetch_all(store.read())
        .await;
    let rows = rows.unwrap();
    assert_eq!(rows[0].get::<i64, _>("id"), i64::MAX);
    assert_eq!(rows[0].get::<Option<String>, _>("text").unwrap(), "Grüße, 'quoted' $1 {blob}");
    assert_eq!(rows[0].get::<Option<Vec<u8>>, _>("bytes").unwrap(), [0, 255, 39]);
    assert_eq!(rows[0].get::<Option<f64>, _>("weight"), Some(0.1));
    assert_eq!(rows[1].get::<Option<String>, _>("text"), None);
    assert_eq!(rows[1].get::<Option<Vec<u8>>, _>("bytes"), None);
    assert_eq!(rows[1].get::<Option<f64>, _>("weight"), None);
    assert!(store.healthy().await);
    assert_eq!(store.is_lasting(), on != On::Memory);
    assert_eq!(store.engine(), if on == On::Postgres { Engine::Postgres } else { Engine::Sqlite });
}

#[rstest]
#[tokio::test]
async fn what_is_kept_is_there_for_the_next_process_and_its_migrations(
    #[values(On::File, On::Postgres)] on: On,
) {
    let database = Database::new(on).await;
    let store = database.open(OLD).await.unwrap();
    insert(&store, 1, "kept").await.unwrap();
    store.close().await;
    let store = database.open(NEW).await.unwrap();
    assert_eq!(count(&store).await, 1);
    let pinned =
        sqlx::query_scalar::<_, i64>("SELECT pinned FROM notes").fetch_one(store.read()).await.unwrap();
    assert_eq!(pinned, 0);
}

#[rstest]
#[tokio::test]
async fn rules_of_the_schema_hold_and_say_which(#[values(On::Memory, On::File, On::Postgres)] on: On) {
    let database = Database::new(on).await;
    let store = database.open(OLD).await.unwrap();
    insert(&store, 1, "first").await.unwrap();
    let twice = insert(&store, 1, "a-private-text").await.unwrap_err();
    assert!(matches!(twice, Error::Conflict { doing: "saving a note", .. }), "{twice}");
    assert!(!twice.to_string().contains("a-private-text"), "{twice}");
    let orphan = sqlx::query("INSERT INTO tags (note, name) VALUES (7, 'x')").execute(store.write());
    let orphan = store.run("tagging", orphan).await.unwrap_err();
    assert!(matches!(orphan, Error::Conflict { .. }), "foreign keys are on: {orphan}");
}

#[rstest]
#[tokio::test]
async fn a_transaction_keeps_all_or_nothing(#[values(On::Memory, On::File, On::Postgres)] on: On) {
    let database = Database::new(on).await;
    let store = database.open(OLD).await.unwrap();
    let mut dropped = store.begin().await.unwrap();
    sqlx::query("INSERT INTO notes (id) VALUES (1)").execute(&mut *dropped).await.unwrap();
    drop(dropped);
    assert_eq!(count(&store).await, 0);
    let mut kept = store.begin().await.unwrap();
    sqlx::query("INSERT INTO notes (id) VALUES (1)").execute(&mut *kept).await.unwrap();
    kept.commit().await.unwrap();
    assert_eq!(count(&store).await, 1);
}

/// More than the store in memory has connections, and few enough for each to get one within its five seconds.
const WRITERS: u8 = 10;

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_that_read_first_lose_no_update(#[values(On::Memory, On::File, On::Postgres)] on: On) {
    let database = Database::new(on).await;
    let store = database.open(OLD).await.unwrap();
    sqlx::query("INSERT INTO notes (id, weight) VALUES (1, 0)").execute(store.write()).await.unwrap();
    let add = async |store: Store| {
        let mut transaction = store.begin().await.unwrap();
        let lock = if store.engine() == Engine::Postgres {
            "SELECT weight FROM notes FOR UPDATE"
        } else {
            "SELECT weight FROM notes"
        };
        let weight = sqlx::query_scalar::<_, f64>(lock).fetch_one(&mut *transaction).await.unwrap();
        let update = sqlx::query("UPDATE notes SET weight = $1").bind(weight + 1.0);
        update.execute(&mut *transaction).await.unwrap();
        transaction.commit().await.unwrap();
    };
    futures::future::join_all((0..WRITERS).map(|_| add(store.clone()))).await;
    let weight =
        sqlx::query_scalar::<_, f64>("SELECT weight FROM notes").fetch_one(store.write()).await.unwrap();
    assert!((weight - f64::from(WRITERS)).abs() < f64::EPSILON, "{weight}");
}

#[rstest]
#[tokio::test]
async fn a_database_of_a_newer_program_is_refused_and_left_alone(#[values(On::File, On::Postgres)] on: On) {
    let database = Database::new(on).await;
    database.open(NEW).await.unwrap().close().await;
    let refused = database.open(OLD).await.unwrap_err();
    assert!(matches!(&refused, Error::Newer { found: 101, name, .. } if name == "pinned"), "{refused}");
    assert!(refused.to_string().contains("run a version that does"), "{refused}");
    database.open(NEW).await.unwrap();
}

#[rstest]
#[tokio::test]
async fn a_database_of_another_server_is_refused(#[values(On::File, On::Postgres)] on: On) {
    const OTHER: &[Migration] =
        &[Migration { version: 100, name: "carts", sql: "CREATE TABLE carts (id BIGINT)" }];
    let database = Database::new(on).await;
    database.open(OTHER).await.unwrap().close().await;
    let refused = database.open(OLD).await.unwrap_err();
    assert!(
        matches!(&refused, Error::Foreign { version: 100, found, own: "notes", .. } if found == "carts"),
        "{refused}"
    );
}

#[rstest]
#[tokio::test]
async fn a_migration_that_fails_leaves_the_database_as_it_was(#[values(On::File, On::Postgres)] on: On) {
    const BROKEN: &[Migration] = &[
        FIRST,
        SECOND,
        Migration {
            version: 102,
            name: "broken",
            sql: "CREATE TABLE half (id BIGINT); INSERT INTO nowhere VALUES (1)",
        },
    ];
    let database = Database::new(on).await;
    let store = database.open(OLD).await.unwrap();
    let failed = database.open(BROKEN).await.unwrap_err();
    assert!(matches!(failed, Error::Migration { version: 102, name: "broken", .. }), "{failed}");
    assert!(failed.to_string().contains("nowhere"), "{failed}");
    let versions = sqlx::query_scalar::<_, i64>("SELECT MAX(version) FROM kit_migrations")
        .fetch_one(store.write())
        .await;
    assert_eq!(versions.unwrap(), 100, "not even the good one before it");
    assert!(sqlx::query("SELECT 1 FROM half").fetch_all(store.write()).await.is_err());
}

#[tokio::test]
async fn a_file_is_for_its_owner_alone_and_safe_by_its_settings() {
    let database = Database::new(On::File).await;
    let path = database.folder.path().join("data.db");
    std::fs::write(&path, "").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let store = database.open(OLD).await.unwrap();
    insert(&store, 1, "private").await.unwrap();
    for file in ["data.db", "data.db-wal", "data.db-shm"] {
        let mode = std::fs::metadata(database.folder.path().join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    // Of each of several connections, not of the first alone.
    let mut connections = Vec::new();
    for _ in 0..3 {
        connections.push(store.write().acquire().await.unwrap());
    }
    for connection in &mut connections {
        let mut ask = async |pragma: &'static str| {
            let row = sqlx::query(pragma).fetch_one(&mut **connection).await.unwrap();
            row.try_get::<String, _>(0).unwrap_or_else(|_| row.get::<i64, _>(0).to_string())
        };
        assert_eq!(ask("PRAGMA journal_mode").await, "wal");
        assert_eq!(ask("PRAGMA synchronous").await, "2", "FULL");
        assert_eq!(ask("PRAGMA foreign_keys").await, "1");
        assert_eq!(ask("PRAGMA busy_timeout").await, "5000");
    }
}

#[tokio::test]
async fn what_was_deleted_is_not_left_in_the_file() {
    let database = Database::new(On::File).await;
    let store = database.open(OLD).await.unwrap();
    insert(&store, 1, "words-that-are-to-go").await.unwrap();
    insert(&store, 2, "words-that-stay").await.unwrap();
    sqlx::query("DELETE FROM notes WHERE id = 1").execute(store.write()).await.unwrap();
    store.close().await;
    let mut left = Vec::new();
    for entry in std::fs::read_dir(database.folder.path()).unwrap() {
        left.extend(std::fs::read(entry.unwrap().path()).unwrap());
    }
    let has = |text: &str| left.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(has("words-that-stay") && !has("words-that-are-to-go"));
}

#[tokio::test]
async fn a_database_that_cannot_be_opened_says_what_to_do_and_no_password() {
    let folder = tempfile::tempdir().unwrap();
    let postgres = support::Database::new(On::Postgres).await.postgres.unwrap();
    let port = postgres.port();
    std::fs::write(folder.path().join("text"), "this is no database, whatever its name says. ".repeat(100))
        .unwrap();
    let at = |name: &str| format!("sqlite:{}", folder.path().join(name).display());
    let cases = [
        (at("missing/data.db"), "create it, or its folder"),
        (at("text"), "name another file"),
        (format!("postgres://postgres:wrong-secret@127.0.0.1:{port}/postgres"), "check user and password"),
        (postgres.url("missing"), "create it"),
        ("postgres://postgres:wrong-secret@127.0.0.1:1/postgres".to_owned(), "check that it runs"),
    ];
    for (url, mend) in cases {
        let error = open(&[("DATABASE_URL", &url)], OLD).await.unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(text.contains(mend), "{text}");
        assert!(!text.contains("secret") && !text.contains(postgres.password()), "{text}");
    }
}

#[tokio::test]
async fn a_database_that_went_away_and_came_back_serves_again() {
    let mut database = Database::new(On::Postgres).await;
    let store = database.open(OLD).await.unwrap();
    insert(&store, 1, "before").await.unwrap();
    let postgres = database.postgres.as_mut().unwrap();
    postgres.kill();
    assert!(!store.healthy().await);
    let away = insert(&store, 2, "meanwhile").await.unwrap_err();
    assert!(away.is_transient(), "{away}");
    postgres.start_again().await.unwrap();
    eventually("it serves again", async || insert(&store, 3, "after").await.is_ok()).await;
    assert_eq!(count(&store).await, 2);
}

/// As PostgreSQL does of itself; the other tests spare themselves what it costs.
#[tokio::test]
async fn a_password_is_proved_without_being_sent() {
    let database = Database::new(On::Postgres).await;
    let postgres = database.postgres.as_ref().unwrap();
    let change = format!(
        "SET password_encryption = 'scram-sha-256'; ALTER USER postgres PASSWORD '{}'",
        postgres.password()
    );
    postgres.query("postgres", &change).unwrap();
    let kept =
        postgres.query("postgres", "SELECT rolpassword FROM pg_authid WHERE rolname = 'postgres'").unwrap();
    assert!(kept.starts_with("SCRAM-SHA-256$"), "{kept}");
    let store = database.open(OLD).await.unwrap();
    insert(&store, 1, "proved").await.unwrap();
}

#[tokio::test]
async fn a_database_that_hangs_holds_up_nobody_for_long() {
    let database = Database::new(On::Postgres).await;
    let store = database.open(OLD).await.unwrap();
    database.postgres.as_ref().unwrap().pause();
    let since = Instant::now();
    assert!(!store.healthy().await);
    assert!(since.elapsed() < Duration::from_secs(30), "{:?}", since.elapsed());
    let away = insert(&store, 1, "x").await.unwrap_err();
    assert!(away.is_transient(), "{away}");
    assert!(since.elapsed() < Duration::from_mins(1), "{:?}", since.elapsed());
    database.postgres.as_ref().unwrap().resume();
    eventually("it serves again", async || store.healthy().await).await;
}

async fn reads_from_replica(store: &Store) -> bool {
    let asking = async |pool: sqlx::AnyPool| {
        sqlx::query_scalar::<_, bool>("SELECT pg_is_in_recovery()").fetch_one(&pool).await
    };
    store.reading("asking who answers", asking).await.unwrap()
}

#[tokio::test]
async fn reads_go_to_the_replica_and_to_the_writer_while_it_is_away() {
    let database = Database::new(On::Postgres).await;
    let primary = database.postgres.as_ref().unwrap();
    let mut replica = primary.replica().await.unwrap();
    let urls = [("DATABASE_URL", database.url.as_str()), ("DATABASE_READ_URL", &replica.url("postgres"))];
    let store = open(&urls, OLD).await.unwrap();
    insert(&store, 1, "replicated").await.unwrap();
    eventually("it is used", async || reads_from_replica(&store).await).await;
    eventually("the row arrives there", async || count(&store).await == 1).await;
    replica.kill();
    for _ in 0..5 {
        assert!(!reads_from_replica(&store).await, "not one read fails");
    }
    let which = sqlx::query_scalar::<_, bool>("SELECT pg_is_in_recovery()").fetch_one(store.read()).await;
    assert!(!which.unwrap());
    replica.start_again().await.unwrap();
    eventually("it is used again", async || reads_from_replica(&store).await).await;
}

/// As it may when its writer's changes come in the way, or before a new table has reached it.
#[tokio::test]
async fn what_the_replica_refuses_the_writer_answers() {
    let database = Database::new(On::Postgres).await;
    let replica = database.postgres.as_ref().unwrap().replica().await.unwrap();
    let urls = [("DATABASE_URL", database.url.as_str()), ("DATABASE_READ_URL", &replica.url("postgres"))];
    let store = open(&urls, OLD).await.unwrap();
    let unless_replica = async |pool: sqlx::AnyPool| {
        sqlx::query_scalar::<_, i32>("SELECT 1 / CASE WHEN pg_is_in_recovery() THEN 0 ELSE 1 END")
            .fetch_one(&pool)
            .await
    };
    // A busy machine may take it for away at any look; a replica that is given up for what it refuses is so each time.
    let goes_on = async || {
        let before = reads_from_replica(&store).await;
        assert_eq!(store.reading("dividing", unless_replica).await.unwrap(), 1);
        before && reads_from_replica(&store).await
    };
    eventually("it is not given up for that", goes_on).await;
}

#[tokio::test]
async fn a_replica_that_is_away_keeps_no_server_from_starting() {
    let database = Database::new(On::Postgres).await;
    let gone = ("DATABASE_READ_URL", "postgres://postgres:secret@127.0.0.1:1/postgres");
    let store = open(&[("DATABASE_URL", &database.url), gone], OLD).await.unwrap();
    assert!(!reads_from_replica(&store).await);
    assert!(store.healthy().await);
}

/// This program again, as `role` with `argument`; under `wrapper` where there is one.
fn child(wrapper: &[&str], role: &str, argument: &str) -> Command {
    let own = std::env::current_exe().unwrap();
    let mut command = Command::new(wrapper.first().map_or(own.as_os_str(), |first| first.as_ref()));
    if let [_, rest @ ..] = wrapper {
        command.args(rest).arg(own);
    }
    command.args(["as_child", "--exact", "--nocapture", "--", role, argument]);
    command
}

/// Not a test of its own: this program, started again with a role and its argument after `--`.
#[tokio::test]
async fn as_child() {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--").skip(1);
    let (Some(role), Some(url)) = (arguments.next(), arguments.next()) else { return };
    let opened = open(&[("DATABASE_URL", &url)], NEW).await;
    match (role.as_str(), opened) {
        (_, Err(error)) => println!("\nrefused {error}"),
        ("opens", Ok(_)) => println!("\nopened"),
        ("writes", Ok(store)) => {
            for id in 1.. {
                insert(&store, id, &"x".repeat(2_000)).await.unwrap();
                println!("\nrow {id}");
            }
        }
        ("fills", Ok(store)) => {
            let mut id = 0;
            let error = loop {
                id += 1;
                if let Err(error) = insert(&store, id, &"x".repeat(2_000)).await {
                    break error;
                }
            };
            println!("\nafter {} {error}", count(&store).await);
        }
        _ => unreachable!("{role}"),
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}

#[tokio::test]
async fn a_kill_in_the_middle_of_writing_loses_no_row_that_was_committed() {
    for rows in [1, 7, 60] {
        let database = Database::new(On::File).await;
        let mut writer = child(&[], "writes", &database.url).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(writer.stdout.take().unwrap()).lines().map_while(Result::ok);
        let number = |line: String| line.strip_prefix("row ").and_then(|number| number.parse::<i64>().ok());
        let mut printed = lines.filter_map(number);
        while printed.next().expect("it writes on") < rows {}
        writer.kill().unwrap();
        let last = printed.last().unwrap_or(rows);
        writer.wait().unwrap();
        let store = database.open(NEW).await.unwrap();
        let ids = sqlx::query_scalar::<_, i64>("SELECT id FROM notes ORDER BY id")
            .fetch_all(store.write())
            .await
            .unwrap();
        assert!(
            i64::try_from(ids.len()).unwrap() >= last,
            "{last} rows were printed, and {} are there",
            ids.len()
        );
        assert!(ids.iter().copied().eq(1..=*ids.last().unwrap()), "none between is missing");
        let check =
            sqlx::query_scalar::<_, String>("PRAGMA integrity_check").fetch_one(store.write()).await.unwrap();
        assert_eq!(check, "ok");
    }
}

#[rstest]
#[tokio::test]
async fn three_processes_that_start_together_migrate_once(#[values(On::File, On::Postgres)] on: On) {
    let database = Database::new(on).await;
    let starting: Vec<_> = (0..3)
        .map(|_| {
            child(&[], "opens", &database.url).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for process in starting {
        let output = process.wait_with_output().unwrap();
        assert!(said(&output).contains("\nopened"), "{}", said(&output));
    }
    let store = database.open(NEW).await.unwrap();
    let applied = sqlx::query_scalar::<_, i64>(
        "SELECT version FROM kit_migrations WHERE version >= 100 ORDER BY version",
    );
    assert_eq!(applied.fetch_all(store.write()).await.unwrap(), [100, 101]);
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_that_open_a_new_database_at_the_same_moment_wait_for_one_of_them(
    #[values(On::File, On::Postgres)] on: On,
) {
    let database = Database::new(on).await;
    let opening = (0..4).map(|_| {
        let url = database.url.clone();
        tokio::spawn(async move { open(&[("DATABASE_URL", &url)], NEW).await.map(drop) })
    });
    for opened in futures::future::join_all(opening).await {
        opened.unwrap().unwrap();
    }
}

/// Runs `script` in namespaces where it may mount, with a folder as `$0` and a command of this program as `$@`.
fn on_a_disk(script: &str, folder: &Path, role: &str) -> String {
    let folder = folder.to_str().unwrap();
    let wrapper = ["unshare", "--user", "--map-root-user", "--mount", "--", "sh", "-ec", script, folder];
    said(&child(&wrapper, role, &format!("sqlite:{folder}/data.db")).output().unwrap())
}

#[test]
fn a_full_disk_is_said_and_breaks_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let said = on_a_disk(r#"mount -t tmpfs -o size=1m none "$0"; "$@""#, folder.path(), "fills");
    let line = said.lines().find(|line| line.starts_with("after ")).unwrap_or_else(|| panic!("{said}"));
    assert!(line.ends_with("saving a note: the disk of the database is full; make room"), "{line}");
    let rows: i64 = line.split(' ').nth(1).unwrap().parse().unwrap();
    assert!(rows > 10, "what was there can be read: {line}");
}

#[test]
fn a_disk_that_takes_no_writes_is_said_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let script = r#"mount -t tmpfs none "$0"; "$@"; mount -o remount,ro "$0"; "$@""#;
    let said = on_a_disk(script, folder.path(), "opens");
    let line = said.lines().find(|line| line.starts_with("refused ")).unwrap_or_else(|| panic!("{said}"));
    assert!(said.contains("\nopened"), "{said}");
    assert!(line.contains("Read-only file system") && line.contains("let this process write"), "{line}");
}

#[tokio::test]
async fn a_store_in_memory_waits_for_its_one_connection_and_not_for_ever() {
    let store = Database::new(On::Memory).await.open(OLD).await.unwrap();
    let held = store.begin().await.unwrap();
    let since = Instant::now();
    assert!(insert(&store, 1, "x").await.unwrap_err().is_transient());
    assert!(since.elapsed() < PATIENCE);
    drop(held);
    insert(&store, 1, "x").await.unwrap();
}
