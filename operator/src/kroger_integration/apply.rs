//! Makes the cluster hold the desired objects of one integration.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Secret};
use portico_crds::KrogerIntegration;

use super::{
    keyring::fresh,
    keys::{Settled, Step, decide},
    render,
    validate::ValidatedIntegration,
};
use crate::{child::Children, error::Error, metrics::Why, rendered::RenderedServer, watches::Watches};

/// Times that a lost race for the Secret is taken up again within one pass.
const ATTEMPTS: usize = 4;

/// The children of all integrations, by kind.
pub struct Owned {
    /// Session keys.
    pub secrets: Children<Secret>,
    /// Volumes of embedded storage.
    pub claims: Children<PersistentVolumeClaim>,
    /// Servers.
    pub servers: Children<RenderedServer>,
}

impl Owned {
    /// Watches every kind of child.
    pub fn watch(watches: Watches<KrogerIntegration>) -> (Watches<KrogerIntegration>, Self) {
        let (watches, secrets) = watches.own();
        let (watches, claims) = watches.own();
        let (watches, servers) = watches.own();
        (watches, Self { secrets, claims, servers })
    }

    /// Waits until every cache has been filled once: an empty cache says nothing.
    pub async fn filled(&self) -> Result<(), Error> {
        self.secrets.filled().await?;
        self.claims.filled().await?;
        self.servers.filled().await
    }

    /// Drops what is remembered of an integration that is gone.
    pub fn forget(&self, namespace: &str, integration: &str) {
        self.secrets.forget(namespace, &render::keys_name(integration));
        self.claims.forget(namespace, &render::claim_name(integration));
        self.servers.forget(namespace, &render::server_name(integration));
    }

    /// The session keys, made where there are none and rotated where that is asked for; the inner error says why they
    /// cannot be read.
    ///
    /// Nothing but the first creation and a write under the version that was read touches them, so of two operators
    /// that act at once one comes too late and sees what the other has written.
    pub async fn keys(&self, integration: &ValidatedIntegration) -> Result<Result<Settled, String>, Error> {
        let (namespace, name) = (&integration.owner.namespace, render::keys_name(&integration.owner.name));
        let server = self.servers.current(namespace, &render::server_name(&integration.owner.name));
        let serving = server.and_then(|server| server.serving_since());
        let mut live = self.secrets.current(namespace, &name).map(Arc::unwrap_or_clone);
        for _ in 0..ATTEMPTS {
            let written = match decide(integration, live.as_ref(), serving, Timestamp::now(), &fresh()?) {
                Step::Keep(settled) => return Ok(Ok(settled)),
                Step::Unreadable(fault) => return Ok(Err(fault)),
                Step::Taken => return Err(Error::Conflict { kind: "Secret".to_owned(), name }),
                Step::Create(secret) => self.secrets.create(&secret).await?,
                Step::Rotate(secret) => self.secrets.replace(&secret, Why::Change).await?,
                Step::Mend(secret) => self.secrets.replace(&secret, Why::Drift).await?,
            };
            live = match written {
                Some(written) => Some(written),
                None => self.secrets.read(namespace, &name).await?,
            };
        }
        Err(Error::Timeout { verb: "settle", object: format!("Secret '{name}'") })
    }

    /// Makes the claim and the server be as the spec wants them; answers the server as the API server has it.
    ///
    /// A claim that the spec does not want any more is left alone: it holds what customers keep.
    pub async fn apply(&self, integration: &ValidatedIntegration) -> Result<Arc<RenderedServer>, Error> {
        if let Some(claim) = render::claim(integration) {
            self.claims.apply_lasting(&claim, &integration.owner.uid).await?;
        }
        self.servers.apply(&render::server(integration)).await
    }
}
