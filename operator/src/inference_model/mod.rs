//! `InferenceModel`.

pub mod apply;
pub mod artifact;
pub mod fallback;
pub mod progress;
pub mod reference;
pub mod render;
pub mod source;
pub mod status;
pub mod switch;
pub mod validate;

use std::{collections::BTreeSet, pin::Pin, sync::Arc, time::Duration};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Client, ResourceExt as _,
    runtime::reflector::{ObjectRef, Store},
};
use portico_crds::{
    InferenceModel, InferenceModelStatus, condition::Type, inference_model::Fallback, labels,
};
use tokio_util::sync::CancellationToken;

use crate::{
    error::Error,
    health::Readiness,
    kind::{Guarded, Kind, Outcome, RECHECK, Refusal},
    mcp_server::validate::Settings,
    metrics::Metrics,
    reference::{Kind as Referred, objects},
    referrers::Referrers,
    resolve::{pods, resolve},
    watch::Filled,
    watches::{Scope, Watches},
    workload::rolled_out,
};

use apply::{Deployed, Owned};
use artifact::Artifact;
use fallback::{Standby, chain_back, reachable};
use progress::{Asker, Progress};
use source::Storage;
use status::{Applied, Seen};
use validate::{Inputs, ValidatedModel, validate};

/// Value of the children's label `app.kubernetes.io/component`.
pub const COMPONENT: &str = "model";
/// How often a download is asked how far it is.
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// What the passes over models work with.
pub struct InferenceModels {
    client: Client,
    settings: Settings,
    owned: Owned,
    referrers: Arc<Referrers>,
    /// All models, for those that name each other as fallbacks.
    models: (Store<Guarded<InferenceModel>>, Filled),
    asker: Asker,
}

/// Acts on models until `shutdown`. The future is boxed, so that it is compiled here, once.
#[must_use]
pub fn run(
    scope: Scope,
    settings: Settings,
    metrics: Metrics,
    readiness: Readiness,
    shutdown: CancellationToken,
) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    let (client, referrers) = (scope.client.clone(), Arc::new(Referrers::default()));
    let (watches, owned) = Owned::watch(Watches::<InferenceModel>::new(scope, COMPONENT, metrics));
    let (watches, models, filled) = watches.siblings(Referred::Model, &referrers);
    let named =
        [Referred::Secret, Referred::ConfigMap, Referred::Volume, Referred::Claim, Referred::ClaimTemplate];
    let watches = watches.pods(labels::INFERENCE_MODEL).referred(&named, &referrers);
    let kind = InferenceModels {
        client,
        settings,
        owned,
        referrers,
        models: (models, filled),
        asker: Asker::default(),
    };
    Box::pin(watches.run(kind, readiness, shutdown))
}

impl Kind for InferenceModels {
    type Resource = InferenceModel;
    type Applied = Applied;
    type Seen = Seen;

    async fn filled(&self) -> Result<(), Error> {
        let stopped = || Error::Fatal("the watch of InferenceModels has stopped".into());
        self.models.1.wait().await.then_some(()).ok_or_else(stopped)?;
        self.owned.filled().await
    }

    fn see(&self, model: &InferenceModel) -> Seen {
        let (namespace, name) = (model.namespace().unwrap_or_default(), model.name_any());
        let selected = self.owned.selected(&namespace, &name);
        let active = selected.and_then(|revision| {
            self.owned.deployments.current(&namespace, &render::deployment_name(&name, &revision))
        });
        let standby = |fallback: &Fallback| Standby {
            fallback: fallback.clone(),
            available: self.sibling(&namespace, &fallback.model_ref).is_some_and(|other| answers(&other)),
        };
        Seen { active, standby: model.spec.fallbacks.iter().map(standby).collect() }
    }

    async fn apply(&self, model: &InferenceModel) -> Result<Result<Applied, Refusal>, Error> {
        let (namespace, name) = (model.namespace().unwrap_or_default(), model.name_any());
        let (engine, download) =
            (reference::references(&model.spec), reference::download_references(&model.spec));
        // Noted before they are read, so that no change between the two goes unseen.
        let mut named: BTreeSet<_> = objects(&engine).into_iter().chain(objects(&download)).collect();
        let links = |of: &str| self.links(model, &namespace, of);
        named.extend(reachable(&name, links).into_iter().map(|other| (Referred::Model, other)));
        self.referrers.note(&namespace, &name, named);
        let inputs = Inputs {
            engine: resolve(&self.client, &namespace, engine).await?,
            download: resolve(&self.client, &namespace, download).await?,
        };
        let validated = match validate(model, &inputs, &self.settings) {
            Ok(validated) => validated,
            Err(refusal) => return Ok(Err(refusal)),
        };
        if let Some(chain) = chain_back(&name, links) {
            let message = format!(
                "spec.fallbacks: they lead back to this model: {chain}; remove one link of the chain"
            );
            return Ok(Err(Refusal::Loop(message)));
        }
        Box::pin(self.carry_out(validated)).await.map(Ok)
    }

    fn status(
        model: &InferenceModel,
        seen: &Seen,
        outcome: &Outcome<'_, Applied>,
        now: Timestamp,
    ) -> InferenceModelStatus {
        status::status(model, seen, outcome, now)
    }

    fn again(applied: &Applied) -> Duration {
        if applied.artifact.is_moving() { ASK_AGAIN } else { RECHECK }
    }

    fn forget(&self, namespace: &str, name: &str) {
        self.owned.forget(namespace, name);
        self.referrers.forget(namespace, name);
    }
}

/// Whether a model could answer for another. One that waits at zero pods for a request could; one elsewhere may.
fn answers(model: &InferenceModel) -> bool {
    let conditions = model.status.iter().flat_map(|status| &status.conditions);
    let holds = |kind: Type| {
        conditions.clone().any(|condition| condition.type_ == kind.as_str() && condition.status == "True")
    };
    holds(Type::Available) || holds(Type::Ready)
}

impl InferenceModels {
    fn sibling(&self, namespace: &str, name: &str) -> Option<InferenceModel> {
        let found = self.models.0.get(&ObjectRef::new(name).within(namespace))?;
        found.0.as_ref().ok().cloned()
    }

    /// The fallbacks of a model of the namespace; those of `own` as its spec has them now.
    fn links(&self, own: &InferenceModel, namespace: &str, name: &str) -> Vec<String> {
        let of = |model: &InferenceModel| {
            model.spec.fallbacks.iter().map(|fallback| fallback.model_ref.clone()).collect()
        };
        if name == own.name_any() {
            return of(own);
        }
        self.sibling(namespace, name).as_ref().map(of).unwrap_or_default()
    }

    async fn carry_out(&self, model: ValidatedModel) -> Result<Applied, Error> {
        let revision = render::revision(&model);
        if !model.is_deployed() {
            self.owned.withdraw(&model).await?;
            let artifact = Artifact::settled(&model.weights());
            let serving = String::new();
            return Ok(Applied { model, revision, serving, target: None, artifact, pods: Vec::new() });
        }
        let Deployed { serving, target, job, stored } = self.owned.deploy(&self.client, &model).await?;
        let unsettled = !stored || target.as_deref().is_none_or(|target| !rolled_out(target));
        let pods = if unsettled {
            pods(&self.client, &model.namespace, labels::INFERENCE_MODEL, &model.name).await?
        } else {
            Vec::new()
        };
        let progress = self.progress(&pods).await;
        let artifact = match &model.storage {
            _ if !stored => artifact::of_job(job.as_deref(), &pods, progress),
            Storage::Scratch(_) => artifact::of_pods(&model.weights(), &pods, progress),
            _ => Artifact::settled(&model.weights()),
        };
        Ok(Applied { model, revision, serving, target, artifact, pods })
    }

    /// How far a download is, if one runs.
    async fn progress(&self, pods: &[Pod]) -> Option<Progress> {
        let fetching = pods.iter().find(|pod| artifact::is_fetching(pod))?;
        self.asker.ask(fetching.status.as_ref()?.pod_ip.as_deref()?).await
    }
}
