//! Who uses the server, and for whom it may ask Kroger.
//!
//! A user is ours: an id that has nothing to do with Kroger's id of the customer, by which its rules forbid to keep data. Whom the gateway
//! vouches for has an id made of that; whoever signs in in a browser gets a random one. A user has sessions, one for each device; a further
//! device joins by a link. A session's id is known to its device alone: the database has its digest. Tokens are sealed.
//!
//! Kroger's refresh tokens work once. One process at a time renews those of a user, which a lease in the user's row decides; see
//! [`tokens`].

mod answer;
mod link;
mod login;
mod oauth;
mod routes;
mod secrets;
mod sessions;
mod settings;
mod tables;
#[cfg(test)]
mod tests;
mod tokens;
mod visitor;

use std::{sync::Arc, time::Duration};

use axum::Router;
use futures::future::BoxFuture;
use link::Purpose;
use portico_kit::{
    Caller, Messages, Secret, Store,
    audit_log::{self, AuditLog},
    person::Holdings,
    seal::Sealer,
    tool::ToolError,
    upstream::{Class, Client, Error},
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

pub(crate) use settings::Settings;
pub(crate) use tables::MIGRATIONS;
pub(crate) use visitor::MESSAGES;

/// A user: a name of ours, which tells nothing of the person. Kroger's own id of a customer maps to nothing here, as its acceptable
/// use policy wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct User {
    /// Random, or a digest of what the gateway says; 32 hexadecimal digits.
    pub(crate) id: Arc<str>,
}

impl User {
    fn new() -> Result<Self, ToolError> {
        Ok(Self { id: secrets::hexadecimal::<16>()?.into() })
    }

    /// The user behind a name that the gateway vouches for.
    fn of_subject(subject: &str) -> Self {
        Self { id: portico_kit::digest(format!("subject\0{subject}"))[..32].into() }
    }
}

/// Who calls, as far as it is known, and where to sign in.
#[derive(Debug, Clone)]
pub(crate) struct Who {
    pub(crate) user: Option<User>,
    pub(crate) sign_in_url: Option<String>,
}

impl Who {
    /// The user; `purpose` says what needs one.
    pub(crate) fn user(&self, purpose: &str) -> Result<&User, ToolError> {
        self.user.as_ref().ok_or_else(|| ToolError::SignIn {
            problem: format!("{purpose} belongs to somebody, and it is not known who you are; give the session_id of your sign-in"),
            url: self.sign_in_url.clone(),
        })
    }

    fn sign_in(&self, problem: &str) -> ToolError {
        ToolError::SignIn { problem: problem.to_owned(), url: self.sign_in_url.clone() }
    }
}

const ENDED: &str = "the sign-in at Kroger has ended; sign in again";

/// Whether a Kroger account is linked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Link {
    /// The user has signed in at Kroger, and this server may act in the account.
    Linked,
    /// It may not, or no longer.
    Absent,
}

/// Users, their sessions and their tokens. Clones share everything, and replicas over one database act as one.
#[derive(Clone)]
pub(crate) struct Accounts {
    /// Nobody can sign in without.
    settings: Option<Arc<Settings>>,
    client: Client,
    store: Store,
    sealer: Sealer,
    audit: AuditLog,
    messages: Arc<Messages>,
}

impl Accounts {
    /// Users in `store`, which was opened with [`MIGRATIONS`]; `client` calls Kroger and `messages` are
    /// made of [`MESSAGES`]. Without `settings` nobody can sign in.
    pub(crate) fn new(
        settings: Option<Settings>,
        client: Client,
        (store, sealer): (Store, Sealer),
        audit: AuditLog,
        messages: Messages,
    ) -> Self {
        Self { settings: settings.map(Arc::new), client, store, sealer, audit, messages: Arc::new(messages) }
    }

    /// The paths of the sign-in; none where nobody can sign in.
    pub(crate) fn routes(&self) -> Router {
        self.settings.as_ref().map_or_else(Router::new, |settings| routes::routes(self, settings))
    }

    /// The name of the cookie that carries a session.
    pub(crate) fn cookie(&self) -> Option<&str> {
        self.settings.as_ref().map(|settings| settings.session_cookie())
    }

    /// Who calls: the user of the session, else the one whom the gateway vouches for. A session that has ended is nobody's.
    pub(crate) async fn user(&self, caller: &Caller) -> Result<Option<User>, ToolError> {
        let session = match &caller.session {
            Some(id) => self.session(id.expose()).await?,
            None => None,
        };
        let of_gateway = || caller.subject.as_deref().map(User::of_subject);
        Ok(session.map(|session| session.user).or_else(of_gateway))
    }

    /// The user, and where to sign in.
    pub(crate) fn who(&self, user: Option<User>) -> Result<Who, ToolError> {
        let sign_in_url = self.sign_in_url(user.as_ref())?;
        Ok(Who { user, sign_in_url })
    }

    /// Where to sign in; the address leads back to the user, where there is one.
    fn sign_in_url(&self, user: Option<&User>) -> Result<Option<String>, ToolError> {
        let Some(settings) = &self.settings else { return Ok(None) };
        match user {
            Some(user) => Ok(Some(settings.link_url(&self.make_link(user, Purpose::SignIn)?.code))),
            None => Ok(Some(settings.login_url().to_string())),
        }
    }

    /// Whether the user's Kroger account is linked, and on how many devices the user is signed in.
    pub(crate) async fn state(&self, user: &User) -> Result<(Link, u32), ToolError> {
        let link = if self.is_linked(user).await? { Link::Linked } else { Link::Absent };
        Ok((link, u32::try_from(self.devices(user).await?).unwrap_or(u32::MAX)))
    }

    /// A token of the user's for Kroger, `purpose` (such as `to add to a cart`). It is good for some time.
    pub(crate) async fn token(&self, who: &Who, purpose: &str) -> Result<Secret, ToolError> {
        let user = who.user("a Kroger account")?;
        self.good_token(user).await?.ok_or_else(|| match &self.settings {
            Some(_) => who.sign_in(&format!("sign in at Kroger {purpose}")),
            None => who.sign_in(&format!(
                "nobody can sign in at Kroger {purpose}: whoever runs this server has to set KROGER_REDIRECT_URI"
            )),
        })
    }

    /// Sends with `token`; one that Kroger refuses is renewed once, and one more refusal means signing in again. A refused call was not
    /// carried out, so that this repeats nothing.
    pub(crate) async fn retry_refused<T, F>(
        &self,
        who: &Who,
        token: Secret,
        send: impl Fn(Secret) -> F,
    ) -> Result<T, ToolError>
    where
        F: Future<Output = Result<T, Error>>,
    {
        match send(token.clone()).await {
            Err(error) if error.class() == Class::Authentication => {}
            other => return Ok(other?),
        }
        let user = who.user("a Kroger account")?;
        let renewed = self.renewed(user, &token).await?.ok_or_else(|| who.sign_in(ENDED))?;
        match send(renewed).await {
            Err(error) if error.class() == Class::Authentication => Err(who.sign_in(ENDED)),
            other => Ok(other?),
        }
    }

    /// Removes what is over, every hour. Never ends.
    pub(crate) async fn keep(&self) {
        loop {
            if let Err(error) = self.sweep().await {
                tracing::warn!(%error, "ended sessions could not be removed; it is tried again in an hour");
            }
            tokio::time::sleep(Duration::from_hours(1)).await;
        }
    }

    /// Removes sessions and used links that are over, and tokens that nobody has used for as long as a refresh token lasts.
    async fn sweep(&self) -> Result<(), ToolError> {
        self.remove_ended_sessions().await?;
        self.remove_old_logins().await?;
        self.remove_old_links().await?;
        self.remove_unused_tokens().await
    }

    /// Writes down what matters for security. It is a line of the log in any case, so that a database that is away fails nothing.
    async fn note(&self, event: &'static str, user: &User, detail: &[(&str, &str)]) {
        if let Err(error) = self.audit.note(event, &audit_log::Who::user(&user.id), detail).await {
            tracing::warn!(%error, event, "the audit log has only its line in this log");
        }
    }
}

impl Holdings for Accounts {
    fn name(&self) -> &'static str {
        "account"
    }

    fn export<'a>(&'a self, user: &'a str) -> BoxFuture<'a, Result<Value, ToolError>> {
        Box::pin(async move {
            let user = User { id: user.into() };
            let (link, _) = self.state(&user).await?;
            Ok(json!({ "kroger_account": link, "devices": self.export_devices(&user).await? }))
        })
    }

    fn delete<'a>(&'a self, user: &'a str) -> BoxFuture<'a, Result<u64, ToolError>> {
        Box::pin(async move { Ok(self.delete_user(&User { id: user.into() }).await?) })
    }

    fn forget<'a>(&'a self, user: &'a str) -> BoxFuture<'a, Result<(), ToolError>> {
        Box::pin(async move { Ok(self.forget_browser_user(&User { id: user.into() }).await?) })
    }
}
