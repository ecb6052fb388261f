//! From a container's specification to its running process.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use k8s_openapi::api::core::v1::Container;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::environment::{expand, own_address, resolve};
use super::pod::{Context, volumes};
use super::sandbox::{Mount, Plan};
use super::{Refusal, images, volume};
use crate::child::Child;
use crate::{Error, wait_for};

/// How long the wrapper may take until the container's first process exists.
const BIRTH: Duration = Duration::from_secs(10);
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// A container that runs.
#[derive(Debug)]
pub(super) struct Running {
    child: Child,
    /// The container's first process, as this machine counts.
    pub(super) pid: Pid,
    pub(super) variables: BTreeMap<String, String>,
}

impl Running {
    /// Waits for the end; the exit code, or 128 and the signal's number.
    pub(super) async fn wait(&self) -> i32 {
        self.child.wait().await
    }

    /// Asks the first process to end; like in a container, one without a handler for the signal does not.
    pub(super) fn ask(&self) {
        if self.child.ended().is_none() {
            kill(self.pid, Signal::SIGTERM).ok();
        }
    }

    /// Ends it and all it has started.
    pub(super) fn kill(&self) {
        self.child.kill();
    }
}

/// Starts `container`, whose image stands for `image`.
pub(super) async fn start(
    context: &Context,
    container: &Container,
    image: &[String],
) -> Result<Running, Refusal> {
    let facts = context.facts();
    let variables = resolve(&facts, container).await?;
    let mounts = mounts(context, container, &variables).await?;
    let command = command(container, image, &variables, facts.ip)?;
    let folder = context.folder.join("containers").join(&container.name);
    std::fs::create_dir_all(&folder).map_err(Error::file("making", &folder))?;
    let security = container.security_context.as_ref();
    let plan = Plan {
        folder: &folder,
        mounts: &mounts,
        read_only_root: security.and_then(|security| security.read_only_root_filesystem) == Some(true),
        workdir: container.working_dir.as_deref().unwrap_or("/"),
        command: &command,
    };
    let mut process = context.agent.sandbox.command(&plan)?;
    process.env_clear().envs(&variables);
    let log = context.log(&container.name)?;
    let child = Child::start(&container.name, process, &log)?;
    let pid = first_process(&child).await?;
    Ok(Running { child, pid, variables })
}

/// In a namespace of its own the container's first process is the only child of the one that was started.
async fn first_process(child: &Child) -> Result<Pid, Error> {
    let list = PathBuf::from(format!("/proc/{0}/task/{0}/children", child.pid()));
    wait_for("the container's first process", BIRTH, async || {
        if child.ended().is_some() {
            return Ok(Some(child.pid()));
        }
        let text = std::fs::read_to_string(&list).unwrap_or_default();
        Ok::<_, Error>(text.split_whitespace().next().and_then(|pid| pid.parse().ok()).map(Pid::from_raw))
    })
    .await
}

async fn mounts(
    context: &Context,
    container: &Container,
    variables: &BTreeMap<String, String>,
) -> Result<Vec<Mount>, Refusal> {
    let places = volume::prepare(&context.facts(), &volumes(&context.folder)).await?;
    let mut mounts = vec![names(context)];
    for mount in container.volume_mounts.iter().flatten() {
        let place = places.get(&mount.name);
        let unknown = || Refusal::Config(format!("there is no volume {}", mount.name));
        let mut source = place.ok_or_else(unknown)?.clone();
        let sub = mount
            .sub_path
            .clone()
            .or_else(|| mount.sub_path_expr.as_ref().map(|path| expand(path, variables)));
        if let Some(sub) = sub {
            source.push(sub);
            if !source.exists() {
                std::fs::create_dir_all(&source).map_err(Error::file("making", &source))?;
            }
        }
        let read_only = mount.read_only == Some(true);
        mounts.push(Mount { source, target: mount.mount_path.trim_end_matches('/').to_owned(), read_only });
    }
    Ok(mounts)
}

/// Names resolve as in a pod of its namespace.
fn names(context: &Context) -> Mount {
    let target = std::fs::canonicalize(RESOLV_CONF).unwrap_or_else(|_| RESOLV_CONF.into());
    Mount {
        source: context.folder.join("resolv.conf"),
        target: target.display().to_string(),
        read_only: true,
    }
}

/// What to execute. A `command` replaces what the image stands for, except where it names that program.
fn command(
    container: &Container,
    image: &[String],
    variables: &BTreeMap<String, String>,
    ip: &str,
) -> Result<Vec<String>, Refusal> {
    let expanded = |words: &Option<Vec<String>>| -> Vec<String> {
        words.iter().flatten().map(|word| own_address(&expand(word, variables), ip)).collect()
    };
    let mut own = expanded(&container.command);
    let mut words = match own.first() {
        Some(first) if !names_image(container, first, image) => own,
        first => {
            let skip = usize::from(first.is_some());
            image.iter().cloned().chain(own.drain(skip..)).collect()
        }
    };
    words.extend(expanded(&container.args));
    if words.is_empty() {
        return Err(Refusal::Create("no command specified".to_owned()));
    }
    Ok(words)
}

/// `/portico` and `portico` name the image's program, `/bin/portico` in one of the pod's volumes does not.
fn names_image(container: &Container, word: &str, image: &[String]) -> bool {
    let name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    let mounts = container.volume_mounts.iter().flatten();
    let in_volume = mounts.map(|mount| &mount.mount_path).any(|place| word.starts_with(&format!("{place}/")));
    !in_volume && image.first().is_some_and(|program| name(program) == name(word))
}

/// The program for a container's image, when there is one.
pub(super) fn image(context: &Context, container: &Container) -> Option<Vec<String>> {
    images::find(&context.agent.images, container.image.as_deref().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::VolumeMount;

    use super::*;

    fn words(command_words: Option<&[&str]>, args: &[&str]) -> Vec<String> {
        let owned = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
        let mount = VolumeMount { mount_path: "/injected".to_owned(), ..VolumeMount::default() };
        let container = Container {
            command: command_words.map(owned),
            args: Some(owned(args)),
            volume_mounts: Some(vec![mount]),
            ..Container::default()
        };
        let variables = BTreeMap::from([("PORT".to_owned(), "8080".to_owned())]);
        command(&container, &owned(&["/build/portico", "serve"]), &variables, "198.18.1.1").unwrap()
    }

    #[test]
    fn arguments_follow_the_images_program_with_their_references_replaced() {
        assert_eq!(words(None, &["--port", "$(PORT)"]), ["/build/portico", "serve", "--port", "8080"]);
    }

    #[test]
    fn a_command_replaces_the_program_unless_it_names_it() {
        assert_eq!(words(Some(&["sh", "-c"]), &["true"]), ["sh", "-c", "true"]);
        assert_eq!(words(Some(&["/portico"]), &["x"]), ["/build/portico", "serve", "x"]);
        assert_eq!(words(Some(&["/injected/portico"]), &["x"]), ["/injected/portico", "x"]);
    }
}
