//! HTTP responses.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use futures::Stream;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{HeaderName, StatusCode};
use http_body::{Frame, SizeHint};
use tokio::time::timeout;

use crate::backend::relay::Relay;
use crate::rpc::RpcError;

/// Time between two comments on a silent stream; shorter than the idle timeout of common proxies.
pub(crate) const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Asks nginx and its kin not to hold events back.
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// A JSON answer of several pieces that are sent as they are, without joining them first.
pub(crate) fn json(status: StatusCode, pieces: impl Into<VecDeque<Bytes>>) -> Response {
    let mut response = Response::new(Body::new(Pieces(pieces.into())));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// An error answer to the request `id`.
pub(crate) fn error(error: &RpcError, id: Option<&str>) -> Response {
    let mut response = json(error.http_status(), [error.to_bytes(id)]);
    let seconds = error.seconds_to_wait().map(HeaderValue::from);
    response.headers_mut().extend(seconds.map(|seconds| (RETRY_AFTER, seconds)));
    response
}

/// The result `result` (a JSON object) to the request `id`.
pub(crate) fn result(id: &str, result: &str) -> Response {
    json(StatusCode::OK, [Bytes::from(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#))])
}

/// An answer without a body.
pub(crate) fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// An event stream.
pub(crate) fn events(stream: impl Stream<Item = Bytes> + Send + 'static) -> Response {
    use futures::StreamExt as _;
    let mut response = Response::new(Body::from_stream(stream.map(Ok::<_, Infallible>)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(ACCEL_BUFFERING, HeaderValue::from_static("no"));
    response
}

/// A relayed answer as events.
pub(crate) fn relayed(relay: Box<Relay>) -> Response {
    events(futures::stream::unfold(relay, |mut relay| async move {
        let event = match timeout(KEEP_ALIVE, relay.next()).await {
            Ok(message) => event(&message?),
            Err(_) => comment(),
        };
        Some((event, relay))
    }))
}

/// A relayed answer for a client that takes no events: notifications are dropped.
pub(crate) async fn awaited(mut relay: Box<Relay>) -> Bytes {
    let mut last = Bytes::new();
    while let Some(message) = relay.next().await {
        last = message;
    }
    last
}

/// The event that carries `message`. A message that contains line breaks takes several data lines, which its reader joins
/// again.
pub(crate) fn event(message: &[u8]) -> Bytes {
    let mut event = BytesMut::with_capacity(message.len() + 32);
    event.extend_from_slice(b"event: message\n");
    for line in message.split(|byte| *byte == b'\n') {
        event.extend_from_slice(b"data: ");
        event.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
        event.extend_from_slice(b"\n");
    }
    event.extend_from_slice(b"\n");
    event.freeze()
}

/// A comment, which clients pass over.
pub(crate) fn comment() -> Bytes {
    Bytes::from_static(b":\n\n")
}

/// Keeps something alive as long as a stream: a permit, a gauge.
#[derive(Debug)]
pub(crate) struct Open {
    gauge: prometheus_client::metrics::gauge::Gauge,
    _permit: tokio::sync::OwnedSemaphorePermit,
}

impl Open {
    /// A stream is opened, unless too many are.
    pub(crate) fn stream(core: &crate::core::Core) -> Result<Self, RpcError> {
        let permit = Arc::clone(&core.streams).try_acquire_owned();
        let permit = permit.map_err(|_| busy("too many streams are open; close one or try again later"))?;
        let gauge = core.metrics.streams().clone();
        gauge.inc();
        Ok(Self { gauge, _permit: permit })
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.gauge.dec();
    }
}

/// The gateway is at a limit.
pub(crate) fn busy(message: &str) -> RpcError {
    RpcError::new(crate::rpc::code::INTERNAL, message).status(StatusCode::SERVICE_UNAVAILABLE)
}

/// A body of known length in several pieces.
#[derive(Debug)]
struct Pieces(VecDeque<Bytes>);

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.iter().map(|piece| piece.len() as u64).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_breaks_in_a_message_survive_as_data_lines() {
        assert_eq!(event(b"{\r\n}"), "event: message\ndata: {\ndata: }\n\n");
    }
}
