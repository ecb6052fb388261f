//! What the operator watches for one kind, and the loop that acts on it.

use std::{pin::Pin, sync::Arc, time::Duration};

use futures::{Stream, StreamExt as _};
use k8s_openapi::api::{
    core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Secret, Service},
    resource::v1::{ResourceClaim, ResourceClaimTemplate},
};
use kube::{
    Api, Client, Resource, ResourceExt as _,
    core::{NamespaceResourceScope, PartialObjectMeta},
    runtime::{
        Controller,
        controller::Config,
        reflector::{ObjectRef, Store},
    },
};
use portico_crds::InferenceModel;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use crate::{
    backoff::Failures,
    child::{Child, Children},
    health::Readiness,
    kind::{Context, Custom, Guarded, Kind, reconcile, retry},
    metrics::Metrics,
    publish::Publisher,
    reference,
    referrers::Referrers,
    sent::Sent,
    watch,
};

/// Most passes over one kind at once.
pub const CONCURRENCY: u16 = 8;
/// Changes of one resource within this time become one pass.
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

/// The watches of one kind, while they are put together.
pub struct Watches<R: Custom> {
    controller: Controller<Guarded<R>>,
    filled: watch::Filled,
    scope: Scope,
    /// The part that the children's label `app.kubernetes.io/component` names.
    component: &'static str,
    metrics: Metrics,
    sent: Sent<R>,
}

impl<R: Custom> Watches<R> {
    /// Watches the resources themselves.
    #[must_use]
    pub fn new(scope: Scope, component: &'static str, metrics: Metrics) -> Self {
        let sent = Sent::default();
        let known = sent.clone();
        let (store, filled, changes) =
            watch::resources::<Guarded<R>>(scope.api(), move |resource| known.is_echo(resource));
        let config = Config::default().concurrency(CONCURRENCY).debounce(DEBOUNCE);
        let controller = Controller::for_stream(changes, store).with_config(config);
        Self { controller, filled, scope, component, metrics, sent }
    }

    /// Watches a kind of child.
    #[must_use]
    pub fn own<K: Child>(mut self) -> (Self, Children<K>) {
        let (store, filled, changes) = watch::children::<K>(self.scope.api(), self.component);
        self.controller = self.controller.owns_stream(changes);
        let children = Children::new(self.scope.client.clone(), (store, filled), self.metrics.clone());
        (self, children)
    }

    /// Watches pods, which tell why a rollout does not get on; `label` says whose they are.
    #[must_use]
    pub fn pods(mut self, label: &'static str) -> Self {
        let pods = watch::pods::<Pod>(self.scope.api(), label);
        self.controller = self.controller.watches_stream(pods, move |pod| {
            let name = pod.labels().get(label)?;
            Some(ObjectRef::new(name).within(&pod.namespace()?))
        });
        self
    }

    /// Wakes the resources that name an object when that object changes.
    #[must_use]
    pub fn referred(self, kinds: &[reference::Kind], referrers: &Arc<Referrers>) -> Self {
        kinds.iter().fold(self, |watches, kind| match kind {
            reference::Kind::Secret => watches.refer::<Secret>(*kind, referrers),
            reference::Kind::ConfigMap => watches.refer::<ConfigMap>(*kind, referrers),
            reference::Kind::Service => watches.refer::<Service>(*kind, referrers),
            reference::Kind::Volume => watches.refer::<PersistentVolumeClaim>(*kind, referrers),
            reference::Kind::Claim => watches.refer::<ResourceClaim>(*kind, referrers),
            reference::Kind::Model => watches.refer::<InferenceModel>(*kind, referrers),
            reference::Kind::ClaimTemplate => watches.refer::<ResourceClaimTemplate>(*kind, referrers),
        })
    }

    /// Wakes the resources that name another of the same kind when anything of that changes, its status included. The
    /// cache of them knows of a change before anybody is woken by it.
    #[must_use]
    pub fn siblings(
        mut self,
        kind: reference::Kind,
        referrers: &Arc<Referrers>,
    ) -> (Self, Store<Guarded<R>>, watch::Filled) {
        let (store, filled, changes) = watch::all::<Guarded<R>>(self.scope.api());
        let referrers = Arc::clone(referrers);
        self.controller = self.controller.watches_stream(changes, move |object| {
            let namespace = object.namespace().unwrap_or_default();
            let names = referrers.of(&namespace, kind, &object.name_any());
            names.into_iter().map(|name| ObjectRef::new(&name).within(&namespace)).collect::<Vec<_>>()
        });
        (self, store, filled)
    }

    fn refer<K>(mut self, kind: reference::Kind, referrers: &Arc<Referrers>) -> Self
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + watch::Watched,
    {
        let changes: Pin<Box<dyn Stream<Item = watch::Result<PartialObjectMeta<K>>> + Send>> =
            watch::names::<K>(self.scope.api()).boxed();
        let referrers = Arc::clone(referrers);
        self.controller = self.controller.watches_stream(changes, move |object| {
            let namespace = object.namespace().unwrap_or_default();
            let names = referrers.of(&namespace, kind, &object.name_any());
            names.into_iter().map(|name| ObjectRef::new(&name).within(&namespace)).collect::<Vec<_>>()
        });
        self
    }

    /// Acts on resources until `shutdown`; passes under way come to their end.
    pub async fn run<K: Kind<Resource = R>>(
        self,
        kind: K,
        readiness: Readiness,
        shutdown: CancellationToken,
    ) {
        let context = Arc::new(Context {
            kind,
            publisher: Publisher::new(self.scope.client, self.metrics.clone(), self.sent),
            failures: Failures::default(),
            metrics: self.metrics,
        });
        let filled = readiness.await_one_more();
        let (resources, waiting) = (self.filled, Arc::clone(&context));
        tokio::spawn(async move {
            if resources.wait().await && waiting.kind.filled().await.is_ok() {
                filled.done();
            }
        });
        self.controller
            .graceful_shutdown_on(shutdown.cancelled_owned())
            .run(reconcile::<K>, retry::<K>, context)
            .for_each(|_| std::future::ready(()))
            .await;
    }
}
