//! WebSocket (RFC 6455) as a transport for clients: one JSON-RPC message a frame, in both directions.
//!
//! Each message is served as if it had come by POST, and what a POST is answered goes back as one frame a message. A session
//! begins with `initialize` and ends with the connection; its stream is the connection itself. Credentials are those of the
//! request that opened the connection, and are checked again for each message.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ::http::header::{ACCEPT, CONNECTION, UPGRADE};
use ::http::{HeaderMap, HeaderValue, Request};
use axum::body::Body;
use axum::extract::FromRequestParts as _;
use axum::extract::ws::{CloseFrame, Message as Frame, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt as _, StreamExt as _};
use http_body_util::BodyExt as _;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::answer::{self, Open};
use super::door::Door;
use super::{authenticated, http, legacy, quotas, serve_message};
use crate::backend::client::SESSION_ID;
use crate::backend::sse::Parser;
use crate::catalog::ViewName;
use crate::core::Core;
use crate::envelope::{Message, Object};
use crate::rpc::RpcError;

/// The subprotocol that clients may ask for.
const PROTOCOL: &str = "mcp";
/// Requests of one connection that are answered at the same time.
const MAX_CALLS: usize = 64;
/// Messages that wait for a slow reader; then those who have more wait, too.
const MAX_WAITING: usize = 64;
/// Time between two pings, time without any sign of life, and time for one frame to be taken.
const PING: Duration = Duration::from_secs(20);
const SILENT: Duration = Duration::from_mins(1);
const TAKEN_WITHIN: Duration = Duration::from_secs(30);

/// Whether a request asks for a WebSocket.
pub(super) fn is_wanted(request: &Request<Body>) -> bool {
    let names = |header, name: &str| {
        let values = request.headers().get_all(header).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|part| part.trim().eq_ignore_ascii_case(name))
    };
    names(CONNECTION, "upgrade") && names(UPGRADE, "websocket")
}

/// Opens a WebSocket at the endpoint of the view `name`.
pub(super) async fn open(
    core: &Arc<Core>,
    name: ViewName,
    (request, address): (Request<Body>, Option<IpAddr>),
) -> Response {
    let stream = match Open::stream(core) {
        Ok(stream) => stream,
        Err(error) => return answer::error(&error, None),
    };
    let (mut parts, _) = request.into_parts();
    let upgrade = match WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
        Ok(upgrade) => upgrade,
        Err(refusal) => return refusal.into_response(),
    };
    let configured = core.policy.load().config().limits.body_bytes;
    let limit = configured.unwrap_or(core.options.max_body_bytes);
    let mut headers = parts.headers;
    headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
    let (out, waiting) = mpsc::channel(MAX_WAITING);
    let (core, closing) = (Arc::clone(core), CancellationToken::new());
    let connection = Connection {
        core,
        name,
        headers,
        address,
        out,
        closing,
        calls: Mutex::default(),
        session: Mutex::default(),
    };
    let upgrade = upgrade.protocols([PROTOCOL]).max_message_size(limit).max_frame_size(limit);
    upgrade.on_upgrade(move |socket| run(Arc::new(connection), socket, (waiting, stream)))
}

/// One client.
#[derive(Debug)]
struct Connection {
    core: Arc<Core>,
    name: ViewName,
    /// Those of the request that opened it.
    headers: HeaderMap,
    address: Option<IpAddr>,
    out: mpsc::Sender<Bytes>,
    closing: CancellationToken,
    /// What is being answered, by the client's id as it wrote it.
    calls: Mutex<HashMap<String, AbortHandle>>,
    session: Mutex<Option<HeaderValue>>,
}

async fn run(
    connection: Arc<Connection>,
    socket: WebSocket,
    (waiting, _stream): (mpsc::Receiver<Bytes>, Open),
) {
    let (sink, stream) = socket.split();
    let _closed: DropGuard = connection.closing.clone().drop_guard();
    let writing = tokio::spawn(write(sink, waiting, connection.closing.clone()));
    tokio::select! {
        () = read(&connection, stream) => {}
        () = connection.closing.cancelled() => {}
        () = connection.core.shutdown.cancelled() => {}
    }
    connection.closing.cancel();
    for (_, call) in connection.calls().drain() {
        call.abort();
    }
    connection.end_session().await;
    // It ends by itself, within the time for one frame.
    drop(writing.await);
}

/// Reads frames until the connection ends.
async fn read(connection: &Arc<Connection>, mut stream: SplitStream<WebSocket>) {
    while let Ok(Some(Ok(frame))) = timeout(SILENT, stream.next()).await {
        match frame {
            Frame::Text(text) => connection.receive(text).await,
            Frame::Binary(_) => {
                let error = RpcError::invalid_request("a message is a text frame");
                connection.send(error.to_bytes(None)).await;
            }
            Frame::Close(_) => return,
            Frame::Ping(_) | Frame::Pong(_) => {}
        }
    }
}

/// Writes frames until the connection ends, and pings so that a peer that is gone is found out.
async fn write(
    mut sink: SplitSink<WebSocket, Frame>,
    mut waiting: mpsc::Receiver<Bytes>,
    closing: CancellationToken,
) {
    let mut pings = interval(PING);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let frame = tokio::select! {
            biased;
            () = closing.cancelled() => break,
            message = waiting.recv() => match message.map(Utf8Bytes::try_from) {
                Some(Ok(text)) => Frame::Text(text),
                Some(Err(_)) => continue,
                None => break,
            },
            _ = pings.tick() => Frame::Ping(Bytes::new()),
        };
        if !matches!(timeout(TAKEN_WITHIN, sink.send(frame)).await, Ok(Ok(()))) {
            break;
        }
    }
    closing.cancel();
    let end = Frame::Close(Some(CloseFrame { code: close_code::AWAY, reason: Utf8Bytes::from_static("") }));
    // The peer may be gone.
    drop(timeout(Duration::from_secs(1), sink.send(end)).await);
}

impl Connection {
    /// Serves one message beside the others.
    async fn receive(self: &Arc<Self>, text: Utf8Bytes) {
        let id = match Message::parse(&text) {
            Ok(Message::Request { id, .. }) => Some(id.to_owned()),
            Ok(Message::Notification { method, params }) => {
                if method == "notifications/cancelled" {
                    self.cancel(params);
                }
                None
            }
            _ => None,
        };
        let Some(id) = id else { return self.serve(&text).await };
        let busy = self.calls().len() >= MAX_CALLS;
        if busy {
            let error = answer::busy("this connection has too many requests open; wait for some answers");
            return self.send(error.to_bytes(Some(&id))).await;
        }
        let (connection, key) = (Arc::clone(self), id.clone());
        let mut calls = self.calls();
        let call = tokio::spawn(async move {
            connection.serve(&text).await;
            connection.calls().remove(&key);
        });
        // The call cannot have ended before: it would need the lock.
        calls.insert(id, call.abort_handle());
    }

    /// A client without a session cancels what it does not want any more, as one does by closing a stream of HTTP.
    fn cancel(&self, params: Option<&str>) {
        let params = params.and_then(|params| Object::parse(params).ok());
        let id = params.as_ref().and_then(|params| params.get("requestId"));
        if let Some(call) = id.filter(|_| self.session().is_none()).and_then(|id| self.calls().remove(id)) {
            call.abort();
        }
    }

    async fn serve(self: &Arc<Self>, text: &str) {
        let Some(door) = self.door().await else { return };
        let response = serve_message(&door, &self.headers(), text).await;
        if let Some(session) = response.headers().get(SESSION_ID) {
            *self.session() = Some(session.clone());
            self.listen(door);
        }
        self.forward(response).await;
    }

    /// The endpoint, for whoever opened the connection; who may not use it any more is let go.
    async fn door(&self) -> Option<Door> {
        let principal = authenticated(&self.core, &self.headers, self.address).await;
        let counted = quotas::request(&self.core, principal.as_ref().ok(), self.address).await;
        if let Err(error) = counted {
            self.send(error.to_bytes(None)).await;
            return None;
        }
        let opened = match principal {
            Ok(principal) => Door::open(&self.core, self.name.clone(), (principal, self.address)),
            Err(refusal) => {
                self.forward(refusal).await;
                self.closing.cancel();
                return None;
            }
        };
        match opened {
            Ok(door) => Some(Door { repeats_in_headers: false, ..door }),
            Err(error) => {
                self.send(error.to_bytes(None)).await;
                self.closing.cancel();
                None
            }
        }
    }

    /// Passes on what is said on the session's stream.
    fn listen(self: &Arc<Self>, door: Door) {
        let connection = Arc::clone(self);
        let closing = self.closing.clone();
        tokio::spawn(async move {
            let Ok(stream) = legacy::get(&door, &connection.headers()) else { return };
            closing.run_until_cancelled(connection.forward(stream)).await;
        });
    }

    /// Sends each message of a response as a frame.
    async fn forward(&self, response: Response) {
        let is_stream =
            http::header(response.headers(), &::http::header::CONTENT_TYPE) == Some("text/event-stream");
        let mut body = response.into_body();
        if !is_stream {
            let Ok(whole) = body.collect().await else { return };
            let message = whole.to_bytes();
            if !message.is_empty() {
                self.send(message).await;
            }
            return;
        }
        let mut events = Parser::new(self.core.options.max_answer_bytes);
        while let Some(Ok(frame)) = body.frame().await {
            let Ok(data) = frame.into_data() else { continue };
            if events.feed(&data).is_err() {
                return self.closing.cancel();
            }
            while let Some(message) = events.next() {
                self.send(message.into()).await;
            }
        }
    }

    async fn send(&self, message: Bytes) {
        // Fails only when the connection has ended.
        drop(self.out.send(message).await);
    }

    async fn end_session(&self) {
        if self.session().is_some()
            && let Some(door) = self.door().await
        {
            drop(legacy::delete(&door, &self.headers()));
        }
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = self.headers.clone();
        headers.extend(self.session().clone().map(|session| (SESSION_ID, session)));
        headers
    }

    fn calls(&self) -> MutexGuard<'_, HashMap<String, AbortHandle>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn session(&self) -> MutexGuard<'_, Option<HeaderValue>> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
