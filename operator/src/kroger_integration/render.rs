//! From a validated integration to the objects it should have. Pure; only the keyring's Secret depends on the time
//! and on chance, and both are given.

use k8s_openapi::{
    ByteString,
    api::core::v1::{PersistentVolumeClaim, PersistentVolumeClaimSpec, Secret, VolumeResourceRequirements},
    apimachinery::pkg::api::resource::Quantity,
};
use kube::ResourceExt as _;
use portico_crds::{
    McpServerSpec,
    kroger_integration::{
        DEFAULT_SIZE, DailyRequests, Embedded, Environment, Prices, Rights, SERVER_SUFFIX, Storage,
        WhenDeleted,
    },
    labels,
    mcp_server::{Access, BuiltinName, EnvVar, Exposed, HttpMethod, OnChange, PathType, SecretMount, Volume},
};

use super::{keyring::Keyring, validate::ValidatedIntegration};
use crate::{
    composite::{builtin, destination, override_with, plain, secret},
    rendered::RenderedServer,
};

/// Key of the Secret under which the keyring stands.
pub const KEYRING_KEY: &str = "keyring.json";
/// Directory in which servers find the keyring.
const KEYS_DIRECTORY: &str = "/etc/portico/keys";
/// Below it is everything of the sign-in.
const SIGN_IN: &str = "/auth";
/// Directory of embedded storage.
const DATA_DIRECTORY: &str = "/data";

/// Name of the rendered `McpServer`.
#[must_use]
pub fn server_name(integration: &str) -> String {
    format!("{integration}{SERVER_SUFFIX}")
}

/// Name of the Secret with the session keys.
#[must_use]
pub fn keys_name(integration: &str) -> String {
    format!("{integration}-kroger-keys")
}

/// Name of the claim that the operator makes.
#[must_use]
pub fn claim_name(integration: &str) -> String {
    format!("{integration}-kroger-data")
}

/// The server.
#[must_use]
pub fn server(integration: &ValidatedIntegration) -> RenderedServer {
    let owner = &integration.owner;
    RenderedServer::new(owner.server_meta(server_name(&owner.name)), &server_spec(integration))
}

/// The server's spec, the resource's own wishes last.
#[must_use]
pub fn server_spec(integration: &ValidatedIntegration) -> McpServerSpec {
    let mut spec = McpServerSpec {
        // One pod alone can open an embedded database, so nobody else may scale it.
        replicas: integration.storage.embedded.is_some().then_some(1),
        env: environment(integration),
        secret_mounts: vec![SecretMount {
            secret_ref: keys_name(&integration.owner.name),
            mount_path: KEYS_DIRECTORY.to_owned(),
            on_change: OnChange::Reread,
        }],
        volumes: integration.storage.embedded.iter().map(|e| volume(&integration.owner.name, e)).collect(),
        egress: vec![destination("kroger", base_url(integration))],
        expose: integration.spec.redirect_uri.iter().map(|_| sign_in()).collect(),
        ..builtin(BuiltinName::Kroger)
    };
    if let Some(overrides) = &integration.spec.server {
        override_with(&mut spec, overrides);
    }
    spec
}

/// The paths that a browser needs to sign in. They ask for no token of the gateway's, so no others are opened.
fn sign_in() -> Exposed {
    Exposed {
        path: SIGN_IN.to_owned(),
        kind: PathType::Prefix,
        methods: vec![HttpMethod::Get, HttpMethod::Post],
    }
}

fn base_url(integration: &ValidatedIntegration) -> &str {
    let spec = &integration.spec;
    let published = spec.environment.base_url().or(Environment::Production.base_url());
    spec.base_url.as_deref().or(published).unwrap_or_default()
}

fn environment(integration: &ValidatedIntegration) -> Vec<EnvVar> {
    let (spec, credentials) = (&integration.spec, &integration.spec.credentials);
    let limits = spec.limits.clone().unwrap_or_default();
    let mut all = vec![
        secret("KROGER_CLIENT_ID", &credentials.secret_ref, &credentials.client_id_key),
        secret("KROGER_CLIENT_SECRET", &credentials.secret_ref, &credentials.client_secret_key),
        plain("KROGER_BASE_URL", base_url(integration)),
        plain("KROGER_KEYRING_FILE", format!("{KEYS_DIRECTORY}/{KEYRING_KEY}")),
        plain("LOG_LEVEL", spec.log_level.as_str()),
        plain("MAX_REQUESTS_PER_MINUTE", limits.requests_per_minute.to_string()),
    ];
    all.extend(limits.daily_requests.iter().flat_map(daily));
    all.extend(spec.default_store.iter().map(|store| plain("KROGER_LOCATION_ID", &store.location_id)));
    all.extend((spec.rights == Rights::Partner).then(|| plain("KROGER_PARTNER", "true")));
    all.extend((spec.prices == Prices::Record).then(|| plain("KROGER_RECORD_PRICES", "true")));
    all.extend(spec.redirect_uri.iter().map(|uri| plain("KROGER_REDIRECT_URI", uri)));
    all.extend(stored(&integration.storage));
    all.extend(cached(integration));
    all.extend(spec.sentry.iter().map(|sentry| secret("SENTRY_DSN", &sentry.secret_ref, &sentry.key)));
    all
}

fn daily(limits: &DailyRequests) -> Vec<EnvVar> {
    let groups = [
        ("PRODUCTS", limits.products),
        ("LOCATIONS", limits.locations),
        ("DEPARTMENTS", limits.departments),
        ("CART", limits.cart),
        ("IDENTITY", limits.identity),
    ];
    groups.iter().map(|(group, most)| plain(&format!("KROGER_DAILY_{group}"), most.to_string())).collect()
}

fn stored(storage: &Storage) -> Vec<EnvVar> {
    let Some(database) = &storage.postgresql else {
        return vec![plain("DATABASE_URL", format!("sqlite:{DATA_DIRECTORY}/kroger.db"))];
    };
    let mut all = vec![secret("DATABASE_URL", &database.secret_ref, &database.key)];
    let replica = database.read_replica_key.iter();
    all.extend(replica.map(|key| secret("DATABASE_READ_URL", &database.secret_ref, key)));
    all
}

fn cached(integration: &ValidatedIntegration) -> Option<EnvVar> {
    let cache = integration.spec.cache.as_ref()?;
    let memory = || Some(plain("KROGER_CACHE_MEBIBYTES", cache.memory.as_ref()?.size_mebibytes.to_string()));
    let redis = cache.redis.as_ref();
    redis.map(|redis| secret("REDIS_URL", &redis.secret_ref, &redis.key)).or_else(memory)
}

fn volume(integration: &str, embedded: &Embedded) -> Volume {
    Volume {
        name: "data".to_owned(),
        mount_path: DATA_DIRECTORY.to_owned(),
        access: Access::ReadWrite,
        empty_dir: None,
        claim_ref: Some(embedded.claim_ref.clone().unwrap_or_else(|| claim_name(integration))),
        config_map_ref: None,
    }
}

/// The claim that the operator makes. One that is to be retained names no owner, so nothing collects it.
#[must_use]
pub fn claim(integration: &ValidatedIntegration) -> Option<PersistentVolumeClaim> {
    let (embedded, owner) = (integration.own_volume()?, &integration.owner);
    let name = claim_name(&owner.name);
    let metadata = match embedded.when_deleted.unwrap_or_default() {
        WhenDeleted::Retain => owner.lasting_meta(name),
        WhenDeleted::Delete => owner.meta(name),
    };
    let size = embedded.size.as_ref().map_or(DEFAULT_SIZE, |size| &size.0);
    let requests = [("storage".to_owned(), Quantity(size.to_owned()))].into();
    let spec = PersistentVolumeClaimSpec {
        access_modes: Some(vec!["ReadWriteOnce".to_owned()]),
        resources: Some(VolumeResourceRequirements { requests: Some(requests), limits: None }),
        storage_class_name: embedded.storage_class_name.clone(),
        ..PersistentVolumeClaimSpec::default()
    };
    Some(PersistentVolumeClaim { metadata, spec: Some(spec), status: None })
}

/// The Secret with a keyring that did not exist before. It names no owner and stays when the integration goes: without it nobody could read
/// what customers keep. A wish that came with the integration itself is answered.
#[must_use]
pub fn new_keys(integration: &ValidatedIntegration, keyring: &Keyring) -> Secret {
    let mut metadata = integration.owner.lasting_meta(keys_name(&integration.owner.name));
    metadata
        .annotations
        .get_or_insert_default()
        .extend(integration.rotate_keys.clone().into_iter().flat_map(answered));
    Secret { metadata, type_: Some("Opaque".to_owned()), data: Some(content(keyring)), ..Secret::default() }
}

/// The Secret `live` with another keyring, and the wish that led to it noted.
#[must_use]
pub fn rotated_keys(integration: &ValidatedIntegration, live: &Secret, keyring: &Keyring) -> Secret {
    let mut changed = live.clone();
    changed.data.get_or_insert_default().extend(content(keyring));
    changed.annotations_mut().extend(integration.rotate_keys.clone().into_iter().flat_map(answered));
    changed
}

/// Gives a Secret back the labels that somebody took from it, and one of an older version those of this one; says whether anything was
/// wrong. Owners are left as they are: to change them one would need the right to delete Secrets.
pub fn mend(integration: &ValidatedIntegration, live: &mut Secret) -> bool {
    let before = live.metadata.clone();
    let wanted = integration.owner.lasting_meta(String::new());
    // Once: whoever sets the old label after that means it.
    if !live.labels().contains_key(labels::LASTING_INSTANCE) {
        live.labels_mut().retain(|key, value| key != labels::INSTANCE || *value != integration.owner.name);
    }
    live.labels_mut().extend(wanted.labels.into_iter().flatten());
    for (key, value) in wanted.annotations.into_iter().flatten() {
        live.annotations_mut().entry(key).or_insert(value);
    }
    live.metadata != before
}

fn content(keyring: &Keyring) -> std::collections::BTreeMap<String, ByteString> {
    [(KEYRING_KEY.to_owned(), ByteString(keyring.write().into_bytes()))].into()
}

fn answered(value: String) -> std::collections::BTreeMap<String, String> {
    [(labels::ROTATED_FOR.to_owned(), value)].into()
}
