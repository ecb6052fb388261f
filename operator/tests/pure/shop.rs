//! `ShopConnector`: what is rendered, and what the status says.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::jiff::Timestamp;
use portico_crds::ShopConnector;
use portico_crds::check::check;
use portico_operator::kind::{Outcome, Refusal};
use portico_operator::reference::{Content, Kind, References};
use portico_operator::rendered::RenderedServer;
use portico_operator::shop_connector::reference::{credentials, references};
use portico_operator::shop_connector::render::servers;
use portico_operator::shop_connector::status::{Applied, status};
use portico_operator::shop_connector::validate::{ValidatedShop, validate as validated};
use rstest::rstest;
use serde_json::{Value, json};

use super::content;

fn shop(spec: &Value) -> ShopConnector {
    serde_json::from_value(json!({
        "apiVersion": "portico.dev/v1alpha1", "kind": "ShopConnector",
        "metadata": {"name": "shop", "namespace": "store", "uid": "uid-1", "generation": 3},
        "spec": spec,
    }))
    .unwrap()
}

/// Every Secret that is asked for exists.
fn found(shop: &ShopConnector) -> References {
    let all = references(&shop.spec);
    let mut found: BTreeMap<(Kind, String), Content> = BTreeMap::new();
    for one in &all {
        let key = one.key.clone().unwrap_or_default();
        found.entry((one.kind, one.name.clone())).or_default().extend(content(&[(&key, "x")]));
    }
    References::resolve(all, &found)
}

fn validate(spec: &Value) -> Result<ValidatedShop, Refusal> {
    let shop = shop(spec);
    validated(&shop, &found(&shop))
}

fn secret(name: &str, key: &str) -> Value {
    json!({"secretRef": name, "key": key})
}

fn museo() -> Value {
    json!({"museo": {"url": "http://museo:8000", "serviceAccount": {"secretRef": "museo"}}})
}

fn on(platform: &Value) -> Value {
    json!({"platform": platform, "servers": [{"name": "Storefront"}]})
}

fn custom() -> Value {
    json!({"custom": {
        "url": "https://erp.example:8443/api",
        "auth": {"header": {"name": "X-Api-Key", "secretRef": "erp", "key": "api-key"}},
        "mapping": {"products": {"path": "/items", "fields": {"id": "/id", "name": "/title", "price": "/price"}}},
    }})
}

fn everything() -> Value {
    json!({
        "platform": custom(),
        "servers": [
            {"name": "Inventory", "timeouts": {"callSeconds": 30}},
            {"name": "Storefront", "replicas": 2, "env": [{"name": "A", "value": "1"}]},
            {"name": "Notifications", "egress": [{"name": "mail", "cidrs": ["203.0.113.0/24"], "ports": [587]}]},
        ],
        "featureFlags": [
            {"name": "new_search", "state": "Enabled", "users": ["berta", "anna"], "roles": ["staff"]},
            {"name": "auto_reorder_enabled", "state": "Enabled", "rolloutPercent": 10},
        ],
        "environment": "staging",
        "roles": [
            {"name": "staff", "permissions": ["WriteProducts", "Read"], "subjects": ["berta", "anna"]},
            {"name": "owner", "permissions": ["Administer"]},
        ],
        "locale": "tr-TR",
        "currency": "TRY",
    })
}

fn rendered(spec: &Value) -> Vec<Value> {
    servers(&validate(spec).unwrap()).into_iter().map(|(_, server)| json!(server)).collect()
}

#[test]
fn a_shop_with_everything() {
    insta::assert_yaml_snapshot!("shop_with_everything", rendered(&everything()));
}

#[test]
fn a_shop_with_nothing_but_a_platform() {
    insta::assert_yaml_snapshot!("shop_with_nothing_but_a_platform", rendered(&on(&museo())));
}

/// The variables are the servers' interface, so each is written down here.
#[rstest]
#[case(json!({"shopify": {"shop": "a.myshopify.com", "accessToken": secret("a", "b"), "webhookSecret": secret("a", "c")}}),
    &["SHOPIFY_ACCESS_TOKEN", "SHOPIFY_WEBHOOK_SECRET"])]
#[case(json!({"shopify": {"shop": "a.myshopify.com", "clientCredentials": {"secretRef": "a"}}}),
    &["SHOPIFY_CLIENT_ID", "SHOPIFY_CLIENT_SECRET"])]
#[case(json!({"woocommerce": {"url": "https://a.example", "consumerKey": secret("a", "k"), "consumerSecret": secret("a", "s")}}),
    &["WOOCOMMERCE_CONSUMER_KEY", "WOOCOMMERCE_CONSUMER_SECRET"])]
#[case(json!({"magento": {"url": "https://a.example", "auth": {"integrationToken": secret("a", "b")}}}),
    &["MAGENTO_INTEGRATION_TOKEN"])]
#[case(json!({"magento": {"url": "https://a.example", "auth": {"oauth1": {"secretRef": "a"}}}}),
    &["MAGENTO_CONSUMER_KEY", "MAGENTO_CONSUMER_SECRET", "MAGENTO_ACCESS_TOKEN", "MAGENTO_ACCESS_TOKEN_SECRET"])]
#[case(museo(), &["MUSEO_API_KEY", "MUSEO_API_SECRET"])]
#[case(custom(), &["SHOP_HEADER_VALUE"])]
fn each_platforms_credentials_are_references_and_its_server_one_that_the_api_server_takes(
    #[case] platform: Value,
    #[case] expected: &[&str],
) {
    let mut spec = on(&platform);
    spec["currency"] = json!("EUR");
    let all = credentials(&shop(&spec).spec.platform);
    assert_eq!(all.iter().map(|one| one.variable).collect::<Vec<_>>(), expected);
    assert_eq!(references(&shop(&spec).spec).len(), expected.len());
    let server = rendered(&spec).remove(0);
    let faults: Vec<String> = check(&server).unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(faults, Vec::<String>::new());
    let variables = server["spec"]["env"].as_array().unwrap();
    assert!(variables[1..].iter().all(|variable| variable.get("value").is_none()), "{variables:?}");
}

#[test]
fn the_order_of_a_spec_changes_nothing() {
    let mut turned = everything();
    for list in ["servers", "featureFlags", "roles"] {
        turned[list].as_array_mut().unwrap().reverse();
    }
    for list in ["permissions", "subjects"] {
        turned["roles"][1][list].as_array_mut().unwrap().reverse();
    }
    turned["featureFlags"][1]["users"].as_array_mut().unwrap().reverse();
    assert_eq!(rendered(&turned), rendered(&everything()));
}

#[test]
fn a_server_that_does_not_call_the_platform_gets_neither_its_credentials_nor_a_way_there() {
    let mut spec = on(&museo());
    spec["servers"] = json!([{"name": "Intent"}, {"name": "Notifications"}]);
    for server in rendered(&spec) {
        let text = server["spec"].to_string();
        assert!(!text.contains("MUSEO_API") && server["spec"].get("egress").is_none(), "{text}");
    }
}

#[rstest]
#[case("featureFlags", json!([{"name": "a", "state": "Enabled", "roles": ["staff", "nobody"]}]),
    "spec.featureFlags[0].roles[1]: `spec.roles` has no role 'nobody'")]
#[case("roles", json!([{"name": "a", "permissions": ["Read"]}, {"name": "a", "permissions": ["Notify"]}]),
    "spec.roles[1].name: 'a' is given twice")]
#[case("servers", json!([{"name": "Admin"}, {"name": "Admin"}]), "spec.servers[1].name: 'admin' is given twice")]
#[case("servers", json!([{"name": "Admin", "env": [{"name": "PORT", "value": "1"}]}]),
    "spec.servers[0].env[0].name: 'PORT' is set by the operator")]
#[case("servers", json!([{"name": "Admin", "podTemplate": {"spec": {"containers": 5}}}]), "spec.servers[0].podTemplate: ")]
#[case("platform", custom(), "spec.currency: must be given")]
fn what_the_schema_cannot_say_is_refused_with_its_field(
    #[case] field: &str,
    #[case] value: Value,
    #[case] fault: &str,
) {
    let mut spec = on(&museo());
    spec["roles"] = json!([{"name": "staff", "permissions": ["Read"]}]);
    spec[field] = value;
    let refusal = validate(&spec).unwrap_err();
    assert!(matches!(&refusal, Refusal::Invalid(_)) && refusal.to_string().starts_with(fault), "{refusal}");
}

#[test]
fn more_than_a_file_can_hold_is_refused() {
    let users: Vec<String> = (0..256).map(|i| format!("{i:0>250}")).collect();
    let mut spec = on(&museo());
    spec["featureFlags"] = json!([{"name": "a", "state": "Enabled", "users": users}]);
    let refusal = validate(&spec).unwrap_err().to_string();
    assert!(refusal.contains("a file of more than 65536 characters"), "{refusal}");
}

fn ready(mut server: RenderedServer, ready: &str, reason: &str) -> Arc<RenderedServer> {
    server.metadata.generation = Some(1);
    let condition = json!({"type": "Ready", "status": ready, "reason": reason, "message": "said it",
        "lastTransitionTime": "2026-01-01T00:00:00Z"});
    server.status = json!({"observedGeneration": 1, "url": "http://there/mcp", "conditions": [condition]});
    Arc::new(server)
}

fn made(states: [(&str, &str); 3]) -> Applied {
    let servers = servers(&validate(&everything()).unwrap()).into_iter();
    servers
        .zip(states)
        .map(|((name, server), (state, reason))| (name, ready(server, state, reason)))
        .collect()
}

#[test]
fn the_first_server_that_is_not_ready_is_named_and_each_is_listed() {
    let shop = shop(&everything());
    let now = Timestamp::from_second(1_000_000).unwrap();
    let all = made([("True", "RolledOut"), ("False", "RollingOut"), ("False", "NotIncluded")]);
    let status_now = status(&shop, &Outcome::Applied(&all), now);
    let ready = &status_now.conditions[0];
    assert_eq!((ready.status.as_str(), ready.reason.as_str()), ("False", "ServersNotReady"));
    assert_eq!(ready.message, "McpServer 'shop-inventory' is not ready: RollingOut: said it");
    assert_eq!(status_now.servers_ready.as_deref(), Some("1/3"));
    let listed: Vec<Value> =
        status_now.servers.iter().map(|server| json!([server.mcp_server, server.reason])).collect();
    let expected = [
        json!(["shop-storefront", "RolledOut"]),
        json!(["shop-inventory", "RollingOut"]),
        json!(["shop-notifications", "NotIncluded"]),
    ];
    assert_eq!(listed, expected);
    let all = made([("True", "RolledOut"); 3]);
    let status_now = status(&shop, &Outcome::Applied(&all), now);
    assert_eq!(status_now.conditions[0].message, "3/3 servers are ready");
    let synced = status_now.conditions.iter().find(|condition| condition.type_ == "Synced").unwrap();
    assert_eq!((synced.status.as_str(), synced.reason.as_str()), ("True", "Written"));
}

#[test]
fn a_restart_that_is_asked_of_a_shop_is_asked_of_each_of_its_servers() {
    let mut asked = shop(&everything());
    asked.metadata.annotations = Some([("portico.dev/restarted-at".to_owned(), "today".to_owned())].into());
    let valid = validated(&asked, &found(&asked)).unwrap();
    let all = servers(&valid);
    assert!(all.len() > 1);
    for (name, server) in all {
        assert_eq!(server.metadata.annotations.unwrap()["portico.dev/restarted-at"], "today", "{name:?}");
    }
}
