//! Changes the number of replicas of Deployments, through their scale and nothing else, and marks pods that are to go.

use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{self, StreamExt as _};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, ResourceExt as _};
use portico_crds::labels;
use serde_json::json;
use tokio::time::timeout;

use super::replicas::FIELD_MANAGER;
use super::{Caches, Found};
use crate::cause;
use crate::scaling::{Change, Error, Scaler};
use crate::source::{Kind, Server};

/// Time for one request.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// Pods that are marked together.
const TOGETHER: usize = 8;
/// Of the pods of one Deployment those with the lowest cost go first; the others have 0.
const COST: &str = "-1000";

/// Scales what was found.
pub struct Deployments {
    client: Client,
    caches: Caches,
}

impl std::fmt::Debug for Deployments {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Deployments").finish_non_exhaustive()
    }
}

impl Deployments {
    /// Scales what was `found`, as this client.
    #[must_use]
    pub fn new(client: Client, found: &Found) -> Self {
        Self { client, caches: found.caches.clone() }
    }

    fn deployment(&self, server: &Server) -> Option<std::sync::Arc<Deployment>> {
        let is_its = |deployment: &Deployment| {
            deployment.namespace().as_ref() == Some(&server.key.namespace)
                && deployment.labels().get(label(server.kind())) == Some(&server.key.name)
        };
        // Of a model that is being switched the newest counts, as for whoever finds it.
        let all = self.caches.deployments.state();
        let its = all.iter().filter(|deployment| is_its(deployment));
        its.max_by_key(|deployment| deployment.creation_timestamp().map(|time| time.0)).cloned()
    }

    async fn scale_to(&self, server: &Server, change: Change) -> Result<(), Error> {
        let deployment =
            self.deployment(server).ok_or_else(|| Error::Failed("it has no Deployment".to_owned()))?;
        let now = deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
        if u32::try_from(now) != Ok(change.from) {
            return Err(Error::Changed);
        }
        let api = Api::<Deployment>::namespaced(self.client.clone(), &server.key.namespace);
        // For the version that was decided about: a number that somebody else has set meanwhile stays.
        let name = deployment.name_any();
        let scale = json!({
            "apiVersion": "autoscaling/v1", "kind": "Scale",
            "metadata": { "name": name, "resourceVersion": deployment.resource_version() },
            "spec": { "replicas": change.to },
        });
        // Applied, so that a zero is ours as well, and the API server says who writes it after us.
        let params = PatchParams::apply(FIELD_MANAGER).force();
        done(api.patch_scale(&name, &params, &Patch::Apply(&scale))).await
    }

    async fn mark(&self, server: &Server, urls: &[String], draining: bool) -> Result<(), Error> {
        let hosts: Vec<String> = urls.iter().filter_map(|url| host(url)).collect();
        let is_meant = |pod: &&std::sync::Arc<Pod>| {
            let address = pod.status.as_ref().and_then(|status| status.pod_ip.as_ref());
            pod.namespace().as_ref() == Some(&server.key.namespace)
                && pod.labels().get(label(server.kind())) == Some(&server.key.name)
                && pod.metadata.deletion_timestamp.is_none()
                && address.is_some_and(|address| hosts.contains(address))
        };
        let pods: Vec<_> = self.caches.pods.state().iter().filter(is_meant).cloned().collect();
        let api = Api::<Pod>::namespaced(self.client.clone(), &server.key.namespace);
        let value = if draining { labels::DRAINING } else { labels::SERVES };
        let cost = draining.then_some(COST);
        let marks: Vec<BoxFuture<'_, Result<(), Error>>> = pods
            .iter()
            .map(|pod| {
                let patch = json!({ "metadata": {
                    "uid": pod.uid(),
                    "labels": { labels::SERVING: value }, "annotations": { labels::DELETION_COST: cost },
                }});
                let (api, name) = (api.clone(), pod.name_any());
                Box::pin(async move {
                    let params = PatchParams {
                        field_manager: Some(FIELD_MANAGER.to_owned()),
                        ..PatchParams::default()
                    };
                    done(api.patch(&name, &params, &Patch::Merge(&patch))).await
                }) as _
            })
            .collect();
        let marked: Vec<Result<(), Error>> = stream::iter(marks).buffer_unordered(TOGETHER).collect().await;
        marked.into_iter().collect()
    }
}

impl Scaler for Deployments {
    fn scale<'a>(&'a self, server: &'a Server, change: Change) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(self.scale_to(server, change))
    }

    fn drain<'a>(
        &'a self,
        server: &'a Server,
        urls: &'a [String],
        draining: bool,
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(self.mark(server, urls, draining))
    }
}

/// The label that names whose a Deployment or pod is.
fn label(kind: Kind) -> &'static str {
    match kind {
        Kind::Server => labels::MCP_SERVER,
        Kind::Model => labels::INFERENCE_MODEL,
    }
}

/// The address in a pod's URL.
fn host(url: &str) -> Option<String> {
    let uri: http::Uri = url.parse().ok()?;
    Some(uri.host()?.trim_start_matches('[').trim_end_matches(']').to_owned())
}

async fn done<T>(call: impl Future<Output = Result<T, kube::Error>>) -> Result<(), Error> {
    match timeout(CALL_TIMEOUT, call).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(kube::Error::Api(status))) if status.code == 409 => Err(Error::Changed),
        // A pod that is gone needs no mark, and what is gone needs no replicas.
        Ok(Err(kube::Error::Api(status))) if status.code == 404 => Ok(()),
        Ok(Err(error)) => Err(Error::Failed(cause::innermost(&error))),
        Err(_) => Err(Error::Failed("the API server does not answer in time".to_owned())),
    }
}
