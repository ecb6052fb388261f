//! What the gateway shows a server to prove who it is (`spec.upstreamAuth`). It belongs to the server's endpoints and is
//! sent to no other address: redirects are not followed, and paths that are exposed to clients get none.

mod discovery;
mod endpoint;
mod held;
mod tokens;
pub(crate) mod user;

use std::sync::Arc;

use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use portico_crds::mcp_server::{OwnRequests, UpstreamAuth, UpstreamHeader};
use secrecy::ExposeSecret as _;

use super::client::Http;
use super::fault::Fault;
use crate::auth::Principal;
use crate::source::ServerKey;

use endpoint::TokenEndpoint;
use held::Held;
use tokens::Tokens;
use user::{Begun, Returned, Users};

/// Whose an endpoint is, and what is shown to it.
#[derive(Debug)]
pub(crate) struct Owner {
    /// Unique in this process.
    pub(crate) id: u64,
    pub(crate) key: ServerKey,
    spec: Option<UpstreamAuth>,
    auth: Option<Auth>,
}

#[derive(Debug)]
enum Auth {
    /// A secret in a header.
    Header { name: HeaderName, prefix: String, secret: Arc<Held> },
    /// A token of the gateway's own for everybody.
    Own(Arc<TokenEndpoint>, Tokens),
    /// A token for each caller; what belongs to no caller is asked for as the last part says.
    Exchanged(Arc<TokenEndpoint>, Tokens, OwnRequests),
    /// A token that each caller gets by signing in.
    Users(Arc<Users>),
    /// The schema lets nothing of this kind through.
    Unusable(String),
}

/// A header that proves who the gateway is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Shown {
    pub(crate) name: HeaderName,
    pub(crate) value: HeaderValue,
}

/// Who asks; nobody, where the gateway asks for itself.
pub(crate) type Caller = Option<Arc<Principal>>;

impl Owner {
    /// The server `key`, to which is shown what `spec` says.
    pub(crate) fn new(key: &ServerKey, spec: Option<&UpstreamAuth>) -> Self {
        Self {
            id: super::next_id(),
            key: key.clone(),
            auth: spec.map(|spec| Auth::new(key, spec)),
            spec: spec.cloned(),
        }
    }

    /// Whether it is shown what `spec` says.
    pub(crate) fn has(&self, spec: Option<&UpstreamAuth>) -> bool {
        self.spec.as_ref() == spec
    }

    /// What is shown with a request of `caller`; `None` where nothing is.
    ///
    /// # Errors
    /// When it should be shown something that cannot be had.
    pub(crate) async fn show(&self, http: &Http, caller: &Caller) -> Result<Option<Shown>, Fault> {
        match &self.auth {
            None => Ok(None),
            Some(auth) => auth.show(http, caller).await,
        }
    }

    /// What is shown in place of `refused`, which the server does not take; `None` where there is nothing else.
    ///
    /// # Errors
    /// When it cannot be had.
    pub(crate) async fn show_other(
        &self,
        http: &Http,
        caller: &Caller,
        refused: &Shown,
    ) -> Result<Option<Shown>, Fault> {
        match &self.auth {
            Some(Auth::Header { secret, .. }) => secret.doubt(http).await?,
            Some(Auth::Own(_, tokens) | Auth::Exchanged(_, tokens, _)) => {
                tokens.reject(worth(self.auth.as_ref(), caller), &refused.value);
            }
            Some(Auth::Users(users)) => users.reject(caller.as_deref(), &refused.value),
            Some(Auth::Unusable(_)) | None => return Ok(None),
        }
        Ok(self.show(http, caller).await?.filter(|other| other != refused))
    }
}

impl Owner {
    /// Whether its callers sign in.
    pub(crate) fn has_users(&self) -> bool {
        matches!(self.auth, Some(Auth::Users(_)))
    }

    /// Begins to sign somebody in to the server at `server`, by way of the gateway at `public_url`.
    ///
    /// # Errors
    /// When its authorization server cannot be found or used.
    pub(crate) async fn begin(&self, http: &Http, server: &str, public_url: &str) -> Result<Begun, Fault> {
        match &self.auth {
            Some(Auth::Users(users)) => users.begin(http, server, public_url).await,
            _ => Err(Fault::SignIn),
        }
    }

    /// Takes up whoever has signed in and came back.
    ///
    /// # Errors
    /// When the authorization server gives no token for that.
    pub(crate) async fn finish(
        &self,
        http: &Http,
        places: (&str, &str),
        returned: &Returned<'_>,
    ) -> Result<(), Fault> {
        match &self.auth {
            Some(Auth::Users(users)) => users.finish(http, places, returned).await,
            _ => Err(Fault::SignIn),
        }
    }
}

/// Under what a caller's token is kept: everybody has the same, or whoever's own token is worth the same.
fn worth(auth: Option<&Auth>, caller: &Caller) -> Option<u128> {
    let Some(Auth::Exchanged(..)) = auth else { return None };
    caller.as_ref().filter(|caller| caller.token.is_some()).map(|caller| caller.facts())
}

impl Auth {
    fn new(key: &ServerKey, spec: &UpstreamAuth) -> Self {
        if let Some(header) = &spec.header {
            return Self::header(key, header);
        }
        if let Some(user) = &spec.authorization_code {
            return Self::Users(Users::new(key, user));
        }
        let made = match (&spec.client_credentials, &spec.token_exchange) {
            (Some(client), _) => {
                TokenEndpoint::of_client(key, client).map(|endpoint| Self::Own(endpoint, Tokens::new(key)))
            }
            (None, Some(exchange)) => TokenEndpoint::of_exchange(key, exchange)
                .map(|endpoint| Self::Exchanged(endpoint, Tokens::new(key), exchange.own_requests)),
            (None, None) => Err("spec.upstreamAuth: has no known member".to_owned()),
        };
        made.unwrap_or_else(Self::Unusable)
    }

    fn header(key: &ServerKey, header: &UpstreamHeader) -> Self {
        match header.name.parse() {
            Ok(name) => Self::Header {
                name,
                prefix: header.prefix.clone().unwrap_or_default(),
                secret: Held::new(key, "header.secretKeyRef", &header.secret_key_ref),
            },
            Err(_) => Self::Unusable("spec.upstreamAuth.header.name: is not the name of a header".into()),
        }
    }

    async fn show(&self, http: &Http, caller: &Caller) -> Result<Option<Shown>, Fault> {
        let value = match self {
            Self::Header { name, prefix, secret } => {
                let text = secret.value(http).await?;
                let value = sensitive(&format!("{prefix}{}", text.expose_secret().trim()));
                let value = value.ok_or_else(|| secret.fault("has characters that no header may have"))?;
                return Ok(Some(Shown { name: name.clone(), value }));
            }
            Self::Own(endpoint, tokens) => own(http, endpoint, tokens).await?,
            Self::Exchanged(endpoint, tokens, own_requests) => match (caller, own_requests) {
                (Some(caller), _) => exchanged(http, (endpoint, tokens), caller).await?,
                (None, OwnRequests::ClientCredentials) => own(http, endpoint, tokens).await?,
                (None, OwnRequests::Anonymous) => return Ok(None),
            },
            Self::Users(users) => match users.token(http, caller.as_deref()).await? {
                Some(value) => value,
                None => return Ok(None),
            },
            Self::Unusable(reason) => return Err(Fault::Credential(reason.clone())),
        };
        Ok(Some(Shown { name: AUTHORIZATION, value }))
    }
}

async fn own(http: &Http, endpoint: &Arc<TokenEndpoint>, tokens: &Tokens) -> Result<HeaderValue, Fault> {
    let (endpoint, http) = (Arc::clone(endpoint), http.clone());
    tokens.get(None, move || Box::pin(async move { endpoint.own(&http).await })).await
}

async fn exchanged(
    http: &Http,
    (endpoint, tokens): (&Arc<TokenEndpoint>, &Tokens),
    caller: &Principal,
) -> Result<HeaderValue, Fault> {
    let token = caller.token.as_ref().ok_or(Fault::NoToken)?;
    let (endpoint, http, subject) = (Arc::clone(endpoint), http.clone(), token.clone());
    let ask = move || Box::pin(async move { endpoint.exchanged(&http, &subject).await }) as _;
    tokens.get(Some(caller.facts()), ask).await
}

/// A header's value that nothing prints.
fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}
