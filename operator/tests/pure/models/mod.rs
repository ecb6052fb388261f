//! Models.

mod artifact;
mod fallback;
mod render;
mod status;
mod validate;

use std::collections::BTreeMap;

use portico_crds::InferenceModel;
use portico_operator::inference_model::reference::{download_references, references};
use portico_operator::inference_model::validate::{Inputs, ValidatedModel, validate as validated};
use portico_operator::kind::Refusal;
use portico_operator::mcp_server::validate::{EngineImages, Settings};
use portico_operator::reference::{Content, Kind, References};
use serde_json::{Value, json};

use super::content;

const SUM: &str = "18d850ba1ab442c5194bb75bdecf5aeb284ecbd9114856910d01c54509a8fd4c";

/// A model as the API server gives it, generation 3.
fn model(spec: &Value) -> InferenceModel {
    serde_json::from_value(json!({
        "apiVersion": "portico.dev/v1alpha1", "kind": "InferenceModel",
        "metadata": {"name": "chat", "namespace": "store", "uid": "uid-1", "generation": 3},
        "spec": spec,
    }))
    .unwrap()
}

/// What the specs of these tests name; `token` is the value of one Secret.
fn cluster(token: &str) -> BTreeMap<(Kind, String), Content> {
    BTreeMap::from([
        ((Kind::Secret, "tokens".to_owned()), content(&[("hub", token)])),
        ((Kind::Secret, "keys".to_owned()), content(&[("api", token)])),
        ((Kind::Volume, "models".to_owned()), content(&[("ReadWriteMany", "")])),
        ((Kind::Volume, "disk".to_owned()), content(&[("ReadWriteOnce", "")])),
        ((Kind::ClaimTemplate, "gpu".to_owned()), Content::new()),
        ((Kind::Model, "small".to_owned()), Content::new()),
    ])
}

fn settings() -> Settings {
    Settings {
        portico_image: "portico:test".into(),
        engines: EngineImages {
            llama: "llama:test".into(),
            llama_cuda: "llama-cuda:test".into(),
            vllm: "vllm:test".into(),
            ollama: "ollama:test".into(),
        },
        ..Settings::default()
    }
}

fn validate_with(
    model: &InferenceModel,
    token: &str,
    settings: &Settings,
) -> Result<ValidatedModel, Refusal> {
    let found = cluster(token);
    let inputs = Inputs {
        engine: References::resolve(references(&model.spec), &found),
        download: References::resolve(download_references(&model.spec), &found),
    };
    validated(model, &inputs, settings)
}

fn validate(spec: &Value) -> Result<ValidatedModel, Refusal> {
    validate_with(&model(spec), "one", &settings())
}

/// A model from a URL, on llama.cpp.
fn from_url() -> Value {
    json!({
        "source": {"url": {"url": "https://models.example.com/small.gguf?key=x", "sha256": SUM}},
        "engine": {"llamaCpp": {}},
    })
}

/// `from_url` with one field more, or other.
fn with(field: &str, value: Value) -> Value {
    let mut spec = from_url();
    spec[field] = value;
    spec
}
