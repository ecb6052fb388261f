//! One place where a server answers, and what is under way there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use http::Uri;

use super::breaker::Breaker;
use super::credential::Owner;
use super::fault::Fault;
use crate::scaling::{Meter, Open};
use crate::source::{Endpoint as Place, Server, Transport};

/// One place where a server answers.
#[derive(Debug)]
pub(crate) struct Endpoint {
    /// Unique in this process.
    pub(crate) id: u64,
    pub(crate) url: String,
    pub(crate) uri: Uri,
    /// Whether people name it, and not the cluster.
    pub(crate) remote: bool,
    /// How it is spoken to, as its manifest says, and whether it was found to speak over one stream.
    pub(crate) transport: Transport,
    pub(crate) streams: AtomicBool,
    /// Whose it is.
    pub(crate) owner: Arc<Owner>,
    /// Calls it has not answered yet.
    pub(crate) in_flight: AtomicUsize,
    /// Counts the calls of its server.
    meter: Arc<Meter>,
    /// Whether it has failed of late.
    pub(crate) breaker: Breaker,
}

impl Endpoint {
    /// Where `place` says, for a server that counts its calls with `meter`.
    pub(super) fn new(
        place: &Place,
        server: &Server,
        owner: &Arc<Owner>,
        meter: &Arc<Meter>,
    ) -> Result<Arc<Self>, Fault> {
        Ok(Arc::new(Self {
            id: super::next_id(),
            uri: parse(&place.url)?,
            url: place.url.clone(),
            remote: place.remote,
            transport: server.transport,
            streams: AtomicBool::new(server.transport == Transport::Sse),
            owner: Arc::clone(owner),
            in_flight: AtomicUsize::new(0),
            meter: Arc::clone(meter),
            breaker: Breaker::default(),
        }))
    }

    /// A call is sent to it, for as long as the answer lives.
    pub(crate) fn take_up(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight { endpoint: Arc::clone(self), _open: self.meter.open() }
    }

    /// Its URL for people, without what may be a secret in it: who asks, and the query.
    pub(crate) fn shown(&self) -> String {
        shown(&self.uri)
    }
}

/// An endpoint that was chosen for a call. From then on, and not only once the call is sent, something is to be done there: a
/// replica that is to go waits for it.
#[derive(Debug)]
pub(crate) struct Chosen(Arc<Endpoint>);

impl Chosen {
    /// `endpoint` is chosen.
    pub(super) fn of(endpoint: &Arc<Endpoint>) -> Self {
        endpoint.in_flight.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(endpoint))
    }
}

impl Drop for Chosen {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A call at an endpoint.
#[derive(Debug)]
pub(crate) struct InFlight {
    pub(super) endpoint: Arc<Endpoint>,
    _open: Open,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.endpoint.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A URL for people, without what may be a secret in it.
pub(super) fn shown(uri: &Uri) -> String {
    let authority = uri.authority().map(http::uri::Authority::as_str).unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{}://{host}{}", uri.scheme_str().unwrap_or_default(), uri.path())
}

fn parse(url: &str) -> Result<Uri, Fault> {
    let bad = |reason: &str| Fault::BadUrl { url: crate::rpc::shortened(url), reason: reason.to_owned() };
    let uri: Uri = url.parse().map_err(|error: http::uri::InvalidUri| bad(&error.to_string()))?;
    match (uri.scheme_str(), uri.host()) {
        (Some("http" | "https"), Some(_)) => Ok(uri),
        _ => Err(bad("it must begin with http:// or https:// and name a host")),
    }
}
