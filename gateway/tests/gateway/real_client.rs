//! Clients made with the official SDK, of either era.

use std::sync::{Arc, Mutex};

use rmcp::model::*;
use rmcp::service::{NotificationContext, RunningService};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::{ClientHandler, ClientLifecycleMode, ClientServiceExt, RoleClient};

#[derive(Clone, Default)]
pub struct Ears {
    pub progress: Arc<Mutex<Vec<f64>>>,
}

impl ClientHandler for Ears {
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
