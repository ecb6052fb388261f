//! A handler that counts the tool calls of the handler inside it.

use std::{borrow::Cow, sync::Arc, time::Instant};

use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, CancelledNotificationParam, CompleteRequestParams,
        CompleteResult, DiscoverResult, GetPromptRequestParams, GetPromptResponse, InitializeRequestParams,
        InitializeResult, ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult,
        ListToolsResult, PaginatedRequestParams, ProtocolVersion, ReadResourceRequestParams,
        ReadResourceResponse, ServerConfig, SubscriptionFilter, Tool,
    },
    service::{NotificationContext, RequestContext, SubscriptionContext},
};

use crate::{
    audit::Audit,
    metrics::{Metrics, Outcome},
};

/// `inner`, with its tool calls counted.
#[derive(Clone)]
pub(crate) struct Metered<H> {
    inner: H,
    metrics: Arc<Metrics>,
    audit: Audit,
}

impl<H> Metered<H> {
    pub(crate) fn new(inner: H, metrics: Arc<Metrics>) -> Self {
        Self { inner, metrics, audit: Audit::of_process() }
    }
}

/// One running call; counted as cancelled when it is dropped before it ended.
pub(crate) struct Running<'a> {
    metrics: &'a Metrics,
    audit: Audit,
    tool: String,
    arguments: Option<String>,
    pub(crate) outcome: Outcome,
    since: Instant,
}

impl<'a> Running<'a> {
    pub(crate) fn start(metrics: &'a Metrics, audit: Audit, tool: String, arguments: Option<String>) -> Self {
        metrics.call_started();
        Self { metrics, audit, tool, arguments, outcome: Outcome::Cancelled, since: Instant::now() }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let took = self.since.elapsed();
        self.metrics.call_ended(&self.tool, self.outcome, took);
        self.audit.note(&self.tool, self.outcome.as_str(), took, self.arguments.as_deref());
    }
}

fn outcome(result: &Result<CallToolResponse, ErrorData>) -> Outcome {
    match result {
        Ok(CallToolResponse::Complete(done)) if done.is_error == Some(true) => Outcome::Failed,
        Ok(_) => Outcome::Ok,
        Err(_) => Outcome::Refused,
    }
}

type Context = RequestContext<RoleServer>;
type Page = Option<PaginatedRequestParams>;

impl<H: ServerHandler> ServerHandler for Metered<H> {
    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: Context,
    ) -> Result<CallToolResponse, ErrorData> {
        // A name from outside must not become a label: every invented name would be a new time series.
        let known = self.inner.get_tool(&request.name).is_some();
        let tool = if known { request.name.to_string() } else { "unknown".to_owned() };
        let arguments = self.audit.arguments(request.arguments.as_ref());
        let mut running = Running::start(&self.metrics, self.audit, tool, arguments);
        let cancelled = context.ct.clone();
        let result = self.inner.call_tool(request, context).await;
        if !cancelled.is_cancelled() {
            running.outcome = outcome(&result);
        }
        result
    }

    async fn list_tools(&self, request: Page, context: Context) -> Result<ListToolsResult, ErrorData> {
        self.inner.list_tools(request, context).await
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.inner.get_tool(name)
    }

    fn get_info(&self) -> ServerConfig {
        self.inner.get_info()
    }

    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        self.inner.supported_protocol_versions()
    }

    async fn initialize(
        &self,
        request: InitializeRequestParams,
        context: Context,
    ) -> Result<InitializeResult, ErrorData> {
        self.inner.initialize(request, context).await
    }

    async fn discover(&self, context: Context) -> Result<DiscoverResult, ErrorData> {
        self.inner.discover(context).await
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        context: Context,
    ) -> Result<CompleteResult, ErrorData> {
        self.inner.complete(request, context).await
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        context: Context,
    ) -> Result<GetPromptResponse, ErrorData> {
        self.inner.get_prompt(request, context).await
    }

    async fn list_prompts(&self, request: Page, context: Context) -> Result<ListPromptsResult, ErrorData> {
        self.inner.list_prompts(request, context).await
    }

    async fn list_resources(
        &self,
        request: Page,
        context: Context,
    ) -> Result<ListResourcesResult, ErrorData> {
        self.inner.list_resources(request, context).await
    }

    async fn list_resource_templates(
        &self,
        request: Page,
        context: Context,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        self.inner.list_resource_templates(request, context).await
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: Context,
    ) -> Result<ReadResourceResponse, ErrorData> {
        self.inner.read_resource(request, context).await
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        self.inner.accepted_subscription_filter(requested)
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        self.inner.listen(context).await
    }

    async fn on_cancelled(
        &self,
        notification: CancelledNotificationParam,
        context: NotificationContext<RoleServer>,
    ) {
        self.inner.on_cancelled(notification, context).await;
    }

    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        self.inner.on_initialized(context).await;
    }

    async fn on_roots_list_changed(&self, context: NotificationContext<RoleServer>) {
        self.inner.on_roots_list_changed(context).await;
    }
}
