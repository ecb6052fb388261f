//! `McpServer`.

pub mod apply;
pub mod reference;
pub mod render;
pub mod status;
pub mod validate;

use std::{pin::Pin, sync::Arc};

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use kube::{Client, ResourceExt as _};
use portico_crds::{McpServer, McpServerStatus, labels};
use tokio_util::sync::CancellationToken;

use crate::{
    error::Error,
    health::Readiness,
    kind::{Kind, Outcome, Refusal},
    metrics::Metrics,
    reference::{Kind as Referred, objects},
    referrers::Referrers,
    resolve::{pods, resolve},
    watches::{Scope, Watches},
    workload,
};

use apply::Owned;
use status::Applied;
use validate::{Settings, ValidatedServer, validate};

/// Value of the children's label `app.kubernetes.io/component`.
pub const COMPONENT: &str = "server";

/// What the passes over servers work with.
pub struct McpServers {
    client: Client,
    settings: Settings,
    owned: Owned,
    referrers: Arc<Referrers>,
}

/// Acts on servers until `shutdown`. The future is boxed, so that it is compiled here, once.
#[must_use]
pub fn run(
    scope: Scope,
    settings: Settings,
    metrics: Metrics,
    readiness: Readiness,
    shutdown: CancellationToken,
) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    let (client, referrers) = (scope.client.clone(), Arc::new(Referrers::default()));
    let (watches, owned) = Owned::watch(Watches::<McpServer>::new(scope, COMPONENT, metrics));
    let named = [
        Referred::Secret,
        Referred::ConfigMap,
        Referred::Service,
        Referred::Volume,
        Referred::Claim,
        Referred::ClaimTemplate,
    ];
    let watches = watches.pods(labels::MCP_SERVER).referred(&named, &referrers);
    Box::pin(watches.run(McpServers { client, settings, owned, referrers }, readiness, shutdown))
}

impl Kind for McpServers {
    type Resource = McpServer;
    type Applied = Applied;
    type Seen = Option<Arc<Deployment>>;

    async fn filled(&self) -> Result<(), Error> {
        self.owned.filled().await
    }

    fn see(&self, server: &McpServer) -> Option<Arc<Deployment>> {
        let namespace = server.namespace().unwrap_or_default();
        self.owned.deployments.current(&namespace, &render::child_name(&server.name_any()))
    }

    async fn apply(&self, server: &McpServer) -> Result<Result<Applied, Refusal>, Error> {
        let (namespace, references) =
            (server.namespace().unwrap_or_default(), reference::references(&server.spec));
        // Noted before they are read, so that no change between the two goes unseen.
        self.referrers.note(&namespace, &server.name_any(), objects(&references));
        let references = resolve(&self.client, &namespace, references).await?;
        match validate(server, &references, &self.settings) {
            Ok(validated) => self.deploy(Box::new(validated), self.see(server)).await.map(Ok),
            Err(refusal) => Ok(Err(refusal)),
        }
    }

    fn status(
        server: &McpServer,
        deployment: &Option<Arc<Deployment>>,
        outcome: &Outcome<'_, Applied>,
        now: Timestamp,
    ) -> McpServerStatus {
        status::status(server, deployment.as_deref(), outcome, now)
    }

    fn forget(&self, namespace: &str, name: &str) {
        self.owned.forget(namespace, name);
        self.referrers.forget(namespace, name);
    }
}

impl McpServers {
    /// The server is boxed, for the future of a pass holds it as long as it runs.
    async fn deploy(
        &self,
        server: Box<ValidatedServer>,
        live: Option<Arc<Deployment>>,
    ) -> Result<Applied, Error> {
        let service = self.owned.services.current(&server.namespace, &render::child_name(&server.name));
        let server = Box::new(render::kept(*server, live.as_deref(), service.as_deref()));
        let desired = render::render(&server);
        let deployment = self.owned.apply(&self.client, &server, desired).await?;
        let unsettled = deployment.as_ref().is_some_and(|deployment| !workload::rolled_out(deployment));
        let pods = if unsettled {
            pods(&self.client, &server.namespace, labels::MCP_SERVER, &server.name).await?
        } else {
            Vec::new()
        };
        Ok(Applied { server: *server, pods })
    }
}
