//! Says when the files of a folder have changed.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, timeout, timeout_at},
};
use tokio_util::task::AbortOnDropHandle;

use crate::manifest::files;

/// An editor's work is over when nothing happened for this long.
const QUIET: Duration = Duration::from_millis(100);
/// Somebody who writes all the time is not waited for longer.
const PATIENCE: Duration = Duration::from_secs(1);
/// The system's notices miss files behind links, folders that were put back, and some network file systems.
const LOOK_ANYWAY: Duration = Duration::from_secs(2);

/// Tells of changes from its making on.
#[derive(Debug)]
pub struct Watch {
    changes: mpsc::Receiver<()>,
    _task: AbortOnDropHandle<()>,
}

impl Watch {
    /// Watches a folder, or one file.
    pub fn new(path: &Path) -> Self {
        let (path, seen) = (path.to_owned(), Seen::now(path));
        let (sender, changes) = mpsc::channel(1);
        let task = tokio::spawn(follow(path, seen, sender));
        Self { changes, _task: AbortOnDropHandle::new(task) }
    }

    /// Waits for the next change. May be dropped and called again.
    pub async fn changed(&mut self) {
        if self.changes.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
    }
}

async fn follow(path: PathBuf, mut seen: Seen, changes: mpsc::Sender<()>) {
    let (notices, mut events) = mpsc::channel(1);
    // Kept: it watches for as long as it lives.
    let _watcher = watcher(&path, notices.clone());
    loop {
        if timeout(LOOK_ANYWAY, events.recv()).await.is_ok() {
            settle(&mut events).await;
        }
        let now = Seen::now(&path);
        if now != seen {
            seen = now;
            if changes.send(()).await.is_err() {
                return;
            }
        }
    }
}

/// Without the system's notices, such as when it has no more to give, looking every now and then is enough.
fn watcher(path: &Path, notices: mpsc::Sender<()>) -> Option<RecommendedWatcher> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = if path.is_dir() { path } else { parent };
    let tell = move |event: notify::Result<notify::Event>| {
        if event.is_ok_and(|event| !event.kind.is_access()) {
            // One notice that waits is as good as many.
            notices.try_send(()).ok();
        }
    };
    let mut watcher = notify::recommended_watcher(tell).ok()?;
    watcher.watch(folder, RecursiveMode::NonRecursive).ok()?;
    Some(watcher)
}

async fn settle(events: &mut mpsc::Receiver<()>) {
    let until = Instant::now() + PATIENCE;
    while let Ok(Ok(Some(()))) = timeout_at(until, timeout(QUIET, events.recv())).await {
        sleep(QUIET / 10).await;
    }
}

/// What can be seen of the files without reading them.
#[derive(Debug, PartialEq, Eq)]
struct Seen(Option<Vec<(PathBuf, Option<Look>)>>);

#[derive(Debug, PartialEq, Eq)]
struct Look {
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Seen {
    fn now(path: &Path) -> Self {
        let look = |file: PathBuf| {
            let look = look(&file).ok();
            (file, look)
        };
        Self(files(path).ok().map(|files| files.into_iter().map(look).collect()))
    }
}

fn look(file: &Path) -> io::Result<Look> {
    let data = fs::metadata(file)?;
    Ok(Look {
        inode: data.ino(),
        size: data.size(),
        modified: (data.mtime(), data.mtime_nsec()),
        changed: (data.ctime(), data.ctime_nsec()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn tells(watch: &mut Watch) {
        timeout(Duration::from_secs(20), watch.changed()).await.expect("no change was told");
    }

    #[tokio::test]
    async fn writing_renaming_and_deleting_are_told_and_other_files_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.yaml");
        let mut watch = Watch::new(folder.path());
        fs::write(&file, "a: 1").unwrap();
        tells(&mut watch).await;
        // As editors save: a new file takes the old one's name.
        fs::write(folder.path().join(".a.yaml.swp"), "a: 2").unwrap();
        fs::rename(folder.path().join(".a.yaml.swp"), &file).unwrap();
        tells(&mut watch).await;
        fs::write(folder.path().join("notes.txt"), "nothing").unwrap();
        fs::remove_file(&file).unwrap();
        tells(&mut watch).await;
        fs::write(folder.path().join("notes.txt"), "nothing at all").unwrap();
        let told = timeout(QUIET * 5, watch.changed()).await;
        assert!(told.is_err(), "notes.txt is no manifest");
    }

    #[tokio::test]
    async fn a_folder_that_is_put_back_and_a_file_behind_a_link_are_seen() {
        let root = tempfile::tempdir().unwrap();
        let (folder, target) = (root.path().join("folder"), root.path().join("target"));
        fs::create_dir(&folder).unwrap();
        fs::write(&target, "a: 1").unwrap();
        let mut watch = Watch::new(&folder);
        fs::remove_dir(&folder).unwrap();
        tells(&mut watch).await;
        fs::create_dir(&folder).unwrap();
        std::os::unix::fs::symlink(&target, folder.join("a.yaml")).unwrap();
        tells(&mut watch).await;
        fs::write(&target, "a: 22").unwrap();
        tells(&mut watch).await;
    }
}
