//! An answer that comes in several messages, passed on as they come.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, timeout_at};

use super::Backend;
use super::fault::Fault;
use super::flight::Flight;
use super::restore::{Restore, Step};
use super::sse::Events;
use crate::frontend::cancel::Stop;
use crate::metrics::{Outcome, Timing};

/// How many times longer than its timeout a call may last that keeps reporting progress.
const PATIENCE_FACTOR: u32 = 20;

/// One message for the client.
#[derive(Debug)]
pub(crate) enum Passed {
    /// More follow.
    Notification(Bytes),
    /// The answer.
    Answer(Bytes),
}

/// A stream of messages that ends with the answer.
#[derive(Debug)]
pub(crate) struct Relay {
    pub(crate) flight: Flight,
    pub(crate) backend: Arc<Backend>,
    pub(crate) restore: Restore,
    events: Events,
    limit: Duration,
    end: Instant,
    /// When the next message must have come.
    due: Instant,
    held: Option<Bytes>,
    attached: Option<(Timing, Stop)>,
    done: bool,
}

impl Relay {
    /// Passes on `events`, each within `limit` of the one before.
    pub(crate) fn new(
        flight: Flight,
        backend: Arc<Backend>,
        restore: Restore,
        (events, limit): (Events, Duration),
    ) -> Self {
        let now = Instant::now();
        let (end, due) = (now + limit.saturating_mul(PATIENCE_FACTOR), now + limit);
        Self { flight, backend, restore, events, limit, end, due, held: None, attached: None, done: false }
    }

    /// Gives `message` first.
    pub(crate) fn hold(&mut self, message: Bytes) {
        self.held = Some(message);
    }

    /// Keeps what must live as long as the call.
    pub(crate) fn attach(&mut self, timing: Timing, stop: Stop) {
        self.attached = Some((timing, stop));
    }

    /// The next message for the client; after the answer, or an error in its place, there is none. May be dropped while
    /// it waits, and called again.
    pub(crate) async fn next(&mut self) -> Option<Bytes> {
        if let Some(held) = self.held.take() {
            return Some(held);
        }
        if self.done {
            return None;
        }
        let attached = self.attached.take();
        let passed = tokio::select! {
            biased;
            () = stopped(attached.as_ref()) => Err(Fault::Cancelled),
            passed = self.advance() => passed,
        };
        self.attached = attached;
        let outcome = match &passed {
            Ok(Passed::Notification(_)) => None,
            Ok(Passed::Answer(_)) => Some(Outcome::Answered),
            Err(fault) => Some(Outcome::Fault(fault.class().as_str())),
        };
        if let (Some(outcome), Some((timing, _))) = (outcome, &mut self.attached) {
            timing.set(outcome);
            self.done = true;
        }
        match passed {
            Ok(Passed::Notification(message) | Passed::Answer(message)) => Some(message),
            Err(fault) => Some(fault.to_rpc(self.backend.key()).to_bytes(Some(&self.restore.id))),
        }
    }

    /// Reads on until there is something for the client.
    pub(crate) async fn advance(&mut self) -> Result<Passed, Fault> {
        loop {
            let event = timeout_at(self.due, self.events.next()).await;
            let event = event.map_err(|_| Fault::Timeout { after: self.limit })??;
            self.due = self.end.min(Instant::now() + self.limit);
            let text =
                event.ok_or_else(|| Fault::Broken { reason: "its stream ended without an answer".into() })?;
            match self.restore.step(&text)? {
                Step::Pass(message) => return Ok(Passed::Notification(message)),
                Step::Last(message) => {
                    self.flight.land();
                    return Ok(Passed::Answer(message));
                }
                Step::Refuse => self.flight.refuse(text),
                Step::Stale => self.backend.mark_stale(),
                Step::Drop => {}
            }
        }
    }
}

async fn stopped(attached: Option<&(Timing, Stop)>) {
    match attached {
        Some((_, stop)) => stop.cancelled().await,
        None => std::future::pending().await,
    }
}
