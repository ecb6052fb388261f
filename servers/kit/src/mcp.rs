//! A server's MCP side, in both eras.

use std::sync::Arc;

use http::{HeaderMap, header, request::Parts};
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, ExtensionCapabilities, Implementation, JsonObject,
        ListResourcesResult, ListToolsResult, PaginatedRequestParams, ReadResourceRequestParams,
        ReadResourceResponse, ServerCapabilities, ServerConfig, Tool,
    },
    service::RequestContext,
};
use serde_json::json;

use crate::{
    caller::Correlation,
    calls::Calls,
    component::MIME_TYPE,
    host::Callers,
    server::{Server, ToolCall},
    tool::{self, ToolError},
    trace::Parent,
};

/// The extension by which hosts show pages (SEP-1865).
const UI: &str = "io.modelcontextprotocol/ui";

/// The one caller over standard input.
const OWNER: &str = "owner of the process";

/// The handler of a server.
pub(crate) struct Mcp<S> {
    pub(crate) calls: Arc<Calls<S>>,
    pub(crate) callers: Arc<Callers>,
}

impl<S> Clone for Mcp<S> {
    fn clone(&self) -> Self {
        Self { calls: Arc::clone(&self.calls), callers: Arc::clone(&self.callers) }
    }
}

type Context = RequestContext<RoleServer>;
type Page = Option<PaginatedRequestParams>;

impl<S: Server> ServerHandler for Mcp<S> {
    fn get_info(&self) -> ServerConfig {
        let about = self.calls.server.about();
        let mut extensions = ExtensionCapabilities::new();
        let tools = ServerCapabilities::builder().enable_tools();
        let capabilities = if self.calls.server.components().is_empty() {
            tools.build()
        } else {
            let mut settings = JsonObject::new();
            settings.insert("mimeTypes".to_owned(), json!([MIME_TYPE]));
            extensions.insert(UI.to_owned(), settings);
            tools.enable_resources().enable_extensions_with(extensions).build()
        };
        let mut names = Implementation::new(about.name, about.version);
        names.title = Some(about.title.to_owned());
        ServerConfig::new(capabilities).with_server_info(names).with_instructions(about.instructions)
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.calls.tool(name).cloned()
    }

    async fn list_tools(&self, _request: Page, _context: Context) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(self.calls.server.tools().to_vec()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: Context,
    ) -> Result<CallToolResponse, ErrorData> {
        if self.calls.tool(&request.name).is_none() {
            self.calls.metrics.call_of_nothing();
            return Err(tool::unknown(&request.name));
        }
        let none = HeaderMap::new();
        let parts = context.extensions.get::<Parts>();
        let headers = parts.map_or(&none, |parts| &parts.headers);
        let address = parts.and_then(|parts| Callers::address(&parts.extensions));
        let mut caller = match self.callers.of(headers, address).await {
            Ok(caller) => caller,
            Err(refusal) => {
                let error = ToolError::SignIn { problem: refusal.to_string(), url: None };
                return tool::respond_saying(Err(error), &context, ToString::to_string);
            }
        };
        if parts.is_none() {
            // Whoever started the process speaks to it over its standard input, and nobody else does.
            caller.subject = Some(OWNER.into());
        }
        let call = ToolCall {
            name: request.name.into_owned(),
            arguments: request.arguments.unwrap_or_default(),
            caller,
            user: None,
            correlation: Correlation::of_headers(headers),
        };
        let languages = call.caller.languages.clone();
        let result = self.calls.call(call, Parent::of_headers(headers)).await;
        tool::respond_saying(result, &context, |error| self.calls.said(error, languages.as_deref()))
    }

    async fn list_resources(
        &self,
        _request: Page,
        _context: Context,
    ) -> Result<ListResourcesResult, ErrorData> {
        let all = self.calls.server.components().iter().map(crate::component::Component::resource).collect();
        Ok(ListResourcesResult::with_all_items(all))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _context: Context,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let found =
            self.calls.server.components().iter().find(|component| component.keeps(&request.uri).is_some());
        found.map(|component| component.read(&request.uri).into()).ok_or_else(|| {
            let shown: String = request.uri.chars().take(200).collect();
            ErrorData::resource_not_found(
                format!("there is no `{shown}`; resources/list names what there is"),
                None,
            )
        })
    }
}

/// The languages of a request.
pub(crate) fn languages(headers: &HeaderMap) -> Option<Arc<str>> {
    let text = headers.get(header::ACCEPT_LANGUAGE)?.to_str().ok()?;
    (text.len() <= 200).then(|| text.into())
}
