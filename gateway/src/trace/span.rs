//! What is known of one call.

use std::sync::Arc;
use std::time::SystemTime;

use super::{Tracer, Trail};
use crate::client::Client;
use crate::envelope::{Message, Object};
use crate::method::Method;
use crate::source::ServerKey;
use crate::version::{Era, MODERN};

/// What a call is about, as attributes of its spans.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct About {
    pub(super) method: &'static str,
    /// What the client called, and what the server knows it by.
    pub(super) exposed: String,
    pub(super) original: String,
    /// The attribute that names it: of a tool, a prompt or a resource.
    pub(super) named_by: Option<&'static str>,
    pub(super) id: String,
    /// Of a legacy client. This is no credential: its id for the wire is sealed.
    pub(super) session: Option<String>,
    pub(super) revision: Option<&'static str>,
    pub(super) server: ServerKey,
}

impl About {
    /// A call of `exposed`, which `server` knows as `original`.
    pub(crate) fn new(client: &Client, (method, id): (Method, &str), server: &ServerKey) -> Self {
        let legacy = client.era == Era::Legacy;
        Self {
            method: method.as_str(),
            exposed: String::new(),
            original: String::new(),
            named_by: match method {
                Method::ToolsCall => Some("gen_ai.tool.name"),
                Method::PromptsGet => Some("gen_ai.prompt.name"),
                Method::ResourcesRead => Some("mcp.resource.uri"),
                _ => None,
            },
            id: id.trim_matches('"').to_owned(),
            session: legacy.then(|| format!("{:032x}", client.session)),
            revision: (!legacy).then_some(MODERN),
            server: server.clone(),
        }
    }

    /// The same, of what is called.
    pub(crate) fn of(self, exposed: &str, original: &str) -> Self {
        Self { exposed: exposed.to_owned(), original: original.to_owned(), ..self }
    }
}

/// The spans of a call that is under way; they end when this is dropped.
#[derive(Debug)]
pub(crate) struct Span {
    tracer: Arc<Tracer>,
    finished: Option<Finished>,
}

/// Two spans that ended, one within the other.
#[derive(Debug, Clone)]
pub(crate) struct Finished {
    pub(super) trail: Trail,
    pub(super) about: About,
    pub(super) began: SystemTime,
    pub(super) ended: SystemTime,
    /// What went wrong: a class of faults, a code of JSON-RPC, or `tool_error`.
    pub(super) error: Option<String>,
}

impl Span {
    pub(super) fn new(tracer: Arc<Tracer>, trail: Trail, about: About) -> Self {
        let now = SystemTime::now();
        Self { tracer, finished: Some(Finished { trail, about, began: now, ended: now, error: None }) }
    }

    /// What went wrong.
    pub(crate) fn failed(&mut self, error: impl Into<String>) {
        if let Some(finished) = &mut self.finished {
            finished.error = Some(error.into());
        }
    }

    /// The answer, in which an error of the server may stand.
    pub(crate) fn says(&mut self, message: &[u8]) {
        if let Some(error) = error_in(message) {
            self.failed(error);
        }
    }

    /// The trace it is in, as exemplars name it.
    pub(crate) fn trace(&self) -> Option<String> {
        self.finished.as_ref().map(|finished| format!("{:032x}", finished.trail.asked.trace))
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        if let Some(finished) = self.finished.take() {
            self.tracer.end(Finished { ended: SystemTime::now(), ..finished });
        }
    }
}

/// The code of an error answer, or `tool_error` for the result of a tool that says it failed.
fn error_in(message: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(message).ok()?;
    let Ok(Message::Response { outcome, .. }) = Message::parse(text) else { return None };
    match outcome {
        Ok(result) => {
            let failed = Object::parse(result).ok()?.get("isError") == Some("true");
            failed.then(|| "tool_error".to_owned())
        }
        Err(error) => Some(Object::parse(error).ok()?.get("code")?.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_the_server_is_told_by_its_code_and_a_failed_tool_by_its_name() {
        let of = |member: &str| error_in(format!(r#"{{"jsonrpc":"2.0","id":1,{member}}}"#).as_bytes());
        assert_eq!(of(r#""error":{"code":-32602,"message":"no"}"#).as_deref(), Some("-32602"));
        assert_eq!(of(r#""result":{"content":[],"isError":true}"#).as_deref(), Some("tool_error"));
        assert_eq!(of(r#""result":{"content":[],"isError":false}"#), None);
        assert_eq!(error_in(b"{"), None);
    }
}
