//! From a loose spec and what it refers to, to an integration that can be rendered. Pure.

use jiff::Timestamp;
use kube::ResourceExt as _;
use portico_crds::{
    KrogerIntegration, KrogerIntegrationSpec,
    kroger_integration::{Embedded, SessionKeys, Storage},
    labels,
};

use super::{COMPONENT, keyring::Wish, render};
use crate::{
    composite::{Owner, faults},
    kind::Refusal,
    reference::References,
};

/// An integration whose spec is valid and whose references exist.
#[derive(Clone, Debug)]
pub struct ValidatedIntegration {
    /// What its children belong to.
    pub owner: Owner,
    /// The spec.
    pub spec: KrogerIntegrationSpec,
    /// Where sessions, lists and preferences are kept.
    pub storage: Storage,
    /// How long keys live.
    pub session_keys: SessionKeys,
    /// The annotation that asks for a new key, as it is.
    pub rotate_keys: Option<String>,
}

impl ValidatedIntegration {
    /// The volume that the operator makes, where it makes one.
    #[must_use]
    pub fn own_volume(&self) -> Option<&Embedded> {
        self.storage.embedded.as_ref().filter(|embedded| embedded.claim_ref.is_none())
    }

    /// What is asked of the keys; `answered` is the value that was answered last, and `serving_since` when the server began to serve.
    #[must_use]
    pub fn wish<'a>(&'a self, answered: Option<&'a str>, serving_since: Option<Timestamp>) -> Wish<'a> {
        Wish {
            asked: self.rotate_keys.as_deref(),
            answered,
            every_days: self.session_keys.rotate_every_days,
            retain_days: self.session_keys.retain_days,
            serving_since,
        }
    }
}

/// Checks an integration.
///
/// # Errors
/// [`Refusal::Invalid`] lists every fault of the spec with its field; [`Refusal::Missing`] every reference that leads
/// nowhere, with the field that makes it.
pub fn validate(
    integration: &KrogerIntegration,
    references: &References,
) -> Result<ValidatedIntegration, Refusal> {
    let spec = &integration.spec;
    let valid = ValidatedIntegration {
        owner: Owner::of(integration, COMPONENT),
        spec: spec.clone(),
        storage: spec.storage.clone().unwrap_or_default(),
        session_keys: spec.session_keys.clone().unwrap_or_default(),
        rotate_keys: integration.annotations().get(labels::ROTATE_KEYS).cloned(),
    };
    let overrides = spec.server.clone().unwrap_or_default();
    let faults = faults("spec.server", &render::server_spec(&valid), &overrides);
    if !faults.is_empty() {
        return Err(Refusal::Invalid(faults));
    }
    if !references.missing.is_empty() {
        return Err(Refusal::Missing(references.missing.clone()));
    }
    Ok(valid)
}
