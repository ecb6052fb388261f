//! Streams on which clients learn that a list or a resource changed.

use std::collections::VecDeque;
use std::sync::Arc;

use axum::response::Response;
use bytes::Bytes;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};
use tokio::time::sleep;

use super::admission;
use super::answer::{self, KEEP_ALIVE, Open, comment, event};
use super::door::Door;
use super::ears::Listening;
use super::session::Session;
use crate::backend::hearing;
use crate::catalog::{Revision, ViewName};
use crate::core::Core;
use crate::envelope::{Object, quoted};
use crate::meta;
use crate::method::Method;
use crate::rpc::RpcError;
use crate::subscriptions::{self, MAX_OF_ONE, Updated, Watch};

/// The lists a client wants to hear of.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    tools: bool,
    resources: bool,
    prompts: bool,
}

/// One open stream.
#[derive(Debug)]
struct Listener {
    core: Arc<Core>,
    view: ViewName,
    changes: watch::Receiver<u64>,
    seen: Revision,
    wanted: Wanted,
    /// The session, for legacy clients; it may watch more resources while the stream is open.
    session: u128,
    /// What servers say to the client of this session alone.
    heard: Option<Listening>,
    /// The id of `subscriptions/listen`, for modern clients.
    subscription: Option<String>,
    /// The resources that a modern client watches by this stream.
    watches: Vec<Watch>,
    updates: broadcast::Receiver<Updated>,
    ready: VecDeque<Bytes>,
    ended: bool,
    _open: Open,
}

/// The stream of a legacy session, opened with GET.
pub(crate) fn session(door: &Door, session: Session) -> Result<Response, RpcError> {
    let core = &door.core;
    let wanted = Wanted { tools: true, resources: true, prompts: true };
    let mut listener = Listener::new(door, wanted, None)?;
    listener.session = session.id;
    listener.heard = Some(core.ears.open(session.id, session.capabilities));
    for (backend, link) in core.sessions.of_client(session.id) {
        hearing::start(core, session.id, (backend, &link));
    }
    Ok(listener.respond(comment()))
}

/// The stream of `subscriptions/listen` (2026-07-28, subscriptions).
pub(crate) fn subscription(door: &Door, id: &str, params: Option<&Object<'_>>) -> Result<Response, RpcError> {
    let filter = params.and_then(|params| params.object("notifications"));
    let filter = filter
        .ok_or_else(|| RpcError::invalid_params("`subscriptions/listen` needs `params.notifications`"))?;
    let asks = |member: &str| filter.get(member) == Some("true");
    let wanted = Wanted {
        tools: asks("toolsListChanged"),
        resources: asks("resourcesListChanged"),
        prompts: asks("promptsListChanged"),
    };
    let mut listener = Listener::new(door, wanted, Some(id.to_owned()))?;
    listener.watch(door, filter.get("resourceSubscriptions"));
    let acknowledged = listener.acknowledged();
    Ok(listener.respond(event(acknowledged.as_bytes())))
}

impl Listener {
    fn new(door: &Door, wanted: Wanted, subscription: Option<String>) -> Result<Self, RpcError> {
        let open = Open::stream(&door.core)?;
        let mut changes = door.core.catalog.changes();
        // What changed since the request came is told at once.
        changes.mark_changed();
        Ok(Self {
            core: Arc::clone(&door.core),
            view: door.name.clone(),
            changes,
            seen: door.view.revision,
            wanted,
            session: 0,
            heard: None,
            subscription,
            watches: Vec::new(),
            updates: door.core.subscriptions.updates(),
            ready: VecDeque::new(),
            ended: false,
            _open: open,
        })
    }

    /// Watches those of the resources `uris` whose servers tell of changes.
    fn watch(&mut self, door: &Door, uris: Option<&str>) {
        let uris: Vec<String> = uris.and_then(|uris| serde_json::from_str(uris).ok()).unwrap_or_default();
        for uri in uris.iter().take(MAX_OF_ONE) {
            let route = door.view.resource(uri);
            let route = route.filter(|route| admission::shows(door, Method::ResourcesRead, route));
            let route = route.filter(|route| self.core.catalog.watches(route.backend.key()));
            let known = self.watches.iter().any(|watch| watch.exposed() == uri);
            if let Some(route) = route.filter(|_| !known) {
                self.watches.extend(self.core.subscriptions.watch(uri, &route));
            }
        }
    }

    fn respond(mut self, first: Bytes) -> Response {
        self.ready.push_back(first);
        answer::events(futures::stream::unfold(self, |mut listener| async move {
            let event = listener.next().await?;
            Some((event, listener))
        }))
    }

    /// What is accepted of the filter. Resources that no server tells of are left out.
    fn acknowledged(&self) -> String {
        let mut accepted: Vec<String> = [
            ("toolsListChanged", self.wanted.tools),
            ("resourcesListChanged", self.wanted.resources),
            ("promptsListChanged", self.wanted.prompts),
        ]
        .iter()
        .filter(|(_, wanted)| *wanted)
        .map(|(name, _)| format!(r#""{name}":true"#))
        .collect();
        if !self.watches.is_empty() {
            let uris: Vec<String> = self.watches.iter().map(|watch| quoted(watch.exposed())).collect();
            accepted.push(format!(r#""resourceSubscriptions":[{}]"#, uris.join(",")));
        }
        format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{{{},"notifications":{{{}}}}}}}"#,
            self.meta(),
            accepted.join(",")
        )
    }

    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            if self.ended {
                return None;
            }
            tokio::select! {
                () = self.core.shutdown.cancelled() => self.end(),
                message = heard(&mut self.heard) => self.ready.push_back(event(&message)),
                updated = self.updates.recv() => self.update(updated),
                changed = self.changes.changed() => match changed {
                    Ok(()) => self.notify(),
                    Err(_) => self.end(),
                },
                () = sleep(KEEP_ALIVE) => return Some(comment()),
            }
        }
    }

    /// Tells of a changed resource, if this client watches it; if updates were missed, of all that it watches.
    fn update(&mut self, updated: Result<Updated, RecvError>) {
        let (subscriptions, id) = (&self.core.subscriptions, self.subscription.as_deref());
        let Ok(updated) = updated else {
            let mut all = subscriptions.all_of(self.session);
            all.extend(self.watches.iter().map(|watch| watch.exposed().to_owned()));
            self.ready.extend(all.iter().map(|uri| event(&subscriptions::changed(uri, id))));
            return;
        };
        let exposed = match id {
            Some(_) => subscriptions::watched(&self.watches, &updated),
            None => subscriptions.watched_by(self.session, &updated),
        };
        let message = exposed.map(|exposed| subscriptions::message(&updated, &exposed, id));
        self.ready.extend(message.map(|message| event(&message)));
    }

    fn notify(&mut self) {
        self.changes.mark_unchanged();
        // A tool set that is not configured any more.
        let Some(view) = self.core.catalog.load().view(&self.view) else { return self.end() };
        let now = view.revision;
        let changes = [
            ("tools", self.wanted.tools && now.tools != self.seen.tools),
            ("resources", self.wanted.resources && now.resources != self.seen.resources),
            ("prompts", self.wanted.prompts && now.prompts != self.seen.prompts),
        ];
        self.seen = now;
        for (list, _) in changes.iter().filter(|(_, changed)| *changed) {
            let message = format!(
                r#"{{"jsonrpc":"2.0","method":"notifications/{list}/list_changed","params":{{{}}}}}"#,
                self.meta()
            );
            self.ready.push_back(event(message.as_bytes()));
        }
    }

    /// A modern client is told with a result that the subscription ended in good order.
    fn end(&mut self) {
        self.ended = true;
        if let Some(id) = &self.subscription {
            let message = format!(
                r#"{{"jsonrpc":"2.0","id":{id},"result":{{"resultType":"complete",{}}}}}"#,
                self.meta()
            );
            self.ready.push_back(event(message.as_bytes()));
        }
    }

    fn meta(&self) -> String {
        match &self.subscription {
            Some(id) => format!(r#""_meta":{{"{}":{id}}}"#, meta::SUBSCRIPTION_ID),
            None => String::new(),
        }
    }
}

async fn heard(listening: &mut Option<Listening>) -> Bytes {
    if let Some(listening) = listening
        && let Some(message) = listening.next().await
    {
        return message;
    }
    std::future::pending().await
}
