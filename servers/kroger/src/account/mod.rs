//! Who uses the server, and for whom it may ask Kroger.

use std::sync::Arc;

use axum::Router;
use portico_kit::{
    Caller, Secret,
    tool::ToolError,
    upstream::{Class, Error},
};
use schemars::JsonSchema;
use serde::Serialize;

/// A user: a name of ours, which tells nothing of the person. Kroger's own id of a customer maps to nothing here, as its acceptable
/// use policy wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct User {
    /// Random, or a digest of what the gateway says.
    pub(crate) id: Arc<str>,
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
}

/// Whether a Kroger account is linked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Link {
    /// The user has signed in at Kroger, and this server may act in the account.
    Linked,
    /// It may not, or no longer.
    Absent,
}

/// Users, their sessions and their tokens.
pub(crate) struct Accounts;

impl Accounts {
    pub(crate) fn new() -> Self {
        Self
    }

    /// The paths of the sign-in.
    #[expect(clippy::unused_self, reason = "the paths of the sign-in work on it")]
    pub(crate) fn routes(&self) -> Router {
        Router::new()
    }

    /// The name of the cookie that carries a session.
    #[expect(
        clippy::unused_self,
        clippy::unnecessary_wraps,
        reason = "it depends on how the server is reached"
    )]
    pub(crate) fn cookie(&self) -> Option<&str> {
        Some("portico_session")
    }

    /// Who calls.
    #[expect(clippy::unused_async, reason = "sessions are looked up in the database")]
    pub(crate) async fn who(&self, caller: &Caller) -> Result<Who, ToolError> {
        let user = caller.subject.as_deref().map(|subject| User { id: of_subject(subject) });
        Ok(Who { user, sign_in_url: None })
    }

    /// Whether the user's Kroger account is linked, and on how many devices the user is signed in.
    #[expect(clippy::unused_async, reason = "sessions are looked up in the database")]
    pub(crate) async fn state(&self, _user: &User) -> Result<(Link, u32), ToolError> {
        Ok((Link::Absent, 0))
    }

    /// A token of the user's for Kroger, `purpose` (such as `to add to a cart`).
    #[expect(clippy::unused_async, reason = "it may have to be renewed")]
    pub(crate) async fn token(&self, who: &Who, purpose: &str) -> Result<Secret, ToolError> {
        who.user("a Kroger account")?;
        Err(ToolError::SignIn {
            problem: format!("sign in at Kroger {purpose}"),
            url: who.sign_in_url.clone(),
        })
    }

    /// Sends with `token`; one that Kroger refuses is renewed once.
    pub(crate) async fn retry_refused<T, F>(
        &self,
        who: &Who,
        token: Secret,
        send: impl Fn(Secret) -> F,
    ) -> Result<T, ToolError>
    where
        F: Future<Output = Result<T, Error>>,
    {
        match send(token).await {
            Err(error) if error.class() == Class::Authentication => {
                let token = self.token(who, "again").await?;
                Ok(send(token).await?)
            }
            other => Ok(other?),
        }
    }
}

/// The user behind a name that the gateway vouches for.
fn of_subject(subject: &str) -> Arc<str> {
    portico_kit::digest(format!("subject\0{subject}"))[..32].into()
}
