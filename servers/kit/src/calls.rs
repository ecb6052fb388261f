//! What every call of a tool goes through, by whichever way it came: the user's limit, counting, the log, traces and reports.

use std::{panic::AssertUnwindSafe, sync::Arc, time::SystemTime};

use futures::FutureExt as _;
use rmcp::model::Tool;
use serde_json::Value;
use tracing::Instrument as _;

use crate::{
    Correlation, Metrics, Secret,
    audit::Audit,
    limit::Limit,
    messages::{Locale, Messages},
    metered::Running,
    metrics::Outcome,
    report::Reports,
    server::{Server, ToolCall},
    tool::{Answer, ToolError},
    trace::{Parent, Traces},
};

/// Longest session id that is looked at, in bytes.
const MAX_SESSION: usize = 256;

/// A server, and what its calls go through.
pub(crate) struct Calls<S> {
    pub(crate) server: Arc<S>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) limit: Option<Limit>,
    pub(crate) reports: Reports,
    pub(crate) traces: Traces,
    pub(crate) audit: Audit,
    pub(crate) messages: Messages,
}

impl<S: Server> Calls<S> {
    /// The tool of that name.
    pub(crate) fn tool(&self, name: &str) -> Option<&Tool> {
        self.server.tools().iter().find(|tool| tool.name == name)
    }

    /// What the caller is told of a failure, in the language it asked for. What failed within this server is told in the log alone.
    pub(crate) fn said(&self, error: &ToolError, languages: Option<&str>) -> String {
        let locale = Locale::negotiate(languages);
        let inner = matches!(error, ToolError::Internal(_) | ToolError::Away(_));
        let worded = locale != Locale::En || inner;
        if worded { self.messages.error(locale, error) } else { error.to_string() }
    }

    /// Carries a call of one of the server's tools out.
    pub(crate) async fn call(&self, mut call: ToolCall, parent: Parent) -> Result<Answer, ToolError> {
        name_session(&mut call);
        let arguments = self.audit.arguments(Some(&call.arguments));
        let mut running = Running::start(&self.metrics, self.audit, call.name.clone(), arguments);
        let span = tracing::info_span!("call", correlationId = %call.correlation, tool = call.name);
        let (correlation, tool) = (call.correlation.clone(), call.name.clone());
        let languages = call.caller.languages.clone();
        let trace = self.traces.begin(parent, format!("tools/call {tool}"));
        let since = SystemTime::now();
        let carried_out = correlation.clone().scope(trace.scope(self.guarded(call)).instrument(span));
        let result = carried_out.await;
        running.outcome = outcome(&result);
        let class = result.as_ref().err().map(ToolError::class);
        trace.end(
            since,
            class,
            &[("gen_ai.tool.name", &tool), ("portico.correlation_id", correlation.as_str())],
        );
        self.tell(&result, &tool, &correlation);
        result.map(|answer| self.dated(answer, languages.as_deref()))
    }

    /// Tells the operator of a failure that the caller can do nothing about.
    fn tell(&self, result: &Result<Answer, ToolError>, tool: &str, correlation: &Correlation) {
        match result {
            Err(ToolError::Internal(problem)) => {
                tracing::error!(%correlation, tool, problem, "a call failed by our own fault");
                self.reports.error(tool, correlation.as_str(), problem);
            }
            Err(ToolError::Away(problem)) => {
                tracing::warn!(%correlation, tool, problem, "a call failed since the data are away");
                self.reports.error(tool, correlation.as_str(), problem);
            }
            _ => {}
        }
    }

    /// Has the text tell how old the data are, where an older answer stands in.
    fn dated(&self, answer: Answer, languages: Option<&str>) -> Answer {
        match answer.age() {
            Some(age) => {
                let locale = Locale::negotiate(answer.locale().into_iter().chain(languages));
                answer.with_line(&self.messages.stale(locale, age))
            }
            None => answer,
        }
    }

    /// Within the user's limit, and with a panic as an error: it must end no other call.
    async fn guarded(&self, mut call: ToolCall) -> Result<Answer, ToolError> {
        call.user = self.server.identify(&call.caller).await?;
        if let Some(limit) = &self.limit {
            let per_minute = limit.per_minute().get();
            let taken = limit.take(call.caller.key(call.user.as_deref())).await;
            taken.map_err(|wait| ToolError::TooOften { per_minute, wait })?;
        }
        let carried_out = AssertUnwindSafe(self.server.call(call)).catch_unwind();
        carried_out.await.unwrap_or_else(|panic| Err(ToolError::Internal(said(panic.as_ref()))))
    }
}

/// A session named in the arguments counts where no cookie names one.
fn name_session(call: &mut ToolCall) {
    let named = call.arguments.get("session_id").and_then(Value::as_str);
    let named = named.filter(|id| !id.is_empty() && id.len() <= MAX_SESSION);
    if let Some(id) = named {
        call.caller.session = Some(Secret::new(id.to_owned()));
    }
}

fn said(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or(panic.downcast_ref::<String>().map(String::as_str));
    format!("panic: {}", text.unwrap_or("without a word"))
}

fn outcome(result: &Result<Answer, ToolError>) -> Outcome {
    match result {
        Ok(_) => Outcome::Ok,
        Err(ToolError::TooOften { .. } | ToolError::SignIn { .. }) => Outcome::Refused,
        Err(_) => Outcome::Failed,
    }
}
