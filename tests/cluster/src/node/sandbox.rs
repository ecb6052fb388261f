//! The private file system and process namespace of a container.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::unistd::Pid;

use crate::child::mortal;
use crate::{Error, network};

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
    /// Mounted file systems apart from the root, which a copy of the root does not show.
    others: Vec<String>,
}

impl Sandbox {
    /// `folder` keeps the script. Tries it, for a kernel or a root file system may not take part.
    pub(super) fn find(folder: &Path) -> Result<Self, Error> {
        let script = folder.join("sandbox.sh");
        fs::write(&script, SCRIPT).map_err(Error::file("writing", &script))?;
        let mut others = other_mounts(&fs::read_to_string("/proc/self/mounts").unwrap_or_default());
        // The cluster's own folder is nobody's business.
        others.retain(|place| place != network::PRIVATE);
        let sandbox = Self { script, others };
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
        fs::write(&list, self.lines(plan.mounts)).map_err(Error::file("writing", &list))?;
        let mut command = mortal("unshare");
        command.args(NAMESPACES).args(["--", "/bin/sh"]).arg(&self.script).arg(list).arg(root);
        command.arg(if plan.read_only_root { "yes" } else { "no" }).arg(plan.workdir).args(plan.command);
        Ok(command)
    }

    fn lines(&self, mounts: &[Mount]) -> String {
        let mut text = String::new();
        for place in &self.others {
            let _ = writeln!(text, "rbind\t{place}\t{place}");
        }
        let mut sorted: Vec<&Mount> = mounts.iter().collect();
        // A mount inside another comes after it.
        sorted.sort_by_key(|mount| mount.target.matches('/').count());
        for mount in sorted {
            let how = if mount.read_only { "ro" } else { "bind" };
            let _ = writeln!(text, "{how}\t{}\t{}", mount.source.display(), mount.target);
        }
        text
    }

    /// The command that runs another program beside the container's first process `pid`.
    pub(super) fn beside(pid: Pid, command: &[String]) -> Command {
        let mut enter = mortal("nsenter");
        enter.args(["--target", &pid.to_string(), "--mount", "--pid", "--root", "--wd", "--"]).args(command);
        enter
    }
}

/// The mount points to repeat in a container, outermost first and without those inside of others.
fn other_mounts(table: &str) -> Vec<String> {
    let mut places: Vec<&str> = table.lines().filter_map(|line| line.split(' ').nth(1)).collect();
    places.retain(|place| *place != "/" && *place != "/proc" && !place.starts_with("/proc/"));
    places.sort_unstable();
    places.dedup();
    let mut outer: Vec<String> = Vec::new();
    for place in places {
        // Blanks and the like are written as escapes; such places are no part of a container.
        let covered =
            place.contains('\\') || outer.iter().any(|above| place.starts_with(&format!("{above}/")));
        if !covered && Path::new(place).exists() {
            outer.push(place.to_owned());
        }
    }
    outer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_outermost_mounts_are_repeated() {
        let table = "x / ext4 rw 0 0\nproc /proc proc rw 0 0\nd /dev/pts devpts rw 0 0\nd /dev dev rw 0 0\n";
        assert_eq!(other_mounts(table), ["/dev"]);
    }
}
