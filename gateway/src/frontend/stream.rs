//! Streams on which clients learn that a list changed.

use std::collections::VecDeque;
use std::sync::Arc;

use axum::response::Response;
use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::timeout;

use super::answer::{self, KEEP_ALIVE, Open, comment, event};
use super::door::Door;
use crate::catalog::{Revision, ViewName};
use crate::core::Core;
use crate::envelope::Object;
use crate::meta;
use crate::rpc::RpcError;

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
    /// The id of `subscriptions/listen`, for modern clients.
    subscription: Option<String>,
    ready: VecDeque<Bytes>,
    ended: bool,
    _open: Open,
}

/// The stream of a legacy session, opened with GET.
pub(crate) fn session(door: &Door) -> Result<Response, RpcError> {
    let wanted = Wanted { tools: true, resources: true, prompts: true };
    let listener = Listener::new(door, wanted, None)?;
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
    let listener = Listener::new(door, wanted, Some(id.to_owned()))?;
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
            subscription,
            ready: VecDeque::new(),
            ended: false,
            _open: open,
        })
    }

    fn respond(mut self, first: Bytes) -> Response {
        self.ready.push_back(first);
        answer::events(futures::stream::unfold(self, |mut listener| async move {
            let event = listener.next().await?;
            Some((event, listener))
        }))
    }

    /// What is accepted of the filter. Single resources cannot be watched through the gateway yet, and that is left out.
    fn acknowledged(&self) -> String {
        let accepted: Vec<String> = [
            ("toolsListChanged", self.wanted.tools),
            ("resourcesListChanged", self.wanted.resources),
            ("promptsListChanged", self.wanted.prompts),
        ]
        .iter()
        .filter(|(_, wanted)| *wanted)
        .map(|(name, _)| format!(r#""{name}":true"#))
        .collect();
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
                changed = timeout(KEEP_ALIVE, self.changes.changed()) => match changed {
                    Ok(Ok(())) => self.notify(),
                    Ok(Err(_)) => self.end(),
                    Err(_) => return Some(comment()),
                },
            }
        }
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
