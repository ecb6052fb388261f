//! What answers in place of a model.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A model that answers in place of this one.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Fallback {
    /// Name of an `InferenceModel` of this namespace.
    #[schemars(length(min = 1, max = 50), regex(pattern = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"))]
    pub model_ref: String,
    /// Reasons for which it steps in. Absent
    /// or empty: any. A request that is itself wrong is never passed on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 6))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Set)]
    pub on: Vec<Trigger>,
}

impl Fallback {
    /// Whether it steps in for `trigger`.
    #[must_use]
    pub fn steps_in(&self, trigger: Trigger) -> bool {
        self.on.is_empty() || self.on.contains(&trigger)
    }
}

/// Why a fallback answers.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Trigger {
    /// The model could not be fetched or loaded.
    LoadFailed,
    /// No pod of the model answers.
    Unavailable,
    /// The first token did not come in time.
    Timeout,
    /// The model has too much to do (429 or 503).
    Overloaded,
    /// The request is longer than the model's context.
    ContextLength,
    /// The answer does not fit the schema that was asked for.
    BadOutput,
}
