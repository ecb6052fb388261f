//! Makes the cluster hold the desired objects of one model.

use std::{collections::BTreeSet, sync::Arc};

use k8s_openapi::api::{
    apps::v1::Deployment,
    batch::v1::Job,
    core::v1::{PersistentVolumeClaim, Service, ServiceAccount},
    networking::v1::NetworkPolicy,
    policy::v1::PodDisruptionBudget,
};
use kube::{Client, ResourceExt as _};
use portico_crds::{InferenceModel, labels};

use super::{
    artifact::is_complete,
    render::{self, Desired},
    source::{Storage, artifact},
    switch::{Standing, revision, serving},
    validate::ValidatedModel,
};
use crate::{
    child::{Child, Children},
    error::Error,
    marks, replicas,
    watches::Watches,
    workload::counts,
};

/// The children of all models, by kind.
pub struct Owned {
    /// Identities.
    pub service_accounts: Children<ServiceAccount>,
    /// Who may talk to whom.
    pub network_policies: Children<NetworkPolicy>,
    /// Where downloads are kept.
    pub claims: Children<PersistentVolumeClaim>,
    /// Downloads.
    pub jobs: Children<Job>,
    /// Addresses.
    pub services: Children<Service>,
    /// Limits on evictions.
    pub disruption_budgets: Children<PodDisruptionBudget>,
    /// Pods of engines, one Deployment a revision.
    pub deployments: Children<Deployment>,
}

/// What a pass has made of a model's objects.
#[derive(Clone, Debug)]
pub struct Deployed {
    /// The revision that the Service selects.
    pub serving: String,
    /// The Deployment of the target, once there is one.
    pub target: Option<Arc<Deployment>>,
    /// The download, while it is needed.
    pub job: Option<Arc<Job>>,
    /// Whether the engine can have the model's file, as far as no pod tells otherwise.
    pub stored: bool,
}

impl Owned {
    /// Watches every kind of child.
    pub fn watch(watches: Watches<InferenceModel>) -> (Watches<InferenceModel>, Self) {
        let (watches, service_accounts) = watches.own();
        let (watches, network_policies) = watches.own();
        let (watches, claims) = watches.own();
        let (watches, jobs) = watches.own();
        let (watches, services) = watches.own();
        let (watches, disruption_budgets) = watches.own();
        let (watches, deployments) = watches.own();
        let owned = Self {
            service_accounts,
            network_policies,
            claims,
            jobs,
            services,
            disruption_budgets,
            deployments,
        };
        (watches, owned)
    }

    /// Waits until every cache has been filled once: an empty cache says nothing.
    pub async fn filled(&self) -> Result<(), Error> {
        self.service_accounts.filled().await?;
        self.network_policies.filled().await?;
        self.claims.filled().await?;
        self.jobs.filled().await?;
        self.services.filled().await?;
        self.disruption_budgets.filled().await?;
        self.deployments.filled().await
    }

    /// Drops what is remembered of a model that is gone.
    pub fn forget(&self, namespace: &str, model: &str) {
        let name = render::child_name(model);
        let (revisions, downloads) =
            (format!("{name}-"), format!("{}-", render::download_policy_name(model)));
        let own = |child: &str| child.starts_with(&revisions) || child.starts_with(&downloads);
        self.service_accounts.forget(namespace, &name);
        self.network_policies.forget(namespace, &name);
        self.network_policies.forget(namespace, &render::download_policy_name(model));
        self.services.forget(namespace, &name);
        self.disruption_budgets.forget(namespace, &name);
        self.claims.forget_those(namespace, own);
        self.jobs.forget_those(namespace, own);
        self.deployments.forget_those(namespace, own);
    }

    /// The Deployments of a model, of every revision, as new as they are known.
    pub fn revisions(&self, namespace: &str, uid: &str) -> Vec<Arc<Deployment>> {
        let newest = |cached: Arc<Deployment>| {
            self.deployments.current(namespace, &cached.name_any()).unwrap_or(cached)
        };
        let mut all: Vec<_> = self.deployments.of(namespace, uid).into_iter().map(newest).collect();
        all.sort_by_key(|deployment| deployment.name_any());
        all
    }

    /// The revision that the Service of a model selects.
    pub fn selected(&self, namespace: &str, model: &str) -> Option<String> {
        let service = self.services.current(namespace, &render::child_name(model))?;
        service.spec.as_ref()?.selector.as_ref()?.get(labels::REVISION).cloned()
    }

    /// Removes everything of a model that is deployed no more.
    pub async fn withdraw(&self, model: &ValidatedModel) -> Result<(), Error> {
        for deployment in self.revisions(&model.namespace, &model.uid) {
            self.deployments.remove(&model.namespace, &deployment.name_any(), &model.uid).await?;
        }
        let name = render::child_name(&model.name);
        self.services.remove(&model.namespace, &name, &model.uid).await?;
        self.disruption_budgets.remove(&model.namespace, &name, &model.uid).await?;
        self.prune_downloads(model, None, &BTreeSet::new()).await?;
        self.network_policies.remove(&model.namespace, &name, &model.uid).await?;
        let download = render::download_policy_name(&model.name);
        self.network_policies.remove(&model.namespace, &download, &model.uid).await?;
        self.service_accounts.remove(&model.namespace, &name, &model.uid).await
    }

    /// Goes as far towards the target as what is observed allows.
    ///
    /// What pods need comes before the pods: the policies, so that they are never open; the account and the volume, so
    /// that they can start. The Service turns to the target once that serves, and only then the revision before it goes.
    pub async fn deploy(&self, client: &Client, model: &ValidatedModel) -> Result<Deployed, Error> {
        let target = render::revision(model);
        let Desired {
            service_account,
            serving_policy,
            download_policy,
            claim,
            job,
            disruption_budget,
            deployment,
        } = render::render(&self.kept(model, &target));
        let name = render::child_name(&model.name);
        one(&self.network_policies, model, &name, serving_policy).await?;
        one(&self.network_policies, model, &render::download_policy_name(&model.name), download_policy)
            .await?;
        one(&self.service_accounts, model, &name, service_account).await?;
        let (stored, job) = self.provide(model, claim, job).await?;
        let live = self.deployments.current(&model.namespace, &render::deployment_name(&model.name, &target));
        // What runs is kept as it should be, whatever became of its file.
        let before = live.clone();
        let live = match deployment.filter(|_| stored || live.is_some()) {
            Some(desired) => Some(self.apply_target(client, model, desired).await?),
            None => live,
        };
        let all = self.standings(model, live.as_deref());
        let selected = self.selected(&model.namespace, &model.name);
        let serving = serving(selected.as_deref(), &all, &target);
        let service = self.selecting(model, &serving, (live.as_deref(), before.as_deref()));
        self.services.apply(&service).await?;
        one(&self.disruption_budgets, model, &name, disruption_budget).await?;
        self.prune(model, &[&serving, &target], job.as_deref()).await?;
        Ok(Deployed { serving, target: live, job, stored })
    }

    fn kept(&self, model: &ValidatedModel, target: &str) -> ValidatedModel {
        let live = self.deployments.current(&model.namespace, &render::deployment_name(&model.name, target));
        let service = self.services.current(&model.namespace, &render::child_name(&model.name));
        render::kept(model, live.as_deref(), service.as_deref())
    }

    /// The Service of a revision. `target` is the target's Deployment as it is and as it was, for that may be new.
    fn selecting(
        &self,
        model: &ValidatedModel,
        revision: &str,
        target: (Option<&Deployment>, Option<&Deployment>),
    ) -> Service {
        let service = render::service(model, revision);
        let before = self.services.current(&model.namespace, &service.name_any());
        let name = render::deployment_name(&model.name, revision);
        let other = self.deployments.current(&model.namespace, &name);
        let (workload, live) = match target {
            (Some(new), old) if new.name_any() == name => (Some(new), old),
            _ => (other.as_deref(), other.as_deref()),
        };
        match workload {
            Some(workload) => marks::selecting(service, before.as_deref(), workload, live),
            None => service,
        }
    }

    /// The volume, and the download until the volume says that the file lies there whole.
    async fn provide(
        &self,
        model: &ValidatedModel,
        claim: Option<PersistentVolumeClaim>,
        job: Option<Job>,
    ) -> Result<(bool, Option<Arc<Job>>), Error> {
        let namespace = &model.namespace;
        let live_claim = claim.as_ref().and_then(|claim| self.claims.current(namespace, &claim.name_any()));
        let live_job = job.as_ref().and_then(|job| self.jobs.current(namespace, &job.name_any()));
        let complete = live_job.as_deref().is_some_and(is_complete);
        let stored =
            job.is_some() && live_claim.as_deref().is_some_and(|claim| complete || is_marked(claim, model));
        if let Some(claim) = claim {
            let claim = render::beside(model, claim, live_claim.as_deref(), stored);
            self.claims.apply_lasting(&claim, &model.uid).await?;
        }
        let Some(desired) = job.filter(|_| !stored) else { return Ok((true, None)) };
        let image = render::fetch_image(model, live_job.as_deref());
        let own = ValidatedModel { portico_image: image, ..model.clone() };
        let desired = render::render(&own).job.unwrap_or(desired);
        Ok((false, Some(self.jobs.apply(&desired).await?)))
    }

    /// A new revision begins with as many pods as the one before it has, where the spec names no number.
    async fn apply_target(
        &self,
        client: &Client,
        model: &ValidatedModel,
        mut desired: Deployment,
    ) -> Result<Arc<Deployment>, Error> {
        let exists = self.deployments.current(&model.namespace, &desired.name_any()).is_some();
        if !exists && let Some(spec) = &mut desired.spec {
            spec.replicas = spec.replicas.or_else(|| self.present_replicas(model));
        }
        replicas::hand_over(client, &self.deployments, &desired).await?;
        self.deployments.apply(&desired).await
    }

    fn present_replicas(&self, model: &ValidatedModel) -> Option<i32> {
        let selected = self.selected(&model.namespace, &model.name)?;
        let all = self.revisions(&model.namespace, &model.uid);
        let present = all.iter().find(|deployment| revision(deployment) == Some(&selected))?;
        Some(counts(present).wanted)
    }

    /// How every revision stands, the target as it came back from its last write.
    fn standings(&self, model: &ValidatedModel, target: Option<&Deployment>) -> Vec<Standing> {
        let name = target.map(kube::ResourceExt::name_any);
        let others = self.revisions(&model.namespace, &model.uid);
        let others = others.iter().filter(|deployment| Some(deployment.name_any()) != name);
        others.map(|deployment| Standing::of(deployment)).chain(target.map(Standing::of)).collect()
    }

    async fn prune(&self, model: &ValidatedModel, kept: &[&str], job: Option<&Job>) -> Result<(), Error> {
        let mut used = BTreeSet::new();
        if let Storage::Claim { digest, .. } = &model.storage {
            used.insert(render::claim_name(&model.name, digest));
        }
        for deployment in self.revisions(&model.namespace, &model.uid) {
            if revision(&deployment).is_some_and(|revision| kept.contains(&revision)) {
                used.extend(claims_of(&deployment));
            } else {
                self.deployments.remove(&model.namespace, &deployment.name_any(), &model.uid).await?;
            }
        }
        self.prune_downloads(model, job, &used).await
    }

    /// Removes volumes that no revision uses, and downloads that are not needed (any more).
    async fn prune_downloads(
        &self,
        model: &ValidatedModel,
        job: Option<&Job>,
        used: &BTreeSet<String>,
    ) -> Result<(), Error> {
        let needed = job.map(kube::ResourceExt::name_any);
        for job in self.jobs.of(&model.namespace, &model.uid) {
            if Some(job.name_any()) != needed {
                self.jobs.remove(&model.namespace, &job.name_any(), &model.uid).await?;
            }
        }
        for claim in self.claims.of(&model.namespace, &model.uid) {
            if !used.contains(&claim.name_any()) {
                self.claims.remove(&model.namespace, &claim.name_any(), &model.uid).await?;
            }
        }
        Ok(())
    }
}

/// Whether a volume says that the model's file lies there whole.
fn is_marked(claim: &PersistentVolumeClaim, model: &ValidatedModel) -> bool {
    claim.annotations().get(labels::ARTIFACT) == Some(&artifact(&model.weights()))
}

fn claims_of(deployment: &Deployment) -> impl Iterator<Item = String> {
    let pod = deployment.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
    let volumes = pod.into_iter().flat_map(|pod| pod.volumes.iter().flatten());
    volumes.filter_map(|volume| Some(volume.persistent_volume_claim.as_ref()?.claim_name.clone()))
}

async fn one<K: Child>(
    children: &Children<K>,
    model: &ValidatedModel,
    name: &str,
    desired: Option<K>,
) -> Result<(), Error> {
    match desired {
        Some(desired) => children.apply(&desired).await.map(drop),
        None => children.remove(&model.namespace, name, &model.uid).await,
    }
}
