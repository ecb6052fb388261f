//! A process that cannot outlive this one.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{LazyLock, Mutex, PoisonError, mpsc},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::time::{Instant, sleep};

use crate::Error;

/// Longest time until a service answers; the machine may be busy with other tests.
const PATIENCE: Duration = Duration::from_mins(1);
/// Time between two looks at whether it does.
const LOOK: Duration = Duration::from_millis(10);
/// How much of a log's end is shown, in characters.
const TAIL: usize = 2_000;

type Spawned = io::Result<Child>;
type Order = (Command, mpsc::SyncSender<Spawned>);

/// The kernel ends a child when the *thread* that started it ends. Threads of tests come and go, so one thread that
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
    let gone = || io::Error::other("the thread that starts processes has ended");
    let (answer, spawned) = mpsc::sync_channel(1);
    let orders = SPAWNER.lock().unwrap_or_else(PoisonError::into_inner);
    orders.send((command, answer)).map_err(|_| gone())?;
    spawned.recv().map_err(|_| gone())?
}

/// A running service. Dropped, it is killed.
#[derive(Debug)]
pub(crate) struct Process {
    program: &'static str,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command`, which runs `program`, with its output in `log`; it is killed when this process ends, however it does.
    pub(crate) fn start(program: &'static str, command: &Command, log: &Path) -> Result<Self, Error> {
        let output = File::create(log).map_err(Error::io("creating a log"))?;
        let second = output.try_clone().map_err(Error::io("creating a log"))?;
        let mut mortal = Command::new("setpriv");
        mortal.args(["--pdeathsig", "KILL", "--"]).arg(command.get_program()).args(command.get_args());
        mortal.stdin(Stdio::null()).stdout(output).stderr(second);
        let child = spawn_lasting(mortal).map_err(Error::io("starting a service"))?;
        Ok(Self { program, child, log: log.to_owned() })
    }

    /// Waits until `is_ready`, for a minute at most.
    pub(crate) async fn until(&mut self, is_ready: impl Fn(&str) -> bool) -> Result<(), Error> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if is_ready(&self.log()) {
                return Ok(());
            }
            if self.child.try_wait().map_err(Error::io("looking after a service"))?.is_some() {
                return Err(self.failed("ended"));
            }
            if Instant::now() > deadline {
                return Err(self.failed("is not ready in time"));
            }
            sleep(LOOK).await;
        }
    }

    fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    fn failed(&self, what: &'static str) -> Error {
        let log = self.log();
        let start = log.char_indices().rev().nth(TAIL).map_or(0, |(at, _)| at);
        Error::Failed { program: self.program, what, log: log[start..].to_owned() }
    }

    /// Ends it and all that it started as a failing machine would: at once, without a word.
    pub(crate) fn kill(&mut self) {
        let all = family(self.child.id());
        // What has ended already needs no end.
        self.child.kill().ok();
        self.child.wait().ok();
        // The kernel ends the rest with it, and that takes a moment in which they would still answer.
        let deadline = std::time::Instant::now() + Duration::from_secs(5);
        while all.iter().any(|&pid| is_running(pid)) && std::time::Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Sends `signal` to it and to all that it started.
    pub(crate) fn signal_all(&self, signal: Signal) {
        for pid in family(self.child.id()) {
            kill(Pid::from_raw(pid.cast_signed()), signal).ok();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A process and its descendants, the oldest first.
fn family(pid: u32) -> Vec<u32> {
    let mut found = vec![pid];
    let mut next = 0;
    while let Some(&pid) = found.get(next) {
        let children =
            std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        found.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
        next += 1;
    }
    found
}

/// Whether a process has not ended, though nobody may have taken note of its end yet.
fn is_running(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The state follows the name, which stands in brackets and may hold any character.
    stat.rsplit(')')
        .next()
        .and_then(|rest| rest.trim_start().chars().next())
        .is_some_and(|state| !"ZX".contains(state))
}
