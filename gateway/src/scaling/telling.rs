//! Tells a client that its call waits for a server to start.

use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use tokio::time::Instant;

use crate::source::ServerKey;

/// Between two messages.
const EVERY: Duration = Duration::from_secs(1);
/// What a second counts as progress. Progress must only grow (MCP, progress), and the server's own begins after this.
const A_SECOND: f64 = 1e-6;

/// The messages for one call.
#[derive(Debug)]
pub(crate) struct Telling {
    /// The progress token, as JSON.
    token: String,
    server: String,
    began: Instant,
    due: Instant,
}

impl Telling {
    /// For the call with the progress token `token`, as JSON, to `server`.
    pub(crate) fn new(token: &str, server: &ServerKey) -> Self {
        let now = Instant::now();
        Self { token: token.to_owned(), server: server.to_string(), began: now, due: now + EVERY }
    }

    /// When the next message is due.
    pub(crate) fn due(&self) -> Instant {
        self.due
    }

    /// The next message.
    pub(crate) fn next(&mut self) -> Bytes {
        self.due = Instant::now() + EVERY;
        let waited = self.began.elapsed();
        let message = json!(format!("server {} is starting ({} s so far)", self.server, waited.as_secs()));
        let (token, progress) = (&self.token, waited.as_secs_f64() * A_SECOND);
        format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{token},"progress":{progress:.9},"message":{message}}}}}"#
        )
        .into()
    }
}
