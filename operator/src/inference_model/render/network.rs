//! Service and network policies.

use k8s_openapi::{
    api::{
        core::v1::{Service, ServicePort, ServiceSpec},
        networking::v1::{
            NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer,
            NetworkPolicyPort, NetworkPolicySpec,
        },
    },
    apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};

use super::{
    super::{
        progress,
        source::{Remote, Storage, Weights},
        validate::ValidatedModel,
    },
    PORT, PORT_NAME, child_name, download_policy_name, download_selector, label_selector, meta,
    revision_selector, selector,
};
use crate::mcp_server::render::{destination, dns, gateway, operator};

/// The Service, in front of one revision.
#[must_use]
pub fn service(model: &ValidatedModel, revision: &str) -> Service {
    Service {
        metadata: meta(model, child_name(&model.name)),
        spec: Some(ServiceSpec {
            selector: Some(revision_selector(model, revision)),
            ports: Some(vec![ServicePort {
                name: Some(PORT_NAME.into()),
                port: PORT,
                target_port: Some(IntOrString::String(PORT_NAME.into())),
                protocol: Some("TCP".into()),
                ..ServicePort::default()
            }]),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}

/// In: the gateway alone. Out: the cluster's DNS and what the spec allows, and, where the pods fetch the model
/// themselves, its source.
pub fn serving(model: &ValidatedModel) -> NetworkPolicy {
    let fetched = match (model.weights(), &model.storage) {
        (Weights::File(remote), Storage::Scratch(_)) => Some(remote_port(model, &remote)),
        (Weights::Repository(_) | Weights::Library(_), _) => Some(443),
        _ => None,
    };
    let in_pod = matches!((model.weights(), &model.storage), (Weights::File(_), Storage::Scratch(_)));
    let mut ingress = vec![from(gateway(&model.peers), IntOrString::String(PORT_NAME.into()))];
    ingress.extend(in_pod.then(|| from(operator(&model.peers), IntOrString::Int(progress::PORT))));
    policy(model, (child_name(&model.name), label_selector(selector(&model.name))), ingress, fetched)
}

/// In: the operator, which asks how far it is. Out: DNS, the source, and what the spec allows.
pub fn download(model: &ValidatedModel) -> NetworkPolicy {
    let port = match model.weights() {
        Weights::File(remote) => remote_port(model, &remote),
        _ => 443,
    };
    let ingress = vec![from(operator(&model.peers), IntOrString::Int(progress::PORT))];
    let pods = label_selector(download_selector(model));
    policy(model, (download_policy_name(&model.name), pods), ingress, Some(port))
}

fn policy(
    model: &ValidatedModel,
    (name, pods): (String, LabelSelector),
    ingress: Vec<NetworkPolicyIngressRule>,
    fetched_from: Option<i32>,
) -> NetworkPolicy {
    let mut egress = vec![dns()];
    egress.extend(model.spec.egress.iter().map(destination));
    egress.extend(fetched_from.map(anywhere));
    NetworkPolicy {
        metadata: meta(model, name),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(pods),
            policy_types: Some(vec!["Ingress".into(), "Egress".into()]),
            ingress: Some(ingress),
            egress: Some(egress),
        }),
    }
}

/// The port of a file's source; a redirect leads to another host, mostly by HTTPS, so that one is allowed, too.
fn remote_port(model: &ValidatedModel, remote: &Remote<'_>) -> i32 {
    let endpoint = model.spec.env.iter().find(|variable| variable.name == "HF_ENDPOINT");
    let url = match remote {
        Remote::Url(url) => url.url.as_str(),
        Remote::HuggingFace(..) => {
            endpoint.and_then(|variable| variable.value.as_deref()).unwrap_or_default()
        }
    };
    let given = url.parse::<http::Uri>().ok().and_then(|uri| uri.port_u16()).map(i32::from);
    given.unwrap_or(if url.starts_with("http:") { 80 } else { 443 })
}

/// Any host: which one a name or a redirect leads to, a policy cannot say.
fn anywhere(port: i32) -> NetworkPolicyEgressRule {
    let mut ports = vec![tcp(IntOrString::Int(port))];
    if port != 443 {
        ports.push(tcp(IntOrString::Int(443)));
    }
    NetworkPolicyEgressRule { to: None, ports: Some(ports) }
}

fn from(peer: NetworkPolicyPeer, port: IntOrString) -> NetworkPolicyIngressRule {
    NetworkPolicyIngressRule { from: Some(vec![peer]), ports: Some(vec![tcp(port)]) }
}

fn tcp(port: IntOrString) -> NetworkPolicyPort {
    NetworkPolicyPort { protocol: Some("TCP".into()), port: Some(port), ..NetworkPolicyPort::default() }
}
