//! The Deployment.

use k8s_openapi::{
    api::apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment},
    apimachinery::pkg::util::intstr::IntOrString,
};

use kube::api::ObjectMeta;
use portico_crds::{
    labels,
    mcp_server::{Access, Volume},
};
use sha2::{Digest as _, Sha256};

use super::{ValidatedServer, child_name, label_selector, meta, pod, strings};
use crate::reference::hex;

/// `replicas` stays out where the spec says none: whoever scales the Deployment owns the field then.
pub fn deployment(server: &ValidatedServer) -> Deployment {
    Deployment {
        metadata: metadata(server),
        spec: Some(DeploymentSpec {
            replicas: server.spec.replicas,
            selector: label_selector(server),
            strategy: Some(strategy(server)),
            revision_history_limit: Some(3),
            template: pod::template(server),
            ..DeploymentSpec::default()
        }),
        ..Deployment::default()
    }
}

/// A new pod must serve before an old one goes, so that an edit interrupts nobody. Where the pods write to a claim, the
/// old one goes first: most volumes can be had on one node at a time, and a new pod on another would wait for ever. Where there is one
/// pod, it has ended before the next one starts, so that no two write to one file: a rolling update does not wait for pods that are ending.
fn strategy(server: &ValidatedServer) -> DeploymentStrategy {
    let writes = |volume: &Volume| volume.claim_ref.is_some() && volume.access == Access::ReadWrite;
    let writes = server.spec.volumes.iter().any(writes);
    if writes && most_pods(server) <= 1 {
        return DeploymentStrategy { type_: Some("Recreate".into()), rolling_update: None };
    }
    let (surge, unavailable) = if writes { (0, 1) } else { (1, 0) };
    DeploymentStrategy {
        type_: Some("RollingUpdate".into()),
        rolling_update: Some(RollingUpdateDeployment {
            max_surge: Some(IntOrString::Int(surge)),
            max_unavailable: Some(IntOrString::Int(unavailable)),
        }),
    }
}

/// Most pods that a spec allows; where it says nothing, what others have made of that, or Kubernetes will.
fn most_pods(server: &ValidatedServer) -> i32 {
    let scaling = server.spec.scaling.as_ref().map(|scaling| scaling.max);
    server.spec.replicas.or(scaling).or(server.scaled_to).unwrap_or(1)
}

/// What the pods run of Portico's own image is written down, so that the next operator can keep it.
fn metadata(server: &ValidatedServer) -> ObjectMeta {
    let annotations = pod::uses_own_image(&server.program).then(|| {
        strings(&[
            (labels::PORTICO_IMAGE, &server.portico_image),
            (labels::TEMPLATE_DIGEST, &digest(server, &server.portico_image)),
        ])
    });
    ObjectMeta { annotations, ..meta(server, child_name(&server.name)) }
}

/// Digest of the pod template with `image` as Portico's own.
pub fn digest(server: &ValidatedServer, image: &str) -> String {
    let server = ValidatedServer { portico_image: image.to_owned(), ..server.clone() };
    let template = serde_json::to_string(&pod::template(&server)).unwrap_or_default();
    hex(&Sha256::digest(template)[..16])
}
