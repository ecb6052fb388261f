//! Manifests of `KrogerIntegration`.

use serde_json::{Value, json};

fn with(field: &str, value: &Value) -> Value {
    let mut spec = json!({"credentials": {"secretRef": "kroger"}});
    spec[field] = value.clone();
    of(&spec)
}

fn of(spec: &Value) -> Value {
    json!({"apiVersion": "portico.dev/v1alpha1", "kind": "KrogerIntegration", "metadata": {"name": "a"}, "spec": spec})
}

fn custom(url: &str) -> Value {
    of(&json!({"credentials": {"secretRef": "kroger"}, "environment": "Custom", "baseUrl": url}))
}

fn named(name: &str) -> Value {
    let mut manifest = with("logLevel", &json!("Info"));
    manifest["metadata"]["name"] = json!(name);
    manifest
}

pub fn good() -> Vec<Value> {
    vec![
        of(&json!({"credentials": {"secretRef": "kroger", "clientIdKey": "a", "clientSecretKey": "b"}})),
        custom("http://standin:9300/api?tenant=1"),
        with("environment", &json!("Certification")),
        with("defaultStore", &json!({"locationId": "01400376"})),
        with("limits", &json!({"requestsPerMinute": 1, "dailyRequests": {"products": 0}})),
        with(
            "storage",
            &json!({"embedded": {"size": "5Gi", "storageClassName": "fast", "whenDeleted": "Delete"}}),
        ),
        with("storage", &json!({"embedded": {"claimRef": "data"}})),
        with("storage", &json!({"postgresql": {"secretRef": "a", "readReplicaKey": "b"}})),
        with("cache", &json!({"memory": {"sizeMebibytes": 1}})),
        with("cache", &json!({"redis": {"secretRef": "a"}})),
        with("redirectUri", &json!("https://shop.example/auth/callback")),
        with("redirectUri", &json!("http://[::1]:9011/auth/callback")),
        with("sessionKeys", &json!({"rotateEveryDays": 1, "retainDays": 3650})),
        with("sentry", &json!({"secretRef": "a", "key": "dsn"})),
        with(
            "server",
            &json!({"replicas": 1, "env": [{"name": "A", "value": "1"}], "podTemplate": {"a": [1]}}),
        ),
        with("storage", &Value::Null),
        named(&"a".repeat(43)),
    ]
}

/// Manifests that a rule refuses, with words of its message.
pub fn against_rules() -> Vec<(Value, &'static str)> {
    vec![
        (with("environment", &json!("Custom")), "`baseUrl` must be given with `environment: Custom`"),
        (with("baseUrl", &json!("https://kroger.example")), "`baseUrl` must be given with"),
        (custom("ftp://kroger.example"), "`baseUrl` must be an absolute URL"),
        (custom("https://user:word@kroger.example"), "`baseUrl` must be an absolute URL"),
        (with("storage", &json!({})), "exactly one of `embedded` and `postgresql`"),
        (
            with("storage", &json!({"embedded": {"claimRef": "a", "size": "1Gi"}})),
            "with `claimRef` the claim is yours",
        ),
        (with("cache", &json!({})), "exactly one of `memory` and `redis`"),
        (with("redirectUri", &json!("http://shop.example/auth")), "`redirectUri` must be an absolute URL"),
        (
            with("redirectUri", &json!("https://shop.example/auth#done")),
            "`redirectUri` must be an absolute URL",
        ),
        (with("server", &json!({"replicas": 2})), "`server.replicas` must be 0 or 1 with embedded storage"),
        (with("server", &json!({"env": [{"name": "A"}]})), "exactly one of `value` and `valueFrom`"),
        (named(&"a".repeat(44)), "at most 43 characters"),
        (named("1a"), "begin with a letter"),
    ]
}

/// Manifests that the schema refuses; each verdict has words of its own for it.
pub fn against_the_schema() -> Vec<Value> {
    vec![
        of(&json!({})),
        of(&json!({"credentials": {}})),
        with("environment", &json!("production")),
        with("defaultStore", &json!({"locationId": "0140037"})),
        with("defaultStore", &json!({"locationId": 1_400_376})),
        with("limits", &json!({"requestsPerMinute": 0})),
        with("limits", &json!({"dailyRequests": {"products": -1}})),
        with("sessionKeys", &json!({"rotateEveryDays": 0})),
        with("sessionKeys", &json!({"retainDays": 3651})),
        with("storage", &json!({"embedded": {"size": "lots"}})),
        with("storage", &json!({"embedded": {"whenDeleted": "Keep"}})),
        with("logLevel", &json!("debug")),
        with("sentry", &json!({"secretRef": "a"})),
        with("server", &json!({"source": {}})),
        with("store", &json!({})),
    ]
}
