//! The container's environment.

use k8s_openapi::api::core::v1::EnvVar;
use portico_crds::mcp_server::Audit;

use super::{super::validate::ValidatedServer, pod::runner_environment};
use crate::pod::{plain, variable};

/// `HOST` and `PORT` first, so that later values may use them; then the runner's; then the spec's own.
pub fn variables(server: &ValidatedServer) -> Vec<EnvVar> {
    let mut all = vec![plain("HOST", "0.0.0.0"), plain("PORT", &server.spec.port.to_string())];
    let own = |name: &str| server.spec.env.iter().any(|variable| variable.name == name);
    all.extend(runner_environment(&server.program).into_iter().filter(|variable| !own(&variable.name)));
    if server.spec.audit != Audit::Off {
        all.push(plain("PORTICO_AUDIT", server.spec.audit.as_str()));
    }
    all.extend(server.spec.env.iter().map(variable));
    all
}
