//! Who the gateway is towards its clients: its certificate and key, read again when their files change.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

use crate::config::tls::Tls;
use crate::metrics::Metrics;

/// Bytes of one file.
const MAX_BYTES: u64 = 1024 * 1024;
/// What is offered by ALPN (RFC 7301), in this order.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Why a certificate is not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{0}: {1}")]
    Read(PathBuf, io::Error),
    #[error("{0}: it is longer than {MAX_BYTES} bytes")]
    Size(PathBuf),
    #[error("{0}: it holds no PEM certificate that can be read")]
    Certificate(PathBuf),
    #[error("{0}: it holds no PEM private key that can be read")]
    Key(PathBuf),
    #[error("certificate and key do not serve: {0}")]
    Pair(#[from] rustls::Error),
    #[error("{0}: its authorities cannot vouch for clients: {1}")]
    Authorities(PathBuf, rustls::server::VerifierBuilderError),
}

/// What the files said.
#[derive(PartialEq, Eq)]
struct Files {
    tls: Tls,
    certificate: Vec<u8>,
    key: Vec<u8>,
    client_authorities: Option<Vec<u8>>,
}

/// What is wanted, and what was read last.
#[derive(Default)]
struct State {
    wanted: Option<Tls>,
    /// What was taken, or refused.
    seen: Option<Result<Files, String>>,
    /// Why it was refused.
    error: Option<String>,
}

/// The certificate that new connections get.
pub(crate) struct Certificate {
    metrics: Arc<Metrics>,
    state: Mutex<State>,
    current: ArcSwapOption<ServerConfig>,
}

impl std::fmt::Debug for Certificate {
    /// Leaves out the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificate").field("tls", &self.current.load().is_some()).finish_non_exhaustive()
    }
}

impl Certificate {
    /// None: connections are plain.
    pub(crate) fn new(metrics: Arc<Metrics>) -> Self {
        Self { metrics, state: Mutex::default(), current: ArcSwapOption::empty() }
    }

    /// What new connections get; `None` for plain ones.
    pub(crate) fn current(&self) -> Option<Arc<ServerConfig>> {
        self.current.load_full()
    }

    /// Names the files that are to be read from now on.
    pub(crate) fn want(&self, tls: Option<&Tls>) {
        self.lock().wanted = tls.cloned();
    }

    /// Reads the files, and takes what they say if that has changed; whether it has. What is wrong leaves in force what was.
    pub(crate) fn read(&self) -> Result<bool, Error> {
        let mut state = self.lock();
        let Some(tls) = state.wanted.clone() else {
            (state.seen, state.error) = (None, None);
            return Ok(self.current.swap(None).is_some());
        };
        let files = match files(tls) {
            Ok(files) => files,
            Err(error) => {
                state.error = Some(error.to_string());
                let seen = Err(error.to_string());
                let known = state.seen.as_ref() == Some(&seen);
                state.seen = Some(seen);
                return if known { Ok(false) } else { Err(error) };
            }
        };
        if state.seen.as_ref().is_some_and(|seen| seen.as_ref() == Ok(&files)) {
            return Ok(false);
        }
        let config = server_config(&files);
        state.seen = Some(Ok(files));
        state.error = config.as_ref().err().map(Error::to_string);
        self.current.store(Some(Arc::new(config?)));
        Ok(true)
    }

    /// The same, and tells of it. To be called again and again: files of mounted Secrets are replaced by turning a symbolic
    /// link, which file events tell differently on each system.
    pub(crate) fn refresh(&self) {
        match self.read() {
            Ok(false) => {}
            Ok(true) => {
                self.metrics.identified(true);
                tracing::info!("the TLS settings have changed; new connections get them");
            }
            Err(error) => {
                self.metrics.identified(false);
                tracing::error!(%error, "the certificate is not taken; what was in force stays");
            }
        }
    }

    /// Why the files were not taken when they changed last.
    pub(crate) fn error(&self) -> Option<String> {
        self.lock().error.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn files(tls: Tls) -> Result<Files, Error> {
    let certificate = content(&tls.cert_file)?;
    let key = content(&tls.key_file)?;
    let client_authorities = tls.client_ca_file.as_deref().map(content).transpose()?;
    Ok(Files { tls, certificate, key, client_authorities })
}

fn content(path: &Path) -> Result<Vec<u8>, Error> {
    let failed = |error| Error::Read(path.to_owned(), error);
    let mut content = Vec::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(MAX_BYTES + 1).read_to_end(&mut content).map_err(failed)?;
    if content.len() as u64 > MAX_BYTES { Err(Error::Size(path.to_owned())) } else { Ok(content) }
}

/// TLS 1.2 and 1.3 (RFC 5246, RFC 8446), and of clients a certificate where authorities are named.
fn server_config(files: &Files) -> Result<ServerConfig, Error> {
    let Files { tls, certificate, key, client_authorities } = files;
    let chain = certificates(&tls.cert_file, certificate)?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| Error::Key(tls.key_file.clone()))?;
    let provider = Arc::new(ring::default_provider());
    let builder =
        ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let builder = match (&tls.client_ca_file, client_authorities) {
        (Some(path), Some(content)) => {
            let mut roots = RootCertStore::empty();
            for authority in certificates(path, content)? {
                roots.add(authority)?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider).build();
            builder
                .with_client_cert_verifier(verifier.map_err(|error| Error::Authorities(path.clone(), error))?)
        }
        _ => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(chain, key)?;
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
    Ok(config)
}

fn certificates(path: &Path, content: &[u8]) -> Result<Vec<CertificateDer<'static>>, Error> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(content).collect();
    read.ok().filter(|read| !read.is_empty()).ok_or_else(|| Error::Certificate(path.to_owned()))
}
