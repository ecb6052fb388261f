//! An authorization server for tests: its metadata and keys over HTTP, and tokens signed with them. Its RSA key was made for
//! these tests alone and is no secret.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::routing::get;
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

/// A private key, and how its signatures are called.
pub enum Key {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

impl Key {
    pub fn rsa() -> Self {
        Self::Rsa(RsaKeyPair::from_pkcs8(include_bytes!("../fixtures/issuer-rsa.pkcs8.der")).unwrap())
    }

    pub fn p256() -> Self {
        let (random, kind) = (SystemRandom::new(), &ECDSA_P256_SHA256_FIXED_SIGNING);
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(kind, &random).unwrap();
        Self::P256(EcdsaKeyPair::from_pkcs8(kind, pkcs8.as_ref(), &random).unwrap())
    }

    pub fn ed() -> Self {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Self::Ed(Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap())
    }

    fn algorithm(&self) -> &'static str {
        match self {
            Self::Rsa(_) => "RS256",
            Self::P256(_) => "ES256",
            Self::Ed(_) => "EdDSA",
        }
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).unwrap();
                signature
            }
            Self::P256(key) => key.sign(&random, message).unwrap().as_ref().to_vec(),
            Self::Ed(key) => key.sign(message).as_ref().to_vec(),
        }
    }

    fn jwk(&self, kid: &str) -> Value {
        let mut jwk = match self {
            Self::Rsa(key) => {
                let parts: ring::rsa::PublicKeyComponents<Vec<u8>> = key.public().into();
                json!({"kty": "RSA", "n": text(&parts.n), "e": text(&parts.e)})
            }
            Self::P256(key) => {
                let point = key.public_key().as_ref();
                json!({"kty": "EC", "crv": "P-256", "x": text(&point[1..33]), "y": text(&point[33..])})
            }
            Self::Ed(key) => json!({"kty": "OKP", "crv": "Ed25519", "x": text(key.public_key().as_ref())}),
        };
        jwk["kid"] = kid.into();
        jwk["use"] = "sig".into();
        jwk
    }
}

fn text(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A token with this header and these claims.
pub fn token(key: &Key, header: &Value, claims: &Value) -> String {
    let signed = format!("{}.{}", text(header.to_string().as_bytes()), text(claims.to_string().as_bytes()));
    let signature = key.sign(signed.as_bytes());
    format!("{signed}.{}", text(&signature))
}

pub struct Issuer {
    address: SocketAddr,
    keys: Arc<Mutex<Vec<Value>>>,
    serving: AbortHandle,
}

impl Issuer {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let keys: Arc<Mutex<Vec<Value>>> = Arc::default();
        let (name, shown) = (format!("http://{address}"), Arc::clone(&keys));
        let metadata = json!({"issuer": name, "jwks_uri": format!("{name}/keys")});
        let router = Router::new()
            .route(
                "/.well-known/openid-configuration",
                get(move || std::future::ready(Json(metadata.clone()))),
            )
            .route("/keys", get(move || std::future::ready(Json(json!({"keys": *shown.lock().unwrap()})))));
        let serving = tokio::spawn(axum::serve(listener, router).into_future()).abort_handle();
        Self { address, keys, serving }
    }

    /// Its identifier.
    pub fn name(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on these are its keys.
    pub fn set_keys(&self, keys: &[(&str, &Key)]) {
        *self.keys.lock().unwrap() = keys.iter().map(|(kid, key)| key.jwk(kid)).collect();
    }

    /// Goes away.
    pub fn stop(&self) {
        self.serving.abort();
    }

    /// Claims of a good token.
    pub fn claims(&self) -> Value {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        json!({"iss": self.name(), "sub": "ada", "aud": RESOURCE, "exp": now + 600, "scope": "profile tools"})
    }

    /// A good token.
    pub fn token(&self, kid: &str, key: &Key) -> String {
        self.token_with(kid, key, |_| ())
    }

    /// A token whose claims are changed.
    pub fn token_with(&self, kid: &str, key: &Key, change: impl FnOnce(&mut Value)) -> String {
        let mut claims = self.claims();
        change(&mut claims);
        token(key, &json!({"alg": key.algorithm(), "kid": kid}), &claims)
    }
}

/// What tokens are for.
pub const RESOURCE: &str = "https://tools.example.com/mcp";
