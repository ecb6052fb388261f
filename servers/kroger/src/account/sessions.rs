//! Sessions: one for each device of a user.

use portico_kit::{
    store::{self, now},
    tool::ToolError,
};
use serde_json::{Value, json};
use sqlx::{Any, Row as _, Transaction};

use super::{Accounts, User, secrets};
use crate::shop::moment;

/// How long a session lasts without being used, in milliseconds: 30 days.
const LIFE: i64 = 30 * 24 * 3_600_000;
/// A use is noted at most this often, in milliseconds.
const NOTED: i64 = 3_600_000;
/// Sessions of one user; the one used longest ago makes room.
const MOST: i64 = 20;

/// A session that is good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Session {
    /// Whose it is.
    pub(super) user: User,
    /// When it ends if it is not used, in milliseconds since 1970.
    pub(super) expires_at: i64,
    digest: String,
}

/// A session that was just made; its id is known here and to its device.
pub(super) struct Made {
    pub(super) id: String,
    pub(super) expires_at: i64,
}

fn digest(id: &str) -> String {
    secrets::digest("session", id)
}

impl Accounts {
    /// The session of this id; `None` where there is none, or none any more.
    pub(super) async fn session(&self, id: &str) -> Result<Option<Session>, ToolError> {
        let digest = digest(id);
        let query = sqlx::query(
            "SELECT user_id, seen_at, expires_at FROM kroger_sessions WHERE session_digest = $1 AND expires_at > $2",
        )
        .bind(digest.as_str())
        .bind(now());
        let found = query.fetch_optional(self.store.write());
        let Some(row) = self.store.run("reading a session", found).await? else { return Ok(None) };
        let user = User { id: text(&row, "user_id")?.into() };
        let (seen_at, expires_at) = (number(&row, "seen_at")?, number(&row, "expires_at")?);
        let session = Session { user, expires_at, digest };
        if now().saturating_sub(seen_at) < NOTED {
            Ok(Some(session))
        } else {
            self.prolonged(session).await.map(Some)
        }
    }

    /// Lets a session last from now.
    pub(super) async fn prolonged(&self, session: Session) -> Result<Session, ToolError> {
        let expires_at = now().saturating_add(LIFE);
        let query =
            sqlx::query("UPDATE kroger_sessions SET seen_at = $2, expires_at = $3 WHERE session_digest = $1")
                .bind(session.digest.as_str())
                .bind(now())
                .bind(expires_at);
        self.store.run("prolonging a session", query.execute(self.store.write())).await?;
        Ok(Session { expires_at, ..session })
    }

    /// Ends a session. The last one of a user takes the tokens along; whether it was the last.
    pub(super) async fn end_session(&self, session: &Session) -> Result<bool, ToolError> {
        let query = sqlx::query("DELETE FROM kroger_sessions WHERE session_digest = $1")
            .bind(session.digest.as_str());
        self.store.run("ending a session", query.execute(self.store.write())).await?;
        let is_last = self.devices(&session.user).await? == 0;
        if is_last {
            self.forget_tokens(&session.user).await?;
        }
        let last = if is_last { "yes" } else { "no" };
        self.note("session_ended", &session.user, &[("last_device", last)]).await;
        Ok(is_last)
    }

    /// How many devices of the user are signed in.
    pub(super) async fn devices(&self, user: &User) -> Result<i64, ToolError> {
        let query =
            sqlx::query_scalar("SELECT COUNT(*) FROM kroger_sessions WHERE user_id = $1 AND expires_at > $2")
                .bind(&*user.id)
                .bind(now());
        Ok(self.store.run("counting devices", query.fetch_one(self.store.write())).await?)
    }

    pub(super) async fn remove_ended_sessions(&self) -> Result<(), ToolError> {
        let query = sqlx::query("DELETE FROM kroger_sessions WHERE expires_at <= $1").bind(now());
        Ok(self.store.run("removing ended sessions", query.execute(self.store.write())).await.map(drop)?)
    }

    /// Whether nobody but browsers knows the user, so that nobody reaches it without one.
    pub(crate) async fn is_of_browsers(&self, user: &User) -> Result<bool, ToolError> {
        let query = sqlx::query_scalar("SELECT COUNT(*) FROM kroger_browser_users WHERE user_id = $1");
        let count: i64 =
            self.store.run("finding a user", query.bind(&*user.id).fetch_one(self.store.write())).await?;
        Ok(count > 0)
    }

    /// Users whom their browsers alone knew, and none does any more: up to 500 of them. What is kept of them serves nobody.
    pub(crate) async fn unreachable(&self) -> Result<Vec<User>, ToolError> {
        let query = sqlx::query_scalar(
            "SELECT user_id FROM kroger_browser_users WHERE NOT EXISTS \
             (SELECT 1 FROM kroger_sessions WHERE kroger_sessions.user_id = kroger_browser_users.user_id) LIMIT 500",
        );
        let found =
            self.store.run("finding users without devices", query.fetch_all(self.store.write())).await?;
        Ok(found.into_iter().map(|id: String| User { id: id.into() }).collect())
    }

    /// What is kept of a user's devices: what they are and when they were used, no ids.
    pub(super) async fn export_devices(&self, user: &User) -> Result<Value, ToolError> {
        let query = sqlx::query(
            "SELECT device, created_at, seen_at FROM kroger_sessions WHERE user_id = $1 ORDER BY created_at",
        )
        .bind(&*user.id);
        let rows = self.store.run("reading devices", query.fetch_all(self.store.write())).await?;
        let device = |row| {
            let (created, seen) = (number(row, "created_at")?, number(row, "seen_at")?);
            Ok(json!({ "device": text(row, "device")?, "since": moment(created), "seen": moment(seen) }))
        };
        rows.iter().map(device).collect::<Result<Vec<_>, _>>().map(Value::from)
    }

    /// Removes all that is kept here of a user but that there is one; how many rows that were.
    pub(super) async fn delete_user(&self, user: &User) -> Result<u64, store::Error> {
        let mut rows = 0;
        for statement in [
            "DELETE FROM kroger_sessions WHERE user_id = $1",
            "DELETE FROM kroger_logins WHERE user_id = $1",
            "DELETE FROM kroger_accounts WHERE user_id = $1",
        ] {
            let query = sqlx::query(statement).bind(&*user.id);
            let gone = self.store.run("deleting a user", query.execute(self.store.write())).await?;
            rows += gone.rows_affected();
        }
        Ok(rows)
    }

    /// Goes last of all that is kept of a user: by it [`Accounts::unreachable`] finds those whose deletion failed half-way.
    pub(super) async fn forget_browser_user(&self, user: &User) -> Result<(), store::Error> {
        let query = sqlx::query("DELETE FROM kroger_browser_users WHERE user_id = $1").bind(&*user.id);
        self.store.run("deleting a user", query.execute(self.store.write())).await.map(drop)
    }
}

/// Writes down that nobody but the browser knows `user`.
pub(super) async fn note_browser_user(
    transaction: &mut Transaction<'static, Any>,
    user: &User,
) -> Result<(), ToolError> {
    let insert = sqlx::query("INSERT INTO kroger_browser_users (user_id) VALUES ($1)").bind(&*user.id);
    insert.execute(&mut **transaction).await.map(drop).map_err(failed)
}

/// Makes a session of `user` on `device`.
pub(super) async fn make(
    transaction: &mut Transaction<'static, Any>,
    user: &User,
    device: &str,
) -> Result<Made, ToolError> {
    let (id, at) = (secrets::code()?, now());
    let expires_at = at.saturating_add(LIFE);
    let insert = sqlx::query(
        "INSERT INTO kroger_sessions (session_digest, user_id, device, created_at, seen_at, expires_at) \
         VALUES ($1, $2, $3, $4, $4, $5)",
    )
    .bind(digest(&id))
    .bind(&*user.id)
    .bind(device)
    .bind(at)
    .bind(expires_at);
    insert.execute(&mut **transaction).await.map_err(failed)?;
    let bound = sqlx::query(
        "DELETE FROM kroger_sessions WHERE user_id = $1 AND session_digest NOT IN \
         (SELECT session_digest FROM kroger_sessions WHERE user_id = $1 ORDER BY seen_at DESC, created_at DESC LIMIT $2)",
    )
    .bind(&*user.id)
    .bind(MOST);
    bound.execute(&mut **transaction).await.map_err(failed)?;
    Ok(Made { id, expires_at })
}

#[expect(clippy::needless_pass_by_value, reason = "the form that `map_err` wants")]
pub(super) fn failed(error: sqlx::Error) -> ToolError {
    portico_kit::store::Error::met("saving a sign-in", &error).into()
}

pub(super) fn text(row: &sqlx::any::AnyRow, name: &str) -> Result<String, ToolError> {
    row.try_get(name)
        .map_err(|error| ToolError::Internal(format!("a row has another form than expected: {error}")))
}

fn number(row: &sqlx::any::AnyRow, name: &str) -> Result<i64, ToolError> {
    row.try_get(name)
        .map_err(|error| ToolError::Internal(format!("a row has another form than expected: {error}")))
}
