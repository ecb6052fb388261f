//! From a loose spec and what it refers to, to a server that can be rendered. Pure.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Affinity, PodTemplateSpec};
use kube::ResourceExt;
use portico_crds::{
    McpServer, McpServerSpec, labels,
    mcp_server::{Registry, Transport},
};

use super::render;
use crate::{
    kind::Refusal,
    pod::{self, parse},
    reference::References,
};

/// Settings of the operator that everything it renders shares.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Portico's own image: the shipped servers, and the bridge for stdio servers.
    pub portico_image: String,
    /// Stock image in which npx runs.
    pub npm_image: String,
    /// Stock image in which uvx runs.
    pub pypi_image: String,
    /// Stock images of the engines of models.
    pub engines: EngineImages,
    /// Who may reach the pods.
    pub peers: Peers,
}

/// Namespaces of the pods that may reach those of servers and models, besides the label that they need; `None` is any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peers {
    /// Of the gateway's.
    pub gateway: Option<String>,
    /// Of the operator's.
    pub operator: Option<String>,
}

/// Stock images in which the engines of models run.
#[derive(Clone, Debug, PartialEq)]
pub struct EngineImages {
    /// The server of llama.cpp, for the CPU.
    pub llama: String,
    /// The same for CUDA.
    pub llama_cuda: String,
    /// The vLLM server.
    pub vllm: String,
    /// Ollama.
    pub ollama: String,
}

impl Default for EngineImages {
    fn default() -> Self {
        Self {
            llama: "ghcr.io/ggml-org/llama.cpp:server-b11669".into(),
            llama_cuda: "ghcr.io/ggml-org/llama.cpp:server-cuda-b11669".into(),
            vllm: "vllm/vllm-openai:v0.11.0".into(),
            ollama: "ollama/ollama:0.12.6".into(),
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            portico_image: concat!("portico:", env!("CARGO_PKG_VERSION")).into(),
            npm_image: "node:22-slim".into(),
            pypi_image: "astral/uv:python3.13-bookworm-slim".into(),
            engines: EngineImages::default(),
            peers: Peers::default(),
        }
    }
}

/// A server whose spec is valid and whose references exist.
#[derive(Clone, Debug)]
pub struct ValidatedServer {
    /// `metadata.name`.
    pub name: String,
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.uid`; empty where no API server gave one.
    pub uid: String,
    /// The spec, with opaque parts checked.
    pub spec: McpServerSpec,
    /// What the container runs.
    pub program: Program,
    /// Portico's own image.
    pub portico_image: String,
    /// Whether the pods carry the label [`portico_crds::labels::SERVING`]. Those of a workload that an older version made do
    /// not, until something else about them changes.
    pub marked: bool,
    /// Whether the last lines of a shipped server's log tell why it ended. Those of a workload that an older version made do not, until
    /// something else about them changes.
    pub tells_why: bool,
    /// Pods that the Deployment is to have now, for where the spec leaves the number to others.
    pub scaled_to: Option<i32>,
    /// Who may reach the pods.
    pub peers: Peers,
    /// Parsed `spec.placement.affinity`.
    pub affinity: Option<Affinity>,
    /// The annotation that asks for a restart, as it is.
    pub restarted_at: Option<String>,
    /// Digest of everything outside the spec that the pods read.
    pub inputs_digest: String,
}

/// What a server's container runs.
#[derive(Clone, Debug, PartialEq)]
pub enum Program {
    /// A server of Portico's own image, by name.
    Builtin(&'static str),
    /// A command that speaks HTTP on its port, in an image; both empty means the image's own.
    Http {
        /// Reference of the image.
        image: String,
        /// Program and first arguments.
        command: Vec<String>,
        /// Further arguments.
        args: Vec<String>,
    },
    /// A command that speaks over standard input and output, in an image, behind the bridge.
    Stdio {
        /// Reference of the image.
        image: String,
        /// Program and all its arguments.
        command: Vec<String>,
        /// The package registry the program comes from, if it comes from one.
        registry: Option<Registry>,
    },
    /// Nothing is deployed; clients are sent to this URL.
    Elsewhere {
        /// URL of the MCP endpoint.
        url: String,
    },
}

/// Checks a server.
///
/// # Errors
/// [`Refusal::Invalid`] lists every fault of the spec with its field; [`Refusal::Missing`] every reference that leads
/// nowhere, with the field that makes it.
pub fn validate(
    server: &McpServer,
    references: &References,
    settings: &Settings,
) -> Result<ValidatedServer, Refusal> {
    if let Some(name) = server.spec.source.builtin.as_ref().map(|builtin| builtin.name)
        && !name.is_included()
    {
        return Err(Refusal::NotIncluded(format!(
            "spec.source.builtin.name: this version of Portico does not contain the server '{}'",
            name.as_str()
        )));
    }
    let faults = faults(server);
    if !faults.is_empty() {
        return Err(Refusal::Invalid(faults));
    }
    if !references.missing.is_empty() {
        return Err(Refusal::Missing(references.missing.clone()));
    }
    let files = server.spec.config_files.iter().map(|file| (file.path.as_str(), file.content.as_str()));
    let validated = ValidatedServer {
        name: server.name_any(),
        namespace: server.namespace().unwrap_or_default(),
        uid: server.uid().unwrap_or_default(),
        spec: server.spec.clone(),
        program: program(server, settings)
            .ok_or_else(|| Refusal::Invalid(vec!["spec.source: has no known member".into()]))?,
        portico_image: settings.portico_image.clone(),
        marked: true,
        tells_why: true,
        scaled_to: None,
        peers: settings.peers.clone(),
        affinity: pod::affinity(server.spec.placement.as_ref())
            .map_err(|fault| Refusal::Invalid(vec![fault]))?,
        restarted_at: server.annotations().get(labels::RESTARTED_AT).cloned(),
        inputs_digest: references.digest(files),
    };
    render::check_patch(&validated).map_err(|fault| Refusal::Invalid(vec![fault]))?;
    Ok(validated)
}

fn faults(server: &McpServer) -> Vec<String> {
    let mut faults: Vec<String> = reserved_variables(&server.spec).collect();
    faults.extend(shared_paths(&server.spec));
    faults.extend(missing_command(&server.spec));
    if let Some(patch) = &server.spec.pod_template {
        faults.extend(parse::<PodTemplateSpec>("spec.podTemplate", patch).err());
    }
    faults
}

fn reserved_variables(spec: &McpServerSpec) -> impl Iterator<Item = String> {
    spec.env
        .iter()
        .enumerate()
        .filter(|(_, variable)| ["PORT", "HOST"].contains(&variable.name.as_str()))
        .map(|(index, variable)| {
            format!(
                "spec.env[{index}].name: '{}' is set by the operator; set `spec.port` to change the port",
                variable.name
            )
        })
}

fn shared_paths(spec: &McpServerSpec) -> Vec<String> {
    let secrets = spec
        .secret_mounts
        .iter()
        .enumerate()
        .map(|(i, m)| (format!("spec.secretMounts[{i}].mountPath"), &m.mount_path));
    let volumes =
        spec.volumes.iter().enumerate().map(|(i, v)| (format!("spec.volumes[{i}].mountPath"), &v.mount_path));
    let files =
        spec.config_files.iter().enumerate().map(|(i, f)| (format!("spec.configFiles[{i}].path"), &f.path));
    let mut seen = BTreeSet::new();
    secrets
        .chain(volumes)
        .chain(files)
        .filter(|(_, path)| !seen.insert(path.trim_end_matches('/')))
        .map(|(field, path)| format!("{field}: '{path}' is mounted twice; give each mount a path of its own"))
        .collect()
}

fn missing_command(spec: &McpServerSpec) -> Option<String> {
    let image = spec.source.image.as_ref()?;
    (spec.transport() == Transport::Stdio && image.command.is_empty()).then(|| {
        "spec.source.image.command: must name the program with `transport: Stdio`, since the bridge starts it".into()
    })
}

fn program(server: &McpServer, settings: &Settings) -> Option<Program> {
    let source = &server.spec.source;
    if let Some(builtin) = &source.builtin {
        return Some(Program::Builtin(builtin.name.as_str()));
    }
    if let Some(image) = &source.image {
        let (image, command, args) = (image.name.clone(), image.command.clone(), image.args.clone());
        return Some(match server.spec.transport() {
            Transport::StreamableHttp | Transport::Sse => Program::Http { image, command, args },
            Transport::Stdio => Program::Stdio { image, command: [command, args].concat(), registry: None },
        });
    }
    if let Some(package) = &source.package {
        return packaged(package, server.spec.transport(), settings);
    }
    elsewhere(server)
}

fn packaged(
    package: &portico_crds::mcp_server::Package,
    transport: Transport,
    settings: &Settings,
) -> Option<Program> {
    let (registry, name) = package.split()?;
    let (stock, mut command) = match registry {
        Registry::Npm => (&settings.npm_image, vec!["npx".to_owned(), "--yes".to_owned()]),
        Registry::Pypi => (&settings.pypi_image, vec!["uvx".to_owned()]),
    };
    command.push(format!("{name}@{}", package.version));
    command.extend(package.args.iter().cloned());
    let image = package.image.clone().unwrap_or_else(|| stock.clone());
    Some(match transport {
        Transport::Stdio => Program::Stdio { image, command, registry: Some(registry) },
        Transport::StreamableHttp | Transport::Sse => Program::Http { image, command, args: Vec::new() },
    })
}

fn elsewhere(server: &McpServer) -> Option<Program> {
    let source = &server.spec.source;
    if let Some(remote) = &source.remote {
        return Some(Program::Elsewhere { url: remote.url.clone() });
    }
    let service = source.service.as_ref()?;
    let namespace = server.namespace().unwrap_or_default();
    let path = &server.spec.path;
    Some(Program::Elsewhere {
        url: format!("http://{}.{namespace}.svc:{}{path}", service.name, service.port),
    })
}
