//! Accepts connections: HTTP/1 and HTTP/2 on one port, with TLS or without, with bounds on time, and an orderly end.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use http::header::CONNECTION;
use http::{HeaderValue, StatusCode, Version};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::certificate::Certificate;
use crate::frontend::Peer;
use crate::metrics::{Handshake, Metrics};

/// Time for a request's head to arrive.
const HEAD_WITHIN: Duration = Duration::from_secs(15);
/// Time for a TLS handshake.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// TLS handshakes at the same time.
const MAX_HANDSHAKES: usize = 1024;
/// Wait after `accept` failed for want of file descriptors.
const PAUSE: Duration = Duration::from_millis(50);

/// What each connection is served with.
pub(crate) struct Service {
    builder: Builder<TokioExecutor>,
    router: Router,
    tls: Option<Tls>,
    /// Clients are to open other connections, elsewhere.
    leaving: CancellationToken,
}

/// TLS whenever there is a certificate.
struct Tls {
    certificate: Arc<Certificate>,
    handshakes: Semaphore,
    metrics: Arc<Metrics>,
}

impl Service {
    /// Serves `router` without TLS.
    pub(crate) fn plain(router: Router) -> Self {
        let mut builder = Builder::new(TokioExecutor::new());
        builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN);
        builder.http2().timer(TokioTimer::new()).keep_alive_interval(HEAD_WITHIN).max_concurrent_streams(256);
        Self { builder, router, tls: None, leaving: CancellationToken::new() }
    }

    /// The same; from `leaving` on each answer over HTTP/1 ends its connection, so that none is open with a request on its way
    /// when the end comes.
    pub(crate) fn until_leaving(self, leaving: CancellationToken) -> Self {
        Self { leaving, ..self }
    }

    /// The same, with TLS whenever `certificate` has a certificate.
    pub(crate) fn behind(self, certificate: Arc<Certificate>, metrics: Arc<Metrics>) -> Self {
        let handshakes = Semaphore::new(MAX_HANDSHAKES);
        Self { tls: Some(Tls { certificate, handshakes, metrics }), ..self }
    }

    /// Serves one client, after its handshake where the gateway has a certificate; one that has not ended by `stop` holds
    /// nobody up.
    async fn connection(
        &self,
        (stream, peer): (TcpStream, Peer),
        (stop, watcher): (CancellationToken, Watcher),
    ) {
        let certified = self.tls.as_ref().and_then(|tls| Some((tls, tls.certificate.current()?)));
        let Some((tls, config)) = certified else { return self.serve((stream, peer), watcher).await };
        match stop.run_until_cancelled(tls.handshake(stream, config)).await {
            None => {}
            Some(Ok(stream)) => {
                tls.metrics.handshake(Handshake::Completed);
                self.serve((stream, peer), watcher).await;
            }
            Some(Err(ended)) => tls.metrics.handshake(ended),
        }
    }

    async fn serve(
        &self,
        (stream, peer): (impl AsyncRead + AsyncWrite + Unpin + Send + 'static, Peer),
        watcher: Watcher,
    ) {
        let (router, leaving) = (self.router.clone(), self.leaving.clone());
        let service = hyper::service::service_fn(move |mut request: hyper::Request<Incoming>| {
            request.extensions_mut().insert(peer);
            let is_reused = request.version() < Version::HTTP_2;
            let (answer, leaving) = (router.clone().oneshot(request), leaving.clone());
            async move {
                let mut response = answer.await?;
                let is_answer = response.status() != StatusCode::SWITCHING_PROTOCOLS;
                if is_reused && is_answer && leaving.is_cancelled() {
                    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                Ok::<_, Infallible>(response)
            }
        });
        let connection = self.builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
        if let Err(error) = watcher.watch(connection).await {
            tracing::debug!(%error, "a client's connection ended with an error");
        }
    }
}

impl Tls {
    async fn handshake(
        &self,
        stream: TcpStream,
        config: Arc<ServerConfig>,
    ) -> Result<Box<TlsStream<TcpStream>>, Handshake> {
        let _one_of_many = self.handshakes.try_acquire().map_err(|_| Handshake::Crowded)?;
        let shaken = tokio::time::timeout(HANDSHAKE_WITHIN, TlsAcceptor::from(config).accept(stream)).await;
        match shaken {
            Ok(Ok(stream)) => Ok(Box::new(stream)),
            Ok(Err(error)) => {
                tracing::debug!(%error, "a client's TLS handshake failed");
                Err(Handshake::Failed)
            }
            Err(_) => Err(Handshake::Slow),
        }
    }
}

/// Serves `service` on `listener` until `stop`; then lets calls in flight end within `drain`.
pub(crate) async fn run(listener: TcpListener, service: Service, stop: CancellationToken, drain: Duration) {
    let (service, graceful) = (Arc::new(service), GracefulShutdown::new());
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            stream = accept(&listener) => stream,
        };
        let (service, ends) = (Arc::clone(&service), (stop.clone(), graceful.watcher()));
        tokio::spawn(async move { service.connection(accepted, ends).await });
    }
    drop(listener);
    if tokio::time::timeout(drain, graceful.shutdown()).await.is_err() {
        tracing::warn!("some calls did not end in time and are cut off");
    }
}

async fn accept(listener: &TcpListener) -> (TcpStream, Peer) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                stream.set_nodelay(true).ok();
                return (stream, Peer(peer));
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "no connection can be accepted; trying again");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Whether the client was gone before it was accepted, which says nothing about the listener.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    )
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_handshake_is_bounded_in_time_and_number() {
        let metrics = Arc::new(Metrics::new());
        let own = Arc::new(Certificate::new(Arc::clone(&metrics)));
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = (folder.path().join("tls.crt"), folder.path().join("tls.key"));
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(&certificate, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        let tls = crate::config::tls::Tls { cert_file: certificate, key_file: key, client_ca_file: None };
        own.want(Some(&tls));
        assert!(own.read().unwrap());
        let mut service = Service::plain(Router::new()).behind(own, Arc::clone(&metrics));
        service.tls.as_mut().unwrap().handshakes = Semaphore::new(1);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let running = tokio::spawn(run(listener, service, stop.clone(), Duration::from_mins(1)));
        // Neither says a word; time passes by itself while all wait.
        let mut silent = TcpStream::connect(address).await.unwrap();
        let mut one_too_many = TcpStream::connect(address).await.unwrap();
        let started = tokio::time::Instant::now();
        assert!(matches!(one_too_many.read(&mut [0]).await, Ok(0) | Err(_)));
        assert!(started.elapsed() < HANDSHAKE_WITHIN);
        assert!(matches!(silent.read(&mut [0]).await, Ok(0) | Err(_)));
        assert!(started.elapsed() >= HANDSHAKE_WITHIN);
        let mut last = TcpStream::connect(address).await.unwrap();
        // Time for it to be accepted; its handshake would take longer.
        assert!(tokio::time::timeout(PAUSE, last.read(&mut [0])).await.is_err());
        let stopped = tokio::time::Instant::now();
        stop.cancel();
        running.await.unwrap();
        assert!(stopped.elapsed() < HANDSHAKE_WITHIN / 2, "it holds up no end: {:?}", stopped.elapsed());
        let text = metrics.text();
        for outcome in ["crowded", "slow"] {
            assert!(text.contains(&format!("tls_handshakes_total{{outcome=\"{outcome}\"}} 1")), "{text}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_never_ends_its_head_or_its_body_is_let_go() {
        let read = |body: axum::body::Body| async move {
            match crate::frontend::http::read(body, 100).await {
                Ok(_) => http::StatusCode::OK,
                Err(error) => error.http_status(),
            }
        };
        let router = Router::new().route("/", axum::routing::post(read));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(run(listener, Service::plain(router), CancellationToken::new(), Duration::ZERO));
        let started = tokio::time::Instant::now();
        for (half, answer) in [
            ("POST / HTTP/1.1\r\nhost: x\r\n", ""),
            ("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n12", "HTTP/1.1 408"),
        ] {
            let mut client = TcpStream::connect(address).await.unwrap();
            tokio::io::AsyncWriteExt::write_all(&mut client, half.as_bytes()).await.unwrap();
            let mut said = String::new();
            // The end may come as a reset.
            let _ = client.read_to_string(&mut said).await;
            assert!(said.starts_with(answer), "{said}");
        }
        assert!(started.elapsed() < Duration::from_mins(2), "{:?}", started.elapsed());
    }
}
