//! One request, along its redirects.

use std::error::Error as _;
use std::time::Duration;

use axum::body::Bytes;
use reqwest::header::{self, HeaderMap};
use reqwest::{Client, Response, StatusCode, Url, redirect};
use secrecy::ExposeSecret as _;

use super::failure::Trouble;
use super::partial::Partial;
use super::{Failure, Order, Sha256};

/// Most redirects that are followed, as browsers do.
const MAX_REDIRECTS: usize = 20;
/// Time without a byte after which a connection counts as cut.
const SILENCE: Duration = Duration::from_secs(30);
/// Where Hugging Face states the checksum of a file that a redirect leads to.
const LINKED_ETAG: &str = "x-linked-etag";

/// A client that hands out bodies as they are: a decompressed one could not be resumed.
pub(super) fn client() -> Result<Client, String> {
    Client::builder()
        .connect_timeout(Duration::from_secs(10))
        .read_timeout(SILENCE)
        .redirect(redirect::Policy::none())
        .no_gzip()
        .user_agent(concat!("portico/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| format!("no HTTP client: {error}; check the system's certificates"))
}

/// The beginning of an answer, and its body.
pub(super) struct Answer {
    response: Response,
    /// Where in the file the body begins.
    pub offset: u64,
    /// Bytes of the whole file.
    pub total: Option<u64>,
    /// The strong entity tag: only such a one proves that a later part belongs to the same file (RFC 9110, 13.1.5).
    pub etag: Option<String>,
    /// The checksum that the server states.
    pub sha256: Option<Sha256>,
}

impl Answer {
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Trouble> {
        self.response.chunk().await.map_err(|error| passing(&error))
    }
}

/// Asks for what `partial` misses.
pub(super) async fn ask(order: &Order, client: &Client, partial: &Partial) -> Result<Answer, Trouble> {
    let mut url = order.source.url.clone();
    let mut stated = None;
    for _ in 0..=MAX_REDIRECTS {
        let response = request(order, client, &url, partial).send().await.map_err(|error| passing(&error))?;
        if is_own(order, &url) {
            stated = stated.or_else(|| stated_sha256(response.headers()));
        }
        if !response.status().is_redirection() {
            return answer(order, response, stated);
        }
        url = next(&url, response.headers())
            .ok_or_else(|| order.unreachable("a redirect leads nowhere safe", partial.len()))?;
    }
    Err(order.unreachable("too many redirects", partial.len()).into())
}

/// The token goes to the source's own origin alone.
fn request(order: &Order, client: &Client, url: &Url, partial: &Partial) -> reqwest::RequestBuilder {
    let mut request = client.get(url.clone()).header(header::ACCEPT_ENCODING, "identity");
    if let Some(token) = order.token.as_ref().filter(|_| is_own(order, url)) {
        request = request.bearer_auth(token.expose_secret());
    }
    if let Some((length, etag)) = partial.resume_point() {
        request = request.header(header::RANGE, format!("bytes={length}-")).header(header::IF_RANGE, etag);
    }
    request
}

fn is_own(order: &Order, url: &Url) -> bool {
    url.origin() == order.source.url.origin()
}

/// Where a redirect leads; never from a protected connection to an open one.
fn next(from: &Url, headers: &HeaderMap) -> Option<Url> {
    let url = from.join(headers.get(header::LOCATION)?.to_str().ok()?).ok()?;
    let safe = url.scheme() == "https" || (url.scheme() == "http" && from.scheme() == "http");
    safe.then_some(url)
}

fn answer(order: &Order, response: Response, stated: Option<Sha256>) -> Result<Answer, Trouble> {
    let headers = response.headers();
    let etag = headers.get(header::ETAG).and_then(|tag| tag.to_str().ok()).filter(|tag| tag.starts_with('"'));
    let etag = etag.map(str::to_owned);
    let (offset, total) = match response.status() {
        StatusCode::OK => (0, response.content_length()),
        StatusCode::PARTIAL_CONTENT => {
            range(headers).ok_or_else(|| Trouble::passing("the answer's range cannot be read"))?
        }
        status => return Err(refusal(order, status, headers)),
    };
    Ok(Answer { offset, total, etag, sha256: stated, response })
}

/// First byte and total of `Content-Range: bytes 5-9/10`.
fn range(headers: &HeaderMap) -> Option<(u64, Option<u64>)> {
    let text = headers.get(header::CONTENT_RANGE)?.to_str().ok()?.strip_prefix("bytes ")?;
    let (bytes, total) = text.split_once('/')?;
    Some((bytes.split_once('-')?.0.parse().ok()?, total.parse().ok()))
}

/// Only the source's own tags are looked at: where it redirects to, they are other digests.
fn stated_sha256(headers: &HeaderMap) -> Option<Sha256> {
    let of = |name: &str| headers.get(name)?.to_str().ok()?.trim_matches('"').parse().ok();
    of(LINKED_ETAG).or_else(|| of(header::ETAG.as_str()))
}

fn refusal(order: &Order, status: StatusCode, headers: &HeaderMap) -> Trouble {
    let (url, field, code) = (order.source.shown(), order.source.field, status.as_u16());
    match code {
        401 | 403 => {
            Failure::Unauthorized { url, status: code, with_token: order.token.is_some(), field }.into()
        }
        404 | 410 => Failure::NotFound { url, status: code, field }.into(),
        408 | 429 | 500.. => {
            Trouble::Passing { what: format!("HTTP status {code}"), wait: retry_after(headers) }
        }
        _ => order.unreachable(&format!("HTTP status {code}"), 0).into(),
    }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

/// Says what failed down to the cause, without the address, whose query may be secret.
fn passing(error: &reqwest::Error) -> Trouble {
    let what = match () {
        () if error.is_connect() => "cannot connect",
        () if error.is_timeout() => "no byte came for too long",
        () => "the connection was cut",
    };
    let mut cause = error.source();
    while let Some(deeper) = cause.and_then(std::error::Error::source) {
        cause = Some(deeper);
    }
    Trouble::passing(cause.map_or_else(|| what.to_owned(), |cause| format!("{what} ({cause})")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn follow(from: &str, to: &str) -> Option<String> {
        let headers = HeaderMap::from_iter([(header::LOCATION, to.parse().unwrap())]);
        next(&from.parse().unwrap(), &headers).map(String::from)
    }

    #[test]
    fn a_redirect_never_leads_from_a_protected_connection_to_an_open_one() {
        assert_eq!(follow("https://a.example/x", "/y").as_deref(), Some("https://a.example/y"));
        assert_eq!(
            follow("https://a.example/x", "https://b.example/").as_deref(),
            Some("https://b.example/")
        );
        assert_eq!(follow("http://a.example/x", "http://b.example/").as_deref(), Some("http://b.example/"));
        assert_eq!(follow("https://a.example/x", "http://a.example/y"), None);
        assert_eq!(follow("http://a.example/x", "file:///etc/passwd"), None);
    }

    #[test]
    fn a_content_range_gives_the_first_byte_and_the_total() {
        let read =
            |text: &str| range(&HeaderMap::from_iter([(header::CONTENT_RANGE, text.parse().unwrap())]));
        assert_eq!(read("bytes 5-9/10"), Some((5, Some(10))));
        assert_eq!(read("bytes 5-9/*"), Some((5, None)));
        assert_eq!(read("bytes */10"), None);
        assert_eq!(read("lines 5-9/10"), None);
    }
}
