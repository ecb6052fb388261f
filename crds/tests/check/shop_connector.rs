//! Manifests of `ShopConnector`.

use portico_crds::ShopConnector;
use portico_crds::mcp_server::BuiltinName;
use portico_crds::shop_connector::{FIXED_FLAGS, FeatureFlag, FlagState, PlatformName, ServerName};
use serde_json::{Value, json};

use crate::verdict::{accepted, refused};

const SERVERS: [ServerName; 5] = [
    ServerName::Storefront,
    ServerName::Admin,
    ServerName::Inventory,
    ServerName::Intent,
    ServerName::Notifications,
];

fn connector(spec: &Value) -> Value {
    json!({"apiVersion": "portico.dev/v1alpha1", "kind": "ShopConnector", "metadata": {"name": "a"}, "spec": spec})
}

fn on(platform: &Value) -> Value {
    connector(&json!({"platform": platform, "servers": [{"name": "Storefront"}]}))
}

fn with(field: &str, value: &Value) -> Value {
    let mut manifest = on(&museo());
    manifest["spec"][field] = value.clone();
    manifest
}

fn secret(name: &str) -> Value {
    json!({"secretRef": name, "key": "value"})
}

fn shopify(field: &str, value: &Value) -> Value {
    let mut shop = json!({"shop": "example.myshopify.com"});
    shop[field] = value.clone();
    on(&json!({"shopify": shop}))
}

fn museo() -> Value {
    json!({"museo": {"url": "http://api:8000", "serviceAccount": {"secretRef": "museo"}}})
}

fn magento(auth: &Value) -> Value {
    on(&json!({"magento": {"url": "https://shop.example", "auth": auth}}))
}

fn products(field: &str, value: &Value) -> Value {
    let mut endpoint = json!({"path": "/items", "fields": {"id": "/id", "name": "/title"}});
    endpoint[field] = value.clone();
    custom(&json!({"none": {}}), &json!({"products": endpoint}))
}

fn custom(auth: &Value, mapping: &Value) -> Value {
    on(&json!({"custom": {"url": "https://erp.example/api", "auth": auth, "mapping": mapping}}))
}

fn full() -> Value {
    let lines = json!({"items": "/rows", "productId": "/item", "sku": "/code", "name": "/title", "quantity": "/n",
        "price": "/each"});
    let mapping = json!({
        "money": "MinorUnits",
        "products": {
            "path": "/items?active=1", "method": "POST", "items": "/data/items",
            "paging": {"cursor": {"parameter": "after", "nextPointer": "/meta/next"}},
            "fields": {"id": "/id", "sku": "/code", "name": "/title", "description": "/text", "price": "/prices/0/amount",
                "cost": "/cost", "currency": "/prices/0/currency", "status": "/state", "vendorId": "/vendor~1id",
                "quantity": "/stock", "imageUrl": "/images/0", "updatedAt": "/changed"},
        },
        "orders": {
            "path": "/orders", "method": "GET", "paging": {"link": {}},
            "fields": {"id": "/id", "number": "/no", "status": "/state", "currency": "/currency", "total": "/sum",
                "createdAt": "/made", "updatedAt": "/changed", "lines": lines},
        },
        "inventory": {
            "path": "/stock", "method": "GET",
            "paging": {"page": {"pageParameter": "p", "sizeParameter": "n", "size": 50}},
            "fields": {"productId": "/item", "sku": "/code", "locationId": "/place", "available": "/free", "onHand": "/all",
                "updatedAt": "/changed"},
        },
    });
    connector(&json!({
        "platform": {"custom": {
            "url": "https://erp.example/api",
            "auth": {"header": {"name": "X-Api-Key", "secretRef": "erp", "key": "api-key"}},
            "mapping": mapping,
        }},
        "servers": [{"name": "Storefront", "replicas": 2, "env": [{"name": "A", "value": "1"}]},
            {"name": "Inventory", "timeouts": {"callSeconds": 30}}],
        "featureFlags": [{"name": "new_search", "state": "Enabled", "rolloutPercent": 10, "users": ["anna"],
            "roles": ["staff"], "environments": ["production"]}],
        "environment": "staging",
        "roles": [{"name": "staff", "permissions": ["Read", "WriteProducts"], "subjects": ["anna"]}],
        "locale": "tr-TR",
        "currency": "TRY",
    }))
}

#[test]
fn each_platform_is_accepted() {
    let woocommerce =
        json!({"url": "https://shop.example", "consumerKey": secret("a"), "consumerSecret": secret("b")});
    for (platform, expected) in [
        (json!({"shopify": {"shop": "a.myshopify.com", "accessToken": secret("a")}}), PlatformName::Shopify),
        (json!({"woocommerce": woocommerce}), PlatformName::WooCommerce),
        (
            json!({"magento": {"url": "https://a.example", "auth": {"oauth1": {"secretRef": "a"}}}}),
            PlatformName::Magento,
        ),
        (museo(), PlatformName::Museo),
        (full()["spec"]["platform"].clone(), PlatformName::Custom),
    ] {
        let manifest = on(&platform);
        accepted(&manifest);
        let read: ShopConnector = serde_json::from_value(manifest).unwrap();
        assert_eq!(read.spec.platform.name(), Some(expected));
    }
}

#[test]
fn a_connector_with_every_field_survives_reading_and_writing() {
    accepted(&full());
    let read: ShopConnector = serde_json::from_value(full()).unwrap();
    assert_eq!(serde_json::to_value(read).unwrap(), full());
}

#[test]
fn a_platform_must_be_exactly_one() {
    refused(&on(&json!({})), "`platform` must have exactly one of");
    let mut both = museo();
    both["shopify"] = json!({"shop": "a.myshopify.com", "accessToken": secret("a")});
    refused(&on(&both), "`platform` must have exactly one of");
    refused(&connector(&json!({"servers": [{"name": "Admin"}]})), "spec.platform: is required");
}

#[test]
fn a_shopify_shop_is_named_by_its_domain_and_the_api_by_a_quarter() {
    let mut manifest = shopify("accessToken", &secret("a"));
    for shop in ["example.com", "https://a.myshopify.com", "a.myshopify.com/admin", ".myshopify.com"] {
        manifest["spec"]["platform"]["shopify"]["shop"] = json!(shop);
        refused(&manifest, "spec.platform.shopify.shop");
    }
    manifest = shopify("accessToken", &secret("a"));
    for version in ["2026-11", "unstable", "2026-1"] {
        manifest["spec"]["platform"]["shopify"]["apiVersion"] = json!(version);
        refused(&manifest, "spec.platform.shopify.apiVersion");
    }
}

#[test]
fn a_shopify_app_has_a_token_or_credentials() {
    accepted(&shopify("clientCredentials", &json!({"secretRef": "app"})));
    refused(&shopify("webhookSecret", &secret("a")), "exactly one of `accessToken` and `clientCredentials`");
    let mut both = shopify("accessToken", &secret("a"));
    both["spec"]["platform"]["shopify"]["clientCredentials"] = json!({"secretRef": "app"});
    refused(&both, "exactly one of `accessToken` and `clientCredentials`");
}

#[test]
fn the_keys_of_woocommerce_travel_over_https() {
    let at = |url: &str| {
        on(&json!({"woocommerce": {"url": url, "consumerKey": secret("a"), "consumerSecret": secret("b")}}))
    };
    accepted(&at("http://127.0.0.1:9400"));
    refused(&at("http://shop.example"), "`url` must be an absolute URL with the scheme 'https'");
}

#[test]
fn magento_takes_a_token_or_four_keys() {
    accepted(&magento(&json!({"integrationToken": secret("a")})));
    refused(&magento(&json!({})), "exactly one of `integrationToken` and `oauth1`");
    let both = json!({"integrationToken": secret("a"), "oauth1": {"secretRef": "b"}});
    refused(&magento(&both), "exactly one of `integrationToken` and `oauth1`");
}

#[test]
fn a_custom_api_is_called_with_exactly_one_kind_of_credentials() {
    let mapping = json!({"products": {"path": "/items", "fields": {"id": "/id", "name": "/title"}}});
    for auth in [
        json!({"bearer": secret("a")}),
        json!({"header": {"name": "X-Api-Key", "secretRef": "a", "key": "b"}}),
        json!({"basic": {"secretRef": "a"}}),
        json!({"none": {}}),
    ] {
        accepted(&custom(&auth, &mapping));
    }
    refused(&custom(&json!({}), &mapping), "`auth` must have exactly one of");
    let both = json!({"basic": {"secretRef": "a"}, "none": {}});
    refused(&custom(&both, &mapping), "`auth` must have exactly one of");
    refused(&custom(&json!({"none": {"secretRef": "a"}}), &mapping), "none.secretRef: is not a field");
}

#[test]
fn a_product_has_at_least_an_id_and_a_name() {
    accepted(&products("method", &json!("GET")));
    refused(&products("fields", &json!({"id": "/id"})), "fields.name: is required");
    refused(&products("fields", &json!({"name": "/title"})), "fields.id: is required");
    refused(&products("fields", &json!({"id": "/id", "name": "/a", "prize": "/b"})), "did you mean 'price'?");
}

#[test]
fn a_pointer_is_one_of_rfc_6901() {
    for pointer in ["/a~1b/~0/0", "/", "/a//b"] {
        accepted(&products("items", &json!(pointer)));
    }
    for pointer in ["data", "$.data", "/a~2", "/a~"] {
        refused(&products("items", &json!(pointer)), "must match");
    }
    refused(&products("fields", &json!({"id": "", "name": "/a"})), "must not be empty");
}

#[test]
fn pages_are_asked_for_in_exactly_one_way() {
    accepted(&products("paging", &json!({"page": {}})));
    refused(&products("paging", &json!({})), "`paging` must have exactly one of");
    refused(&products("paging", &json!({"page": {}, "link": {}})), "`paging` must have exactly one of");
    refused(&products("paging", &json!({"cursor": {"parameter": "a"}})), "nextPointer: is required");
}

#[test]
fn stock_and_lines_say_which_product_they_mean() {
    let mapping = |field: &str, fields: Value| {
        let mut mapping = json!({"products": {"path": "/items", "fields": {"id": "/id", "name": "/title"}}});
        mapping[field] = json!({"path": "/more", "fields": fields});
        custom(&json!({"none": {}}), &mapping)
    };
    accepted(&mapping("inventory", json!({"available": "/n", "sku": "/code"})));
    refused(&mapping("inventory", json!({"available": "/n"})), "`fields` must have `productId` or `sku`");
    let lines = json!({"items": "/rows", "quantity": "/n"});
    refused(
        &mapping("orders", json!({"id": "/id", "lines": lines})),
        "`lines` must have `productId` or `sku`",
    );
    accepted(&mapping("orders", json!({"id": "/id"})));
}

#[test]
fn each_server_runs_once_and_at_least_one_does() {
    let all: Vec<Value> = SERVERS.iter().map(|name| json!({"name": name})).collect();
    accepted(&with("servers", &json!(all)));
    refused(&with("servers", &json!([])), "spec.servers: has 0 items; at least 1");
    refused(&with("servers", &json!([{"name": "Admin"}, {"name": "Admin"}])), "'Admin' has the same name");
    refused(&with("servers", &json!([{"name": "Payment"}])), "must be one of 'Storefront'");
    refused(
        &with("servers", &json!([{"name": "Admin", "port": 80}])),
        "spec.servers[0].port: is not a field",
    );
}

#[test]
fn the_name_leaves_room_for_the_longest_server() {
    let named = |name: &str| {
        let mut manifest = on(&museo());
        manifest["metadata"]["name"] = json!(name);
        manifest
    };
    let longest = SERVERS.iter().map(|name| name.builtin().as_str().len()).max().unwrap();
    accepted(&named(&"a".repeat(50 - 1 - longest)));
    refused(&named(&"a".repeat(50 - longest)), "at most 36 characters");
}

#[test]
fn flags_have_names_states_and_shares() {
    let flag = |field: &str, value: Value| {
        let mut flag = json!({"name": "new_search", "state": "Enabled"});
        flag[field] = value;
        with("featureFlags", &json!([flag]))
    };
    accepted(&flag("rolloutPercent", json!(0)));
    refused(&flag("rolloutPercent", json!(101)), "101 must be 100 or less");
    refused(&flag("name", json!("New-Search")), "must match");
    refused(&flag("state", json!("On")), "must be one of 'Enabled', 'Disabled'");
    refused(&flag("users", json!(["a", "a"])), "'a' is in the list twice");
}

#[test]
fn a_flag_for_named_users_is_for_nobody_else_unless_it_says_so() {
    let share = |flag: Value| serde_json::from_value::<FeatureFlag>(flag).unwrap().share_of_others();
    assert_eq!(share(json!({"name": "a", "state": "Enabled"})), 100);
    assert_eq!(share(json!({"name": "a", "state": "Enabled", "users": ["b"]})), 0);
    assert_eq!(share(json!({"name": "a", "state": "Enabled", "roles": ["b"]})), 0);
    assert_eq!(share(json!({"name": "a", "state": "Enabled", "users": ["b"], "rolloutPercent": 5})), 5);
}

#[test]
fn the_explanation_of_flags_names_each_fixed_one_with_its_state() {
    let definitions = portico_crds::definitions();
    let definition = definitions.iter().find(|one| one.spec.names.kind == "ShopConnector").unwrap();
    let definition = serde_json::to_value(definition).unwrap();
    let text = definition
        .pointer(
            "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/featureFlags/description",
        )
        .and_then(Value::as_str)
        .unwrap();
    let (enabled, disabled) = text.split_once("are 'Enabled'").unwrap();
    for (name, state) in FIXED_FLAGS {
        let half = if state == FlagState::Enabled { enabled } else { disabled };
        assert!(half.contains(&format!("`{name}`")), "{name} in {text}");
    }
    assert_eq!(text.matches('`').count(), 2 * FIXED_FLAGS.len(), "{text}");
}

#[test]
fn roles_languages_and_currencies_have_their_form() {
    refused(&with("roles", &json!([{"name": "staff", "permissions": []}])), "permissions: has 0 items");
    refused(&with("roles", &json!([{"name": "staff", "permissions": ["read"]}])), "did you mean 'Read'?");
    refused(
        &with("roles", &json!([{"name": "staff", "permissions": ["Read", "Read"]}])),
        "in the list twice",
    );
    accepted(&with("locale", &json!("zh-Hant-TW")));
    refused(&with("locale", &json!("en_GB")), "must match");
    refused(&with("currency", &json!("eur")), "must match");
    refused(&with("currency", &json!("€")), "at least 3");
}

#[test]
fn the_servers_of_a_shop_are_not_in_this_versions_image() {
    assert!(SERVERS.iter().all(|name| !name.builtin().is_included()));
    assert!(BuiltinName::Files.is_included() && BuiltinName::Kroger.is_included());
}
