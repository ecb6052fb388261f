//! The private file system and process namespace of a container.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::unistd::Pid;

use crate::Error;
use crate::child::mortal;

const SCRIPT: &str = include_str!("sandbox.sh");
/// The options of `unshare`. The network is the pods' common one, where this process is its user's root.
const NAMESPACES: [&str; 4] = ["--mount", "--pid", "--fork", "--kill-child=KILL"];

/// What a container sees at `target`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mount {
    pub(super) source: PathBuf,
    pub(super) target: String,
    pub(super) read_only: bool,
}

/// How one container is to run.
pub(super) struct Plan<'a> {
    /// A folder for this container alone.
    pub(super) folder: &'a Path,
    pub(super) mounts: &'a [Mount],
    pub(super) read_only_root: bool,
    pub(super) workdir: &'a str,
    pub(super) command: &'a [String],
}

/// How containers are kept apart.
#[derive(Debug)]
pub(super) struct Sandbox {
    script: PathBuf,
}

impl Sandbox {
    /// `folder` keeps the script. Tries it, for a kernel or a root file system may not take part.
    pub(super) fn find(folder: &Path) -> Result<Self, Error> {
        let script = folder.join("sandbox.sh");
        fs::write(&script, SCRIPT).map_err(Error::file("writing", &script))?;
        let sandbox = Self { script };
        sandbox.trial(&folder.join("trial"))?;
        Ok(sandbox)
    }

    fn trial(&self, folder: &Path) -> Result<(), Error> {
        fs::create_dir_all(folder).map_err(Error::file("making", folder))?;
        let mounts =
            [Mount { source: folder.to_owned(), target: "/portico-trial".to_owned(), read_only: true }];
        let command = ["test", "-d", "/portico-trial"].map(str::to_owned);
        let plan = Plan { folder, mounts: &mounts, read_only_root: true, workdir: "/", command: &command };
        let output = self.command(&plan)?.output().map_err(Error::file("starting", &self.script))?;
        if output.status.success() {
            return Ok(());
        }
        Err(Error::NoContainers(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
    }

    /// The command that runs a container.
    pub(super) fn command(&self, plan: &Plan<'_>) -> Result<Command, Error> {
        let (list, root) = (plan.folder.join("mounts"), plan.folder.join("root"));
        fs::create_dir_all(&root).map_err(Error::file("making", &root))?;
        fs::write(&list, lines(plan.mounts)).map_err(Error::file("writing", &list))?;
        let mut command = mortal("unshare");
        command.args(NAMESPACES).args(["--", "/bin/sh"]).arg(&self.script).arg(list).arg(root);
        command.arg(if plan.read_only_root { "yes" } else { "no" }).arg(plan.workdir).args(plan.command);
        Ok(command)
    }

    /// The command that runs another program beside the container's first process `pid`.
    pub(super) fn beside(pid: Pid, command: &[String]) -> Command {
        let mut enter = mortal("nsenter");
        enter.args(["--target", &pid.to_string(), "--mount", "--pid", "--root", "--wd", "--"]).args(command);
        enter
    }
}

fn lines(mounts: &[Mount]) -> String {
    let mut sorted: Vec<&Mount> = mounts.iter().collect();
    // A mount inside another comes after it.
    sorted.sort_by_key(|mount| mount.target.matches('/').count());
    let line = |text: String, mount: &Mount| {
        let how = if mount.read_only { "ro" } else { "bind" };
        text + &format!("{how}\t{}\t{}\n", mount.source.display(), mount.target)
    };
    sorted.into_iter().fold(String::new(), line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_inside_another_comes_after_it() {
        let mount =
            |target: &str, read_only| Mount { source: "/x".into(), target: target.to_owned(), read_only };
        assert_eq!(lines(&[mount("/a/b", true), mount("/a", false)]), "bind\t/x\t/a\nro\t/x\t/a/b\n");
    }
}
