//! A server made with the official SDK; it speaks both eras.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rmcp::model::*;
use rmcp::service::{RequestContext, SubscriptionContext};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ErrorData, Peer, RoleServer, ServerHandler};
use tokio::net::TcpListener;
use tokio::sync::{broadcast, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

#[derive(Clone)]
pub struct Shop {
    state: Arc<State>,
}

struct State {
    tools: Mutex<Vec<String>>,
    peers: Mutex<Vec<Peer<RoleServer>>>,
    changed: broadcast::Sender<()>,
    waiting: watch::Sender<usize>,
    cancelled: watch::Sender<usize>,
}

fn tool(name: &str) -> Tool {
    let schema = serde_json::json!({ "type": "object" }).as_object().unwrap().clone();
    Tool::new(name.to_owned(), "A tool", schema)
}

impl ServerHandler for Shop {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_tool_list_changed()
            .enable_resources()
            .enable_prompts()
            .build();
        ServerConfig::new(capabilities).with_server_info(Implementation::new("shop", "1"))
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let tools = self.state.tools.lock().unwrap().iter().map(|name| tool(name)).collect();
        Ok(ListToolsResult::with_all_items(tools))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        Some(tool(name))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        match request.name.as_ref() {
            "count" => self.count(&context).await,
            "wait" => {
                self.state.waiting.send_modify(|count| *count += 1);
                context.ct.cancelled().await;
                self.state.cancelled.send_modify(|count| *count += 1);
                Err(ErrorData::internal_error("cancelled", None))
            }
            name => {
                let arguments = serde_json::to_string(&request.arguments).unwrap();
                Ok(CallToolResult::success(vec![ContentBlock::text(format!("{name} {arguments}"))]).into())
            }
        }
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        Ok(ListResourcesResult::with_all_items(vec![Resource::new("shop://hours", "hours")]))
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        let template = ResourceTemplate::new("shop://items/{id}", "item");
        Ok(ListResourceTemplatesResult::with_all_items(vec![template]))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        if request.uri == "shop://items/missing" {
            return Err(ErrorData::resource_not_found("no such item", None));
        }
        let text = format!("text of {}", request.uri);
        Ok(ReadResourceResult::new(vec![ResourceContents::text(text, request.uri)]).into())
    }

    async fn list_prompts(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        Ok(ListPromptsResult::with_all_items(vec![Prompt::new("greet", Some("Greets"), None)]))
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        Ok(GetPromptResult::new(vec![PromptMessage::new_text(Role::User, request.name)]).into())
    }

    async fn on_initialized(&self, context: rmcp::service::NotificationContext<RoleServer>) {
        self.state.peers.lock().unwrap().push(context.peer);
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        Some(requested.clone())
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let mut changed = self.state.changed.subscribe();
        loop {
            tokio::select! {
                () = context.cancelled() => return Ok(()),
                _ = changed.recv() => {
                    if context.sink().notify_tool_list_changed().await.is_err() {
                        return Ok(());
                    }
                }
            }
        }
    }
}

impl Shop {
    async fn count(&self, context: &RequestContext<RoleServer>) -> Result<CallToolResponse, ErrorData> {
        let token = context.meta.get_progress_token();
        let token = token.ok_or_else(|| ErrorData::invalid_params("no progress token", None))?;
        for step in 1..=3 {
            let progress = ProgressNotificationParam::new(token.clone(), f64::from(step));
            let sent = context.peer.notify_progress(progress).await;
            sent.map_err(|error| ErrorData::internal_error(error.to_string(), None))?;
        }
        Ok(CallToolResult::success(vec![ContentBlock::text("counted")]).into())
    }
}

pub struct RealServer {
    pub address: SocketAddr,
    shop: Shop,
    sessions: Arc<LocalSessionManager>,
    _stop: DropGuard,
}

impl RealServer {
    pub async fn start(tools: &[&str]) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").await.unwrap(), tools)
    }

    fn on(listener: TcpListener, tools: &[&str]) -> Self {
        let address = listener.local_addr().unwrap();
        let state = State {
            tools: Mutex::new(tools.iter().map(|tool| (*tool).to_owned()).collect()),
            peers: Mutex::default(),
            changed: broadcast::channel(16).0,
            waiting: watch::Sender::new(0),
            cancelled: watch::Sender::new(0),
        };
        let shop = Shop { state: Arc::new(state) };
        let (handler, sessions) = (shop.clone(), Arc::new(LocalSessionManager::default()));
        let stop = CancellationToken::new();
        let config = StreamableHttpServerConfig::default()
            .with_sse_keep_alive(Some(Duration::from_secs(1)))
            .with_cancellation_token(stop.clone());
        let service = StreamableHttpService::new(move || Ok(handler.clone()), Arc::clone(&sessions), config);
        let router = axum::Router::new().nest_service("/mcp", service);
        let token = stop.clone();
        tokio::spawn(
            async move { token.run_until_cancelled(axum::serve(listener, router).into_future()).await },
        );
        Self { address, shop, sessions, _stop: stop.drop_guard() }
    }

    pub fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    /// Replaces the tools and tells everybody.
    pub async fn set_tools(&self, tools: &[&str]) {
        *self.shop.state.tools.lock().unwrap() = tools.iter().map(|tool| (*tool).to_owned()).collect();
        self.shop.state.changed.send(()).ok();
        let peers = self.shop.state.peers.lock().unwrap().clone();
        for peer in peers {
            peer.notify_tool_list_changed().await.ok();
        }
    }

    /// Forgets all sessions, as after a restart.
    pub async fn lose_sessions(&self) {
        self.sessions.sessions.write().await.clear();
    }

    pub async fn until_waiting(&self, calls: usize) {
        wait(&self.shop.state.waiting, calls).await;
    }

    pub async fn until_cancelled(&self, calls: usize) {
        wait(&self.shop.state.cancelled, calls).await;
    }
}

async fn wait(count: &watch::Sender<usize>, wanted: usize) {
    let mut count = count.subscribe();
    let waiting = count.wait_for(|count| *count >= wanted);
    tokio::time::timeout(super::support::PATIENCE, waiting)
        .await
        .expect("the server gets there in time")
        .unwrap();
}
