//! Link codes: by one, a further device joins a user, or the sign-in of a browser is that of an assistant's user.

use portico_kit::{store::now, tool::ToolError};

use super::{Accounts, User, secrets, sessions::text};

/// How long a code is good, in milliseconds.
const LIFE: i64 = 10 * 60_000;
/// Codes that wait at once for the same user; the oldest makes room.
const MOST: i64 = 5;

/// What a code stands for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Link {
    /// The user that a device joins.
    pub(super) user: Option<User>,
    /// Digest of the subject whose user it is to be; empty for none.
    pub(super) subject: String,
}

/// A code, and when it ends in milliseconds since 1970.
pub(super) struct Code {
    pub(super) code: String,
    pub(super) expires_at: i64,
}

pub(super) fn subject_digest(subject: &str) -> String {
    secrets::digest("subject", subject)
}

fn digest(code: &str) -> String {
    secrets::digest("link", code)
}

impl Accounts {
    /// The user of whom the gateway asserts.
    pub(super) async fn user_of_subject(&self, subject: &str) -> Result<Option<User>, ToolError> {
        let query = sqlx::query_scalar("SELECT user_id FROM kroger_subjects WHERE subject_digest = $1")
            .bind(subject_digest(subject));
        let found: Option<String> =
            self.store.run("finding who asks", query.fetch_optional(self.store.write())).await?;
        Ok(found.map(|id| User(id.into())))
    }

    /// An address at which the person whom the gateway asserts signs in.
    pub(super) async fn link_for_subject(&self, subject: &str) -> Result<String, ToolError> {
        let user = self.user_of_subject(subject).await?;
        let code = self.make_link(&Link { user, subject: subject_digest(subject) }).await?;
        Ok(self.link_url(&code.code))
    }

    pub(super) fn link_url(&self, code: &str) -> String {
        let mut url = self.settings.login_url();
        url.query_pairs_mut().append_pair("link", code);
        url.to_string()
    }

    pub(super) async fn make_link(&self, link: &Link) -> Result<Code, ToolError> {
        let code = Code { code: secrets::code()?, expires_at: now().saturating_add(LIFE) };
        let user = link.user.as_ref().map_or("", User::id);
        let insert = sqlx::query(
            "INSERT INTO kroger_links (code_digest, user_id, subject_digest, expires_at) VALUES ($1, $2, $3, $4)",
        )
        .bind(digest(&code.code))
        .bind(user)
        .bind(link.subject.as_str())
        .bind(code.expires_at);
        self.store.run("making a link code", insert.execute(self.store.write())).await?;
        let bound = sqlx::query(
            "DELETE FROM kroger_links WHERE user_id = $1 AND subject_digest = $2 AND code_digest NOT IN \
             (SELECT code_digest FROM kroger_links WHERE user_id = $1 AND subject_digest = $2 \
              ORDER BY expires_at DESC LIMIT $3)",
        )
        .bind(user)
        .bind(link.subject.as_str())
        .bind(MOST);
        self.store.run("making a link code", bound.execute(self.store.write())).await?;
        Ok(code)
    }

    /// Whether the code is good; it stays so.
    pub(super) async fn is_link(&self, code: &str) -> Result<bool, ToolError> {
        let query = sqlx::query_scalar(
            "SELECT COUNT(*) FROM kroger_links WHERE code_digest = $1 AND expires_at > $2",
        )
        .bind(digest(code))
        .bind(now());
        let count: i64 = self.store.run("looking for a code", query.fetch_one(self.store.write())).await?;
        Ok(count > 0)
    }

    /// Takes a code; it is good once.
    pub(super) async fn take_link(&self, code: &str) -> Result<Option<Link>, ToolError> {
        let query = sqlx::query(
            "DELETE FROM kroger_links WHERE code_digest = $1 AND expires_at > $2 RETURNING user_id, subject_digest",
        )
        .bind(digest(code))
        .bind(now());
        let taken = self.store.run("taking a code", query.fetch_optional(self.store.write())).await?;
        let Some(row) = taken else { return Ok(None) };
        let user = Some(text(&row, "user_id")?).filter(|id| !id.is_empty()).map(|id| User(id.into()));
        Ok(Some(Link { user, subject: text(&row, "subject_digest")? }))
    }

    pub(super) async fn remove_old_links(&self) -> Result<(), ToolError> {
        let query = sqlx::query("DELETE FROM kroger_links WHERE expires_at <= $1").bind(now());
        Ok(self.store.run("removing old codes", query.execute(self.store.write())).await.map(drop)?)
    }
}
