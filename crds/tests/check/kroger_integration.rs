//! Manifests of `KrogerIntegration`.

use portico_crds::KrogerIntegration;
use portico_crds::kroger_integration::{DailyRequests, Limits, SessionKeys};
use serde_json::{Value, json};

use crate::verdict::{accepted, refused};

fn integration(spec: &Value) -> Value {
    json!({"apiVersion": "portico.dev/v1alpha1", "kind": "KrogerIntegration", "metadata": {"name": "a"}, "spec": spec})
}

fn with(field: &str, value: &Value) -> Value {
    let mut spec = json!({"credentials": {"secretRef": "kroger"}});
    spec[field] = value.clone();
    integration(&spec)
}

fn full() -> Value {
    integration(&json!({
        "credentials": {"secretRef": "kroger", "clientIdKey": "id", "clientSecretKey": "secret"},
        "environment": "Custom",
        "baseUrl": "http://standin:9300",
        "defaultStore": {"locationId": "01400376"},
        "limits": {"requestsPerMinute": 30, "dailyRequests": {
            "products": 1, "locations": 2, "departments": 4, "cart": 5, "identity": 6}},
        "storage": {"postgresql": {"secretRef": "database", "key": "dsn", "readReplicaKey": "replica"}},
        "cache": {"redis": {"secretRef": "redis", "key": "address"}},
        "redirectUri": "https://shop.example/auth/callback",
        "rights": "Partner",
        "prices": "Record",
        "sessionKeys": {"rotateEveryDays": 90, "retainDays": 7},
        "logLevel": "Debug",
        "sentry": {"secretRef": "sentry", "key": "dsn"},
        "server": {"replicas": 3, "resources": {"limits": {"memory": "1Gi"}},
            "env": [{"name": "A", "value": "1"}], "tools": {"exclude": ["manage_cart"]}},
    }))
}

#[test]
fn credentials_are_all_an_integration_needs() {
    accepted(&integration(&json!({"credentials": {"secretRef": "kroger"}})));
    refused(&integration(&json!({})), "spec.credentials: is required");
    refused(&integration(&json!({"credentials": {}})), "spec.credentials.secretRef: is required");
}

#[test]
fn an_integration_with_every_field_survives_reading_and_writing() {
    accepted(&full());
    let read: KrogerIntegration = serde_json::from_value(full()).unwrap();
    assert_eq!(serde_json::to_value(read).unwrap(), full());
}

#[test]
fn what_the_spec_leaves_out_is_what_kroger_publishes() {
    let read: Limits = serde_json::from_value(json!({"dailyRequests": {}})).unwrap();
    assert_eq!(read, Limits { requests_per_minute: 60, daily_requests: Some(DailyRequests::default()) });
    let groups = serde_json::to_value(DailyRequests::default()).unwrap();
    let published = json!({"products": 10000, "locations": 1600, "departments": 1600,
        "cart": 5000, "identity": 5000});
    assert_eq!(groups, published);
    assert_eq!(serde_json::from_value::<SessionKeys>(json!({})).unwrap(), SessionKeys::default());
}

#[test]
fn a_base_url_goes_with_the_custom_environment_alone() {
    let at = |environment: &str, url: Option<&str>| {
        let mut manifest = with("environment", &json!(environment));
        if let Some(url) = url {
            manifest["spec"]["baseUrl"] = json!(url);
        }
        manifest
    };
    accepted(&at("Certification", None));
    accepted(&at("Custom", Some("https://kroger.example/api?tenant=1")));
    refused(&at("Custom", None), "`baseUrl` must be given with `environment: Custom`");
    refused(&at("Production", Some("https://kroger.example")), "`baseUrl` must be given with");
    refused(&with("baseUrl", &json!("https://kroger.example")), "`baseUrl` must be given with");
    for url in
        ["ftp://kroger.example", "kroger.example", "https://user:word@kroger.example", "https://a.example/#b"]
    {
        refused(&at("Custom", Some(url)), "`baseUrl` must be an absolute URL");
    }
}

#[test]
fn a_store_is_named_by_eight_characters() {
    accepted(&with("defaultStore", &json!({"locationId": "540FC001"})));
    refused(&with("defaultStore", &json!({"locationId": "0140037"})), "at least 8");
    refused(&with("defaultStore", &json!({"locationId": "014003761"})), "at most 8");
    refused(&with("defaultStore", &json!({"locationId": 1_400_376})), "text needs quotes");
}

#[test]
fn storage_and_cache_are_exactly_one_each() {
    accepted(&with("storage", &json!({"embedded": {}})));
    accepted(&with("cache", &json!({"memory": {"sizeMebibytes": 16}})));
    refused(&with("storage", &json!({})), "exactly one of `embedded` and `postgresql`");
    let both = json!({"embedded": {}, "postgresql": {"secretRef": "a"}});
    refused(&with("storage", &both), "exactly one of `embedded` and `postgresql`");
    refused(&with("cache", &json!({})), "exactly one of `memory` and `redis`");
    let both = json!({"memory": {}, "redis": {"secretRef": "a"}});
    refused(&with("cache", &both), "exactly one of `memory` and `redis`");
}

#[test]
fn nothing_is_said_of_a_claim_that_is_not_ours() {
    let embedded = |value: Value| with("storage", &json!({"embedded": value}));
    accepted(&embedded(json!({"size": "5Gi", "storageClassName": "fast", "whenDeleted": "Delete"})));
    accepted(&embedded(json!({"claimRef": "data"})));
    for (field, value) in
        [("size", json!("1Gi")), ("storageClassName", json!("fast")), ("whenDeleted", json!("Retain"))]
    {
        let mut claim = json!({"claimRef": "data"});
        claim[field] = value;
        refused(&embedded(claim), "with `claimRef` the claim is yours");
    }
}

#[test]
fn an_embedded_database_is_opened_by_one_pod() {
    let run = |replicas: i32, storage: Option<Value>| {
        let mut manifest = with("server", &json!({"replicas": replicas}));
        manifest["spec"]["storage"] = storage.unwrap_or_default();
        manifest
    };
    let database = json!({"postgresql": {"secretRef": "database"}});
    accepted(&run(0, None));
    accepted(&run(1, Some(json!({"embedded": {}}))));
    accepted(&run(5, Some(database)));
    accepted(&with("server", &json!({})));
    refused(&run(2, None), "`server.replicas` must be 0 or 1 with embedded storage");
    refused(&run(2, Some(json!({"embedded": {}}))), "`server.replicas` must be 0 or 1");
}

#[test]
fn a_sign_in_ends_at_https_or_on_this_machine() {
    for uri in [
        "https://shop.example/auth/callback",
        "http://localhost:9011/auth/callback",
        "http://127.0.0.1/auth/callback",
        "http://[::1]:9011/auth/callback",
    ] {
        accepted(&with("redirectUri", &json!(uri)));
    }
    for uri in [
        "http://shop.example/auth/callback",
        "http://localhost.example/auth/callback",
        "http://localhost@shop.example/auth/callback",
        "https://shop.example/auth#done",
        "shop.example/auth/callback",
    ] {
        refused(
            &with("redirectUri", &json!(uri)),
            "`redirectUri` must be an absolute URL with the scheme 'https'",
        );
    }
    refused(
        &with("redirectUri", &json!("https://shop.example/auth")),
        "`redirectUri` must end with '/auth/callback'",
    );
}

#[test]
fn limits_and_keys_have_bounds() {
    refused(&with("limits", &json!({"requestsPerMinute": 0})), "0 must be 1 or more");
    refused(&with("limits", &json!({"dailyRequests": {"products": -1}})), "-1 must be 0 or more");
    refused(&with("sessionKeys", &json!({"rotateEveryDays": 0})), "0 must be 1 or more");
    refused(&with("sessionKeys", &json!({"retainDays": 0})), "0 must be 1 or more");
    refused(&with("logLevel", &json!("debug")), "did you mean 'Debug'?");
}

#[test]
fn the_name_leaves_room_for_the_servers() {
    let named = |name: &str| {
        let mut manifest = with("logLevel", &json!("Info"));
        manifest["metadata"]["name"] = json!(name);
        manifest
    };
    let suffix = portico_crds::kroger_integration::SERVER_SUFFIX;
    accepted(&named(&"a".repeat(50 - suffix.len())));
    refused(&named(&"a".repeat(51 - suffix.len())), "at most 43 characters");
    refused(&named("1a"), "begin with a letter");
}

#[test]
fn the_rules_of_a_server_hold_for_what_is_overridden() {
    refused(&with("server", &json!({"env": [{"name": "A"}]})), "exactly one of `value` and `valueFrom`");
    refused(&with("server", &json!({"source": {}})), "spec.server.source: is not a field of this kind");
}
