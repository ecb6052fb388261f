//! One run of a command, behind a keeper.

use std::{
    io,
    os::{fd::OwnedFd, unix::net::UnixStream as StdStream},
    path::PathBuf,
    process::Stdio,
    time::Duration,
};

use futures::StreamExt as _;
use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use tokio::{io::AsyncWriteExt as _, net::UnixStream, process, task::JoinSet, time::timeout};
use tokio_util::codec::{FramedRead, LinesCodec};

use super::{Output, environment, files};
use crate::plan::Command;

/// Longest line of a keeper, in bytes.
const MAX_LINE: usize = 4096;
/// Time that a keeper gets on top of the command's own grace.
const KEEPER_GRACE: Duration = Duration::from_secs(10);

/// Time for what was printed before the end to arrive.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How keepers are started: a program that calls [`crate::keep::run`] with what follows these arguments.
#[derive(Clone, Debug)]
pub struct Keeper {
    /// Path of the program.
    pub program: PathBuf,
    /// Arguments before the command's own.
    pub args: Vec<String>,
}

/// Why a run did not begin.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Files or directories cannot be made.
    #[error("its files cannot be written: {0}")]
    Files(io::Error),
    /// The keeper cannot be started.
    #[error("it cannot be started: {0}")]
    Spawn(#[from] io::Error),
    /// The keeper cannot start the command.
    #[error("it cannot be started: {0}")]
    Refused(String),
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// With an exit code.
    Code(i32),
    /// By a signal.
    Signal(i32),
    /// Its keeper was killed, and it with that.
    Lost,
}

impl std::fmt::Display for Ending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(f, "ended with exit code {code}"),
            Self::Signal(number) => match Signal::try_from(*number) {
                Ok(signal) => write!(f, "was ended by {signal}"),
                Err(_) => write!(f, "was ended by signal {number}"),
            },
            Self::Lost => f.write_str("was ended together with its keeper"),
        }
    }
}

/// A running command.
#[derive(Debug)]
pub struct Child {
    keeper: process::Child,
    readers: JoinSet<()>,
    words: FramedRead<UnixStream, LinesCodec>,
    pid: Pid,
}

impl Child {
    /// Starts `command`; its output goes to `output`.
    pub async fn start(command: &Command, keeper: &Keeper, output: &Output) -> Result<Self, Error> {
        files::write(command).map_err(Error::Files)?;
        let (ours, theirs) = StdStream::pair()?;
        ours.set_nonblocking(true)?;
        let mut process = process::Command::new(&keeper.program)
            .args(&keeper.args)
            .arg(&command.program)
            .args(&command.args)
            .env_clear()
            .envs(environment::variables(&command.env, |name| std::env::var_os(name)))
            .current_dir(&command.work_directory)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()?;
        let mut readers = JoinSet::new();
        process.stdout.take().map(|stream| readers.spawn(output.clone().read(stream)));
        process.stderr.take().map(|stream| readers.spawn(output.clone().read(stream)));
        let codec = LinesCodec::new_with_max_length(MAX_LINE);
        let mut words = FramedRead::new(UnixStream::from_std(ours)?, codec);
        let word = words.next().await.and_then(Result::ok).unwrap_or_default();
        match word.split_once(' ') {
            Some(("pid", number)) => {
                let pid = number.parse().map_err(|_| Error::Refused(format!("its keeper said {word:?}")))?;
                Ok(Self { keeper: process, readers, words, pid: Pid::from_raw(pid) })
            }
            Some(("failed", reason)) => Err(Error::Refused(reason.to_owned())),
            _ => Err(Error::Refused("its keeper ended at once".to_owned())),
        }
    }

    /// Number of the command's process, which is also that of its group.
    pub const fn pid(&self) -> i32 {
        self.pid.as_raw()
    }

    /// Waits for the end. Nothing of the command is left then. May be dropped and called again.
    pub async fn ended(&mut self) -> Ending {
        let word = self.words.next().await.and_then(Result::ok).unwrap_or_default();
        let number = |text: &str| text.parse().unwrap_or(-1);
        let ending = match word.split_once(' ') {
            Some(("exit", code)) => Ending::Code(number(code)),
            Some(("signal", signal)) => Ending::Signal(number(signal)),
            _ => {
                // Nobody else keeps the command now.
                killpg(self.pid, Signal::SIGKILL).ok();
                Ending::Lost
            }
        };
        self.keeper.wait().await.ok();
        // Its last words may still be on the way.
        let all = async { while self.readers.join_next().await.is_some() {} };
        timeout(LAST_WORDS, all).await.ok();
        ending
    }

    /// Asks the command to end, and has it killed after the keeper's grace.
    pub async fn stop(mut self, grace: Duration) {
        self.words.get_mut().shutdown().await.ok();
        if timeout(grace + KEEPER_GRACE, self.ended()).await.is_err() {
            killpg(self.pid, Signal::SIGKILL).ok();
            self.keeper.kill().await.ok();
        }
    }
}
