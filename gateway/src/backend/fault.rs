//! Why a server did not answer, and what the client is told.

use std::time::Duration;

use http::StatusCode;
use serde_json::json;

use super::guard::MEND;
use crate::client::Capabilities;
use crate::rpc::{RpcError, code};
use crate::source::ServerKey;

/// Why a request to a server failed.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Fault {
    /// Nothing to send it to.
    #[error("has no ready pod; wait until one is ready or look at its status")]
    NoEndpoint,
    /// The endpoint's URL cannot be used.
    #[error("has an unusable endpoint `{url}`: {reason}; correct the URL")]
    BadUrl { url: String, reason: String },
    /// A remote server where none may be.
    #[error("is at {url}, an address that is not public; {MEND}")]
    NotPublic { url: String },
    /// No connection came about, so the request did not reach it.
    #[error("cannot be reached at {url} ({reason}); check that it runs and listens there")]
    Unreachable { url: String, reason: String },
    /// The connection broke after the request was sent; whether it was carried out is unknown.
    #[error("closed the connection before it answered ({reason}); see its log, then try again")]
    Broken { reason: String },
    /// It took too long.
    #[error("did not answer within {} ms; raise its timeout or ask for less", .after.as_millis())]
    Timeout { after: Duration },
    /// What it is to be shown cannot be had.
    #[error("needs a credential that cannot be had: {0}")]
    Credential(String),
    /// The caller has nothing to exchange.
    #[error(
        "is used with a token of the caller's own (spec.upstreamAuth.tokenExchange), and this caller came without an access token; sign in with OAuth rather than by an API key"
    )]
    NoToken,
    /// The caller has not signed in.
    #[error("wants its callers to sign in, and waits for somebody to do so")]
    SignIn,
    /// The caller has not signed in, and its client cannot lead there.
    #[error("wants its callers to sign in: open {url} in a browser, then try again")]
    Visit { url: String },
    /// Nobody is known who could.
    #[error(
        "wants its callers to sign in (spec.upstreamAuth.authorizationCode), and nobody knows who this one is; use an API key or sign in to the gateway"
    )]
    Nobody,
    /// It does not take what it is shown.
    #[error("answered HTTP 401: {}", if *.shown { "it refuses the credential of `spec.upstreamAuth`; correct that" } else { "it wants a credential; give one by `spec.upstreamAuth`" })]
    Unauthorized { shown: bool },
    /// It does not know our session any more.
    #[error("lost its session twice in a row; see its log")]
    SessionLost,
    /// An HTTP status that is no MCP answer.
    #[error("answered HTTP {status} instead of an MCP message; see its log")]
    Http { status: StatusCode },
    /// Not what the protocol says.
    #[error("gave an answer that is not MCP ({reason}); report it to the server's author")]
    Malformed { reason: String },
    /// Bigger than the gateway keeps.
    #[error("gave an answer of more than {limit} bytes; ask for less or raise the gateway's limit")]
    TooLarge { limit: usize },
    /// An error of its own to something the gateway asked.
    #[error("refused `{method}` with error {code}: {message}")]
    Refused { method: String, code: i64, message: String },
    /// It wants to ask the client something that the client cannot answer.
    #[error(
        "asks for input ({0}) that this client did not declare it can give; use a client that declares it and takes event streams"
    )]
    InputRequired(String),
    /// It has as many calls open as it may.
    #[error("has {open} calls open, which is the limit; try again later, or run more pods of it")]
    Saturated { open: usize, after: Duration },
    /// It has no replica, and as many calls wait for one as may.
    #[error("has no ready pod, and {waiting} calls wait for one already; try again in {} s", seconds(*.after))]
    Crowded { waiting: u32, after: Duration },
    /// No replica came to serve while the call waited.
    #[error("had no ready pod for {} s{}; try again in {} s", .waited.as_secs(), because(.reason.as_deref()), seconds(*.after))]
    NotStarted { waited: Duration, reason: Option<String>, after: Duration },
    /// It did not start, and no start is tried for a while.
    #[error("could not be started ({reason}); it is tried again in {} s", seconds(*.after))]
    StartFailed { reason: String, after: Duration },
    /// Somebody wants it to have no replica.
    #[error(
        "has no pod: `{owner}` has set its replicas to 0; set another number, or hand it back as the condition ScalingActive in its status says"
    )]
    SetToZero { owner: String },
    /// The client did not answer its question, or not with a result.
    #[error("asked the client for input ({method}) and got none: {reason}")]
    Unanswered { method: String, reason: String },
    /// It needs a client that can do more; told to modern clients.
    #[error("asks for input that this client did not declare it can give")]
    Lacking(Capabilities),
    /// The `requestState` of a retry is of no use; the fault is the client's.
    #[error("the requestState {0}; send the request again without it")]
    State(&'static str),
    /// The gateway cannot let the call wait for its client.
    #[error("asks for input, but {0}")]
    Input(String),
    /// The client gave up.
    #[error("was told that the client cancelled the request")]
    Cancelled,
}

/// The few classes that metrics and clients tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Class {
    NoEndpoint,
    Unreachable,
    Timeout,
    Cancelled,
    Malformed,
    Saturated,
    Unauthorized,
    Failed,
}

impl Class {
    /// Its name in metrics and in `error.data.reason`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::NoEndpoint => "no_endpoint",
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::Cancelled => "cancelled",
            Self::Malformed => "malformed",
            Self::Saturated => "saturated",
            Self::Unauthorized => "unauthorized",
            Self::Failed => "failed",
        }
    }
}

impl Fault {
    /// Its class.
    pub(crate) fn class(&self) -> Class {
        match self {
            Self::NoEndpoint
            | Self::Crowded { .. }
            | Self::NotStarted { .. }
            | Self::StartFailed { .. }
            | Self::SetToZero { .. } => Class::NoEndpoint,
            Self::BadUrl { .. } | Self::NotPublic { .. } | Self::Unreachable { .. } => Class::Unreachable,
            Self::Timeout { .. } => Class::Timeout,
            Self::Cancelled => Class::Cancelled,
            Self::Malformed { .. } | Self::TooLarge { .. } => Class::Malformed,
            Self::Saturated { .. } => Class::Saturated,
            Self::Credential(_)
            | Self::NoToken
            | Self::SignIn
            | Self::Visit { .. }
            | Self::Nobody
            | Self::Unauthorized { .. } => Class::Unauthorized,
            _ => Class::Failed,
        }
    }

    /// Whether it speaks against the endpoint, rather than against the request, the client or the server as a whole.
    pub(crate) fn is_of_endpoint(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::Broken { .. }
            | Self::Timeout { .. }
            | Self::Malformed { .. } => true,
            Self::Http { status } => status.is_server_error(),
            _ => false,
        }
    }

    /// The answer to the client whose request went to `server`.
    pub(crate) fn to_rpc(&self, server: &ServerKey) -> RpcError {
        self.to_rpc_of(("server", server))
    }

    /// The same where the request went to something of another kind.
    pub(crate) fn to_rpc_of(&self, (kind, server): (&str, &ServerKey)) -> RpcError {
        if let Self::State(_) = self {
            return RpcError::invalid_params(self.to_string());
        }
        let error = RpcError::new(code::INTERNAL, format!("{kind} {server} {self}"))
            .data(json!({ "server": server.to_string(), "reason": self.class().as_str() }));
        match self {
            Self::Lacking(needed) => error.lacking(*needed),
            Self::Saturated { after, .. } => error.status(StatusCode::TOO_MANY_REQUESTS).retry_after(*after),
            Self::Crowded { after, .. }
            | Self::NotStarted { after, .. }
            | Self::StartFailed { after, .. } => {
                error.status(StatusCode::SERVICE_UNAVAILABLE).retry_after(*after)
            }
            _ => error,
        }
    }
}

/// Whole seconds, not less than the time.
fn seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

fn because(reason: Option<&str>) -> String {
    reason.map(|reason| format!(" ({reason})")).unwrap_or_default()
}
