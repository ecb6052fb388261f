//! The life of one command, run after run.

use std::{future::Future, time::Duration};

use tokio::{
    task::JoinHandle,
    time::{Instant, sleep, timeout_at},
};
use tokio_util::sync::CancellationToken;

use super::{
    backoff::Backoff,
    child::{Child, Keeper},
    output::{Output, telling},
    probe::serves,
};
use crate::plan::Command;

/// Times of a process.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Wait before the second start.
    pub first_wait: Duration,
    /// Longest wait before a start.
    pub longest_wait: Duration,
    /// A run that served this long makes the next wait the first one again.
    pub good_after: Duration,
    /// Time that a start may take.
    pub start_within: Duration,
    /// Between two questions whether a starting process serves.
    pub ask_starting: Duration,
    /// Between two questions whether a serving process still does.
    pub ask_serving: Duration,
    /// Questions without a good answer after which a process that served is started again.
    pub failures: u32,
    /// Time between asking the process to end and killing it.
    pub grace: Duration,
}

impl Default for Policy {
    /// The probes are those of the operator's pods.
    fn default() -> Self {
        Self {
            first_wait: Duration::from_millis(500),
            longest_wait: Duration::from_secs(30),
            good_after: Duration::from_secs(30),
            start_within: Duration::from_mins(2),
            ask_starting: Duration::from_millis(50),
            ask_serving: Duration::from_secs(10),
            failures: 6,
            grace: Duration::from_secs(10),
        }
    }
}

/// How a process does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// It is started and does not serve yet.
    Starting,
    /// It serves.
    Serving {
        /// Number of the process.
        pid: i32,
    },
    /// It ended or did not come to serve, and is started again.
    Failed {
        /// What happened, with the last it said.
        reason: String,
        /// When it is started again.
        again_in: Duration,
    },
}

/// Why a run is over.
enum Over {
    Told,
    Failed { reason: String, served: Duration },
}

/// A command that is kept running until it is told to stop.
#[derive(Debug)]
pub struct Process {
    stop: CancellationToken,
    task: JoinHandle<()>,
    output: Output,
}

impl Process {
    /// Keeps `command` running; `tell` is called on every change. It starts after `before` has ended, such as the stop
    /// of the process whose place it takes.
    pub fn start(
        command: Command,
        (keeper, policy): (Keeper, Policy),
        output: Output,
        before: impl Future<Output = ()> + Send + 'static,
        tell: impl Fn(Status) + Send + Sync + 'static,
    ) -> Self {
        let stop = CancellationToken::new();
        let run = Run { command, keeper, policy, output: output.clone(), stop: stop.clone() };
        let task = tokio::spawn(async move {
            before.await;
            run.keep_running(&tell).await;
        });
        Self { stop, task, output }
    }

    /// Its last lines.
    #[must_use]
    pub fn last_lines(&self) -> Vec<String> {
        self.output.last()
    }

    /// Tells it to stop; the future ends when nothing of it is left.
    pub fn stop(self) -> impl Future<Output = ()> + Send + 'static {
        self.stop.cancel();
        async move {
            // A panic there is reported by the runtime, and the keeper saw its socket close.
            self.task.await.ok();
        }
    }
}

struct Run {
    command: Command,
    keeper: Keeper,
    policy: Policy,
    output: Output,
    stop: CancellationToken,
}

impl Run {
    async fn keep_running(&self, tell: &(impl Fn(Status) + Sync)) {
        let Policy { first_wait, longest_wait, good_after, .. } = self.policy;
        let mut backoff = Backoff::new(first_wait, longest_wait, good_after);
        while !self.stop.is_cancelled() {
            tell(Status::Starting);
            let Over::Failed { reason, served } = self.once(tell).await else { return };
            let again_in = backoff.after(served);
            tell(Status::Failed { reason, again_in });
            self.stop.run_until_cancelled(sleep(again_in)).await;
        }
    }

    /// One run, from its start to its end.
    async fn once(&self, tell: &(impl Fn(Status) + Sync)) -> Over {
        self.output.clear();
        let mut child = match Child::start(&self.command, &self.keeper, &self.output).await {
            Ok(child) => child,
            Err(error) => return Over::Failed { reason: error.to_string(), served: Duration::ZERO },
        };
        let (pid, mut since) = (child.pid(), None);
        let reason = tokio::select! {
            () = self.stop.cancelled() => None,
            ending = child.ended() => {
                return Over::Failed { reason: self.explained(ending.to_string()), served: elapsed(since) };
            }
            reason = self.watch(pid, &mut since, tell) => Some(reason),
        };
        child.stop(self.policy.grace).await;
        match reason {
            None => Over::Told,
            Some(reason) => Over::Failed { reason: self.explained(reason), served: elapsed(since) },
        }
    }

    /// Asks whether the process serves, for ever; ends with the reason when it does not.
    async fn watch(&self, pid: i32, since: &mut Option<Instant>, tell: &(impl Fn(Status) + Sync)) -> String {
        let Policy { start_within, ask_starting, ask_serving, failures, .. } = self.policy;
        let Command { port, ref probe, .. } = self.command;
        let first = async {
            while !serves(port, probe).await {
                sleep(ask_starting).await;
            }
        };
        if timeout_at(Instant::now() + start_within, first).await.is_err() {
            return format!("did not serve on port {port} within {} s", start_within.as_secs());
        }
        *since = Some(Instant::now());
        tell(Status::Serving { pid });
        let mut failed = 0;
        while failed < failures {
            sleep(ask_serving).await;
            failed = if serves(port, probe).await { 0 } else { failed + 1 };
        }
        format!("has stopped answering on port {port}")
    }

    fn explained(&self, reason: String) -> String {
        match telling(&self.output.last()) {
            Some(line) => format!("{reason}: {line}"),
            None => reason,
        }
    }
}

fn elapsed(since: Option<Instant>) -> Duration {
    since.map_or(Duration::ZERO, |since| since.elapsed())
}
