//! A sign-in from its beginning to the session that comes of it.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use portico_kit::{
    Url,
    store::now,
    tool::ToolError,
    upstream::{Class, Error},
};
use serde::{Deserialize, Serialize};
use sqlx::{Any, Transaction};

use super::{
    Accounts, Settings, User,
    oauth::Granted,
    secrets,
    sessions::{self, Made, failed},
};

/// How long a customer may take at Kroger, in milliseconds.
const LIFE: i64 = 10 * 60_000;
/// Longest time for saving one.
const SAVE: Duration = Duration::from_secs(15);
/// Length of what tells sign-ins of one browser apart.
const MARK: usize = 8;

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

/// What a sign-in remembers. The browser that began it keeps it, sealed, in a cookie of this sign-in: so nothing is written for whoever
/// begins many, and no number of them pushes out somebody else's.
#[derive(Serialize, Deserialize)]
pub(super) struct Begun {
    verifier: String,
    pub(super) return_to: String,
    /// For whom it was begun; empty for somebody new.
    user: String,
    makes_session: bool,
    /// In milliseconds since 1970.
    began: i64,
}

impl Begun {
    pub(super) fn user(&self) -> Option<User> {
        (!self.user.is_empty()).then(|| User { id: self.user.as_str().into() })
    }

    /// The same for `user`.
    pub(super) fn of(self, user: &User) -> Self {
        Self { user: user.id.to_string(), ..self }
    }

    /// Whether finishing it on a device of `user` would put somebody else in the user's place.
    pub(super) fn replaces(&self, user: &User) -> bool {
        self.makes_session && self.user != *user.id
    }

    fn end(&self) -> i64 {
        self.began.saturating_add(LIFE)
    }
}

/// A sign-in that is to go on at Kroger.
pub(super) struct Leaving {
    pub(super) address: Url,
    /// What tells the sign-ins of one browser apart.
    pub(super) mark: String,
    /// What its cookie holds.
    pub(super) kept: String,
}

/// What tells the sign-in of `state` from others of the same browser.
pub(super) fn mark(state: &str) -> String {
    secrets::digest("state", state).chars().filter(char::is_ascii_alphanumeric).take(MARK).collect()
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
    format!("kroger.login/{}", secrets::digest("state", state))
}

impl Accounts {
    /// Begins a sign-in in a browser.
    pub(super) fn begin_login(
        &self,
        settings: &Settings,
        return_to: &str,
        whom: For<'_>,
    ) -> Result<Leaving, ToolError> {
        let begun = Begun {
            verifier: secrets::code()?,
            return_to: return_to.to_owned(),
            user: whom.user().to_owned(),
            makes_session: !matches!(whom, For::Elsewhere(_)),
            began: now(),
        };
        self.leave(settings, &begun)
    }

    pub(super) fn leave(&self, settings: &Settings, begun: &Begun) -> Result<Leaving, ToolError> {
        let state = secrets::code()?;
        let plain = serde_json::to_string(begun).map_err(|error| ToolError::Internal(error.to_string()))?;
        let sealed = self.sealer.seal_text(&context(&state), &plain)?;
        Ok(Leaving {
            address: Self::authorize_url(settings, &state, &begun.verifier),
            mark: mark(&state),
            kept: URL_SAFE_NO_PAD.encode(sealed),
        })
    }

    /// Those that an earlier version has written down.
    pub(super) async fn remove_old_logins(&self) -> Result<(), ToolError> {
        let query = sqlx::query("DELETE FROM kroger_logins WHERE expires_at <= $1").bind(now());
        Ok(self.store.run("removing old sign-ins", query.execute(self.store.write())).await.map(drop)?)
    }

    /// What was begun under `state` in the browser that has `kept`; it is good once.
    pub(super) async fn take_login(&self, state: &str, kept: &str) -> Result<Begun, Failure> {
        let begun = self.read_login(state, kept).ok_or(Failure::Unknown)?;
        let is_over = begun.end() <= now();
        if is_over || !self.use_up(&secrets::digest("state", state), begun.end()).await? {
            return Err(Failure::Unknown);
        }
        Ok(begun)
    }

    fn read_login(&self, state: &str, kept: &str) -> Option<Begun> {
        let sealed = URL_SAFE_NO_PAD.decode(kept).ok()?;
        let opened = self.sealer.open_text(&context(state), &sealed).ok()?;
        serde_json::from_str(&opened.plain).ok()
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
        let user = begun.user().map_or_else(User::new, Ok)?;
        let over = if begun.makes_session { Over::Any } else { self.unlinked(&user).await? };
        let granted = self.exchange(settings, code, &begun.verifier).await.map_err(of_exchange)?;
        let sealed = self.seal_pair(&user, &granted, None)?;
        // Whoever has been deleted meanwhile does not come back by this.
        if self.audit.was_deleted_after(&user.id, begun.began).await? {
            return Err(Failure::Unknown);
        }
        let saving = async {
            let mut transaction = self.store.begin().await?;
            if !save_tokens(&mut transaction, &user, sealed, &granted, over).await? {
                return Ok(None);
            }
            if begun.user.is_empty() {
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
    let late = || ToolError::Away("signing in could not be saved: the database does not answer".to_owned());
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
    // The generation moves on, so that a renewal of the old pair that is under way is not saved over this one. It begins with the time, so
    // that it is another one also where the row was deleted in between.
    let query = sqlx::query(
        "INSERT INTO kroger_accounts \
         (user_id, tokens, renew_at, expires_at, renewed_at, generation, lease_id, lease_until, sent) \
         VALUES ($1, $2, $3, $4, $5, $5, '', 0, 0) \
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
