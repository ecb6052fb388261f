//! What the operator watches for servers, and the loop that acts on it.

use std::{pin::Pin, sync::Arc, time::Duration};

use futures::{Stream, StreamExt as _};
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret, Service};
use kube::{
    Api, Client, Resource, ResourceExt as _,
    core::{NamespaceResourceScope, PartialObjectMeta},
    runtime::{
        Controller,
        controller::Config,
        events::{Recorder, Reporter},
        reflector::ObjectRef,
    },
};
use portico_crds::labels;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use super::{Context, Guarded, Owned, Publisher, Referrers, Settings, reconcile, reference::Kind, retry};
use crate::{
    backoff::Failures,
    child::{Child, Children},
    health::Readiness,
    metrics::Metrics,
    watch,
};

/// Most passes at once.
const CONCURRENCY: u16 = 8;
/// Changes of one server within this time become one pass.
const DEBOUNCE: Duration = Duration::from_millis(100);

/// Where the operator looks.
#[derive(Clone)]
pub struct Scope {
    /// The API server.
    pub client: Client,
    /// The one namespace to look at; `None` for all.
    pub namespace: Option<String>,
}

impl Scope {
    fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + std::fmt::Debug
            + DeserializeOwned,
    {
        self.namespace.as_ref().map_or_else(
            || Api::all(self.client.clone()),
            |namespace| Api::namespaced(self.client.clone(), namespace),
        )
    }
}

type ControllerOf = Controller<Guarded>;

/// Acts on servers until `shutdown`.
pub async fn run(
    scope: Scope,
    settings: Settings,
    metrics: Metrics,
    readiness: Readiness,
    shutdown: CancellationToken,
) {
    let (store, changes) = watch::resources::<Guarded>(scope.api());
    let config = Config::default().concurrency(CONCURRENCY).debounce(DEBOUNCE);
    let controller = Controller::for_stream(changes, store.clone()).with_config(config);
    let (controller, owned) = owned(controller, &scope);
    let referrers = Arc::new(Referrers::default());
    let controller = referred(pods(controller, &scope), &scope, &referrers);
    let reporter = Reporter { controller: "portico-operator".into(), instance: None };
    let context = Arc::new(Context {
        publisher: Publisher::new(scope.client.clone(), Recorder::new(scope.client.clone(), reporter)),
        client: scope.client,
        settings,
        owned,
        referrers,
        failures: Failures::default(),
        metrics,
    });
    tokio::spawn(async move {
        if store.wait_until_ready().await.is_ok() {
            readiness.set(true);
        }
    });
    controller
        .graceful_shutdown_on(shutdown.cancelled_owned())
        .run(reconcile, retry, context)
        .for_each(|_| std::future::ready(()))
        .await;
}

/// Watches every kind of child.
fn owned(controller: ControllerOf, scope: &Scope) -> (ControllerOf, Owned) {
    let (controller, service_accounts) = own(controller, scope);
    let (controller, config_maps) = own(controller, scope);
    let (controller, network_policies) = own(controller, scope);
    let (controller, services) = own(controller, scope);
    let (controller, disruption_budgets) = own(controller, scope);
    let (controller, deployments) = own(controller, scope);
    let owned =
        Owned { service_accounts, config_maps, network_policies, services, disruption_budgets, deployments };
    (controller, owned)
}

fn own<K: Child>(controller: ControllerOf, scope: &Scope) -> (ControllerOf, Children<K>) {
    let (store, changes) = watch::children::<K>(scope.api());
    (controller.owns_stream(changes), Children::new(scope.client.clone(), store))
}

/// Pods tell why a rollout does not get on; their label says whose they are.
fn pods(controller: ControllerOf, scope: &Scope) -> ControllerOf {
    controller.watches_stream(watch::pods::<Pod>(scope.api()), |pod| {
        let server = pod.labels().get(labels::MCP_SERVER)?;
        Some(ObjectRef::new(server).within(&pod.namespace()?))
    })
}

/// Secrets, `ConfigMaps` and Services wake the servers that name them.
fn referred(controller: ControllerOf, scope: &Scope, referrers: &Arc<Referrers>) -> ControllerOf {
    let controller = refer::<Secret>(controller, scope, Kind::Secret, Arc::clone(referrers));
    let controller = refer::<ConfigMap>(controller, scope, Kind::ConfigMap, Arc::clone(referrers));
    refer::<Service>(controller, scope, Kind::Service, Arc::clone(referrers))
}

fn refer<K>(controller: ControllerOf, scope: &Scope, kind: Kind, referrers: Arc<Referrers>) -> ControllerOf
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + watch::Watched,
{
    let changes: Pin<Box<dyn Stream<Item = watch::Result<PartialObjectMeta<K>>> + Send>> =
        watch::names::<K>(scope.api()).boxed();
    controller.watches_stream(changes, move |object| {
        let namespace = object.namespace().unwrap_or_default();
        let servers = referrers.of(&namespace, kind, &object.name_any());
        servers.into_iter().map(|server| ObjectRef::new(&server).within(&namespace)).collect::<Vec<_>>()
    })
}
