//! `KrogerIntegration`.

pub mod apply;
pub mod keyring;
pub mod keys;
pub mod reference;
pub mod render;
pub mod status;
pub mod validate;

use std::{pin::Pin, sync::Arc, time::Duration};

use jiff::Timestamp;
use kube::{Client, ResourceExt as _};
use portico_crds::{KrogerIntegration, KrogerIntegrationStatus};
use tokio_util::sync::CancellationToken;

use crate::{
    checks::{Checks, Target},
    error::Error,
    health::Readiness,
    kind::{Kind, Outcome, RECHECK, Refusal},
    mcp_server::render::child_name,
    metrics::Metrics,
    reference::{Kind as Referred, objects},
    referrers::Referrers,
    rendered::RenderedServer,
    resolve::resolve,
    watches::{Scope, Watches},
};

use apply::Owned;
use status::{Applied, Credentials};
use validate::{ValidatedIntegration, validate};

/// Value of the children's label `app.kubernetes.io/component`.
pub const COMPONENT: &str = "kroger";
/// When to ask a server again that waits for the upstream's answer.
const SOON: Duration = Duration::from_secs(5);
/// When to ask a server again whose credentials are not known to be good.
const DOUBTFUL: Duration = Duration::from_secs(30);

/// What the passes over integrations work with.
pub struct KrogerIntegrations {
    client: Client,
    checks: Checks,
    owned: Owned,
    referrers: Arc<Referrers>,
}

/// Acts on integrations until `shutdown`. The future is boxed, so that it is compiled here, once.
#[must_use]
pub fn run(
    scope: Scope,
    checks: Checks,
    metrics: Metrics,
    readiness: Readiness,
    shutdown: CancellationToken,
) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    let (client, referrers) = (scope.client.clone(), Arc::new(Referrers::default()));
    let (watches, owned) = Owned::watch(Watches::<KrogerIntegration>::new(scope, COMPONENT, metrics));
    let named = [Referred::Secret, Referred::ConfigMap, Referred::Volume];
    let watches = watches.referred(&named, &referrers);
    Box::pin(watches.run(KrogerIntegrations { client, checks, owned, referrers }, readiness, shutdown))
}

impl Kind for KrogerIntegrations {
    type Resource = KrogerIntegration;
    type Applied = Applied;
    type Seen = ();

    async fn filled(&self) -> Result<(), Error> {
        self.owned.filled().await
    }

    fn see(&self, _: &KrogerIntegration) {}

    async fn apply(&self, integration: &KrogerIntegration) -> Result<Result<Applied, Refusal>, Error> {
        let namespace = integration.namespace().unwrap_or_default();
        let references = reference::references(&integration.spec);
        // Noted before they are read, so that no change between the two goes unseen.
        self.referrers.note(&namespace, &integration.name_any(), objects(&references));
        let references = resolve(&self.client, &namespace, references).await?;
        match validate(integration, &references) {
            Ok(validated) => self.deploy(&validated).await.map(Ok),
            Err(refusal) => Ok(Err(refusal)),
        }
    }

    fn status(
        integration: &KrogerIntegration,
        (): &(),
        outcome: &Outcome<'_, Applied>,
        now: Timestamp,
    ) -> KrogerIntegrationStatus {
        status::status(integration, outcome, now)
    }

    fn again(applied: &Applied) -> Duration {
        let is_ready = applied.server.as_ref().is_some_and(RenderedServer::is_ready);
        let ask = match applied.credentials {
            // One that is wanted again tells of it by its status.
            Credentials::Accepted(_) | Credentials::NotWanted => RECHECK,
            Credentials::Asked => SOON,
            // A server that is not ready tells of the change by its status.
            _ if is_ready => DOUBTFUL,
            _ => RECHECK,
        };
        // A second later than due, so that a clock read twice does not come too early.
        let due = applied.until_next.map(|seconds| Duration::from_secs(seconds.saturating_add(1)));
        due.map_or(ask, |due| due.min(ask))
    }

    fn forget(&self, namespace: &str, name: &str) {
        self.owned.forget(namespace, name);
        self.referrers.forget(namespace, name);
    }
}

impl KrogerIntegrations {
    /// While the keys cannot be read nothing else is touched: pods that start now could not open a session.
    async fn deploy(&self, integration: &ValidatedIntegration) -> Result<Applied, Error> {
        let settled = match self.owned.keys(integration).await? {
            Ok(settled) => settled,
            Err(fault) => {
                let credentials = Credentials::Unknown("The session keys cannot be read");
                return Ok(Applied { keys: Err(fault), server: None, credentials, until_next: None });
            }
        };
        let server = Arc::unwrap_or_clone(self.owned.apply(integration).await?);
        let credentials = self.credentials(integration, &server).await;
        let until_next = settled.until_next;
        Ok(Applied { keys: Ok(settled.keys), server: Some(server), credentials, until_next })
    }

    /// Asks the server, where it is there to answer.
    async fn credentials(&self, integration: &ValidatedIntegration, server: &RenderedServer) -> Credentials {
        if server.is_at_zero() {
            return Credentials::NotWanted;
        }
        if !server.is_ready() {
            return Credentials::Unknown("The server is not ready");
        }
        let owner = &integration.owner;
        let target = Target {
            namespace: &owner.namespace,
            service: &child_name(&render::server_name(&owner.name)),
            port: render::server_spec(integration).port,
        };
        Credentials::from_checks(self.checks.ask(&target).await.as_deref())
    }
}
