//! A client's request, carried to the server it names.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::header::HeaderValue;
use tokio::time::timeout;

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

/// Endpoints tried when none can be reached.
const MAX_TRIES: usize = 3;

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
            answer = timeout(limit, self.attempts(core, limit)) => {
                answer.unwrap_or(Err(Fault::Timeout { after: limit }))
            }
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

    /// Tries again where the request certainly was not carried out: no connection came about, or the server refused it
    /// because it lost our session.
    async fn attempts(&self, core: &Arc<Core>, limit: Duration) -> Result<Answer, Fault> {
        let backend = &self.route.backend;
        let (mut unreachable, mut lost) = (Vec::new(), false);
        loop {
            let endpoint = self.endpoint(&unreachable)?;
            let way = self.way(core, &endpoint).await;
            let (link, kept) = match way {
                Ok(way) => way,
                Err(fault @ Fault::Unreachable { .. }) => {
                    unreachable.push(endpoint.id);
                    self.give_up(&unreachable, fault)?;
                    continue;
                }
                Err(fault) => {
                    backend.mark_stale();
                    return Err(fault);
                }
            };
            let used = link.endpoint.id;
            match self.send(core, link, limit).await {
                Err(fault @ Fault::Unreachable { .. }) => {
                    forget(core, kept);
                    unreachable.push(used);
                    self.give_up(&unreachable, fault)?;
                }
                Err(Fault::SessionLost) if !lost => {
                    forget(core, kept);
                    lost = true;
                }
                answer => return answer,
            }
        }
    }

    fn endpoint(&self, unreachable: &[u64]) -> Result<Arc<super::Endpoint>, Fault> {
        self.route.backend.pick(unreachable)
    }

    /// Passes `fault` on when there is no endpoint left to try.
    fn give_up(&self, unreachable: &[u64], fault: Fault) -> Result<(), Fault> {
        let more = unreachable.len() < MAX_TRIES && self.route.backend.pick(unreachable).is_ok();
        if more { Ok(()) } else { Err(fault) }
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
