//! The objects of a folder by kind, as far as Portico acts on them.

use std::collections::BTreeMap;

use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{ConfigMap, Secret, Service},
};
use kube::{Resource, ResourceExt as _};
use portico_crds::{InferenceModel, KrogerIntegration, McpServer, ShopConnector, check::without_nulls};
use portico_operator::{
    mcp_server::reference::references,
    reference::{Content, Kind, Reference, References, objects},
    resolve::{config_content, secret_content, service_content},
};
use serde::de::DeserializeOwned;

use super::{Document, Problem};

/// Namespace of manifests that name none, as kubectl has it.
const DEFAULT_NAMESPACE: &str = "default";

/// Namespace and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// The objects of a folder.
#[derive(Clone, Debug, Default)]
pub struct Objects {
    /// Servers, each with the document it comes from: its own, or that of the resource it is rendered from.
    pub servers: BTreeMap<Key, (McpServer, usize)>,
    /// Models, each with the document it comes from.
    pub models: BTreeMap<Key, (InferenceModel, usize)>,
    /// Integrations, each with the document it comes from.
    pub integrations: BTreeMap<Key, (KrogerIntegration, usize)>,
    /// Shops, each with the document it comes from.
    pub shops: BTreeMap<Key, (ShopConnector, usize)>,
    /// Plain workloads that the servers need, such as a stand-in.
    pub deployments: BTreeMap<Key, Deployment>,
    /// Addresses of workloads.
    pub services: BTreeMap<Key, Service>,
    /// Secrets.
    pub secrets: BTreeMap<Key, Secret>,
    /// Config maps.
    pub config_maps: BTreeMap<Key, ConfigMap>,
}

impl Objects {
    /// Sorts documents by kind; those of kinds that mean nothing here are passed over.
    ///
    /// # Errors
    /// Names each document that cannot be decoded or that has the name of one before it.
    pub fn from_documents(documents: &[Document]) -> Result<Self, Vec<Problem>> {
        let (mut all, mut problems) = (Self::default(), Vec::new());
        for (index, document) in documents.iter().enumerate() {
            if let Err(problem) = all.add(document, index) {
                problems.push(problem);
            }
        }
        if problems.is_empty() { Ok(all) } else { Err(problems) }
    }

    fn add(&mut self, document: &Document, index: usize) -> Result<(), Problem> {
        match document.kind() {
            ("portico.dev/v1alpha1", "McpServer") => {
                let server = decode(document)?;
                insert(&mut self.servers, key(&server), (server, index), document)
            }
            ("portico.dev/v1alpha1", "InferenceModel") => self.add_model(document, index),
            ("portico.dev/v1alpha1", "KrogerIntegration") => self.add_integration(document, index),
            ("portico.dev/v1alpha1", "ShopConnector") => self.add_shop(document, index),
            ("apps/v1", "Deployment") => keep(&mut self.deployments, document),
            ("v1", "Service") => keep(&mut self.services, document),
            ("v1", "Secret") => keep(&mut self.secrets, document),
            ("v1", "ConfigMap") => keep(&mut self.config_maps, document),
            _ => Ok(()),
        }
    }

    /// What a server's references lead to within the folder.
    #[must_use]
    pub fn references(&self, key: &Key, server: &McpServer) -> References {
        self.resolve(&key.namespace, references(&server.spec))
    }

    /// What references lead to within the folder.
    #[must_use]
    pub fn resolve(&self, namespace: &str, references: Vec<Reference>) -> References {
        let mut found = BTreeMap::new();
        for (kind, name) in objects(&references) {
            let at = Key { namespace: namespace.to_owned(), name: name.clone() };
            if let Some(content) = self.content(kind, &at) {
                found.insert((kind, name), content);
            }
        }
        References::resolve(references, &found)
    }

    /// Content of a Secret or config map, and the ports of a Service.
    #[must_use]
    pub fn content(&self, kind: Kind, at: &Key) -> Option<Content> {
        match kind {
            Kind::Secret => self.secrets.get(at).cloned().map(secret_content),
            Kind::ConfigMap => self.config_maps.get(at).cloned().map(config_content),
            Kind::Service => self.services.get(at).map(service_content),
            Kind::Model => self.models.get(at).map(|_| Content::new()),
            // Volumes and devices are the cluster's; here a folder of this machine stands in, or nothing does.
            Kind::Volume | Kind::Claim | Kind::ClaimTemplate => Some(Content::new()),
        }
    }
}

fn keep<K: Resource<DynamicType = ()> + DeserializeOwned>(
    all: &mut BTreeMap<Key, K>,
    document: &Document,
) -> Result<(), Problem> {
    let object: K = decode(document)?;
    insert(all, key(&object), object, document)
}

pub(super) fn insert<T>(
    all: &mut BTreeMap<Key, T>,
    key: Key,
    object: T,
    document: &Document,
) -> Result<(), Problem> {
    if all.contains_key(&key) {
        let message = format!("{} '{key}' is defined twice; rename or remove one", document.kind().1);
        return Err(document.problem("metadata.name", message));
    }
    all.insert(key, object);
    Ok(())
}

pub(super) fn key<K: Resource>(object: &K) -> Key {
    Key { namespace: object.namespace().unwrap_or_else(|| DEFAULT_NAMESPACE.into()), name: object.name_any() }
}

pub(super) fn decode<K: Resource<DynamicType = ()> + DeserializeOwned>(
    document: &Document,
) -> Result<K, Problem> {
    let mut object: K = serde_json::from_value(without_nulls(&document.value))
        .map_err(|error| document.problem("", format!("cannot be read as {}: {error}", document.kind().1)))?;
    object.meta_mut().namespace.get_or_insert_with(|| DEFAULT_NAMESPACE.into());
    Ok(object)
}
