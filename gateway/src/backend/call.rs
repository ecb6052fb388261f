//! A client's request, carried to the server it names.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, timeout_at};

use super::again::Tries;
use super::client::Reply;
use super::fault::{Class, Fault};
use super::flight::Flight;
use super::parked::{self, Parked, Target};
use super::relay::Relay;
use super::restore::{Input, Restore, Restored, TaskNames};
use super::session::{Busy, Link, Peer};
use super::upstream::{Passed, Upstream};
use super::way::{Way, forget};
use super::{Chosen, breaker};
use crate::audit::Entry;
use crate::catalog::{Route, View};
use crate::client::{Capabilities, Client};
use crate::core::Core;
use crate::envelope::{Message, Object};
use crate::frontend::approval;
use crate::frontend::cancel::Stop;
use crate::frontend::connect;
use crate::meta;
use crate::method::Method;
use crate::metrics::Outcome;
use crate::scaling::Load;
use crate::trace::{About, Span, Trail};
use crate::version::Era;

/// A request and where it goes.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    /// The client's whole message.
    pub(crate) text: &'a str,
    /// Its id, as written.
    pub(crate) id: &'a str,
    pub(crate) method: Method,
    pub(crate) params: Object<'a>,
    /// The JSON string in the message that names what is called.
    pub(crate) target: &'a str,
    /// The same as the client means it.
    pub(crate) exposed: String,
    pub(crate) route: Arc<Route>,
    /// What the client sees of all servers.
    pub(crate) view: Arc<View>,
    pub(crate) client: Client,
    /// What the client answered to a modern server's questions, and the state that goes with it.
    pub(crate) given: Option<Given>,
    /// A digest of the call, if a person approved it.
    pub(crate) approved: Option<u128>,
    /// Its spans, where traces are exported.
    pub(crate) trail: Option<Trail>,
}

/// `inputResponses` and `requestState` of a repeated call, as JSON.
pub(crate) type Given = (String, Option<String>);

/// What came of it.
#[derive(Debug)]
pub(crate) enum Answer {
    /// One message.
    Whole(Bytes),
    /// One message, saying that the client cannot do what the call needs.
    Lacking(Bytes),
    /// Several.
    Stream(Box<Relay>),
}

/// What a server sent back.
#[derive(Debug)]
pub(crate) enum Sent {
    /// The answer alone.
    Whole(Restored),
    /// Several messages, and the first of them.
    Events(Box<Upstream>, Passed),
}

/// A call that outlives the request that made it, so that it can be made again.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) id: String,
    pub(crate) route: Arc<Route>,
    view: Arc<View>,
    pub(crate) client: Client,
    method: Method,
    exposed: String,
    /// A digest of the call, if a person approved it.
    approved: Option<u128>,
    trail: Option<Trail>,
    /// The client's whole message, kept only where the call may have to be made again.
    text: Option<String>,
}

impl Request {
    /// What it calls.
    pub(crate) fn target(&self) -> Target {
        Target { principal: self.client.principal, method: self.method, name: self.exposed.clone() }
    }

    /// Makes the call if the client's answers say yes; else the answer says that it was not made, by which rule.
    pub(crate) async fn approved(&self, core: &Arc<Core>, answers: &str, rule: &str) -> Result<Sent, Fault> {
        if approval::agrees(Object::parse(answers).ok().as_ref()) {
            return self.again(core, None).await;
        }
        let message = approval::declined_message((self.client.era, self.method), &self.id, rule);
        Ok(Sent::Whole(Restored::Done(message)))
    }

    /// Makes the call for the first time.
    pub(crate) async fn first(&self, core: &Arc<Core>, given: Option<Given>) -> Result<Sent, Fault> {
        self.make(core, (given, self.approved)).await
    }

    /// Makes the call again, with what the client was asked.
    pub(crate) async fn again(&self, core: &Arc<Core>, given: Option<Given>) -> Result<Sent, Fault> {
        self.make(core, (given, None)).await
    }

    async fn make(
        &self,
        core: &Arc<Core>,
        (given, approved): (Option<Given>, Option<u128>),
    ) -> Result<Sent, Fault> {
        let lost = || Fault::Malformed { reason: "it asks for input where no call can be repeated".into() };
        let text = self.text.as_deref().ok_or_else(lost)?;
        let Ok(Message::Request { id, params: Some(params), .. }) = Message::parse(text) else {
            return Err(lost());
        };
        let params = Object::parse(params).map_err(super::control::malformed)?;
        let target = self.method.name_member().and_then(|member| params.get(member)).ok_or_else(lost)?;
        let (exposed, route) = (self.exposed.clone(), Arc::clone(&self.route));
        let (method, client) = (self.method, self.client.clone());
        let (trail, view) = (self.trail.clone(), Arc::clone(&self.view));
        let call =
            Call { text, id, method, params, target, exposed, route, view, client, given, approved, trail };
        let limit = call.limit();
        call.attempts(core, limit).await
    }
}

impl Call<'_> {
    /// Carries the request to its server and gives the answer for the client.
    pub(crate) async fn run(
        &self,
        core: &Arc<Core>,
        (stop, entry): (Stop, Option<Entry>),
    ) -> Result<Answer, Fault> {
        let mut timing = core.metrics.begin(self.route.backend.key(), self.method.as_str());
        timing.write_down(entry);
        timing.trace(self.span(core));
        if let Some(mut relay) = self.told_while_waiting(core) {
            relay.attach(timing, stop);
            return Ok(Answer::Stream(relay));
        }
        let limit = self.limit();
        let sent = tokio::select! {
            biased;
            () = stop.cancelled() => Err(Fault::Cancelled),
            sent = self.resumed_or_sent(core, limit) => sent,
        };
        let answer = match sent {
            Ok(sent) => self.conclude(core, sent).await,
            Err(fault) => Err(fault),
        };
        match answer {
            Ok(Answer::Stream(mut relay)) => {
                relay.attach(timing, stop);
                Ok(Answer::Stream(relay))
            }
            Ok(whole) => {
                timing.set(Outcome::Answered);
                if let Answer::Whole(message) | Answer::Lacking(message) = &whole {
                    timing.says(message);
                }
                Ok(whole)
            }
            Err(fault) => {
                timing.set(Outcome::Fault(fault.class().as_str()));
                match fault {
                    Fault::SignIn => connect::invite(core, &self.client, (self.id, self.route.backend.key())),
                    fault => Err(fault),
                }
            }
        }
    }

    /// The call as a stream on which the client is told how it goes: where it has to wait for a replica to start, and the client
    /// wants to know.
    fn told_while_waiting(&self, core: &Arc<Core>) -> Option<Box<Relay>> {
        let backend = &self.route.backend;
        if !self.client.takes_events || backend.is_up() || !backend.may_be_waited_for() {
            return None;
        }
        // What goes on with a state that the client was given is no new call.
        let is_new = self.params.get("requestState").is_none();
        let meta = meta::of(&self.params).filter(|_| is_new)?;
        let token = meta.get(meta::PROGRESS_TOKEN)?;
        let request = Request { text: Some(self.text.to_owned()), ..self.request() };
        Some(Relay::waiting(core, request, (token, self.given.clone())))
    }

    /// The call's spans, if they are kept.
    fn span(&self, core: &Core) -> Option<Box<Span>> {
        let (tracer, trail) = core.tracer().zip(self.trail.as_ref())?;
        let about = || {
            let about = About::new(&self.client, (self.method, self.id), self.route.backend.key());
            about.of(&self.exposed, &self.route.original)
        };
        tracer.begin(trail, about)
    }

    fn limit(&self) -> Duration {
        self.route.backend.live().server.timeouts.of(&self.route.original)
    }

    /// Goes on with the call that a modern client's `requestState` belongs to, or makes it.
    async fn resumed_or_sent(&self, core: &Arc<Core>, limit: Duration) -> Result<Sent, Fault> {
        let bridged = (self.client.era, self.route.backend.era()) == (Era::Modern, Era::Legacy);
        let state = if bridged { self.params.string("requestState") } else { None };
        let Some(state) = state else { return self.attempts(core, limit).await };
        let target =
            Target { principal: self.client.principal, method: self.method, name: self.exposed.clone() };
        match core.parking.resume(core, &state, &target)? {
            Some(parked) => within(Instant::now() + limit, limit, self.resume(core, parked)).await,
            None => self.attempts(core, limit).await,
        }
    }

    async fn resume(&self, core: &Arc<Core>, mut parked: Parked) -> Result<Sent, Fault> {
        parked.upstream.restore = self.restore(core, parked.upstream.restore.ours, Era::Legacy);
        parked.answer(self.params.object("inputResponses").as_ref());
        if parked.is_open() {
            return parked.park(core).map(|message| Sent::Whole(Restored::Done(message)));
        }
        let mut upstream = Box::new(parked.upstream);
        upstream.go_on();
        let first = upstream.advance().await?;
        Ok(Sent::Events(upstream, first))
    }

    /// The answer that `sent` is for the client.
    async fn conclude(&self, core: &Arc<Core>, sent: Sent) -> Result<Answer, Fault> {
        match sent {
            Sent::Whole(restored) | Sent::Events(_, Passed::Answer(restored)) => self.whole(core, restored),
            Sent::Events(upstream, Passed::Ask(question)) if self.client.era == Era::Modern => {
                let target = Target {
                    principal: self.client.principal,
                    method: self.method,
                    name: self.exposed.clone(),
                };
                Parked::new(*upstream, question, target).await.park(core).map(Answer::Whole)
            }
            events @ Sent::Events(..) => Relay::new(core, self.request(), events).map(Answer::Stream),
        }
    }

    fn whole(&self, core: &Arc<Core>, restored: Restored) -> Result<Answer, Fault> {
        match restored {
            Restored::Done(message) => Ok(Answer::Whole(message)),
            Restored::Lacking(message) => Ok(Answer::Lacking(message)),
            Restored::Visit(pages) => parked::visit(core, &self.client, (self.id, &pages)).map(Answer::Whole),
            asking @ Restored::Input(_) => {
                Relay::new(core, self.request(), Sent::Whole(asking)).map(Answer::Stream)
            }
        }
    }

    /// Asks the client for an approval, and makes the call after that.
    pub(crate) fn ask_first(
        &self,
        core: &Arc<Core>,
        (stop, entry): (Stop, Option<Entry>),
        input: Input,
    ) -> Result<Box<Relay>, Fault> {
        let mut timing = core.metrics.begin(self.route.backend.key(), self.method.as_str());
        timing.write_down(entry);
        let request = Request { text: Some(self.text.to_owned()), ..self.request() };
        let mut relay = Relay::new(core, request, Sent::Whole(Restored::Input(input)))?;
        relay.attach(timing, stop);
        Ok(relay)
    }

    fn request(&self) -> Request {
        let repeatable = (self.client.era, self.route.backend.era()) == (Era::Legacy, Era::Modern)
            && !self.client.capabilities.asks_nothing();
        Request {
            id: self.id.to_owned(),
            route: Arc::clone(&self.route),
            view: Arc::clone(&self.view),
            client: self.client.clone(),
            method: self.method,
            exposed: self.exposed.clone(),
            approved: self.approved,
            trail: self.trail.clone(),
            text: repeatable.then(|| self.text.to_owned()),
        }
    }

    /// Sends the request until it is answered, or must not be sent again.
    async fn attempts(&self, core: &Arc<Core>, limit: Duration) -> Result<Sent, Fault> {
        let (backend, mut end) = (&self.route.backend, Instant::now() + limit);
        let load = Load { bytes: self.text.len() as u64, patience: self.client.patience };
        let mut tries = Tries::new(core, backend, (self.route.hints.is_repeatable(), load));
        loop {
            if backend.in_flight() >= core.options.max_server_calls {
                return Err(backend.saturated(core.options.max_server_calls));
            }
            let chosen = match backend.choose(tries.unreachable()) {
                Ok(chosen) => chosen,
                Err(fault) => {
                    end += Box::pin(self.again(&mut tries, (fault, None), (end, limit))).await?;
                    continue;
                }
            };
            match self.attempt(core, chosen, (end, limit)).await {
                Ok(answer) => return Ok(answer),
                Err((fault, endpoint)) => {
                    let again = self.again(&mut tries, (fault, Some(endpoint)), (end, limit));
                    end += Box::pin(again).await?;
                }
            }
        }
    }

    /// Waits until the request is to be sent again; boxed where it is called, since few calls come to that, and all carry the room. What it waits for a replica to start is no time of the server's: gives how
    /// much that was.
    async fn again(
        &self,
        tries: &mut Tries<'_>,
        (fault, endpoint): (Fault, Option<u64>),
        (end, limit): (Instant, Duration),
    ) -> Result<Duration, Fault> {
        let end = end + tries.longest_hold();
        within(end, limit, tries.again(fault, endpoint)).await
    }

    /// Sends the request once; a failure comes with the endpoint that it happened at.
    async fn attempt(
        &self,
        core: &Arc<Core>,
        (endpoint, chosen): (Arc<super::Endpoint>, Chosen),
        (end, limit): (Instant, Duration),
    ) -> Result<Sent, (Fault, u64)> {
        let way = within(end, limit, self.way(core, &endpoint)).await;
        let Way { link, kept, busy, there } = way.map_err(|fault| {
            // One that is to go has not failed.
            if self.route.backend.has(&endpoint) {
                endpoint.breaker.note(Some(&fault), breaker::now());
                self.mistrust(&fault, &endpoint);
            }
            if !matches!(fault.class(), Class::Unreachable | Class::Unauthorized) {
                self.route.backend.mark_stale();
            }
            (not_sent(fault, &endpoint), endpoint.id)
        })?;
        let (used, streams) = (Arc::clone(&link.endpoint), matches!(link.peer, Peer::Sse { .. }));
        let answer = within(end, limit, self.send(core, (link, busy, (chosen, there)), limit)).await;
        used.breaker.note(answer.as_ref().err(), breaker::now());
        if let Err(fault) = &answer {
            self.mistrust(fault, &used);
        }
        match &answer {
            Ok(_) => self.route.backend.note_answer(),
            Err(Fault::Unreachable { .. } | Fault::SessionLost) => forget(core, kept),
            // With its stream a session is gone.
            Err(Fault::Broken { .. }) if streams => forget(core, kept),
            Err(_) => {}
        }
        answer.map_err(|fault| (fault, used.id))
    }

    /// A replica that answered before its cluster called it ready, and is not there any more, has to answer anew.
    fn mistrust(&self, fault: &Fault, endpoint: &super::Endpoint) {
        if matches!(fault, Fault::Unreachable { .. }) {
            self.route.backend.answers(&endpoint.url, false);
        }
    }

    async fn send(
        &self,
        core: &Arc<Core>,
        (link, busy, chosen): (Link, Option<Busy>, (Chosen, Option<Chosen>)),
        limit: Duration,
    ) -> Result<Sent, Fault> {
        let id = core.control.ids.next();
        let server = self.route.backend.era();
        let restore = self.restore(core, id, server);
        let mut flight = Flight::start(core, (link, busy), id);
        drop(chosen);
        let body = self.body(core, id, server);
        let reply = core.control.http.post(&flight.link, self.headers(server), body).await;
        match reply {
            Err(fault) => {
                if matches!(fault, Fault::Unreachable { .. } | Fault::SessionLost) {
                    flight.land();
                }
                Err(fault)
            }
            Ok(Reply::Accepted) => {
                Err(Fault::Malformed { reason: "it accepts a request and does not answer".into() })
            }
            Ok(Reply::Whole(body)) => {
                flight.land();
                let text = std::str::from_utf8(&body).map_err(super::control::malformed)?;
                restore.response(text).map(Sent::Whole)
            }
            Ok(Reply::Events(events)) => {
                let backend = Arc::clone(&self.route.backend);
                let mut upstream =
                    Box::new(Upstream::new(flight, backend, restore, (events, limit), self.client.clone()));
                let first = upstream.advance().await?;
                Ok(Sent::Events(upstream, first))
            }
        }
    }

    fn task_names(&self, core: &Arc<Core>, server: Era) -> Option<TaskNames> {
        if self.method.is_of_task() {
            return Some(TaskNames::Known(self.exposed.clone()));
        }
        let may = server == Era::Modern && self.client.capabilities.has(Capabilities::TASKS);
        let key = || self.route.backend.key().clone();
        may.then(|| TaskNames::New(Arc::clone(core), key(), self.client.principal))
    }

    fn restore(&self, core: &Arc<Core>, ours: u64, server: Era) -> Restore {
        let meta = meta::of(&self.params);
        let renamed = self.method == Method::ResourcesRead && self.exposed != self.route.original;
        Restore {
            ours,
            id: self.id.to_owned(),
            token: meta.as_ref().and_then(|meta| meta.get(meta::PROGRESS_TOKEN)).map(str::to_owned),
            wants_log: meta.is_some_and(|meta| meta.get(meta::LOG_LEVEL).is_some()),
            client: self.client.era,
            server,
            method: self.method,
            renamed: renamed.then(|| (self.exposed.clone(), self.route.original.clone())),
            approved: self.approved.map(|digest| (Arc::clone(core), digest)),
            tasks: self.task_names(core, server),
            links: self
                .view
                .changes_links(&self.route.backend)
                .then(|| (Arc::clone(&self.view), Arc::clone(&self.route.backend))),
        }
    }
}

/// A connection that broke in the handshake: the call itself was not sent.
fn not_sent(fault: Fault, endpoint: &super::Endpoint) -> Fault {
    match fault {
        Fault::Broken { reason } => Fault::Unreachable { url: endpoint.shown(), reason },
        other => other,
    }
}

/// What `step` gives by `end`, which is `limit` after the call began.
async fn within<T>(
    end: Instant,
    limit: Duration,
    step: impl Future<Output = Result<T, Fault>>,
) -> Result<T, Fault> {
    timeout_at(end, step).await.unwrap_or(Err(Fault::Timeout { after: limit }))
}
