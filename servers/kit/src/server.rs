//! What a server is: its tools, what they answer, its pages, and its own paths. The kit does the rest.

use std::sync::Arc;

use axum::{Router, http::Method};
use rmcp::model::{JsonObject, Tool};

use crate::{
    caller::{Caller, Correlation},
    component::Component,
    tool::{Answer, ToolError},
};

/// A server by name.
#[derive(Debug, Clone, Copy)]
pub struct About {
    /// Its name, as clients and logs see it.
    pub name: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// Its version.
    pub version: &'static str,
    /// What a model should know before it calls a tool.
    pub instructions: &'static str,
}

/// One call of a tool.
#[derive(Debug, Clone)]
pub struct ToolCall {
    /// Name of the tool; one of the server's own.
    pub name: String,
    /// Its arguments, unchecked.
    pub arguments: JsonObject,
    /// Who calls.
    pub caller: Caller,
    /// The user that [`Server::identify`] found behind the caller.
    pub user: Option<Arc<str>>,
    /// The id of the call.
    pub correlation: Correlation,
}

/// A path of the REST interface that is another form of a tool.
#[derive(Debug, Clone)]
pub struct RestRoute {
    /// GET, PUT, POST or DELETE.
    pub method: Method,
    /// Path with names in braces, such as `/cart/{session_id}`; each becomes the argument of that name.
    pub path: &'static str,
    /// The tool that answers.
    pub tool: &'static str,
    /// Arguments that the path stands for.
    pub fixed: JsonObject,
    /// What it does, in one line.
    pub summary: &'static str,
}

/// A server. What it shares with others ([`mod@crate::host`]) is done for it: both eras of MCP over streamable HTTP and stdio, REST,
/// limits, counting, logs, traces and reports.
pub trait Server: Send + Sync + 'static {
    /// Its names.
    fn about(&self) -> About;

    /// Its tools. The list does not change while it runs.
    fn tools(&self) -> &[Tool];

    /// The user behind the caller, where the server knows one: calls are counted by it, and it comes with the call. A session that never was
    /// is nobody's, or whoever invents one for each call would never call too often.
    fn identify(&self, caller: &Caller) -> impl Future<Output = Result<Option<Arc<str>>, ToolError>> + Send {
        std::future::ready(Ok(caller.subject.clone()))
    }

    /// Carries a call out. The tool is one of [`Server::tools`]; the arguments are as the caller wrote them.
    fn call(&self, call: ToolCall) -> impl Future<Output = Result<Answer, ToolError>> + Send;

    /// The pages that show what its tools answer.
    fn components(&self) -> &[Component] {
        &[]
    }

    /// Further paths that are other forms of its tools.
    fn rest(&self) -> Vec<RestRoute> {
        Vec::new()
    }

    /// Paths of its own, such as those of a sign-in.
    fn routes(self: &Arc<Self>) -> Router {
        Router::new()
    }

    /// The name of the cookie that carries a session, where it knows sessions.
    fn session_cookie(&self) -> Option<&str> {
        None
    }
}
