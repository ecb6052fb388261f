//! What the transport asks of a request before its message is looked at.

use std::net::IpAddr;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderMap, ORIGIN};
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};

use crate::rpc::{RpcError, code, shortened};

/// Time for a request's body to arrive.
const BODY_WITHIN: Duration = Duration::from_secs(30);

/// Which hosts requests may name, against DNS rebinding (MCP, transports, security).
#[derive(Debug, Clone)]
pub(crate) struct Hosts {
    public: Vec<String>,
    /// Whether any `Host` is accepted: the listener is not on loopback and nobody said under which names it is known.
    any: bool,
}

impl Hosts {
    /// Loopback names and `public`.
    pub(crate) fn loopback_and(public: &[String]) -> Self {
        Self { public: public.iter().map(|host| host.to_ascii_lowercase()).collect(), any: false }
    }

    /// The same for a listener on `address`: without public names, one that is not on loopback accepts any host.
    pub(crate) fn at(address: IpAddr, public: &[String]) -> Self {
        Self { any: public.is_empty() && !address.is_loopback(), ..Self::loopback_and(public) }
    }

    /// Refuses a request that names a foreign host, or comes from a page of a foreign origin.
    pub(crate) fn check<B>(&self, request: &Request<B>) -> Result<(), RpcError> {
        let host = request
            .uri()
            .authority()
            .map(|authority| authority.as_str().to_owned())
            .or_else(|| header(request.headers(), &HOST).map(str::to_owned))
            .ok_or_else(|| forbidden("the request has no Host header"))?;
        if !self.any && !self.knows(&host) {
            return Err(forbidden(&format!(
                "host `{}` is not known here; add it to the gateway's public hosts",
                shortened(&host)
            )));
        }
        let Some(origin) = request.headers().get(ORIGIN) else { return Ok(()) };
        let from = origin.to_str().ok().and_then(|origin| origin.parse::<Uri>().ok());
        let from = from.as_ref().and_then(Uri::authority).map(http::uri::Authority::as_str);
        match from {
            Some(from) if self.knows(from) || from.eq_ignore_ascii_case(&host) => Ok(()),
            _ => Err(forbidden(
                "the page's origin is not known here; add its host to the gateway's public hosts",
            )),
        }
    }

    fn knows(&self, authority: &str) -> bool {
        let authority = authority.to_ascii_lowercase();
        let name = without_port(&authority);
        let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        name == "localhost"
            || address.is_ok_and(|address| address.is_loopback())
            || self.public.iter().any(|known| *known == authority || known == name)
    }
}

fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => authority,
    }
}

fn forbidden(message: &str) -> RpcError {
    RpcError::invalid_request(message).status(StatusCode::FORBIDDEN)
}

/// The value of a header that is text.
pub(crate) fn header<'a>(headers: &'a HeaderMap, name: &http::HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Whether the client takes answers of type `mime`; one that says nothing takes anything.
pub(crate) fn accepts(headers: &HeaderMap, mime: &str) -> bool {
    let mut values = headers.get_all(ACCEPT).iter().peekable();
    if values.peek().is_none() {
        return true;
    }
    let kind = mime.split('/').next().unwrap_or_default();
    values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).any(|part| {
        let part = part.split(';').next().unwrap_or_default().trim();
        part == "*/*" || part.eq_ignore_ascii_case(mime) || part.strip_suffix("/*") == Some(kind)
    })
}

/// How long the client waits for an answer, if it says so: by `Prefer: wait=SECONDS` (RFC 7240 section 4.3), or by the header with
/// which Envoy tells its own timeout in milliseconds.
pub(crate) fn patience(headers: &HeaderMap) -> Option<Duration> {
    let preferences = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    let waits = preferences.flat_map(|value| value.split(',')).find_map(|preference| {
        let (name, seconds) = preference.split_once('=')?;
        let seconds = seconds.split(';').next()?.trim().trim_matches('"');
        name.trim().eq_ignore_ascii_case("wait").then(|| seconds.parse().ok().map(Duration::from_secs))?
    });
    let timeout = headers.get("x-envoy-expected-rq-timeout-ms").and_then(|value| value.to_str().ok());
    let timeout = timeout.and_then(|text| text.parse().ok()).map(Duration::from_millis);
    waits.into_iter().chain(timeout).min()
}

/// Refuses a POST that does not carry JSON, or whose client takes neither JSON nor events.
pub(crate) fn check_types(headers: &HeaderMap) -> Result<(), RpcError> {
    let kind = header(headers, &CONTENT_TYPE).and_then(|value| value.split(';').next()).unwrap_or_default();
    if !kind.trim().eq_ignore_ascii_case("application/json") {
        let error = RpcError::invalid_request("the Content-Type must be application/json");
        return Err(error.status(StatusCode::UNSUPPORTED_MEDIA_TYPE));
    }
    if accepts(headers, "application/json") || accepts(headers, "text/event-stream") {
        return Ok(());
    }
    let error =
        RpcError::invalid_request("the Accept header must name application/json and text/event-stream");
    Err(error.status(StatusCode::NOT_ACCEPTABLE))
}

/// The body, at most `limit` bytes of it.
pub(crate) async fn read(body: Body, limit: usize) -> Result<Bytes, RpcError> {
    let collected = tokio::time::timeout(BODY_WITHIN, Limited::new(body, limit).collect()).await;
    match collected {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            let error =
                RpcError::invalid_request(format!("the body is larger than {limit} bytes; send less"));
            Err(error.status(StatusCode::PAYLOAD_TOO_LARGE))
        }
        Ok(Err(_)) => Err(RpcError::new(code::PARSE, "the body ended early").status(StatusCode::BAD_REQUEST)),
        Err(_) => {
            let error = RpcError::invalid_request("the body did not arrive in time");
            Err(error.status(StatusCode::REQUEST_TIMEOUT))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(hosts: &Hosts, host: &str, origin: Option<&str>) -> bool {
        let mut request = Request::builder().uri("/mcp").header(HOST, host);
        if let Some(origin) = origin {
            request = request.header(ORIGIN, origin);
        }
        hosts.check(&request.body(()).unwrap()).is_ok()
    }

    #[test]
    fn on_loopback_only_loopback_and_public_hosts_are_served() {
        let hosts = Hosts::at([127, 0, 0, 1].into(), &["MCP.example.com".into()]);
        for host in
            ["localhost", "localhost:80", "127.0.0.1:9", "[::1]:9", "mcp.example.com", "mcp.example.com:443"]
        {
            assert!(check(&hosts, host, None), "{host}");
        }
        for host in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:80", "10.0.0.1", ""] {
            assert!(!check(&hosts, host, None), "{host}");
        }
    }

    #[test]
    fn foreign_and_opaque_origins_are_refused_everywhere() {
        let open = Hosts::at([0, 0, 0, 0].into(), &[]);
        assert!(check(&open, "mcp.shop.internal:80", None));
        assert!(check(&open, "mcp.shop.internal:80", Some("http://mcp.shop.internal:80")));
        assert!(check(&open, "mcp.shop.internal", Some("http://localhost:3000")));
        for origin in ["https://evil.example", "null", "", "file://"] {
            assert!(!check(&open, "mcp.shop.internal", Some(origin)), "{origin}");
        }
    }

    #[test]
    fn a_clients_patience_is_the_shortest_that_it_names() {
        let said = |pairs: &[(&'static str, &'static str)]| {
            let pairs = pairs.iter().map(|(name, value)| {
                (http::HeaderName::from_static(name), http::HeaderValue::from_static(value))
            });
            patience(&pairs.collect()).map(|time| time.as_millis())
        };
        assert_eq!(said(&[]), None);
        assert_eq!(said(&[("prefer", "respond-async, WAIT=10")]), Some(10_000));
        let both = [("prefer", "wait=\"7\"; x=1"), ("x-envoy-expected-rq-timeout-ms", "1500")];
        assert_eq!(said(&both), Some(1500));
        assert_eq!(said(&[("prefer", "wait=-1"), ("x-envoy-expected-rq-timeout-ms", "soon")]), None);
    }

    #[test]
    fn types_are_compared_without_their_parameters() {
        let headers = |accept: &'static str| {
            HeaderMap::from_iter([
                (ACCEPT, accept.parse().unwrap()),
                (CONTENT_TYPE, "application/JSON; charset=utf-8".parse().unwrap()),
            ])
        };
        for accept in
            ["application/json;q=0.5, text/event-stream", "*/*", "application/*", "text/event-stream"]
        {
            assert!(check_types(&headers(accept)).is_ok(), "{accept}");
        }
        assert!(check_types(&headers("text/html")).is_err());
    }
}
