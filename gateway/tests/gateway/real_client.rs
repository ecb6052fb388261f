//! Clients made with the official SDK, of either era.

use std::sync::{Arc, Mutex};

use rmcp::model::*;
use rmcp::service::{NotificationContext, RequestContext, RunningService};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::{ClientHandler, ClientLifecycleMode, ClientServiceExt, ErrorData, RoleClient};

#[derive(Clone, Default)]
pub struct Ears {
    pub progress: Arc<Mutex<Vec<f64>>>,
}

impl ClientHandler for Ears {
    fn get_info(&self) -> ClientConfig {
        let capabilities = ClientCapabilities::builder().enable_elicitation().build();
        ClientConfig::new(capabilities, Implementation::new("ears", "1"))
    }

    async fn create_elicitation(
        &self,
        _: ElicitRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        let content = serde_json::json!({ "name": "Ada", "color": "blue" });
        Ok(ElicitResult::new(ElicitationAction::Accept).with_content(content))
    }

    async fn on_progress(&self, params: ProgressNotificationParam, _: NotificationContext<RoleClient>) {
        self.progress.lock().unwrap().push(params.progress);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientEra {
    Legacy,
    Modern,
}

pub type RealClient = RunningService<RoleClient, Ears>;

pub async fn connect(url: &str, era: ClientEra) -> RealClient {
    let mode = match era {
        ClientEra::Legacy => ClientLifecycleMode::Initialize,
        ClientEra::Modern => {
            ClientLifecycleMode::Discover { preferred_versions: vec![ProtocolVersion::V_2026_07_28] }
        }
    };
    let config = StreamableHttpClientTransportConfig::with_uri(url.to_owned());
    let transport = StreamableHttpClientTransport::with_client(super::support::http_client(), config);
    Ears::default().serve_with_lifecycle(transport, mode).await.unwrap()
}
