//! `ShopConnector`.

pub mod config;
pub mod reference;
pub mod render;
pub mod status;
pub mod validate;

use std::{collections::BTreeSet, pin::Pin, sync::Arc};

use jiff::Timestamp;
use kube::{Client, ResourceExt as _};
use portico_crds::{ShopConnector, ShopConnectorStatus, shop_connector::ServerName};
use tokio_util::sync::CancellationToken;

use crate::{
    child::Children,
    error::Error,
    health::Readiness,
    kind::{Kind, Outcome, Refusal},
    metrics::Metrics,
    reference::{Kind as Referred, objects},
    referrers::Referrers,
    rendered::RenderedServer,
    resolve::resolve,
    watches::{Scope, Watches},
};

use status::Applied;
use validate::{ValidatedShop, validate};

/// Value of the children's label `app.kubernetes.io/component`.
pub const COMPONENT: &str = "shop";
/// Every server that a shop can have.
const ALL: [ServerName; 5] = [
    ServerName::Storefront,
    ServerName::Admin,
    ServerName::Inventory,
    ServerName::Intent,
    ServerName::Notifications,
];

/// What the passes over shops work with.
pub struct ShopConnectors {
    client: Client,
    servers: Children<RenderedServer>,
    referrers: Arc<Referrers>,
}

/// Acts on shops until `shutdown`. The future is boxed, so that it is compiled here, once.
#[must_use]
pub fn run(
    scope: Scope,
    metrics: Metrics,
    readiness: Readiness,
    shutdown: CancellationToken,
) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    let (client, referrers) = (scope.client.clone(), Arc::new(Referrers::default()));
    let (watches, servers) = Watches::<ShopConnector>::new(scope, COMPONENT, metrics).own();
    let watches = watches.referred(&[Referred::Secret, Referred::ConfigMap], &referrers);
    Box::pin(watches.run(ShopConnectors { client, servers, referrers }, readiness, shutdown))
}

impl Kind for ShopConnectors {
    type Resource = ShopConnector;
    type Applied = Applied;
    type Seen = ();

    async fn filled(&self) -> Result<(), Error> {
        self.servers.filled().await
    }

    fn see(&self, _: &ShopConnector) {}

    async fn apply(&self, shop: &ShopConnector) -> Result<Result<Applied, Refusal>, Error> {
        let (namespace, references) =
            (shop.namespace().unwrap_or_default(), reference::references(&shop.spec));
        // Noted before they are read, so that no change between the two goes unseen.
        self.referrers.note(&namespace, &shop.name_any(), objects(&references));
        let references = resolve(&self.client, &namespace, references).await?;
        match validate(shop, &references) {
            Ok(validated) => self.deploy(&validated).await.map(Ok),
            Err(refusal) => Ok(Err(refusal)),
        }
    }

    fn status(
        shop: &ShopConnector,
        (): &(),
        outcome: &Outcome<'_, Applied>,
        now: Timestamp,
    ) -> ShopConnectorStatus {
        status::status(shop, outcome, now)
    }

    fn forget(&self, namespace: &str, name: &str) {
        for server in ALL {
            self.servers.forget(namespace, &render::server_name(name, server));
        }
        self.referrers.forget(namespace, name);
    }
}

impl ShopConnectors {
    /// Writes the wanted servers, then removes those that are wanted no more.
    async fn deploy(&self, shop: &ValidatedShop) -> Result<Applied, Error> {
        let (mut applied, owner) = (Applied::new(), &shop.owner);
        for (name, server) in render::servers(shop) {
            applied.push((name, self.servers.apply(&server).await?));
        }
        let wanted: BTreeSet<String> =
            applied.iter().map(|(name, _)| render::server_name(&owner.name, *name)).collect();
        for server in self.servers.of(&owner.namespace, &owner.uid) {
            let name = server.name_any();
            if !wanted.contains(&name) {
                self.servers.remove(&owner.namespace, &name, &owner.uid).await?;
            }
        }
        Ok(applied)
    }
}
