//! The shop and its credentials.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::custom::Custom;
use crate::rules;
use crate::secret_value::{ClientCredentials, SecretValue};

/// The shop: a union of which exactly one member is set.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq)]
#[x_kube(validation = kube::core::Rule::new("[has(self.shopify), has(self.woocommerce), has(self.magento), has(self.museo), has(self.custom)].exists_one(x, x)")
    .message("`platform` must have exactly one of `shopify`, `woocommerce`, `magento`, `museo` and `custom`"))]
#[serde(rename_all = "camelCase")]
pub struct Platform {
    /// A Shopify shop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shopify: Option<Shopify>,
    /// A `WooCommerce` shop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub woocommerce: Option<WooCommerce>,
    /// A Magento or Adobe Commerce shop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub magento: Option<Magento>,
    /// A shop on the Museo platform.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub museo: Option<Museo>,
    /// A shop with a REST API of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom: Option<Custom>,
}

impl Platform {
    /// Which member is set; `None` for what the schema refuses.
    #[must_use]
    pub const fn name(&self) -> Option<PlatformName> {
        match self {
            Self { shopify: Some(_), .. } => Some(PlatformName::Shopify),
            Self { woocommerce: Some(_), .. } => Some(PlatformName::WooCommerce),
            Self { magento: Some(_), .. } => Some(PlatformName::Magento),
            Self { museo: Some(_), .. } => Some(PlatformName::Museo),
            Self { custom: Some(_), .. } => Some(PlatformName::Custom),
            _ => None,
        }
    }
}

/// The platforms.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlatformName {
    /// Shopify.
    Shopify,
    /// `WooCommerce`.
    WooCommerce,
    /// Magento Open Source and Adobe Commerce.
    Magento,
    /// Museo.
    Museo,
    /// A REST API that the spec describes.
    Custom,
}

/// A Shopify shop, by its Admin GraphQL API.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq, Eq)]
#[x_kube(validation = kube::core::Rule::new("has(self.accessToken) != has(self.clientCredentials)")
    .message("`shopify` must have exactly one of `accessToken` and `clientCredentials`"))]
#[serde(rename_all = "camelCase")]
pub struct Shopify {
    /// The shop's domain at Shopify, such as 'example.myshopify.com', whatever its customers see.
    #[schemars(
        length(min = 15, max = 253),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?\.myshopify\.com$")
    )]
    pub shop: String,
    /// Version of the API, a quarter such as '2026-10'. Shopify serves each for a year.
    #[serde(default = "default_shopify_version")]
    #[schemars(length(min = 7, max = 7), regex(pattern = "^20[0-9]{2}-(01|04|07|10)$"))]
    pub api_version: String,
    /// Access token of an app that is installed in the shop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_token: Option<SecretValue>,
    /// Credentials of an app of the shop's own organisation, which are exchanged for a token once a day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_credentials: Option<ClientCredentials>,
    /// The app's client secret, which signs web-hooks. Absent: web-hooks are refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook_secret: Option<SecretValue>,
    /// Address of the API, such as that of a local imitation. Absent: the shop's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 8, max = 2048))]
    #[x_kube(validation = rules::http_url("baseUrl"))]
    pub base_url: Option<String>,
}

fn default_shopify_version() -> String {
    "2026-10".to_owned()
}

/// A `WooCommerce` shop, by its REST API v3.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct WooCommerce {
    /// URL of the site. The keys travel with each request, so it must be HTTPS.
    #[schemars(length(min = 8, max = 2048))]
    #[x_kube(validation = rules::https_url("url"))]
    pub url: String,
    /// The consumer key, 'ck_…'.
    pub consumer_key: SecretValue,
    /// The consumer secret, 'cs_…'.
    pub consumer_secret: SecretValue,
    /// The secret that signs web-hooks. Absent: web-hooks are refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook_secret: Option<SecretValue>,
}

/// A Magento or Adobe Commerce shop, by its REST API V1.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Magento {
    /// URL of the site, without '/rest'.
    #[schemars(length(min = 8, max = 2048))]
    #[x_kube(validation = rules::http_url("url"))]
    pub url: String,
    /// Code of the store view whose prices and texts are used.
    #[serde(default = "default_store_code")]
    #[schemars(length(min = 1, max = 32), regex(pattern = "^[A-Za-z][A-Za-z0-9_]*$"))]
    pub store_code: String,
    /// How requests are authenticated.
    pub auth: MagentoAuth,
}

fn default_store_code() -> String {
    "default".to_owned()
}

/// How requests to Magento are authenticated: exactly one member is set.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq, Eq)]
#[x_kube(validation = kube::core::Rule::new("has(self.integrationToken) != has(self.oauth1)")
    .message("`auth` must have exactly one of `integrationToken` and `oauth1`"))]
#[serde(rename_all = "camelCase")]
pub struct MagentoAuth {
    /// Access token of an integration, sent as it is. Since 2.4.4 a shop must allow that
    /// (`oauth/consumer/enable_integration_as_bearer`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub integration_token: Option<SecretValue>,
    /// Keys of an integration that sign each request (OAuth 1.0a).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oauth1: Option<OAuth1Keys>,
}

/// A Secret with the four keys of OAuth 1.0a.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct OAuth1Keys {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub secret_ref: String,
    /// The key whose value is the consumer key.
    #[serde(default = "default_consumer_key_key")]
    #[schemars(length(min = 1, max = 253))]
    pub consumer_key_key: String,
    /// The key whose value is the consumer secret.
    #[serde(default = "default_consumer_secret_key")]
    #[schemars(length(min = 1, max = 253))]
    pub consumer_secret_key: String,
    /// The key whose value is the access token.
    #[serde(default = "default_access_token_key")]
    #[schemars(length(min = 1, max = 253))]
    pub access_token_key: String,
    /// The key whose value is the access token's secret.
    #[serde(default = "default_token_secret_key")]
    #[schemars(length(min = 1, max = 253))]
    pub token_secret_key: String,
}

fn default_consumer_key_key() -> String {
    "consumer-key".to_owned()
}

fn default_consumer_secret_key() -> String {
    "consumer-secret".to_owned()
}

fn default_access_token_key() -> String {
    "access-token".to_owned()
}

fn default_token_secret_key() -> String {
    "access-token-secret".to_owned()
}

/// A shop on the Museo platform.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Museo {
    /// URL of the platform, without '/api/v1'.
    #[schemars(length(min = 8, max = 2048))]
    #[x_kube(validation = rules::http_url("url"))]
    pub url: String,
    /// The account that the servers call the platform with.
    pub service_account: ServiceAccount,
    /// Path at which the account's key and secret are exchanged for a token.
    #[serde(default = "default_token_path")]
    #[schemars(length(min = 1, max = 256), regex(pattern = r"^/[A-Za-z0-9._~/-]*$"))]
    pub token_path: String,
}

fn default_token_path() -> String {
    "/api/v1/auth/service-token".to_owned()
}

/// A Secret with the key and the secret of a service account.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ServiceAccount {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub secret_ref: String,
    /// The key whose value is the account's API key.
    #[serde(default = "default_api_key_key")]
    #[schemars(length(min = 1, max = 253))]
    pub api_key_key: String,
    /// The key whose value is the account's API secret.
    #[serde(default = "default_api_secret_key")]
    #[schemars(length(min = 1, max = 253))]
    pub api_secret_key: String,
}

fn default_api_key_key() -> String {
    "api-key".to_owned()
}

fn default_api_secret_key() -> String {
    "api-secret".to_owned()
}
