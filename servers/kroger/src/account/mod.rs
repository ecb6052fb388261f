//! Who uses the server, and for whom it may ask Kroger.

use std::sync::Arc;

use portico_kit::{Caller, tool::ToolError};
use sha2::{Digest as _, Sha256};

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

/// Users, their sessions and their tokens.
pub(crate) struct Accounts;

impl Accounts {
    /// Who calls.
    #[expect(clippy::unused_async, reason = "sessions are looked up in the database")]
    pub(crate) async fn who(&self, caller: &Caller) -> Result<Who, ToolError> {
        let user = caller.subject.as_deref().map(|subject| User { id: of_subject(subject) });
        Ok(Who { user, sign_in_url: None })
    }
}

/// The user behind a name that the gateway vouches for.
fn of_subject(subject: &str) -> Arc<str> {
    let digest = Sha256::new().chain_update("subject\0").chain_update(subject).finalize();
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect::<String>().into()
}
