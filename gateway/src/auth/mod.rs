//! Who asks: API keys for machines, and access tokens of an OAuth 2.1 authorization server for everybody else (MCP,
//! authorization; RFC 6750, RFC 9728). The gateway is a resource server; it gives out no tokens, and passes none on.

pub(crate) mod browser;
mod crypto;
mod issuer;
mod keys;
mod metadata;
mod token;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderMap, HeaderName};
use secrecy::SecretString;
use sha2::{Digest as _, Sha256};

use crate::backend::client::Http;
use crate::config::auth::Auth;
use crate::policy;

pub(crate) use issuer::split;
pub(crate) use metadata::challenge;

/// The header of clients that cannot set `Authorization`.
const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
/// Bytes of a key or token.
const MAX_CREDENTIAL: usize = 16 * 1024;

/// Somebody who may use the gateway.
#[derive(Debug, Clone)]
pub(crate) struct Principal {
    /// `anonymous`, `key:NAME` or `ISSUER#SUBJECT`.
    pub(crate) name: Arc<str>,
    /// A digest of the name, to bind sessions to; 0 for the anonymous one.
    pub(crate) id: u128,
    /// What the access token says; none without one.
    pub(crate) claims: Option<Arc<Claims>>,
    /// The access token of this request, where it came with one.
    pub(crate) token: Option<SecretString>,
}

/// What an access token says.
#[derive(Debug)]
pub(crate) struct Claims {
    /// All of it, as rules see it.
    pub(crate) value: cel::Value,
    scopes: Vec<String>,
    /// A digest of all that does not change from token to token.
    digest: u128,
}

impl Claims {
    /// Those in the JSON object `json`, with these scopes.
    pub(crate) fn read(
        json: &serde_json::Map<String, serde_json::Value>,
        scopes: Vec<String>,
    ) -> Option<Self> {
        let value = policy::parse_value(&serde_json::to_string(json).ok()?).ok()?;
        // In the order of their names, so that equal claims are equal.
        let lasting: BTreeMap<_, _> =
            json.iter().filter(|(name, _)| !PER_TOKEN.contains(&name.as_str())).collect();
        Some(Self { value, scopes, digest: digest(&serde_json::to_string(&lasting).ok()?) })
    }
}

/// Claims that every token has anew.
const PER_TOKEN: [&str; 5] = ["exp", "iat", "nbf", "jti", "auth_time"];

impl Principal {
    /// Who is called `name`, of whom a token says `claims`.
    pub(crate) fn named(name: &str, claims: Option<Claims>) -> Self {
        Self { name: name.into(), id: digest(name), claims: claims.map(Arc::new), token: None }
    }

    /// Nobody in particular.
    pub(crate) fn anonymous() -> Self {
        Self { name: "anonymous".into(), id: 0, claims: None, token: None }
    }

    /// How it is known who this is: `anonymous`, `key` or `token`.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.claims {
            Some(_) => "token",
            None if self.name.starts_with("key:") => "key",
            None => "anonymous",
        }
    }

    /// Whether the access token has the scope `name`.
    pub(crate) fn has_scope(&self, name: &str) -> bool {
        self.claims.as_ref().is_some_and(|claims| claims.scopes.iter().any(|scope| scope == name))
    }

    /// A digest of who this is and of all that their token says: two tokens of one subject need not be worth the same.
    pub(crate) fn facts(&self) -> u128 {
        self.id ^ self.claims.as_ref().map_or(0, |claims| claims.digest)
    }
}

/// 128 bits that stand for `text`.
fn digest(text: &str) -> u128 {
    let digest: [u8; 32] = Sha256::digest(text).into();
    digest.first_chunk::<16>().map_or(0, |bytes| u128::from_be_bytes(*bytes))
}

/// Why somebody may not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Denied {
    /// Nothing that could be checked.
    #[error("no credentials were given; send an access token or an API key as `Authorization: Bearer …`")]
    Missing,
    /// Something that is not right.
    #[error("the credentials are not accepted: {0}")]
    Invalid(String),
    /// A token that may too little.
    #[error("the token lacks the scopes `{0}`")]
    Scope(String),
    /// Nobody can say: the keys of its issuer cannot be had.
    #[error("the token cannot be checked now: {0}; try again later")]
    Unavailable(String),
}

impl Denied {
    /// Its name in metrics.
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Invalid(_) => "invalid",
            Self::Scope(_) => "insufficient_scope",
            Self::Unavailable(_) => "unavailable",
        }
    }
}

/// Checks requests as a configuration says.
#[derive(Debug, Default)]
pub(crate) struct Authenticator {
    config: Option<Auth>,
    keys: Option<keys::Keys>,
    tokens: Option<token::Tokens>,
    metadata: Option<Bytes>,
}

impl Authenticator {
    /// Checks by `config`; without one everybody is let in.
    pub(crate) fn new(config: Option<&Auth>, http: &Http) -> Self {
        let oauth = config.and_then(|config| config.oauth.as_ref());
        Self {
            keys: config.and_then(|config| config.api_keys.as_ref()).map(keys::Keys::new),
            tokens: oauth.map(|oauth| token::Tokens::new(oauth, http)),
            metadata: oauth.map(metadata::document),
            config: config.cloned(),
        }
    }

    /// Who sent a request with these headers.
    pub(crate) async fn principal(&self, headers: &HeaderMap) -> Result<Principal, Denied> {
        let Some(config) = &self.config else { return Ok(Principal::anonymous()) };
        let Some(credential) = credential(headers)? else {
            return if config.anonymous { Ok(Principal::anonymous()) } else { Err(Denied::Missing) };
        };
        if let Some(name) = self.keys.as_ref().and_then(|keys| keys.name(credential)) {
            return Ok(Principal::named(&format!("key:{name}"), None));
        }
        match &self.tokens {
            Some(tokens) => tokens.check(credential).await,
            None => Err(Denied::Invalid("there is no such API key".into())),
        }
    }

    /// Reads again what lies in files; waits for the disk.
    pub(crate) fn refresh(&self) {
        if let Some(keys) = &self.keys {
            keys.refresh();
        }
    }

    /// What it checks by.
    pub(crate) fn config(&self) -> Option<&Auth> {
        self.config.as_ref()
    }

    /// The document of RFC 9728, where tokens are taken.
    pub(crate) fn metadata(&self) -> Option<Bytes> {
        self.metadata.clone()
    }

    /// Where tokens are taken, and with which scopes.
    pub(crate) fn oauth(&self) -> Option<&crate::config::auth::OAuth> {
        self.config.as_ref()?.oauth.as_ref()
    }
}

/// The key or token in a request. Two of them would have to be judged by somebody.
fn credential(headers: &HeaderMap) -> Result<Option<&str>, Denied> {
    let mut all = headers.get_all(AUTHORIZATION).iter().chain(headers.get_all(API_KEY));
    let Some(value) = all.next() else { return Ok(None) };
    if all.next().is_some() {
        return Err(Denied::Invalid("more than one was given".into()));
    }
    let text = value.to_str().map_err(|_| Denied::Invalid("they are not ASCII".into()))?;
    let bearer = match (headers.contains_key(AUTHORIZATION), text.split_once(' ')) {
        (false, _) => Some(text),
        (true, Some((scheme, rest))) if scheme.eq_ignore_ascii_case("bearer") => Some(rest),
        _ => None,
    };
    let bearer = bearer.map(str::trim).filter(|text| !text.is_empty() && text.len() <= MAX_CREDENTIAL);
    bearer.map(Some).ok_or_else(|| Denied::Invalid("the scheme must be `Bearer`".into()))
}
