//! What each engine is told: command, arguments, environment, and how it says that it has loaded the model.

use k8s_openapi::{
    api::core::v1::{Container, EnvVar, EnvVarSource, ExecAction, HTTPGetAction, Probe, SecretKeySelector},
    apimachinery::pkg::util::intstr::IntOrString,
};
use portico_crds::{
    inference_model::{LlamaCpp, Ollama, Vllm},
    mcp_server::Resources,
};

use super::{
    super::{
        source::{DIRECTORY, Weights, path},
        validate::{Program, ValidatedModel},
    },
    PORT, PORT_NAME, volume,
};
use crate::{
    pod::{container_security, plain},
    quantity::thousandths,
};

/// More layers than any model has: all go to the GPU.
const ALL_LAYERS: i32 = 999;
/// Starts Ollama within an init container, pulls a model, and gives it the name that clients use.
const PULL: &str = "ollama serve & server=$!
until ollama list >/dev/null 2>&1; do kill -0 $server || exit 1; sleep 1; done
ollama pull \"$1\" && ollama cp \"$1\" \"$2\"";

/// What differs from engine to engine.
pub struct Parts {
    /// The engine's image.
    pub image: String,
    /// Program, where the image's entry point is not it.
    pub command: Vec<String>,
    /// Its arguments.
    pub args: Vec<String>,
    /// Variables that the spec may replace by its own.
    pub env: Vec<EnvVar>,
    /// Says that the model is loaded.
    pub startup: Probe,
    /// Says that the engine lives and can serve.
    pub health: &'static str,
}

/// What runs the model; `None` where nothing is deployed.
pub fn parts(model: &ValidatedModel) -> Option<Parts> {
    match &model.program {
        Program::LlamaCpp(image, own) => Some(llama(model, image, own)),
        Program::Vllm(image, own) => Some(vllm(model, image, own)),
        Program::Ollama(image, own) => Some(ollama(model, image, own)),
        Program::External(_) => None,
    }
}

fn options(pairs: &[(&str, String)]) -> Vec<String> {
    pairs.iter().flat_map(|(option, value)| [(*option).to_owned(), value.clone()]).collect()
}

fn llama(model: &ValidatedModel, image: &str, own: &LlamaCpp) -> Parts {
    // The server divides its context among its slots.
    let context = i64::from(own.context_length) * i64::from(own.parallel);
    let layers = own.gpu_layers.unwrap_or(if model.is_accelerated() { ALL_LAYERS } else { 0 });
    let mut args = options(&[
        ("--model", path(&model.weights()).unwrap_or_default()),
        ("--alias", model.name.clone()),
        ("--host", "0.0.0.0".to_owned()),
        ("--port", PORT.to_string()),
        ("--ctx-size", context.to_string()),
        ("--parallel", own.parallel.to_string()),
        ("--n-gpu-layers", layers.to_string()),
    ]);
    if let Some(threads) = threads(model.spec.resources.as_ref()) {
        let threads = threads.to_string();
        args.extend(options(&[("--threads", threads.clone()), ("--threads-batch", threads)]));
    }
    // Before the template, which may be one of Jinja then.
    args.extend(["--metrics", "--jinja"].map(str::to_owned));
    args.extend(own.chat_template.iter().flat_map(|text| options(&[("--chat-template", text.clone())])));
    args.extend(own.args.iter().cloned());
    Parts {
        image: image.to_owned(),
        command: Vec::new(),
        args,
        env: vec![plain("HOME", "/tmp")],
        startup: startup(model, http("/health")),
        health: "/health",
    }
}

/// Threads of an engine on the CPU: those that its limit lets run, since threads that wait for their turn hold up the
/// others, which spin. `None` without a limit: the engine takes what the node has.
#[must_use]
pub fn threads(resources: Option<&Resources>) -> Option<i64> {
    let limit = thousandths(resources?.limits.get("cpu")?)?;
    i64::try_from(limit / 1000).ok().map(|whole| whole.max(1))
}

fn vllm(model: &ValidatedModel, image: &str, own: &Vllm) -> Parts {
    let weights = model.weights();
    let gpus = own.tensor_parallel.or(model.spec.gpu.as_ref().map(|gpu| gpu.count)).unwrap_or(1);
    let what = match &weights {
        Weights::Repository(of) => of.repository.clone(),
        other => path(other).unwrap_or_default(),
    };
    let mut args = vec![what];
    args.extend(options(&[
        ("--served-model-name", model.name.clone()),
        ("--host", "0.0.0.0".to_owned()),
        ("--port", PORT.to_string()),
        ("--tensor-parallel-size", gpus.to_string()),
    ]));
    if let Weights::Repository(of) = &weights {
        args.extend(options(&[
            ("--revision", of.revision.clone()),
            ("--download-dir", DIRECTORY.to_owned()),
        ]));
    }
    args.extend(own.context_length.iter().flat_map(|n| options(&[("--max-model-len", n.to_string())])));
    if let Some(parser) = &own.tool_call_parser {
        args.push("--enable-auto-tool-choice".to_owned());
        args.extend(options(&[("--tool-call-parser", parser.clone())]));
    }
    args.extend(own.args.iter().cloned());
    Parts {
        image: image.to_owned(),
        command: ["vllm", "serve"].map(str::to_owned).to_vec(),
        args,
        env: vllm_environment(&weights),
        startup: startup(model, http("/health")),
        health: "/health",
    }
}

/// Its caches go where they can be written; and the user has a name, which some of its parts ask for.
fn vllm_environment(weights: &Weights<'_>) -> Vec<EnvVar> {
    let mut all = vec![
        plain("HOME", "/tmp"),
        plain("USER", "portico"),
        plain("VLLM_CACHE_ROOT", "/tmp/vllm"),
        plain("VLLM_NO_USAGE_STATS", "1"),
    ];
    let Weights::Repository(of) = weights else {
        all.push(plain("HF_HUB_OFFLINE", "1"));
        return all;
    };
    all.push(plain("HF_HOME", DIRECTORY));
    all.extend(of.token_secret.as_ref().map(|token| EnvVar {
        name: "HF_TOKEN".into(),
        value: None,
        value_from: Some(EnvVarSource {
            secret_key_ref: Some(SecretKeySelector {
                name: token.secret_ref.clone(),
                key: token.key.clone(),
                optional: None,
            }),
            ..EnvVarSource::default()
        }),
    }));
    all
}

fn ollama(model: &ValidatedModel, image: &str, own: &Ollama) -> Parts {
    let mut env = ollama_environment(&format!("0.0.0.0:{PORT}"));
    let keep = own.keep_alive_seconds.map_or_else(|| "-1".to_owned(), |seconds| format!("{seconds}s"));
    env.extend([
        plain("OLLAMA_KEEP_ALIVE", &keep),
        plain("OLLAMA_LOAD_TIMEOUT", &format!("{}s", model.spec.load_seconds())),
        plain("OLLAMA_MAX_LOADED_MODELS", "1"),
    ]);
    // An empty question loads the model, and is answered once it is there.
    let load = Probe {
        exec: Some(ExecAction {
            command: Some(["ollama", "run", &model.name, ""].map(str::to_owned).to_vec()),
        }),
        timeout_seconds: Some(model.spec.load_seconds()),
        ..Probe::default()
    };
    Parts {
        image: image.to_owned(),
        command: ["ollama", "serve"].map(str::to_owned).to_vec(),
        args: Vec::new(),
        env,
        startup: startup(model, load),
        health: "/",
    }
}

fn ollama_environment(host: &str) -> Vec<EnvVar> {
    vec![plain("HOME", "/tmp"), plain("OLLAMA_HOST", host), plain("OLLAMA_MODELS", DIRECTORY)]
}

/// Pulls Ollama's model before the server starts, so that the pods that serve never fetch anything.
pub fn pull(model: &ValidatedModel) -> Option<Container> {
    let Program::Ollama(image, own) = &model.program else { return None };
    Some(Container {
        name: "pull".into(),
        image: Some(image.clone()),
        command: Some(["/bin/sh", "-c", PULL, "pull"].map(str::to_owned).to_vec()),
        args: Some(vec![own.model.clone(), model.name.clone()]),
        env: Some(ollama_environment("127.0.0.1:11434")),
        security_context: Some(container_security()),
        volume_mounts: Some(volume::pull_mounts()),
        ..Container::default()
    })
}

/// A question over HTTP.
pub fn http(path: &str) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::String(PORT_NAME.into()),
            scheme: Some("HTTP".into()),
            ..HTTPGetAction::default()
        }),
        timeout_seconds: Some(3),
        success_threshold: Some(1),
        ..Probe::default()
    }
}

/// The probe with as many tries as the model has time to load: at first every second, with long deadlines more seldom.
fn startup(model: &ValidatedModel, probe: Probe) -> Probe {
    let deadline = model.spec.load_seconds();
    let period = (deadline / 60).clamp(1, 10);
    Probe {
        period_seconds: Some(period),
        failure_threshold: Some(deadline / period + i32::from(deadline % period != 0)),
        success_threshold: Some(1),
        ..probe
    }
}
