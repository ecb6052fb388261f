//! An answer that comes in several messages, passed on as they come, with what the client is asked in between.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::call::{Given, Request, Sent};
use super::fault::Fault;
use super::parked::{self, Parked};
use super::question::Question;
use super::restore::{Input, InputRequest, Restored};
use super::upstream::{Passed, Upstream};
use crate::client::needed;
use crate::core::Core;
use crate::envelope::{Edits, Message, Object, quoted};
use crate::frontend::cancel::Stop;
use crate::frontend::ears::Unheard;
use crate::frontend::peers;
use crate::frontend::questions::Pending;
use crate::metrics::{Outcome, Timing};
use crate::scaling::Telling;
use crate::version::Era;

/// Rounds of questions in one call.
const MAX_ROUNDS: usize = 16;
/// Questions of one call that the server may still take back.
const MAX_ASKED: usize = 64;

/// Where the messages come from.
enum State {
    /// The server's stream.
    Following(Box<Upstream>),
    /// Something that takes time: the client is being asked and the call made again, or the call is being parked.
    Asking(BoxFuture<'static, Result<Sent, Fault>>),
    /// Nothing follows.
    Done,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Following(_) => "Following",
            Self::Asking(_) => "Asking",
            Self::Done => "Done",
        })
    }
}

/// A request of a legacy server that the client was sent.
#[derive(Debug)]
struct Asked {
    /// The server's id, as written.
    server_id: String,
    /// The id that the client was given, as JSON.
    our_name: String,
    withdrawn: CancellationToken,
}

/// A stream of messages that ends with the answer.
#[derive(Debug)]
pub(crate) struct Relay {
    core: Arc<Core>,
    request: Arc<Request>,
    state: State,
    ready: VecDeque<Bytes>,
    rounds: usize,
    asked: Vec<Asked>,
    /// Tells the client meanwhile that a replica of its server is starting.
    telling: Option<Telling>,
    /// Ends the questions that are open when the client goes.
    gone: CancellationToken,
    _gone: DropGuard,
    attached: Option<(Timing, Stop)>,
}

impl Relay {
    /// The answer to `request`, of which this came first.
    pub(crate) fn new(core: &Arc<Core>, request: Request, sent: Sent) -> Result<Box<Self>, Fault> {
        let mut relay = Self::of(core, request);
        relay.receive(sent)?;
        Ok(relay)
    }

    /// The answer to `request`, which has to wait for a replica of its server; the client is told so under the progress token
    /// `token`, as JSON.
    pub(crate) fn waiting(
        core: &Arc<Core>,
        request: Request,
        (token, given): (&str, Option<Given>),
    ) -> Box<Self> {
        let telling = Telling::new(token, request.route.backend.key());
        let mut relay = Self::of(core, request);
        relay.telling = Some(telling);
        let (core, request) = (Arc::clone(core), Arc::clone(&relay.request));
        relay.state = State::Asking(Box::pin(async move { request.first(&core, given).await }));
        relay
    }

    fn of(core: &Arc<Core>, request: Request) -> Box<Self> {
        let gone = CancellationToken::new();
        Box::new(Self {
            core: Arc::clone(core),
            request: Arc::new(request),
            state: State::Done,
            ready: VecDeque::new(),
            rounds: 0,
            asked: Vec::new(),
            telling: None,
            _gone: gone.clone().drop_guard(),
            gone,
            attached: None,
        })
    }

    /// Keeps what must live as long as the call.
    pub(crate) fn attach(&mut self, timing: Timing, stop: Stop) {
        self.attached = Some((timing, stop));
    }

    /// The next message for the client; after the answer, or an error in its place, there is none. May be dropped while
    /// it waits, and called again.
    pub(crate) async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(message) = self.ready.pop_front() {
                return Some(message);
            }
            if matches!(self.state, State::Done) {
                return None;
            }
            // What is attached stays where it is: this may be dropped at any time.
            let stop = self.attached.as_ref().and_then(|(_, stop)| stop.token());
            let due = self.telling.as_ref().map(Telling::due);
            let turn = tokio::select! {
                biased;
                () = stopped(stop) => Err(Fault::Cancelled),
                turn = self.turn() => turn,
                () = until(due) => {
                    self.ready.extend(self.telling.as_mut().map(Telling::next));
                    Ok(())
                }
            };
            if let Err(fault) = turn {
                self.end(Outcome::Fault(fault.class().as_str()));
                let error = fault.to_rpc(self.request.route.backend.key());
                return Some(error.to_bytes(Some(&self.request.id)));
            }
        }
    }

    /// Waits for whatever comes next and deals with it.
    async fn turn(&mut self) -> Result<(), Fault> {
        match &mut self.state {
            State::Following(upstream) => {
                let passed = upstream.advance().await?;
                self.take(passed)
            }
            State::Asking(work) => {
                let sent = work.as_mut().await?;
                self.telling = None;
                self.receive(sent)
            }
            State::Done => Ok(()),
        }
    }

    fn receive(&mut self, sent: Sent) -> Result<(), Fault> {
        match sent {
            Sent::Whole(restored) => self.finish(restored),
            Sent::Events(upstream, first) => {
                self.state = State::Following(upstream);
                self.take(first)
            }
        }
    }

    fn take(&mut self, passed: Passed) -> Result<(), Fault> {
        match passed {
            Passed::Notification(message) => self.ready.push_back(message),
            Passed::Answer(restored) => self.finish(restored)?,
            Passed::Ask(question) => match self.request.client.era {
                Era::Legacy => self.pass_question(question),
                Era::Modern => self.park(question),
            },
            Passed::Withdrawn(text) => self.withdraw(&text),
        }
        Ok(())
    }

    fn finish(&mut self, restored: Restored) -> Result<(), Fault> {
        let client = &self.request.client;
        let message = match restored {
            Restored::Done(message) | Restored::Lacking(message) => message,
            Restored::Visit(pages) => parked::visit(&self.core, client, (&self.request.id, &pages))?,
            Restored::Input(input) => return self.ask(input),
        };
        if let Some((timing, _)) = &mut self.attached {
            timing.says(&message);
        }
        self.ready.push_back(message);
        self.end(Outcome::Answered);
        Ok(())
    }

    fn end(&mut self, outcome: Outcome) {
        self.state = State::Done;
        if let Some((timing, _)) = &mut self.attached {
            timing.set(outcome);
        }
    }

    /// Ends the stream with the result that asks a modern client.
    fn park(&mut self, question: Question) {
        let State::Following(upstream) = std::mem::replace(&mut self.state, State::Done) else { return };
        let (core, request) = (Arc::clone(&self.core), Arc::clone(&self.request));
        self.state = State::Asking(Box::pin(async move {
            let parked = Parked::new(*upstream, question, request.target()).await;
            let message = parked.park(&core)?;
            Ok(Sent::Whole(Restored::Done(message)))
        }));
    }

    /// Sends a legacy server's request to a legacy client, under an id of ours. Where it cannot be sent the question is
    /// dropped, which tells the server.
    fn pass_question(&mut self, question: Question) {
        let Some((server_id, ..)) = question.parts() else { return };
        let (server_id, withdrawn) = (server_id.to_owned(), self.gone.child_token());
        let passed = question.pass_on(self.request.client.session, withdrawn.clone());
        let Some((our_name, message)) = passed else { return };
        if let Err(Unheard) = self.say(message) {
            withdrawn.cancel();
            return;
        }
        if self.asked.len() == MAX_ASKED {
            self.asked.remove(0);
        }
        self.asked.push(Asked { server_id, our_name, withdrawn });
        if let State::Following(upstream) = &mut self.state {
            upstream.wait_for_client(self.core.options.answer_timeout);
        }
    }

    /// Sends a request to a legacy client: on this stream, or, if the client takes no stream here, on its session's.
    fn say(&mut self, message: Bytes) -> Result<(), Unheard> {
        let client = &self.request.client;
        if client.takes_events {
            self.ready.push_back(message);
            return Ok(());
        }
        self.core.ears.say(client.session, message)
    }

    /// Tells the client that the server wants no answer any more.
    fn withdraw(&mut self, text: &str) {
        let Ok(Message::Notification { params: Some(params), .. }) = Message::parse(text) else { return };
        let Ok(params) = Object::parse(params) else { return };
        let Some(id) = params.get("requestId") else { return };
        let Some(at) = self.asked.iter().position(|asked| asked.server_id == id) else { return };
        let asked = self.asked.swap_remove(at);
        asked.withdrawn.cancel();
        let mut edits = Edits::of(text);
        edits.replace(id, asked.our_name.clone());
        self.ready.push_back(edits.finish());
    }

    /// Asks a legacy client what a modern server wants to know, and makes the call again with the answers.
    fn ask(&mut self, input: Input) -> Result<(), Fault> {
        let (session, capabilities) = (self.request.client.session, self.request.client.capabilities);
        self.rounds += 1;
        if self.rounds > MAX_ROUNDS {
            let reason = format!("it asks for input more than {MAX_ROUNDS} times in one call");
            return Err(Fault::Malformed { reason });
        }
        // All or none is asked: a client must not think about a question whose call has failed.
        for request in &input.requests {
            let params = request.params();
            let needed = needed(&request.method, params.as_ref());
            if !needed.is_some_and(|needed| capabilities.has(needed)) {
                return Err(Fault::InputRequired(request.method.clone()));
            }
        }
        let mut waiting = Vec::with_capacity(input.requests.len());
        for request in input.requests {
            let id = self.core.control.ids.next();
            let pending = self.core.questions.ask(session, id);
            let pending =
                pending.ok_or_else(|| Fault::Input("too many questions are open; try again later".into()))?;
            let name = peers::id(&self.core, id);
            let message = message((id, &name), &request, request.params().as_ref());
            self.say(message).map_err(|Unheard| Fault::InputRequired(request.method.clone()))?;
            waiting.push((request, pending));
        }
        let deadline = Instant::now() + self.core.options.answer_timeout;
        let (core, request) = (Arc::clone(&self.core), Arc::clone(&self.request));
        self.state = State::Asking(Box::pin(async move {
            let answers = answers(waiting, deadline).await?;
            match input.rule {
                Some(rule) => request.approved(&core, &answers, &rule).await,
                None => request.again(&core, Some((answers, input.state))).await,
            }
        }));
        Ok(())
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

async fn stopped(stop: Option<CancellationToken>) {
    match stop {
        Some(stop) => stop.cancelled().await,
        None => std::future::pending().await,
    }
}

/// The request of a modern server as a message to a legacy client.
fn message((number, id): (u64, &str), request: &InputRequest, params: Option<&Object<'_>>) -> Bytes {
    let method = quoted(&request.method);
    let Some(params) = params else {
        return format!(r#"{{"jsonrpc":"2.0","id":{id},"method":{method}}}"#).into();
    };
    let text = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":{method},"params":{}}}"#, params.raw());
    let page = params.string("mode").as_deref() == Some("url");
    if !page || params.get("elicitationId").is_some() {
        return text.into();
    }
    // Required by 2025-11-25, and unknown to 2026-07-28.
    let start = text.len() - params.raw().len() - 1;
    let mut edits = Edits::of(&text);
    edits.prepend(&text[start..start + params.raw().len()], &format!(r#""elicitationId":"{number}""#));
    edits.finish()
}

/// The client's answers as the JSON object `inputResponses`.
async fn answers(waiting: Vec<(InputRequest, Pending)>, deadline: Instant) -> Result<String, Fault> {
    let mut members = Vec::with_capacity(waiting.len());
    for (InputRequest { key, method, .. }, mut pending) in waiting {
        let unanswered =
            |reason: &str| Fault::Unanswered { method: method.clone(), reason: reason.to_owned() };
        let text = pending.answered(deadline).await.ok_or_else(|| unanswered("it took too long"))?;
        match Message::parse(&text) {
            Ok(Message::Response { outcome: Ok(result), .. }) => {
                members.push(format!("{}:{result}", quoted(&key)));
            }
            Ok(Message::Response { outcome: Err(error), .. }) => {
                return Err(unanswered(&crate::rpc::shortened(error)));
            }
            _ => return Err(unanswered("it is not a response")),
        }
    }
    Ok(format!("{{{}}}", members.join(",")))
}
