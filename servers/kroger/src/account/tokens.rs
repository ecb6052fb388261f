//! A user's tokens at Kroger: sealed, renewed before they end, and by one process at a time.
//!
//! A refresh token works once, and nobody can ask whether it was used. So whoever renews takes the lease of the user's row and marks the
//! token as sent, in one write, before it is sent; and saves the new pair, under the row's generation, before the lease ends. A process
//! that dies in between leaves the mark. The next one then tries the old token once more: either it was never used and works, or
//! Kroger refuses it, and the customer must sign in again. A new pair always wins over a refusal: it is saved even when the lease is
//! lost, as with clocks that differ.

use std::time::Duration;

use portico_kit::{
    Correlation, Secret,
    store::{self, now},
    tool::ToolError,
    upstream::{Class, Error},
};
use secrecy::zeroize::Zeroizing;
use serde::{Deserialize, Serialize};
use sqlx::Row as _;
use tokio::time::{Instant, sleep, timeout};

use super::{Accounts, User, oauth::Granted, secrets};

/// How long one process may take to renew.
const LEASE: Duration = Duration::from_secs(40);
/// How long Kroger may take of it; what is left is for saving.
const ASK: Duration = Duration::from_secs(25);
/// How long the new pair is tried to be saved while the database is away.
const SAVE: Duration = Duration::from_secs(12);
/// How long a caller waits for another that renews.
const WAIT: Duration = Duration::from_secs(45);
/// Longest pause between two looks at what another does.
const LOOK: u64 = 150;
/// Tokens of users without a device are kept this long without use, in milliseconds: 30 days.
const UNUSED: i64 = 30 * 24 * 3_600_000;
/// Rows that are looked at together when they are sealed again.
const PAGE: i64 = 100;
/// Renewals on request, at most one in this time, in milliseconds.
const ON_REQUEST: i64 = 60_000;

/// The pair as it is sealed.
#[derive(Serialize, Deserialize)]
struct Pair {
    access: String,
    refresh: String,
}

/// A user's row, opened.
pub(super) struct Held {
    pub(super) access: Secret,
    pub(super) refresh: Secret,
    renew_at: i64,
    expires_at: i64,
    renewed_at: i64,
    pub(super) generation: i64,
    /// Another process has sent the refresh token and not told what came of it.
    was_sent: bool,
}

/// What came of a renewal.
pub(super) enum Renewal {
    New(Secret),
    /// The row has changed meanwhile: look at it again.
    Again,
    Failed(ToolError),
}

/// What a failed renewal says of the refresh token.
#[derive(Debug, PartialEq, Eq)]
enum Spent {
    /// It was not sent, or not looked at.
    No,
    /// It may have been used.
    Perhaps,
    /// Kroger refuses it.
    Refused,
}

impl Spent {
    fn by(class: Class) -> Self {
        match class {
            Class::Validation => Self::Refused,
            Class::UnknownOutcome | Class::Malformed | Class::Timeout => Self::Perhaps,
            _ => Self::No,
        }
    }
}

fn context(user: &User) -> String {
    format!("kroger_accounts.tokens/{}", &*user.id)
}

impl Accounts {
    /// A token of the user that is good for some time; `None` where the customer must sign in.
    pub(super) async fn good_token(&self, user: &User) -> Result<Option<Secret>, ToolError> {
        self.token_other_than(user, None).await
    }

    /// A token in place of one that Kroger has refused; `None` where the customer must sign in.
    pub(super) async fn renewed(&self, user: &User, refused: &Secret) -> Result<Option<Secret>, ToolError> {
        self.token_other_than(user, Some(refused)).await
    }

    /// Renews the user's token now, unless that was done within the last minute; when the token ends, in milliseconds since 1970.
    /// `None` where the customer must sign in.
    pub(super) async fn renew_on_request(&self, user: &User) -> Result<Option<i64>, ToolError> {
        let Some(held) = self.held(user).await? else { return Ok(None) };
        if now().saturating_sub(held.renewed_at) >= ON_REQUEST {
            self.renewed(user, &held.access).await?;
        }
        Ok(self.held(user).await?.map(|held| held.expires_at))
    }

    /// Whether Kroger lets us act for the user, as far as we know.
    pub(super) async fn is_linked(&self, user: &User) -> Result<bool, ToolError> {
        Ok(self.held(user).await?.is_some())
    }

    async fn token_other_than(
        &self,
        user: &User,
        refused: Option<&Secret>,
    ) -> Result<Option<Secret>, ToolError> {
        let end = Instant::now() + WAIT;
        while Instant::now() < end {
            let Some(held) = self.held(user).await? else { return Ok(None) };
            let is_refused = refused.is_some_and(|refused| refused.expose() == held.access.expose());
            let is_good = !is_refused && now() < held.expires_at;
            if is_good && now() < held.renew_at {
                return Ok(Some(held.access));
            }
            let access = held.access.clone();
            match self.renew(user, held).await? {
                Some(Renewal::New(access)) => return Ok(Some(access)),
                // What is still good need not wait for what comes, nor suffer from what did not.
                None | Some(Renewal::Failed(_)) if is_good => return Ok(Some(access)),
                Some(Renewal::Failed(error)) => return Err(error),
                Some(Renewal::Again) => {}
                None => sleep(Duration::from_millis(rand::random_range(LOOK / 3..=LOOK))).await,
            }
        }
        Err(Error::new("Kroger", Class::Timeout, "the sign-in is being renewed and does not get done").into())
    }

    /// The user's tokens; `None` where there are none, or none that can be read.
    pub(super) async fn held(&self, user: &User) -> Result<Option<Held>, ToolError> {
        let query = sqlx::query(
            "SELECT tokens, renew_at, expires_at, renewed_at, generation, sent FROM kroger_accounts WHERE user_id = $1",
        )
        .bind(&*user.id);
        let found = query.fetch_optional(self.store.write());
        let Some(row) = self.store.run("reading the sign-in", found).await? else { return Ok(None) };
        let sealed: Vec<u8> = row.try_get("tokens").map_err(|error| form(&error))?;
        let Some(pair) = self.open(user, &sealed) else { return Ok(None) };
        let number = |name| row.try_get::<i64, _>(name).map_err(|error| form(&error));
        Ok(Some(Held {
            access: Secret::new(pair.access),
            refresh: Secret::new(pair.refresh),
            renew_at: number("renew_at")?,
            expires_at: number("expires_at")?,
            renewed_at: number("renewed_at")?,
            generation: number("generation")?,
            was_sent: number("sent")? > 0,
        }))
    }

    /// What cannot be opened is as good as gone: the customer signs in again.
    fn open(&self, user: &User, sealed: &[u8]) -> Option<Pair> {
        if sealed.is_empty() {
            return None;
        }
        let opened = self.sealer.open(&context(user), sealed);
        let opened =
            opened.inspect_err(|error| tracing::error!(%error, "the tokens of a user cannot be opened"));
        serde_json::from_slice(&opened.ok()?.plain).ok()
    }

    pub(super) fn seal_pair(
        &self,
        user: &User,
        granted: &Granted,
        old: Option<&Secret>,
    ) -> Result<Vec<u8>, ToolError> {
        let refresh = granted.refresh.as_ref().or(old).map(|refresh| refresh.expose().to_owned());
        let pair = Pair { access: granted.access.expose().to_owned(), refresh: refresh.unwrap_or_default() };
        let plain = serde_json::to_vec(&pair).map_err(|error| ToolError::Internal(error.to_string()))?;
        Ok(self.sealer.seal(&context(user), &Zeroizing::new(plain))?)
    }

    /// Renews, where nobody else does. It goes on when the caller goes away: a token that was sent is worth its answer.
    async fn renew(&self, user: &User, held: Held) -> Result<Option<Renewal>, ToolError> {
        let (accounts, user) = (self.clone(), user.clone());
        let id = Correlation::current().unwrap_or_else(Correlation::new);
        let renewal = tokio::spawn(id.scope(async move { accounts.renew_alone(&user, &held).await }));
        renewal.await.map_err(|error| ToolError::Internal(format!("renewing failed: {error}")))?
    }

    async fn renew_alone(&self, user: &User, held: &Held) -> Result<Option<Renewal>, ToolError> {
        let lease = secrets::hexadecimal::<16>()?;
        if !self.take_lease(user, held.generation, &lease).await? {
            return Ok(None);
        }
        let ended = self.renew_leased(user, held, &lease).await;
        Ok(Some(ended.unwrap_or_else(Renewal::Failed)))
    }

    /// Takes the lease and marks the refresh token as sent; `false` where another has it, has renewed, or has learnt that the sign-in
    /// is over. One that lasts longer than any can was taken by a clock that was ahead, and binds nobody.
    pub(super) async fn take_lease(
        &self,
        user: &User,
        generation: i64,
        lease: &str,
    ) -> Result<bool, store::Error> {
        let life = i64::try_from(LEASE.as_millis()).unwrap_or(i64::MAX);
        let (at, until) = (now(), now().saturating_add(life));
        let query = sqlx::query(
            "UPDATE kroger_accounts SET lease_id = $3, lease_until = $4, sent = sent + 1 \
             WHERE user_id = $1 AND generation = $2 AND (lease_until < $5 OR lease_until > $6) AND length(tokens) > 0",
        )
        .bind(&*user.id)
        .bind(generation)
        .bind(lease)
        .bind(until)
        .bind(at)
        .bind(at.saturating_add(life.saturating_mul(2)));
        let taken =
            self.store.run("taking the lease of a sign-in", query.execute(self.store.write())).await?;
        Ok(taken.rows_affected() == 1)
    }

    pub(super) async fn renew_leased(
        &self,
        user: &User,
        held: &Held,
        lease: &str,
    ) -> Result<Renewal, ToolError> {
        let settings = self
            .settings
            .as_ref()
            .ok_or_else(|| ToolError::Internal("nobody can sign in here".to_owned()))?;
        let asked = timeout(ASK, self.refresh(settings, &held.refresh)).await;
        match asked.unwrap_or_else(|_| Err(Error::new("Kroger", Class::Timeout, "no answer in time"))) {
            Ok(granted) => self.save(user, held, &granted).await,
            Err(error) => self.not_renewed(user, held, lease, error).await,
        }
    }

    /// Saves the new pair, for as long as the database may be away for a moment: it is the only one there is.
    pub(super) async fn save(
        &self,
        user: &User,
        held: &Held,
        granted: &Granted,
    ) -> Result<Renewal, ToolError> {
        let sealed = self.seal_pair(user, granted, Some(&held.refresh))?;
        let end = Instant::now() + SAVE;
        loop {
            match self.save_sealed(user, held.generation, &sealed, granted.times(now())).await {
                Ok(true) => return Ok(Renewal::New(granted.access.clone())),
                // Somebody has signed in anew meanwhile.
                Ok(false) => return Ok(Renewal::Again),
                Err(error) if Instant::now() >= end => {
                    tracing::error!(%error, "a renewed sign-in could not be saved and is lost");
                    return Err(error.into());
                }
                Err(_) => sleep(Duration::from_millis(300)).await,
            }
        }
    }

    async fn save_sealed(
        &self,
        user: &User,
        generation: i64,
        sealed: &[u8],
        (renew_at, expires_at): (i64, i64),
    ) -> Result<bool, store::Error> {
        let query = sqlx::query(
            "UPDATE kroger_accounts SET tokens = $3, renew_at = $4, expires_at = $5, renewed_at = $6, \
             generation = generation + 1, lease_id = '', lease_until = 0, sent = 0 \
             WHERE user_id = $1 AND generation = $2",
        )
        .bind(&*user.id)
        .bind(generation)
        .bind(sealed.to_vec())
        .bind(renew_at)
        .bind(expires_at)
        .bind(now());
        let saved = self.store.run("saving the sign-in", query.execute(self.store.write())).await?;
        Ok(saved.rows_affected() == 1)
    }

    async fn not_renewed(
        &self,
        user: &User,
        held: &Held,
        lease: &str,
        error: Error,
    ) -> Result<Renewal, ToolError> {
        let spent = Spent::by(error.class());
        if spent == Spent::Refused {
            if !self.end(user, held.generation, lease).await? {
                return Ok(Renewal::Again);
            }
            let why = if held.was_sent { "an earlier renewal got no answer" } else { "revoked or too old" };
            self.note("sign_in_ended", user, &[("why", why)]).await;
            return Ok(Renewal::Again);
        }
        // A mark that another has left stays until it is known what came of that.
        let mark = i64::from(spent == Spent::Perhaps || held.was_sent);
        self.release(user, held.generation, lease, mark).await?;
        Ok(Renewal::Failed(as_told(error).into()))
    }

    async fn release(
        &self,
        user: &User,
        generation: i64,
        lease: &str,
        mark: i64,
    ) -> Result<(), store::Error> {
        let query = sqlx::query(
            "UPDATE kroger_accounts SET lease_id = '', lease_until = 0, sent = $4 \
             WHERE user_id = $1 AND generation = $2 AND lease_id = $3",
        )
        .bind(&*user.id)
        .bind(generation)
        .bind(lease)
        .bind(mark);
        self.store.run("giving the lease back", query.execute(self.store.write())).await.map(drop)
    }

    /// Forgets tokens that Kroger refuses; `false` where others have come meanwhile. The generation stays: a pair that is still on
    /// its way may be saved after all.
    async fn end(&self, user: &User, generation: i64, lease: &str) -> Result<bool, store::Error> {
        let query = sqlx::query(
            "UPDATE kroger_accounts SET tokens = $4, lease_id = '', lease_until = 0 \
             WHERE user_id = $1 AND generation = $2 AND lease_id = $3",
        )
        .bind(&*user.id)
        .bind(generation)
        .bind(lease)
        .bind(Vec::<u8>::new());
        let ended = self.store.run("ending the sign-in", query.execute(self.store.write())).await?;
        Ok(ended.rows_affected() == 1)
    }

    /// Seals anew, with the newest key, the tokens that an older one sealed; how many users' that were. Tokens that no key opens are left
    /// as they are. The error is the database's.
    pub(crate) async fn seal_again(&self) -> Result<u64, ToolError> {
        let (mut last, mut sealed) = (String::new(), 0);
        loop {
            let query = sqlx::query(
                "SELECT user_id, tokens, generation FROM kroger_accounts WHERE user_id > $1 AND length(tokens) > 0 \
                 ORDER BY user_id LIMIT $2",
            )
            .bind(last.as_str())
            .bind(PAGE);
            let rows = self.store.run("reading sign-ins", query.fetch_all(self.store.write())).await?;
            let Some(end) = rows.last() else { return Ok(sealed) };
            last = end.try_get("user_id").map_err(|error| form(&error))?;
            for row in &rows {
                sealed += u64::from(self.seal_row_again(row).await?);
            }
        }
    }

    /// The generation stays: it is the same pair, and a renewal of it that is under way may be saved.
    async fn seal_row_again(&self, row: &sqlx::any::AnyRow) -> Result<bool, ToolError> {
        let id: String = row.try_get("user_id").map_err(|error| form(&error))?;
        let user = User { id: id.into() };
        let old: Vec<u8> = row.try_get("tokens").map_err(|error| form(&error))?;
        let opened = match self.sealer.open(&context(&user), &old) {
            Ok(opened) if opened.old => opened,
            Ok(_) => return Ok(false),
            Err(error) => {
                tracing::warn!(%error, "the tokens of a user cannot be opened with any key that is there");
                return Ok(false);
            }
        };
        let query = sqlx::query(
            "UPDATE kroger_accounts SET tokens = $4 WHERE user_id = $1 AND generation = $2 AND tokens = $3",
        )
        .bind(&*user.id)
        .bind(row.try_get::<i64, _>("generation").map_err(|error| form(&error))?)
        .bind(old)
        .bind(self.sealer.seal(&context(&user), &opened.plain)?);
        let written = self.store.run("sealing sign-ins again", query.execute(self.store.write())).await?;
        Ok(written.rows_affected() == 1)
    }

    /// Forgets the user's tokens: Kroger has no call for giving them back.
    pub(super) async fn forget_tokens(&self, user: &User) -> Result<(), store::Error> {
        let query = sqlx::query("DELETE FROM kroger_accounts WHERE user_id = $1").bind(&*user.id);
        self.store.run("forgetting the sign-in", query.execute(self.store.write())).await.map(drop)
    }

    /// Forgets tokens that were not used for 30 days by users without a device. Renewing is using: access tokens live for half an hour.
    pub(super) async fn remove_unused_tokens(&self) -> Result<(), ToolError> {
        let query = sqlx::query(
            "DELETE FROM kroger_accounts WHERE renewed_at < $1 AND user_id NOT IN (SELECT user_id FROM kroger_sessions)",
        )
        .bind(now().saturating_sub(UNUSED));
        Ok(self.store.run("forgetting unused sign-ins", query.execute(self.store.write())).await.map(drop)?)
    }
}

/// A renewal that failed, as the tools may know it. What is not known of it is whether the refresh token was used; what a tool was
/// going to do was not begun, and must not be taken for something that was perhaps done.
fn as_told(error: Error) -> Error {
    match error.class() {
        Class::UnknownOutcome | Class::Timeout => Error::new(
            "Kroger",
            Class::Server,
            format!("the sign-in could not be renewed: {}", error.reason()),
        ),
        _ => error,
    }
}

fn form(error: &sqlx::Error) -> ToolError {
    ToolError::Internal(format!("a row has another form than expected: {error}"))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(Class::Validation, Spent::Refused)]
    #[case(Class::UnknownOutcome, Spent::Perhaps)]
    #[case(Class::Malformed, Spent::Perhaps)]
    #[case(Class::Timeout, Spent::Perhaps)]
    #[case(Class::Network, Spent::No)]
    #[case(Class::Authentication, Spent::No)]
    #[case(Class::RateLimited, Spent::No)]
    #[case(Class::CircuitOpen, Spent::No)]
    fn a_failure_tells_whether_the_refresh_token_may_have_been_used(
        #[case] class: Class,
        #[case] spent: Spent,
    ) {
        assert_eq!(Spent::by(class), spent);
    }

    #[test]
    fn the_parts_of_a_renewal_fit_into_its_lease() {
        assert!(ASK + SAVE < LEASE && LEASE < WAIT);
    }
}
