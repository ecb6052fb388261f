//! What of a language model the gateway has to know.

use portico_crds::InferenceModel;
use portico_crds::inference_model::Engine;
use serde::{Deserialize, Serialize};

use super::{Endpoint, Server, ServerKey, Timeouts};

/// Seconds that an answer, or the pause between two of its parts, may take: a long prompt is read for minutes on a CPU.
const ANSWER_SECONDS: u64 = 600;

/// A language model, spoken to by an HTTP API like that of `OpenAI`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Model {
    /// What its engine calls it, where that is not the name of the resource.
    pub known_as: Option<String>,
    /// Path that answers a GET with 200 once the model is loaded, if the engine has one.
    pub health: Option<String>,
}

impl Model {
    fn of(engine: &Engine) -> Self {
        match engine {
            Engine { ollama: Some(ollama), .. } => {
                Self { known_as: Some(ollama.model.clone()), health: None }
            }
            _ => Self { known_as: None, health: Some("/health".to_owned()) },
        }
    }
}

impl Server {
    /// The server that an `InferenceModel` describes, ready at `endpoints`.
    #[must_use]
    pub fn from_model(resource: &InferenceModel, endpoints: Vec<Endpoint>) -> Self {
        let meta = &resource.metadata;
        let key = ServerKey {
            namespace: meta.namespace.clone().unwrap_or_default(),
            name: meta.name.clone().unwrap_or_default(),
        };
        let call = std::time::Duration::from_secs(ANSWER_SECONDS);
        Self {
            model: Some(Model::of(&resource.spec.engine)),
            timeouts: Timeouts { call, ..Timeouts::default() },
            ..Self::new(key, endpoints)
        }
    }
}
