//! A container's variables, and the `$(NAME)` references to them.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    ConfigMap, Container, EnvFromSource, EnvVarSource, ObjectFieldSelector, Pod, ResourceFieldSelector,
    Secret,
};
use kube::{Api, Client, ResourceExt};

use super::status::HOST_ADDRESS;
use super::{NODE_NAME, Refusal, quantity, register};
use crate::control::FIRST_SERVICE_ADDRESS;

/// What a container's variables may refer to.
pub(super) struct Facts<'a> {
    pub(super) client: &'a Client,
    pub(super) pod: &'a Pod,
    pub(super) ip: &'a str,
}

/// The variables of `container`, in the order in which later ones may refer to earlier ones.
pub(super) async fn resolve(
    facts: &Facts<'_>,
    container: &Container,
) -> Result<BTreeMap<String, String>, Refusal> {
    let mut variables = inherited(facts);
    for source in container.env_from.iter().flatten() {
        variables.extend(all_of(facts, source).await?);
    }
    for variable in container.env.iter().flatten() {
        let value = match &variable.value_from {
            Some(source) => value_from(facts, container, source).await?,
            None => Some(expand(variable.value.as_deref().unwrap_or_default(), &variables)),
        };
        if let Some(value) = value {
            variables.insert(variable.name.clone(), own_address(&value, facts.ip));
        }
    }
    Ok(variables)
}

/// What an image and a kubelet would give.
fn inherited(facts: &Facts<'_>) -> BTreeMap<String, String> {
    let own = ["PATH", "HOME", "LANG", "LD_LIBRARY_PATH"];
    let mut variables: BTreeMap<String, String> =
        own.iter().filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?))).collect();
    for (name, value) in [
        ("HOSTNAME", facts.pod.name_any().as_str()),
        ("HOST", facts.ip),
        ("KUBERNETES_SERVICE_HOST", FIRST_SERVICE_ADDRESS),
        ("KUBERNETES_SERVICE_PORT", "443"),
        ("KUBERNETES_SERVICE_PORT_HTTPS", "443"),
    ] {
        variables.insert(name.to_owned(), value.to_owned());
    }
    variables
}

async fn all_of(facts: &Facts<'_>, source: &EnvFromSource) -> Result<BTreeMap<String, String>, Refusal> {
    let prefix = source.prefix.as_deref().unwrap_or_default();
    let found = if let Some(map) = &source.config_map_ref {
        config_map(facts, &map.name, map.optional).await?
    } else if let Some(secret_ref) = &source.secret_ref {
        secret(facts, &secret_ref.name, secret_ref.optional).await?
    } else {
        BTreeMap::new()
    };
    Ok(found.into_iter().map(|(key, value)| (format!("{prefix}{key}"), value)).collect())
}

async fn value_from(
    facts: &Facts<'_>,
    container: &Container,
    source: &EnvVarSource,
) -> Result<Option<String>, Refusal> {
    if let Some(key) = &source.config_map_key_ref {
        let mut map = config_map(facts, &key.name, key.optional).await?;
        return needed(map.remove(&key.key), key.optional, || {
            format!("key {} of ConfigMap {}", key.key, key.name)
        });
    }
    if let Some(key) = &source.secret_key_ref {
        let mut map = secret(facts, &key.name, key.optional).await?;
        return needed(map.remove(&key.key), key.optional, || {
            format!("key {} of Secret {}", key.key, key.name)
        });
    }
    if let Some(field) = &source.field_ref {
        return field_value(facts.pod, facts.ip, field).map(Some);
    }
    if let Some(resource) = &source.resource_field_ref {
        return resource_value(container, resource).map(Some);
    }
    Err(Refusal::Create("a variable's source is of a kind that this node does not know".to_owned()))
}

fn needed<T>(
    found: Option<T>,
    optional: Option<bool>,
    what: impl Fn() -> String,
) -> Result<Option<T>, Refusal> {
    match found {
        None if optional != Some(true) => Err(Refusal::Config(format!("{} not found", what()))),
        found => Ok(found),
    }
}

async fn config_map(
    facts: &Facts<'_>,
    name: &str,
    optional: Option<bool>,
) -> Result<BTreeMap<String, String>, Refusal> {
    let maps: Api<ConfigMap> = Api::namespaced(facts.client.clone(), &namespace(facts.pod));
    let map = needed(maps.get_opt(name).await?, optional, || format!("configmap \"{name}\""))?;
    Ok(map.and_then(|map| map.data).unwrap_or_default())
}

async fn secret(
    facts: &Facts<'_>,
    name: &str,
    optional: Option<bool>,
) -> Result<BTreeMap<String, String>, Refusal> {
    let secrets: Api<Secret> = Api::namespaced(facts.client.clone(), &namespace(facts.pod));
    let secret = needed(secrets.get_opt(name).await?, optional, || format!("secret \"{name}\""))?;
    let data = secret.and_then(|secret| secret.data).unwrap_or_default();
    Ok(data.into_iter().map(|(key, value)| (key, String::from_utf8_lossy(&value.0).into_owned())).collect())
}

pub(super) fn namespace(pod: &Pod) -> String {
    pod.namespace().unwrap_or_else(|| "default".to_owned())
}

/// A field of the pod, as the downward API names it.
pub(super) fn field_value(pod: &Pod, ip: &str, field: &ObjectFieldSelector) -> Result<String, Refusal> {
    let path = field.field_path.as_str();
    let spec = pod.spec.as_ref();
    let keyed = |prefix: &str| path.strip_prefix(prefix)?.strip_suffix("']");
    if let Some(key) = keyed("metadata.labels['") {
        return Ok(pod.labels().get(key).cloned().unwrap_or_default());
    }
    if let Some(key) = keyed("metadata.annotations['") {
        return Ok(pod.annotations().get(key).cloned().unwrap_or_default());
    }
    Ok(match path {
        "metadata.name" => pod.name_any(),
        "metadata.namespace" => namespace(pod),
        "metadata.uid" => pod.uid().unwrap_or_default(),
        "metadata.labels" => lines(pod.labels()),
        "metadata.annotations" => lines(pod.annotations()),
        "spec.nodeName" => NODE_NAME.to_owned(),
        "spec.serviceAccountName" => {
            spec.and_then(|spec| spec.service_account_name.clone()).unwrap_or_default()
        }
        "status.podIP" | "status.podIPs" => ip.to_owned(),
        "status.hostIP" | "status.hostIPs" => HOST_ADDRESS.to_owned(),
        _ => return Err(Refusal::Config(format!("there is no field {path} to refer to"))),
    })
}

fn lines(map: &BTreeMap<String, String>) -> String {
    map.iter().map(|(key, value)| format!("{key}={value:?}")).collect::<Vec<_>>().join("\n")
}

/// A limit or request of the container; one that is not set is what the node has.
fn resource_value(container: &Container, field: &ResourceFieldSelector) -> Result<String, Refusal> {
    let unknown = || Refusal::Config(format!("there is no resource {} to refer to", field.resource));
    let (side, name) = field.resource.split_once('.').ok_or_else(unknown)?;
    let resources = container.resources.clone().unwrap_or_default();
    let set = match side {
        "limits" => resources.limits,
        "requests" => resources.requests,
        _ => return Err(unknown()),
    };
    let whole_node = || register::capacity(name).map(ToOwned::to_owned);
    let value = set.and_then(|set| set.get(name).map(|value| value.0.clone())).or_else(whole_node);
    let divisor = field.divisor.as_ref().map_or("1", |divisor| divisor.0.as_str());
    value.and_then(|value| quantity::divided(&value, divisor)).ok_or_else(unknown)
}

/// Replaces `$(NAME)` by the variable's value; `$$` is one dollar; what is unknown stays as it is.
pub(super) fn expand(text: &str, variables: &BTreeMap<String, String>) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        result.push_str(&rest[..dollar]);
        rest = &rest[dollar..];
        let (replacement, length) = reference(rest, variables);
        result.push_str(replacement);
        rest = &rest[length..];
    }
    result + rest
}

/// What the dollar at the begin of `text` stands for, and how many bytes it covers.
fn reference<'a>(text: &'a str, variables: &'a BTreeMap<String, String>) -> (&'a str, usize) {
    if text.starts_with("$$") {
        return ("$", 2);
    }
    let Some(end) = text.strip_prefix("$(").and_then(|name| name.find(')')) else { return ("$", 1) };
    let whole = &text[..end + 3];
    let value = variables.get(&whole[2..whole.len() - 1]);
    (value.map_or(whole, String::as_str), whole.len())
}

/// Puts the pod's address where a value says "all addresses": pods share the machine's network.
pub(super) fn own_address(value: &str, ip: &str) -> String {
    const ALL: &str = "0.0.0.0";
    let mut result = String::new();
    let mut rest = value;
    while let Some(at) = rest.find(ALL) {
        let after = &rest[at + ALL.len()..];
        let part_of_more = rest[..at].ends_with(|c: char| c.is_ascii_digit() || c == '.')
            || after.starts_with(|c: char| c.is_ascii_digit() || c == '.' || c == '/');
        result.push_str(&rest[..at]);
        result.push_str(if part_of_more { ALL } else { ip });
        rest = after;
    }
    result + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_replaced_escapes_kept_and_unknown_names_left() {
        let variables = BTreeMap::from([("A".to_owned(), "1".to_owned())]);
        assert_eq!(expand("x$(A)y$(A)", &variables), "x1y1");
        assert_eq!(expand("$$(A) $(B) $A $", &variables), "$(A) $(B) $A $");
        assert_eq!(expand("$(A", &variables), "$(A");
    }

    #[test]
    fn all_addresses_become_the_pods_and_networks_stay() {
        let own = |value: &str| own_address(value, "198.18.1.2");
        assert_eq!(own("0.0.0.0:8080"), "198.18.1.2:8080");
        assert_eq!(own("--listen=0.0.0.0"), "--listen=198.18.1.2");
        assert_eq!(own("0.0.0.0/0"), "0.0.0.0/0");
        assert_eq!(own("10.0.0.0"), "10.0.0.0");
    }

    #[test]
    fn a_field_that_does_not_exist_is_refused_by_name() {
        let field = ObjectFieldSelector { field_path: "spec.nothing".to_owned(), ..Default::default() };
        let error = field_value(&Pod::default(), "", &field).unwrap_err();
        assert_eq!(error.reason(), "CreateContainerConfigError");
        assert!(error.to_string().contains("spec.nothing"));
    }
}
