//! Which other objects a spec names, and what was found of them. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::{Display, Formatter, Result as FmtResult},
};

use sha2::{Digest as _, Sha256};

/// Kinds of objects that a spec may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A Secret.
    Secret,
    /// A `ConfigMap`.
    ConfigMap,
    /// A Service; its keys are its ports.
    Service,
    /// A `PersistentVolumeClaim`; its keys are its access modes.
    Volume,
    /// A `ResourceClaim`.
    Claim,
    /// A `ResourceClaimTemplate`.
    ClaimTemplate,
    /// An `InferenceModel`.
    Model,
}

impl Kind {
    /// The kind as manifests write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Secret => "Secret",
            Self::ConfigMap => "ConfigMap",
            Self::Service => "Service",
            Self::Volume => "PersistentVolumeClaim",
            Self::Claim => "ResourceClaim",
            Self::ClaimTemplate => "ResourceClaimTemplate",
            Self::Model => "InferenceModel",
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
    /// What a change of the object asks for.
    pub change: Change,
    /// What the value of the key must begin with, one of them; empty where any value will do.
    pub schemes: &'static [&'static str],
}

/// What follows from a change of an object that a spec names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// The pods are replaced.
    Restart,
    /// Nothing: the pods see it by themselves, or do not read it.
    Nothing,
}

impl Reference {
    /// A reference to a whole object, a change of which replaces the pods.
    #[must_use]
    pub fn new(kind: Kind, name: &str, field: impl Into<String>) -> Self {
        let (name, field) = (name.to_owned(), field.into());
        Self { kind, name, key: None, field, change: Change::Restart, schemes: &[] }
    }

    /// The same, to one key of the object.
    #[must_use]
    pub fn key(self, key: &str) -> Self {
        Self { key: Some(key.to_owned()), ..self }
    }

    /// The same, whose value must begin with one of `schemes`, white space aside.
    #[must_use]
    pub fn beginning(self, schemes: &'static [&'static str]) -> Self {
        Self { schemes, ..self }
    }

    /// Whether a value begins as it must.
    fn is_met(&self, content: &Content) -> bool {
        let value = self.key.as_ref().and_then(|key| content.get(key)).map(|value| value.trim_ascii_start());
        self.schemes.is_empty()
            || value
                .is_some_and(|value| self.schemes.iter().any(|scheme| value.starts_with(scheme.as_bytes())))
    }

    /// The same, whose change leaves the pods alone.
    #[must_use]
    pub fn without_restart(self) -> Self {
        Self { change: Change::Nothing, ..self }
    }
}

/// A reference that leads nowhere, or to what cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The reference.
    pub reference: Reference,
    /// What is missing.
    pub lack: Lack,
}

/// What of the object of a reference is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// All of it.
    Object,
    /// The key.
    Key,
    /// A value of the key that begins as it must.
    Scheme,
}

impl Display for Missing {
    fn fmt(&self, f: &mut Formatter<'_>) -> FmtResult {
        let Reference { kind, name, key, field, .. } = &self.reference;
        let (kind, key) = (kind.as_str(), key.as_deref().unwrap_or_default());
        match self.lack {
            Lack::Key if self.reference.kind == Kind::Service => {
                write!(f, "{field}: Service '{name}' has no port {key}; name one that it has")
            }
            Lack::Key => write!(f, "{field}: {kind} '{name}' has no key '{key}'; add the key"),
            // The value itself is a secret, however wrong it is.
            Lack::Scheme => {
                let begins = self.reference.schemes.join(" or ");
                write!(
                    f,
                    "{field}: the value of the key '{key}' of {kind} '{name}' does not begin with {begins}; correct it"
                )
            }
            Lack::Object => write!(f, "{field}: {kind} '{name}' does not exist in this namespace; create it"),
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
    /// Volumes that no two nodes can have at once.
    one_node: BTreeSet<String>,
    digests: BTreeMap<(Kind, String, Option<String>), String>,
}

impl References {
    /// Looks each reference up in what was found.
    #[must_use]
    pub fn resolve(references: Vec<Reference>, found: &BTreeMap<(Kind, String), Content>) -> Self {
        let mut resolved = Self { one_node: on_one_node(found), ..Self::default() };
        for reference in references {
            resolved.add(reference, found);
        }
        resolved
    }

    fn add(&mut self, reference: Reference, found: &BTreeMap<(Kind, String), Content>) {
        let content = found.get(&(reference.kind, reference.name.clone()));
        let value = content.and_then(|content| value_digest(content, reference.key.as_deref()));
        let lack = match (content, &value) {
            (None, _) => Some(Lack::Object),
            (Some(_), None) => Some(Lack::Key),
            (Some(content), Some(_)) => (!reference.is_met(content)).then_some(Lack::Scheme),
        };
        match (lack, value) {
            (Some(lack), _) => self.missing.push(Missing { reference, lack }),
            (None, Some(digest)) if reference.change == Change::Restart => {
                self.digests.insert((reference.kind, reference.name, reference.key), digest);
            }
            (None, _) => {}
        }
    }

    /// Whether one node alone can have a volume, as far as it is known.
    #[must_use]
    pub fn is_on_one_node(&self, volume: &str) -> bool {
        self.one_node.contains(volume)
    }

    /// Digest of everything outside the pod template that the pods read: a change of it replaces them. `files` are
    /// paths and texts of the files that the resource itself brings.
    #[must_use]
    pub fn digest<'a>(&self, files: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
        let mut hash = Sha256::new();
        for ((kind, name, key), digest) in &self.digests {
            feed(&mut hash, &[kind.as_str(), name, key.as_deref().unwrap_or_default(), digest]);
        }
        for (path, content) in files {
            feed(&mut hash, &[path, content]);
        }
        hex(&hash.finalize()[..16])
    }
}

/// The volumes all of whose access modes bind them to one node.
fn on_one_node(found: &BTreeMap<(Kind, String), Content>) -> BTreeSet<String> {
    let binds = |modes: &Content| {
        !modes.is_empty()
            && modes.keys().all(|mode| ["ReadWriteOnce", "ReadWriteOncePod"].contains(&mode.as_str()))
    };
    let volumes = found.iter().filter(|((kind, _), modes)| *kind == Kind::Volume && binds(modes));
    volumes.map(|((_, name), _)| name.clone()).collect()
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

/// The objects that references lead to, each once.
#[must_use]
pub fn objects(references: &[Reference]) -> BTreeSet<(Kind, String)> {
    references.iter().map(|reference| (reference.kind, reference.name.clone())).collect()
}
