//! What the pods of all kinds share: resources, placement, security and environment. Pure.

mod env;
pub mod patch;

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{
        Affinity, Capabilities, PodResourceClaim, PodSecurityContext, PodSpec, ResourceClaim,
        ResourceRequirements, SeccompProfile, SecurityContext, Toleration, TopologySpreadConstraint,
        VolumeMount,
    },
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::LabelSelector},
};
use portico_crds::mcp_server as api;
use serde::de::DeserializeOwned;

pub use env::{plain, sources, variable};

/// User of the images that Portico knows, "nobody" of the common distroless images; and every pod's group for files.
pub const USER: i64 = 65532;

/// What a container asks for and may use, GPUs included.
#[derive(Clone, Copy, Debug, Default)]
pub struct Devices<'a> {
    /// `spec.resources`.
    pub resources: Option<&'a api::Resources>,
    /// `spec.gpu`.
    pub gpu: Option<&'a api::Gpu>,
    /// `spec.resourceClaims`.
    pub claims: &'a [api::ResourceClaim],
}

/// The container's requests, limits and claims; `None` where there are none.
#[must_use]
pub fn resources(devices: Devices<'_>) -> Option<ResourceRequirements> {
    let amounts = |map: &BTreeMap<String, api::Quantity>| -> BTreeMap<String, Quantity> {
        map.iter().map(|(name, amount)| (name.clone(), Quantity(amount.0.clone()))).collect()
    };
    let given = devices.resources.cloned().unwrap_or_default();
    let (requests, mut limits) = (amounts(&given.requests), amounts(&given.limits));
    limits.extend(devices.gpu.map(|gpu| (gpu.requested_resource(), Quantity(gpu.count.to_string()))));
    let claims: Vec<ResourceClaim> = devices
        .claims
        .iter()
        .map(|claim| ResourceClaim { name: claim.name.clone(), request: claim.request.clone() })
        .collect();
    (!requests.is_empty() || !limits.is_empty() || !claims.is_empty()).then(|| ResourceRequirements {
        requests: (!requests.is_empty()).then_some(requests),
        limits: (!limits.is_empty()).then_some(limits),
        claims: none_if_empty(claims),
    })
}

/// The pod's claims for devices.
#[must_use]
pub fn claims(given: &[api::ResourceClaim]) -> Option<Vec<PodResourceClaim>> {
    let claim = |given: &api::ResourceClaim| PodResourceClaim {
        name: given.name.clone(),
        resource_claim_name: given.claim_name.clone(),
        resource_claim_template_name: given.claim_template_name.clone(),
    };
    none_if_empty(given.iter().map(claim).collect())
}

/// Puts the pod where the spec wants it. `affinity` is `placement.affinity`, parsed; `pods` selects the pods of the
/// same workload, over which they spread.
pub fn place(
    pod: &mut PodSpec,
    placement: &api::Placement,
    gpu: Option<&api::Gpu>,
    affinity: Option<Affinity>,
    pods: &LabelSelector,
) {
    let node_selector = node_selector(placement, gpu);
    pod.node_selector = (!node_selector.is_empty()).then_some(node_selector);
    pod.affinity = affinity;
    pod.tolerations = none_if_empty(tolerations(placement, gpu));
    pod.topology_spread_constraints = none_if_empty(spread(placement, pods));
    pod.priority_class_name.clone_from(&placement.priority_class_name);
    pod.runtime_class_name.clone_from(&placement.runtime_class_name);
}

fn node_selector(placement: &api::Placement, gpu: Option<&api::Gpu>) -> BTreeMap<String, String> {
    let mut labels = placement.node_selector.clone();
    let product = gpu.and_then(|gpu| Some((format!("{}/gpu.product", gpu.vendor()), gpu.product.clone()?)));
    labels.extend(product);
    labels
}

/// Nodes with GPUs carry a taint of the whole resource's name, however their GPUs are shared.
fn tolerations(placement: &api::Placement, gpu: Option<&api::Gpu>) -> Vec<Toleration> {
    let gpu = gpu.map(|gpu| Toleration {
        key: Some(gpu.resource_name.clone()),
        operator: Some("Exists".into()),
        effect: Some("NoSchedule".into()),
        ..Toleration::default()
    });
    placement.tolerations.iter().map(toleration).chain(gpu).collect()
}

fn toleration(given: &api::Toleration) -> Toleration {
    Toleration {
        key: given.key.clone(),
        operator: given.operator.map(|operator| format!("{operator:?}")),
        value: given.value.clone(),
        effect: given.effect.map(|effect| format!("{effect:?}")),
        toleration_seconds: given.toleration_seconds,
    }
}

fn spread(placement: &api::Placement, pods: &LabelSelector) -> Vec<TopologySpreadConstraint> {
    let constraint = |rule: &api::TopologySpread| TopologySpreadConstraint {
        topology_key: rule.topology_key.clone(),
        max_skew: rule.max_skew,
        when_unsatisfiable: format!("{:?}", rule.when_unsatisfiable),
        label_selector: Some(pods.clone()),
        ..TopologySpreadConstraint::default()
    };
    placement.topology_spread.iter().map(constraint).collect()
}

/// The profile "restricted" of Pod Security; `user` where the image's own is not to be trusted to be other than root.
#[must_use]
pub fn pod_security(user: Option<i64>) -> PodSecurityContext {
    PodSecurityContext {
        run_as_non_root: Some(true),
        run_as_user: user,
        run_as_group: user,
        // Whatever the image's user: mounted Secrets can be read by this group alone, and claims written by it.
        fs_group: Some(USER),
        fs_group_change_policy: Some("OnRootMismatch".into()),
        seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".into(), localhost_profile: None }),
        ..PodSecurityContext::default()
    }
}

/// The profile "restricted" of Pod Security, for a container, and a root file system that nothing can change.
#[must_use]
pub fn container_security() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        read_only_root_filesystem: Some(true),
        capabilities: Some(Capabilities { drop: Some(vec!["ALL".into()]), ..Capabilities::default() }),
        ..SecurityContext::default()
    }
}

/// A mount with the two fields that every mount has.
#[must_use]
pub fn mount(name: &str, path: &str) -> VolumeMount {
    VolumeMount { name: name.to_owned(), mount_path: path.to_owned(), ..VolumeMount::default() }
}

/// `None` for an empty list: an absent field and an empty one are not the same to server-side apply.
#[must_use]
pub fn none_if_empty<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

/// Reads an object that the spec hands on as it is; the error begins with the field's path.
///
/// # Errors
/// What of the object Kubernetes would not take.
pub fn parse<T: DeserializeOwned>(field: &str, object: &api::Opaque) -> Result<T, String> {
    serde_json::from_value(serde_json::Value::Object(object.clone()))
        .map_err(|error| format!("{field}: {error}"))
}

/// The affinity of a placement, parsed.
///
/// # Errors
/// What of it Kubernetes would not take.
pub fn affinity(placement: Option<&api::Placement>) -> Result<Option<Affinity>, String> {
    let given = placement.and_then(|placement| placement.affinity.as_ref());
    given.map(|affinity| parse("spec.placement.affinity", affinity)).transpose()
}
