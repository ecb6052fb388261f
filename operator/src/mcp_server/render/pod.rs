//! The pod template: restricted Pod Security, no token, one container, and for a stdio server the bridge.

use k8s_openapi::{
    api::core::v1::{
        Container, ContainerPort, EnvVar, HTTPGetAction, LocalObjectReference, PodSecurityContext, PodSpec,
        PodTemplateSpec, Probe, ResourceRequirements, SeccompProfile, SecurityContext, TCPSocketAction,
        Toleration, TopologySpreadConstraint, VolumeMount,
    },
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::ObjectMeta, util::intstr::IntOrString},
};
use portico_crds::{
    labels,
    mcp_server::{self as api, Registry},
};

use super::{
    super::{
        reference::hex,
        validate::{Program, ValidatedServer},
    },
    child_labels, child_name, label_selector, patch, strings, volume,
};

/// Name of the container that runs the server.
pub const CONTAINER: &str = "server";
/// Name of the container port and of the Service's port.
pub const PORT_NAME: &str = "mcp";
/// Where a stdio server's container finds the bridge.
pub const BRIDGE_DIRECTORY: &str = "/portico";
/// User of the images that Portico knows, "nobody" of the common distroless images; and every pod's group for files.
const USER: i64 = 65532;

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
    PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(child_labels(server)),
            annotations: Some(strings(&[(labels::INPUTS_DIGEST, &server.inputs_digest)])),
            ..ObjectMeta::default()
        }),
        spec: Some(pod(server)),
    }
}

fn pod(server: &ValidatedServer) -> PodSpec {
    let placement = server.spec.placement.clone().unwrap_or_default();
    let node_selector = node_selector(server, &placement);
    PodSpec {
        service_account_name: Some(child_name(&server.name)),
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        security_context: Some(pod_security(server)),
        image_pull_secrets: pull_secrets(server),
        init_containers: bridge_installer(server).map(|container| vec![container]),
        containers: vec![container(server)],
        volumes: Some(volume::volumes(server)),
        node_selector: (!node_selector.is_empty()).then_some(node_selector),
        affinity: server.affinity.clone(),
        tolerations: none_if_empty(tolerations(server, &placement)),
        topology_spread_constraints: none_if_empty(spread(server, &placement)),
        priority_class_name: placement.priority_class_name,
        runtime_class_name: placement.runtime_class_name,
        ..PodSpec::default()
    }
}

fn none_if_empty<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

fn pod_security(server: &ValidatedServer) -> PodSecurityContext {
    let user = known_user(&server.program);
    PodSecurityContext {
        run_as_non_root: Some(true),
        run_as_user: user,
        run_as_group: user,
        // Whatever the image's user: mounted Secrets can be read by this group alone, and claims written by it.
        fs_group: Some(USER),
        fs_group_change_policy: Some("OnRootMismatch".into()),
        seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".into(), localhost_profile: None }),
        ..PodSecurityContext::default()
    }
}

/// A foreign image has a user of its own, which must not be root; the images that Portico chooses run as any.
const fn known_user(program: &Program) -> Option<i64> {
    match program {
        Program::Builtin(_) | Program::Stdio { registry: Some(_), .. } => Some(USER),
        _ => None,
    }
}

fn container_security() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        read_only_root_filesystem: Some(true),
        capabilities: Some(k8s_openapi::api::core::v1::Capabilities {
            drop: Some(vec!["ALL".into()]),
            ..k8s_openapi::api::core::v1::Capabilities::default()
        }),
        ..SecurityContext::default()
    }
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
        env_from: none_if_empty(super::env::sources(server)),
        ports: Some(vec![ContainerPort {
            name: Some(PORT_NAME.into()),
            container_port: server.spec.port,
            protocol: Some("TCP".into()),
            ..ContainerPort::default()
        }]),
        resources: resources(server),
        security_context: Some(container_security()),
        volume_mounts: Some(volume::mounts(server)),
        startup_probe: Some(probe(server, "/readyz", 1, 120)),
        readiness_probe: Some(probe(server, "/readyz", 5, 2)),
        liveness_probe: is_ours(&server.program).then(|| probe(server, "/healthz", 10, 6)),
        ..Container::default()
    }
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

fn resources(server: &ValidatedServer) -> Option<ResourceRequirements> {
    let given = server.spec.resources.clone().unwrap_or_default();
    let amounts = |map: std::collections::BTreeMap<String, api::Quantity>| {
        map.into_iter()
            .map(|(name, amount)| (name, Quantity(amount.0)))
            .collect::<std::collections::BTreeMap<_, _>>()
    };
    let (requests, mut limits) = (amounts(given.requests), amounts(given.limits));
    if let Some(gpu) = &server.spec.gpu {
        limits.insert(gpu.resource_name.clone(), Quantity(gpu.count.to_string()));
    }
    (!requests.is_empty() || !limits.is_empty()).then(|| ResourceRequirements {
        requests: (!requests.is_empty()).then_some(requests),
        limits: (!limits.is_empty()).then_some(limits),
        ..ResourceRequirements::default()
    })
}

fn node_selector(
    server: &ValidatedServer,
    placement: &api::Placement,
) -> std::collections::BTreeMap<String, String> {
    let mut labels = placement.node_selector.clone();
    if let Some((gpu, product)) = server.spec.gpu.as_ref().and_then(|gpu| Some((gpu, gpu.product.as_ref()?)))
    {
        let vendor = gpu.resource_name.split('/').next().unwrap_or_default();
        labels.insert(format!("{vendor}/gpu.product"), product.clone());
    }
    labels
}

fn tolerations(server: &ValidatedServer, placement: &api::Placement) -> Vec<Toleration> {
    let gpu = server.spec.gpu.as_ref().map(|gpu| Toleration {
        key: Some(gpu.resource_name.clone()),
        operator: Some("Exists".into()),
        effect: Some("NoSchedule".into()),
        ..Toleration::default()
    });
    placement.tolerations.iter().map(toleration).chain(gpu).collect()
}

fn toleration(given: &api::Toleration) -> Toleration {
    Toleration {
        key: given.key.clone(),
        operator: given.operator.map(|operator| format!("{operator:?}")),
        value: given.value.clone(),
        effect: given.effect.map(|effect| format!("{effect:?}")),
        toleration_seconds: given.toleration_seconds,
    }
}

fn spread(server: &ValidatedServer, placement: &api::Placement) -> Vec<TopologySpreadConstraint> {
    let constraint = |rule: &api::TopologySpread| TopologySpreadConstraint {
        topology_key: rule.topology_key.clone(),
        max_skew: rule.max_skew,
        when_unsatisfiable: format!("{:?}", rule.when_unsatisfiable),
        label_selector: Some(label_selector(server)),
        ..TopologySpreadConstraint::default()
    };
    placement.topology_spread.iter().map(constraint).collect()
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
    let variable = |name: &str, value: &str| EnvVar {
        name: name.into(),
        value: Some(value.into()),
        ..EnvVar::default()
    };
    match program {
        Program::Stdio { registry: Some(Registry::Npm), .. } => {
            vec![variable("HOME", "/tmp"), variable("npm_config_cache", "/tmp/npm")]
        }
        Program::Stdio { registry: Some(Registry::Pypi), .. } => {
            vec![variable("HOME", "/tmp"), variable("UV_CACHE_DIR", "/tmp/uv")]
        }
        _ => Vec::new(),
    }
}

/// A mount with the two fields that every mount has.
pub fn mount(name: &str, path: &str) -> VolumeMount {
    VolumeMount { name: name.to_owned(), mount_path: path.to_owned(), ..VolumeMount::default() }
}
