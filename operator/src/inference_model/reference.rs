//! Which other objects an `InferenceModel` names. Pure.

use portico_crds::{InferenceModelSpec, secret_value::SecretValue};

use crate::{
    mcp_server::reference::{claims, variables},
    reference::{Kind, Reference},
};

/// Every place in a spec that names another object, but for what only a download reads. A change of what the engine
/// reads leads to a new revision.
#[must_use]
pub fn references(spec: &InferenceModelSpec) -> Vec<Reference> {
    let mut all = variables("spec.env", &spec.env);
    all.extend(claims("spec.resourceClaims", &spec.resource_claims));
    if let Some(claim) = spec.source.as_ref().and_then(|source| source.claim.as_ref()) {
        all.push(Reference::new(Kind::Volume, &claim.name, "spec.source.claim.name").without_restart());
    }
    if let Some(key) = spec.engine.external.as_ref().and_then(|external| external.api_key.as_ref()) {
        all.push(secret(key, "spec.engine.external.apiKey").without_restart());
    }
    for (i, fallback) in spec.fallbacks.iter().enumerate() {
        let field = format!("spec.fallbacks[{i}].modelRef");
        all.push(Reference::new(Kind::Model, &fallback.model_ref, field).without_restart());
    }
    all
}

/// What only a download reads: a change of it starts the download anew, and leaves the engine alone.
#[must_use]
pub fn download_references(spec: &InferenceModelSpec) -> Vec<Reference> {
    let Some(source) = &spec.source else { return Vec::new() };
    let url = source.url.iter().filter_map(|url| url.token_secret.as_ref());
    let url = url.map(|token| secret(token, "spec.source.url.tokenSecret"));
    let repository = source.hugging_face.iter().filter_map(|repository| repository.token_secret.as_ref());
    url.chain(repository.map(|token| secret(token, "spec.source.huggingFace.tokenSecret"))).collect()
}

fn secret(value: &SecretValue, field: &str) -> Reference {
    Reference::new(Kind::Secret, &value.secret_ref, field).key(&value.key)
}
