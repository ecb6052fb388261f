//! The variables of a container, as the kubelet would work them out.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, EnvFromSource, EnvVar};
use portico_operator::reference::{Content, Kind};

use super::Replica;
use crate::manifest::{Key, Objects};

/// The variables of `container`.
///
/// # Errors
/// Names the variable and what of it cannot be had here.
pub fn variables(
    objects: &Objects,
    replica: &Replica,
    container: &Container,
) -> Result<BTreeMap<String, String>, String> {
    let mut all = BTreeMap::new();
    for source in container.env_from.iter().flatten() {
        all.extend(from_source(objects, replica, source)?);
    }
    for variable in container.env.iter().flatten() {
        let value = value(objects, replica, variable, &all)?;
        all.extend(value.map(|value| (variable.name.clone(), value)));
    }
    Ok(all)
}

fn from_source(
    objects: &Objects,
    replica: &Replica,
    source: &EnvFromSource,
) -> Result<BTreeMap<String, String>, String> {
    let secret = source.secret_ref.as_ref().map(|r| (Kind::Secret, r.name.clone(), r.optional));
    let map = source.config_map_ref.as_ref().map(|r| (Kind::ConfigMap, r.name.clone(), r.optional));
    let Some((kind, name, optional)) = secret.or(map) else { return Ok(BTreeMap::new()) };
    let Some(content) = content(objects, replica, kind, &name) else {
        return if optional == Some(true) { Ok(BTreeMap::new()) } else { Err(missing(kind, &name)) };
    };
    let prefix = source.prefix.as_deref().unwrap_or_default();
    Ok(content.into_iter().map(|(key, bytes)| (format!("{prefix}{key}"), text(&bytes))).collect())
}

fn value(
    objects: &Objects,
    replica: &Replica,
    variable: &EnvVar,
    before: &BTreeMap<String, String>,
) -> Result<Option<String>, String> {
    let Some(from) = &variable.value_from else {
        return Ok(Some(expand(variable.value.as_deref().unwrap_or_default(), before)));
    };
    if let Some(field) = &from.field_ref {
        return field_of(replica, &field.field_path).map(Some).ok_or_else(|| {
            format!(
                "the variable {} reads the pod's field '{}', which only a cluster has",
                variable.name, field.field_path
            )
        });
    }
    let secret = from.secret_key_ref.as_ref().map(|r| (Kind::Secret, &r.name, &r.key, r.optional));
    let map = from.config_map_key_ref.as_ref().map(|r| (Kind::ConfigMap, &r.name, &r.key, r.optional));
    let Some((kind, name, key, optional)) = secret.or(map) else {
        return Err(format!("the variable {} reads what only a cluster has", variable.name));
    };
    match content(objects, replica, kind, name).and_then(|content| content.get(key).map(|bytes| text(bytes)))
    {
        Some(value) => Ok(Some(value)),
        None if optional == Some(true) => Ok(None),
        None => Err(format!("{} (key '{key}', for the variable {})", missing(kind, name), variable.name)),
    }
}

fn content(objects: &Objects, replica: &Replica, kind: Kind, name: &str) -> Option<Content> {
    objects.content(kind, &Key { namespace: replica.id.key().namespace.clone(), name: name.to_owned() })
}

fn missing(kind: Kind, name: &str) -> String {
    format!("{} '{name}' is not in the folder or lacks the key; add it there", kind.as_str())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn field_of(replica: &Replica, path: &str) -> Option<String> {
    match path {
        "metadata.name" => Some(replica.name()),
        "metadata.namespace" => Some(replica.id.key().namespace.clone()),
        "status.podIP" | "status.hostIP" => Some("127.0.0.1".into()),
        _ => None,
    }
}

/// `$(NAME)` stands for a variable, `$$` for a dollar sign, and an unknown name for itself (core/v1 `EnvVar.value`).
#[must_use]
pub fn expand(text: &str, variables: &BTreeMap<String, String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
            continue;
        }
        let name = rest.strip_prefix('(').and_then(|inner| inner.split_once(')'));
        match name.and_then(|(name, after)| Some((variables.get(name)?, after))) {
            Some((value, after)) => {
                out.push_str(value);
                rest = after;
            }
            None => out.push('$'),
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_expanded_as_the_kubelet_does() {
        let variables =
            BTreeMap::from([("PORT".to_owned(), "80".to_owned()), ("ROUND".into(), "$(PORT)".into())]);
        for (given, expected) in [
            ("$(PORT)", "80"),
            ("a$(PORT)b$(PORT)", "a80b80"),
            ("$(NONE)", "$(NONE)"),
            ("$$(PORT)", "$(PORT)"),
            ("$PORT $", "$PORT $"),
            ("$(PORT", "$(PORT"),
            ("$(ROUND)", "$(PORT)"),
            ("ü$(PORT)ü", "ü80ü"),
        ] {
            assert_eq!(expand(given, &variables), expected);
        }
    }
}
