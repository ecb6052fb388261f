//! What runs a model.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::rules;
use crate::secret_value::SecretValue;

/// Tokens of context of a request when the spec names none.
pub const DEFAULT_CONTEXT_LENGTH: i32 = 4096;

/// What runs a model: a union of which exactly one member is set. Whatever runs it speaks the `OpenAI` HTTP API.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq)]
#[x_kube(validation = kube::core::Rule::new("[has(self.llamaCpp), has(self.vllm), has(self.ollama), has(self.external), has(self.embedded)].exists_one(x, x)")
    .message("`engine` must have exactly one of `llamaCpp`, `vllm`, `ollama`, `external` and `embedded`"))]
#[serde(rename_all = "camelCase")]
pub struct Engine {
    /// The server of llama.cpp, for GGUF files on CPUs and GPUs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub llama_cpp: Option<LlamaCpp>,
    /// The vLLM server, for GPUs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vllm: Option<Vllm>,
    /// Ollama, which fetches a model of its own library by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ollama: Option<Ollama>,
    /// A service that runs elsewhere; nothing is deployed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<External>,
    /// The engine within Portico's own image: small GGUF models of the llama architecture, on the CPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedded: Option<Embedded>,
}

impl Engine {
    /// The engine's name for people, as `status.engine` shows it; `None` for a union the schema refuses.
    #[must_use]
    pub const fn name(&self) -> Option<&'static str> {
        match self {
            Self { llama_cpp: Some(_), .. } => Some("LlamaCpp"),
            Self { vllm: Some(_), .. } => Some("Vllm"),
            Self { ollama: Some(_), .. } => Some("Ollama"),
            Self { external: Some(_), .. } => Some("External"),
            Self { embedded: Some(_), .. } => Some("Embedded"),
            _ => None,
        }
    }
}

/// The server of llama.cpp. Its threads follow from the CPU limit of `resources`.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct LlamaCpp {
    /// Image whose entry point is the program `llama-server`. Absent: the stock image that the operator was started with, for the CPU or,
    /// with `gpu` or `resourceClaims`, for CUDA.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512), regex(pattern = r"^[^\s]+$"))]
    pub image: Option<String>,
    /// Tokens of context that each request has.
    #[serde(default = "default_context_length")]
    #[schemars(range(min = 64, max = 10_485_760))]
    pub context_length: i32,
    /// Requests that a pod works on at the same time; each takes memory for `contextLength` tokens.
    #[serde(default = "default_parallel")]
    #[schemars(range(min = 1, max = 256))]
    pub parallel: i32,
    /// Layers that go to the GPU. Absent: all with `gpu` or `resourceClaims`, else none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1000))]
    pub gpu_layers: Option<i32>,
    /// Chat template in Jinja, or the name of one that llama.cpp knows, instead of the one in the model's file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32768))]
    pub chat_template: Option<String>,
    /// Further arguments of `llama-server`; they stand last and so win.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 4096)))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Atomic)]
    pub args: Vec<String>,
}

const fn default_context_length() -> i32 {
    DEFAULT_CONTEXT_LENGTH
}

const fn default_parallel() -> i32 {
    1
}

/// The vLLM server.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Vllm {
    /// Image with the program `vllm`. Absent: the stock image that the operator was started with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512), regex(pattern = r"^[^\s]+$"))]
    pub image: Option<String>,
    /// Tokens of context that each request has. Absent: what the model was made for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 64, max = 10_485_760))]
    pub context_length: Option<i32>,
    /// GPUs over which the model is split. Absent: `gpu.count`, else 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 64))]
    pub tensor_parallel: Option<i32>,
    /// Name of vLLM's parser for the model's tool calls, such as 'hermes'. Absent: no native tool calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[A-Za-z0-9_.-]+$"))]
    pub tool_call_parser: Option<String>,
    /// Further arguments of `vllm serve`; they stand last and so win.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 4096)))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Atomic)]
    pub args: Vec<String>,
}

/// Ollama.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Ollama {
    /// Image with the program `ollama`. Absent: the stock image that the operator was started with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512), regex(pattern = r"^[^\s]+$"))]
    pub image: Option<String>,
    /// Name of the model in Ollama's library, such as 'llama3.2:3b'.
    #[schemars(
        length(min = 1, max = 256),
        regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9._/-]*(:[A-Za-z0-9._-]+)?$")
    )]
    pub model: String,
    /// Seconds that the model stays in memory unused. Absent: always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 604_800))]
    pub keep_alive_seconds: Option<i32>,
}

/// A service that runs elsewhere and speaks the `OpenAI` HTTP API.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct External {
    /// Base URL, below which `/chat/completions` is, such as `https://api.example.com/v1`. A key belongs in `apiKey`.
    #[schemars(length(min = 8, max = 2048))]
    #[x_kube(validation = rules::http_url("url"))]
    pub url: String,
    /// Name of the model there.
    #[schemars(length(min = 1, max = 256))]
    pub model: String,
    /// Secret whose key holds the API key, sent as `Authorization: Bearer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key: Option<SecretValue>,
}

/// The engine within Portico's own image.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Embedded {
    /// Tokens of context that each request has. Absent: what the model was made for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 64, max = 10_485_760))]
    pub context_length: Option<i32>,
}
