//! A sign-in from its beginning to the session that comes of it.

use std::time::Duration;

use portico_kit::{
    Url,
    store::now,
    tool::ToolError,
    upstream::{Class, Error},
};
use sqlx::{Any, Row as _, Transaction};

use super::{
    Accounts, Settings, User,
    oauth::Granted,
    secrets,
    sessions::{self, Made, failed, text},
};

/// How long a customer may take at Kroger, in milliseconds.
const LIFE: i64 = 10 * 60_000;
/// Longest time for saving one.
const SAVE: Duration = Duration::from_secs(15);
/// Sign-ins that are on their way at once. Above that the oldest make room: whoever begins many must not keep others from beginning.
const MOST: i64 = 10_000;

/// Why a sign-in came to nothing.
#[derive(Debug)]
pub(super) enum Failure {
    /// It was not begun in this browser, is over, or was finished already.
    Unknown,
    /// The user's account was linked meanwhile; whoever finishes a link changes no account that is.
    Linked,
    /// Kroger does not take the code.
    Refused,
    /// Kroger gave no answer to the code: whatever became of it there, nothing was kept here.
    Unanswered,
    /// Something else failed.
    Tool(ToolError),
}

impl<E: Into<ToolError>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Tool(error.into())
    }
}

/// What a sign-in remembers.
pub(super) struct Begun {
    verifier: String,
    pub(super) return_to: String,
    /// For whom it was begun; `None` for somebody new.
    pub(super) user: Option<User>,
    makes_session: bool,
}

impl Begun {
    /// Whether finishing it on a device of `user` would put somebody else in the user's place.
    pub(super) fn replaces(&self, user: &User) -> bool {
        self.makes_session && self.user.as_ref() != Some(user)
    }
}

/// For whom somebody signs in.
#[derive(Clone, Copy)]
pub(super) enum For<'a> {
    /// Somebody new, on this device.
    Anybody,
    /// A user whose device this is.
    Device(&'a User),
    /// A user who calls by other means; the browser gets no session.
    Elsewhere(&'a User),
}

impl For<'_> {
    fn user(&self) -> &str {
        match self {
            Self::Anybody => "",
            Self::Device(user) | Self::Elsewhere(user) => &user.id,
        }
    }
}

fn context(state: &str) -> String {
    format!("kroger_logins.verifier/{state}")
}

impl Accounts {
    /// Begins a sign-in in the browser that holds the secret `browser`; where to send it.
    pub(super) async fn begin_login(
        &self,
        settings: &Settings,
        browser: &str,
        return_to: &str,
        whom: For<'_>,
    ) -> Result<Url, Failure> {
        self.make_room().await?;
        let (state, verifier) = (secrets::code()?, secrets::code()?);
        let digest = secrets::digest("state", &state);
        let query = sqlx::query(
            "INSERT INTO kroger_logins \
             (state_digest, browser_digest, verifier, return_to, user_id, makes_session, expires_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(digest.as_str())
        .bind(secrets::digest("browser", browser))
        .bind(self.sealer.seal_text(&context(&digest), &verifier)?)
        .bind(return_to)
        .bind(whom.user())
        .bind(i64::from(!matches!(whom, For::Elsewhere(_))))
        .bind(now().saturating_add(LIFE));
        self.store.run("beginning a sign-in", query.execute(self.store.write())).await?;
        Ok(Self::authorize_url(settings, &state, &verifier))
    }

    async fn make_room(&self) -> Result<(), ToolError> {
        self.remove_old_logins().await?;
        let query = sqlx::query_scalar("SELECT COUNT(*) FROM kroger_logins");
        let count: i64 = self.store.run("counting sign-ins", query.fetch_one(self.store.write())).await?;
        if count < MOST {
            return Ok(());
        }
        tracing::warn!(count, "so many sign-ins are on their way that the oldest are given up");
        let query = sqlx::query(
            "DELETE FROM kroger_logins WHERE state_digest IN \
             (SELECT state_digest FROM kroger_logins ORDER BY expires_at LIMIT $1)",
        )
        .bind(count - MOST + 1);
        Ok(self.store.run("giving up old sign-ins", query.execute(self.store.write())).await.map(drop)?)
    }

    pub(super) async fn remove_old_logins(&self) -> Result<(), ToolError> {
        let query = sqlx::query("DELETE FROM kroger_logins WHERE expires_at <= $1").bind(now());
        Ok(self.store.run("removing old sign-ins", query.execute(self.store.write())).await.map(drop)?)
    }

    /// What was begun under `state` in this browser; it is good once. Another browser's guess does not use it up.
    pub(super) async fn take_login(&self, state: &str, browser: &str) -> Result<Begun, Failure> {
        let digest = secrets::digest("state", state);
        let query = sqlx::query(
            "DELETE FROM kroger_logins WHERE state_digest = $1 AND browser_digest = $2 AND expires_at > $3 \
             RETURNING verifier, return_to, user_id, makes_session",
        )
        .bind(digest.as_str())
        .bind(secrets::digest("browser", browser))
        .bind(now());
        let taken = self.store.run("finding the sign-in", query.fetch_optional(self.store.write())).await?;
        let row = taken.ok_or(Failure::Unknown)?;
        let sealed: Vec<u8> = row.try_get("verifier").map_err(failed)?;
        let user = Some(text(&row, "user_id")?).filter(|id| !id.is_empty()).map(|id| User { id: id.into() });
        Ok(Begun {
            verifier: self.sealer.open_text(&context(&digest), &sealed)?.plain.to_string(),
            return_to: text(&row, "return_to")?,
            user,
            makes_session: row.try_get::<i64, _>("makes_session").map_err(failed)? != 0,
        })
    }

    /// Finishes a sign-in with Kroger's code: a session on this device, if that is wanted, of a user who is new unless the sign-in was
    /// begun for one.
    pub(super) async fn finish_login(
        &self,
        settings: &Settings,
        begun: &Begun,
        code: &str,
        device: &str,
    ) -> Result<Option<Made>, Failure> {
        let user = match &begun.user {
            Some(user) => user.clone(),
            None => User::new()?,
        };
        let over = if begun.makes_session { Over::Any } else { self.unlinked(&user).await? };
        let granted = self.exchange(settings, code, &begun.verifier).await.map_err(of_exchange)?;
        let sealed = self.seal_pair(&user, &granted, None)?;
        let saving = async {
            let mut transaction = self.store.begin().await?;
            if !save_tokens(&mut transaction, &user, sealed, &granted, over).await? {
                return Ok(None);
            }
            if begun.user.is_none() {
                sessions::note_browser_user(&mut transaction, &user).await?;
            }
            let made = if begun.makes_session {
                Some(sessions::make(&mut transaction, &user, device).await?)
            } else {
                None
            };
            transaction.commit().await.map_err(failed)?;
            Ok(Some(made))
        };
        let made = in_time(saving).await?.ok_or(Failure::Linked)?;
        self.note("signed_in", &user, &[("device", device)]).await;
        Ok(made)
    }

    /// What a sign-in by a link may be saved over: a row that has no tokens, or none that can be read. Nobody may put another account at
    /// Kroger in the place of the one that a user has.
    async fn unlinked(&self, user: &User) -> Result<Over, Failure> {
        let query =
            sqlx::query_scalar("SELECT generation FROM kroger_accounts WHERE user_id = $1").bind(&*user.id);
        // Read first: tokens that come after this move it on.
        let generation: Option<i64> =
            self.store.run("reading the sign-in", query.fetch_optional(self.store.write())).await?;
        if self.is_linked(user).await? {
            return Err(Failure::Linked);
        }
        Ok(Over::Generation(generation.unwrap_or_default()))
    }

    /// A session of a user on a further device, without asking Kroger again.
    pub(super) async fn join(&self, user: &User, device: &str) -> Result<Made, Failure> {
        let joining = async {
            let mut transaction = self.store.begin().await?;
            let made = sessions::make(&mut transaction, user, device).await?;
            transaction.commit().await.map_err(failed)?;
            Ok(made)
        };
        let made = in_time(joining).await?;
        self.note("device_joined", user, &[("device", device)]).await;
        Ok(made)
    }
}

/// A transaction holds a connection, so it does not wait for a database without end.
async fn in_time<T>(work: impl Future<Output = Result<T, ToolError>>) -> Result<T, ToolError> {
    let late =
        || ToolError::Internal("signing in could not be saved: the database does not answer".to_owned());
    tokio::time::timeout(SAVE, work).await.unwrap_or_else(|_| Err(late()))
}

fn of_exchange(error: Error) -> Failure {
    match error.class() {
        Class::Validation => Failure::Refused,
        Class::UnknownOutcome => Failure::Unanswered,
        _ => Failure::Tool(error.into()),
    }
}

/// What tokens are saved over.
#[derive(Clone, Copy)]
enum Over {
    /// Whatever there is.
    Any,
    /// A row of this generation, or none; no row has the generation 0.
    Generation(i64),
}

/// Saves the tokens of a sign-in; `false` where there are some over which these may not go.
async fn save_tokens(
    transaction: &mut Transaction<'static, Any>,
    user: &User,
    sealed: Vec<u8>,
    granted: &Granted,
    over: Over,
) -> Result<bool, ToolError> {
    let at = now();
    let (renew_at, expires_at) = granted.times(at);
    // The generation moves on, so that a renewal of the old pair that is under way is not saved over this one.
    let query = sqlx::query(
        "INSERT INTO kroger_accounts \
         (user_id, tokens, renew_at, expires_at, renewed_at, generation, lease_id, lease_until, sent) \
         VALUES ($1, $2, $3, $4, $5, 1, '', 0, 0) \
         ON CONFLICT (user_id) DO UPDATE SET tokens = excluded.tokens, renew_at = excluded.renew_at, \
         expires_at = excluded.expires_at, renewed_at = excluded.renewed_at, \
         generation = kroger_accounts.generation + 1, lease_id = '', lease_until = 0, sent = 0 \
         WHERE $6 < 0 OR kroger_accounts.generation = $6",
    )
    .bind(&*user.id)
    .bind(sealed)
    .bind(renew_at)
    .bind(expires_at)
    .bind(at)
    .bind(match over {
        Over::Any => -1,
        Over::Generation(generation) => generation,
    });
    let saved = query.execute(&mut **transaction).await.map_err(failed)?;
    Ok(saved.rows_affected() == 1)
}
