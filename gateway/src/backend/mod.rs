//! The servers behind the gateway: connections, sessions, calls.

mod again;
mod breaker;
pub(crate) mod call;
pub(crate) mod client;
pub(crate) mod control;
pub(crate) mod credential;
mod endpoint;
pub(crate) mod fault;
mod fleet;
mod flight;
mod guard;
pub(crate) mod hearing;
mod line;
mod links;
mod lists;
mod live;
pub(crate) mod message;
pub(crate) mod parked;
mod place;
mod question;
pub(crate) mod relay;
pub(crate) mod restore;
pub(crate) mod session;
pub(crate) mod sse;
mod supervise;
pub(crate) mod task;
mod tls;
mod upstream;
mod way;
pub(crate) mod wrapped;

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::sync::{Notify, watch};

use crate::scaling::{Learnt, Meter, ScalingReport};
use crate::source::{Server, ServerKey};
use crate::version::Era;

use again::Budget;
use endpoint::shown;
pub(crate) use endpoint::{Chosen, Endpoint, InFlight};
pub(crate) use fault::Fault;
pub(crate) use fleet::Fleet;
pub(crate) use live::Live;
pub use supervise::{Failure, PinReport, ServerReport, ServerState};
pub use tls::Error as TlsError;

/// One server.
#[derive(Debug)]
pub(crate) struct Backend {
    key: ServerKey,
    id: u64,
    live: ArcSwap<Live>,
    /// Counts the changes of `live`.
    changes: watch::Sender<u64>,
    /// Asks for the lists to be fetched again.
    stale: Notify,
    modern: AtomicBool,
    /// When it last answered a call, in milliseconds of the process' clock; 0 for never.
    answered: AtomicU64,
    budget: Budget,
    /// The resources that clients watch, and how many watch each.
    watched: watch::Sender<BTreeMap<String, usize>>,
    /// Whether its lists come from the server itself, and not from what was kept.
    confirmed: AtomicBool,
    /// What is asked of it.
    pub(crate) meter: Arc<Meter>,
    /// What its past says of its future.
    pub(crate) learnt: Learnt,
    /// URLs of replicas that answered before their cluster called them ready.
    answering: Mutex<HashSet<String>>,
    /// Whether it is being woken by this process.
    pub(crate) waking: AtomicBool,
    /// How it is scaled, where this process decides.
    scaling: ArcSwapOption<ScalingReport>,
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

fn next_id() -> u64 {
    NEXT_ID.fetch_add(1, Ordering::Relaxed)
}

impl Backend {
    /// A server that was not spoken to yet.
    pub(crate) fn new(server: &Server) -> Self {
        let meter = Arc::default();
        let live = Live::new(server, None, (&meter, &HashSet::new()));
        Self {
            key: server.key.clone(),
            id: next_id(),
            live: ArcSwap::from_pointee(live),
            changes: watch::Sender::new(0),
            stale: Notify::new(),
            modern: AtomicBool::new(false),
            answered: AtomicU64::new(0),
            budget: Budget::default(),
            watched: watch::Sender::default(),
            confirmed: AtomicBool::new(false),
            meter,
            learnt: Learnt::default(),
            answering: Mutex::default(),
            waking: AtomicBool::new(false),
            scaling: ArcSwapOption::empty(),
        }
    }

    /// Which server.
    pub(crate) fn key(&self) -> &ServerKey {
        &self.key
    }

    /// Unique in this process.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// The era it was last spoken to in.
    pub(crate) fn era(&self) -> Era {
        if self.modern.load(Ordering::Relaxed) { Era::Modern } else { Era::Legacy }
    }

    /// Remembers the era it speaks.
    pub(crate) fn set_era(&self, era: Era) {
        self.modern.store(era == Era::Modern, Ordering::Relaxed);
    }

    /// Whether it gave its lists in this process's life.
    pub(crate) fn is_confirmed(&self) -> bool {
        self.confirmed.load(Ordering::Relaxed)
    }

    /// It gave its lists.
    pub(crate) fn confirm(&self) {
        self.confirmed.store(true, Ordering::Relaxed);
    }

    /// Its settings now.
    pub(crate) fn live(&self) -> Arc<Live> {
        self.live.load_full()
    }

    /// Takes new settings; endpoints that stay keep their counts.
    pub(crate) fn update(&self, server: &Server) {
        self.change(|answering, old| {
            let is_here = |url: &String| server.starting.iter().any(|endpoint| endpoint.url == *url);
            answering.retain(is_here);
            (old.server != *server).then(|| server.clone())
        });
    }

    /// The replica at `url` answers, or does so no more: calls are sent to it, or not, before its cluster says that it is ready.
    pub(crate) fn answers(&self, url: &str, does: bool) {
        self.change(|answering, old| {
            let differs = if does { answering.insert(url.to_owned()) } else { answering.remove(url) };
            differs.then(|| old.server.clone())
        });
    }

    /// Takes the settings that `next` gives, if it gives some; nobody else changes them meanwhile.
    fn change(&self, next: impl FnOnce(&mut HashSet<String>, &Live) -> Option<Server>) {
        let mut answering = self.answering.lock().unwrap_or_else(PoisonError::into_inner);
        let old = self.live();
        if let Some(server) = next(&mut answering, &old) {
            self.live.store(Arc::new(Live::new(&server, Some(&old), (&self.meter, &answering))));
            drop(answering);
            self.changes.send_modify(|count| *count += 1);
        }
    }

    /// Has it tried again at once, if it waits after a failure.
    pub(crate) fn wake(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    /// Tells of new settings.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Has the lists fetched again.
    pub(crate) fn mark_stale(&self) {
        self.stale.notify_one();
    }

    /// Returns once the lists are to be fetched again.
    pub(crate) async fn stale(&self) {
        self.stale.notified().await;
    }

    /// One more client watches the resource that the server knows as `uri`.
    pub(crate) fn watch(&self, uri: &str) {
        self.watched.send_if_modified(|watched| {
            let count = watched.entry(uri.to_owned()).or_default();
            *count += 1;
            *count == 1
        });
    }

    /// One client less watches `uri`.
    pub(crate) fn unwatch(&self, uri: &str) {
        self.watched.send_if_modified(|watched| {
            let Some(count) = watched.get_mut(uri) else { return false };
            *count -= 1;
            *count == 0 && watched.remove(uri).is_some()
        });
    }

    /// Tells when a resource begins or ceases to be watched.
    pub(crate) fn watched(&self) -> watch::Receiver<BTreeMap<String, usize>> {
        self.watched.subscribe()
    }

    /// Whether its tool `name` is shown.
    pub(crate) fn shows(&self, name: &str) -> bool {
        self.live.load().shows(name)
    }

    /// The endpoint for a call, but for those in `not`: one whose turn it is to be tried again after failures, else the
    /// one with the fewest calls in flight of those that do not fail, else of all.
    pub(crate) fn pick(&self, not: &[u64]) -> Result<Arc<Endpoint>, Fault> {
        let live = self.live.load();
        let usable = || live.endpoints.iter().filter(|endpoint| !not.contains(&endpoint.id));
        let least = |open: bool| {
            let alike = usable().filter(|endpoint| endpoint.breaker.is_open() == open);
            alike.min_by_key(|endpoint| endpoint.in_flight.load(Ordering::Relaxed))
        };
        let due = |endpoint: &&Arc<Endpoint>| {
            endpoint.breaker.is_open() && endpoint.breaker.takes_trial(breaker::now())
        };
        match usable().find(due).or_else(|| least(false)).or_else(|| least(true)) {
            Some(endpoint) => Ok(Arc::clone(endpoint)),
            None => Err(live.bad.clone().unwrap_or(Fault::NoEndpoint)),
        }
    }

    /// Chooses an endpoint as `pick` does. One that ceases to take calls meanwhile is not chosen: whoever watches it go either sees
    /// that it was chosen, or it is chosen no more.
    pub(crate) fn choose(&self, not: &[u64]) -> Result<(Arc<Endpoint>, Chosen), Fault> {
        loop {
            let endpoint = self.pick(not)?;
            let chosen = Chosen::of(&endpoint);
            if self.live.load().endpoints.iter().any(|open| open.id == endpoint.id) {
                return Ok((endpoint, chosen));
            }
        }
    }

    /// Whether it has an endpoint that is not in `tried`.
    pub(crate) fn has_other(&self, tried: &[u64]) -> bool {
        self.live.load().endpoints.iter().any(|endpoint| !tried.contains(&endpoint.id))
    }

    /// Calls that its endpoints have not answered yet.
    pub(crate) fn in_flight(&self) -> usize {
        let live = self.live.load();
        let all = live.endpoints.iter().chain(&live.draining);
        all.map(|endpoint| endpoint.in_flight.load(Ordering::Relaxed)).sum()
    }

    /// How it is scaled, where this process decides.
    pub(crate) fn scaling(&self) -> Option<Arc<ScalingReport>> {
        self.scaling.load_full()
    }

    /// It is scaled so; whether that is news.
    pub(crate) fn set_scaling(&self, report: Option<&Arc<ScalingReport>>) -> bool {
        self.scaling.swap(report.cloned()).as_ref() != report
    }

    /// It has `open` calls open, which is as many as it may.
    pub(crate) fn saturated(&self, open: usize) -> Fault {
        let live = self.live();
        let after = live.server.scaled.as_ref().map_or(Duration::from_secs(1), |scaled| {
            self.learnt.retry_after(&scaled.bounds, u32::try_from(open).unwrap_or(u32::MAX), scaled.desired)
        });
        Fault::Saturated { open, after }
    }

    /// Whether `endpoint` still belongs to it, be it that nothing new begins there.
    pub(crate) fn has(&self, endpoint: &Endpoint) -> bool {
        let live = self.live.load();
        live.endpoints.iter().chain(&live.draining).any(|known| known.id == endpoint.id)
    }

    /// Whether a session at `endpoint` that was not used for so long goes on there. Of a replica that is to go those do that keep it
    /// from going: a session that is not counted any more may find it gone at any moment.
    pub(crate) fn keeps(&self, endpoint: &Endpoint, unused: Duration) -> bool {
        let live = self.live.load();
        let is_in = |places: &[Arc<Endpoint>]| places.iter().any(|known| known.id == endpoint.id);
        let counted = live.server.scaled.as_ref().is_none_or(|scaled| unused <= scaled.bounds.session);
        is_in(&live.endpoints) || (counted && is_in(&live.draining))
    }

    /// Whether calls can be sent to it now.
    pub(crate) fn is_up(&self) -> bool {
        !self.live.load().endpoints.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{Endpoint as Place, ToolSelection};

    fn server(urls: &[&str], include: &[&str], exclude: &[&str]) -> Server {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let key = ServerKey { namespace: "shop".into(), name: "files".into() };
        let tools =
            ToolSelection { include: owned(include), exclude: owned(exclude), ..ToolSelection::default() };
        Server { tools, ..Server::new(key, urls.iter().map(|url| Place::pod(*url)).collect()) }
    }

    #[test]
    fn the_endpoint_with_the_fewest_calls_in_flight_is_picked() {
        let backend = Backend::new(&server(&["http://127.0.0.1:1/mcp", "http://127.0.0.1:2/mcp"], &[], &[]));
        backend.pick(&[]).unwrap().in_flight.store(3, Ordering::Relaxed);
        let second = backend.pick(&[]).unwrap();
        assert_eq!(second.url, "http://127.0.0.1:2/mcp");
        assert_eq!(backend.pick(&[second.id]).unwrap().url, "http://127.0.0.1:1/mcp");
    }

    #[test]
    fn an_endpoint_that_cannot_be_reached_is_passed_over_unless_there_is_no_other() {
        let refused = Fault::Unreachable { url: String::new(), reason: String::new() };
        let backend = Backend::new(&server(&["http://127.0.0.1:1/mcp", "http://127.0.0.1:2/mcp"], &[], &[]));
        let first = backend.pick(&[]).unwrap();
        first.breaker.note(Some(&refused), breaker::now());
        let second = backend.pick(&[]).unwrap();
        assert_ne!(second.id, first.id);
        second.in_flight.store(9, Ordering::Relaxed);
        assert_eq!(backend.pick(&[]).unwrap().id, second.id);
        second.breaker.note(Some(&refused), breaker::now());
        assert_eq!(backend.pick(&[]).unwrap().id, first.id, "both fail: both are used");
    }

    #[test]
    fn an_endpoint_that_stays_keeps_its_count() {
        let backend = Backend::new(&server(&["http://127.0.0.1:1/mcp"], &[], &[]));
        backend.pick(&[]).unwrap().in_flight.store(3, Ordering::Relaxed);
        backend.update(&server(&["http://127.0.0.1:2/mcp", "http://127.0.0.1:1/mcp"], &[], &[]));
        assert_eq!(backend.pick(&[]).unwrap().url, "http://127.0.0.1:2/mcp");
    }

    #[test]
    fn an_endpoint_that_is_away_for_a_moment_keeps_its_calls() {
        let backend = Backend::new(&server(&["http://127.0.0.1:1/mcp"], &[], &[]));
        let call = backend.pick(&[]).unwrap().take_up();
        backend.update(&server(&[], &[], &[]));
        backend.update(&Server {
            draining: vec![Place::pod("http://127.0.0.1:1/mcp")],
            ..server(&[], &[], &[])
        });
        assert_eq!(backend.in_flight(), 1);
        assert!(!backend.is_up() && backend.has(call.endpoint()));
        drop(call);
        assert_eq!(backend.in_flight(), 0);
    }

    #[test]
    fn a_session_goes_on_at_a_replica_that_goes_for_as_long_as_it_is_counted() {
        let (url, minute) = ("http://127.0.0.1:1/mcp", Duration::from_mins(1));
        let bounds = crate::source::Bounds { session: minute, ..crate::source::Bounds::default() };
        let scaled = Some(crate::source::Scaled::new(bounds, 1));
        let serves = Server { scaled, ..server(&[url], &[], &[]) };
        let backend = Backend::new(&serves);
        let endpoint = backend.pick(&[]).unwrap();
        assert!(backend.keeps(&endpoint, minute * 9), "it stays where new calls go");
        backend.update(&Server { endpoints: Vec::new(), draining: vec![Place::pod(url)], ..serves.clone() });
        assert!(backend.keeps(&endpoint, minute));
        assert!(!backend.keeps(&endpoint, minute + Duration::from_secs(1)));
        backend.update(&Server { endpoints: Vec::new(), ..serves });
        assert!(!backend.keeps(&endpoint, Duration::ZERO));
    }

    #[test]
    fn a_replica_that_answers_before_it_is_called_ready_takes_calls_until_it_does_not() {
        let starting = Place::pod("http://127.0.0.1:1/mcp");
        let named = Server { starting: vec![starting.clone()], ..server(&[], &[], &[]) };
        let backend = Backend::new(&named);
        assert!(!backend.is_up());
        backend.answers(&starting.url, true);
        let early = backend.pick(&[]).unwrap();
        backend.answers(&starting.url, false);
        assert!(!backend.is_up());
        backend.answers(&starting.url, true);
        backend.update(&Server { endpoints: vec![starting], starting: Vec::new(), ..named });
        assert_eq!(backend.pick(&[]).unwrap().id, early.id);
    }

    #[test]
    fn without_a_usable_endpoint_the_reason_is_told() {
        let pick = |urls: &[&str]| Backend::new(&server(urls, &[], &[])).pick(&[]).unwrap_err().to_string();
        assert!(pick(&[]).contains("has no ready pod"));
        assert!(pick(&["ftp://x"]).contains("must begin with http:// or https://"));
    }

    #[test]
    fn a_url_is_shown_without_what_may_be_secret() {
        let shown = |url: &str| shown(&url.parse().unwrap());
        assert_eq!(shown("https://user:word@mcp.example.com:8/mcp?token=1"), "https://mcp.example.com:8/mcp");
        assert_eq!(shown("http://[fd00::1]:8080/mcp"), "http://[fd00::1]:8080/mcp");
    }

    #[test]
    fn tools_are_selected_by_globs() {
        let backend = Backend::new(&server(&[], &["read_*", "list"], &["*_secret"]));
        assert!(backend.shows("read_file") && backend.shows("list"));
        assert!(!backend.shows("write_file") && !backend.shows("read_secret"));
        assert!(!Backend::new(&server(&[], &["["], &[])).shows("x"));
    }
}
