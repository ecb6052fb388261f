//! Clients made with the official SDK, of either era.

use std::collections::BTreeSet;

use rmcp::model::{CallToolRequestParams, ProtocolVersion};
use rmcp::service::{ClientLifecycleMode, ClientServiceExt as _, RoleClient, RunningService};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use serde_json::Value;

pub type Client = RunningService<RoleClient, ()>;

/// The session-based revisions and the stateless one.
pub fn eras() -> [ClientLifecycleMode; 2] {
    let modern = ClientLifecycleMode::Discover { preferred_versions: vec![ProtocolVersion::V_2026_07_28] };
    [ClientLifecycleMode::Initialize, modern]
}

pub async fn connect(url: &str, era: ClientLifecycleMode) -> Client {
    rustls::crypto::ring::default_provider().install_default().ok();
    let config = StreamableHttpClientTransportConfig::with_uri(url.to_owned());
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    ().serve_with_lifecycle(StreamableHttpClientTransport::with_client(client, config), era).await.unwrap()
}

/// A client of the newest revision.
pub async fn modern(url: &str) -> Client {
    let [_, modern] = eras();
    connect(url, modern).await
}

pub async fn tools(client: &Client) -> BTreeSet<String> {
    client.list_all_tools().await.unwrap().into_iter().map(|tool| tool.name.into_owned()).collect()
}

/// Calls a tool, which must succeed.
pub async fn call(client: &Client, tool: &str, arguments: Value) -> Value {
    let arguments = arguments.as_object().cloned().unwrap();
    let result = client
        .call_tool(CallToolRequestParams::new(tool.to_owned()).with_arguments(arguments))
        .await
        .unwrap();
    assert_ne!(result.is_error, Some(true), "{:?}", result.content);
    serde_json::to_value(result).unwrap()
}

/// The path that the files server gives a file whose name ends so.
pub async fn read(client: &Client, tool: &str, path: &str) -> String {
    call(client, tool, serde_json::json!({ "path": path })).await.to_string()
}
