//! Which Secrets, `ConfigMaps` and Services a spec names, and what was found of them. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::{Display, Formatter, Result as FmtResult},
};

use portico_crds::McpServerSpec;
use sha2::{Digest as _, Sha256};

/// Kinds of objects that a spec may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A Secret.
    Secret,
    /// A `ConfigMap`.
    ConfigMap,
    /// A Service.
    Service,
}

impl Kind {
    /// The kind as manifests write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Secret => "Secret",
            Self::ConfigMap => "ConfigMap",
            Self::Service => "Service",
        }
    }
}

/// One place in a spec that names another object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// Kind of the object.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// The key that is read; `None` for the whole object.
    pub key: Option<String>,
    /// Path of the field that names it.
    pub field: String,
}

/// A reference that leads nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The reference.
    pub reference: Reference,
    /// Whether the object exists and only the key is missing.
    pub object_exists: bool,
}

impl Display for Missing {
    fn fmt(&self, f: &mut Formatter<'_>) -> FmtResult {
        let Reference { kind, name, key, field } = &self.reference;
        match key {
            Some(key) if self.object_exists => {
                write!(f, "{field}: {} '{name}' has no key '{key}'; add the key", kind.as_str())
            }
            _ => write!(f, "{field}: {} '{name}' does not exist in this namespace; create it", kind.as_str()),
        }
    }
}

/// Content of a Secret or `ConfigMap` by key. It is hashed and then dropped; nothing prints it.
pub type Content = BTreeMap<String, Vec<u8>>;

/// What a spec's references lead to.
#[derive(Clone, Debug, Default)]
pub struct References {
    /// References that lead nowhere.
    pub missing: Vec<Missing>,
    digests: BTreeMap<(Kind, String, Option<String>), String>,
}

impl References {
    /// Looks each reference of `spec` up in what was found.
    #[must_use]
    pub fn resolve(spec: &McpServerSpec, found: &BTreeMap<(Kind, String), Content>) -> Self {
        let mut resolved = Self::default();
        for reference in references(spec) {
            resolved.add(reference, found);
        }
        resolved
    }

    fn add(&mut self, reference: Reference, found: &BTreeMap<(Kind, String), Content>) {
        let content = found.get(&(reference.kind, reference.name.clone()));
        let value = content.and_then(|content| value_digest(content, reference.key.as_deref()));
        match value {
            Some(digest) => {
                self.digests.insert((reference.kind, reference.name, reference.key), digest);
            }
            None => self.missing.push(Missing { reference, object_exists: content.is_some() }),
        }
    }

    /// Digest of everything outside the pod template that the pods read: a change of it rolls them.
    #[must_use]
    pub fn digest(&self, spec: &McpServerSpec) -> String {
        let mut hash = Sha256::new();
        for ((kind, name, key), digest) in &self.digests {
            feed(&mut hash, &[kind.as_str(), name, key.as_deref().unwrap_or_default(), digest]);
        }
        for file in &spec.config_files {
            feed(&mut hash, &[&file.path, &file.content]);
        }
        hex(&hash.finalize()[..16])
    }
}

fn value_digest(content: &Content, key: Option<&str>) -> Option<String> {
    let mut hash = Sha256::new();
    match key {
        Some(key) => hash.update(content.get(key)?),
        None => content.iter().for_each(|(key, value)| {
            hash.update((key.len() as u64).to_be_bytes());
            hash.update(key);
            hash.update((value.len() as u64).to_be_bytes());
            hash.update(value);
        }),
    }
    Some(hex(&hash.finalize()))
}

/// Lengths go in with the parts, so that no two lists of parts hash alike.
fn feed(hash: &mut Sha256, parts: &[&str]) {
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
}

/// Lower-case hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        text.push(char::from_digit(u32::from(byte >> 4), 16).unwrap_or_default());
        text.push(char::from_digit(u32::from(byte & 15), 16).unwrap_or_default());
        text
    })
}

/// The objects that a spec names, each once.
#[must_use]
pub fn objects(spec: &McpServerSpec) -> BTreeSet<(Kind, String)> {
    references(spec).into_iter().map(|reference| (reference.kind, reference.name)).collect()
}

/// Every place in a spec that names another object.
#[must_use]
pub fn references(spec: &McpServerSpec) -> Vec<Reference> {
    let mut all = Vec::new();
    let mut add = |kind, name: &str, key: Option<&str>, field: String| {
        all.push(Reference { kind, name: name.to_owned(), key: key.map(ToOwned::to_owned), field });
    };
    for (i, variable) in spec.env.iter().enumerate() {
        let Some(from) = &variable.value_from else { continue };
        if let Some(r) = &from.secret_key_ref {
            add(Kind::Secret, &r.name, Some(&r.key), format!("spec.env[{i}].valueFrom.secretKeyRef"));
        }
        if let Some(r) = &from.config_map_key_ref {
            add(Kind::ConfigMap, &r.name, Some(&r.key), format!("spec.env[{i}].valueFrom.configMapKeyRef"));
        }
    }
    for (i, from) in spec.env_from.iter().enumerate() {
        if let Some(name) = &from.secret_ref {
            add(Kind::Secret, name, None, format!("spec.envFrom[{i}].secretRef"));
        }
        if let Some(name) = &from.config_map_ref {
            add(Kind::ConfigMap, name, None, format!("spec.envFrom[{i}].configMapRef"));
        }
    }
    for (i, mount) in spec.secret_mounts.iter().enumerate() {
        add(Kind::Secret, &mount.secret_ref, None, format!("spec.secretMounts[{i}].secretRef"));
    }
    for (i, volume) in spec.volumes.iter().enumerate() {
        if let Some(name) = &volume.config_map_ref {
            add(Kind::ConfigMap, name, None, format!("spec.volumes[{i}].configMapRef"));
        }
    }
    if let Some(service) = &spec.source.service {
        add(Kind::Service, &service.name, None, "spec.source.service.name".into());
    }
    all
}
