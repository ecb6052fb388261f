//! Which other objects a `ShopConnector` names. Pure.

use portico_crds::{
    ShopConnectorSpec,
    mcp_server::EnvVar,
    secret_value::ClientCredentials,
    shop_connector::{BasicLogin, CustomAuth, MagentoAuth, Museo, Platform, Shopify, WooCommerce},
};

use crate::{
    composite::secret as variable,
    mcp_server::reference::variables,
    reference::{Kind, Reference},
};

/// One of a platform's credentials: the variable that servers read it from, and where the spec names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// Name of the variable.
    pub variable: &'static str,
    secret: String,
    key: String,
    field: String,
}

impl Credential {
    fn new(variable: &'static str, (secret, key): (&str, &str), field: &str) -> Self {
        let field = format!("spec.platform.{field}");
        Self { variable, secret: secret.to_owned(), key: key.to_owned(), field }
    }

    /// The variable as a server has it.
    #[must_use]
    pub fn environment(&self) -> EnvVar {
        variable(self.variable, &self.secret, &self.key)
    }
}

/// Every place in a spec that names another object. The rendered servers replace their pods by themselves when one
/// changes.
#[must_use]
pub fn references(spec: &ShopConnectorSpec) -> Vec<Reference> {
    let platform = credentials(&spec.platform).into_iter();
    let platform = platform.map(|one| Reference::new(Kind::Secret, &one.secret, one.field).key(&one.key));
    let servers = spec.servers.iter().enumerate();
    let overrides =
        servers.flat_map(|(i, server)| variables(&format!("spec.servers[{i}].env"), &server.overrides.env));
    platform.chain(overrides).map(Reference::without_restart).collect()
}

/// The credentials of a platform, in a fixed order.
#[must_use]
pub fn credentials(platform: &Platform) -> Vec<Credential> {
    let Platform { shopify, woocommerce, magento, museo, custom } = platform;
    let mut all: Vec<Credential> = shopify.iter().flat_map(of_shopify).collect();
    all.extend(woocommerce.iter().flat_map(of_woocommerce));
    all.extend(magento.iter().flat_map(|magento| of_magento(&magento.auth)));
    all.extend(museo.iter().flat_map(of_museo));
    all.extend(custom.iter().flat_map(|custom| of_custom(&custom.auth)));
    all
}

fn of_shopify(shopify: &Shopify) -> Vec<Credential> {
    let one = |variable, value: &portico_crds::secret_value::SecretValue, field| {
        Credential::new(variable, (&value.secret_ref, &value.key), field)
    };
    let mut all = Vec::new();
    all.extend(shopify.access_token.iter().map(|v| one("SHOPIFY_ACCESS_TOKEN", v, "shopify.accessToken")));
    all.extend(shopify.client_credentials.iter().flat_map(of_client));
    all.extend(
        shopify.webhook_secret.iter().map(|v| one("SHOPIFY_WEBHOOK_SECRET", v, "shopify.webhookSecret")),
    );
    all
}

fn of_client(client: &ClientCredentials) -> [Credential; 2] {
    let (name, at) = (client.secret_ref.as_str(), "shopify.clientCredentials");
    [
        Credential::new("SHOPIFY_CLIENT_ID", (name, &client.client_id_key), &format!("{at}.clientIdKey")),
        Credential::new(
            "SHOPIFY_CLIENT_SECRET",
            (name, &client.client_secret_key),
            &format!("{at}.clientSecretKey"),
        ),
    ]
}

fn of_woocommerce(shop: &WooCommerce) -> Vec<Credential> {
    let named = [
        ("WOOCOMMERCE_CONSUMER_KEY", Some(&shop.consumer_key), "woocommerce.consumerKey"),
        ("WOOCOMMERCE_CONSUMER_SECRET", Some(&shop.consumer_secret), "woocommerce.consumerSecret"),
        ("WOOCOMMERCE_WEBHOOK_SECRET", shop.webhook_secret.as_ref(), "woocommerce.webhookSecret"),
    ];
    let one = |(variable, value, field): (_, Option<&portico_crds::secret_value::SecretValue>, _)| {
        value.map(|value| Credential::new(variable, (&value.secret_ref, &value.key), field))
    };
    named.into_iter().filter_map(one).collect()
}

fn of_magento(auth: &MagentoAuth) -> Vec<Credential> {
    let mut all = Vec::new();
    all.extend(auth.integration_token.iter().map(|token| {
        let at = "magento.auth.integrationToken";
        Credential::new("MAGENTO_INTEGRATION_TOKEN", (&token.secret_ref, &token.key), at)
    }));
    if let Some(keys) = &auth.oauth1 {
        for (variable, key, member) in [
            ("MAGENTO_CONSUMER_KEY", &keys.consumer_key_key, "consumerKeyKey"),
            ("MAGENTO_CONSUMER_SECRET", &keys.consumer_secret_key, "consumerSecretKey"),
            ("MAGENTO_ACCESS_TOKEN", &keys.access_token_key, "accessTokenKey"),
            ("MAGENTO_ACCESS_TOKEN_SECRET", &keys.token_secret_key, "tokenSecretKey"),
        ] {
            let field = format!("magento.auth.oauth1.{member}");
            all.push(Credential::new(variable, (&keys.secret_ref, key), &field));
        }
    }
    all
}

fn of_museo(museo: &Museo) -> [Credential; 2] {
    let (account, at) = (&museo.service_account, "museo.serviceAccount");
    let name = account.secret_ref.as_str();
    [
        Credential::new("MUSEO_API_KEY", (name, &account.api_key_key), &format!("{at}.apiKeyKey")),
        Credential::new("MUSEO_API_SECRET", (name, &account.api_secret_key), &format!("{at}.apiSecretKey")),
    ]
}

fn of_custom(auth: &CustomAuth) -> Vec<Credential> {
    let mut all = Vec::new();
    all.extend(auth.bearer.iter().map(|bearer| {
        Credential::new("SHOP_BEARER_TOKEN", (&bearer.secret_ref, &bearer.key), "custom.auth.bearer")
    }));
    all.extend(auth.header.iter().map(|header| {
        Credential::new("SHOP_HEADER_VALUE", (&header.secret_ref, &header.key), "custom.auth.header")
    }));
    all.extend(auth.basic.iter().flat_map(of_basic));
    all
}

fn of_basic(login: &BasicLogin) -> [Credential; 2] {
    let (name, at) = (login.secret_ref.as_str(), "custom.auth.basic");
    [
        Credential::new("SHOP_USERNAME", (name, &login.username_key), &format!("{at}.usernameKey")),
        Credential::new("SHOP_PASSWORD", (name, &login.password_key), &format!("{at}.passwordKey")),
    ]
}
