//! Child processes that cannot outlive this one.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{LazyLock, Mutex, PoisonError, mpsc};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::sync::watch;

use crate::Error;

/// How much of a log's end is shown, in bytes.
const TAIL: u64 = 4096;

type Spawned = io::Result<std::process::Child>;
type Order = (Command, mpsc::SyncSender<Spawned>);

/// The kernel ends a child when the *thread* that started it ends. Test threads come and go, so one thread that
/// lives as long as the process starts them all.
static SPAWNER: LazyLock<Mutex<mpsc::Sender<Order>>> = LazyLock::new(|| {
    let (orders, inbox) = mpsc::channel::<Order>();
    std::thread::spawn(move || {
        for (mut command, answer) in inbox {
            answer.send(command.spawn()).ok();
        }
    });
    Mutex::new(orders)
});

fn spawn_lasting(command: Command) -> Spawned {
    let (answer, spawned) = mpsc::sync_channel(1);
    let gone = |_| io::Error::other("the thread that starts processes has ended");
    SPAWNER
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .send((command, answer))
        .map_err(|_| io::Error::other("the thread that starts processes has ended"))?;
    spawned.recv().map_err(gone)?
}

/// A command that is killed when this process ends, in a process group of its own, without input.
pub(crate) fn mortal(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program).stdin(Stdio::null()).process_group(0);
    command
}

/// A running child. Dropped, it and its whole process group are killed.
#[derive(Debug)]
pub(crate) struct Child {
    name: String,
    pid: Pid,
    log: PathBuf,
    exit: watch::Receiver<Option<i32>>,
}

impl Child {
    /// Starts `command` (made by [`mortal`]) with its output appended to `log`.
    pub(crate) fn start(name: &str, mut command: Command, log: &Path) -> Result<Self, Error> {
        let file = open_log(log)?;
        let second = file.try_clone().map_err(Error::file("opening the log", log))?;
        command.stdout(file).stderr(second);
        let mut child = spawn_lasting(command).map_err(Error::file("starting", Path::new(name)))?;
        let pid = Pid::from_raw(child.id().cast_signed());
        let (ended, exit) = watch::channel(None);
        std::thread::spawn(move || {
            let code = child.wait().map_or(-1, exit_code);
            ended.send(Some(code)).ok();
        });
        Ok(Self { name: name.to_owned(), pid, log: log.to_owned(), exit })
    }

    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    /// The exit code, or 128 and the signal's number; nothing while it runs.
    pub(crate) fn ended(&self) -> Option<i32> {
        *self.exit.borrow()
    }

    /// Waits until the process has ended.
    pub(crate) async fn wait(&self) -> i32 {
        let mut exit = self.exit.clone();
        exit.wait_for(Option::is_some).await.ok().and_then(|code| *code).unwrap_or(-1)
    }

    /// An error when the process has ended by itself.
    pub(crate) fn check(&self) -> Result<(), Error> {
        match self.ended() {
            None => Ok(()),
            Some(code) => Err(Error::Ended { program: self.name.clone(), code, log: tail(&self.log) }),
        }
    }

    /// Kills the process and its group at once.
    pub(crate) fn kill(&self) {
        if self.ended().is_none() {
            killpg(self.pid, Signal::SIGKILL).ok();
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
    }
}

fn exit_code(status: ExitStatus) -> i32 {
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(-1)
}

fn open_log(path: &Path) -> Result<File, Error> {
    let mut options = OpenOptions::new();
    options.create(true).append(true).mode(0o600);
    options.open(path).map_err(Error::file("opening the log", path))
}

/// The last lines of a log; empty when there is none.
pub(crate) fn tail(log: &Path) -> String {
    let read = || -> io::Result<String> {
        let mut file = File::open(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
        let mut bytes = Vec::new();
        file.take(TAIL).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    read().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(script: &str) -> (tempfile::TempDir, Child) {
        let folder = tempfile::tempdir().unwrap();
        let mut command = mortal("sh");
        command.args(["-c", script]);
        let child = Child::start("script", command, &folder.path().join("log")).unwrap();
        (folder, child)
    }

    #[tokio::test]
    async fn an_end_is_told_with_its_code_and_its_last_words() {
        let (_folder, child) = start("echo out of cheese; exit 3");
        assert_eq!(child.wait().await, 3);
        let error = child.check().unwrap_err().to_string();
        assert!(error.contains("exit code 3") && error.contains("out of cheese"), "{error}");
    }

    #[tokio::test]
    async fn a_killed_process_counts_as_128_and_its_signal() {
        let (_folder, child) = start("exec sleep 1000");
        child.kill();
        assert_eq!(child.wait().await, 137);
    }

    #[test]
    fn a_child_outlives_the_thread_that_asked_for_it() {
        let (_folder, child) = std::thread::spawn(|| start("exec sleep 1000")).join().unwrap();
        // The kernel's signal would come with the thread's end, which join has waited for.
        assert!(child.ended().is_none());
        assert!(nix::sys::signal::kill(child.pid(), None).is_ok());
    }
}
