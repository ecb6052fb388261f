//! What there is of one resource in a namespace: the resource, its status and its children, without what differs from
//! run to run.

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use kube::api::{ApiResource, DynamicObject, ListParams};
use kube::{Api, Client};
use portico_crds::labels;
use portico_operator::kroger_integration::keyring::Keyring;
use serde_json::Value;

use super::revision::by_words;

/// Paths of leaves to their values.
pub type Leaves = BTreeMap<String, Value>;

/// Kinds of children of any resource: group, version, kind, plural.
pub const CHILDREN: [(&str, &str, &str, &str); 10] = [
    ("", "v1", "ConfigMap", "configmaps"),
    ("", "v1", "Secret", "secrets"),
    ("", "v1", "Service", "services"),
    ("", "v1", "ServiceAccount", "serviceaccounts"),
    ("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims"),
    ("apps", "v1", "Deployment", "deployments"),
    ("batch", "v1", "Job", "jobs"),
    ("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies"),
    ("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets"),
    ("portico.dev", "v1alpha1", "McpServer", "mcpservers"),
];

pub fn resource((group, version, kind, plural): (&str, &str, &str, &str)) -> ApiResource {
    let api_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    ApiResource {
        group: group.to_owned(),
        version: version.to_owned(),
        api_version,
        kind: kind.to_owned(),
        plural: plural.to_owned(),
    }
}

/// The leaves of the resource `name` of `kind` and of its children; the name itself reads NAME, the namespace NAMESPACE.
pub async fn snapshot(
    client: &Client,
    namespace: &str,
    kind: &ApiResource,
    name: &str,
) -> Result<Leaves, kube::Error> {
    let mut leaves = Leaves::new();
    let api = Api::<DynamicObject>::namespaced_with(client.clone(), namespace, kind);
    if let Some(object) = api.get_opt(name).await? {
        add(&mut leaves, &kind.kind, name, &object);
    }
    let own = ListParams::default().labels(&format!("{}={}", labels::MANAGED_BY, labels::OPERATOR));
    for child in CHILDREN {
        let (child, api_resource) = (child.2, resource(child));
        let api = Api::<DynamicObject>::namespaced_with(client.clone(), namespace, &api_resource);
        for object in api.list(&own).await? {
            let belongs = object
                .metadata
                .name
                .as_deref()
                .is_some_and(|of| of == name || of.starts_with(&format!("{name}-")));
            if belongs && object.metadata.deletion_timestamp.is_none() {
                add(&mut leaves, child, name, &object);
            }
        }
    }
    Ok(by_words(leaves))
}

fn add(leaves: &mut Leaves, kind: &str, name: &str, object: &DynamicObject) {
    let mut object = object.clone();
    let namespace = object.metadata.namespace.clone().unwrap_or_default();
    let meta = &mut object.metadata;
    (meta.uid, meta.resource_version, meta.creation_timestamp, meta.managed_fields) =
        (None, None, None, None);
    // Set by the controller of volumes, or not yet, as it happens to see a new volume bound or unbound.
    let of_volumes = |key: &str| key.contains("storage-provisioner") || key.starts_with("pv.kubernetes.io/");
    meta.annotations.iter_mut().for_each(|notes| notes.retain(|key, _| !of_volumes(key)));
    if kind == "PersistentVolumeClaim"
        && let Some(spec) = object.data["spec"].as_object_mut()
    {
        // The cluster's choice: no two claims have one volume.
        spec.remove("volumeName");
    }
    if kind == "PodDisruptionBudget"
        && let Some(rest) = object.data.as_object_mut()
    {
        // Kubernetes counts healthy pods there, and on a busy machine later than the operator ends.
        rest.remove("status");
    }
    for owner in meta.owner_references.iter_mut().flatten() {
        owner.uid = String::new();
    }
    let text = serde_json::to_string(&object).unwrap().replace(name, "NAME").replace(&namespace, "NAMESPACE");
    let of = object.metadata.name.as_deref().unwrap_or_default().replace(name, "NAME");
    walk(leaves, &format!("{kind}/{of}"), &serde_json::from_str(&text).unwrap());
    if let Some(keyring) = object.data["data"]["keyring.json"].as_str() {
        leaves.insert(format!("{kind}/{of} keys"), keys(keyring).into());
    }
}

/// How many keys a keyring has: the keys themselves are never the same.
fn keys(keyring: &str) -> usize {
    Keyring::read(&STANDARD.decode(keyring).unwrap()).unwrap().keys.len()
}

fn walk(leaves: &mut Leaves, path: &str, value: &Value) {
    match value {
        Value::Object(fields) => {
            // No two runs have the same; a condition that begins as it ends has that of its default, or another where it was something
            // else in between.
            let kept = fields.iter().filter(|(key, _)| *key != "lastTransitionTime");
            kept.for_each(|(key, value)| walk(leaves, &format!("{path}.{key}"), value));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(i, value)| walk(leaves, &format!("{path}[{i}]"), value));
        }
        leaf => {
            leaves.insert(path.to_owned(), leaf.clone());
        }
    }
}

/// Paths whose values differ between two runs in which nothing went wrong: nothing can be said of them.
pub fn differing(one: &Leaves, other: &Leaves) -> BTreeSet<String> {
    let paths = one.keys().chain(other.keys());
    paths.filter(|path| one.get(*path) != other.get(*path)).cloned().collect()
}

/// What differs, apart from `masked`, as text.
pub fn difference(wanted: &Leaves, found: &Leaves, masked: &BTreeSet<String>) -> Vec<String> {
    let all = differing(wanted, found);
    let text = |path: &String| format!("{path}: {:?}, not {:?}", found.get(path), wanted.get(path));
    all.iter().filter(|path| !masked.contains(*path)).map(text).collect()
}
