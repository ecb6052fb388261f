//! A gateway of the test's own process, in front of one server.

use std::sync::Arc;
use std::time::Duration;

use portico_gateway::source::{Server, Servers};
use portico_gateway::{Gateway, Options, ServerReport, ServerState};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

const PATIENCE: Duration = Duration::from_mins(1);

/// A gateway that serves until it is dropped.
#[derive(Debug)]
pub struct InProcess {
    /// URL of its endpoint with all tools.
    pub url: String,
    gateway: Arc<Gateway>,
    _servers: watch::Sender<Servers>,
    _stop: DropGuard,
}

impl InProcess {
    /// A gateway in front of `server`, on a port of its own, once it is connected.
    ///
    /// # Errors
    /// When it does not start, or not connect in time.
    pub async fn connected(server: Server) -> Result<Self, Box<dyn std::error::Error>> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let gateway = Self::on(listener, Options::default(), server, |_| Ok(()))?;
        gateway.until_connected().await?;
        Ok(gateway)
    }

    /// A gateway in front of `server` that listens there, once `configure` has had it.
    ///
    /// # Errors
    /// When it does not start, and those of `configure`.
    pub fn on(
        listener: TcpListener,
        options: Options,
        server: Server,
        configure: impl FnOnce(&Gateway) -> Result<(), Box<dyn std::error::Error>>,
    ) -> Result<Self, Box<dyn std::error::Error>> {
        rustls::crypto::ring::default_provider().install_default().ok();
        let (servers, receiver) = watch::channel(Servers::from(Arc::new(vec![server])));
        let gateway = Arc::new(Gateway::new(options, receiver)?);
        configure(&gateway)?;
        let url = format!("http://{}/mcp", listener.local_addr()?);
        let (stop, serving) = (CancellationToken::new(), Arc::clone(&gateway));
        let token = stop.clone();
        tokio::spawn(async move { serving.serve(listener, token).await });
        Ok(Self { url, gateway, _servers: servers, _stop: stop.drop_guard() })
    }

    /// Waits until the server is connected.
    ///
    /// # Errors
    /// When it is not in time.
    pub async fn until_connected(&self) -> Result<(), String> {
        self.until(|report| report.state == ServerState::Connected).await.map(drop)
    }

    /// Waits for a report about the server.
    ///
    /// # Errors
    /// When it does not come in time, with the reports that are there.
    pub async fn until(&self, wanted: impl Fn(&ServerReport) -> bool) -> Result<ServerReport, String> {
        let mut reports = self.gateway.reports();
        let found =
            tokio::time::timeout(PATIENCE, reports.wait_for(|reports| reports.iter().any(&wanted))).await;
        drop(found);
        let reports = self.gateway.reports();
        let reports = reports.borrow();
        reports.iter().find(|report| wanted(report)).cloned().ok_or_else(|| format!("{reports:?}"))
    }
}
