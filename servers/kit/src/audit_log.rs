//! A lasting record of what matters for security and for people's rights: sign-ins, links, exports, deletions.
//!
//! It names nobody: users and sessions stand in it as digests, by which their entries are found when their id is known.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use futures::future::BoxFuture;
use serde_json::{Map, Value, json};
use sqlx::{Any, Executor, Row as _};

use crate::{
    Caller, ConfigError, Environment, Metrics, digest,
    person::Holdings,
    redact::redact,
    store::{self, Store, now},
    tool::ToolError,
};

/// Most details of an entry, and most characters of one.
const MOST: usize = 16;
const LONGEST: usize = 200;
/// Most entries of one user that an export shows, the newest ones.
const MOST_EXPORTED: i64 = 10_000;
const DAY_MS: i64 = 24 * 3600 * 1000;
/// Time between two removals of entries that are over.
const SWEEP: Duration = Duration::from_hours(1);

const INSERT: &str = "INSERT INTO kit_audit (id, at, event, subject_digest, session_digest, detail) VALUES ($1, $2, $3, $4, $5, $6)";

/// The event of a deletion; its entries stay.
pub(crate) const DELETED: &str = "data_deleted";
const DELETE: &str = "DELETE FROM kit_audit WHERE subject_digest = $1 AND event <> $2";

/// Whom an entry is about, as digests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Who {
    subject: Option<String>,
    session: Option<String>,
}

impl Who {
    /// A user.
    #[must_use]
    pub fn user(user: &str) -> Self {
        Self { subject: Some(digest_of("subject", user)), session: None }
    }

    /// Whoever calls.
    #[must_use]
    pub fn calling(caller: &Caller) -> Self {
        Self {
            subject: caller.subject.as_deref().map(|subject| digest_of("subject", subject)),
            session: caller.session.as_ref().map(|session| digest_of("session", session.expose())),
        }
    }

    /// The same, in this session.
    #[must_use]
    pub fn in_session(self, session: &str) -> Self {
        Self { session: Some(digest_of("session", session)), ..self }
    }
}

fn digest_of(kind: &str, id: &str) -> String {
    digest::hex(format!("portico audit {kind}\0{id}").as_bytes())
}

/// The record. Clones share it.
#[derive(Clone)]
pub struct AuditLog {
    store: Store,
    metrics: Arc<Metrics>,
    days: i64,
    swept: Arc<AtomicI64>,
}

impl AuditLog {
    /// A record in `store` that keeps entries for `days`.
    #[must_use]
    pub fn new(store: &Store, metrics: &Arc<Metrics>, days: u32) -> Self {
        let metrics = Arc::clone(metrics);
        Self { store: store.clone(), metrics, days: i64::from(days), swept: Arc::default() }
    }

    /// Reads `AUDIT_RETENTION_DAYS` (1 to 3,650, by default 365).
    pub fn from_env(
        environment: &Environment<'_>,
        store: &Store,
        metrics: &Arc<Metrics>,
    ) -> Result<Self, ConfigError> {
        let days = environment.number("AUDIT_RETENTION_DAYS", 1..=3_650, 365)?;
        Ok(Self::new(store, metrics, u32::try_from(days).unwrap_or(365)))
    }

    /// Writes an entry; `event` is a word such as `signed_in`. Up to 16 details of 200 characters are kept. They never hold anything
    /// of a person; what looks like a key, a token or an address is masked all the same.
    ///
    /// It is also a line of the log, so that it is not lost where the database is away.
    pub async fn note(
        &self,
        event: &'static str,
        who: &Who,
        detail: &[(&str, &str)],
    ) -> Result<(), store::Error> {
        self.tell(event, who, detail);
        self.store.run("writing the audit log", insert(self.store.write(), event, who, detail)).await?;
        if self.is_due() { self.sweep().await } else { Ok(()) }
    }

    fn tell(&self, event: &'static str, who: &Who, detail: &[(&str, &str)]) {
        let (subject, session, detail) = (who.subject.as_deref(), who.session.as_deref(), written(detail));
        tracing::info!(target: "portico::audit", event, subject, session, detail, "security event");
        self.metrics.security_event(event);
    }

    /// Removes entries that are over. [`AuditLog::note`] does so once an hour; a server that may be quiet for longer calls this as often.
    pub async fn sweep(&self) -> Result<(), store::Error> {
        let time = now();
        let removal = sqlx::query("DELETE FROM kit_audit WHERE at < $1").bind(time - self.days * DAY_MS);
        let doing = "removing old entries of the audit log";
        self.store.run(doing, removal.execute(self.store.write())).await?;
        self.swept.store(time, Ordering::Relaxed);
        Ok(())
    }

    fn is_due(&self) -> bool {
        let passed = now().saturating_sub(self.swept.load(Ordering::Relaxed));
        passed >= i64::try_from(SWEEP.as_millis()).unwrap_or(i64::MAX)
    }

    /// Whether everything of a user was deleted after `at` (milliseconds since 1970): what was begun for them before that is over.
    pub async fn was_deleted_after(&self, user: &str, at: i64) -> Result<bool, store::Error> {
        let text = "SELECT COUNT(*) FROM kit_audit WHERE subject_digest = $1 AND event = $2 AND at > $3";
        let query = sqlx::query_scalar(text).bind(digest_of("subject", user)).bind(DELETED).bind(at);
        let count: i64 = self.store.run("reading the audit log", query.fetch_one(self.store.write())).await?;
        Ok(count > 0)
    }

    /// Removes what is written of a user and writes that this was done, together or not at all.
    pub(crate) async fn delete_and_note(
        &self,
        user: &str,
        detail: &[(&str, &str)],
    ) -> Result<u64, store::Error> {
        let who = Who::user(user);
        let mut transaction = self.store.begin().await?;
        let doing = "deleting entries of the audit log";
        let removal = sqlx::query(DELETE).bind(who.subject.clone()).bind(DELETED);
        let removed = self.store.run(doing, removal.execute(&mut *transaction)).await?.rows_affected();
        self.store.run(doing, insert(&mut *transaction, DELETED, &who, detail)).await?;
        self.store.run(doing, transaction.commit()).await?;
        self.tell(DELETED, &who, detail);
        Ok(removed)
    }
}

async fn insert<'c>(
    executor: impl Executor<'c, Database = Any>,
    event: &'static str,
    who: &Who,
    detail: &[(&str, &str)],
) -> Result<(), sqlx::Error> {
    sqlx::query(INSERT)
        .bind(uuid::Uuid::now_v7().to_string())
        .bind(now())
        .bind(event)
        .bind(who.subject.clone())
        .bind(who.session.clone())
        .bind(written(detail))
        .execute(executor)
        .await
        .map(drop)
}

fn written(detail: &[(&str, &str)]) -> String {
    let short = |text: &str| redact(text).chars().take(LONGEST).collect::<String>();
    let kept = detail.iter().take(MOST).map(|(key, value)| (short(key), Value::String(short(value))));
    Value::Object(kept.collect::<Map<_, _>>()).to_string()
}

impl Holdings for AuditLog {
    fn name(&self) -> &'static str {
        "audit"
    }

    fn export<'a>(&'a self, user: &'a str) -> BoxFuture<'a, Result<Value, ToolError>> {
        Box::pin(async move {
            let text = "SELECT at, event, detail FROM kit_audit WHERE subject_digest = $1 ORDER BY at DESC, id DESC LIMIT $2";
            let query = sqlx::query(text).bind(digest_of("subject", user)).bind(MOST_EXPORTED);
            let rows = self.store.run("reading the audit log", query.fetch_all(self.store.write())).await?;
            Ok(rows.iter().map(entry).collect())
        })
    }

    fn delete<'a>(&'a self, user: &'a str) -> BoxFuture<'a, Result<u64, ToolError>> {
        Box::pin(async move {
            let query = sqlx::query(DELETE).bind(digest_of("subject", user)).bind(DELETED);
            let gone = self
                .store
                .run("deleting entries of the audit log", query.execute(self.store.write()))
                .await?;
            Ok(gone.rows_affected())
        })
    }
}

fn entry(row: &sqlx::any::AnyRow) -> Value {
    let at = row.try_get::<i64, _>(0).ok().and_then(|at| jiff::Timestamp::from_millisecond(at).ok());
    let detail = row.try_get::<String, _>(2).ok().and_then(|text| serde_json::from_str::<Value>(&text).ok());
    json!({ "at": at, "event": row.try_get::<String, _>(1).ok(), "detail": detail })
}
