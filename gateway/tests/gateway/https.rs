//! The gateway's own certificate.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{CertificateParams, CertifiedIssuer, CertifiedKey, IsCa, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ProtocolVersion, RootCertStore, SupportedProtocolVersion};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::support::{TestGateway, eventually, http_client};

struct Pair {
    certificate: String,
    der: CertificateDer<'static>,
    key: String,
}

fn pair() -> Pair {
    let CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    Pair { certificate: cert.pem(), der: cert.der().clone(), key: signing_key.serialize_pem() }
}

/// A folder whose files are links, as those of a mounted Secret are: all of them are replaced at once.
struct Mounted {
    place: TempDir,
    versions: usize,
}

impl Mounted {
    fn new(certificate: &str, key: &str) -> Self {
        let mut this = Self { place: tempfile::tempdir().unwrap(), versions: 0 };
        this.turn(certificate, key);
        for name in ["tls.crt", "tls.key"] {
            std::os::unix::fs::symlink(Path::new("..data").join(name), this.file(name)).unwrap();
        }
        this
    }

    fn file(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    fn turn(&mut self, certificate: &str, key: &str) {
        self.versions += 1;
        let version = format!("..{}", self.versions);
        fs::create_dir(self.file(&version)).unwrap();
        fs::write(self.file(&version).join("tls.crt"), certificate).unwrap();
        fs::write(self.file(&version).join("tls.key"), key).unwrap();
        std::os::unix::fs::symlink(&version, self.file("..new")).unwrap();
        fs::rename(self.file("..new"), self.file("..data")).unwrap();
    }

    /// A configuration file that names this folder, and says `more`.
    fn config(&self, more: &str) -> PathBuf {
        let (certificate, key) = (self.file("tls.crt"), self.file("tls.key"));
        let text = format!("tls: {{certFile: {}, keyFile: {}{more}}}", certificate.display(), key.display());
        let file = self.file("gateway.yaml");
        fs::write(&file, text).unwrap();
        file
    }
}

/// A client that trusts `authorities`.
fn client(
    authorities: &[&CertificateDer<'static>],
    versions: &[&'static SupportedProtocolVersion],
) -> ClientConfig {
    trusting(authorities, versions).with_no_client_auth()
}

fn trusting(
    authorities: &[&CertificateDer<'static>],
    versions: &[&'static SupportedProtocolVersion],
) -> rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert> {
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        roots.add((*authority).clone()).unwrap();
    }
    ClientConfig::builder_with_provider(ring::default_provider().into())
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
}

async fn connect(address: SocketAddr, config: &ClientConfig) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config.clone())).connect(name, stream).await
}

/// The certificate that a new connection gets.
async fn shown(address: SocketAddr, config: &ClientConfig) -> CertificateDer<'static> {
    let stream = connect(address, config).await.unwrap();
    stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
}

type Sender = http1::SendRequest<Empty<Bytes>>;

async fn open(stream: TlsStream<TcpStream>) -> Sender {
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

async fn get(sender: &mut Sender, path: &str) -> Result<String, hyper::Error> {
    sender.ready().await?;
    let request = http::Request::get(path).header("host", "localhost").body(Empty::new()).unwrap();
    let body = sender.send_request(request).await?.into_body().collect().await?;
    Ok(String::from_utf8(body.to_bytes().to_vec()).unwrap())
}

#[tokio::test]
async fn new_connections_get_a_new_certificate_and_open_ones_live_on_and_a_bad_one_is_not_taken() {
    let (one, two, other) = (pair(), pair(), pair());
    let mut mounted = Mounted::new(&one.certificate, &one.key);
    let gateway = TestGateway::start(vec![]).await;
    gateway.gateway.configure_from(&mounted.config("")).unwrap();
    let config = client(&[&one.der, &two.der, &other.der], rustls::ALL_VERSIONS);
    let first = connect(gateway.address, &config).await.unwrap();
    assert_eq!(first.get_ref().1.peer_certificates().unwrap()[0], one.der);
    let mut open_since = open(first).await;
    assert_eq!(get(&mut open_since, "/healthz").await.unwrap(), "ok");
    mounted.turn(&two.certificate, &two.key);
    eventually("the new certificate", async || shown(gateway.address, &config).await == two.der).await;
    assert_eq!(get(&mut open_since, "/readyz").await.unwrap(), "ok", "the old connection lives");
    mounted.turn(&other.certificate, &one.key);
    let told = "portico_gateway_tls_last_reload_successful 0";
    eventually("the bad pair is counted", async || {
        get(&mut open_since, "/metrics").await.unwrap().contains(told)
    })
    .await;
    assert_eq!(shown(gateway.address, &config).await, two.der, "the one before stays in force");
    mounted.turn(&other.certificate, &other.key);
    eventually("the mended pair", async || shown(gateway.address, &config).await == other.der).await;
    let metrics = get(&mut open_since, "/metrics").await.unwrap();
    assert!(metrics.contains("portico_gateway_tls_last_reload_successful 1"), "{metrics}");
}

#[tokio::test]
async fn a_bad_certificate_at_the_start_is_refused_with_its_reason() {
    let (one, two) = (pair(), pair());
    let gateway = TestGateway::start(vec![]).await;
    for (certificate, key, reason) in [
        (one.certificate.as_str(), two.key.as_str(), "tls: certificate and key do not serve: "),
        ("no PEM", &one.key, "tls.crt: it holds no PEM certificate that can be read"),
        (&one.certificate, "no PEM", "tls.key: it holds no PEM private key that can be read"),
    ] {
        let mounted = Mounted::new(certificate, key);
        let error = gateway.gateway.configure_from(&mounted.config("")).unwrap_err().to_string();
        assert!(error.contains(reason) && !error.contains("BEGIN"), "{error}");
    }
    assert!(!gateway.gateway.speaks_tls());
}

#[tokio::test]
async fn both_versions_of_tls_and_both_versions_of_http_are_spoken() {
    let one = pair();
    let mounted = Mounted::new(&one.certificate, &one.key);
    let gateway = TestGateway::start(vec![]).await;
    gateway.gateway.configure_from(&mounted.config("")).unwrap();
    for (version, wanted) in [
        (&rustls::version::TLS12, ProtocolVersion::TLSv1_2),
        (&rustls::version::TLS13, ProtocolVersion::TLSv1_3),
    ] {
        let mut config = client(&[&one.der], &[version]);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let stream = connect(gateway.address, &config).await.unwrap();
        assert_eq!(stream.get_ref().1.protocol_version(), Some(wanted));
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
        assert_eq!(get(&mut open(stream).await, "/healthz").await.unwrap(), "ok");
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let stream = connect(gateway.address, &config).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let (mut sender, connection) =
            http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let uri = format!("https://localhost:{}/healthz", gateway.address.port());
        let request = http::Request::get(uri).body(Empty::<Bytes>::new()).unwrap();
        assert_eq!(sender.send_request(request).await.unwrap().status(), 200);
    }
    // Who speaks no TLS is sent away, and costs the others nothing.
    let plain = http_client();
    assert!(plain.get(format!("http://{}/healthz", gateway.address)).send().await.is_err());
    let stream = connect(gateway.address, &client(&[&one.der], rustls::ALL_VERSIONS)).await.unwrap();
    let metrics = get(&mut open(stream).await, "/metrics").await.unwrap();
    for (outcome, count) in [("completed", 5), ("failed", 1)] {
        let line = format!("portico_gateway_tls_handshakes_total{{outcome=\"{outcome}\"}} {count}");
        assert!(metrics.contains(&line), "{metrics}");
    }
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A client with a certificate of `authority`.
fn with_certificate(
    authority: &CertifiedIssuer<'_, KeyPair>,
    server: &CertificateDer<'static>,
) -> ClientConfig {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["client".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, authority).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let chain = vec![certificate.der().clone()];
    trusting(&[server], rustls::ALL_VERSIONS).with_client_auth_cert(chain, key).unwrap()
}

#[tokio::test]
async fn with_client_authorities_only_their_clients_are_let_in() {
    let (one, ours, foreign) = (pair(), authority(), authority());
    let mounted = Mounted::new(&one.certificate, &one.key);
    let authorities = mounted.file("clients.pem");
    fs::write(&authorities, ours.pem()).unwrap();
    let gateway = TestGateway::start(vec![]).await;
    let more = format!(", clientCaFile: {}", authorities.display());
    gateway.gateway.configure_from(&mounted.config(&more)).unwrap();
    let none = client(&[&one.der], rustls::ALL_VERSIONS);
    for (config, is_in) in [
        (with_certificate(&ours, &one.der), true),
        (with_certificate(&foreign, &one.der), false),
        (none, false),
    ] {
        // With TLS 1.3 a client learns only with its first answer that it was refused.
        let answered = match connect(gateway.address, &config).await {
            Ok(stream) => {
                let (mut sender, connection) =
                    http1::handshake::<_, Empty<Bytes>>(TokioIo::new(stream)).await.unwrap();
                tokio::spawn(connection);
                get(&mut sender, "/healthz").await.is_ok()
            }
            Err(_) => false,
        };
        assert_eq!(answered, is_in);
    }
}
