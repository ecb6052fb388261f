//! The way of a call to its server: without state, or in a session that is open or is opened for it.

use std::sync::Arc;

use super::Chosen;
use super::call::Call;
use super::fault::Fault;
use super::hearing;
use super::session::{Busy, Link, Peer, Place, SessionKey, Slot};
use crate::core::Core;
use crate::version::Era;

/// A link to a server, where it is kept if it is a session, and what keeps other calls off it.
pub(super) struct Way {
    pub(super) link: Link,
    pub(super) kept: Option<(SessionKey, Slot)>,
    pub(super) busy: Option<Busy>,
    /// Has the replica of the session wait for the call, which may be another than was chosen for it.
    pub(super) there: Option<Chosen>,
}

impl Call<'_> {
    /// A link to the server. A server that asks in the middle of a call may not say in which one, as over standard input
    /// and output; so a modern client that can be asked has a session for the time of its call. A legacy client has its own.
    pub(super) async fn way(&self, core: &Arc<Core>, endpoint: &Arc<super::Endpoint>) -> Result<Way, Fault> {
        let backend = &self.route.backend;
        if backend.era() == Era::Modern {
            let link = Link {
                endpoint: Arc::clone(endpoint),
                peer: Peer::Modern,
                caller: Some(Arc::clone(&self.client.caller)),
            };
            return Ok(Way { link, kept: None, busy: None, there: None });
        }
        let modern = self.client.era == Era::Modern;
        let shared = if modern { endpoint.id } else { 0 };
        let key =
            SessionKey { client: self.client.sessions(), backend: backend.id(), endpoint: shared, lane: 0 };
        let mut alone = modern && !self.client.capabilities.asks_nothing();
        loop {
            let stays = |link: &Link, unused| backend.keeps(&link.endpoint, unused);
            let place = if alone { core.sessions.exclusive(key) } else { core.sessions.shared(key, stays) };
            let Place { key, slot, unused, busy, gone } = place;
            core.end_sessions(gone);
            let link = match slot.get_or_try_init(|| self.open(core, endpoint)).await {
                // Who uses it now may have another token than who opened it.
                Ok(link) => Link { caller: Some(Arc::clone(&self.client.caller)), ..link.clone() },
                // A server may have no room for another session.
                Err(_) if key.lane > 0 => {
                    core.sessions.forget(key, &slot);
                    alone = false;
                    continue;
                }
                Err(fault) => return Err(fault),
            };
            // A client stays with its pod until the pod is gone, or goes while nobody counts on it.
            let there = Chosen::of(&link.endpoint);
            if backend.keeps(&link.endpoint, unused) {
                return Ok(Way { link, kept: Some((key, slot)), busy, there: Some(there) });
            }
            core.sessions.forget(key, &slot);
            if link.endpoint.id == endpoint.id {
                // It has gone meanwhile: another one is to be chosen.
                let (url, reason) = (endpoint.shown(), "it is to go".to_owned());
                return Err(Fault::Unreachable { url, reason });
            }
        }
    }

    /// Opens a session with a server on behalf of the client.
    async fn open(&self, core: &Arc<Core>, endpoint: &Arc<super::Endpoint>) -> Result<Link, Fault> {
        let hello = core
            .control
            .initialize(
                endpoint,
                self.client.capabilities.of_sessions(),
                Some(Arc::clone(&self.client.caller)),
            )
            .await?;
        let level = self.client.level.or_else(|| core.levels.of(self.client.session));
        if let Some(level) = level.filter(|_| hello.can("logging")) {
            core.control.set_level(&hello.link, level).await;
        }
        if self.client.era == Era::Legacy {
            hearing::start(core, self.client.session, (self.route.backend.id(), &hello.link));
        }
        Ok(hello.link)
    }
}

/// A session that is of no use any more is opened anew by whoever needs it next.
pub(super) fn forget(core: &Core, kept: Option<(SessionKey, Slot)>) {
    if let Some((key, slot)) = kept {
        core.sessions.forget(key, &slot);
    }
}
