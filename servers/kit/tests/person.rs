//! The audit log, and what people may ask of what is kept about them.

mod support;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use bytes::Bytes;
use futures::future::BoxFuture;
use portico_kit::{
    AuditLog, Cache, Caller, Metrics, Person, Secret,
    audit_log::Who,
    cache::Keep,
    documents::{Documents, Kind},
    person::{Holdings, cache_prefix},
    seal::Sealer,
    store::{Engine, Store},
    tool::ToolError,
};
use rstest::rstest;
use serde_json::{Value, json};
use sqlx::Row as _;
use std::time::Duration;

use support::{Database, On};

const LIST: Kind = Kind { name: "list", most: 3 };
const KEEP: Keep = Keep { fresh: Duration::from_hours(1), stale: Duration::ZERO };

struct Kept {
    store: Store,
    audit: AuditLog,
    cache: Cache,
    documents: Documents,
    metrics: Arc<Metrics>,
    _database: Database,
}

impl Kept {
    async fn new(on: On) -> Self {
        let database = Database::new(on).await;
        let store = database.open(&[]).await.unwrap();
        let metrics = Arc::new(Metrics::default());
        Self {
            audit: AuditLog::new(&store, &metrics, 30),
            cache: Cache::memory(1, &metrics),
            documents: Documents::new(store.clone(), Sealer::ephemeral().unwrap()),
            metrics,
            store,
            _database: database,
        }
    }

    fn person(&self, mut more: Vec<Arc<dyn Holdings>>) -> Person {
        more.push(Arc::new(self.documents.clone()));
        Person::new(self.cache.clone(), self.audit.clone(), more)
    }

    /// Something of a user in every place.
    async fn fill(&self, user: &str) {
        let change = |list: &mut Vec<String>| {
            list.push(format!("bread of {user}"));
            Ok(())
        };
        self.documents.change(user, LIST, "a", change).await.unwrap();
        self.audit.note("signed_in", &Who::user(user), &[("way", "cookie")]).await.unwrap();
        self.cache.put(&format!("{}cart", cache_prefix(user)), Bytes::from_static(b"milk"), KEEP).await;
    }

    /// All that stands in the database.
    async fn everything(&self) -> Vec<(String, String)> {
        let list = match self.store.engine() {
            Engine::Sqlite => {
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'kit_%' ORDER BY name"
            }
            Engine::Postgres => {
                "SELECT CAST(tablename AS TEXT) FROM pg_tables WHERE tablename LIKE 'kit_%' ORDER BY tablename"
            }
        };
        let tables = sqlx::query_scalar::<_, String>(list).fetch_all(self.store.write()).await.unwrap();
        assert!(tables.len() >= 3, "{tables:?}");
        let mut all = Vec::new();
        for table in tables {
            let rows = sqlx::query(sqlx::AssertSqlSafe(format!("SELECT * FROM {table}")));
            for row in rows.fetch_all(self.store.write()).await.unwrap() {
                let cells = (0..row.len()).map(|column| cell(&row, column)).collect::<Vec<_>>();
                all.push((table.clone(), cells.join(" | ")));
            }
        }
        all
    }
}

fn cell(row: &sqlx::any::AnyRow, column: usize) -> String {
    let text = row.try_get::<Option<String>, _>(column).map(Option::unwrap_or_default);
    let bytes =
        || row.try_get::<Vec<u8>, _>(column).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    text.or_else(|_| bytes()).unwrap_or_else(|_| row.get::<i64, _>(column).to_string())
}

#[rstest]
#[tokio::test]
async fn the_audit_log_names_nobody_and_finds_them_all_the_same(#[values(On::Memory, On::Postgres)] on: On) {
    let kept = Kept::new(on).await;
    let caller = Caller {
        subject: Some("ada@example.com".into()),
        session: Some(Secret::new("s-123".to_owned())),
        ..Caller::default()
    };
    let long = "x".repeat(1_000);
    let detail = [("way", "cookie"), ("mistake", "mail of bob@example.com"), ("long", &long)];
    kept.audit.note("signed_in", &Who::calling(&caller), &detail).await.unwrap();
    kept.audit.note("sign_in_refused", &Who::default().in_session("s-123"), &[]).await.unwrap();
    let rows = kept.everything().await;
    let rows: Vec<_> = rows.iter().filter(|(table, _)| table == "kit_audit").map(|(_, row)| row).collect();
    assert_eq!(rows.len(), 2);
    for row in rows {
        assert!(!row.contains("ada") && !row.contains("bob") && !row.contains("s-123"), "{row}");
        assert!(row.len() < 700, "{row}");
    }
    let exported = kept.audit.export("ada@example.com").await.unwrap();
    assert_eq!(exported[0]["event"], "signed_in");
    assert_eq!(
        (&exported[0]["detail"]["way"], &exported[0]["detail"]["mistake"]),
        (&json!("cookie"), &json!("mail of [redacted]"))
    );
    assert_eq!(exported.as_array().unwrap().len(), 1);
    assert_eq!(kept.audit.export("bob@example.com").await.unwrap(), json!([]));
    assert!(kept.metrics.render().contains(r#"portico_server_security_events_total{event="signed_in"} 1"#));
}

#[rstest]
#[tokio::test]
async fn entries_go_when_their_days_are_over(#[values(On::Memory, On::Postgres)] on: On) {
    let kept = Kept::new(on).await;
    kept.fill("ada").await;
    let days = |days: i64| days * 24 * 3_600_000;
    for (event, age) in [("older", days(31)), ("younger", days(29))] {
        let text = "INSERT INTO kit_audit (id, at, event, detail) VALUES ($1, $2, $1, '{}')";
        let insert = sqlx::query(text).bind(event).bind(portico_kit::store::now() - age);
        insert.execute(kept.store.write()).await.unwrap();
    }
    let events = async || {
        let query = sqlx::query_scalar::<_, String>("SELECT event FROM kit_audit ORDER BY at");
        query.fetch_all(kept.store.write()).await.unwrap()
    };
    // Another process, which has not looked yet.
    let metrics = Arc::new(Metrics::default());
    AuditLog::new(&kept.store, &metrics, 30).note("noted", &Who::default(), &[]).await.unwrap();
    assert_eq!(events().await, ["younger", "signed_in", "noted"]);
    // One in which nothing happens.
    AuditLog::new(&kept.store, &metrics, 28).sweep().await.unwrap();
    assert_eq!(events().await, ["signed_in", "noted"]);
}

#[rstest]
#[tokio::test]
async fn a_person_gets_all_that_is_kept_of_them_and_nothing_of_others(
    #[values(On::Memory, On::File, On::Postgres)] on: On,
) {
    let kept = Kept::new(on).await;
    kept.fill("ada").await;
    kept.fill("bob").await;
    let export = kept.person(vec![]).export("ada").await.unwrap();
    let holdings = &export["holdings"];
    assert_eq!(holdings["documents"]["list"][0]["content"], json!(["bread of ada"]));
    assert_eq!(holdings["audit"][0]["event"], "signed_in");
    assert!(export["exported_at"].is_string());
    assert!(!export.to_string().contains("bob"), "{export}");
    let again = kept.person(vec![]).export("ada").await.unwrap();
    assert_eq!(
        again["holdings"]["audit"][0]["event"], "data_exported",
        "that it was asked for is written down"
    );
}

#[rstest]
#[tokio::test]
async fn a_deletion_leaves_nothing_but_its_record(#[values(On::Memory, On::File, On::Postgres)] on: On) {
    let kept = Kept::new(on).await;
    kept.fill("bob").await;
    let before = kept.everything().await;
    kept.fill("ada").await;
    assert_eq!(kept.everything().await.len(), before.len() + 2);
    let deletion = kept.person(vec![]).delete("ada").await.unwrap();
    assert_eq!(deletion.rows, [("documents", 1), ("audit", 1)]);
    let after = kept.everything().await;
    let new: Vec<_> = after.iter().filter(|row| !before.contains(row)).collect();
    assert_eq!(new.len(), 1, "{new:?}");
    assert!(
        new[0].0 == "kit_audit" && new[0].1.contains("data_deleted") && !new[0].1.contains("ada"),
        "{new:?}"
    );
    assert_eq!(after.len(), before.len() + 1, "bob's is all there");
    assert!(kept.cache.get(&format!("{}cart", cache_prefix("ada"))).await.is_none());
    assert!(kept.cache.get(&format!("{}cart", cache_prefix("bob"))).await.is_some());
    let again = kept.person(vec![]).delete("ada").await.unwrap();
    assert_eq!(again.rows, [("documents", 0), ("audit", 0)]);
    assert_eq!(kept.everything().await.len(), before.len() + 2, "each deletion has its record");
}

/// A place that fails when told to.
struct Failing(AtomicBool);

impl Holdings for Failing {
    fn name(&self) -> &'static str {
        "failing"
    }

    fn export<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Value, ToolError>> {
        Box::pin(async { Ok(json!(null)) })
    }

    fn delete<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<u64, ToolError>> {
        let fails = self.0.load(Ordering::Relaxed);
        Box::pin(async move { if fails { Err(ToolError::Internal("it is away".to_owned())) } else { Ok(5) } })
    }
}

#[tokio::test]
async fn a_place_that_fails_is_named_and_keeps_the_others_from_nothing() {
    let kept = Kept::new(On::Memory).await;
    kept.fill("ada").await;
    let failing = Arc::new(Failing(AtomicBool::new(true)));
    let person = kept.person(vec![Arc::clone(&failing) as Arc<dyn Holdings>]);
    let error = person.delete("ada").await.unwrap_err().to_string();
    assert!(
        error.contains("failing: internal error: it is away") && error.contains("ask for it again"),
        "{error}"
    );
    let rows = kept.everything().await;
    assert!(
        !rows.iter().any(|(table, row)| table == "kit_documents" || row.contains("data_deleted")),
        "{rows:?}"
    );
    failing.0.store(false, Ordering::Relaxed);
    assert_eq!(person.delete("ada").await.unwrap().rows, [("failing", 5), ("documents", 0), ("audit", 1)]);
}
