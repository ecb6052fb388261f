//! The folder of one cluster, removed when its owner ends, however it ends.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use nix::unistd::{Pid, Uid};

use crate::{Error, network};

/// Short, for sockets lie in the folder and a socket's path holds 108 bytes.
const PREFIX: &str = "portico-c";

/// Waits until its input closes, which is when the owner has ended, and clears up after it.
const REAPER: &str = r#"
trap '' TERM INT HUP
read -r _
for attempt in 1 2 3 4 5; do
  rm -rf "$1" 2>/dev/null && break
  sleep 0.2
done
"#;

/// A private folder with a process that removes it after the owner's death.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    reaper: std::process::Child,
}

impl Folder {
    /// Makes a new folder, mode 0700, and clears what dead owners have left.
    pub(crate) fn create() -> Result<Self, Error> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        // In a network of its own this process has a private folder that ends with it, however that comes about.
        let base = if network::is_inside() { PathBuf::from(network::PRIVATE) } else { std::env::temp_dir() };
        sweep(&base);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = base.join(format!("{}{}-{number}", prefix(), std::process::id()));
        // A process id comes back after a while: what lies there is of an owner long dead.
        fs::remove_dir_all(&path).ok();
        DirBuilder::new().mode(0o700).create(&path).map_err(Error::file("making", &path))?;
        for inner in ["bin", "log", "pki", "images", "pods"] {
            let inner = path.join(inner);
            fs::create_dir(&inner).map_err(Error::file("making", &inner))?;
        }
        let reaper = reaper(&path)?;
        Ok(Self { path, reaper })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

fn reaper(path: &Path) -> Result<std::process::Child, Error> {
    let mut command = Command::new("sh");
    command.args(["-c", REAPER, "reaper"]).arg(path);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    // A terminal's ctrl-c reaches the whole group of its program: this one is to survive it.
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command.spawn().map_err(Error::file("starting the reaper of", path))
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.path).ok();
        drop(self.reaper.stdin.take());
        self.reaper.wait().ok();
    }
}

/// Removes the folders of owners that no longer run: a reaper that was killed too leaves them.
fn sweep(base: &Path) {
    let Ok(entries) = fs::read_dir(base) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        if name.to_str().and_then(owner).is_some_and(|pid| !runs(pid)) {
            fs::remove_dir_all(entry.path()).ok();
        }
    }
}

/// What the names of this user's folders begin with. A process number means nothing in another process namespace, so
/// that the name says of which one it is.
fn prefix() -> String {
    let namespace = fs::read_link("/proc/self/ns/pid").unwrap_or_default().display().to_string();
    let number: String = namespace.chars().filter(char::is_ascii_digit).collect();
    format!("{PREFIX}{}-{number}-", Uid::current())
}

/// The process that owns a folder of ours, from the folder's name.
fn owner(name: &str) -> Option<Pid> {
    let pid = name.strip_prefix(&prefix())?.split('-').next()?.parse().ok()?;
    Some(Pid::from_raw(pid))
}

fn runs(pid: Pid) -> bool {
    Path::new("/proc").join(pid.to_string()).exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_folders_of_this_user_namespace_and_crate_have_an_owner() {
        let (user, own) = (Uid::current(), prefix());
        let namespace = own.trim_end_matches('-').rsplit('-').next().unwrap();
        assert_eq!(owner(&format!("{own}123-0")), Some(Pid::from_raw(123)));
        assert_eq!(owner(&format!("{PREFIX}{}-{namespace}-123-0", user.as_raw() + 1)), None);
        assert_eq!(owner(&format!("{PREFIX}{user}-1-123-0")), None, "of another process namespace");
        assert_eq!(owner("portico"), None);
        assert_eq!(owner(&format!("{own}x")), None);
    }

    #[test]
    fn what_a_dead_owner_left_is_swept_and_what_a_living_one_uses_stays() {
        let base = tempfile::tempdir().unwrap();
        // No process has the greatest number: the kernel's limit lies far below it.
        let dead = base.path().join(format!("{}{}-0", prefix(), i32::MAX));
        let alive = base.path().join(format!("{}{}-0", prefix(), std::process::id()));
        fs::create_dir(&dead).unwrap();
        fs::create_dir(&alive).unwrap();
        sweep(base.path());
        assert!(!dead.exists());
        assert!(alive.exists());
    }

    #[test]
    fn a_dropped_folder_is_gone() {
        let folder = Folder::create().unwrap();
        let path = folder.path().to_owned();
        assert!(path.join("log").is_dir());
        drop(folder);
        assert!(!path.exists());
    }
}
