//! Says of a manifest what the API server would say of it, and where: by schema, then by CEL rule.

mod schema;

use std::sync::LazyLock;

use kube::core::cel::{CompiledSchema, Validator, compile_schema};
use serde_json::Value;

pub use schema::{Strictness, check_schema};

use crate::definitions;

/// One thing that is wrong with a manifest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// Path of the field, such as `spec.env[0].name`; empty for the whole manifest.
    pub path: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.path.as_str() {
            "" => f.write_str(&self.message),
            path => write!(f, "{path}: {}", self.message),
        }
    }
}

struct Kind {
    api_version: String,
    kind: String,
    schema: Value,
    rules: CompiledSchema,
}

static KINDS: LazyLock<Vec<Kind>> = LazyLock::new(|| definitions().into_iter().flat_map(kinds).collect());

fn kinds(definition: crate::CustomResourceDefinition) -> Vec<Kind> {
    let spec = definition.spec;
    let (group, kind) = (spec.group, spec.names.kind);
    let versions = spec.versions.into_iter().filter_map(|version| {
        let schema = serde_json::to_value(version.schema?.open_api_v3_schema?).ok()?;
        let rules = compile_schema(&schema);
        Some(Kind { api_version: format!("{group}/{}", version.name), kind: kind.clone(), schema, rules })
    });
    versions.collect()
}

/// Checks a manifest of one of Portico's kinds; `None` if it is of another.
///
/// Rules are tried only on a manifest that fits the schema, as the API server does.
#[must_use]
pub fn check(manifest: &Value) -> Option<Vec<Fault>> {
    let kind = kind_of(manifest)?;
    let mut faults = check_metadata(manifest);
    let manifest = without_nulls(manifest);
    faults.extend(check_schema(&kind.schema, &manifest, Strictness::CustomResource));
    if faults.is_empty() {
        faults.extend(check_rules(&kind.rules, &manifest));
    }
    faults.sort();
    faults.dedup();
    Some(faults)
}

fn kind_of(manifest: &Value) -> Option<&'static Kind> {
    let text = |field: &str| manifest.get(field).and_then(Value::as_str).unwrap_or_default();
    KINDS.iter().find(|kind| kind.api_version == text("apiVersion") && kind.kind == text("kind"))
}

/// The manifest as the API server reads it: a field of Portico's kinds that is null counts as absent, since none may
/// be null. In what is passed on to Kubernetes as it is, such as `podTemplate`, and in other kinds nulls stay.
#[must_use]
pub fn without_nulls(manifest: &Value) -> Value {
    let mut manifest = manifest.clone();
    if let Some(kind) = kind_of(&manifest) {
        schema::drop_nulls(&kind.schema, &mut manifest);
    }
    manifest
}

/// The group that Portico's kinds are in, with what a person may have meant.
#[must_use]
pub fn known_kinds() -> Vec<(&'static str, &'static str)> {
    KINDS.iter().map(|kind| (kind.api_version.as_str(), kind.kind.as_str())).collect()
}

/// The schema leaves `metadata` to the API server, which has rules of its own (RFC 1123, DNS labels).
#[must_use]
pub fn check_metadata(manifest: &Value) -> Vec<Fault> {
    let Some(name) = manifest.pointer("/metadata/name") else {
        return vec![fault("metadata.name", "is required: give the resource a name")];
    };
    let valid = |text: &str| {
        !text.is_empty()
            && text.len() <= 253
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.')
            && text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.ends_with(|c: char| c.is_ascii_alphanumeric())
    };
    match name.as_str() {
        Some(text) if valid(text) => Vec::new(),
        Some(text) => vec![fault(
            "metadata.name",
            format!(
                "'{text}' must consist of 'a-z', '0-9', '-' and '.', and begin and end with a letter or digit"
            ),
        )],
        None => vec![fault("metadata.name", "must be text; write it in quotes")],
    }
}

fn check_rules(rules: &CompiledSchema, manifest: &Value) -> Vec<Fault> {
    let errors = Validator::new().validate_compiled(rules, manifest, None).err();
    let all = errors.into_iter().flat_map(kube::core::cel::ValidationErrors::into_vec);
    all.map(|error| fault(error.field_path.trim_start_matches('.'), error.message)).collect()
}

fn fault(path: &str, message: impl Into<String>) -> Fault {
    Fault { path: path.to_owned(), message: message.into() }
}
