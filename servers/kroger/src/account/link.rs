//! Links: by one, a further device joins a user, or a browser signs in at Kroger for a user who calls by other means.
//!
//! The second kind gives the browser no session: who gets hold of one, as out of an assistant's answers, gets nothing of the user's.
//!
//! A link is sealed and holds the user and its end, so that making one writes nothing. That one was followed is written down until its
//! end: it works once.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use portico_kit::{store::now, tool::ToolError};

use super::{Accounts, User, secrets};

/// How long a link is good, in milliseconds.
const LIFE: i64 = 10 * 60_000;
/// Longest code that is looked at, in bytes.
const LONGEST: usize = 512;
const CONTEXT: &str = "kroger.link";

/// What a link is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A further device of the user, who made the link on another.
    Device,
    /// The user's sign-in at Kroger, and nothing else.
    SignIn,
}

impl Purpose {
    const fn word(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::SignIn => "sign_in",
        }
    }
}

/// A link that is good.
pub(super) struct Link {
    pub(super) user: User,
    pub(super) purpose: Purpose,
    end: i64,
}

impl Link {
    /// When it was made, in milliseconds since 1970.
    fn made(&self) -> i64 {
        self.end.saturating_sub(LIFE)
    }
}

/// A code, and when it ends in milliseconds since 1970.
pub(super) struct Code {
    pub(super) code: String,
    pub(super) expires_at: i64,
}

impl Accounts {
    pub(super) fn make_link(&self, user: &User, purpose: Purpose) -> Result<Code, ToolError> {
        let expires_at = now().saturating_add(LIFE);
        let plain = format!("{} {expires_at} {}", purpose.word(), user.id);
        let sealed = self.sealer.seal_text(CONTEXT, &plain)?;
        Ok(Code { code: URL_SAFE_NO_PAD.encode(sealed), expires_at })
    }

    /// What the code stands for, where it is good; it may have been used. A link to somebody whose data were deleted since is not: it would
    /// bring back whom nobody cleans up after.
    async fn good_link(&self, code: &str) -> Result<Option<Link>, ToolError> {
        let Some(link) = self.read_link(code) else { return Ok(None) };
        let is_gone = self.audit.was_deleted_after(&link.user.id, link.made()).await?;
        Ok((!is_gone).then_some(link))
    }

    /// What the code stands for, where it is one of ours and is not over.
    fn read_link(&self, code: &str) -> Option<Link> {
        let sealed = URL_SAFE_NO_PAD.decode(code).ok().filter(|_| code.len() <= LONGEST)?;
        let opened = self.sealer.open_text(CONTEXT, &sealed).ok()?;
        let mut parts = opened.plain.splitn(3, ' ');
        let word = parts.next()?;
        let purpose = [Purpose::Device, Purpose::SignIn].into_iter().find(|known| known.word() == word)?;
        let end: i64 = parts.next()?.parse().ok().filter(|end| *end > now())?;
        Some(Link { user: User { id: parts.next()?.into() }, purpose, end })
    }

    /// What the code stands for, where it is good; it stays so.
    pub(super) async fn look_at_link(&self, code: &str) -> Result<Option<Link>, ToolError> {
        let Some(link) = self.good_link(code).await? else { return Ok(None) };
        let query = sqlx::query_scalar("SELECT COUNT(*) FROM kroger_used_links WHERE link_digest = $1")
            .bind(secrets::digest("link", code));
        let used: i64 = self.store.run("looking for a link", query.fetch_one(self.store.write())).await?;
        Ok((used == 0).then_some(link))
    }

    /// Takes a code; it is good once.
    pub(super) async fn take_link(&self, code: &str) -> Result<Option<Link>, ToolError> {
        let Some(link) = self.good_link(code).await? else { return Ok(None) };
        let is_taken = self.use_up(&secrets::digest("link", code), link.end).await?;
        Ok(is_taken.then_some(link))
    }

    /// Writes down that what is good once was used, until `end` (milliseconds since 1970); `false` where it was before.
    pub(super) async fn use_up(&self, digest: &str, end: i64) -> Result<bool, ToolError> {
        let query = sqlx::query(
            "INSERT INTO kroger_used_links (link_digest, expires_at) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        );
        let taken = query.bind(digest).bind(end).execute(self.store.write());
        Ok(self.store.run("taking a link", taken).await?.rows_affected() == 1)
    }

    pub(super) async fn remove_old_links(&self) -> Result<(), ToolError> {
        let query = sqlx::query("DELETE FROM kroger_used_links WHERE expires_at <= $1").bind(now());
        Ok(self.store.run("removing old links", query.execute(self.store.write())).await.map(drop)?)
    }
}
