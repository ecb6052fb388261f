//! One request on its way to one endpoint.

use std::sync::Arc;

use super::InFlight;
use super::question::Question;
use super::session::{Busy, Link};
use crate::core::Core;

/// Counts the request at its endpoint; if it is dropped before the answer came, the server is told to stop. A modern
/// server learns it from the closed connection, a legacy one from `notifications/cancelled`.
#[derive(Debug)]
pub(crate) struct Flight {
    core: Arc<Core>,
    pub(crate) link: Link,
    id: u64,
    open: bool,
    /// Counts it at its endpoint.
    _in_flight: InFlight,
    /// Keeps other calls off the session.
    _busy: Option<Busy>,
}

impl Flight {
    /// The request `id` starts.
    pub(crate) fn start(core: &Arc<Core>, (link, busy): (Link, Option<Busy>), id: u64) -> Self {
        let in_flight = link.endpoint.take_up();
        Self { core: Arc::clone(core), link, id, open: true, _in_flight: in_flight, _busy: busy }
    }

    /// It was answered, or never reached the server: there is nothing to cancel.
    pub(crate) fn land(&mut self) {
        self.open = false;
    }

    /// A request to the client that the server made meanwhile.
    pub(crate) fn question(&self, text: String) -> Question {
        Question::new(&self.core, &self.link, text)
    }

    /// Refuses a request that the server made meanwhile, without holding up what follows.
    pub(crate) fn refuse(&self, text: String) {
        let (core, link) = (Arc::clone(&self.core), self.link.clone());
        self.core.spawn(async move { core.control.refuse(&link, &text).await });
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if !self.open || !self.link.is_session() {
            return;
        }
        let (core, link, id) = (Arc::clone(&self.core), self.link.clone(), self.id);
        self.core.spawn(async move {
            let params =
                format!(r#"{{"requestId":{id},"reason":"the client does not wait for it any more"}}"#);
            if let Err(error) = core.control.notify(&link, "notifications/cancelled", &params).await {
                tracing::debug!(%error, "a server could not be told of a cancelled request");
            }
        });
    }
}
