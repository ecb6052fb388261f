//! Models of a folder.

use portico_crds::InferenceModel;
use portico_operator::{
    inference_model::{
        fallback::chain_back,
        reference::{download_references, references},
        validate::{Inputs, validate},
    },
    kind::Refusal,
    mcp_server::validate::Settings,
};

use super::{
    Document, Key, Objects, Problem,
    objects::{decode, insert, key},
};

impl Objects {
    /// Adds a model.
    pub(super) fn add_model(&mut self, document: &Document, index: usize) -> Result<(), Problem> {
        let model: InferenceModel = decode(document)?;
        insert(&mut self.models, key(&model), (model, index), document)
    }

    /// What the operator would refuse of the models, each with its document.
    pub(crate) fn model_refusals(&self) -> Vec<(usize, Refusal)> {
        let refusal = |(key, (model, index)): (&Key, &(InferenceModel, usize))| {
            let inputs = Inputs {
                engine: self.resolve(&key.namespace, references(&model.spec)),
                download: self.resolve(&key.namespace, download_references(&model.spec)),
            };
            let refusal = validate(model, &inputs, &Settings::default()).err();
            Some((*index, refusal.or_else(|| self.refused_loop(key))?))
        };
        self.models.iter().filter_map(refusal).collect()
    }

    fn refused_loop(&self, at: &Key) -> Option<Refusal> {
        let links = |name: &str| {
            let of = Key { namespace: at.namespace.clone(), name: name.to_owned() };
            let fallbacks = self.models.get(&of).map(|(model, _)| model.spec.fallbacks.as_slice());
            fallbacks.unwrap_or_default().iter().map(|fallback| fallback.model_ref.clone()).collect()
        };
        let chain = chain_back(&at.name, links)?;
        let message =
            format!("spec.fallbacks: they lead back to this model: {chain}; remove one link of the chain");
        Some(Refusal::Loop(message))
    }

    /// The models that only a cluster runs; one elsewhere needs nothing.
    pub(crate) fn models_for_clusters(&self) -> impl Iterator<Item = &Key> {
        self.models.iter().filter(|(_, (model, _))| model.spec.is_deployed()).map(|(key, _)| key)
    }
}
