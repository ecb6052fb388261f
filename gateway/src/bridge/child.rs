//! One child process that speaks MCP on its standard input and output.

use std::collections::HashMap;
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::AsyncWriteExt as _;
use tokio::process::{ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::sync::{OwnedSemaphorePermit, broadcast, mpsc, oneshot};
use tokio_util::codec::{FramedRead, LinesCodec};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::envelope::{Message, Object};
use crate::meta;
use crate::rpc::{RpcError, code, shortened};

/// Bytes in one message of a child.
const MAX_LINE: usize = 32 * 1024 * 1024;
/// Time for a line to be taken by the child.
const WRITE_WITHIN: Duration = Duration::from_secs(30);
/// Time between asking a child to end and killing it.
const GRACE: Duration = Duration::from_secs(2);
/// Messages held for one slow reader.
const HELD: usize = 256;

/// Why a child cannot be spoken to.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// It cannot be started.
    #[error("the command cannot be started: {0}; check that it exists and may be executed")]
    Spawn(#[from] std::io::Error),
    /// It ended.
    #[error("the command ended; see its error output above")]
    Ended,
    /// It does not read.
    #[error("the command does not read its input")]
    Stuck,
    /// The id is taken.
    #[error("another request with this id is in flight; use each id once")]
    IdTaken,
}

/// What a request is answered with.
#[derive(Debug)]
pub(super) struct Answers {
    /// Notifications that belong to the request.
    pub(super) parts: mpsc::Receiver<String>,
    /// The answer; an error if the child ends first.
    pub(super) last: oneshot::Receiver<String>,
    child: Arc<Child>,
    key: String,
}

impl Drop for Answers {
    fn drop(&mut self) {
        self.child.lock().waiting.remove(&self.key);
    }
}

#[derive(Debug)]
struct Waiter {
    parts: mpsc::Sender<String>,
    last: oneshot::Sender<String>,
    token: Option<String>,
}

#[derive(Debug)]
struct State {
    waiting: HashMap<String, Waiter>,
    used: Instant,
}

/// A running child. When the last handle is dropped it is ended, with its whole process group.
#[derive(Debug)]
pub(super) struct Child {
    input: tokio::sync::Mutex<ChildStdin>,
    state: Mutex<State>,
    /// What belongs to no request.
    strays: broadcast::Sender<String>,
    ended: CancellationToken,
}

/// The child's process group; killed when this is dropped, also when the runtime goes down.
#[derive(Debug)]
struct Group(Option<Pid>);

impl Group {
    fn signal(&self, signal: Signal) {
        if let Some(group) = self.0 {
            // The group may be gone already, which is what is wanted.
            let _ = killpg(group, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::SIGKILL);
    }
}

impl Child {
    /// Starts `command`, watched by a task of `tracker` that holds `permit` until the child is gone.
    pub(super) fn start(
        command: &[String],
        tracker: &TaskTracker,
        permit: OwnedSemaphorePermit,
        stop: &CancellationToken,
    ) -> Result<Arc<Self>, Error> {
        let (program, arguments) = command.split_first().ok_or(Error::Ended)?;
        let mut process = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let group = Group(process.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw));
        let (Some(input), Some(output), Some(errors)) =
            (process.stdin.take(), process.stdout.take(), process.stderr.take())
        else {
            return Err(Error::Ended);
        };
        let ended = stop.child_token();
        let child = Arc::new(Self {
            input: tokio::sync::Mutex::new(input),
            state: Mutex::new(State { waiting: HashMap::new(), used: Instant::now() }),
            strays: broadcast::channel(HELD).0,
            ended: ended.clone(),
        });
        tracker.spawn(repeat_errors(errors));
        let weak = Arc::downgrade(&child);
        tracker.spawn(async move {
            ended.run_until_cancelled(read(weak.clone(), output)).await;
            ended.cancel();
            if let Some(child) = weak.upgrade() {
                child.lock().waiting.clear();
            }
            end(process, group).await;
            drop(permit);
        });
        Ok(child)
    }

    /// Sends the request `text` whose id is written `id`.
    pub(super) async fn request(self: &Arc<Self>, id: &str, text: &str) -> Result<Answers, Error> {
        let (parts, parts_of) = mpsc::channel(HELD);
        let (last, last_of) = oneshot::channel();
        let waiter = Waiter { parts, last, token: progress_token(text) };
        {
            let mut state = self.lock();
            if state.waiting.contains_key(id) {
                return Err(Error::IdTaken);
            }
            state.waiting.insert(id.to_owned(), waiter);
        }
        let answers = Answers { parts: parts_of, last: last_of, child: Arc::clone(self), key: id.to_owned() };
        self.send(text).await?;
        Ok(answers)
    }

    /// Sends one message as one line.
    pub(super) async fn send(&self, text: &str) -> Result<(), Error> {
        if self.has_ended() {
            return Err(Error::Ended);
        }
        self.lock().used = Instant::now();
        let mut line = String::with_capacity(text.len() + 1);
        // A line break within a message can only stand between its parts, where a space says the same.
        line.extend(text.chars().map(|c| if c == '\n' || c == '\r' { ' ' } else { c }));
        line.push('\n');
        let write = async {
            let mut input = self.input.lock().await;
            input.write_all(line.as_bytes()).await?;
            input.flush().await
        };
        let written = tokio::time::timeout(WRITE_WITHIN, write).await;
        if !matches!(written, Ok(Ok(()))) {
            // Half a line may have been written: nothing sent after it would be understood.
            self.ended.cancel();
        }
        written.map_err(|_| Error::Stuck)?.map_err(|_| Error::Ended)
    }

    /// Whether the child is gone or about to go.
    pub(super) fn has_ended(&self) -> bool {
        self.ended.is_cancelled()
    }

    /// Says when the child is gone.
    pub(super) fn ended(&self) -> CancellationToken {
        self.ended.clone()
    }

    /// What belongs to no request, from now on.
    pub(super) fn strays(&self) -> broadcast::Receiver<String> {
        self.strays.subscribe()
    }

    /// How long nobody used it; zero while somebody waits or listens.
    pub(super) fn idle(&self) -> Duration {
        let state = self.lock();
        let busy = !state.waiting.is_empty() || self.strays.receiver_count() > 0;
        if busy { Duration::ZERO } else { state.used.elapsed() }
    }

    /// Gives a line of the child to whom it belongs.
    async fn deliver(&self, line: String) {
        let message = match Message::parse(&line) {
            Ok(message) => message,
            Err(error) => {
                tracing::warn!(%error, line = shortened(&line), "the command wrote something that is not MCP");
                return;
            }
        };
        match message {
            Message::Response { id: Some(id), .. } => {
                if let Some(waiter) = self.lock().waiting.remove(id) {
                    // Whoever asked may be gone.
                    let _ = waiter.last.send(line);
                }
            }
            Message::Response { .. } => {
                tracing::warn!(line = shortened(&line), "the command answered without an id");
            }
            Message::Notification { params, .. } => self.pass_on(subject(params), line.clone()),
            Message::Request { id, .. } => {
                let refusal = RpcError::new(code::METHOD_NOT_FOUND, "no client is there to answer this");
                let refusal = refusal.to_bytes(Some(id));
                let asker = self.sole_waiter();
                if asker.is_none() && self.strays.receiver_count() == 0 {
                    self.send(&String::from_utf8_lossy(&refusal)).await.ok();
                } else {
                    self.pass_on(asker, line.clone());
                }
            }
        }
    }

    /// A question of the child belongs to the only request in flight, if there is exactly one.
    fn sole_waiter(&self) -> Option<String> {
        let state = self.lock();
        let mut keys = state.waiting.keys();
        match (keys.next(), keys.next()) {
            (Some(only), None) => Some(only.clone()),
            _ => None,
        }
    }

    /// Gives `line` to the request with the id or progress token `subject`, else to whoever listens to strays. A reader that
    /// is too slow misses notifications, never answers.
    fn pass_on(&self, subject: Option<String>, line: String) {
        let state = self.lock();
        let waiter = subject.and_then(|subject| {
            let by_id = state.waiting.get(&subject);
            by_id.or_else(|| state.waiting.values().find(|waiter| waiter.token.as_ref() == Some(&subject)))
        });
        match waiter {
            Some(waiter) => drop(waiter.parts.try_send(line)),
            None => drop(self.strays.send(line)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.ended.cancel();
    }
}

/// The progress token in a request's `_meta`, as written.
fn progress_token(text: &str) -> Option<String> {
    let params = Object::parse(text).ok()?.object("params")?;
    meta::of(&params)?.get(meta::PROGRESS_TOKEN).map(str::to_owned)
}

/// The progress token or subscription that a notification is about, as written.
fn subject(params: Option<&str>) -> Option<String> {
    let params = Object::parse(params?).ok()?;
    let subscription = meta::of(&params).and_then(|meta| meta.get(meta::SUBSCRIPTION_ID));
    params.get(meta::PROGRESS_TOKEN).or(subscription).map(str::to_owned)
}

async fn read(child: std::sync::Weak<Child>, output: ChildStdout) {
    let mut lines = FramedRead::new(output, LinesCodec::new_with_max_length(MAX_LINE));
    while let Some(line) = lines.next().await {
        let Some(child) = child.upgrade() else { return };
        match line {
            Ok(line) if line.trim().is_empty() => {}
            Ok(line) => child.deliver(line).await,
            Err(error) => {
                tracing::warn!(%error, "the output of the command cannot be read on; the command is ended");
                return;
            }
        }
    }
}

/// Repeats what the child writes to its error output, marked as its words.
async fn repeat_errors(errors: ChildStderr) {
    let mut lines = FramedRead::new(errors, LinesCodec::new_with_max_length(64 * 1024));
    while let Some(line) = lines.next().await {
        match line {
            Ok(line) => eprintln!("[command] {line}"),
            Err(tokio_util::codec::LinesCodecError::MaxLineLengthExceeded) => {}
            Err(tokio_util::codec::LinesCodecError::Io(_)) => return,
        }
    }
}

/// Ends the child: asks its group, waits, kills what is left.
async fn end(mut process: tokio::process::Child, group: Group) {
    group.signal(Signal::SIGTERM);
    if let Ok(Ok(status)) = tokio::time::timeout(GRACE, process.wait()).await {
        tracing::debug!(%status, "the command ended");
    } else {
        group.signal(Signal::SIGKILL);
        process.wait().await.ok();
    }
}
