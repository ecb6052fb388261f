//! A process between `portico up` and each workload, so that nothing of a workload outlives `portico up`, however that
//! one ends.
//!
//! It runs a command and holds one end of a socket (its standard input). When the other end closes, the command is
//! asked to end, and after a grace everything that it ever started is killed, whatever process groups those made. On
//! the socket it tells, a line each: `pid NUMBER`, and in the end `exit CODE`, `signal NUMBER` or `failed REASON`.

mod tree;

use std::{
    io::{self, Read as _, Write as _},
    os::{
        fd::AsFd as _,
        unix::{net::UnixStream, process::CommandExt as _},
    },
    process::{Command, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    sys::{
        signal::{SigSet, Signal, killpg},
        wait::{WaitStatus, waitpid},
    },
    unistd::Pid,
};

/// How often what is left is killed again: a process may start others while it is being killed.
const AGAIN: Duration = Duration::from_millis(20);
/// After this time what is left cannot be killed, such as a process that waits for a dead disk.
const GIVE_UP: Duration = Duration::from_secs(5);

/// What happens while the command runs.
enum Event {
    /// Whoever started the keeper is gone or wants the end.
    Stop,
    /// The command ended.
    Ended(WaitStatus),
    /// Nothing that it started is left.
    Empty,
}

/// Runs `command` until it ends or the socket on standard input closes, and leaves nothing of it behind. `grace` is
/// the time between asking the command to end and killing it. Gives the exit code of the keeper: 0 unless the command
/// could not be started.
#[must_use]
pub fn run(command: &[String], grace: Duration) -> u8 {
    match started(command) {
        Ok((main, socket, events)) => {
            watch(main, &socket, (&events, grace));
            0
        }
        Err(error) => {
            // The words go to the socket where there is one; the code says it, too.
            if let Ok(mut socket) = socket() {
                writeln!(socket, "failed {error}").ok();
            }
            1
        }
    }
}

fn started(command: &[String]) -> io::Result<(Pid, UnixStream, mpsc::Receiver<Event>)> {
    let socket = socket()?;
    tree::adopt();
    let (program, arguments) =
        command.split_first().ok_or_else(|| io::Error::other("no command was given"))?;
    let child = Command::new(program).args(arguments).stdin(Stdio::null()).process_group(0).spawn()?;
    // Only now: the command would inherit what is blocked, and not hear when it is asked to end.
    let signals = blocked_signals()?;
    let main = Pid::from_raw(child.id().cast_signed());
    writeln!(&socket, "pid {main}").ok();
    let (sender, events) = mpsc::channel();
    let (input, told, ends) = (socket.try_clone()?, sender.clone(), sender.clone());
    thread::spawn(move || wait_for_close(input, &sender));
    thread::spawn(move || while signals.wait().is_ok() && told.send(Event::Stop).is_ok() {});
    thread::spawn(move || reap(main, &ends));
    Ok((main, socket, events))
}

fn socket() -> io::Result<UnixStream> {
    Ok(UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?))
}

/// Signals that ask for the end go to a thread instead.
fn blocked_signals() -> io::Result<SigSet> {
    let mut signals = SigSet::empty();
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        signals.add(signal);
    }
    signals.thread_block()?;
    Ok(signals)
}

fn wait_for_close(mut input: UnixStream, events: &mpsc::Sender<Event>) {
    let mut buffer = [0; 64];
    while input.read(&mut buffer).is_ok_and(|read| read > 0) {}
    events.send(Event::Stop).ok();
}

/// Reaps the command and all orphans that it leaves.
fn reap(main: Pid, events: &mpsc::Sender<Event>) {
    loop {
        let event = match waitpid(None, None) {
            Ok(status) if status.pid() == Some(main) => Event::Ended(status),
            Ok(_) | Err(Errno::EINTR) => continue,
            Err(_) => Event::Empty,
        };
        let last = matches!(event, Event::Empty);
        if events.send(event).is_err() || last {
            return;
        }
    }
}

fn watch(main: Pid, mut socket: &UnixStream, (events, grace): (&mpsc::Receiver<Event>, Duration)) {
    let status = match events.recv() {
        Ok(Event::Ended(status)) => Some(status),
        _ => stop(main, events, grace),
    };
    clear(main, events);
    let words = match status {
        Some(WaitStatus::Exited(_, code)) => format!("exit {code}"),
        Some(WaitStatus::Signaled(_, signal, _)) => format!("signal {}", signal as i32),
        _ => format!("signal {}", Signal::SIGKILL as i32),
    };
    // Whoever listened may be gone.
    writeln!(socket, "{words}").ok();
}

/// Asks the command to end, and waits for it no longer than `grace`.
fn stop(main: Pid, events: &mpsc::Receiver<Event>, grace: Duration) -> Option<WaitStatus> {
    killpg(main, Signal::SIGTERM).ok();
    let until = Instant::now() + grace;
    loop {
        match events.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(Event::Ended(status)) => return Some(status),
            Ok(Event::Stop) => {}
            Ok(Event::Empty) | Err(_) => return None,
        }
    }
}

/// Kills whatever the command has left.
fn clear(main: Pid, events: &mpsc::Receiver<Event>) {
    let until = Instant::now() + GIVE_UP;
    while Instant::now() < until {
        // The group's number may be another's once it is empty: only what is still below the keeper is killed.
        if !tree::kill_all(main) {
            return;
        }
        match events.recv_timeout(AGAIN) {
            Ok(Event::Empty) | Err(RecvTimeoutError::Disconnected) => return,
            Ok(_) | Err(RecvTimeoutError::Timeout) => {}
        }
    }
}
