//! The Deployment.

use k8s_openapi::{
    api::apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment},
    apimachinery::pkg::util::intstr::IntOrString,
};

use super::{ValidatedServer, child_name, label_selector, meta, pod};

/// `replicas` stays out where the spec says none: whoever scales the Deployment owns the field then.
pub fn deployment(server: &ValidatedServer) -> Deployment {
    Deployment {
        metadata: meta(server, child_name(&server.name)),
        spec: Some(DeploymentSpec {
            replicas: server.spec.replicas,
            selector: label_selector(server),
            strategy: Some(strategy()),
            revision_history_limit: Some(3),
            template: pod::template(server),
            ..DeploymentSpec::default()
        }),
        ..Deployment::default()
    }
}

/// A new pod must serve before an old one goes, so that an edit interrupts nobody.
fn strategy() -> DeploymentStrategy {
    DeploymentStrategy {
        type_: Some("RollingUpdate".into()),
        rolling_update: Some(RollingUpdateDeployment {
            max_surge: Some(IntOrString::Int(1)),
            max_unavailable: Some(IntOrString::Int(0)),
        }),
    }
}
