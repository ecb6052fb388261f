//! Keeps one server's lists fresh: connects, fetches, listens for changes, and starts over when something breaks.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::HeaderMap;
use http::header::HeaderValue;
use tokio::time::{sleep, timeout};

use super::Backend;
use super::client::{METHOD, Reply};
use super::control::{Control, Hello};
use super::fault::{Class, Fault};
use super::lists;
use super::session::Peer;
use super::sse::Events;
use crate::core::Core;
use crate::envelope::{Message, quoted};
use crate::meta;
use crate::scaling::ScalingReport;
use crate::source::{Pinned, Protocol, ServerKey};
use crate::version::Era;

/// First wait after a failure; doubled each time.
const FIRST_WAIT: Duration = Duration::from_millis(200);
/// Longest wait after a failure.
const LAST_WAIT: Duration = Duration::from_secs(30);
/// Least time between two fetches of lists that a server says have changed.
const AGAIN_AFTER: Duration = Duration::from_millis(100);
/// A connection that lasted this long was good: the next failure waits shortly again.
const GOOD: Duration = Duration::from_secs(10);

/// How a server does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerState {
    /// It has no endpoint.
    Waiting,
    /// It is being connected to.
    Connecting,
    /// Its lists are known and fresh.
    Connected,
    /// It cannot be used now; its last known lists stay.
    Failing {
        /// Why, and what to do.
        reason: String,
        /// What kind of failure it is.
        kind: Failure,
    },
}

/// Kinds of failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// Nobody was reached, which says as much of the way as of the server.
    Unreachable,
    /// The gateway has nothing to prove who it is, or the server does not take it.
    Unauthorized,
    /// The server does not speak as MCP asks.
    Handshake,
}

impl ServerState {
    /// The names of all states in metrics.
    pub(crate) const NAMES: [&'static str; 4] = ["waiting", "connecting", "connected", "failing"];

    /// Its name in metrics.
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Connecting => "connecting",
            Self::Connected => "connected",
            Self::Failing { .. } => "failing",
        }
    }
}

/// What is known of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerReport {
    /// Which server.
    pub key: ServerKey,
    /// How it does.
    pub state: ServerState,
    /// Tools of its last known list that clients see.
    pub tools: usize,
    /// Bytes of their definitions as clients get them, one after the other, at `/mcp`.
    pub tool_bytes: usize,
    /// Resources in its last known list.
    pub resources: usize,
    /// Prompts in its last known list.
    pub prompts: usize,
    /// The name it gives itself.
    pub server_name: Option<String>,
    /// The version it gives itself.
    pub server_version: Option<String>,
    /// The revision of MCP spoken with it.
    pub protocol_version: Option<String>,
    /// Whether the lists come from the server itself; else from what was kept before a restart, or there are none.
    pub confirmed: bool,
    /// Digest of its list of tools, `sha256:…`.
    pub tools_digest: Option<String>,
    /// Of a pinned server, what is remembered and what differs.
    pub pin: Option<PinReport>,
    /// Tools and prompts at `/mcp` that are not shown, and the server that has the name of each; some, if there are many.
    pub hidden: Vec<(String, ServerKey)>,
    /// How it is scaled, where this process decides.
    pub scaling: Option<Arc<ScalingReport>>,
}

impl ServerReport {
    /// The tokens that the tools take in a model's context, estimated as a quarter of their bytes: tokenizers differ, and
    /// JSON in English comes to three to five bytes a token in all that are common.
    #[must_use]
    pub fn tool_tokens(&self) -> usize {
        self.tool_bytes.div_ceil(4)
    }
}

/// How a pinned server's tools compare with what was approved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PinReport {
    /// What was approved, or seen first.
    pub pinned: Option<Pinned>,
    /// Tools that mean something else or are new, by the server's own names, in order.
    pub unapproved: Vec<String>,
    /// Whether they are hidden.
    pub quarantined: bool,
}

/// How a connection ended.
enum End {
    /// Settings changed so that another link is needed.
    Changed,
    /// There was nothing to connect to.
    Nowhere,
    /// It did not come about.
    Refused(Fault),
    /// It broke after the lists were fetched; many servers close their notification stream now and then, so only a
    /// failure to connect again says that the server fails.
    Lost(Fault),
}

/// Keeps `backend` connected, for ever.
pub(crate) async fn run(core: &Arc<Core>, backend: &Arc<Backend>) {
    let mut changes = backend.changes();
    let mut wait = FIRST_WAIT;
    loop {
        changes.borrow_and_update();
        let started = Instant::now();
        let end = connected(core, backend).await;
        if started.elapsed() > GOOD {
            wait = FIRST_WAIT;
        }
        let pause = wait.mul_f64(rand::random_range(0.75..1.25));
        let pause = match end {
            End::Changed => continue,
            End::Nowhere => {
                core.report(backend, ServerState::Waiting);
                Duration::MAX
            }
            End::Refused(fault) => {
                report_failure(core, backend, &fault);
                pause
            }
            End::Lost(fault) => {
                tracing::debug!(server = %backend.key(), %fault, "connecting again");
                pause
            }
        };
        core.attempted(backend.key());
        match timeout(pause, changes.changed()).await {
            Ok(Err(_)) => return,
            // New settings are tried at once.
            Ok(Ok(())) => wait = FIRST_WAIT,
            Err(_) => wait = (wait * 2).min(LAST_WAIT),
        }
    }
}

fn report_failure(core: &Core, backend: &Backend, fault: &Fault) {
    let reason = fault.to_string();
    tracing::warn!(server = %backend.key(), %reason, "a server cannot be used; its last known lists stay");
    let kind = match fault.class() {
        Class::Unreachable => Failure::Unreachable,
        Class::Unauthorized => Failure::Unauthorized,
        _ => Failure::Handshake,
    };
    core.report(backend, ServerState::Failing { reason, kind });
}

/// Why a server cannot be used that may wait for somebody to sign in. Of one that lets nobody in before, and of which nothing is
/// known, a tool is shown that leads there; of a pinned one not, for that tool would count as what was approved.
fn before_sign_in(core: &Core, backend: &Arc<Backend>, fault: Fault) -> Fault {
    let live = backend.live();
    if !live.owner.has_users() || !matches!(fault, Fault::Unauthorized { shown: false }) {
        return fault;
    }
    if live.server.pinning.is_none() && core.catalog.listing(backend.key()).is_none() {
        core.catalog.put(Arc::clone(backend), Arc::new(lists::before_sign_in(backend.key())));
    }
    Fault::SignIn
}

/// Connects and stays connected; gives how that ended.
async fn connected(core: &Arc<Core>, backend: &Arc<Backend>) -> End {
    let endpoint = match backend.pick(&[]) {
        Ok(endpoint) => endpoint,
        Err(Fault::NoEndpoint) => return End::Nowhere,
        Err(fault) => return End::Refused(fault),
    };
    core.report_connecting(backend);
    let protocol = backend.live().server.protocol;
    let hello = match core.control.open(&endpoint, protocol).await {
        Ok(hello) => hello,
        Err(fault) => return End::Refused(before_sign_in(core, backend, fault)),
    };
    backend.set_era(hello.era);
    let news = listen(&core.control, &hello).await;
    let end = match fetch(core, backend, &hello).await {
        Err(fault) => End::Refused(before_sign_in(core, backend, fault)),
        Ok(()) => match follow(core, backend, (&hello, protocol), news).await {
            Ok(()) => End::Changed,
            Err(fault) => End::Lost(fault),
        },
    };
    if hello.link.has_session() {
        core.end_sessions(vec![hello.link]);
    }
    end
}

/// When lists are fetched again because their server says that they changed: at once, but a server that says so all the time
/// is asked ten times a second.
#[derive(Debug, Default)]
struct Refetch {
    last: Option<tokio::time::Instant>,
    due: Option<tokio::time::Instant>,
}

impl Refetch {
    fn ask(&mut self) {
        let now = tokio::time::Instant::now();
        self.due.get_or_insert_with(|| self.last.map_or(now, |last| now.max(last + AGAIN_AFTER)));
    }

    async fn due(&self) {
        match self.due {
            Some(due) => tokio::time::sleep_until(due).await,
            None => std::future::pending().await,
        }
    }

    fn done(&mut self) {
        *self = Self { last: Some(tokio::time::Instant::now()), due: None };
    }
}

/// Fetches again whenever something may have changed; returns when settings ask for another link.
async fn follow(
    core: &Arc<Core>,
    backend: &Arc<Backend>,
    (hello, protocol): (&Hello, Protocol),
    news: Option<Events>,
) -> Result<(), Fault> {
    let mut changes = backend.changes();
    let mut news = News { events: news, watched: BTreeSet::new() };
    let mut watched = backend.watched();
    // What was watched over an earlier link is asked for again.
    watched.mark_changed();
    let mut refetch = Refetch::default();
    loop {
        let due = sleep(core.options.refresh);
        tokio::select! {
            event = news.next() => {
                let text = event?.ok_or_else(|| Fault::Broken { reason: "its notification stream ended".into() })?;
                if hear(core, backend, hello, &text).await {
                    refetch.ask();
                }
            }
            () = refetch.due() => {
                fetch(core, backend, hello).await?;
                refetch.done();
            }
            // The sender is the backend's own.
            Ok(()) = watched.changed() => {
                let now = watched.borrow_and_update().keys().cloned().collect();
                news.watch(&core.control, hello, now).await?;
            }
            () = backend.stale() => fetch(core, backend, hello).await?,
            changed = changes.changed() => {
                let live = backend.live();
                if changed.is_err() || live.server.protocol != protocol || !backend.has(&hello.link.endpoint) {
                    return Ok(());
                }
                // Another selection of tools needs no other link, and shows another number of them.
                core.catalog.rebuild();
                core.catalog.shown().await;
                core.report(backend, ServerState::Connected);
            }
            () = due => {
                if news.events.is_some() { ping(core, hello).await? } else { fetch(core, backend, hello).await? }
            }
        }
    }
}

/// Acts on one message of the server's own accord; whether its lists are to be fetched again.
async fn hear(core: &Arc<Core>, backend: &Arc<Backend>, hello: &Hello, text: &str) -> bool {
    match Message::parse(text) {
        Ok(Message::Notification { method, .. }) if method.ends_with("/list_changed") => return true,
        Ok(Message::Notification { method, .. }) if method == "notifications/resources/updated" => {
            core.subscriptions.updated(backend, text);
        }
        _ => core.control.refuse(&hello.link, text).await,
    }
    false
}

/// The stream on which a server tells of changes.
struct News {
    events: Option<Events>,
    /// The resources it was asked to tell of.
    watched: BTreeSet<String>,
}

impl News {
    async fn next(&mut self) -> Result<Option<String>, Fault> {
        match &mut self.events {
            Some(events) => events.next().await,
            None => std::future::pending().await,
        }
    }

    /// Asks the server to tell of the resources `now`, and of no others.
    async fn watch(&mut self, control: &Control, hello: &Hello, now: BTreeSet<String>) -> Result<(), Fault> {
        if now == self.watched || !hello.subscribes || self.events.is_none() {
            return Ok(());
        }
        if hello.era == Era::Modern {
            // The new stream is open before the old one ends, so that nothing is missed.
            let opened = timeout(control.patience, subscribe(control, hello, &now)).await;
            let opened = opened.map_err(|_| Fault::Timeout { after: control.patience })?;
            self.events = Some(opened?);
        } else {
            for uri in now.difference(&self.watched) {
                ask_for(control, hello, "resources/subscribe", uri).await?;
            }
            for uri in self.watched.difference(&now) {
                ask_for(control, hello, "resources/unsubscribe", uri).await?;
            }
        }
        self.watched = now;
        Ok(())
    }
}

/// One resource that the server does not let watch costs the others nothing.
async fn ask_for(control: &Control, hello: &Hello, method: &str, uri: &str) -> Result<(), Fault> {
    match control.ask(&hello.link, method, &format!(r#""uri":{}"#, quoted(uri))).await {
        Err(fault @ Fault::Refused { .. }) => {
            tracing::debug!(%fault, uri, "a server refuses to tell of a resource");
            Ok(())
        }
        answer => answer.map(drop),
    }
}

async fn fetch(core: &Arc<Core>, backend: &Arc<Backend>, hello: &Hello) -> Result<(), Fault> {
    let listing = Arc::new(lists::fetch(&core.control, hello, backend.key()).await?);
    core.metrics.catalog.tools(backend.key(), listing.tools.len());
    backend.confirm();
    if core.catalog.listing(backend.key()).as_ref() != Some(&listing) {
        core.catalog.put(Arc::clone(backend), listing);
    }
    // Whoever reads that a server is connected finds its tools.
    core.catalog.shown().await;
    core.report(backend, ServerState::Connected);
    core.attempted(backend.key());
    Ok(())
}

/// Whether the server lives, and still speaks as it did.
async fn ping(core: &Core, hello: &Hello) -> Result<(), Fault> {
    let method = if hello.era == Era::Modern { "server/discover" } else { "ping" };
    core.control.ask(&hello.link, method, "").await.map(drop)
}

/// Opens the stream on which the server tells of changes, if it has one.
async fn listen(control: &Control, hello: &Hello) -> Option<Events> {
    let opened = match &hello.link.peer {
        Peer::Legacy(_) | Peer::Sse { .. } => {
            timeout(control.patience, control.http.stream(&hello.link)).await.ok()?
        }
        _ => timeout(control.patience, subscribe(control, hello, &BTreeSet::new())).await.ok()?,
    };
    opened.ok()
}

async fn subscribe(control: &Control, hello: &Hello, uris: &BTreeSet<String>) -> Result<Events, Fault> {
    const METHOD_NAME: &str = "subscriptions/listen";
    let uris: Vec<String> = uris.iter().map(|uri| quoted(uri)).collect();
    let uris = if uris.is_empty() {
        String::new()
    } else {
        format!(r#","resourceSubscriptions":[{}]"#, uris.join(","))
    };
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":{},"method":"{METHOD_NAME}","params":{{"_meta":{{{}}},"notifications":{{"toolsListChanged":true,"promptsListChanged":true,"resourcesListChanged":true{uris}}}}}}}"#,
        control.ids.next(),
        meta::own()
    );
    let headers = HeaderMap::from_iter([(METHOD, HeaderValue::from_static(METHOD_NAME))]);
    match control.http.post(&hello.link, headers, body.into()).await? {
        Reply::Events(events) => Ok(events),
        _ => Err(Fault::Malformed { reason: "it does not answer subscriptions/listen with a stream".into() }),
    }
}
