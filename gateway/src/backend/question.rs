//! A legacy server's request to its client, made while it answers a call.

use std::sync::Arc;

use bytes::Bytes;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::session::Link;
use crate::client::{Capabilities, needed};
use crate::core::Core;
use crate::envelope::{Edits, Message, Object};
use crate::frontend::peers;
use crate::frontend::questions::Pending;
use crate::rpc::{RpcError, code};

/// Whether a server's request with this method is one that clients answer.
pub(crate) fn is_question(method: &str) -> bool {
    needed(method, None).is_some()
}

/// One request. If it is dropped without an answer the server gets an error, so that it does not wait.
#[derive(Debug)]
pub(crate) struct Question {
    core: Arc<Core>,
    link: Link,
    text: String,
    answered: bool,
}

impl Question {
    /// The request `text` that came over `link`.
    pub(crate) fn new(core: &Arc<Core>, link: &Link, text: String) -> Self {
        Self { core: Arc::clone(core), link: link.clone(), text, answered: false }
    }

    /// The server's id, the method and the parameters, as written.
    pub(crate) fn parts(&self) -> Option<(&str, String, Option<&str>)> {
        match Message::parse(&self.text) {
            Ok(Message::Request { id, method, params }) => Some((id, method.into_owned(), params)),
            _ => None,
        }
    }

    /// What a client must be able to do to answer it.
    pub(crate) fn needed(&self) -> Option<Capabilities> {
        let (_, method, params) = self.parts()?;
        let params = params.and_then(|params| Object::parse(params).ok());
        needed(&method, params.as_ref())
    }

    /// Sends the client's answer, a result or an error as it wrote it.
    pub(crate) fn answer(mut self, outcome: Result<&str, &str>) {
        let Some((id, ..)) = self.parts() else { return };
        let (member, value) = match outcome {
            Ok(result) => ("result", result),
            Err(error) => ("error", error),
        };
        let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"{member}":{value}}}"#);
        self.answered = true;
        self.send(body.into());
    }

    /// The request as the server wrote it, for another to answer.
    pub(crate) fn silent(mut self) -> String {
        self.answered = true;
        std::mem::take(&mut self.text)
    }

    /// Tells the server that its client cannot answer this.
    pub(crate) fn refuse(mut self) {
        let Some((id, ..)) = self.parts() else { return };
        let error = RpcError::new(code::METHOD_NOT_FOUND, "the client did not declare this capability");
        let body = error.to_bytes(Some(id));
        self.answered = true;
        self.send(body);
    }

    /// Readies the request for the legacy client of `session`: gives our id for it, as JSON, and the message to send, and passes the
    /// answer on when it comes. Until then it is open, at most for the time that clients have, or until `ends`. `None` when
    /// too many are open; the server is told.
    pub(crate) fn pass_on(self, session: u128, ends: CancellationToken) -> Option<(String, Bytes)> {
        let core = Arc::clone(&self.core);
        let our_id = core.control.ids.next();
        let pending = core.questions.ask(session, our_id)?;
        let (server_id, ..) = self.parts()?;
        let mut edits = Edits::of(&self.text);
        let name = peers::id(&core, our_id);
        edits.replace(server_id, name.clone());
        let message = edits.finish();
        let deadline = Instant::now() + core.options.answer_timeout;
        core.spawn(async move {
            ends.run_until_cancelled(self.answered_by(pending, deadline)).await;
        });
        Some((name, message))
    }

    /// Passes the client's answer on. Without one the question is dropped, which tells the server.
    async fn answered_by(self, mut pending: Pending, deadline: Instant) {
        let Some(text) = pending.answered(deadline).await else { return };
        if let Ok(Message::Response { outcome, .. }) = Message::parse(&text) {
            self.answer(outcome);
        }
    }

    fn send(&self, body: Bytes) {
        let (core, link) = (Arc::clone(&self.core), self.link.clone());
        self.core.spawn(async move {
            let sent = core.control.http.post(&link, http::HeaderMap::new(), body);
            match timeout(core.control.patience, sent).await {
                Ok(Ok(_)) => {}
                Ok(Err(fault)) => tracing::debug!(%fault, "a server's request could not be answered"),
                Err(_) => tracing::debug!("a server did not take the answer to its request in time"),
            }
        });
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        if self.answered {
            return;
        }
        let Some((id, ..)) = self.parts() else { return };
        let error = RpcError::new(code::INTERNAL, "the client cannot be asked, or does not answer");
        self.send(error.to_bytes(Some(id)));
    }
}
