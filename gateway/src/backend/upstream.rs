//! The server's side of a call that it answers with several messages.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, timeout, timeout_at};

use super::Backend;
use super::fault::Fault;
use super::flight::Flight;
use super::question::Question;
use super::restore::{Restore, Restored, Step};
use super::sse::Events;

/// How many times longer than its timeout a call may last that keeps reporting progress.
const PATIENCE_FACTOR: u32 = 20;
/// Requests of a server that are taken up together.
const MAX_TOGETHER: usize = 16;
/// Time for the next of them; a person answers no faster, and one round with a client costs more.
const TOGETHER_WITHIN: Duration = Duration::from_millis(25);

/// One message of the server.
#[derive(Debug)]
pub(crate) enum Passed {
    /// For the client; more follow.
    Notification(Bytes),
    /// The answer.
    Answer(Restored),
    /// A request to the client; the server waits.
    Ask(Question),
    /// The server does not want an answer to a request of its own any more: its whole notification.
    Withdrawn(String),
}

/// A stream of messages that ends with the answer.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) flight: Flight,
    pub(crate) backend: Arc<Backend>,
    pub(crate) restore: Restore,
    events: Events,
    limit: Duration,
    end: Instant,
    /// When the next message must have come.
    due: Instant,
    /// What the client was asked so far.
    pub(crate) asked: usize,
    /// What was read already.
    ahead: Option<Result<Passed, Fault>>,
}

impl Upstream {
    /// Reads `events`, each within `limit` of the one before.
    pub(crate) fn new(
        flight: Flight,
        backend: Arc<Backend>,
        restore: Restore,
        (events, limit): (Events, Duration),
    ) -> Self {
        let now = Instant::now();
        let (end, due) = (now + limit.saturating_mul(PATIENCE_FACTOR), now + limit);
        Self { flight, backend, restore, events, limit, end, due, asked: 0, ahead: None }
    }

    /// Gives the server more time: it waits for its client, for as long as `within`.
    pub(crate) fn wait_for_client(&mut self, within: Duration) {
        self.end += within;
        self.due = Instant::now() + within + self.limit;
    }

    /// The client has answered; now the server has its usual time.
    pub(crate) fn go_on(&mut self) {
        self.due = self.end.min(Instant::now() + self.limit);
    }

    /// Reads on until there is something for the client. May be dropped while it waits, and called again.
    pub(crate) async fn advance(&mut self) -> Result<Passed, Fault> {
        if let Some(ahead) = self.ahead.take() {
            return ahead;
        }
        loop {
            let event = timeout_at(self.due, self.events.next()).await;
            let event = event.map_err(|_| Fault::Timeout { after: self.limit })??;
            self.go_on();
            let text =
                event.ok_or_else(|| Fault::Broken { reason: "its stream ended without an answer".into() })?;
            match self.restore.step(&text)? {
                Step::Pass(message) => return Ok(Passed::Notification(message)),
                Step::Last(answer) => {
                    self.flight.land();
                    return Ok(Passed::Answer(answer));
                }
                Step::Ask => return Ok(Passed::Ask(self.flight.question(text))),
                Step::Withdraw => return Ok(Passed::Withdrawn(text)),
                Step::Refuse => self.flight.refuse(text),
                Step::Stale => self.backend.mark_stale(),
                Step::Drop => {}
            }
        }
    }

    /// The requests that the server makes together with `first`.
    pub(crate) async fn together(&mut self, first: Question) -> Vec<Question> {
        let mut questions = vec![first];
        while questions.len() < MAX_TOGETHER
            && let Ok(passed) = timeout(TOGETHER_WITHIN, self.advance()).await
        {
            match passed {
                Ok(Passed::Ask(question)) => questions.push(question),
                other => {
                    self.ahead = Some(other);
                    break;
                }
            }
        }
        questions
    }
}
