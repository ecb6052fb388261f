//! Which other objects an `McpServer` names. Pure.

use portico_crds::{
    McpServerSpec,
    mcp_server::{EnvVar, OnChange, UpstreamAuth},
};

use crate::reference::{Kind, Reference};

/// Every place in a spec that names another object.
#[must_use]
pub fn references(spec: &McpServerSpec) -> Vec<Reference> {
    let mut all = variables("spec.env", &spec.env);
    for (i, from) in spec.env_from.iter().enumerate() {
        let at = |field: &str| format!("spec.envFrom[{i}].{field}");
        all.extend(from.secret_ref.iter().map(|name| Reference::new(Kind::Secret, name, at("secretRef"))));
        let map = from.config_map_ref.iter();
        all.extend(map.map(|name| Reference::new(Kind::ConfigMap, name, at("configMapRef"))));
    }
    for (i, mount) in spec.secret_mounts.iter().enumerate() {
        let secret =
            Reference::new(Kind::Secret, &mount.secret_ref, format!("spec.secretMounts[{i}].secretRef"));
        all.push(if mount.on_change == OnChange::Reread { secret.without_restart() } else { secret });
    }
    for (i, volume) in spec.volumes.iter().enumerate() {
        let at = |field: &str| format!("spec.volumes[{i}].{field}");
        let map = volume.config_map_ref.iter();
        all.extend(map.map(|name| Reference::new(Kind::ConfigMap, name, at("configMapRef"))));
        let claim = volume.claim_ref.iter();
        all.extend(claim.map(|name| Reference::new(Kind::Volume, name, at("claimRef")).without_restart()));
    }
    all.extend(elsewhere(spec));
    all
}

/// Places in a list of environment variables that name another object; `field` is the list's path.
#[must_use]
pub fn variables(field: &str, env: &[EnvVar]) -> Vec<Reference> {
    let mut all = Vec::new();
    for (i, from) in
        env.iter().enumerate().filter_map(|(i, variable)| Some((i, variable.value_from.as_ref()?)))
    {
        if let Some(r) = &from.secret_key_ref {
            let at = format!("{field}[{i}].valueFrom.secretKeyRef");
            all.push(Reference::new(Kind::Secret, &r.name, at).key(&r.key));
        }
        if let Some(r) = &from.config_map_key_ref {
            let at = format!("{field}[{i}].valueFrom.configMapKeyRef");
            all.push(Reference::new(Kind::ConfigMap, &r.name, at).key(&r.key));
        }
    }
    all
}

/// What the pods do not read, but need.
fn elsewhere(spec: &McpServerSpec) -> impl Iterator<Item = Reference> {
    let service = spec.source.service.iter().map(|service| {
        Reference::new(Kind::Service, &service.name, "spec.source.service").key(&service.port.to_string())
    });
    let credentials = spec.upstream_auth.iter().flat_map(UpstreamAuth::secret_keys).map(|(field, of)| {
        Reference::new(Kind::Secret, &of.name, format!("spec.{field}")).key(&of.key).without_restart()
    });
    service.chain(claims("spec.resourceClaims", &spec.resource_claims)).chain(credentials)
}

/// The claims and templates of claims that a list of `resourceClaims` names; `field` is the list's path.
pub fn claims(
    field: &'static str,
    claims: &[portico_crds::mcp_server::ResourceClaim],
) -> impl Iterator<Item = Reference> {
    claims.iter().enumerate().filter_map(move |(i, claim)| {
        let (kind, name, member) = match (&claim.claim_name, &claim.claim_template_name) {
            (Some(name), _) => (Kind::Claim, name, "claimName"),
            (None, Some(name)) => (Kind::ClaimTemplate, name, "claimTemplateName"),
            (None, None) => return None,
        };
        Some(Reference::new(kind, name, format!("{field}[{i}].{member}")).without_restart())
    })
}
