//! Tells servers who asks, in a JSON Web Token that the gateway signs (RFC 7519): short-lived, and good for one server alone.

mod key;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use arc_swap::{ArcSwap, ArcSwapOption};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use serde_json::json;

use crate::config::identity::Identity as Configured;
use crate::source::ServerKey;
use key::Key;

/// The header that carries it.
pub(crate) const IDENTITY: HeaderName = HeaderName::from_static("portico-identity");
/// Seconds for which one is good.
const LIFE: u64 = 60;
/// Seconds for which one is shown again.
const FRESH: u64 = LIFE / 2;
/// The subject of what the gateway asks for itself.
const GATEWAY: &str = "gateway";
/// Assertions kept at a time; further ones are made for each request.
const MAX_KEPT: usize = 16_384;

/// The keys that sign and are published, the first of which signs.
#[derive(Debug)]
struct Keys {
    all: Vec<Key>,
    /// The JSON Web Key Set (RFC 7517) of them.
    set: Bytes,
}

impl Keys {
    fn new(all: Vec<Key>) -> Self {
        let set = json!({ "keys": all.iter().map(Key::public).collect::<Vec<_>>() });
        Self { all, set: set.to_string().into() }
    }

    /// Keys of `path`, or one that is made up.
    fn read(path: Option<&Path>) -> Result<Self, String> {
        match path {
            Some(path) => key::read(path).map(Self::new),
            None => key::random().map(|key| Self::new(vec![key])),
        }
    }
}

/// For whom, to which server.
type Pair = (Option<u128>, u64);

/// Signs as one configuration says.
#[derive(Debug)]
struct Signer {
    config: Configured,
    keys: ArcSwap<Keys>,
    /// What was signed lately, and when.
    made: Mutex<HashMap<Pair, (u64, HeaderValue)>>,
}

/// What a server is told, and what about.
pub(crate) struct Told<'a> {
    /// The name and the digest of who asks; nobody, where the gateway asks for itself.
    pub(crate) caller: Option<(&'a str, u128)>,
    pub(crate) server: &'a ServerKey,
    /// Unique to the server in this process.
    pub(crate) id: u64,
    pub(crate) remote: bool,
}

/// Tells servers who asks, if the configuration says so.
#[derive(Debug, Default)]
pub(crate) struct Identities(ArcSwapOption<Signer>);

impl Identities {
    /// Takes another configuration. Keys stay that can be, above all one that was made up.
    pub(crate) fn configure(&self, config: Option<&Configured>) {
        let Some(config) = config else { return self.0.store(None) };
        let before = self.0.load_full().filter(|signer| signer.config.keys == config.keys);
        let keys = match before {
            Some(before) => before.keys.load_full(),
            None => match Keys::read(config.keys.as_deref()) {
                Ok(keys) => Arc::new(keys),
                Err(error) => {
                    tracing::error!(%error, "the keys of `identity` cannot be used; servers are not told who asks");
                    Arc::new(Keys::new(Vec::new()))
                }
            },
        };
        let signer = Signer { config: config.clone(), keys: ArcSwap::new(keys), made: Mutex::default() };
        self.0.store(Some(Arc::new(signer)));
    }

    /// Reads the keys again; waits for the disk. Where they cannot be used those before stay.
    pub(crate) fn refresh(&self) {
        let Some(signer) = self.0.load_full() else { return };
        let Some(path) = signer.config.keys.as_deref() else { return };
        match Keys::read(Some(path)) {
            Ok(keys) if keys.set == signer.keys.load().set => {}
            Ok(keys) => {
                tracing::info!(keys = keys.all.len(), "the keys of `identity` have changed and are in use");
                signer.keys.store(Arc::new(keys));
                signer.lock().clear();
            }
            Err(error) => {
                tracing::debug!(%error, "the keys of `identity` cannot be used; those before stay");
            }
        }
    }

    /// The public keys, where servers are told at all.
    pub(crate) fn key_set(&self) -> Option<Bytes> {
        self.0.load().as_ref().map(|signer| signer.keys.load().set.clone())
    }

    /// What the server is told.
    pub(crate) fn tell(&self, told: &Told<'_>) -> Option<HeaderValue> {
        let signer = self.0.load();
        let signer = signer.as_ref().filter(|signer| signer.config.tells(told.server, told.remote))?;
        signer.assertion(told, now())
    }
}

impl Signer {
    fn assertion(&self, told: &Told<'_>, now: u64) -> Option<HeaderValue> {
        let pair = (told.caller.map(|(_, digest)| digest), told.id);
        let fresh = |made: u64| now.saturating_sub(made) < FRESH;
        if let Some((_, value)) = self.lock().get(&pair).filter(|(made, _)| fresh(*made)) {
            return Some(value.clone());
        }
        let mut value = HeaderValue::try_from(self.signed(told, now)?).ok()?;
        value.set_sensitive(true);
        let mut made = self.lock();
        if made.len() >= MAX_KEPT {
            made.retain(|_, (made, _)| fresh(*made));
        }
        if made.len() < MAX_KEPT {
            made.insert(pair, (now, value.clone()));
        }
        Some(value)
    }

    fn signed(&self, told: &Told<'_>, now: u64) -> Option<String> {
        let keys = self.keys.load();
        let key = keys.all.first()?;
        let header = json!({ "alg": key.algorithm(), "kid": key.id(), "typ": "JWT" });
        let claims = json!({
            "iss": self.config.issuer,
            "sub": told.caller.map_or(GATEWAY, |(name, _)| name),
            "aud": told.server.to_string(),
            "iat": now,
            "exp": now + LIFE,
            "jti": encoded(&rand::random::<[u8; 16]>()),
        });
        let text =
            format!("{}.{}", encoded(header.to_string().as_bytes()), encoded(claims.to_string().as_bytes()));
        let signature = key.sign(text.as_bytes())?;
        Some(format!("{text}.{}", encoded(&signature)))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Pair, (u64, HeaderValue)>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn encoded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer() -> Signer {
        let config: Configured =
            serde_json::from_value(json!({ "issuer": "https://tools.example.com" })).unwrap();
        let keys = Keys::read(None).unwrap();
        Signer { config, keys: ArcSwap::from_pointee(keys), made: Mutex::default() }
    }

    #[test]
    fn an_assertion_is_shown_again_for_half_its_life_to_one_server_for_one_caller() {
        let (signer, server) = (signer(), ServerKey { namespace: "shop".into(), name: "a".into() });
        let told = |caller, id| Told { caller: Some(caller), server: &server, id, remote: false };
        let at = |told: &Told<'_>, now| signer.assertion(told, now).unwrap();
        let first = at(&told(("key:ada", 1), 1), 1000);
        assert!(first.is_sensitive());
        assert_eq!(at(&told(("key:ada", 1), 1), 1029), first);
        assert_ne!(at(&told(("key:ada", 1), 1), 1030), first);
        assert_ne!(at(&told(("key:bob", 2), 1), 1000), first);
        assert_ne!(at(&told(("key:ada", 1), 2), 1000), first);
    }

    #[test]
    fn a_key_that_is_of_no_use_leaves_those_before() {
        let folder = tempfile::tempdir().unwrap();
        let pem = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";
        std::fs::write(folder.path().join("a.pem"), pem).unwrap();
        let config = json!({ "issuer": "https://tools.example.com", "keys": folder.path() });
        let config: Configured = serde_json::from_value(config).unwrap();
        let identities = Identities::default();
        identities.configure(Some(&config));
        let set = identities.key_set().unwrap();
        assert!(set.starts_with(br#"{"keys":[{"#), "{set:?}");
        std::fs::write(folder.path().join("b.pem"), "no key").unwrap();
        identities.refresh();
        identities.configure(Some(&config));
        assert_eq!(identities.key_set().unwrap(), set);
        identities.configure(None);
        assert_eq!(identities.key_set(), None);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let (signer, server) = (signer(), ServerKey { namespace: "shop".into(), name: "a".into() });
        let full = (0..MAX_KEPT).map(|id| ((None, id as u64), (1000, HeaderValue::from_static("a"))));
        signer.lock().extend(full);
        let told = Told { caller: Some(("key:ada", 1)), server: &server, id: 0, remote: false };
        assert!(signer.assertion(&told, 1000).is_some());
        assert_eq!(signer.lock().len(), MAX_KEPT);
        assert!(signer.assertion(&told, 1040).is_some());
        assert_eq!(signer.lock().len(), 1, "what is not fresh goes");
    }
}
