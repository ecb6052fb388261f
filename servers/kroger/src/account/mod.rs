//! Who has signed in, and the tokens by which Kroger lets this server act for them.
//!
//! A user is ours: a random id that has nothing to do with Kroger's id of the customer, which its rules forbid to keep data by. A
//! user has sessions, one for each device; a further device joins by a link code of one that is signed in. Whom the gateway
//! asserts is the same user each time. Tokens are sealed; a session's id is known to its device alone, the database has its digest.
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
mod tokens;

use std::sync::Arc;

use portico_kit::{
    Caller, Store,
    seal::Sealer,
    tool::ToolError,
    upstream::{Answer, Call, Class, Client},
};

pub use sessions::Session;
pub use settings::Settings;
pub use tables::MIGRATIONS;

/// One user.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct User(Arc<str>);

impl User {
    /// The id by which data of the user is kept: 32 hexadecimal digits.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.0
    }

    fn new() -> Result<Self, ToolError> {
        Ok(Self(secrets::hexadecimal::<16>()?.into()))
    }
}

/// All users, their sessions and their tokens. Replicas over one database act as one.
pub struct Accounts {
    settings: Settings,
    client: Client,
    store: Store,
    sealer: Sealer,
}

impl Accounts {
    /// Users in `store`, which was opened with [`MIGRATIONS`]; `client` calls Kroger.
    #[must_use]
    pub fn new(settings: Settings, client: Client, store: Store, sealer: Sealer) -> Arc<Self> {
        Arc::new(Self { settings, client, store, sealer })
    }

    /// The name of the cookie that carries a session.
    #[must_use]
    pub fn cookie_name(&self) -> &'static str {
        self.settings.session_cookie()
    }

    /// Where a person signs in.
    #[must_use]
    pub fn login_url(&self) -> String {
        self.settings.login_url().to_string()
    }

    /// The user who calls: that of the session, else that of the gateway's word on who asks. `None` for nobody, and for a session
    /// that has ended.
    pub async fn caller(&self, caller: &Caller) -> Result<Option<User>, ToolError> {
        if let Some(session) = &caller.session
            && let Some(session) = self.session(session.expose()).await?
        {
            return Ok(Some(session.user));
        }
        match &caller.subject {
            Some(subject) => self.user_of_subject(subject).await,
            None => Ok(None),
        }
    }

    /// The user who calls, or the refusal that says where to sign in.
    pub async fn require(&self, caller: &Caller) -> Result<User, ToolError> {
        match self.caller(caller).await? {
            Some(user) => Ok(user),
            None => Err(self.sign_in(caller, "this needs somebody who has signed in at Kroger").await),
        }
    }

    /// A refusal that says where to sign in. For somebody whom the gateway asserts the address leads back to that person.
    pub async fn sign_in(&self, caller: &Caller, problem: &str) -> ToolError {
        let link = match &caller.subject {
            Some(subject) => self.link_for_subject(subject).await,
            None => Ok(self.login_url()),
        };
        match link {
            Ok(url) => ToolError::SignIn { problem: problem.to_owned(), url: Some(url) },
            Err(error) => error,
        }
    }

    /// Sends `call` with the user's token. A token that Kroger refuses is renewed once; that one refused too means that the
    /// customer must sign in again. A refused call was not carried out, so that this repeats nothing.
    pub async fn send(self: &Arc<Self>, user: &User, call: &Call) -> Result<Answer, ToolError> {
        let token = self.token(user).await?;
        match self.client.send(&call.clone().bearer(token.clone())).await {
            Err(error) if error.class() == Class::Authentication => {}
            result => return Ok(result?),
        }
        let token = self.renewed(user, &token).await?;
        match self.client.send(&call.clone().bearer(token)).await {
            Err(error) if error.class() == Class::Authentication => {
                Err(self.sign_in_again("Kroger does not accept this sign-in any more"))
            }
            result => Ok(result?),
        }
    }

    fn sign_in_again(&self, problem: &str) -> ToolError {
        ToolError::SignIn { problem: problem.to_owned(), url: Some(self.login_url()) }
    }

    /// Removes what is over, every hour. Never ends.
    pub async fn sweep(&self) {
        loop {
            if let Err(error) = self.sweep_once().await {
                tracing::warn!(%error, "ended sessions could not be removed");
            }
            tokio::time::sleep(std::time::Duration::from_hours(1)).await;
        }
    }

    /// Removes sessions, codes and begun sign-ins that are over, and the tokens of users whom no device and no assistant is left of.
    pub async fn sweep_once(&self) -> Result<(), ToolError> {
        self.remove_ended_sessions().await?;
        self.remove_old_logins().await?;
        self.remove_old_links().await?;
        self.remove_unused_tokens().await
    }
}
