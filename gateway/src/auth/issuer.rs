//! An authorization server's public keys: found through its metadata, kept, and asked for again when a token names one
//! that is not known, for servers change their keys.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{HeaderValue, Uri};
use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::{Jwk, JwkSet};
use serde::Deserialize;

use crate::backend::client::Http;
use crate::config::auth::Issuer as Configured;

/// Keys are asked for no more often than this: tokens with invented keys must not become requests to the server.
const PAUSE: Duration = Duration::from_secs(2);
/// Keys older than this are asked for again, so that withdrawn ones go.
const FRESH: Duration = Duration::from_mins(10);
/// Time for each request to the server.
const WITHIN: Duration = Duration::from_secs(5);
/// Keys of one server.
const MAX_KEYS: usize = 64;

/// One key, and its name.
type Named = (Option<String>, DecodingKey);

/// One authorization server.
#[derive(Debug)]
pub(super) struct Issuer {
    pub(super) name: String,
    jwks_url: Option<String>,
    http: Http,
    keys: ArcSwap<Vec<Named>>,
    asked: Mutex<Option<Instant>>,
    asking: tokio::sync::Mutex<()>,
}

#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: String,
    authorization_endpoint: Option<String>,
    token_endpoint: Option<String>,
}

impl Issuer {
    pub(super) fn new(config: &Configured, http: &Http) -> Arc<Self> {
        Arc::new(Self {
            name: config.issuer.clone(),
            jwks_url: config.jwks_url.clone(),
            http: http.clone(),
            keys: ArcSwap::default(),
            asked: Mutex::default(),
            asking: tokio::sync::Mutex::default(),
        })
    }

    /// The keys that may have signed a token whose header names `kid`.
    ///
    /// # Errors
    /// Why no key is known.
    pub(super) async fn keys(self: &Arc<Self>, kid: Option<&str>) -> Result<Vec<DecodingKey>, String> {
        if let Some(known) = self.known(kid) {
            if self.is_due(FRESH) {
                let issuer = Arc::clone(self);
                tokio::spawn(async move { issuer.ask(FRESH).await });
            }
            return Ok(known);
        }
        self.ask(PAUSE).await?;
        match self.known(kid) {
            Some(known) => Ok(known),
            // Somebody else asked a moment ago, in vain.
            None if self.keys.load().is_empty() => Err("the keys of its issuer are not known yet".into()),
            None => Ok(Vec::new()),
        }
    }

    fn known(&self, kid: Option<&str>) -> Option<Vec<DecodingKey>> {
        let keys = self.keys.load();
        let named = keys.iter().filter(|(name, _)| kid.is_none() || name.as_deref() == kid);
        let found: Vec<DecodingKey> = named.map(|(_, key)| key.clone()).collect();
        (!found.is_empty()).then_some(found)
    }

    fn is_due(&self, pause: Duration) -> bool {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.is_none_or(|asked| asked.elapsed() >= pause)
    }

    /// Asks for the keys unless that was done within `pause`; who comes meanwhile waits for the same answer. Without an
    /// answer the keys stay that are known.
    async fn ask(&self, pause: Duration) -> Result<(), String> {
        let _one_at_a_time = self.asking.lock().await;
        if !self.is_due(pause) {
            return Ok(());
        }
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        let set = self.set().await.inspect_err(|error| {
            tracing::warn!(issuer = %self.name, %error, "an issuer's keys cannot be had; those that are known stay");
        })?;
        self.keys.store(Arc::new(set.keys.iter().take(MAX_KEYS).filter_map(usable).collect()));
        Ok(())
    }

    async fn set(&self) -> Result<JwkSet, String> {
        let url = match &self.jwks_url {
            Some(url) => url.clone(),
            None => self.discover().await?.jwks_uri,
        };
        self.json(&url).await
    }

    /// Where browsers are asked, and where codes are exchanged.
    pub(super) async fn endpoints(&self) -> Result<(String, String), String> {
        let found = self.discover().await?;
        let both = found.authorization_endpoint.zip(found.token_endpoint);
        both.ok_or_else(|| format!("{} does not say where people sign in", self.name))
    }

    /// The answer to a form.
    pub(super) async fn form(
        &self,
        uri: &Uri,
        authorization: Option<HeaderValue>,
        form: String,
    ) -> Result<Bytes, String> {
        let sent = tokio::time::timeout(WITHIN, self.http.form_of_ours(uri, authorization, form)).await;
        let sent = sent.map_err(|_| "the token endpoint does not answer".to_owned())?;
        match sent.map_err(|fault| format!("the token endpoint {fault}"))? {
            (status, body) if status.is_success() => Ok(body),
            (status, _) => Err(format!("the token endpoint answered HTTP {}", status.as_u16())),
        }
    }

    /// Its metadata: `OpenID` Connect Discovery 1.0 section 4, then RFC 8414 section 3.
    async fn discover(&self) -> Result<Metadata, String> {
        let (base, path) = split(&self.name).ok_or("its name is not a URL")?;
        let places = [
            format!("{base}{path}/.well-known/openid-configuration"),
            format!("{base}/.well-known/oauth-authorization-server{path}"),
            format!("{base}/.well-known/openid-configuration{path}"),
        ];
        let mut last = String::new();
        for place in places {
            match self.json::<Metadata>(&place).await {
                // Another issuer's metadata would let that one speak for this one.
                Ok(found) if found.issuer == self.name => return Ok(found),
                Ok(found) => {
                    last = format!("{place} is the metadata of `{}`", crate::rpc::shortened(&found.issuer));
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn json<T: serde::de::DeserializeOwned>(&self, url: &str) -> Result<T, String> {
        let uri: Uri = url.parse().map_err(|error| format!("{url}: {error}"))?;
        let got = tokio::time::timeout(WITHIN, self.http.get(&uri)).await;
        let body =
            got.map_err(|_| format!("{url} does not answer"))?.map_err(|fault| format!("{url} {fault}"))?;
        serde_json::from_slice(&body).map_err(|error| format!("{url}: {error}"))
    }
}

/// Scheme and authority, and the path without its last slash.
pub(crate) fn split(issuer: &str) -> Option<(&str, &str)> {
    let after = issuer.find("://")? + 3;
    let path = issuer[after..].find('/').map_or(issuer.len(), |at| after + at);
    Some((&issuer[..path], issuer[path..].trim_end_matches('/')))
}

/// A key for signatures of a kind that is known.
fn usable(key: &Jwk) -> Option<Named> {
    use jsonwebtoken::jwk::PublicKeyUse;
    if key.common.public_key_use.as_ref().is_some_and(|use_| *use_ != PublicKeyUse::Signature) {
        return None;
    }
    Some((key.common.key_id.clone(), DecodingKey::from_jwk(key).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_is_split_before_its_path() {
        assert_eq!(split("https://id.example.com"), Some(("https://id.example.com", "")));
        assert_eq!(split("https://id.example.com/"), Some(("https://id.example.com", "")));
        assert_eq!(
            split("https://id.example.com/realms/shop"),
            Some(("https://id.example.com", "/realms/shop"))
        );
    }
}
