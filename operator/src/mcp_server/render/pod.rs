//! The pod template: restricted Pod Security, no token, one container, and for a stdio server the bridge.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{
        Container, ContainerPort, EnvVar, HTTPGetAction, LocalObjectReference, PodSpec, PodTemplateSpec,
        Probe, TCPSocketAction,
    },
    apimachinery::pkg::{apis::meta::v1::ObjectMeta, util::intstr::IntOrString},
};
use portico_crds::{labels, mcp_server::Registry};

use super::{
    super::validate::{Program, ValidatedServer},
    child_labels, child_name, label_selector, strings, volume,
};
use crate::{
    marks,
    pod::{self, Devices, USER, container_security, none_if_empty, patch},
    reference::hex,
};

/// Name of the container that runs the server.
pub const CONTAINER: &str = "server";
/// Name of the container port and of the Service's port.
pub const PORT_NAME: &str = "mcp";
/// Where a stdio server's container finds the bridge.
pub const BRIDGE_DIRECTORY: &str = "/portico";

pub fn template(server: &ValidatedServer) -> PodTemplateSpec {
    // `check_patch` has tried the merge before a server counts as valid.
    patched_template(server).unwrap_or_else(|_| plain_template(server))
}

/// The template with the spec's own patch applied.
pub fn patched_template(server: &ValidatedServer) -> Result<PodTemplateSpec, serde_json::Error> {
    let plain = plain_template(server);
    let Some(change) = &server.spec.pod_template else { return Ok(plain) };
    let serde_json::Value::Object(mut merged) = serde_json::to_value(plain)? else {
        return Ok(PodTemplateSpec::default());
    };
    patch::merge(&mut merged, change);
    serde_json::from_value(serde_json::Value::Object(merged))
}

fn plain_template(server: &ValidatedServer) -> PodTemplateSpec {
    let mut labels = child_labels(server);
    marks::mark(&mut labels, server.marked);
    PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(labels),
            annotations: Some(annotations(server)),
            ..ObjectMeta::default()
        }),
        spec: Some(pod(server)),
    }
}

/// Both change the template, and so replace the pods, exactly when they should.
fn annotations(server: &ValidatedServer) -> BTreeMap<String, String> {
    let mut all = strings(&[(labels::INPUTS_DIGEST, &server.inputs_digest)]);
    let asked = server.restarted_at.clone().map(|time| (labels::RESTARTED_AT.to_owned(), time));
    all.extend(asked);
    all
}

fn pod(server: &ValidatedServer) -> PodSpec {
    let (spec, placement) = (&server.spec, server.spec.placement.clone().unwrap_or_default());
    let mut pod = PodSpec {
        service_account_name: Some(child_name(&server.name)),
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        security_context: Some(pod::pod_security(known_user(&server.program))),
        image_pull_secrets: pull_secrets(server),
        init_containers: bridge_installer(server).map(|container| vec![container]),
        containers: vec![container(server)],
        volumes: Some(volume::volumes(server)),
        resource_claims: pod::claims(&spec.resource_claims),
        ..PodSpec::default()
    };
    let (gpu, affinity) = (spec.gpu.as_ref(), server.affinity.clone());
    pod::place(&mut pod, &placement, gpu, affinity, &label_selector(server));
    pod
}

/// A foreign image has a user of its own, which must not be root; the images that Portico chooses run as any.
const fn known_user(program: &Program) -> Option<i64> {
    match program {
        Program::Builtin(_) | Program::Stdio { registry: Some(_), .. } => Some(USER),
        _ => None,
    }
}

fn devices(server: &ValidatedServer) -> Devices<'_> {
    let spec = &server.spec;
    Devices { resources: spec.resources.as_ref(), gpu: spec.gpu.as_ref(), claims: &spec.resource_claims }
}

fn pull_secrets(server: &ValidatedServer) -> Option<Vec<LocalObjectReference>> {
    let names = &server.spec.source.image.as_ref()?.pull_secret_refs;
    none_if_empty(names.iter().map(|name| LocalObjectReference { name: name.clone() }).collect())
}

/// Puts the bridge where the server's own image can start it.
fn bridge_installer(server: &ValidatedServer) -> Option<Container> {
    matches!(server.program, Program::Stdio { .. }).then(|| Container {
        name: "bridge".into(),
        image: Some(server.portico_image.clone()),
        args: Some(["bridge", "--install", BRIDGE_DIRECTORY].map(Into::into).to_vec()),
        security_context: Some(container_security()),
        volume_mounts: Some(vec![volume::bridge_mount()]),
        ..Container::default()
    })
}

fn container(server: &ValidatedServer) -> Container {
    let (image, command, args) = command(server);
    Container {
        name: CONTAINER.into(),
        image: Some(image),
        image_pull_policy: pull_policy(server),
        command: none_if_empty(command),
        args: none_if_empty(args),
        env: Some(super::env::variables(server)),
        env_from: none_if_empty(pod::sources(&server.spec.env_from)),
        ports: Some(vec![ContainerPort {
            name: Some(PORT_NAME.into()),
            container_port: server.spec.port,
            protocol: Some("TCP".into()),
            ..ContainerPort::default()
        }]),
        resources: pod::resources(devices(server)),
        security_context: Some(container_security()),
        volume_mounts: Some(volume::mounts(server)),
        startup_probe: Some(probe(server, "/readyz", 1, 120)),
        readiness_probe: Some(probe(server, "/readyz", 5, 2)),
        termination_message_policy: tells_why(server).then(|| "FallbackToLogsOnError".into()),
        liveness_probe: is_ours(&server.program).then(|| probe(server, "/healthz", 10, 6)),
        ..Container::default()
    }
}

/// What shipped servers log holds no secret; what others do is not known.
const fn tells_why(server: &ValidatedServer) -> bool {
    server.tells_why && matches!(server.program, Program::Builtin(_))
}

fn pull_policy(server: &ValidatedServer) -> Option<String> {
    let policy = server.spec.source.image.as_ref()?.pull_policy?;
    Some(policy.as_str().to_owned())
}

/// Image, command and arguments. `$(HOST)` and `$(PORT)` are expanded by the kubelet, and by `portico up`.
fn command(server: &ValidatedServer) -> (String, Vec<String>, Vec<String>) {
    const LISTEN: &str = "$(HOST):$(PORT)";
    match &server.program {
        Program::Builtin(name) => (
            server.portico_image.clone(),
            Vec::new(),
            ["serve", name, "--listen", LISTEN].map(Into::into).to_vec(),
        ),
        Program::Http { image, command, args } => (image.clone(), command.clone(), args.clone()),
        Program::Stdio { image, command, .. } => {
            let bridge = vec![format!("{BRIDGE_DIRECTORY}/portico")];
            let mut args =
                ["bridge", "--listen", LISTEN, "--path", &server.spec.path, "--"].map(Into::into).to_vec();
            args.extend(command.iter().cloned());
            (image.clone(), bridge, args)
        }
        Program::Elsewhere { .. } => (String::new(), Vec::new(), Vec::new()),
    }
}

/// Whether the pods run anything of Portico's own image: a shipped server, or the bridge.
pub const fn uses_own_image(program: &Program) -> bool {
    is_ours(program)
}

/// Whether the process on the port is Portico's own and has its health endpoints.
const fn is_ours(program: &Program) -> bool {
    matches!(program, Program::Builtin(_) | Program::Stdio { .. })
}

fn probe(server: &ValidatedServer, path: &str, period_seconds: i32, failures: i32) -> Probe {
    let port = IntOrString::String(PORT_NAME.into());
    let ours = is_ours(&server.program);
    Probe {
        http_get: ours.then(|| HTTPGetAction {
            path: Some(path.to_owned()),
            port: port.clone(),
            scheme: Some("HTTP".into()),
            ..HTTPGetAction::default()
        }),
        tcp_socket: (!ours).then(|| TCPSocketAction { port: port.clone(), host: None }),
        period_seconds: Some(period_seconds),
        timeout_seconds: Some(2),
        failure_threshold: Some(failures),
        success_threshold: Some(1),
        ..Probe::default()
    }
}

/// Key of a config file in the server's `ConfigMap`: a path is no valid key, and its place in the list may change.
#[must_use]
pub fn config_key(path: &str) -> String {
    use sha2::Digest as _;
    let base: String = path
        .rsplit('/')
        .next()
        .unwrap_or_default()
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || ".-_".contains(*c))
        .take(64)
        .collect();
    format!("{}-{base}", hex(&sha2::Sha256::digest(path)[..4]))
}

/// Environment variables a package runner needs to work without a writable home.
pub fn runner_environment(program: &Program) -> Vec<EnvVar> {
    match program {
        Program::Stdio { registry: Some(Registry::Npm), .. } => {
            vec![pod::plain("HOME", "/tmp"), pod::plain("npm_config_cache", "/tmp/npm")]
        }
        Program::Stdio { registry: Some(Registry::Pypi), .. } => {
            vec![pod::plain("HOME", "/tmp"), pod::plain("UV_CACHE_DIR", "/tmp/uv")]
        }
        _ => Vec::new(),
    }
}
