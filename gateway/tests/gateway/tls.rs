//! Remote servers: behind TLS, and in networks where they may not be.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::serve::Listener;
use portico_gateway::source::{Endpoint, Server};
use portico_gateway::{Options, ServerState};
use rcgen::CertifiedKey;
use rustls::pki_types::PrivateKeyDer;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::raw_server::{RawServer, nothing_special};
use crate::support::{TestGateway, http_client, server};

struct Tls {
    tcp: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = self.tcp.accept().await.unwrap();
            // A client that does not trust the certificate ends the handshake.
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.tcp.local_addr()
    }
}

/// TLS in front of `raw`: its URL, and the certificate that vouches for it.
async fn behind_tls(raw: &RawServer) -> (String, String) {
    let http = http_client();
    let CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder().with_no_client_auth();
    let config = config.with_single_cert(vec![cert.der().clone()], key).unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = tcp.local_addr().unwrap().port();
    let target = raw.url();
    let forward = move |request: Request| {
        let (http, target) = (http.clone(), target.clone());
        async move {
            let (parts, body) = request.into_parts();
            let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
            let answer = http.request(parts.method, target).headers(parts.headers).body(body).send().await;
            let answer: http::Response<reqwest::Body> = answer.unwrap().into();
            answer.map(axum::body::Body::new)
        }
    };
    let listener = Tls { tcp, acceptor: TlsAcceptor::from(Arc::new(config)) };
    tokio::spawn(axum::serve(listener, Router::new().fallback(forward)).into_future());
    (format!("https://localhost:{port}/mcp"), cert.pem())
}

#[tokio::test]
async fn a_remote_server_is_reached_over_tls_by_who_trusts_its_authority_and_by_nobody_else() {
    let raw = RawServer::legacy(r#"[{"name":"a","inputSchema":{}}]"#, nothing_special).await;
    let (url, certificate) = behind_tls(&raw).await;
    let options = Options { extra_authorities: certificate.into_bytes(), ..Options::default() };
    let trusting = TestGateway::with(options, vec![server("far", &[&url])]).await;
    trusting.until_tools(&["a"]).await;
    let (_, called) = trusting.modern("tools/call", json!({ "name": "a" })).await;
    assert!(called["result"]["content"].is_array(), "{called}");
    let strange = TestGateway::start(vec![server("far", &[&url])]).await;
    let failing = |state: &ServerState| matches!(state, ServerState::Failing { reason, .. } if reason.contains("ertificate"));
    strange.until_report("far", |report| failing(&report.state)).await;
}

#[tokio::test]
async fn a_remote_server_outside_the_public_internet_is_refused_by_address_and_by_name_unless_it_is_allowed()
{
    let raw = RawServer::legacy(r#"[{"name":"a","inputSchema":{}}]"#, nothing_special).await;
    let remote = |url: String| Server { endpoints: vec![Endpoint::remote(url)], ..server("far", &[]) };
    let by_name = format!("http://localhost:{}/mcp", raw.address.port());
    for url in [raw.url(), by_name] {
        let options = Options { allowed_remotes: Vec::new(), ..Options::default() };
        let closed = TestGateway::with(options, vec![remote(url.clone())]).await;
        let refused = |state: &ServerState| matches!(state, ServerState::Failing { reason, .. } if reason.contains("not public; if that is meant, allow"));
        closed.until_report("far", |report| refused(&report.state)).await;
        let open = TestGateway::start(vec![remote(url)]).await;
        open.until_tools(&["a"]).await;
    }
    assert_eq!(raw.seen("initialize").len(), 2, "only those that may have spoken to it");
}
