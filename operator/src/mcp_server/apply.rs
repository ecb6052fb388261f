//! Makes the cluster hold the desired objects of one server.

use std::sync::Arc;

use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{ConfigMap, Service, ServiceAccount},
    networking::v1::NetworkPolicy,
    policy::v1::PodDisruptionBudget,
};

use kube::Client;
use portico_crds::McpServer;

use super::{
    render::{self, Desired},
    validate::ValidatedServer,
};
use crate::{
    child::{Child, Children},
    error::Error,
    marks, replicas,
    watches::Watches,
};

/// The children of all servers, by kind.
pub struct Owned {
    /// Identities.
    pub service_accounts: Children<ServiceAccount>,
    /// Config files.
    pub config_maps: Children<ConfigMap>,
    /// Who may talk to whom.
    pub network_policies: Children<NetworkPolicy>,
    /// Addresses.
    pub services: Children<Service>,
    /// Limits on evictions.
    pub disruption_budgets: Children<PodDisruptionBudget>,
    /// Pods.
    pub deployments: Children<Deployment>,
}

impl Owned {
    /// Watches every kind of child.
    pub fn watch(watches: Watches<McpServer>) -> (Watches<McpServer>, Self) {
        let (watches, service_accounts) = watches.own();
        let (watches, config_maps) = watches.own();
        let (watches, network_policies) = watches.own();
        let (watches, services) = watches.own();
        let (watches, disruption_budgets) = watches.own();
        let (watches, deployments) = watches.own();
        let owned = Self {
            service_accounts,
            config_maps,
            network_policies,
            services,
            disruption_budgets,
            deployments,
        };
        (watches, owned)
    }

    /// Applies `desired` and removes what it no longer holds; answers the Deployment as the API server has it.
    ///
    /// What pods need comes before the pods: the policy, so that they are never open; the account and the files, so
    /// that they can start. The workload comes last.
    pub async fn apply(
        &self,
        client: &Client,
        server: &ValidatedServer,
        desired: Desired,
    ) -> Result<Option<Arc<Deployment>>, Error> {
        let Desired { service_account, config_map, network_policy, service, disruption_budget, deployment } =
            desired;
        let name = render::child_name(&server.name);
        one(&self.network_policies, server, &name, network_policy).await?;
        one(&self.service_accounts, server, &name, service_account).await?;
        let stale_files = config_map.is_none();
        if !stale_files {
            one(&self.config_maps, server, &render::config_map_name(&server.name), config_map).await?;
        }
        let service = self.selecting(server, service, deployment.as_ref());
        one(&self.services, server, &name, service).await?;
        one(&self.disruption_budgets, server, &name, disruption_budget).await?;
        if let Some(desired) = &deployment {
            replicas::hand_over(client, &self.deployments, desired).await?;
        }
        let deployment = one(&self.deployments, server, &name, deployment).await?;
        if stale_files {
            one(&self.config_maps, server, &render::config_map_name(&server.name), None).await?;
        }
        Ok(deployment)
    }

    fn selecting(
        &self,
        server: &ValidatedServer,
        service: Option<Service>,
        deployment: Option<&Deployment>,
    ) -> Option<Service> {
        let (namespace, name) = (&server.namespace, render::child_name(&server.name));
        let (before, live) =
            (self.services.current(namespace, &name), self.deployments.current(namespace, &name));
        Some(marks::selecting(service?, before.as_deref(), deployment?, live.as_deref()))
    }

    /// Waits until every cache has been filled once: an empty cache says nothing.
    pub async fn filled(&self) -> Result<(), Error> {
        self.network_policies.filled().await?;
        self.service_accounts.filled().await?;
        self.config_maps.filled().await?;
        self.services.filled().await?;
        self.disruption_budgets.filled().await?;
        self.deployments.filled().await
    }

    /// Drops what is remembered of a server that is gone.
    pub fn forget(&self, namespace: &str, server: &str) {
        let name = render::child_name(server);
        self.network_policies.forget(namespace, &name);
        self.service_accounts.forget(namespace, &name);
        self.config_maps.forget(namespace, &render::config_map_name(server));
        self.services.forget(namespace, &name);
        self.disruption_budgets.forget(namespace, &name);
        self.deployments.forget(namespace, &name);
    }
}

async fn one<K: Child>(
    children: &Children<K>,
    server: &ValidatedServer,
    name: &str,
    desired: Option<K>,
) -> Result<Option<Arc<K>>, Error> {
    match desired {
        Some(desired) => children.apply(&desired).await.map(Some),
        None => children.remove(&server.namespace, name, &server.uid).await.map(|()| None),
    }
}
