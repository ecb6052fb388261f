//! Reads what a spec refers to. The one step that reads the cluster, and it reads by name.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ConfigMap, Secret, Service};
use kube::{Api, Client};
use portico_crds::McpServerSpec;

use super::reference::{Content, Kind, References, objects};
use crate::{child::CALL_TIMEOUT, error::Error};

/// Finds the objects that `spec` names in `namespace`.
pub async fn resolve(client: &Client, namespace: &str, spec: &McpServerSpec) -> Result<References, Error> {
    let mut found = BTreeMap::new();
    for (kind, name) in objects(spec) {
        if let Some(content) = read(client, namespace, kind, &name).await? {
            found.insert((kind, name), content);
        }
    }
    Ok(References::resolve(spec, &found))
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
            Api::<Service>::namespaced(client, namespace).get_opt(name).await?.map(|_| Content::new())
        }
    })
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
