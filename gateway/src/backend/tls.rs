//! Connections to servers: plain within a cluster or a machine, TLS to remote ones.

use std::sync::Arc;
use std::time::Duration;

use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use super::guard::{Guard, Resolver};
use crate::options::Options;

/// TCP keep-alive: finds servers whose host is gone while a stream is open.
const KEEPALIVE: Duration = Duration::from_secs(20);

/// Connects to `http` and `https` URLs.
pub(crate) type Connector = HttpsConnector<HttpConnector<Resolver>>;

/// Why no client can be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The extra authorities are not what they should be.
    #[error("the extra certificate authorities cannot be read: {0}; give PEM certificates")]
    Authorities(String),
    /// The TLS library refused its settings.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

/// What is trusted: the system's authorities and those of `options`. Reading them is most of a start, so it is done once.
pub(crate) fn trust(options: &Options) -> Result<ClientConfig, Error> {
    Ok(ClientConfig::builder_with_provider(ring::default_provider().into())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots(&options.extra_authorities)?)
        .with_no_client_auth())
}

/// A connector that trusts what `trust` says, and goes where `guard` lets it.
pub(crate) fn connector(options: &Options, trust: ClientConfig, guard: Option<Arc<Guard>>) -> Connector {
    let mut http = HttpConnector::new_with_resolver(Resolver::new(guard));
    http.set_nodelay(true);
    http.set_connect_timeout(Some(options.connect_timeout));
    http.set_keepalive(Some(KEEPALIVE));
    http.enforce_http(false);
    HttpsConnectorBuilder::new().with_tls_config(trust).https_or_http().enable_http1().wrap_connector(http)
}

/// A machine without any authority is fine: it reaches no remote server over TLS, and all others.
fn roots(extra: &[u8]) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    for error in &system.errors {
        tracing::debug!(%error, "some of the system's certificate authorities cannot be read");
    }
    roots.add_parsable_certificates(system.certs);
    for certificate in CertificateDer::pem_slice_iter(extra) {
        let certificate = certificate.map_err(|error| Error::Authorities(error.to_string()))?;
        roots.add(certificate).map_err(|error| Error::Authorities(error.to_string()))?;
    }
    Ok(roots)
}
