//! The server that the official conformance suite of MCP expects behind its URL: tools, prompts and resources under the
//! names the suite calls, in one era of the protocol at a time. Tests put the gateway in front of it.
//!
//! What a tool asks of its client is written once (module `call`); it becomes a request to the client in the session-based era
//! and an `input_required` result in the stateless one.

mod call;
mod definitions;
mod legacy;
mod modern;
mod prompts;
mod resources;
mod schemas;
mod tasks;
mod tools;
mod wire;

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{broadcast, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::legacy::Session;

/// The revisions a fixture speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Era {
    /// 2025-11-25 alone, with sessions.
    Legacy,
    /// 2026-07-28 alone, without.
    Modern,
}

/// A running server; it ends when it is dropped.
#[derive(Debug)]
pub struct Fixture {
    address: SocketAddr,
    state: Arc<State>,
    _stop: DropGuard,
}

/// What all requests share.
#[derive(Debug)]
struct State {
    era: Era,
    sessions: Mutex<HashMap<String, Arc<Session>>>,
    /// Notifications for whoever listens.
    news: broadcast::Sender<Value>,
    /// URIs watched by anybody, and how often each.
    watched: watch::Sender<HashMap<String, usize>>,
    cancelled: watch::Sender<usize>,
    received: Mutex<Vec<Value>>,
    more_tools: AtomicBool,
    more_prompts: AtomicBool,
    next: AtomicU64,
    tasks: tasks::Tasks,
    /// Signs what is handed out as `requestState`.
    seal: RandomState,
}

impl Fixture {
    /// A server on a free port of the loopback interface.
    ///
    /// # Errors
    ///
    /// When no port can be bound.
    pub async fn start(era: Era) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let state = Arc::new(State {
            era,
            sessions: Mutex::default(),
            news: broadcast::channel(64).0,
            watched: watch::Sender::default(),
            cancelled: watch::Sender::default(),
            received: Mutex::default(),
            more_tools: AtomicBool::new(false),
            more_prompts: AtomicBool::new(false),
            next: AtomicU64::new(1),
            tasks: tasks::Tasks::default(),
            seal: RandomState::new(),
        });
        let router = Router::new().fallback(wire::serve).with_state(Arc::clone(&state));
        let stop = CancellationToken::new();
        let token = stop.clone();
        tokio::spawn(async move {
            token.run_until_cancelled(axum::serve(listener, router).into_future()).await;
        });
        Ok(Self { address, state, _stop: stop.drop_guard() })
    }

    /// Where its endpoint is.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    /// Tells everybody who watches `uri` that it changed.
    pub fn update(&self, uri: &str) {
        self.state.tell("notifications/resources/updated", &json!({ "uri": uri }));
    }

    /// How many watch each URI; a session counts once, and so does an open stream of the stateless era.
    #[must_use]
    pub fn watched(&self) -> watch::Receiver<HashMap<String, usize>> {
        self.state.watched.subscribe()
    }

    /// Every message that came, in order.
    #[must_use]
    pub fn received(&self) -> Vec<Value> {
        self.state.received.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many calls were cancelled.
    #[must_use]
    pub fn cancelled(&self) -> watch::Receiver<usize> {
        self.state.cancelled.subscribe()
    }
}

impl State {
    fn tell(&self, method: &str, params: &Value) {
        // Nobody has to listen.
        self.news.send(json!({ "jsonrpc": "2.0", "method": method, "params": params })).ok();
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<String, Arc<Session>>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `state` with a signature.
    fn sealed(&self, state: &str) -> String {
        format!("{state}.{:x}", self.seal.hash_one(state))
    }

    /// What was sealed, unless it was changed.
    fn opened<'a>(&self, sealed: &'a str) -> Option<&'a str> {
        let (state, _) = sealed.rsplit_once('.')?;
        (self.sealed(state) == sealed).then_some(state)
    }

    fn watch(&self, uri: &str) {
        self.watched.send_modify(|watched| *watched.entry(uri.to_owned()).or_default() += 1);
    }

    fn unwatch(&self, uri: &str) {
        self.watched.send_modify(|watched| {
            if let Some(count) = watched.get_mut(uri) {
                *count -= 1;
            }
            watched.retain(|_, count| *count > 0);
        });
    }
}
