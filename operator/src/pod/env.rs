//! A container's environment.

use k8s_openapi::api::core::v1::{
    ConfigMapEnvSource, ConfigMapKeySelector, EnvFromSource, EnvVar, EnvVarSource, ObjectFieldSelector,
    SecretEnvSource, SecretKeySelector,
};
use portico_crds::mcp_server as api;

/// A variable with a value that is no secret.
#[must_use]
pub fn plain(name: &str, value: &str) -> EnvVar {
    EnvVar { name: name.into(), value: Some(value.into()), ..EnvVar::default() }
}

/// A variable of a spec.
#[must_use]
pub fn variable(given: &api::EnvVar) -> EnvVar {
    EnvVar {
        name: given.name.clone(),
        value: given.value.clone(),
        value_from: given.value_from.as_ref().map(source),
    }
}

fn source(given: &api::EnvVarSource) -> EnvVarSource {
    EnvVarSource {
        secret_key_ref: given.secret_key_ref.as_ref().map(|r| SecretKeySelector {
            name: r.name.clone(),
            key: r.key.clone(),
            optional: None,
        }),
        config_map_key_ref: given.config_map_key_ref.as_ref().map(|r| ConfigMapKeySelector {
            name: r.name.clone(),
            key: r.key.clone(),
            optional: None,
        }),
        field_ref: given.field_ref.as_ref().map(|r| ObjectFieldSelector {
            api_version: Some("v1".into()),
            field_path: r.field_path.clone(),
        }),
        ..EnvVarSource::default()
    }
}

/// The Secrets and `ConfigMaps` whose every key is a variable.
#[must_use]
pub fn sources(given: &[api::EnvFrom]) -> Vec<EnvFromSource> {
    let from = |given: &api::EnvFrom| EnvFromSource {
        prefix: given.prefix.clone(),
        secret_ref: given.secret_ref.clone().map(|name| SecretEnvSource { name, optional: None }),
        config_map_ref: given.config_map_ref.clone().map(|name| ConfigMapEnvSource { name, optional: None }),
    };
    given.iter().map(from).collect()
}
