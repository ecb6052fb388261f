//! The sessions of the revisions before 2026-07-28, as many at once as there is memory for.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use axum::{
    extract::Request,
    http::{HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures::Stream;
use rmcp::{
    model::{ClientJsonRpcMessage, ServerJsonRpcMessage},
    transport::{
        common::server_side_http::ServerSseMessage,
        streamable_http_server::{
            SessionId, SessionManager,
            session::local::{LocalSessionManager, LocalSessionManagerError},
        },
    },
};
use tokio::sync::Mutex;

/// It is told at most this often that there is no room.
const TOLD: Duration = Duration::from_mins(1);

tokio::task_local! {
    /// Whether the request at hand was to open a session for which there is no room.
    static IS_REFUSED: Cell<bool>;
}

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("too many open sessions")]
    Full,
    #[error(transparent)]
    Session(#[from] LocalSessionManagerError),
}

/// Sessions in this process.
///
/// The bound is kept where sessions are made. Which requests make one is for rmcp to say: an `initialize` does, whatever version it and
/// its headers name.
pub(crate) struct Sessions {
    inner: LocalSessionManager,
    most: usize,
    /// One is opened at a time. When it was told last that there is no room.
    opening: Mutex<Option<Instant>>,
}

impl Sessions {
    /// Up to `most` at once.
    pub(crate) fn new(inner: LocalSessionManager, most: usize) -> Self {
        Self { inner, most, opening: Mutex::default() }
    }
}

/// Answers a request for whose session there is no room with 503.
pub(crate) async fn bounded(request: Request, next: Next) -> Response {
    let answered = async {
        let response = next.run(request).await;
        (response, IS_REFUSED.with(Cell::get))
    };
    let (response, is_refused) = IS_REFUSED.scope(Cell::new(false), answered).await;
    if !is_refused {
        return response;
    }
    let retry = [(header::RETRY_AFTER, HeaderValue::from_static("30"))];
    (StatusCode::SERVICE_UNAVAILABLE, retry, "too many open sessions; try again later\n").into_response()
}

type Streamed<S> = Result<S, Error>;

impl SessionManager for Sessions {
    type Error = Error;
    type Transport = <LocalSessionManager as SessionManager>::Transport;

    async fn create_session(&self) -> Result<(SessionId, Self::Transport), Error> {
        let mut told = self.opening.lock().await;
        if self.inner.sessions.read().await.len() >= self.most {
            IS_REFUSED.try_with(|refused| refused.set(true)).ok();
            if told.is_none_or(|at| at.elapsed() >= TOLD) {
                *told = Some(Instant::now());
                tracing::warn!(
                    most = self.most,
                    "no further session of an older client is opened: too many are open"
                );
            }
            return Err(Error::Full);
        }
        Ok(self.inner.create_session().await?)
    }

    async fn initialize_session(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<ServerJsonRpcMessage, Error> {
        Ok(self.inner.initialize_session(id, message).await?)
    }

    async fn has_session(&self, id: &SessionId) -> Result<bool, Error> {
        Ok(self.inner.has_session(id).await?)
    }

    async fn close_session(&self, id: &SessionId) -> Result<(), Error> {
        Ok(self.inner.close_session(id).await?)
    }

    async fn create_stream(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Streamed<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static> {
        Ok(self.inner.create_stream(id, message).await?)
    }

    async fn accept_message(&self, id: &SessionId, message: ClientJsonRpcMessage) -> Result<(), Error> {
        Ok(self.inner.accept_message(id, message).await?)
    }

    async fn create_standalone_stream(
        &self,
        id: &SessionId,
    ) -> Streamed<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static> {
        Ok(self.inner.create_standalone_stream(id).await?)
    }

    async fn resume(
        &self,
        id: &SessionId,
        last_event_id: String,
    ) -> Streamed<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static> {
        Ok(self.inner.resume(id, last_event_id).await?)
    }
}
