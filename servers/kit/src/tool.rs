//! MCP tools with typed arguments and answers, and what they answer when they cannot.

use std::{sync::Arc, time::Duration};

use rmcp::{
    ErrorData, RoleServer,
    model::{
        CallToolResponse, CallToolResult, ContentBlock, ErrorCode, JsonObject, MetaObject, ProtocolVersion,
        Tool, ToolAnnotations,
    },
    schemars::JsonSchema,
    service::RequestContext,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::upstream;

/// Where a failed answer carries its code and class under `_meta`.
pub const ERROR_META: &str = "portico.dev/error";

/// Where an answer carries under `_meta` the language that the user chose for its page (BCP 47), which goes before the host's.
pub const LOCALE_META: &str = "portico.dev/locale";

/// What a tool does to the world, as hints to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Reads what the server itself holds.
    Reads,
    /// Reads from an API outside.
    ReadsOutside,
    /// Replaces or removes data; doing it twice is the same as once.
    Replaces,
    /// Changes data; doing it twice changes it twice.
    Changes,
    /// Changes data at an API outside; doing it twice changes it twice.
    ChangesOutside,
}

impl Effect {
    fn annotations(self, title: &str) -> ToolAnnotations {
        let reads = matches!(self, Self::Reads | Self::ReadsOutside);
        let hints = ToolAnnotations::with_title(title)
            .read_only(reads)
            .open_world(matches!(self, Self::ReadsOutside | Self::ChangesOutside))
            .idempotent(reads || self == Self::Replaces);
        if reads { hints } else { hints.destructive(true) }
    }
}

/// A tool whose input and output schemas are those of `In` and `Out`.
#[must_use]
pub fn define<In: JsonSchema + 'static, Out: JsonSchema + 'static>(
    name: &'static str,
    title: &str,
    description: &'static str,
    effect: Effect,
) -> Tool {
    Tool::new(name, description, Arc::new(JsonObject::new()))
        .with_title(title)
        .with_annotations(effect.annotations(title))
        .with_input_schema::<In>()
        .with_output_schema::<Out>()
}

/// When to try again where the server's own data cannot be reached, in seconds.
pub(crate) const AWAY_SECONDS: u64 = 5;

/// Why a tool has no answer.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// An argument is missing or wrong.
    #[error("{field}: {problem}")]
    Invalid {
        /// Path of the argument, such as `filters.max_price`.
        field: String,
        /// What is wrong and what is allowed.
        problem: String,
    },
    /// The arguments are well formed, and what they ask for is refused or impossible.
    #[error("{0}")]
    Refused(String),
    /// Only somebody who has signed in can be served.
    #[error("{problem}{}", .url.as_ref().map_or_else(String::new, |url| format!("; sign in at {url}")))]
    SignIn {
        /// Why.
        problem: String,
        /// Where, if there is such a place.
        url: Option<String>,
    },
    /// The user has called too often.
    #[error("more than {per_minute} calls a minute; try again in {} s", .wait.as_secs() + 1)]
    TooOften {
        /// Calls a minute that are allowed.
        per_minute: u32,
        /// Until the next is.
        wait: Duration,
    },
    /// What the call names does not exist.
    #[error("{0}")]
    NotFound(String),
    /// The API behind the server failed.
    #[error(transparent)]
    Upstream(#[from] upstream::Error),
    /// What the server keeps its data in does not answer for now. Whether a change was saved is not known.
    #[error("this server cannot reach its data for now: {0}")]
    Away(String),
    /// The server itself failed.
    #[error("internal error: {0}")]
    Internal(String),
}

impl From<crate::seal::Error> for ToolError {
    fn from(error: crate::seal::Error) -> Self {
        Self::Internal(error.to_string())
    }
}

impl ToolError {
    /// An error about one argument.
    pub fn invalid(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Invalid { field: field.into(), problem: problem.into() }
    }

    /// The JSON-RPC code: -32602 for arguments, -32603 for our own failures, -32000 for data that cannot be reached for now, and
    /// -32001 (upstream), -32002 (authentication), -32003 (rate limit) for the API behind the server.
    #[must_use]
    pub fn code(&self) -> i32 {
        match self {
            Self::Invalid { .. } => ErrorCode::INVALID_PARAMS.0,
            Self::Refused(_) | Self::Internal(_) | Self::NotFound(_) => ErrorCode::INTERNAL_ERROR.0,
            Self::Away(_) => -32000,
            Self::SignIn { .. } => -32002,
            Self::TooOften { .. } => -32003,
            Self::Upstream(error) => error.class().code(),
        }
    }

    /// What kind of failure it is: the label in logs and traces.
    #[must_use]
    pub fn class(&self) -> &'static str {
        match self {
            Self::Invalid { .. } => "validation",
            Self::Refused(_) => "refused",
            Self::SignIn { .. } => "authentication",
            Self::TooOften { .. } => "rate_limit",
            Self::NotFound(_) => "not_found",
            Self::Away(_) => "unavailable",
            Self::Internal(_) => "internal",
            Self::Upstream(error) => error.class().label(),
        }
    }

    /// What a program should know of it: code, class, and what belongs to the class.
    #[must_use]
    pub fn data(&self) -> Value {
        match self {
            Self::SignIn { url, .. } => {
                json!({ "code": self.code(), "class": "authentication", "sign_in_url": url })
            }
            Self::TooOften { wait, .. } => {
                json!({ "code": self.code(), "class": "rate_limit", "retry_after_seconds": wait.as_secs() + 1 })
            }
            Self::NotFound(_) => json!({ "code": self.code(), "class": "not_found" }),
            Self::Invalid { field, .. } => {
                json!({ "code": self.code(), "class": "validation", "field": field })
            }
            Self::Refused(_) => json!({ "code": self.code(), "class": "refused" }),
            Self::Away(_) => {
                json!({ "code": self.code(), "class": "unavailable", "retry_after_seconds": AWAY_SECONDS })
            }
            Self::Internal(_) => json!({ "code": self.code(), "class": "internal" }),
            Self::Upstream(error) => error.data(),
        }
    }

    /// Whether this client gets the failure as a JSON-RPC error rather than as a result with `isError`.
    ///
    /// Revision 2025-11-25 moved wrong arguments into results, where the model reads them and mends its
    /// call; 2026-07-28 keeps the codes -32000 to -32099 for itself, so there our codes travel in `_meta`.
    fn is_protocol_error(&self, version: &ProtocolVersion) -> bool {
        match self {
            Self::Invalid { .. } => version.as_str() < ProtocolVersion::V_2025_11_25.as_str(),
            Self::Upstream(_) | Self::SignIn { .. } | Self::TooOften { .. } | Self::Away(_) => {
                version.has_initialize()
            }
            Self::Refused(_) | Self::Internal(_) | Self::NotFound(_) => false,
        }
    }
}

/// What a tool answers: a short text for the model, and the data that fits its output schema.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    text: String,
    data: Value,
    blocks: Vec<ContentBlock>,
    locale: Option<String>,
}

impl Answer {
    /// An answer of `text` and `data`. Where the data have a number `stale_seconds`, the kit's pages and the text tell how old they are.
    pub fn new<T: Serialize>(text: impl Into<String>, data: &T) -> Result<Self, ToolError> {
        let data = serde_json::to_value(data).map_err(|error| ToolError::Internal(error.to_string()))?;
        Ok(Self { text: text.into(), data, blocks: Vec::new(), locale: None })
    }

    /// The text for the model.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The data.
    #[must_use]
    pub fn data(&self) -> &Value {
        &self.data
    }

    /// The data alone.
    #[must_use]
    pub fn into_data(self) -> Value {
        self.data
    }

    /// Adds a block behind the text, such as an embedded resource.
    #[must_use]
    pub fn with_block(mut self, block: ContentBlock) -> Self {
        self.blocks.push(block);
        self
    }

    /// Names the language that the user chose for the page, if any (see [`LOCALE_META`]).
    #[must_use]
    pub fn with_locale(mut self, locale: Option<String>) -> Self {
        self.locale = locale;
        self
    }

    pub(crate) fn locale(&self) -> Option<&str> {
        self.locale.as_deref()
    }

    /// The time since the data were true, where their source could not be asked again.
    pub(crate) fn age(&self) -> Option<Duration> {
        self.data["stale_seconds"].as_u64().map(Duration::from_secs)
    }

    pub(crate) fn with_line(mut self, line: &str) -> Self {
        self.text = format!("{}\n{line}", self.text);
        self
    }
}

/// Reads a tool's arguments; the error names the argument that does not fit.
pub fn arguments<T: DeserializeOwned>(arguments: Option<JsonObject>) -> Result<T, ToolError> {
    let value = Value::Object(arguments.unwrap_or_default());
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let problem = error.into_inner().to_string();
        // At the top there is no path: the message itself names the missing or unknown argument.
        let field = if path == "." { named_in(&problem).unwrap_or("arguments").to_owned() } else { path };
        ToolError::Invalid { field, problem }
    })
}

/// The name between the first pair of back-ticks.
fn named_in(message: &str) -> Option<&str> {
    message.split('`').nth(1)
}

/// Turns what a tool found into what this client understands.
pub fn respond(
    result: Result<Answer, ToolError>,
    context: &RequestContext<RoleServer>,
) -> Result<CallToolResponse, ErrorData> {
    respond_saying(result, context, ToString::to_string)
}

/// As [`respond`], with failures in the words of `say`.
pub(crate) fn respond_saying(
    result: Result<Answer, ToolError>,
    context: &RequestContext<RoleServer>,
    say: impl Fn(&ToolError) -> String,
) -> Result<CallToolResponse, ErrorData> {
    let error = match result {
        Ok(answer) => return Ok(success(answer).into()),
        Err(error) => error,
    };
    let said = say(&error);
    let version = context.protocol_version().unwrap_or(ProtocolVersion::V_2025_03_26);
    if error.is_protocol_error(&version) {
        return Err(ErrorData::new(ErrorCode(error.code()), said, Some(error.data())));
    }
    Ok(failure(&error, said).into())
}

fn success(answer: Answer) -> CallToolResult {
    let mut content = vec![ContentBlock::text(answer.text)];
    content.extend(answer.blocks);
    let mut result = CallToolResult::success(content);
    result.structured_content = Some(answer.data);
    let meta = answer
        .locale
        .map(|locale| MetaObject([(LOCALE_META.to_owned(), locale.into())].into_iter().collect()));
    result.with_meta(meta)
}

fn failure(error: &ToolError, said: String) -> CallToolResult {
    let mut meta = JsonObject::new();
    meta.insert(ERROR_META.to_owned(), error.data());
    CallToolResult::error(vec![ContentBlock::text(said)]).with_meta(Some(MetaObject(meta)))
}

/// The answer to a call of a tool that the server does not have.
#[must_use]
pub fn unknown(name: &str) -> ErrorData {
    let shown: String = name.chars().take(80).collect();
    ErrorData::invalid_params(format!("unknown tool `{shown}`; tools/list names the tools there are"), None)
}
