//! Integrations and shops of a folder, and the servers that the operator would make of them.

use k8s_openapi::api::core::v1::Secret;
use kube::Resource as _;
use portico_crds::{KrogerIntegration, McpServer, ShopConnector};
use portico_operator::{
    kind::Refusal,
    kroger_integration::{
        keyring::Keyring,
        reference as kroger_references,
        render::{new_keys, server},
        validate::validate as validate_integration,
    },
    reference::References,
    rendered::RenderedServer,
    shop_connector::{reference as shop_references, render::servers, validate::validate as validate_shop},
};

use super::{
    Document, Key, Objects, Problem,
    objects::{decode, insert, key},
};

impl Objects {
    /// Adds an integration and its server. The session keys are not part of the folder; see [`Objects::add_keys`].
    pub(super) fn add_integration(&mut self, document: &Document, index: usize) -> Result<(), Problem> {
        let integration: KrogerIntegration = decode(document)?;
        if let Ok(valid) = validate_integration(&integration, &References::default()) {
            self.add_rendered(server(&valid), document, index)?;
        }
        insert(&mut self.integrations, key(&integration), (integration, index), document)
    }

    /// Adds a shop and its servers.
    pub(super) fn add_shop(&mut self, document: &Document, index: usize) -> Result<(), Problem> {
        let shop: ShopConnector = decode(document)?;
        if let Ok(valid) = validate_shop(&shop, &References::default()) {
            for (_, server) in servers(&valid) {
                self.add_rendered(server, document, index)?;
            }
        }
        insert(&mut self.shops, key(&shop), (shop, index), document)
    }

    fn add_rendered(
        &mut self,
        rendered: RenderedServer,
        document: &Document,
        index: usize,
    ) -> Result<(), Problem> {
        let server: McpServer = serde_json::to_value(rendered)
            .and_then(serde_json::from_value)
            .map_err(|error| document.problem("", format!("cannot be rendered: {error}")))?;
        let key = key(&server);
        if self.servers.contains_key(&key) {
            let message = format!("its McpServer '{key}' is defined already; rename one of the two");
            return Err(document.problem("metadata.name", message));
        }
        self.servers.insert(key, (server, index));
        Ok(())
    }

    /// What is wrong with integrations and shops, each with the document it is in.
    pub(crate) fn refusals(&self) -> Vec<(usize, Refusal)> {
        let integrations = self.integrations.iter().filter_map(|(key, (integration, index))| {
            let references = kroger_references::references(&integration.spec);
            let found = self.resolve(&key.namespace, references);
            Some((*index, validate_integration(integration, &found).err()?))
        });
        let shops = self.shops.iter().filter_map(|(key, (shop, index))| {
            let found = self.resolve(&key.namespace, shop_references::references(&shop.spec));
            Some((*index, validate_shop(shop, &found).err()?))
        });
        integrations.chain(shops).collect()
    }

    /// Adds the Secret with an integration's session keys, where the folder has none of its name.
    pub fn add_keys(&mut self, integration: &Key, keyring: &Keyring) {
        let Some((resource, _)) = self.integrations.get(integration) else { return };
        let Ok(valid) = validate_integration(resource, &References::default()) else { return };
        let secret: Secret = new_keys(&valid, keyring);
        let name = secret.meta().name.clone().unwrap_or_default();
        let at = Key { namespace: integration.namespace.clone(), name };
        self.secrets.entry(at).or_insert(secret);
    }
}
