//! A pod's first container as a command of this machine.

use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::{Container, PodTemplateSpec};
use portico_operator::mcp_server::render::BRIDGE_DIRECTORY;

use super::{Command, Machine, Probe, Replica, address::Addresses, environment, mounts::Mounts};
use crate::manifest::Objects;

/// Name of the repository of Portico's own image, wherever it is pulled from.
const OWN_IMAGE: &str = "portico";

/// What a container is looked at with.
pub struct Scene<'a> {
    /// The folder.
    pub objects: &'a Objects,
    /// The machine.
    pub machine: &'a Machine<'a>,
    /// Where Services are.
    pub addresses: &'a Addresses,
}

/// The command of a process of a pod template.
///
/// # Errors
/// Says why it cannot run here, in words for the list of servers.
pub fn command(scene: &Scene<'_>, replica: &Replica, template: &PodTemplateSpec) -> Result<Command, String> {
    let pod = template.spec.as_ref().ok_or("has no pod spec")?;
    let container = pod.containers.first().ok_or("has no container")?;
    let port = scene.machine.ports.get(replica).copied().ok_or("no free port was found for it")?;
    let mounts = Mounts::of(scene.objects, scene.machine, replica, pod)?;
    let mut env = environment::variables(scene.objects, replica, container)?;
    listen_here(&mut env, container, port);
    let args: Vec<String> =
        container.args.iter().flatten().map(|arg| environment::expand(arg, &env)).collect();
    let (program, args) = program(scene.machine, container, args)?;
    let here = |text: &str| {
        scene.addresses.localise(text, &replica.id.key().namespace).map(|text| mounts.localise(&text))
    };
    let unreachable = |service: String| format!("Service '{service}' leads to nothing that runs here");
    let args = args.iter().map(|arg| here(arg)).collect::<Result<_, _>>().map_err(unreachable)?;
    for value in env.values_mut() {
        *value = here(value).map_err(unreachable)?;
    }
    let Mounts { directories, files, .. } = mounts;
    let work_directory = replica.directory(scene.machine.run_directory);
    Ok(Command { program, args, env, directories, files, work_directory, port, probe: probe(container) })
}

/// Here every process has 127.0.0.1 and a port of its own, where a pod has an address of its own.
fn listen_here(env: &mut std::collections::BTreeMap<String, String>, container: &Container, port: u16) {
    if let Some(host) = env.get_mut("HOST") {
        "127.0.0.1".clone_into(host);
    }
    let ports: Vec<String> =
        container.ports.iter().flatten().map(|port| port.container_port.to_string()).collect();
    if let Some(value) = env.get_mut("PORT").filter(|value| ports.contains(*value)) {
        *value = port.to_string();
    }
}

fn program(
    machine: &Machine<'_>,
    container: &Container,
    args: Vec<String>,
) -> Result<(PathBuf, Vec<String>), String> {
    let image = container.image.as_deref().unwrap_or_default();
    let command = container.command.as_deref().unwrap_or_default();
    let own = Path::new(BRIDGE_DIRECTORY).join("portico");
    let bridged = command.first().is_some_and(|program| Path::new(program) == own);
    let ours = repository(image) == OWN_IMAGE && command.is_empty();
    if !(bridged || ours) {
        return Err(format!(
            "runs the image '{image}': images need a cluster, since only Portico's own servers and packages run here as processes"
        ));
    }
    if bridged {
        let start = args
            .iter()
            .position(|arg| arg == "--")
            .and_then(|at| args.get(at + 1))
            .cloned()
            .unwrap_or_default();
        find(machine, &start, image)?;
    }
    Ok((machine.portico.to_owned(), args))
}

/// `registry.example:5000/team/portico:1@sha256:…` is `portico`.
fn repository(image: &str) -> &str {
    let name = image.rsplit('/').next().unwrap_or_default();
    name.split(['@', ':']).next().unwrap_or_default()
}

fn find(machine: &Machine<'_>, program: &str, image: &str) -> Result<PathBuf, String> {
    (machine.find_program)(program).ok_or_else(|| match program {
        "npx" => "Node.js is missing: install Node.js 20 or newer, so that 'npx' is found, and start again".into(),
        "uvx" => "uv is missing: install uv, so that 'uvx' is found, and start again".into(),
        _ => format!("the program '{program}' of the image '{image}' is not on this machine; install it or use a cluster"),
    })
}

fn probe(container: &Container) -> Probe {
    let readiness = container.readiness_probe.as_ref().and_then(|probe| probe.http_get.as_ref());
    readiness.and_then(|get| get.path.clone()).map_or(Probe::Connect, Probe::Get)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_of_an_image_is_its_last_name() {
        for image in ["portico", "portico:0.1.0", "ghcr.io/a/portico:1", "localhost:5000/portico@sha256:00"] {
            assert_eq!(repository(image), OWN_IMAGE);
        }
        assert_ne!(repository("portico/other"), OWN_IMAGE);
    }
}
