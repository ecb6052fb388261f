//! What kinds that render `McpServer`s share. Pure.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::{Resource, ResourceExt as _};
use portico_crds::{
    McpServer, McpServerSpec,
    condition::Type,
    labels,
    mcp_server::{
        Audit, Builtin, BuiltinName, DEFAULT_PATH, DEFAULT_PORT, Egress, EnvVar, EnvVarSource, Protocol,
        SecretKeyRef, ServerOverrides, Source,
    },
    reason::Reason,
};

use crate::{
    child::outlive,
    condition::{Verdict, verdict},
    kind::Refusal,
    mcp_server::validate::{Settings, validate},
    reference::References,
    rendered::RenderedServer,
};

/// Most entries of an `McpServer`'s `egress`.
const MOST_DESTINATIONS: usize = 32;
/// Variables that the operator sets by itself.
const RESERVED: [&str; 2] = ["PORT", "HOST"];

/// The resource that children belong to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    api_version: String,
    kind: String,
    /// `metadata.name`.
    pub name: String,
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.uid`; empty where no API server gave one.
    pub uid: String,
    /// The annotation that asks for a restart, as it is.
    restarted_at: Option<String>,
    component: &'static str,
}

impl Owner {
    /// The owner of the children of `resource`, which carry `component` as their label.
    pub fn of<R: Resource<DynamicType = ()>>(resource: &R, component: &'static str) -> Self {
        Self {
            api_version: R::api_version(&()).into_owned(),
            kind: R::kind(&()).into_owned(),
            name: resource.name_any(),
            namespace: resource.namespace().unwrap_or_default(),
            uid: resource.uid().unwrap_or_default(),
            restarted_at: resource.annotations().get(labels::RESTARTED_AT).cloned(),
            component,
        }
    }

    /// Metadata of a child that goes with its owner.
    #[must_use]
    pub fn meta(&self, name: String) -> ObjectMeta {
        ObjectMeta {
            name: Some(name),
            namespace: Some(self.namespace.clone()),
            labels: Some(self.labels()),
            owner_references: Some(vec![self.reference()]),
            ..ObjectMeta::default()
        }
    }

    /// Metadata of a server: a restart that is asked of the owner is asked of it.
    #[must_use]
    pub fn server_meta(&self, name: String) -> ObjectMeta {
        let asked = self.restarted_at.clone().map(|time| [(labels::RESTARTED_AT.to_owned(), time)].into());
        ObjectMeta { annotations: asked, ..self.meta(name) }
    }

    /// Metadata of a child that outlives its owner, and is known again by its name and labels.
    #[must_use]
    pub fn lasting_meta(&self, name: String) -> ObjectMeta {
        let mut metadata = self.meta(name);
        outlive(&mut metadata);
        metadata
    }

    fn labels(&self) -> BTreeMap<String, String> {
        let pairs = [
            (labels::INSTANCE, self.name.as_str()),
            (labels::COMPONENT, self.component),
            (labels::PART_OF, labels::PORTICO),
            (labels::MANAGED_BY, labels::OPERATOR),
        ];
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn reference(&self) -> OwnerReference {
        OwnerReference {
            api_version: self.api_version.clone(),
            kind: self.kind.clone(),
            name: self.name.clone(),
            uid: self.uid.clone(),
            controller: Some(true),
            block_owner_deletion: Some(true),
        }
    }
}

/// A server of Portico's own, with nothing else said.
#[must_use]
pub fn builtin(name: BuiltinName) -> McpServerSpec {
    McpServerSpec {
        source: Source { builtin: Some(Builtin { name }), ..Source::default() },
        transport: None,
        port: DEFAULT_PORT,
        path: DEFAULT_PATH.to_owned(),
        protocol: Protocol::default(),
        replicas: None,
        scaling: None,
        env: Vec::new(),
        env_from: Vec::new(),
        secret_mounts: Vec::new(),
        config_files: Vec::new(),
        volumes: Vec::new(),
        resources: None,
        gpu: None,
        resource_claims: Vec::new(),
        placement: None,
        pod_template: None,
        expose: Vec::new(),
        upstream_auth: None,
        egress: Vec::new(),
        tools: None,
        timeouts: None,
        audit: Audit::default(),
    }
}

/// A variable with a value that is no secret.
#[must_use]
pub fn plain(name: &str, value: impl Into<String>) -> EnvVar {
    EnvVar { name: name.to_owned(), value: Some(value.into()), value_from: None }
}

/// A variable whose value the pods read from a Secret.
#[must_use]
pub fn secret(name: &str, secret: &str, key: &str) -> EnvVar {
    let reference = SecretKeyRef { name: secret.to_owned(), key: key.to_owned() };
    let source = EnvVarSource { secret_key_ref: Some(reference), ..EnvVarSource::default() };
    EnvVar { name: name.to_owned(), value: None, value_from: Some(source) }
}

/// Leave to reach the host of a URL. A policy knows addresses and no names, so it is any address on the URL's port.
#[must_use]
pub fn destination(name: &str, url: &str) -> Egress {
    Egress {
        name: name.to_owned(),
        cidrs: vec!["0.0.0.0/0".to_owned(), "::/0".to_owned()],
        pod_labels: BTreeMap::new(),
        ports: vec![port(url)],
    }
}

fn port(url: &str) -> i32 {
    let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let given = authority.rsplit_once(':').filter(|(_, port)| !port.contains(']'));
    let default = if scheme.eq_ignore_ascii_case("http") { 80 } else { 443 };
    given.and_then(|(_, port)| port.parse().ok()).unwrap_or(default)
}

/// Changes a rendered spec as its resource asks: what is given replaces what was rendered; variables and destinations
/// do so by name.
pub fn override_with(spec: &mut McpServerSpec, given: &ServerOverrides) {
    spec.replicas = given.replicas.or(spec.replicas);
    spec.resources = given.resources.clone().or(spec.resources.take());
    spec.placement = given.placement.clone().or(spec.placement.take());
    spec.tools = given.tools.clone().or(spec.tools.take());
    spec.timeouts = given.timeouts.clone().or(spec.timeouts.take());
    spec.pod_template = given.pod_template.clone().or(spec.pod_template.take());
    replace_by(&mut spec.env, &given.env, |variable| &variable.name);
    replace_by(&mut spec.egress, &given.egress, |destination| &destination.name);
}

fn replace_by<T: Clone>(rendered: &mut Vec<T>, given: &[T], name: impl Fn(&T) -> &String) {
    for item in given {
        match rendered.iter_mut().find(|old| name(old) == name(item)) {
            Some(old) => *old = item.clone(),
            None => rendered.push(item.clone()),
        }
    }
}

/// What of a rendered server its own rules would refuse; `field` is the path of the overrides that led to it.
#[must_use]
pub fn faults(field: &str, spec: &McpServerSpec, given: &ServerOverrides) -> Vec<String> {
    let mut faults = reserved(field, &given.env);
    if spec.egress.len() > MOST_DESTINATIONS {
        let own = spec.egress.len() - given.egress.len();
        faults.push(format!(
            "{field}.egress: has {} entries, and the operator adds {own}; at most {MOST_DESTINATIONS} are allowed in all",
            given.egress.len()
        ));
    }
    if !faults.is_empty() {
        return faults;
    }
    // Whether this version contains the server is no fault of the overrides, and would hide theirs.
    let any = builtin(BuiltinName::Files).source;
    let server = McpServer::new("", McpServerSpec { source: any, ..spec.clone() });
    match validate(&server, &References::default(), &Settings::default()) {
        // Its paths begin with the `McpServer`'s own `spec`.
        Err(Refusal::Invalid(found)) => found.iter().map(|fault| fault.replacen("spec", field, 1)).collect(),
        _ => Vec::new(),
    }
}

fn reserved(field: &str, env: &[EnvVar]) -> Vec<String> {
    let given = env.iter().enumerate().filter(|(_, variable)| RESERVED.contains(&variable.name.as_str()));
    given
        .map(|(i, variable)| {
            format!("{field}.env[{i}].name: '{}' is set by the operator; remove the entry", variable.name)
        })
        .collect()
}

/// That the first of some servers that is not ready is awaited, or stalls; nothing where all are ready. A server is
/// given by its name and what the cluster has of it.
#[must_use]
pub fn awaited<'a>(
    servers: impl IntoIterator<Item = (&'a str, Option<&'a RenderedServer>)>,
) -> Option<Vec<Verdict>> {
    let not_ready = |server: Option<&RenderedServer>| !server.is_some_and(RenderedServer::is_ready);
    let (name, server) = servers.into_iter().find(|(_, server)| not_ready(*server))?;
    let message = match server.and_then(RenderedServer::ready) {
        Some(ready) => format!("McpServer '{name}' is not ready: {}: {}", ready.reason, ready.message),
        None => format!("McpServer '{name}' is not ready: its newest spec has not been looked at yet"),
    };
    let stalled = server.and_then(|server| server.condition(Type::Stalled));
    let stalls = stalled.is_some_and(|condition| condition.status == "True");
    let abnormal = if stalls { Type::Stalled } else { Type::Reconciling };
    Some(vec![
        verdict(Type::Ready, "False", Reason::ServersNotReady, message.clone()),
        verdict(abnormal, "True", Reason::ServersNotReady, message),
    ])
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::port;

    #[rstest]
    #[case("https://api.kroger.com", 443)]
    #[case("http://standin:9300/v1", 9300)]
    #[case("http://standin?tenant=1:2", 80)]
    #[case("http://[::1]", 80)]
    #[case("https://[2001:db8::1]:8443/rest", 8443)]
    #[case("HTTP://shop.example", 80)]
    fn the_port_of_a_url_is_the_one_it_names_or_that_of_its_scheme(#[case] url: &str, #[case] expected: i32) {
        assert_eq!(port(url), expected);
    }
}
