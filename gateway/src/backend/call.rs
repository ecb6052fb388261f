//! A client's request, carried to the server it names.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::header::HeaderValue;
use tokio::time::{Instant, timeout_at};

use super::again::Tries;
use super::breaker;
use super::client::{METHOD, NAME, Reply};
use super::fault::Fault;
use super::flight::Flight;
use super::relay::{Passed, Relay};
use super::restore::Restore;
use super::session::{Link, Peer, SessionKey, Slot};
use crate::catalog::Route;
use crate::core::Core;
use crate::envelope::{Edits, Object, quoted};
use crate::frontend::cancel::Stop;
use crate::header_text;
use crate::meta;
use crate::method::Method;
use crate::metrics::Outcome;
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
    pub(crate) client: Era,
    /// The client's session; 0 for modern clients.
    pub(crate) session: u128,
}

/// What came of it.
#[derive(Debug)]
pub(crate) enum Answer {
    /// One message.
    Whole(Bytes),
    /// Several.
    Stream(Box<Relay>),
}

impl Call<'_> {
    /// Carries the request to its server and gives the answer for the client.
    pub(crate) async fn run(&self, core: &Arc<Core>, stop: Stop) -> Result<Answer, Fault> {
        let mut timing = core.metrics.begin(self.route.backend.key(), self.method);
        let limit = self.route.backend.live().server.timeouts.of(&self.route.original);
        let answer = tokio::select! {
            biased;
            () = stop.cancelled() => Err(Fault::Cancelled),
            answer = self.attempts(core, limit) => answer,
        };
        match answer {
            Ok(Answer::Stream(mut relay)) => {
                relay.attach(timing, stop);
                Ok(Answer::Stream(relay))
            }
            Ok(whole) => {
                timing.set(Outcome::Answered);
                Ok(whole)
            }
            Err(fault) => {
                timing.set(Outcome::Fault(fault.class().as_str()));
                Err(fault)
            }
        }
    }

    /// Sends the request until it is answered, or must not be sent again.
    async fn attempts(&self, core: &Arc<Core>, limit: Duration) -> Result<Answer, Fault> {
        let (backend, end) = (&self.route.backend, Instant::now() + limit);
        let mut tries = Tries::new(core, backend, self.route.repeatable);
        loop {
            if backend.in_flight() >= core.options.max_server_calls {
                return Err(Fault::Saturated(core.options.max_server_calls));
            }
            let endpoint = match backend.pick(tries.unreachable()) {
                Ok(endpoint) => endpoint,
                Err(fault) => {
                    within(end, limit, tries.again(fault, None)).await?;
                    continue;
                }
            };
            match self.attempt(core, endpoint, (end, limit)).await {
                Ok(answer) => return Ok(answer),
                Err((fault, endpoint)) => within(end, limit, tries.again(fault, Some(endpoint))).await?,
            }
        }
    }

    /// Sends the request once; a failure comes with the endpoint that it happened at.
    async fn attempt(
        &self,
        core: &Arc<Core>,
        endpoint: Arc<super::Endpoint>,
        (end, limit): (Instant, Duration),
    ) -> Result<Answer, (Fault, u64)> {
        let way = within(end, limit, self.way(core, &endpoint)).await;
        let (link, kept) = way.map_err(|fault| {
            endpoint.breaker.note(Some(&fault), breaker::now());
            if !matches!(fault, Fault::Unreachable { .. }) {
                self.route.backend.mark_stale();
            }
            (fault, endpoint.id)
        })?;
        let used = Arc::clone(&link.endpoint);
        let answer = within(end, limit, self.send(core, link, limit)).await;
        used.breaker.note(answer.as_ref().err(), breaker::now());
        match &answer {
            Ok(_) => self.route.backend.note_answer(),
            Err(Fault::Unreachable { .. } | Fault::SessionLost) => forget(core, kept),
            Err(_) => {}
        }
        answer.map_err(|fault| (fault, used.id))
    }

    /// A link to the server, and where it is kept if it is a session.
    async fn way(
        &self,
        core: &Arc<Core>,
        endpoint: &Arc<super::Endpoint>,
    ) -> Result<(Link, Option<(SessionKey, Slot)>), Fault> {
        let backend = &self.route.backend;
        if backend.era() == Era::Modern {
            return Ok((Link { endpoint: Arc::clone(endpoint), peer: Peer::Modern }, None));
        }
        let shared = if self.session == 0 { endpoint.id } else { 0 };
        let key = SessionKey { client: self.session, backend: backend.id(), endpoint: shared };
        loop {
            let (slot, gone) = core.sessions.slot(key);
            core.end_sessions(gone);
            let open = || async { core.control.initialize(endpoint).await.map(|hello| hello.link) };
            let link = slot.get_or_try_init(open).await?.clone();
            // A client stays with its pod until the pod is gone.
            if backend.has(&link.endpoint) {
                return Ok((link, Some((key, slot))));
            }
            core.sessions.forget(key, &slot);
        }
    }

    async fn send(&self, core: &Arc<Core>, link: Link, limit: Duration) -> Result<Answer, Fault> {
        let id = core.control.ids.next();
        let server = self.route.backend.era();
        let restore = self.restore(id, server);
        let mut flight = Flight::start(core, link, id);
        let reply = core.control.http.post(&flight.link, self.headers(server), self.body(id, server)).await;
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
                restore.response(text).map(Answer::Whole)
            }
            Ok(Reply::Events(events)) => {
                let backend = Arc::clone(&self.route.backend);
                let mut relay = Box::new(Relay::new(flight, backend, restore, (events, limit)));
                match relay.advance().await? {
                    Passed::Answer(message) => Ok(Answer::Whole(message)),
                    Passed::Notification(message) => {
                        relay.hold(message);
                        Ok(Answer::Stream(relay))
                    }
                }
            }
        }
    }

    /// The message as the server gets it.
    fn body(&self, id: u64, server: Era) -> Bytes {
        let mut edits = Edits::of(self.text);
        edits.replace(self.id, id.to_string());
        if self.exposed != self.route.original {
            edits.replace(self.target, quoted(&self.route.original));
        }
        meta::rewrite(&mut edits, &self.params, (self.client, server), id);
        edits.finish()
    }

    fn headers(&self, server: Era) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if server == Era::Legacy {
            return headers;
        }
        headers.insert(METHOD, HeaderValue::from_static(self.method.as_str()));
        if self.method.name_member().is_some() {
            headers.insert(NAME, header_text::encode(&self.route.original));
        }
        for mirror in &self.route.mirrored {
            if let Some(value) = mirrored(&self.params, &mirror.path) {
                headers.insert(mirror.header.clone(), value);
            }
        }
        headers
    }

    fn restore(&self, ours: u64, server: Era) -> Restore {
        let meta = meta::of(&self.params);
        let renamed = self.method == Method::ResourcesRead && self.exposed != self.route.original;
        Restore {
            ours,
            id: self.id.to_owned(),
            token: meta.as_ref().and_then(|meta| meta.get(meta::PROGRESS_TOKEN)).map(str::to_owned),
            wants_log: meta.is_some_and(|meta| meta.get(meta::LOG_LEVEL).is_some()),
            client: self.client,
            server,
            method: self.method,
            renamed: renamed.then(|| (self.exposed.clone(), self.route.original.clone())),
        }
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

fn forget(core: &Core, kept: Option<(SessionKey, Slot)>) {
    if let Some((key, slot)) = kept {
        core.sessions.forget(key, &slot);
    }
}

/// The argument at `path` as a header value; null and absent arguments have none.
pub(crate) fn mirrored(params: &Object<'_>, path: &[String]) -> Option<HeaderValue> {
    let (last, outer) = path.split_last()?;
    let mut object = params.object("arguments")?;
    for name in outer {
        object = object.object(name)?;
    }
    match object.get(last)? {
        "null" => None,
        raw if raw.starts_with('"') => object.string(last).map(|text| header_text::encode(&text)),
        raw => HeaderValue::try_from(raw).ok(),
    }
}
