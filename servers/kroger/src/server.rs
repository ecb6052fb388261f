//! The MCP side.

use std::sync::Arc;

use jiff::Timestamp;
use portico_kit::{
    Checks, ConfigError, Metrics,
    tool::{self, Answer, Effect, ToolError, define},
};
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, Implementation, ListToolsResult, PaginatedRequestParams,
        ServerCapabilities, ServerConfig, Tool,
    },
    service::RequestContext,
};

use crate::{api::Api, config::Config, products, stores};

/// The server's handler; clones share everything.
#[derive(Clone)]
pub struct Kroger {
    api: Arc<Api>,
    store: Option<Arc<str>>,
    tools: Arc<Vec<Tool>>,
}

impl Kroger {
    /// A handler that counts its calls to Kroger in `metrics`, and tells in `checks` whether Kroger takes the
    /// credentials.
    pub fn new(config: Config, metrics: Arc<Metrics>, checks: &Arc<Checks>) -> Result<Self, ConfigError> {
        Ok(Self {
            api: Arc::new(Api::new(&config, metrics, checks.add("credentials"))?),
            store: config.location.map(Arc::from),
            tools: Arc::new(tools()),
        })
    }

    /// Keeps a token at hand. Never ends.
    pub async fn keep_token(&self) {
        self.api.keep_token().await;
    }

    async fn call(&self, request: CallToolRequestParams) -> Result<Answer, ToolError> {
        match request.name.as_ref() {
            "search_products_advanced" => {
                products::search(&self.api, self.store.as_deref(), tool::arguments(request.arguments)?).await
            }
            "store_locator_advanced" => {
                stores::locate(&self.api, tool::arguments(request.arguments)?, Timestamp::now()).await
            }
            other => Err(ToolError::Internal(format!("tool `{other}` is listed and not written"))),
        }
    }
}

fn tools() -> Vec<Tool> {
    vec![
        define::<products::Request, products::Found>(
            "search_products_advanced",
            "Search Kroger products",
            "Searches Kroger's products. With a store (filters.location_id) there are prices, stock and \
             aisles, and filters and order by price.",
            Effect::ReadsOutside,
        ),
        define::<stores::Request, stores::Found>(
            "store_locator_advanced",
            "Find Kroger stores",
            "Finds stores near a ZIP code or a point, with the services wanted, and tells which are open now.",
            Effect::ReadsOutside,
        ),
    ]
}

impl ServerHandler for Kroger {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new("portico-kroger", env!("CARGO_PKG_VERSION")))
            .with_instructions(
                "Products and stores of Kroger and its chains. Find a store first: prices belong to one.",
            )
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.tools.iter().find(|tool| tool.name == name).cloned()
    }

    async fn list_tools(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(self.tools.to_vec()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        if self.get_tool(&request.name).is_none() {
            return Err(tool::unknown(&request.name));
        }
        tool::respond(self.call(request).await, &context)
    }
}
