//! The gateway as a whole.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use futures::future::BoxFuture;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::admin::LogFilter;
use crate::backend::{ServerReport, TlsError};
use crate::config::{self, Config};
use crate::core::{Core, ModelReports};
use crate::keep::{self, Folder, Keep, Recalled};
use crate::kubernetes::Found;
use crate::options::Options;
use crate::scaling::{self, Leads, Peers, Scaler};
use crate::serve::{self, Service};
use crate::source::Servers;
use crate::trace::{self, Tracer};
use crate::{admin, frontend, health};

/// How long calls in flight may go on after the stop.
const DRAIN: Duration = Duration::from_secs(25);

/// Why a gateway cannot start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not called on a tokio runtime.
    #[error("a gateway must be made on a tokio runtime: call it from an async function")]
    NoRuntime,
    /// A limit of zero.
    #[error("option `{0}` is zero, which lets nothing through; set at least 1")]
    ZeroLimit(&'static str),
    /// No connections to remote servers can be made.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The listener is unusable.
    #[error("the listener's address cannot be read: {0}")]
    Listener(#[from] std::io::Error),
}

/// One MCP endpoint in front of many servers. It works in the background from `new` until it is dropped.
#[derive(Debug)]
pub struct Gateway {
    core: Arc<Core>,
    _stop: DropGuard,
}

impl Gateway {
    /// A gateway for the servers that `servers` names; it follows every change.
    pub fn new(options: Options, servers: watch::Receiver<Servers>) -> Result<Self, Error> {
        Self::with_lists(options, servers, &Recalled::new())
    }

    /// The same, which shows the lists in `recalled` until their servers give them again.
    pub fn with_lists(
        options: Options,
        servers: watch::Receiver<Servers>,
        recalled: &Recalled,
    ) -> Result<Self, Error> {
        let runtime = Handle::try_current().map_err(|_| Error::NoRuntime)?;
        let limits = [
            ("max_body_bytes", options.max_body_bytes),
            ("max_answer_bytes", options.max_answer_bytes),
            ("max_depth", options.max_depth),
            ("page_size", options.page_size),
            ("max_streams", options.max_streams),
            ("max_requests", options.max_requests),
            ("max_server_calls", options.max_server_calls),
            ("max_questions", options.max_questions),
        ];
        if let Some((name, _)) = limits.iter().find(|(_, limit)| *limit == 0) {
            return Err(Error::ZeroLimit(name));
        }
        let core = Arc::new(Core::new(options, runtime)?);
        core.remember(keep::read(recalled));
        core.start(servers);
        let stop = core.shutdown.clone().drop_guard();
        Ok(Self { core, _stop: stop })
    }

    /// Keeps every list in `place` from now on, where the lists `recalled` lie already.
    pub fn keep_lists(&self, place: Arc<dyn Keep>, recalled: &Recalled) {
        let (core, recalled) = (Arc::clone(&self.core), keep::read(recalled));
        core.keeps.store(true, Ordering::Relaxed);
        let stop = core.shutdown.clone();
        self.core.spawn(async move {
            stop.run_until_cancelled(keep::run(&core, place, recalled)).await;
        });
    }

    /// Keeps the servers of `found` in `folder` from now on, for a start at which the cluster cannot be reached.
    pub fn keep_servers(&self, folder: Folder, found: &Found) {
        let (core, seen, namespace) = (Arc::clone(&self.core), found.seen.clone(), found.namespace.clone());
        let stop = core.shutdown.clone();
        self.core.spawn(async move {
            stop.run_until_cancelled(keep::seen::run(&core, folder, namespace, seen)).await;
        });
    }

    /// Has servers scaled by `scaler` from now on: any replica of the gateway starts what has none, and the one that `leads` decides
    /// the rest, for all of `peers`. A second call changes nothing.
    pub fn scale(&self, scaler: Arc<dyn Scaler>, leads: Leads, peers: Peers) {
        if self.core.scaler.set(scaler).is_ok() {
            let (core, stop) = (Arc::clone(&self.core), self.core.shutdown.clone());
            self.core.spawn(async move {
                stop.run_until_cancelled(scaling::run(core, leads, peers)).await;
            });
        }
    }

    /// Exports traces of calls from now on, as `settings` say; a second call changes nothing.
    pub fn trace(&self, settings: trace::Settings) {
        let (tracer, queue) = Tracer::new(&settings, Arc::clone(&self.core.metrics));
        let (core, tracer) = (Arc::clone(&self.core), Arc::new(tracer));
        if self.core.trace(Arc::clone(&tracer)) {
            self.core.spawn(async move { trace::run(&core, settings, tracer, queue).await });
        }
    }

    /// Takes the configuration file at `path`, and each change of it from now on.
    ///
    /// # Errors
    /// When the file cannot be read or is wrong. Later a bad file is logged and counted, and the one before stays.
    pub fn configure_from(&self, path: &Path) -> Result<(), config::Error> {
        let text = config::read(path)?;
        let config = Config::parse(&text)?;
        self.core.certificate.want(config.tls.as_ref());
        self.core.certificate.read().map_err(|error| config::field("tls", error.to_string()))?;
        self.core.configure(config);
        self.core.load.taken(path);
        self.core.metrics.configured(true);
        let (core, path) = (Arc::clone(&self.core), path.to_owned());
        let stop = core.shutdown.clone();
        self.core.spawn(async move {
            stop.run_until_cancelled(config::follow(&core, &path, text)).await;
        });
        Ok(())
    }

    /// `/mcp`, `/healthz`, `/readyz` and `/metrics`. Requests to `/mcp` must name a loopback or public host.
    pub fn router(&self) -> Router {
        frontend::router(&self.core, None).merge(health::router(&self.core))
    }

    /// Serves the router on `listener` until `stop`, and on for the shutdown delay, in which it calls itself not ready; then
    /// ends streams and lets calls in flight finish. On a listener that
    /// is not on loopback any `Host` is accepted unless public hosts are set.
    ///
    /// The future is boxed, so that it is compiled here once and not in every program that awaits it.
    pub fn serve(&self, listener: TcpListener, stop: CancellationToken) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(self.serve_until(listener, stop))
    }

    async fn serve_until(&self, listener: TcpListener, stop: CancellationToken) -> Result<(), Error> {
        let address = listener.local_addr()?.ip();
        let router = frontend::router(&self.core, Some(address)).merge(health::router(&self.core));
        let router = router.merge(scaling::peers::router(&self.core));
        let (core, end) = (Arc::clone(&self.core), CancellationToken::new());
        let ended = end.clone();
        let streams = tokio::spawn(async move {
            stop.cancelled().await;
            core.leaving.cancel();
            tokio::time::sleep(core.options.shutdown_delay).await;
            core.shutdown.cancel();
            ended.cancel();
        });
        let (certificate, metrics) = (Arc::clone(&self.core.certificate), Arc::clone(&self.core.metrics));
        let service = Service::plain(router).behind(certificate, metrics);
        let service = service.until_leaving(self.core.leaving.clone());
        serve::run(listener, service, end, DRAIN).await;
        streams.abort();
        if let Some(audit) = self.core.audit.load_full() {
            audit.flush().await;
        }
        self.core.shutdown.cancel();
        if let Some(tracer) = self.core.tracer() {
            tracer.finish().await;
        }
        Ok(())
    }

    /// Serves the admin port on `listener` until `stop`: a page at `/`, `/status`, `/log` where there is a `log` to change,
    /// and `/healthz`, `/readyz` and `/metrics`. It asks nobody who they are: let nobody reach it who must not.
    ///
    /// The future is boxed, so that it is compiled here once and not in every program that awaits it.
    pub fn serve_admin(
        &self,
        listener: TcpListener,
        log: Option<Arc<dyn LogFilter>>,
        stop: CancellationToken,
    ) -> BoxFuture<'static, Result<(), Error>> {
        let core = Arc::clone(&self.core);
        Box::pin(async move {
            let router = admin::router(&core, listener.local_addr()?.ip(), log);
            serve::run(listener, Service::plain(router), stop, Duration::ZERO).await;
            Ok(())
        })
    }

    /// Whether new connections to `serve`'s listener must begin with TLS.
    #[must_use]
    pub fn speaks_tls(&self) -> bool {
        self.core.certificate.current().is_some()
    }

    /// How each model is scaled; a new value whenever that changes.
    pub(crate) fn model_reports(&self) -> watch::Receiver<Arc<ModelReports>> {
        self.core.model_reports()
    }

    /// How each server does; a new value whenever that changes.
    #[must_use]
    pub fn reports(&self) -> watch::Receiver<Arc<Vec<ServerReport>>> {
        self.core.reports()
    }
}
