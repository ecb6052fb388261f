//! What the gateway itself asks servers: the handshake, and single questions in an open link.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::HeaderValue;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::timeout;

use super::Endpoint;
use super::client::{Http, METHOD, Reply, SESSION_ID};
use super::credential::Caller;
use super::fault::{Class, Fault};
use super::line::Line;
use super::session::{Link, Peer, Session};
use crate::client::{Capabilities, Level};
use crate::envelope::{Message, Object};
use crate::meta;
use crate::rpc::{code, shortened};
use crate::source::{Protocol, Transport};
use crate::version::{Era, LEGACY, MODERN};

/// What servers of 2024-11-05 answer a message at the address of their stream.
const OLD: [StatusCode; 3] = [StatusCode::BAD_REQUEST, StatusCode::NOT_FOUND, StatusCode::METHOD_NOT_ALLOWED];

/// Ids of the gateway's requests to servers. They begin at a random number, so that replicas that share a server's process
/// do not use one id twice, and stay exact in a 64-bit float.
#[derive(Debug)]
pub(crate) struct Ids(AtomicU64);

impl Ids {
    /// A fresh counter.
    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(rand::random::<u64>() >> 16))
    }

    /// An id that was not given before.
    pub(crate) fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

/// What a server said about itself.
#[derive(Debug)]
pub(crate) struct Hello {
    pub(crate) link: Link,
    pub(crate) era: Era,
    pub(crate) version: String,
    pub(crate) server_name: Option<String>,
    pub(crate) server_version: Option<String>,
    pub(crate) instructions: Option<String>,
    /// Names of the capabilities it declared.
    pub(crate) capabilities: Vec<String>,
    /// Whether it tells of changes of single resources.
    pub(crate) subscribes: bool,
}

impl Hello {
    /// Whether it declared `capability`.
    pub(crate) fn can(&self, capability: &str) -> bool {
        self.capabilities.iter().any(|declared| declared == capability)
    }
}

/// Asks servers questions of the gateway's own.
#[derive(Debug)]
pub(crate) struct Control {
    pub(crate) http: Http,
    pub(crate) ids: Ids,
    /// Time for one answer.
    pub(crate) patience: Duration,
}

impl Control {
    /// Opens a link to `endpoint` in the era asked for, or the one it turns out to speak.
    pub(crate) async fn open(&self, endpoint: &Arc<Endpoint>, protocol: Protocol) -> Result<Hello, Fault> {
        match protocol {
            // Revision 2026-07-28 is not spoken over one stream.
            _ if endpoint.transport == Transport::Sse => {
                self.initialize(endpoint, Capabilities::ALL, None).await
            }
            Protocol::Legacy => self.initialize(endpoint, Capabilities::ALL, None).await,
            Protocol::Modern => self.discover(endpoint).await,
            Protocol::Auto => match self.discover(endpoint).await {
                Ok(hello) => Ok(hello),
                Err(fault @ Fault::Unreachable { .. }) => Err(fault),
                Err(fault) if fault.class() == Class::Unauthorized => Err(fault),
                // Any other answer to a modern request is one a legacy server may give.
                Err(_) => self.initialize(endpoint, Capabilities::ALL, None).await,
            },
        }
    }

    async fn discover(&self, endpoint: &Arc<Endpoint>) -> Result<Hello, Fault> {
        let link = Link { endpoint: Arc::clone(endpoint), peer: Peer::Modern, caller: None };
        let result = self.ask(&link, "server/discover", "").await?;
        let object = Object::parse(&result).map_err(malformed)?;
        let versions: Vec<String> = object
            .get("supportedVersions")
            .and_then(|raw| serde_json::from_str(raw).ok())
            .unwrap_or_default();
        if !versions.iter().any(|version| version == MODERN) {
            return Err(Fault::Malformed { reason: format!("it supports {versions:?}, not {MODERN}") });
        }
        let info = object.object("_meta").and_then(|meta| meta.object(meta::SERVER_INFO));
        Ok(hello(&object, link, Era::Modern, (MODERN.to_owned(), info)))
    }

    /// Opens a legacy session for `caller`, whose client has these capabilities: `initialize`, then `notifications/initialized`.
    pub(crate) async fn initialize(
        &self,
        endpoint: &Arc<Endpoint>,
        capabilities: Capabilities,
        caller: Caller,
    ) -> Result<Hello, Fault> {
        let opening = Link { endpoint: Arc::clone(endpoint), peer: Peer::Opening, caller };
        if endpoint.streams.load(Ordering::Relaxed) {
            match self.initialize_over_stream(&opening, capabilities).await {
                Ok(hello) => return Ok(hello),
                Err(fault) if endpoint.transport == Transport::Sse => return Err(fault),
                // It was found to be so, and may be otherwise by now.
                Err(_) => endpoint.streams.store(false, Ordering::Relaxed),
            }
        }
        match self.initialize_over(&opening, capabilities).await {
            // How a server of 2024-11-05 is told from others (2025-11-25, transports, backwards compatibility).
            Err(Fault::Http { status }) if endpoint.transport == Transport::Auto && OLD.contains(&status) => {
                let hello = self.initialize_over_stream(&opening, capabilities).await;
                endpoint.streams.store(hello.is_ok(), Ordering::Relaxed);
                hello.map_err(|_| Fault::Http { status })
            }
            answer => answer,
        }
    }

    async fn initialize_over_stream(
        &self,
        opening: &Link,
        capabilities: Capabilities,
    ) -> Result<Hello, Fault> {
        let opened = timeout(self.patience, Line::open(&self.http, opening)).await;
        let link = opened.map_err(|_| Fault::Timeout { after: self.patience })??;
        self.initialize_over(&link, capabilities).await
    }

    async fn initialize_over(&self, opening: &Link, capabilities: Capabilities) -> Result<Hello, Fault> {
        let params = format!(
            r#""protocolVersion":"{}","capabilities":{},"clientInfo":{}"#,
            LEGACY[0],
            capabilities.to_json(),
            meta::implementation()
        );
        let (result, headers) = self.exchange(opening, "initialize", &params).await?;
        let object = Object::parse(&result).map_err(malformed)?;
        let version = object.string("protocolVersion").unwrap_or_default().into_owned();
        if !LEGACY.contains(&version.as_str()) && version != "2024-11-05" {
            return Err(Fault::Malformed {
                reason: format!("it answers revision `{}`", shortened(&version)),
            });
        }
        let header = HeaderValue::try_from(&version).map_err(malformed)?;
        let peer = match &opening.peer {
            Peer::Sse { line, .. } => Peer::Sse { line: Arc::clone(line), version: Some(header) },
            _ => Peer::Legacy(Arc::new(Session { id: headers.get(SESSION_ID).cloned(), version: header })),
        };
        let link = Link { peer, ..opening.clone() };
        self.notify(&link, "notifications/initialized", "{}").await?;
        Ok(hello(&object, link, Era::Legacy, (version, object.object("serverInfo"))))
    }

    /// Sets the level of the log messages that a legacy server sends in this session. One that fails to is heard with what
    /// it sends.
    pub(crate) async fn set_level(&self, link: &Link, level: Level) {
        let params = format!(r#""level":"{}""#, level.as_str());
        if let Err(fault) = self.ask(link, "logging/setLevel", &params).await {
            tracing::debug!(%fault, "a server does not take a log level");
        }
    }

    /// The result of `method` with the members `params`; those that the modern era requires are added.
    pub(crate) async fn ask(&self, link: &Link, method: &str, params: &str) -> Result<String, Fault> {
        self.exchange(link, method, params).await.map(|(result, _)| result)
    }

    async fn exchange(&self, link: &Link, method: &str, params: &str) -> Result<(String, HeaderMap), Fault> {
        let id = self.ids.next();
        let body = request(link, id, method, params);
        let mut headers = HeaderMap::new();
        if let Ok(value) = HeaderValue::try_from(method) {
            headers.insert(METHOD, value);
        }
        let patience = self.patience;
        let answer = async {
            let (reply, headers) = self.http.post_with_headers(link, headers, body).await?;
            Ok((self.result(link, reply, method, id).await?, headers))
        };
        timeout(patience, answer).await.map_err(|_| Fault::Timeout { after: patience })?
    }

    async fn result(&self, link: &Link, reply: Reply, method: &str, id: u64) -> Result<String, Fault> {
        match reply {
            Reply::Accepted => {
                Err(Fault::Malformed { reason: format!("it answers `{method}` with nothing") })
            }
            Reply::Whole(body) => {
                let text = std::str::from_utf8(&body).map_err(malformed)?;
                answered(text, method, id)?.ok_or_else(|| no_answer(method))
            }
            Reply::Events(mut events) => {
                while let Some(text) = events.next().await? {
                    if let Some(result) = answered(&text, method, id)? {
                        return Ok(result);
                    }
                    self.refuse(link, &text).await;
                }
                Err(no_answer(method))
            }
        }
    }

    /// Sends a notification.
    pub(crate) async fn notify(&self, link: &Link, method: &str, params: &str) -> Result<(), Fault> {
        let body = format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{params}}}"#);
        let sent = self.http.post(link, HeaderMap::new(), body.into());
        timeout(self.patience, sent).await.map_err(|_| Fault::Timeout { after: self.patience })?.map(drop)
    }

    /// Answers a server's request (elicitation, sampling, roots) with an error, so that it does not wait; a ping with a
    /// result. Anything but a request is passed over.
    pub(crate) async fn refuse(&self, link: &Link, text: &str) {
        let Some(body) = refusal(text) else { return };
        if let Err(error) = timeout(self.patience, self.http.post(link, HeaderMap::new(), body)).await {
            tracing::debug!(%error, "a server's request could not be answered");
        }
    }
}

/// The answer to a server's request.
pub(super) fn refusal(text: &str) -> Option<Bytes> {
    let Ok(Message::Request { id, method, .. }) = Message::parse(text) else { return None };
    if method == "ping" {
        return Some(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#).into());
    }
    Some(crate::rpc::RpcError::new(code::METHOD_NOT_FOUND, "nobody can be asked here").to_bytes(Some(id)))
}

fn request(link: &Link, id: u64, method: &str, params: &str) -> Bytes {
    let params = match (&link.peer, params.is_empty()) {
        (Peer::Modern, true) => format!(r#""_meta":{{{}}}"#, meta::own()),
        (Peer::Modern, false) => format!(r#""_meta":{{{}}},{params}"#, meta::own()),
        _ => params.to_owned(),
    };
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{{params}}}}}"#).into()
}

/// The result in `text` if it answers request `id`.
fn answered(text: &str, method: &str, id: u64) -> Result<Option<String>, Fault> {
    match Message::parse(text).map_err(malformed)? {
        Message::Response { outcome: Err(error), .. } => Err(refused(error, method)),
        Message::Response { id: Some(of), outcome: Ok(result) } if of == id.to_string() => {
            Ok(Some(result.to_owned()))
        }
        Message::Response { .. } => {
            Err(Fault::Malformed { reason: format!("it answers `{method}` under another id") })
        }
        _ => Ok(None),
    }
}

fn refused(error: &str, method: &str) -> Fault {
    #[derive(Deserialize)]
    struct Error {
        code: i64,
        message: String,
    }
    match serde_json::from_str::<Error>(error) {
        Ok(Error { code, message }) => {
            Fault::Refused { method: method.to_owned(), code, message: shortened(&message) }
        }
        Err(error) => malformed(error),
    }
}

fn no_answer(method: &str) -> Fault {
    Fault::Broken { reason: format!("its stream ended without an answer to `{method}`") }
}

fn hello(result: &Object<'_>, link: Link, era: Era, (version, info): (String, Option<Object<'_>>)) -> Hello {
    let said = |member: &str| info.as_ref().and_then(|info| info.string(member)).map(|text| shortened(&text));
    let capabilities = result.object("capabilities");
    let resources = capabilities.as_ref().and_then(|declared| declared.object("resources"));
    Hello {
        subscribes: resources.is_some_and(|resources| resources.get("subscribe") == Some("true")),
        link,
        era,
        version,
        server_name: said("name"),
        server_version: said("version"),
        instructions: result.string("instructions").map(std::borrow::Cow::into_owned),
        capabilities: capabilities
            .iter()
            .flat_map(super::super::envelope::Object::members)
            .map(|(name, _)| name.clone().into_owned())
            .collect(),
    }
}

pub(crate) fn malformed(error: impl std::fmt::Display) -> Fault {
    Fault::Malformed { reason: error.to_string() }
}

/// The elements of the JSON array `raw`, unparsed.
pub(crate) fn elements(raw: &str) -> Result<Vec<&str>, Fault> {
    let elements: Vec<&RawValue> = serde_json::from_str(raw).map_err(malformed)?;
    Ok(elements.into_iter().map(RawValue::get).collect())
}
