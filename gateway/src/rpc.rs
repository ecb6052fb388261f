//! JSON-RPC errors that the gateway itself makes.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};

use crate::client::Capabilities;
use crate::version::SUPPORTED;

/// Error codes: JSON-RPC 2.0 section 5.1 and MCP 2026-07-28.
pub(crate) mod code {
    pub(crate) const PARSE: i64 = -32700;
    pub(crate) const INVALID_REQUEST: i64 = -32600;
    pub(crate) const METHOD_NOT_FOUND: i64 = -32601;
    pub(crate) const INVALID_PARAMS: i64 = -32602;
    pub(crate) const INTERNAL: i64 = -32603;
    /// Legacy revisions only.
    pub(crate) const RESOURCE_NOT_FOUND: i64 = -32002;
    pub(crate) const HEADER_MISMATCH: i64 = -32020;
    pub(crate) const MISSING_CAPABILITY: i64 = -32021;
    pub(crate) const UNSUPPORTED_VERSION: i64 = -32022;
    /// A limit on how often somebody may ask.
    pub(crate) const RATE_LIMIT: i64 = -32003;
    /// Legacy revision 2025-11-25 only.
    pub(crate) const URL_ELICITATION: i64 = -32042;
}

/// An error answer and the HTTP status it travels under.
#[derive(Debug, Clone, Serialize, thiserror::Error)]
#[error("{message}")]
pub(crate) struct RpcError {
    code: i64,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Box<Value>>,
    #[serde(skip)]
    status: StatusCode,
    /// Seconds after which it is worth trying again.
    #[serde(skip)]
    retry_after: Option<u64>,
}

impl RpcError {
    /// An error under HTTP 200, as for one that a method itself gives.
    pub(crate) fn new(code: i64, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: None, status: StatusCode::OK, retry_after: None }
    }

    /// The same under another HTTP status.
    pub(crate) fn status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    /// The same with details for programs.
    pub(crate) fn data(self, data: Value) -> Self {
        Self { data: Some(Box::new(data)), ..self }
    }

    /// A request that breaks JSON-RPC or the transport's rules.
    pub(crate) fn invalid_request(message: impl Into<String>) -> Self {
        Self::new(code::INVALID_REQUEST, message).status(StatusCode::BAD_REQUEST)
    }

    /// Parameters that break the method's rules.
    pub(crate) fn invalid_params(message: impl Into<String>) -> Self {
        Self::new(code::INVALID_PARAMS, message)
    }

    /// A method that is not served.
    pub(crate) fn method_not_found(method: &str) -> Self {
        Self::new(code::METHOD_NOT_FOUND, format!("method `{}` is not served here", shortened(method)))
    }

    /// A header that is missing or differs from the body.
    pub(crate) fn header_mismatch(message: impl Into<String>) -> Self {
        Self::new(code::HEADER_MISMATCH, message).status(StatusCode::BAD_REQUEST)
    }

    /// A revision that is not served.
    pub(crate) fn unsupported_version(requested: &str) -> Self {
        let requested = shortened(requested);
        Self::new(code::UNSUPPORTED_VERSION, format!("protocol version `{requested}` is not served here"))
            .status(StatusCode::BAD_REQUEST)
            .data(json!({ "supported": SUPPORTED, "requested": requested }))
    }

    /// The same as an error that says what the client would have to be able to do (2026-07-28, error -32021).
    pub(crate) fn lacking(self, needed: Capabilities) -> Self {
        let required: Value = serde_json::from_str(&needed.to_json()).unwrap_or_default();
        let mut data = self.data.unwrap_or_else(|| Box::new(json!({})));
        data["requiredCapabilities"] = required;
        Self { code: code::MISSING_CAPABILITY, data: Some(data), status: StatusCode::BAD_REQUEST, ..self }
    }

    /// The same with the time after which it is worth trying again.
    pub(crate) fn retry_after(self, time: Duration) -> Self {
        Self { retry_after: Some(time.as_secs() + u64::from(time.subsec_nanos() > 0)), ..self }
    }

    /// The value of `Retry-After`, in seconds.
    pub(crate) fn seconds_to_wait(&self) -> Option<u64> {
        self.retry_after
    }

    /// What is wrong.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// The HTTP status.
    pub(crate) fn http_status(&self) -> StatusCode {
        self.status
    }

    /// The whole message. Without an id (the request's could not be read) the member is left out, as the schemas
    /// since 2025-11-25 ask; they forbid the null of JSON-RPC 2.0.
    pub(crate) fn to_bytes(&self, id: Option<&str>) -> Bytes {
        let error = serde_json::to_string(self).unwrap_or_default();
        match id {
            Some(id) => format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#).into(),
            None => format!(r#"{{"jsonrpc":"2.0","error":{error}}}"#).into(),
        }
    }
}

/// At most 128 characters of something a client wrote, for error messages.
pub(crate) fn shortened(text: &str) -> String {
    match text.char_indices().nth(128) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
