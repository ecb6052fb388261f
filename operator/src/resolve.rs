//! Reads what a spec refers to. The one step that reads the cluster beside the caches, and it reads by name.

use std::collections::BTreeMap;

use k8s_openapi::api::{
    core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Secret, Service},
    resource::v1::{ResourceClaim, ResourceClaimTemplate},
};
use kube::{Api, Client, Resource, api::ListParams, core::NamespaceResourceScope};
use portico_crds::InferenceModel;
use serde::de::DeserializeOwned;

use crate::{
    child::CALL_TIMEOUT,
    error::Error,
    reference::{Content, Kind, Reference, References, objects},
};

/// Finds the objects that `references` lead to in `namespace`.
pub async fn resolve(
    client: &Client,
    namespace: &str,
    references: Vec<Reference>,
) -> Result<References, Error> {
    let mut found = BTreeMap::new();
    for (kind, name) in objects(&references) {
        if let Some(content) = read(client, namespace, kind, &name).await? {
            found.insert((kind, name), content);
        }
    }
    Ok(References::resolve(references, &found))
}

/// The pods of `namespace` whose `label` is `name`, at most 200: those of a workload that is not as it should be, which say
/// why. Nothing of them is cached.
pub async fn pods(client: &Client, namespace: &str, label: &str, name: &str) -> Result<Vec<Pod>, Error> {
    let params = ListParams::default().labels(&format!("{label}={name}")).limit(200);
    let object = || format!("pods of '{name}'");
    let api = Api::<Pod>::namespaced(client.clone(), namespace);
    match tokio::time::timeout(CALL_TIMEOUT, api.list(&params)).await {
        Ok(Ok(list)) => Ok(list.items),
        Ok(Err(source)) => Err(Error::Api { verb: "list", object: object(), source: Box::new(source) }),
        Err(_) => Err(Error::Timeout { verb: "list", object: object() }),
    }
}

async fn read(client: &Client, namespace: &str, kind: Kind, name: &str) -> Result<Option<Content>, Error> {
    let object = || format!("{} '{name}'", kind.as_str());
    match tokio::time::timeout(CALL_TIMEOUT, get(client.clone(), namespace, kind, name)).await {
        Ok(answer) => {
            answer.map_err(|source| Error::Api { verb: "get", object: object(), source: Box::new(source) })
        }
        Err(_) => Err(Error::Timeout { verb: "get", object: object() }),
    }
}

async fn get(
    client: Client,
    namespace: &str,
    kind: Kind,
    name: &str,
) -> Result<Option<Content>, kube::Error> {
    Ok(match kind {
        Kind::Secret => Api::<Secret>::namespaced(client, namespace).get_opt(name).await?.map(secret_content),
        Kind::ConfigMap => {
            Api::<ConfigMap>::namespaced(client, namespace).get_opt(name).await?.map(config_content)
        }
        Kind::Service => {
            Api::<Service>::namespaced(client, namespace).get_opt(name).await?.map(|s| service_content(&s))
        }
        Kind::Volume => Api::<PersistentVolumeClaim>::namespaced(client, namespace)
            .get_opt(name)
            .await?
            .map(|claim| volume_content(&claim)),
        Kind::Claim => exists::<ResourceClaim>(client, namespace, name).await?,
        Kind::Model => exists::<InferenceModel>(client, namespace, name).await?,
        Kind::ClaimTemplate => exists::<ResourceClaimTemplate>(client, namespace, name).await?,
    })
}

/// Only its metadata is read: nothing else of it matters.
async fn exists<K>(client: Client, namespace: &str, name: &str) -> Result<Option<Content>, kube::Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + DeserializeOwned,
{
    match Api::<K>::namespaced(client, namespace).get_metadata(name).await {
        Ok(_) => Ok(Some(Content::new())),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
        Err(error) => Err(error),
    }
}

/// The data of a Secret.
#[must_use]
pub fn secret_content(secret: Secret) -> Content {
    let mut content: Content =
        secret.data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.0)).collect();
    content.extend(
        secret.string_data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.into_bytes())),
    );
    content
}

/// The data of a `ConfigMap`.
#[must_use]
pub fn config_content(map: ConfigMap) -> Content {
    let text = map.data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.into_bytes()));
    text.chain(map.binary_data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.0))).collect()
}

/// The access modes of a volume, as keys.
#[must_use]
pub fn volume_content(claim: &PersistentVolumeClaim) -> Content {
    let modes = claim.spec.iter().flat_map(|spec| spec.access_modes.iter().flatten());
    modes.map(|mode| (mode.clone(), Vec::new())).collect()
}

/// The ports of a Service, as keys.
#[must_use]
pub fn service_content(service: &Service) -> Content {
    let ports = service.spec.iter().flat_map(|spec| spec.ports.iter().flatten());
    ports.map(|port| (port.port.to_string(), Vec::new())).collect()
}
