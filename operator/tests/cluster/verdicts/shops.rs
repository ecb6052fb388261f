//! Manifests of `ShopConnector`.

use serde_json::{Value, json};

fn of(spec: &Value) -> Value {
    json!({"apiVersion": "portico.dev/v1alpha1", "kind": "ShopConnector", "metadata": {"name": "a"}, "spec": spec})
}

fn on(platform: &Value) -> Value {
    of(&json!({"platform": platform, "servers": [{"name": "Storefront"}]}))
}

fn with(field: &str, value: &Value) -> Value {
    let mut manifest = on(&museo());
    manifest["spec"][field] = value.clone();
    manifest
}

fn secret() -> Value {
    json!({"secretRef": "a", "key": "b"})
}

fn museo() -> Value {
    json!({"museo": {"url": "http://api:8000", "serviceAccount": {"secretRef": "museo"}}})
}

fn shopify(field: &str, value: &Value) -> Value {
    let mut shop = json!({"shop": "example.myshopify.com"});
    shop[field] = value.clone();
    on(&json!({"shopify": shop}))
}

fn woocommerce(url: &str) -> Value {
    on(&json!({"woocommerce": {"url": url, "consumerKey": secret(), "consumerSecret": secret()}}))
}

fn magento(auth: &Value) -> Value {
    on(&json!({"magento": {"url": "https://shop.example", "auth": auth}}))
}

fn custom(auth: &Value, field: &str, value: &Value) -> Value {
    let mut products = json!({"path": "/items", "fields": {"id": "/id", "name": "/title"}});
    products[field] = value.clone();
    on(
        &json!({"custom": {"url": "https://erp.example/api", "auth": auth, "mapping": {"products": products}}}),
    )
}

fn products(field: &str, value: &Value) -> Value {
    custom(&json!({"none": {}}), field, value)
}

fn named(name: &str) -> Value {
    let mut manifest = on(&museo());
    manifest["metadata"]["name"] = json!(name);
    manifest
}

pub fn good() -> Vec<Value> {
    let flag = json!([{"name": "new_search", "state": "Enabled", "rolloutPercent": 10, "users": ["anna"],
        "roles": ["staff"], "environments": ["production"]}]);
    let role = json!([{"name": "staff", "permissions": ["Read", "WriteProducts"], "subjects": ["anna"]}]);
    vec![
        on(&museo()),
        shopify("accessToken", &secret()),
        shopify("clientCredentials", &json!({"secretRef": "app"})),
        woocommerce("https://shop.example"),
        woocommerce("http://127.0.0.1:9400"),
        magento(&json!({"integrationToken": secret()})),
        magento(&json!({"oauth1": {"secretRef": "a"}})),
        custom(&json!({"bearer": secret()}), "items", &json!("/data/items")),
        custom(&json!({"basic": {"secretRef": "a"}}), "items", &json!("")),
        custom(
            &json!({"header": {"name": "X-Api-Key", "secretRef": "a", "key": "b"}}),
            "method",
            &json!("POST"),
        ),
        products("paging", &json!({"page": {}})),
        products("paging", &json!({"cursor": {"parameter": "after", "nextPointer": "/next"}})),
        products("fields", &json!({"id": "/id", "name": "/a~1b", "price": "/prices/0"})),
        with("servers", &json!([{"name": "Admin", "replicas": 2}, {"name": "Intent"}])),
        with("featureFlags", &flag),
        with("roles", &role),
        with("locale", &json!("zh-Hant-TW")),
        with("currency", &json!("TRY")),
        with("environment", &json!("staging")),
        named(&"a".repeat(36)),
    ]
}

/// Manifests that a rule refuses, with words of its message.
pub fn against_rules() -> Vec<(Value, &'static str)> {
    let mut both = museo();
    both["shopify"] = json!({"shop": "a.myshopify.com", "accessToken": secret()});
    vec![
        (on(&json!({})), "`platform` must have exactly one of"),
        (on(&both), "`platform` must have exactly one of"),
        (shopify("webhookSecret", &secret()), "exactly one of `accessToken` and `clientCredentials`"),
        (woocommerce("http://shop.example"), "`url` must be an absolute URL with the scheme 'https'"),
        (magento(&json!({})), "exactly one of `integrationToken` and `oauth1`"),
        (custom(&json!({}), "path", &json!("/items")), "`auth` must have exactly one of"),
        (products("paging", &json!({})), "`paging` must have exactly one of"),
        (with("servers", &json!([{"name": "Admin", "env": [{"name": "A"}]}])), "exactly one of `value`"),
        (named(&"a".repeat(37)), "at most 36 characters"),
    ]
}

/// Manifests that the schema refuses; each verdict has words of its own for it.
pub fn against_the_schema() -> Vec<Value> {
    vec![
        of(&json!({"servers": [{"name": "Admin"}]})),
        of(&json!({"platform": museo()})),
        shopify("shop", &json!("shop.example")),
        shopify("apiVersion", &json!("2026-11")),
        custom(&json!({"none": {"secretRef": "a"}}), "path", &json!("/items")),
        products("items", &json!("data")),
        products("path", &json!("items")),
        products("fields", &json!({"id": "/id"})),
        with("servers", &json!([])),
        with("servers", &json!([{"name": "Admin"}, {"name": "Admin"}])),
        with("servers", &json!([{"name": "Payment"}])),
        with("servers", &json!([{"name": "Admin", "port": 80}])),
        with("featureFlags", &json!([{"name": "New", "state": "Enabled"}])),
        with("featureFlags", &json!([{"name": "a", "state": "On"}])),
        with("featureFlags", &json!([{"name": "a", "state": "Enabled", "rolloutPercent": 101}])),
        with("roles", &json!([{"name": "staff", "permissions": []}])),
        with("roles", &json!([{"name": "staff", "permissions": ["read"]}])),
        with("locale", &json!("en_GB")),
        with("currency", &json!("eur")),
    ]
}
