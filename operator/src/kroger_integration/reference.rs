//! Which other objects a `KrogerIntegration` names. Pure.

use portico_crds::{KrogerIntegrationSpec, kroger_integration::Storage};

use crate::{
    mcp_server::reference::variables,
    reference::{Kind, Reference},
};

/// What the URL of a database begins with. With anything else, nothing at all too, each pod would keep in its memory what customers
/// mean to be kept.
const POSTGRESQL: [&str; 2] = ["postgres://", "postgresql://"];
/// What the URL of a Redis begins with.
const REDIS: [&str; 4] = ["redis://", "rediss://", "valkey://", "valkeys://"];

/// Every place in a spec that names another object. The rendered server replaces its pods by itself when one changes.
#[must_use]
pub fn references(spec: &KrogerIntegrationSpec) -> Vec<Reference> {
    let (credentials, at) = (&spec.credentials, |field: &str| format!("spec.credentials.{field}"));
    let mut all = vec![
        secret(&credentials.secret_ref, &credentials.client_id_key, at("clientIdKey")),
        secret(&credentials.secret_ref, &credentials.client_secret_key, at("clientSecretKey")),
    ];
    all.extend(spec.storage.iter().flat_map(stored));
    let redis = spec.cache.iter().filter_map(|cache| cache.redis.as_ref());
    let redis = redis.map(|redis| secret(&redis.secret_ref, &redis.key, "spec.cache.redis".to_owned()));
    all.extend(redis.map(|reference| reference.beginning(&REDIS)));
    let sentry = spec.sentry.iter();
    all.extend(sentry.map(|sentry| secret(&sentry.secret_ref, &sentry.key, "spec.sentry".to_owned())));
    all.extend(spec.server.iter().flat_map(|server| variables("spec.server.env", &server.env)));
    all.into_iter().map(Reference::without_restart).collect()
}

fn stored(storage: &Storage) -> Vec<Reference> {
    let mut all = Vec::new();
    if let Some(claim) = storage.embedded.as_ref().and_then(|embedded| embedded.claim_ref.as_ref()) {
        all.push(Reference::new(Kind::Volume, claim, "spec.storage.embedded.claimRef"));
    }
    if let Some(database) = &storage.postgresql {
        let at = |field: &str| format!("spec.storage.postgresql.{field}");
        let url = |key: &str, field| secret(&database.secret_ref, key, at(field)).beginning(&POSTGRESQL);
        all.push(url(&database.key, "key"));
        all.extend(database.read_replica_key.iter().map(|key| url(key, "readReplicaKey")));
    }
    all
}

fn secret(name: &str, key: &str, field: String) -> Reference {
    Reference::new(Kind::Secret, name, field).key(key)
}
