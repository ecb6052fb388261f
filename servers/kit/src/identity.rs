//! Who the gateway says is asking: the header `Portico-Identity`, a JSON Web Token (RFC 7519) that is good for this server alone.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use arc_swap::ArcSwap;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use reqwest::Url;
use ring::signature::{ECDSA_P256_SHA256_FIXED, ED25519, UnparsedPublicKey, VerificationAlgorithm};
use serde::Deserialize;
use tokio::{sync::Mutex, time::Instant};

use crate::{ConfigError, Environment};

/// The header that carries it.
pub const IDENTITY: &str = "portico-identity";
/// Seconds by which clocks may differ.
const SKEW: u64 = 30;
/// Longest token, longest key set, in bytes.
const MAX_TOKEN: usize = 8 * 1024;
const MAX_KEYS: usize = 64 * 1024;
/// Keys are read again for an unknown one, but not more often than this.
const PATIENCE: Duration = Duration::from_secs(10);
/// Keys are read again when they are as old as this, since one may have been taken out.
const OLD: Duration = Duration::from_mins(5);
/// The subject of what the gateway asks for itself.
const GATEWAY: &str = "gateway";

/// Why an assertion is not taken. Said to the caller as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is no token of the expected form.
    #[error("Portico-Identity is not a JSON Web Token signed with EdDSA or ES256")]
    Malformed,
    /// No key of that name is known, or none could be read.
    #[error("Portico-Identity is signed with a key that is not known here")]
    UnknownKey,
    /// The signature is not the key's.
    #[error("the signature of Portico-Identity is wrong")]
    Signature,
    /// It comes from elsewhere or is meant for another server.
    #[error("Portico-Identity is from another gateway or for another server")]
    Foreign,
    /// It is over, or not yet valid.
    #[error("Portico-Identity is not valid at this time; compare the clocks of gateway and server")]
    Time,
}

/// Where the gateway's keys are.
#[derive(Debug, Clone)]
enum Source {
    Url(Url),
    File(PathBuf),
}

/// Checks what the gateway says of its callers.
#[derive(Debug)]
pub struct Identities {
    issuer: String,
    audience: String,
    source: Source,
    keys: ArcSwap<HashMap<String, Key>>,
    read: Mutex<Option<Instant>>,
    http: reqwest::Client,
}

#[derive(Debug, Clone)]
struct Key {
    algorithm: &'static str,
    public: Vec<u8>,
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<JsonKey>,
}

#[derive(Deserialize)]
struct JsonKey {
    kid: Option<String>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: String,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: String,
    exp: u64,
    #[serde(default)]
    iat: u64,
}

impl Identities {
    /// From `PORTICO_IDENTITY_ISSUER` (the gateway's `identity.issuer`), `PORTICO_IDENTITY_AUDIENCE` (this server as `namespace/name`) and
    /// `PORTICO_IDENTITY_KEYS` (the gateway's key set: its address, or a file; by default below the issuer). `None` where no issuer
    /// is set: then the header is not looked at.
    pub fn from_env(environment: &Environment<'_>) -> Result<Option<Self>, ConfigError> {
        let Some(issuer) = environment.text("PORTICO_IDENTITY_ISSUER") else { return Ok(None) };
        let mend = "set this server's namespace and name, such as shop/groceries-kroger";
        let audience = environment.required("PORTICO_IDENTITY_AUDIENCE", mend)?;
        let default = format!("{}/.well-known/jwks.json", issuer.trim_end_matches('/'));
        let keys = environment.text("PORTICO_IDENTITY_KEYS").unwrap_or(default);
        let source = if keys.starts_with("http://") || keys.starts_with("https://") {
            let mend = "set the address of the gateway's /.well-known/jwks.json, or the path of a file with its content";
            let wrong = |error: &dyn std::fmt::Display| {
                ConfigError::new("PORTICO_IDENTITY_KEYS", error.to_string(), mend)
            };
            Source::Url(Url::parse(&keys).map_err(|error| wrong(&error))?)
        } else {
            Source::File(keys.into())
        };
        Ok(Some(Self::new(issuer, audience, source)))
    }

    fn new(issuer: String, audience: String, source: Source) -> Self {
        let http = reqwest::Client::builder()
            .timeout(Duration::from_secs(3))
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap_or_default();
        Self { issuer, audience, source, keys: ArcSwap::default(), read: Mutex::default(), http }
    }

    /// Who asks; `None` where the gateway asks for itself.
    pub async fn check(&self, token: &str) -> Result<Option<Arc<str>>, Refusal> {
        let (signed, signature) = token.rsplit_once('.').ok_or(Refusal::Malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(Refusal::Malformed)?;
        if token.len() > MAX_TOKEN {
            return Err(Refusal::Malformed);
        }
        let header: Header = part(header)?;
        let key = self.key(&header.kid).await.ok_or(Refusal::UnknownKey)?;
        if key.algorithm != header.alg {
            return Err(Refusal::Malformed);
        }
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| Refusal::Malformed)?;
        UnparsedPublicKey::new(verification(key.algorithm), &key.public)
            .verify(signed.as_bytes(), &signature)
            .map_err(|_| Refusal::Signature)?;
        self.judge(&part(claims)?, now())
    }

    fn judge(&self, claims: &Claims, now: u64) -> Result<Option<Arc<str>>, Refusal> {
        if claims.iss != self.issuer || claims.aud != self.audience || claims.sub.is_empty() {
            return Err(Refusal::Foreign);
        }
        if now > claims.exp.saturating_add(SKEW) || claims.iat > now.saturating_add(SKEW) {
            return Err(Refusal::Time);
        }
        Ok((claims.sub != GATEWAY).then(|| claims.sub.as_str().into()))
    }

    /// The key of that name. The key set is read again for one that is not known yet, and where it is old: a key that the gateway has taken
    /// out of it is good no more.
    async fn key(&self, id: &str) -> Option<Key> {
        let known = self.known(id);
        let mut read = match &known {
            None => self.read.lock().await,
            // One caller reads it again, and the others go on with what is known.
            Some(_) => match self.read.try_lock() {
                Ok(read) => read,
                Err(_) => return known,
            },
        };
        let patience = if self.known(id).is_some() { OLD } else { PATIENCE };
        if read.is_none_or(|at| at.elapsed() >= patience) {
            match self.fetch().await {
                Ok(keys) => self.keys.store(Arc::new(keys)),
                Err(problem) => {
                    tracing::warn!(%problem, "the gateway's keys cannot be read; its word is taken as far as they are known");
                }
            }
            *read = Some(Instant::now());
        }
        self.known(id)
    }

    fn known(&self, id: &str) -> Option<Key> {
        self.keys.load().get(id).cloned()
    }

    async fn fetch(&self) -> Result<HashMap<String, Key>, String> {
        let text = match &self.source {
            Source::File(path) => {
                tokio::fs::read(path).await.map_err(|error| format!("{}: {error}", path.display()))?
            }
            Source::Url(url) => {
                let answer =
                    self.http.get(url.clone()).send().await.and_then(reqwest::Response::error_for_status);
                let bytes = answer.map_err(|error| error.without_url().to_string())?.bytes().await;
                bytes.map_err(|error| error.without_url().to_string())?.to_vec()
            }
        };
        if text.len() > MAX_KEYS {
            return Err(format!("the key set is longer than {MAX_KEYS} bytes"));
        }
        let set: KeySet =
            serde_json::from_slice(&text).map_err(|error| format!("no key set (RFC 7517): {error}"))?;
        Ok(set.keys.into_iter().filter_map(read_key).collect())
    }
}

fn read_key(key: JsonKey) -> Option<(String, Key)> {
    let bytes = |text: &str| URL_SAFE_NO_PAD.decode(text).ok();
    let x = bytes(key.x.as_deref()?)?;
    let key_of = |algorithm, public| Key { algorithm, public };
    let found = match key.crv.as_deref()? {
        "Ed25519" => key_of("EdDSA", x),
        // An uncompressed point begins with 4.
        "P-256" => key_of("ES256", [vec![4], x, bytes(key.y.as_deref()?)?].concat()),
        _ => return None,
    };
    Some((key.kid?, found))
}

fn verification(algorithm: &str) -> &'static dyn VerificationAlgorithm {
    if algorithm == "EdDSA" { &ED25519 } else { &ECDSA_P256_SHA256_FIXED }
}

fn part<T: for<'de> Deserialize<'de>>(text: &str) -> Result<T, Refusal> {
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| Refusal::Malformed)?;
    serde_json::from_slice(&bytes).map_err(|_| Refusal::Malformed)
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use ring::{
        rand::SystemRandom,
        signature::{Ed25519KeyPair, KeyPair as _},
    };
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    struct Gateway {
        pair: Ed25519KeyPair,
        folder: tempfile::TempDir,
    }

    fn encoded(bytes: &[u8]) -> String {
        URL_SAFE_NO_PAD.encode(bytes)
    }

    impl Gateway {
        fn new() -> Self {
            rustls::crypto::ring::default_provider().install_default().ok();
            let der = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
            let gateway = Self {
                pair: Ed25519KeyPair::from_pkcs8(der.as_ref()).unwrap(),
                folder: tempfile::tempdir().unwrap(),
            };
            let set = json!({ "keys": [{ "kid": "one", "kty": "OKP", "crv": "Ed25519", "x": encoded(gateway.pair.public_key().as_ref()) }] });
            std::fs::write(gateway.folder.path().join("keys.json"), set.to_string()).unwrap();
            gateway
        }

        fn identities(&self) -> Identities {
            let source = Source::File(self.folder.path().join("keys.json"));
            Identities::new("https://gateway".to_owned(), "shop/kroger".to_owned(), source)
        }

        fn token(&self, header: &Value, claims: &Value) -> String {
            let text = format!(
                "{}.{}",
                encoded(header.to_string().as_bytes()),
                encoded(claims.to_string().as_bytes())
            );
            let signature = encoded(self.pair.sign(text.as_bytes()).as_ref());
            format!("{text}.{signature}")
        }
    }

    fn claims() -> Value {
        json!({ "iss": "https://gateway", "sub": "key:ada", "aud": "shop/kroger", "iat": now(), "exp": now() + 60 })
    }

    fn header() -> Value {
        json!({ "alg": "EdDSA", "kid": "one", "typ": "JWT" })
    }

    #[tokio::test]
    async fn the_gateways_word_is_taken() {
        let gateway = Gateway::new();
        let who = gateway.identities().check(&gateway.token(&header(), &claims())).await;
        assert_eq!(who.unwrap().as_deref(), Some("key:ada"));
        let mut own = claims();
        own["sub"] = json!("gateway");
        assert_eq!(gateway.identities().check(&gateway.token(&header(), &own)).await, Ok(None));
    }

    #[rstest]
    #[case::another_server("aud", json!("shop/other"), Refusal::Foreign)]
    #[case::another_gateway("iss", json!("https://other"), Refusal::Foreign)]
    #[case::over("exp", json!(now() - 60), Refusal::Time)]
    #[case::of_the_future("iat", json!(now() + 600), Refusal::Time)]
    #[case::nobody("sub", json!(""), Refusal::Foreign)]
    #[tokio::test]
    async fn what_is_not_for_us_now_is_refused(
        #[case] claim: &str,
        #[case] value: Value,
        #[case] refusal: Refusal,
    ) {
        let gateway = Gateway::new();
        let mut changed = claims();
        changed[claim] = value;
        assert_eq!(gateway.identities().check(&gateway.token(&header(), &changed)).await, Err(refusal));
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_that_the_gateway_has_taken_out_is_good_no_more() {
        let gateway = Gateway::new();
        let identities = gateway.identities();
        let token = gateway.token(&header(), &claims());
        assert!(identities.check(&token).await.is_ok());
        let file = gateway.folder.path().join("keys.json");
        std::fs::remove_file(&file).unwrap();
        tokio::time::advance(OLD).await;
        assert!(identities.check(&token).await.is_ok(), "what is known stays while the set cannot be read");
        std::fs::write(&file, json!({ "keys": [] }).to_string()).unwrap();
        assert!(identities.check(&token).await.is_ok(), "it was read a moment ago");
        tokio::time::advance(OLD).await;
        assert_eq!(identities.check(&token).await, Err(Refusal::UnknownKey));
    }

    #[tokio::test]
    async fn a_changed_token_another_algorithm_and_an_unknown_key_are_refused() {
        let gateway = Gateway::new();
        let identities = gateway.identities();
        let token = gateway.token(&header(), &claims());
        let (signed, _) = token.rsplit_once('.').unwrap();
        let other = Gateway::new().token(&header(), &claims());
        assert_eq!(identities.check(&other).await, Err(Refusal::Signature));
        assert_eq!(identities.check(&format!("{signed}.AAAA")).await, Err(Refusal::Signature));
        let none = gateway.token(&json!({ "alg": "none", "kid": "one" }), &claims());
        assert_eq!(identities.check(&none).await, Err(Refusal::Malformed));
        let unknown = gateway.token(&json!({ "alg": "EdDSA", "kid": "two" }), &claims());
        assert_eq!(identities.check(&unknown).await, Err(Refusal::UnknownKey));
        for text in ["", "a.b", "a.b.c", "....", &"x".repeat(10_000)] {
            assert_eq!(identities.check(text).await, Err(Refusal::Malformed), "{text}");
        }
    }
}
