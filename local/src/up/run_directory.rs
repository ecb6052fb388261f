//! Where the files of one run lie: mounted Secrets and config, and scratch space. They go with the run; those of a run
//! that was killed go with the next one's start.

use std::{
    fs::{self, DirBuilder, File},
    io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

/// File that is locked while its run goes on.
const LOCK: &str = "lock";

/// The directory of this run; removed when dropped.
#[derive(Debug)]
pub struct RunDirectory {
    path: PathBuf,
    _lock: File,
}

impl RunDirectory {
    /// Makes the directory below `state`, and removes those that dead runs left.
    pub fn new(state: &Path) -> io::Result<Self> {
        let runs = state.join("runs");
        private(&runs)?;
        // One at a time: a directory must not be taken for a dead one between its making and its locking.
        let all = File::create(runs.join(LOCK))?;
        all.lock()?;
        sweep(&runs)?;
        let path = fresh(&runs)?;
        let lock = File::create(path.join(LOCK))?;
        lock.lock()?;
        Ok(Self { path: path.canonicalize()?, _lock: lock })
    }

    /// Its absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for RunDirectory {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "the files of this run could not be removed");
        }
    }
}

fn private(directory: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

fn fresh(runs: &Path) -> io::Result<PathBuf> {
    let process = std::process::id();
    for number in 0_u32.. {
        let path = runs.join(format!("{process}-{number}"));
        match DirBuilder::new().mode(0o700).create(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => return made.map(|()| path),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

fn sweep(runs: &Path) -> io::Result<()> {
    for entry in fs::read_dir(runs)?.flatten() {
        let path = entry.path();
        let dead = File::open(path.join(LOCK)).is_ok_and(|lock| lock.try_lock().is_ok());
        if dead && path.is_dir() {
            // What belongs to somebody else stays, and harms nobody.
            fs::remove_dir_all(&path).ok();
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_leaves_nothing_and_removes_what_a_killed_one_left() {
        let state = tempfile::tempdir().unwrap();
        let dead = state.path().join("runs/1-0");
        fs::create_dir_all(dead.join("servers")).unwrap();
        fs::write(dead.join(LOCK), "").unwrap();
        let first = RunDirectory::new(state.path()).unwrap();
        assert!(!dead.exists() && first.path().exists());
        let second = RunDirectory::new(state.path()).unwrap();
        assert!(first.path().exists() && first.path() != second.path());
        let paths = [first.path().to_owned(), second.path().to_owned()];
        drop((first, second));
        assert!(paths.iter().all(|path| !path.exists()));
    }
}
