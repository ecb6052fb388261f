//! HTTP paths of servers that are reached through the gateway beside MCP: callbacks, web-hooks, REST.
//!
//! A request passes as it is, in both directions as it comes, but for the headers that belong to one connection alone.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Request, StatusCode, Uri};
use http_body::Frame;
use http_body_util::Limited;
use hyper::body::Incoming;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep};

use super::Front;
use super::answer;
use crate::assertion::IDENTITY;
use crate::backend::{Backend, Fault, InFlight};
use crate::metrics::{Outcome, Timing};
use crate::rpc::RpcError;
use crate::scaling::Load;
use crate::source::ServerKey;

/// Before the namespace and the name of a server.
const PREFIX: &str = "/servers/";
/// Headers of one connection (RFC 9110 section 7.6.1), and those that the gateway itself writes.
const OWN: [HeaderName; 14] = [
    header::CONNECTION,
    header::HOST,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::EXPECT,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    FORWARDED_HOST,
    FORWARDED_PREFIX,
    IDENTITY,
];
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");

/// Forwards a request to the server that its path names.
pub(super) async fn forward(front: &Front, request: Request<Body>) -> Response {
    let core = &front.core;
    let Ok(permit) = Arc::clone(&core.requests).try_acquire_owned() else {
        return answer::error(&answer::busy("too many requests are being answered; try again later"), None);
    };
    if let Err(error) = front.hosts.check(&request) {
        return answer::error(&error, None);
    }
    match to_server(front, request, permit).await {
        Ok(response) => response,
        Err(error) => answer::error(&error, None),
    }
}

async fn to_server(
    front: &Front,
    request: Request<Body>,
    permit: OwnedSemaphorePermit,
) -> Result<Response, RpcError> {
    let core = &front.core;
    let whole = request.uri().path().to_owned();
    let (key, path) = split(&whole).ok_or_else(unknown)?;
    let backend = core.backends.load().get(&key).cloned().ok_or_else(unknown)?;
    let live = backend.live();
    if !live.server.exposure.covers(path) {
        return Err(unknown());
    }
    if !live.server.exposure.allows(path, request.method().as_str()) {
        let error =
            RpcError::invalid_request(format!("HTTP method {} is not forwarded here", request.method()));
        return Err(error.status(StatusCode::METHOD_NOT_ALLOWED));
    }
    let limit = live.server.timeouts.call;
    let mut timing = core.metrics.begin(&key, "http");
    let prefix = HeaderValue::from_str(&format!("{PREFIX}{}/{}", key.namespace, key.name)).ok();
    let most = core.options.max_body_bytes;
    let request = request.map(|body| Body::new(Limited::new(body, most)));
    let to = To { request, path: path.to_owned(), load: Load::default(), prefix };
    match send(front, &backend, to, limit).await {
        Ok((response, place)) => {
            timing.set(Outcome::Answered);
            Ok(answered(response, Open::new(place, timing, permit), limit))
        }
        Err(fault) => {
            timing.set(Outcome::Fault(fault.class().as_str()));
            let error = fault.to_rpc(&key);
            Err(if error.seconds_to_wait().is_some() { error } else { error.status(status(&fault)) })
        }
    }
}

/// The server and the rest of a path like `/servers/{namespace}/{name}/{rest}`; `None` for one that two programs could read
/// differently.
fn split(path: &str) -> Option<(ServerKey, &str)> {
    let rest = path.strip_prefix(PREFIX)?;
    let (namespace, rest) = rest.split_once('/')?;
    let (name, _) = rest.split_once('/')?;
    let path = &rest[name.len()..];
    let lower = path.to_ascii_lowercase();
    let ambiguous = ["//", "\\", "%2f", "%5c", "%2e", "%00", ";"].iter().any(|part| lower.contains(part))
        || path.split('/').any(|part| part == "." || part == "..");
    (!ambiguous).then(|| (ServerKey { namespace: namespace.to_owned(), name: name.to_owned() }, path))
}

/// The same for a server that does not exist and for a path that is not forwarded: who asks learns of neither.
fn unknown() -> RpcError {
    RpcError::invalid_request("no server forwards this path").status(StatusCode::NOT_FOUND)
}

/// The HTTP status of a fault that says none itself.
pub(super) fn status(fault: &Fault) -> StatusCode {
    match fault {
        Fault::NoEndpoint | Fault::SetToZero { .. } => StatusCode::SERVICE_UNAVAILABLE,
        Fault::Timeout { .. } => StatusCode::GATEWAY_TIMEOUT,
        _ => StatusCode::BAD_GATEWAY,
    }
}

/// A request, and where in its server it goes.
pub(super) struct To {
    pub(super) request: Request<Body>,
    pub(super) path: String,
    /// What it brings if it has to wait.
    pub(super) load: Load,
    /// What the server is told of the path before its own.
    pub(super) prefix: Option<HeaderValue>,
}

/// Sends a request on; gives the answer as it begins, and the place that it takes up for as long as it lasts.
pub(super) async fn send(
    front: &Front,
    backend: &Arc<Backend>,
    To { request, path, load, prefix }: To,
    limit: Duration,
) -> Result<(http::Response<Incoming>, InFlight), Fault> {
    let core = &front.core;
    let place = backend.place(core, load).await?;
    let (mut parts, body) = request.into_parts();
    parts.headers = passed(parts.headers, parts.uri.authority().map(http::uri::Authority::as_str));
    parts.headers.extend(prefix.map(|prefix| (FORWARDED_PREFIX, prefix)));
    parts.uri = at(&place.endpoint().uri, &path, parts.uri.query()).ok_or(Fault::NoEndpoint)?;
    // The connection to the server may be of another version than the client's.
    parts.version = http::Version::HTTP_11;
    let sent = core.control.http.forward(place.endpoint(), Request::from_parts(parts, body));
    let sent = tokio::time::timeout(limit, sent).await.unwrap_or(Err(Fault::Timeout { after: limit }));
    place.note(sent.as_ref().err());
    if let Err(Fault::Unreachable { .. }) = &sent {
        // It answered before its cluster called it ready, and is not there any more.
        backend.answers(&place.endpoint().url, false);
    }
    sent.map(|response| (response, place))
}

fn at(endpoint: &Uri, path: &str, query: Option<&str>) -> Option<Uri> {
    let mut parts = endpoint.clone().into_parts();
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    parts.path_and_query = Some(format!("{path}{query}").parse().ok()?);
    Uri::from_parts(parts).ok()
}

/// The headers that a server gets: without those of the connection, and with the host that the client named.
fn passed(mut headers: HeaderMap, authority: Option<&str>) -> HeaderMap {
    let host = headers.get(header::HOST).cloned();
    let host = host.or_else(|| HeaderValue::from_str(authority?).ok());
    strip(&mut headers);
    headers.extend(host.map(|host| (FORWARDED_HOST, host)));
    headers
}

/// Takes out what belongs to one connection.
fn strip(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&OWN) {
        headers.remove(name);
    }
}

/// The answer as it comes.
pub(super) fn answered(response: http::Response<Incoming>, open: Open, limit: Duration) -> Response {
    let (mut parts, body) = response.into_parts();
    strip(&mut parts.headers);
    parts.version = http::Version::HTTP_11;
    let quiet = Box::pin(tokio::time::sleep(limit));
    Response::from_parts(parts, Body::new(Passing { body, quiet, limit, _open: open }))
}

/// What an answer holds for as long as it lasts.
pub(super) struct Open {
    _place: InFlight,
    _timing: Timing,
    _permit: OwnedSemaphorePermit,
}

impl Open {
    /// A request that takes up `place`.
    pub(super) fn new(place: InFlight, timing: Timing, permit: OwnedSemaphorePermit) -> Self {
        Self { _place: place, _timing: timing, _permit: permit }
    }
}

/// An answer as it comes; cut when its server is silent for too long.
struct Passing {
    body: Incoming,
    quiet: Pin<Box<Sleep>>,
    limit: Duration,
    _open: Open,
}

impl http_body::Body for Passing {
    type Data = bytes::Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<bytes::Bytes>, axum::Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            let due = Instant::now() + self.limit;
            self.quiet.as_mut().reset(due);
            return Poll::Ready(frame.map(|frame| frame.map_err(axum::Error::new)));
        }
        let silent = || axum::Error::new(std::io::Error::from(std::io::ErrorKind::TimedOut));
        self.quiet.as_mut().poll(context).map(|()| Some(Err(silent())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_split_and_one_that_can_be_read_in_two_ways_is_not() {
        let (key, rest) = split("/servers/shop/kroger/auth/callback").unwrap();
        assert_eq!((key.to_string().as_str(), rest), ("shop/kroger", "/auth/callback"));
        assert_eq!(split("/servers/shop/kroger/").unwrap().1, "/");
        let ambiguous = [
            "/servers/shop",
            "/servers/shop/kroger",
            "/servers/shop/kroger//a",
            "/servers/shop/kroger/a/../mcp",
            "/servers/shop/kroger/a/%2e%2E/mcp",
            "/servers/shop/kroger/a%2Fmcp",
            "/servers/shop/kroger/a\\mcp",
            "/servers/shop/kroger/a;b",
        ];
        for path in ambiguous {
            assert!(split(path).is_none(), "{path}");
        }
    }

    #[test]
    fn headers_of_the_connection_stay_behind() {
        let given = [
            ("connection", "close, X-Mine"),
            ("x-mine", "1"),
            ("host", "shop.example"),
            ("te", "trailers"),
            ("x-forwarded-host", "forged"),
            ("x-forwarded-prefix", "/forged"),
            ("portico-identity", "forged"),
            ("authorization", "Bearer a"),
        ];
        let given = given.map(|(name, value)| {
            (HeaderName::from_static(name.to_lowercase().leak()), HeaderValue::from_static(value))
        });
        let passed = passed(HeaderMap::from_iter(given), None);
        let names: Vec<&str> = passed.keys().map(HeaderName::as_str).collect();
        assert_eq!(names.len(), 2, "{names:?}");
        assert_eq!(
            (&passed["x-forwarded-host"], &passed["authorization"]),
            (&HeaderValue::from_static("shop.example"), &HeaderValue::from_static("Bearer a"))
        );
    }
}
