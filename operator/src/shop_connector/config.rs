//! The file that a shop's servers read: everything of the spec but the credentials, in an order of its own, so that a
//! spec written in another order leads to the same pods. Pure.

use portico_crds::{
    ShopConnectorSpec,
    shop_connector::{
        Custom, CustomAuth, FIXED_FLAGS, FeatureFlag, FlagState, Magento, Museo, Permission, Platform,
        PlatformName, Role, Shopify, WooCommerce,
    },
};
use serde_json::{Value, json};

/// The file's text.
#[must_use]
pub fn file(spec: &ShopConnectorSpec) -> String {
    let file = json!({
        "platform": platform(&spec.platform),
        "environment": spec.environment,
        "locale": spec.locale,
        "currency": spec.currency,
        "featureFlags": flags(&spec.feature_flags),
        "roles": roles(&spec.roles),
    });
    format!("{file:#}\n")
}

fn platform(platform: &Platform) -> Value {
    let mut value = match platform {
        Platform { shopify: Some(shop), .. } => of_shopify(shop),
        Platform { woocommerce: Some(WooCommerce { url, .. }), .. } => json!({"url": url}),
        Platform { magento: Some(shop), .. } => of_magento(shop),
        Platform { museo: Some(Museo { url, token_path, .. }), .. } => {
            json!({"url": url, "tokenPath": token_path})
        }
        Platform { custom: Some(shop), .. } => of_custom(shop),
        _ => json!({}),
    };
    value["name"] = json!(platform.name());
    value
}

fn of_shopify(shop: &Shopify) -> Value {
    let auth = if shop.access_token.is_some() { "AccessToken" } else { "ClientCredentials" };
    json!({"shop": shop.shop, "apiVersion": shop.api_version, "baseUrl": shop.base_url, "auth": auth})
}

fn of_magento(shop: &Magento) -> Value {
    let auth = if shop.auth.oauth1.is_some() { "OAuth1" } else { "IntegrationToken" };
    json!({"url": shop.url, "storeCode": shop.store_code, "auth": auth})
}

fn of_custom(shop: &Custom) -> Value {
    let auth = match &shop.auth {
        CustomAuth { bearer: Some(_), .. } => "Bearer",
        CustomAuth { header: Some(_), .. } => "Header",
        CustomAuth { basic: Some(_), .. } => "Basic",
        _ => "None",
    };
    let header = shop.auth.header.as_ref().map(|header| &header.name);
    json!({"url": shop.url, "auth": auth, "header": header, "mapping": shop.mapping})
}

/// Every flag that the servers know, and those that the spec adds, by name.
fn flags(given: &[FeatureFlag]) -> Value {
    let known = FIXED_FLAGS.iter().filter(|(name, _)| !given.iter().any(|flag| flag.name == *name));
    let mut all: Vec<(String, Value)> =
        known.map(|(name, state)| ((*name).to_owned(), json!({"name": name, "state": state}))).collect();
    all.extend(given.iter().map(|flag| (flag.name.clone(), json!(settled(flag)))));
    all.sort_by(|(one, _), (other, _)| one.cmp(other));
    all.into_iter().map(|(_, flag)| flag).collect()
}

/// The flag with its lists in order, and the share of others written out.
fn settled(flag: &FeatureFlag) -> FeatureFlag {
    let share = (flag.state == FlagState::Enabled).then(|| flag.share_of_others());
    let mut flag = FeatureFlag { rollout_percent: share, ..flag.clone() };
    flag.users.sort();
    flag.roles.sort();
    flag.environments.sort();
    flag
}

fn roles(given: &[Role]) -> Value {
    let mut all: Vec<Role> = given.to_vec();
    for role in &mut all {
        role.permissions.sort_by_key(|permission: &Permission| *permission);
        role.subjects.sort();
    }
    all.sort_by(|one, other| one.name.cmp(&other.name));
    json!(all)
}

/// Address of the platform's API, for the way out.
#[must_use]
pub fn address(platform: &Platform) -> Option<String> {
    match platform {
        Platform { shopify: Some(shop), .. } => {
            Some(shop.base_url.clone().unwrap_or_else(|| format!("https://{}", shop.shop)))
        }
        Platform { woocommerce: Some(WooCommerce { url, .. }), .. }
        | Platform { magento: Some(Magento { url, .. }), .. }
        | Platform { museo: Some(Museo { url, .. }), .. }
        | Platform { custom: Some(Custom { url, .. }), .. } => Some(url.clone()),
        _ => None,
    }
}

/// The platform's name as a destination's.
#[must_use]
pub fn destination_name(platform: &Platform) -> &'static str {
    match platform.name() {
        Some(PlatformName::Shopify) => "shopify",
        Some(PlatformName::WooCommerce) => "woocommerce",
        Some(PlatformName::Magento) => "magento",
        Some(PlatformName::Museo) => "museo",
        Some(PlatformName::Custom) | None => "shop",
    }
}
