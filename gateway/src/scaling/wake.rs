//! Starts a server that has no replica, and finds out the moment that one answers.
//!
//! Any replica of the gateway does so, for the calls that wait in it: to ask for one replica twice does no harm. It goes on when
//! the callers leave.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt as _};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::{Change, Error};
use crate::backend::fault::Class;
use crate::backend::session::Link;
use crate::backend::{Backend, Endpoint};
use crate::catalog::View;
use crate::core::Core;
use crate::source::{Model, Protocol};

/// Between two questions whether a replica answers, counted from the first.
const ASK_EVERY: Duration = Duration::from_millis(25);
/// Time for one answer: one that hangs is asked again.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// A start that was asked for is asked for again after this time, if it still does not show.
const ASK_AGAIN: Duration = Duration::from_secs(2);
/// The same where its workload has changed meanwhile, as it does just after its last replica has gone: what is known of it is a moment old.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// The same where it could not be asked for.
const RETRY: Duration = Duration::from_millis(500);

/// Wakes `backend` in the background for calls that wait, unless this process does so already.
pub(crate) fn wake(core: &Arc<Core>, backend: &Arc<Backend>) {
    begin(core, backend, false);
}

/// Starts those servers of `view` that are to be there as soon as a client begins a session.
pub(crate) fn warm_up(core: &Arc<Core>, view: &View) {
    for backend in core.scaled() {
        let live = backend.live();
        let wants = live.server.scaled.as_ref().is_some_and(|scaled| scaled.bounds.warms_up_on_session());
        if wants && !backend.is_up() && view.has(&backend) && backend.may_be_waited_for() {
            begin(core, &backend, true);
        }
    }
}

/// With `ahead` it is started although no call waits.
fn begin(core: &Arc<Core>, backend: &Arc<Backend>, ahead: bool) {
    if backend.waking.swap(true, Ordering::AcqRel) {
        return;
    }
    let (task_core, backend) = (Arc::clone(core), Arc::clone(backend));
    let stop = core.shutdown.clone();
    core.spawn(async move {
        stop.run_until_cancelled(Waker::new(&task_core, &backend, ahead).run()).await;
        backend.waking.store(false, Ordering::Release);
        // A call that came in between found this one still running.
        let waits = backend.meter.read(Instant::now()).waiting > 0 && !stop.is_cancelled();
        if waits && !backend.is_up() && backend.may_be_waited_for() {
            wake(&task_core, &backend);
        }
    });
}

type Asking = BoxFuture<'static, (Arc<Endpoint>, Option<Link>)>;

struct Waker<'a> {
    core: &'a Arc<Core>,
    backend: &'a Arc<Backend>,
    asked: Vec<u64>,
    asking: FuturesUnordered<Asking>,
    /// When the start is to be asked for.
    due: Instant,
    /// Whether it is still to be asked for although no call waits.
    ahead: bool,
}

impl<'a> Waker<'a> {
    fn new(core: &'a Arc<Core>, backend: &'a Arc<Backend>, ahead: bool) -> Self {
        let (asked, asking) = (Vec::new(), FuturesUnordered::new());
        Self { core, backend, asked, asking, due: Instant::now(), ahead }
    }

    /// Returns once calls can be sent, or when that is not to be.
    async fn run(mut self) {
        let mut changes = self.backend.changes();
        let began = Instant::now();
        while !self.backend.is_up() {
            changes.borrow_and_update();
            let live = self.backend.live();
            let Some(scaled) = &live.server.scaled else { return };
            let is_over = began.elapsed() > scaled.bounds.start_within
                || (!self.ahead
                    && self.backend.meter.read(Instant::now()).waiting == 0
                    && scaled.desired == 0);
            if is_over || super::hold::left(self.backend, scaled).is_some() {
                self.backend.learnt.failed();
                return;
            }
            self.backend.learnt.starting();
            self.ask_new(&live.starting);
            let due = (scaled.desired == 0).then_some(self.due);
            tokio::select! {
                Some((endpoint, link)) = self.asking.next() => self.answered(&endpoint, link),
                // The sender is the backend's own.
                _ = changes.changed() => {}
                () = until(due) => self.ask_for_start().await,
                () = sleep(ASK_AGAIN) => {}
            }
        }
        self.core.metrics.scaling.woken(self.backend.key(), self.backend.learnt.started());
    }

    /// Asks replicas that were not asked yet whether they answer.
    fn ask_new(&mut self, starting: &[Arc<Endpoint>]) {
        for endpoint in starting {
            if !self.asked.contains(&endpoint.id) {
                self.asked.push(endpoint.id);
                let live = self.backend.live();
                let (core, endpoint) = (Arc::clone(self.core), Arc::clone(endpoint));
                self.asking.push(match &live.server.model {
                    None => Box::pin(answers(core, endpoint, live.server.protocol)),
                    Some(Model { health, .. }) => Box::pin(is_loaded(core, endpoint, health.clone())),
                });
            }
        }
    }

    fn answered(&self, endpoint: &Endpoint, link: Option<Link>) {
        self.backend.answers(&endpoint.url, true);
        self.core.end_sessions(link.into_iter().filter(Link::has_session).collect());
    }

    async fn ask_for_start(&mut self) {
        let live = self.backend.live();
        let (Some(scaler), Some(scaled)) = (self.core.scaler.get(), &live.server.scaled) else {
            self.due = Instant::now() + ASK_AGAIN;
            return;
        };
        let waiting = self.backend.meter.read(Instant::now()).waiting;
        let to = self.backend.learnt.wake(&scaled.bounds, scaled.bounds.minimum(), waiting).max(1);
        let asked = scaler.scale(&live.server, Change { from: 0, to }).await;
        let pause = match asked {
            Ok(()) => ASK_AGAIN,
            Err(Error::Changed) => LOOK_AGAIN,
            Err(Error::Failed(_)) => RETRY,
        };
        self.due = Instant::now() + pause;
        self.ahead &= asked.is_err();
        match asked {
            Ok(()) => {
                tracing::info!(server = %self.backend.key(), to, "a server is started for the calls that wait for it");
            }
            Err(Error::Changed) => {}
            Err(error) => {
                tracing::warn!(server = %self.backend.key(), %error, "a server could not be started and is tried again");
            }
        }
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// Asks until it answers as MCP has it; gives the link that came about. One that wants a credential answers, too.
async fn answers(
    core: Arc<Core>,
    endpoint: Arc<Endpoint>,
    protocol: Protocol,
) -> (Arc<Endpoint>, Option<Link>) {
    loop {
        let next = Instant::now() + ASK_EVERY;
        match timeout(ANSWER_WITHIN, core.control.open(&endpoint, protocol)).await {
            Ok(Ok(hello)) => return (endpoint, Some(hello.link)),
            Ok(Err(fault)) if fault.class() == Class::Unauthorized => return (endpoint, None),
            _ => sleep_until(next).await,
        }
    }
}

/// Asks until its model is loaded. One whose engine does not say that is waited for until its cluster calls it ready.
async fn is_loaded(
    core: Arc<Core>,
    endpoint: Arc<Endpoint>,
    health: Option<String>,
) -> (Arc<Endpoint>, Option<Link>) {
    let uri = health.and_then(|path| format!("{}{path}", endpoint.url.trim_end_matches('/')).parse().ok());
    let Some(uri) = uri else { return std::future::pending().await };
    loop {
        let next = Instant::now() + ASK_EVERY;
        match timeout(ANSWER_WITHIN, core.control.http.get(&uri)).await {
            Ok(Ok(_)) => return (endpoint, None),
            _ => sleep_until(next).await,
        }
    }
}
