//! Access tokens that are JSON Web Tokens (RFC 9068): signature, issuer, audience, time and scopes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::crypto::{self, ALGORITHMS};
use super::issuer::Issuer;
use super::{Claims, Denied, Principal};
use crate::backend::client::Http;
use crate::config::auth::OAuth;

/// Seconds that clocks may differ by.
const LEEWAY: u64 = 30;
/// Tokens whose check is remembered, and the longest that one is, in seconds: a token that was withdrawn is then asked
/// about again.
const MAX_REMEMBERED: usize = 16_384;
const REMEMBERED_FOR: u64 = 60;

/// Checks tokens.
#[derive(Debug)]
pub(super) struct Tokens {
    issuers: Vec<Arc<Issuer>>,
    audiences: Vec<String>,
    scopes: Vec<String>,
    /// By the digest of a token: until when it is good, and whose it is.
    remembered: Mutex<HashMap<[u8; 32], (u64, Principal)>>,
}

#[derive(Deserialize)]
struct Verified {
    iss: String,
    sub: String,
    exp: u64,
    /// Several in one text (RFC 8693 section 4.2).
    #[serde(default)]
    scope: String,
    /// The same as some servers write it.
    #[serde(default)]
    scp: Vec<String>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

impl Verified {
    fn scopes(&self) -> Vec<String> {
        let listed = self.scope.split(' ').filter(|scope| !scope.is_empty()).map(str::to_owned);
        listed.chain(self.scp.iter().cloned()).collect()
    }

    fn principal(mut self) -> Option<Principal> {
        let scopes = self.scopes();
        let name = format!("{}#{}", self.iss, self.sub);
        self.others.insert("iss".into(), self.iss.into());
        self.others.insert("sub".into(), self.sub.into());
        self.others.insert("scope".into(), scopes.join(" ").into());
        Some(Principal::named(&name, Some(Claims::read(&self.others, scopes)?)))
    }
}

/// What an ID token says.
#[derive(Deserialize)]
struct Identity {
    iss: String,
    sub: String,
    nonce: String,
}

/// What a token says of its issuer, before anything of it is believed.
#[derive(Deserialize)]
struct Unproven {
    iss: String,
}

impl Tokens {
    pub(super) fn new(config: &OAuth, http: &Http) -> Self {
        crypto::install();
        Self {
            issuers: config.issuers.iter().map(|issuer| Issuer::new(issuer, http)).collect(),
            audiences: config.audiences(),
            scopes: config.scopes.clone(),
            remembered: Mutex::default(),
        }
    }

    /// Whose `token` is.
    pub(super) async fn check(&self, token: &str) -> Result<Principal, Denied> {
        let (digest, now): ([u8; 32], u64) = (Sha256::digest(token).into(), now());
        let with_token = |principal| Principal { token: Some(token.into()), ..principal };
        if let Some(principal) = self.recall(&digest, now) {
            return Ok(with_token(principal));
        }
        let claims: Verified = self.verified(token, &self.audiences).await?;
        let (own, until) = (claims.scopes(), claims.exp.min(now + REMEMBERED_FOR));
        if !self.scopes.iter().all(|scope| own.contains(scope)) {
            return Err(Denied::Scope(self.scopes.join(" ")));
        }
        let unreadable = || Denied::Invalid("its claims cannot be read".into());
        let principal = claims.principal().ok_or_else(unreadable)?;
        self.remember(digest, (until, principal.clone()), now);
        Ok(with_token(principal))
    }

    /// The issuer called `name`.
    pub(super) fn issuer(&self, name: &str) -> Option<&Arc<Issuer>> {
        self.issuers.iter().find(|issuer| issuer.name == name)
    }

    /// The name of whom the ID token of `issuer` for `client` speaks, which was asked for with `nonce` (`OpenID` Connect Core
    /// section 3.1.3.7).
    pub(super) async fn identity(
        &self,
        token: &str,
        (issuer, client): (&str, &str),
        nonce: &str,
    ) -> Result<String, Denied> {
        let claims: Identity = self.verified(token, &[client.to_owned()]).await?;
        if claims.iss != issuer || claims.nonce != nonce {
            return Err(Denied::Invalid("it is the answer to something else".into()));
        }
        Ok(format!("{}#{}", claims.iss, claims.sub))
    }

    async fn verified<T: DeserializeOwned>(&self, token: &str, audiences: &[String]) -> Result<T, Denied> {
        let invalid = |error: jsonwebtoken::errors::Error| Denied::Invalid(reason(&error));
        let header = decode_header(token).map_err(invalid)?;
        if !ALGORITHMS.contains(&header.alg) {
            return Err(Denied::Invalid(format!("algorithm {:?} is not taken", header.alg)));
        }
        let unproven: Unproven = jsonwebtoken::dangerous::insecure_decode_claims(token).map_err(invalid)?;
        let issuer = self.issuers.iter().find(|issuer| issuer.name == unproven.iss);
        let issuer = issuer
            .ok_or_else(|| Denied::Invalid("its issuer is not one of those that are accepted".into()))?;
        let keys = issuer.keys(header.kid.as_deref()).await.map_err(Denied::Unavailable)?;
        let validation = validation(header.alg, &issuer.name, audiences);
        let mut last = Denied::Invalid("it is signed with a key that its issuer does not have".into());
        for key in keys.iter().filter(|key| fits(key, header.alg)) {
            match decode::<T>(token, key, &validation) {
                Ok(found) => return Ok(found.claims),
                Err(error) => last = invalid(error),
            }
        }
        Err(last)
    }

    fn recall(&self, digest: &[u8; 32], now: u64) -> Option<Principal> {
        let remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        remembered.get(digest).filter(|(until, _)| now < *until).map(|(_, principal)| principal.clone())
    }

    fn remember(&self, digest: [u8; 32], entry: (u64, Principal), now: u64) {
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= MAX_REMEMBERED {
            remembered.retain(|_, (until, _)| now < *until);
        }
        if remembered.len() < MAX_REMEMBERED {
            remembered.insert(digest, entry);
        }
    }
}

fn validation(algorithm: Algorithm, issuer: &str, audiences: &[String]) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.leeway = LEEWAY;
    validation.validate_nbf = true;
    validation.set_issuer(&[issuer]);
    validation.set_audience(audiences);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    validation
}

/// A key of one family says nothing of a signature of another.
fn fits(key: &DecodingKey, algorithm: Algorithm) -> bool {
    key.family() == algorithm.family()
}

/// What is wrong, without what stands in the token.
fn reason(error: &jsonwebtoken::errors::Error) -> String {
    use jsonwebtoken::errors::ErrorKind;
    let known = match error.kind() {
        ErrorKind::ExpiredSignature => "it has expired",
        ErrorKind::ImmatureSignature => "it is not valid yet",
        ErrorKind::InvalidAudience => "it is for another audience",
        ErrorKind::InvalidIssuer => "it is of another issuer",
        ErrorKind::InvalidSignature => "its signature is wrong",
        ErrorKind::MissingRequiredClaim(claim) => return format!("it lacks the claim `{claim}`"),
        _ => "it is neither a known API key nor a JSON Web Token",
    };
    known.to_owned()
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
