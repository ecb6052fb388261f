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
use crate::client::{Capabilities, Client};
use crate::envelope::Message;
use crate::version::Era;

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
    client: Client,
    /// What the client would have to be able to do to answer something that the server asked in vain.
    lacking: Option<Capabilities>,
    /// What the client was asked so far.
    pub(crate) asked: usize,
    /// A message that was read already, as it came: the request that it is restored for may be another by then.
    ahead: Option<String>,
}

impl Upstream {
    /// Reads `events` for `client`, each within `limit` of the one before.
    pub(crate) fn new(
        flight: Flight,
        backend: Arc<Backend>,
        restore: Restore,
        (events, limit): (Events, Duration),
        client: Client,
    ) -> Self {
        let now = Instant::now();
        let (end, due) = (now + limit.saturating_mul(PATIENCE_FACTOR), now + limit);
        Self {
            flight,
            backend,
            restore,
            events,
            limit,
            end,
            due,
            client,
            lacking: None,
            asked: 0,
            ahead: None,
        }
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
        loop {
            let text = match self.ahead.take() {
                Some(text) => text,
                None => self.read().await?,
            };
            match self.restore.step(&text)? {
                Step::Pass(message) => return Ok(Passed::Notification(message)),
                Step::Last(answer) => {
                    self.flight.land();
                    return self.last(answer, &text);
                }
                Step::Ask => {
                    if let Some(question) = self.answerable(self.flight.question(text)) {
                        return Ok(Passed::Ask(question));
                    }
                }
                Step::Withdraw => return Ok(Passed::Withdrawn(text)),
                Step::Refuse => self.flight.refuse(text),
                Step::Stale => self.backend.mark_stale(),
                Step::Drop => {}
            }
        }
    }

    async fn read(&mut self) -> Result<String, Fault> {
        let event = timeout_at(self.due, self.events.next()).await;
        let event = event.map_err(|_| Fault::Timeout { after: self.limit })??;
        self.go_on();
        event.ok_or_else(|| Fault::Broken { reason: "its stream ended without an answer".into() })
    }

    /// The question, unless the client cannot answer it; then the server is told, and may go on without.
    fn answerable(&mut self, question: Question) -> Option<Question> {
        let needed = question.needed()?;
        let modern = self.client.era == Era::Modern;
        if modern && !self.restore.method.may_ask() {
            question.refuse();
            return None;
        }
        if self.client.capabilities.has(needed) {
            return Some(question);
        }
        self.lacking = Some(needed);
        question.refuse();
        None
    }

    /// A call that failed after its server asked in vain failed for what the client lacks, as far as a modern client is
    /// concerned.
    fn last(&self, answer: Restored, text: &str) -> Result<Passed, Fault> {
        let failed = || matches!(Message::parse(text), Ok(Message::Response { outcome: Err(_), .. }));
        match self.lacking {
            Some(needed) if self.client.era == Era::Modern && failed() => Err(Fault::Lacking(needed)),
            _ => Ok(Passed::Answer(answer)),
        }
    }

    /// The requests that the server makes together with `first`.
    pub(crate) async fn together(&mut self, first: Question) -> Vec<Question> {
        let mut questions = vec![first];
        while questions.len() < MAX_TOGETHER
            && let Ok(Ok(Some(text))) = timeout(TOGETHER_WITHIN, self.events.next()).await
        {
            if !matches!(self.restore.step(&text), Ok(Step::Ask)) {
                self.ahead = Some(text);
                break;
            }
            let question = self.flight.question(text);
            questions.extend(self.answerable(question));
        }
        questions
    }
}
