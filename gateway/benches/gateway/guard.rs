//! What a gateway asks and writes down of every call where it is told to: access tokens, rules, quotas, the audit log and traces,
//! all at once.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::json;
use tokio::net::TcpListener;

use portico_gateway::trace::Settings;

use crate::Failed;

/// An authorization server with one key, which takes traces as well: prints its name, and a token.
pub async fn issuer() -> Result<(), Failed> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let name = format!("http://{}", listener.local_addr()?);
    let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| "no key can be made")?;
    let key = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).map_err(|_| "the key is unusable")?;
    let public = URL_SAFE_NO_PAD.encode(key.public_key());
    let keys = json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "kid": "k", "x": public }] }).to_string();
    let router = Router::new()
        .route("/keys", get(move || std::future::ready(keys.clone())))
        .route("/v1/traces", post(async |_: axum::body::Bytes| ()));
    tokio::spawn(axum::serve(listener, router).into_future());
    println!("{name}\n{}", token(&key, &name)?);
    Ok(())
}

fn token(key: &Ed25519KeyPair, issuer: &str) -> Result<String, Failed> {
    let until = SystemTime::now().duration_since(UNIX_EPOCH)? + Duration::from_hours(1);
    let claims = json!({ "iss": issuer, "sub": "load", "aud": AUDIENCE, "exp": until.as_secs(),
        "scope": "tools", "groups": ["tills", "managers"], "email": "load@example.com" });
    let part = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(&json!({ "alg": "EdDSA", "kid": "k" })), part(&claims));
    let signature = URL_SAFE_NO_PAD.encode(key.sign(signed.as_bytes()));
    Ok(format!("{signed}.{signature}"))
}

/// Exports every call, often enough that none is dropped for want of room.
pub fn tracing(collector: &str) -> Result<Settings, Failed> {
    let said = |name: &str| {
        let value = match name {
            "OTEL_EXPORTER_OTLP_ENDPOINT" => collector.to_owned(),
            "OTEL_BSP_SCHEDULE_DELAY" => "50".to_owned(),
            "OTEL_BSP_MAX_QUEUE_SIZE" => "20000".to_owned(),
            _ => return None,
        };
        Some(value)
    };
    Settings::from_variables(said)?.ok_or_else(|| "traces are off".into())
}

const AUDIENCE: &str = "http://127.0.0.1/mcp";

/// A configuration that uses all of it, and refuses none of the load's calls.
pub fn configuration(issuer: &str, audit: &str) -> String {
    format!(
        "auth: {{oauth: {{resource: '{AUDIENCE}', issuers: [{{issuer: '{issuer}', jwksUrl: '{issuer}/keys'}}], scopes: [tools]}}}}
access:
  default: Deny
  rules:
  - {{name: large, tools: ['s0_*'], when: 'arguments.bytes > 1000000', effect: Deny}}
  - {{name: tills, when: \"'tills' in principal.claims.groups\", effect: Allow}}
limits:
  argumentBytes: 65536
  quotas:
  - {{name: each, per: [Principal, Tool], calls: 1000000, seconds: 1}}
  - {{name: daily, per: [Principal], calls: 1000000000, every: Day}}
audit: {{file: '{audit}', arguments: Values}}
"
    )
}
