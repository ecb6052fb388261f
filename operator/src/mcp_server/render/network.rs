//! Service and `NetworkPolicy`.

use k8s_openapi::{
    api::{
        core::v1::{Service, ServicePort, ServiceSpec},
        networking::v1::{
            IPBlock, NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer,
            NetworkPolicyPort, NetworkPolicySpec,
        },
    },
    apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};
use portico_crds::{labels, mcp_server::Egress};

use super::super::validate::Peers;
use super::{PORT_NAME, ValidatedServer, child_name, label_selector, meta, selector, strings};

pub fn service(server: &ValidatedServer) -> Service {
    Service {
        metadata: meta(server, child_name(&server.name)),
        spec: Some(ServiceSpec {
            selector: Some(selector(&server.name)),
            ports: Some(vec![ServicePort {
                name: Some(PORT_NAME.into()),
                port: server.spec.port,
                target_port: Some(IntOrString::String(PORT_NAME.into())),
                protocol: Some("TCP".into()),
                ..ServicePort::default()
            }]),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}

/// In: the gateway, and the operator, which reads the servers' health. Out: the cluster's DNS and what the spec allows.
pub fn policy(server: &ValidatedServer) -> NetworkPolicy {
    let mut egress = vec![dns()];
    egress.extend(server.spec.egress.iter().map(destination));
    NetworkPolicy {
        metadata: meta(server, child_name(&server.name)),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(label_selector(server)),
            policy_types: Some(vec!["Ingress".into(), "Egress".into()]),
            ingress: Some(vec![NetworkPolicyIngressRule {
                from: Some(vec![gateway(&server.peers), operator(&server.peers)]),
                ports: Some(vec![port("TCP", IntOrString::String(PORT_NAME.into()))]),
            }]),
            egress: Some(egress),
        }),
    }
}

/// The gateway's pods.
pub fn gateway(peers: &Peers) -> NetworkPolicyPeer {
    labelled(labels::GATEWAY, peers.gateway.as_deref())
}

/// The operator's pods.
pub fn operator(peers: &Peers) -> NetworkPolicyPeer {
    labelled(labels::OPERATOR_POD, peers.operator.as_deref())
}

/// Pods whose label `label` is 'true', of one namespace or of any.
fn labelled(label: &str, namespace: Option<&str>) -> NetworkPolicyPeer {
    NetworkPolicyPeer {
        namespace_selector: Some(namespace.map_or_else(LabelSelector::default, named)),
        pod_selector: Some(LabelSelector {
            match_labels: Some(strings(&[(label, "true")])),
            ..LabelSelector::default()
        }),
        ..NetworkPolicyPeer::default()
    }
}

/// Selects a namespace by its name, in a label that the API server gives each and nobody can change.
fn named(namespace: &str) -> LabelSelector {
    LabelSelector {
        match_labels: Some(strings(&[("kubernetes.io/metadata.name", namespace)])),
        ..LabelSelector::default()
    }
}

/// The cluster's name service.
pub fn dns() -> NetworkPolicyEgressRule {
    NetworkPolicyEgressRule {
        to: Some(vec![NetworkPolicyPeer {
            namespace_selector: Some(named("kube-system")),
            ..NetworkPolicyPeer::default()
        }]),
        ports: Some(vec![port("UDP", IntOrString::Int(53)), port("TCP", IntOrString::Int(53))]),
    }
}

/// A destination that a spec allows.
pub fn destination(egress: &Egress) -> NetworkPolicyEgressRule {
    let blocks = egress.cidrs.iter().map(|cidr| NetworkPolicyPeer {
        ip_block: Some(IPBlock { cidr: cidr.clone(), except: None }),
        ..NetworkPolicyPeer::default()
    });
    let pods = (!egress.pod_labels.is_empty()).then(|| NetworkPolicyPeer {
        pod_selector: Some(LabelSelector {
            match_labels: Some(egress.pod_labels.clone()),
            ..LabelSelector::default()
        }),
        ..NetworkPolicyPeer::default()
    });
    let ports: Vec<_> = egress.ports.iter().map(|number| port("TCP", IntOrString::Int(*number))).collect();
    NetworkPolicyEgressRule {
        to: Some(blocks.chain(pods).collect()),
        ports: (!ports.is_empty()).then_some(ports),
    }
}

fn port(protocol: &str, port: IntOrString) -> NetworkPolicyPort {
    NetworkPolicyPort { protocol: Some(protocol.into()), port: Some(port), ..NetworkPolicyPort::default() }
}
