//! HTTP towards servers: one pool of connections for all of them.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::{Method as HttpMethod, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper_util::client::legacy::{self, Client};
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::Endpoint;
use super::credential::Shown;
use super::fault::Fault;
use super::guard::Guard;
use super::line::Line;
use super::session::{Link, Peer};
use super::sse::Events;
use super::tls::{self, Connector};
use crate::assertion::{IDENTITY, Identities};
use crate::cause;
use crate::envelope::Message;
use crate::options::Options;
use crate::secret::Secrets;

/// The header that names a legacy session.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
pub(crate) const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
/// The header that names the revision.
pub(crate) const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
/// The header that repeats the method.
pub(crate) const METHOD: HeaderName = HeaderName::from_static("mcp-method");
/// The header that repeats the name or URI.
pub(crate) const NAME: HeaderName = HeaderName::from_static("mcp-name");

const PROTOBUF: HeaderValue = HeaderValue::from_static("application/x-protobuf");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const JSON_OR_EVENTS: HeaderValue = HeaderValue::from_static("application/json, text/event-stream");
const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");
const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");

/// Idle connections kept for each endpoint.
const MAX_IDLE: usize = 256;
/// How long they are kept; shorter than the keep-alive of common servers, so that a request seldom meets a closing one.
const IDLE: Duration = Duration::from_secs(20);
/// Bytes of an error body that are read.
const MAX_ERROR: usize = 64 * 1024;

/// What a server answered to a POST.
#[derive(Debug)]
pub(crate) enum Reply {
    /// Nothing to answer: 202.
    Accepted,
    /// One message.
    Whole(Bytes),
    /// Several messages, the answer last.
    Events(Events),
}

/// The client.
#[derive(Debug, Clone)]
pub(crate) struct Http {
    /// Towards pods, which the cluster names.
    pods: Client<Connector, Full<Bytes>>,
    /// Towards remote servers, which people name.
    remotes: Client<Connector, Full<Bytes>>,
    /// The same for what passes as it comes.
    streaming_pods: Client<Connector, Body>,
    streaming_remotes: Client<Connector, Body>,
    guard: Arc<Guard>,
    /// Where the secrets are read that servers ask of the gateway.
    pub(super) secrets: Option<Arc<dyn Secrets>>,
    /// Tells servers who asks.
    pub(crate) identities: Arc<Identities>,
    max_answer: usize,
}

impl Http {
    /// A client with an empty pool.
    pub(crate) fn new(options: &Options) -> Result<Self, tls::Error> {
        let guard = Arc::new(Guard::new(&options.allowed_remotes));
        let trust = tls::trust(options)?;
        let pods = tls::connector(options, trust.clone(), None);
        let remotes = tls::connector(options, trust, Some(Arc::clone(&guard)));
        Ok(Self {
            streaming_pods: pooled(pods.clone()),
            streaming_remotes: pooled(remotes.clone()),
            pods: pooled(pods),
            remotes: pooled(remotes),
            guard,
            identities: Arc::default(),
            secrets: options.secrets.clone(),
            max_answer: options.max_answer_bytes,
        })
    }

    /// The answer of a GET for something small.
    pub(crate) async fn get(&self, uri: &http::Uri) -> Result<Bytes, Fault> {
        let mut request = Request::new(Full::new(Bytes::new()));
        *request.uri_mut() = uri.clone();
        request.headers_mut().insert(ACCEPT, JSON);
        let response = self.pods.request(request).await;
        let response = response.map_err(|error| Fault::Broken { reason: cause::innermost(&error) })?;
        match response.status() {
            StatusCode::OK => collect(response.into_body(), MAX_ERROR).await,
            status => Err(Fault::Http { status }),
        }
    }

    /// The answer of a GET for something small, at an address which people name.
    pub(super) async fn get_named(&self, uri: &http::Uri) -> Result<Bytes, Fault> {
        if !uri.host().is_some_and(|host| self.guard.admits_host(host)) {
            return Err(Fault::NotPublic { url: super::shown(uri) });
        }
        let mut request = Request::new(Full::new(Bytes::new()));
        *request.uri_mut() = uri.clone();
        request.headers_mut().insert(ACCEPT, JSON);
        let response = self.remotes.request(request).await;
        let response = response.map_err(|error| failed(&error, &super::shown(uri)))?;
        match response.status() {
            StatusCode::OK => collect(response.into_body(), MAX_ERROR).await,
            status => Err(Fault::Http { status }),
        }
    }

    /// The answer to a form that goes to an address which people name.
    pub(super) async fn form(
        &self,
        uri: &http::Uri,
        authorization: Option<HeaderValue>,
        form: String,
    ) -> Result<(StatusCode, Bytes), Fault> {
        if !uri.host().is_some_and(|host| self.guard.admits_host(host)) {
            return Err(Fault::NotPublic { url: super::shown(uri) });
        }
        post_form(&self.remotes, uri, authorization, form).await
    }

    /// The same at an address which the gateway's own configuration leads to.
    pub(crate) async fn form_of_ours(
        &self,
        uri: &http::Uri,
        authorization: Option<HeaderValue>,
        form: String,
    ) -> Result<(StatusCode, Bytes), Fault> {
        post_form(&self.pods, uri, authorization, form).await
    }

    /// Sends spans to a collector, wherever whoever runs the gateway says that it is.
    pub(crate) async fn export(
        &self,
        uri: &http::Uri,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Result<StatusCode, String> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = HttpMethod::POST;
        *request.uri_mut() = uri.clone();
        request.headers_mut().clone_from(headers);
        request.headers_mut().insert(CONTENT_TYPE, PROTOBUF);
        let response = self.pods.request(request).await.map_err(|error| cause::innermost(&error))?;
        let status = response.status();
        // Read to its end, so that the connection is used again.
        collect(response.into_body(), MAX_ERROR).await.map_err(|fault| fault.to_string())?;
        Ok(status)
    }

    /// Sends a request as it comes.
    pub(crate) async fn forward(
        &self,
        endpoint: &Endpoint,
        request: Request<Body>,
    ) -> Result<Response<Incoming>, Fault> {
        let client = self.choose(endpoint, (&self.streaming_pods, &self.streaming_remotes))?;
        client.request(request).await.map_err(|error| failed(&error, &endpoint.shown()))
    }

    /// Sends a request to another replica of the gateway.
    pub(crate) async fn to_replica(&self, request: Request<Body>) -> Result<Response<Incoming>, String> {
        self.streaming_pods.request(request).await.map_err(|error| cause::innermost(&error))
    }

    /// Sends one message.
    pub(crate) async fn post(&self, link: &Link, headers: HeaderMap, body: Bytes) -> Result<Reply, Fault> {
        self.post_with_headers(link, headers, body).await.map(|(reply, _)| reply)
    }

    /// Sends one message and gives the headers of the answer too.
    pub(crate) async fn post_with_headers(
        &self,
        link: &Link,
        mut headers: HeaderMap,
        body: Bytes,
    ) -> Result<(Reply, HeaderMap), Fault> {
        headers.insert(CONTENT_TYPE, JSON);
        headers.insert(ACCEPT, JSON_OR_EVENTS);
        if let Peer::Sse { line, .. } = &link.peer {
            let reply = self.post_to_line(line, link, (headers, body)).await;
            return reply.map(|reply| (reply, HeaderMap::new()));
        }
        let mut response = self.send(HttpMethod::POST, link, headers, body).await?;
        let headers = std::mem::take(response.headers_mut());
        Ok((self.reply(response, &headers, link).await?, headers))
    }

    /// Sends one message over a session that is a stream, which carries the answer.
    async fn post_to_line(
        &self,
        line: &Line,
        link: &Link,
        (headers, body): (HeaderMap, Bytes),
    ) -> Result<Reply, Fault> {
        let answers = line.expect(std::str::from_utf8(&body).unwrap_or_default())?;
        let response = self.send(HttpMethod::POST, link, headers, body).await?;
        let status = response.status();
        if status.is_success() {
            return Ok(answers.map_or(Reply::Accepted, |answers| Reply::Events(Events::answers(answers))));
        }
        let body = collect(response.into_body(), MAX_ERROR).await.unwrap_or_default();
        Err(if says_session_lost(status, &body) { Fault::SessionLost } else { Fault::Http { status } })
    }

    /// Opens the stream of a legacy session.
    pub(crate) async fn stream(&self, link: &Link) -> Result<Events, Fault> {
        if let Peer::Sse { line, .. } = &link.peer {
            return line.listen().map(Events::heard);
        }
        let headers = HeaderMap::from_iter([(ACCEPT, EVENTS)]);
        let response = self.send(HttpMethod::GET, link, headers, Bytes::new()).await?;
        match response.status() {
            StatusCode::OK if is(response.headers(), "text/event-stream") => {
                Ok(Events::new(response.into_body(), self.max_answer))
            }
            status => Err(Fault::Http { status }),
        }
    }

    /// What follows the event `id` on a stream of a legacy session that ended.
    pub(crate) async fn resume(&self, link: &Link, id: &str) -> Result<Incoming, Fault> {
        let unusable = |_| Fault::Malformed { reason: "the id of an event fits in no header".into() };
        let id = HeaderValue::from_str(id).map_err(unusable)?;
        let headers = HeaderMap::from_iter([(ACCEPT, EVENTS), (LAST_EVENT_ID, id)]);
        let response = self.send(HttpMethod::GET, link, headers, Bytes::new()).await?;
        match response.status() {
            StatusCode::OK if is(response.headers(), "text/event-stream") => Ok(response.into_body()),
            status => Err(Fault::Http { status }),
        }
    }

    /// Ends a legacy session.
    pub(crate) async fn delete(&self, link: &Link) -> Result<(), Fault> {
        self.send(HttpMethod::DELETE, link, HeaderMap::new(), Bytes::new()).await.map(drop)
    }

    async fn send(
        &self,
        method: HttpMethod,
        link: &Link,
        mut headers: HeaderMap,
        body: Bytes,
    ) -> Result<Response<Incoming>, Fault> {
        link.identify(&mut headers);
        let (owner, caller) = (&link.endpoint.owner, &link.caller);
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = link.to().clone();
        *request.headers_mut() = headers;
        let Some(shown) = owner.show(self, caller).await? else {
            return self.shown(link, request, None).await;
        };
        match self.shown(link, request.clone(), Some(&shown)).await {
            // It did not look at the request, so it may be sent again.
            Err(refused @ Fault::Unauthorized { .. }) => {
                match owner.show_other(self, caller, &shown).await? {
                    Some(other) => self.shown(link, request, Some(&other)).await,
                    None => Err(refused),
                }
            }
            answer => answer,
        }
    }

    async fn shown(
        &self,
        link: &Link,
        mut request: Request<Full<Bytes>>,
        shown: Option<&Shown>,
    ) -> Result<Response<Incoming>, Fault> {
        request.headers_mut().extend(shown.map(|shown| (shown.name.clone(), shown.value.clone())));
        request.headers_mut().extend(self.identities.tell(&link.told()).map(|told| (IDENTITY, told)));
        let client = self.choose(&link.endpoint, (&self.pods, &self.remotes))?;
        let response = client.request(request).await;
        let response = response.map_err(|error| failed(&error, &link.endpoint.shown()))?;
        if response.status() == StatusCode::UNAUTHORIZED {
            return Err(Fault::Unauthorized { shown: shown.is_some() });
        }
        Ok(response)
    }

    /// The client for pods, or the one for remote servers if the endpoint is one, and may be where it is.
    fn choose<T>(&self, endpoint: &Endpoint, (pods, remotes): (T, T)) -> Result<T, Fault> {
        if !endpoint.remote {
            return Ok(pods);
        }
        if endpoint.uri.host().is_some_and(|host| self.guard.admits_host(host)) {
            return Ok(remotes);
        }
        Err(Fault::NotPublic { url: endpoint.shown() })
    }

    async fn reply(
        &self,
        response: Response<Incoming>,
        headers: &HeaderMap,
        link: &Link,
    ) -> Result<Reply, Fault> {
        let status = response.status();
        if status == StatusCode::ACCEPTED || status == StatusCode::NO_CONTENT {
            return Ok(Reply::Accepted);
        }
        if status.is_success() && is(headers, "text/event-stream") {
            let (body, limit) = (response.into_body(), self.max_answer);
            // Streams of servers without sessions end for good (2026-07-28, transports).
            let events = if link.has_session() {
                Events::resumable(body, limit, (self.clone(), link.clone()))
            } else {
                Events::new(body, limit)
            };
            return Ok(Reply::Events(events));
        }
        if status.is_success() {
            return collect(response.into_body(), self.max_answer).await.map(Reply::Whole);
        }
        let body = collect(response.into_body(), MAX_ERROR).await.unwrap_or_default();
        if link.has_session() && says_session_lost(status, &body) {
            return Err(Fault::SessionLost);
        }
        // A modern server puts its JSON-RPC errors under 400 and 404.
        let is_message = std::str::from_utf8(&body).is_ok_and(|text| Message::parse(text).is_ok());
        if is_message { Ok(Reply::Whole(body)) } else { Err(Fault::Http { status }) }
    }
}

async fn post_form(
    client: &Client<Connector, Full<Bytes>>,
    uri: &http::Uri,
    authorization: Option<HeaderValue>,
    form: String,
) -> Result<(StatusCode, Bytes), Fault> {
    let mut request = Request::new(Full::new(Bytes::from(form)));
    *request.method_mut() = HttpMethod::POST;
    *request.uri_mut() = uri.clone();
    request.headers_mut().extend([(CONTENT_TYPE, FORM), (ACCEPT, JSON)]);
    request.headers_mut().extend(authorization.map(|value| (AUTHORIZATION, value)));
    let response = client.request(request).await;
    let response = response.map_err(|error| failed(&error, &super::shown(uri)))?;
    let status = response.status();
    Ok((status, collect(response.into_body(), MAX_ERROR).await?))
}

fn failed(error: &legacy::Error, url: &str) -> Fault {
    let reason = cause::innermost(error);
    if error.is_connect() {
        Fault::Unreachable { url: url.to_owned(), reason }
    } else {
        Fault::Broken { reason }
    }
}

fn pooled<B>(connector: Connector) -> Client<Connector, B>
where
    B: http_body::Body<Data: Send> + Send,
{
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(MAX_IDLE)
        .build(connector)
}

/// The specification asks for 404; widely used servers answer 400 and say so in words.
fn says_session_lost(status: StatusCode, body: &[u8]) -> bool {
    match status {
        StatusCode::NOT_FOUND | StatusCode::GONE => true,
        StatusCode::BAD_REQUEST => {
            let words = body.to_ascii_lowercase();
            words.windows(7).any(|word| word == b"session")
        }
        _ => false,
    }
}

async fn collect(body: Incoming, limit: usize) -> Result<Bytes, Fault> {
    match Limited::new(body, limit).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Fault::TooLarge { limit }),
        Err(error) => Err(Fault::Broken { reason: error.to_string() }),
    }
}

fn is(headers: &HeaderMap, mime: &str) -> bool {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().is_some_and(|value| value.trim().eq_ignore_ascii_case(mime))
}
