//! Fetches the file of a model: resumed after a cut, verified by SHA-256, and in its place only when it is whole.
//!
//! Beside `FILE` stand, until it is whole, `FILE.partial` with what has come so far and `FILE.partial.json` with what it
//! is a part of.

mod failure;
mod order;
mod partial;
mod progress;
mod transfer;

use std::time::Duration;

use reqwest::Client;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use failure::{Failure, Reason};
pub use order::{FreeSpace, Invalid, Order, Sha256, Source, free_space};
pub use progress::{Progress, Reporter, State, serve, tell};

use failure::Trouble;
use partial::{Opened, Partial};

/// Longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// A file that is whole and in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// Its size.
    pub bytes: u64,
    /// What is known of its content.
    pub verified: Verified,
}

/// What is known of a file's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verified {
    /// It has the SHA-256 that was asked for.
    AsAsked(Sha256),
    /// It has the SHA-256 that the server itself states: nothing was damaged on the way.
    AsStated(Sha256),
    /// It was not held against anything.
    Not,
}

impl std::fmt::Display for Fetched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bytes = self.bytes;
        match &self.verified {
            Verified::AsAsked(sum) => write!(f, "{bytes} bytes with the SHA-256 that was asked for, {sum}"),
            Verified::AsStated(sum) => write!(
                f,
                "{bytes} bytes with the SHA-256 that the server states, {sum}: not damaged on the way; give `sha256` to rule out another file, too"
            ),
            Verified::Not => {
                write!(f, "{bytes} bytes, not verified: no SHA-256 is known; give `sha256`")
            }
        }
    }
}

/// An outcome in one line, `REASON: message`, as it goes into the file that the kubelet copies to the pod's status.
#[must_use]
pub fn line(outcome: &Result<Fetched, Failure>) -> String {
    match outcome {
        Ok(fetched) => format!("{}: {fetched}", Reason::Downloaded.as_str()),
        Err(failure) => format!("{}: {failure}", failure.reason().as_str()),
    }
}

/// Fetches what `order` says, until it is there, cannot be had, or `stop` is cancelled. What has come so far is kept in
/// every case but that of a wrong checksum.
///
/// # Errors
/// Says why the file cannot be had and how to mend it.
pub async fn fetch(order: &Order, reporter: &Reporter, stop: &CancellationToken) -> Result<Fetched, Failure> {
    let limit = Instant::now() + order.deadline;
    let mut partial = None;
    let outcome = tokio::select! {
        biased;
        () = stop.cancelled() => Err(Failure::Interrupted { bytes: reporter.bytes() }),
        outcome = tokio::time::timeout_at(limit, attempts(order, reporter, limit, &mut partial)) => outcome
            .unwrap_or_else(|_| Err(order.unreachable("the deadline has passed", reporter.bytes()))),
    };
    if let Some(mut partial) = partial
        && partial.flush(order).await.is_err()
    {
        tracing::warn!("the last bytes could not be kept");
    }
    reporter.end(&outcome);
    outcome
}

/// Tries again after what may pass. A try that brought something starts the pauses anew.
async fn attempts(
    order: &Order,
    reporter: &Reporter,
    limit: Instant,
    partial: &mut Option<Partial>,
) -> Result<Fetched, Failure> {
    let client = transfer::client().map_err(|what| order.unreachable(&what, 0))?;
    let mut pause = order.first_pause;
    loop {
        let before = reporter.bytes();
        let (what, wait) = match attempt(order, reporter, &client, partial).await {
            Ok(fetched) => return Ok(fetched),
            Err(Trouble::Final(failure)) => return Err(failure),
            Err(Trouble::Passing { what, wait }) => (what, wait),
        };
        if reporter.bytes() > before {
            pause = order.first_pause;
        }
        let wait = wait.unwrap_or(pause);
        if Instant::now() + wait >= limit {
            return Err(order.unreachable(&what, reporter.bytes()));
        }
        tracing::warn!(what, seconds = wait.as_secs_f32(), "trying again");
        reporter.retrying(&what);
        tokio::time::sleep(wait).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// One try; `partial` lives on to the next, which thereby need not read it again.
async fn attempt(
    order: &Order,
    reporter: &Reporter,
    client: &Client,
    partial: &mut Option<Partial>,
) -> Result<Fetched, Trouble> {
    let open = match partial.take() {
        Some(open) => open,
        None => match Partial::open(order, reporter).await? {
            Opened::Complete(fetched) => return Ok(fetched),
            Opened::Partial(open) => *open,
        },
    };
    let open = partial.insert(open);
    if !open.is_whole() {
        receive(order, reporter, client, open).await?;
    }
    reporter.verifying();
    let Some(whole) = partial.take() else { return Err(Trouble::passing("the file was closed")) };
    whole.finish(order).await
}

/// Brings what is missing.
async fn receive(
    order: &Order,
    reporter: &Reporter,
    client: &Client,
    partial: &mut Partial,
) -> Result<(), Trouble> {
    let mut answer = transfer::ask(order, client, partial).await?;
    partial.agree(order, &answer).await?;
    reporter.starting(partial.len(), partial.total());
    partial.check_space(order)?;
    while let Some(chunk) = answer.chunk().await? {
        partial.write(order, &chunk).await?;
        reporter.received(partial.len());
    }
    partial.flush(order).await?;
    match partial.total() {
        Some(total) if partial.len() < total => Err(Trouble::passing("the connection was cut")),
        _ => Ok(()),
    }
}
