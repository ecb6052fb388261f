//! The cluster, and what is put into it.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Node;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use portico_cluster::{AuditMark, Cluster, Level, Namespace, fake_node};
use portico_crds::McpServer;
use serde_json::{Value, json};

use super::Failed;

/// Requests of the load at once.
const AT_ONCE: usize = 32;
const OPERATOR: &str = "system:serviceaccount:portico-system:operator";
/// Longest that any stop may take.
const PATIENCE: Duration = Duration::from_mins(30);

/// A cluster of the benchmark's own.
pub struct Scene {
    namespace: Namespace,
    client: Client,
    config: PathBuf,
    cluster: Cluster,
}

impl Scene {
    /// A cluster with room for `pods` pods twice over, and the operator's rights.
    pub async fn start(pods: usize) -> Result<Self, Failed> {
        let cluster = Cluster::start(Level::Kwok).await?;
        let (client, namespace) = (cluster.client()?, cluster.namespace("scale").await?);
        let nodes = Api::<Node>::all(client.clone());
        for number in 0..=pods / 1000 {
            let mut node = serde_json::to_value(fake_node(&format!("large-{number}"), 0, "")?)?;
            for amounts in ["capacity", "allocatable"] {
                node["status"][amounts]["pods"] = json!("2000");
            }
            nodes.create(&PostParams::default(), &serde_json::from_value(node)?).await?;
        }
        let config = cluster.folder().ok_or("the cluster has no folder")?.join("bench.kubeconfig");
        let mut text: Value = serde_json::from_str(&std::fs::read_to_string(cluster.kubeconfig())?)?;
        text["users"][0]["user"]["as"] = OPERATOR.into();
        std::fs::write(&config, text.to_string())?;
        let scene = Self { namespace, client, config, cluster };
        scene.give_rights().await?;
        Ok(scene)
    }

    async fn give_rights(&self) -> Result<(), Failed> {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
        let files = [format!("{root}/crds/yaml"), format!("{root}/operator/rbac.yaml")];
        self.kubectl(&["apply", "--server-side", "-f", &files[0], "-f", &files[1]]).await?;
        self.kubectl(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=30s"]).await?;
        for role in ["portico-operator", "portico-operator-lease"] {
            let (role_ref, user) = (format!("--clusterrole={role}"), format!("--user={OPERATOR}"));
            self.kubectl(&["create", "clusterrolebinding", role, &role_ref, &user]).await?;
        }
        Ok(())
    }

    async fn kubectl(&self, arguments: &[&str]) -> Result<(), Failed> {
        let output = self.cluster.kubectl(arguments).await?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() { Ok(()) } else { Err(said.into()) }
    }

    /// Credentials of the operator.
    pub fn operator_config(&self) -> &Path {
        &self.config
    }

    fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), self.namespace.name())
    }

    pub fn mark(&self) -> Result<AuditMark, Failed> {
        Ok(self.cluster.audit_mark()?)
    }

    /// What the operator wrote since `mark`, events left out.
    pub fn writes(&self, mark: AuditMark) -> Result<usize, Failed> {
        let own = |event: &portico_cluster::AuditEvent| event.user == OPERATOR && event.resource != "events";
        Ok(self.cluster.audit_writes(mark, own)?.len())
    }

    /// Makes servers.
    pub async fn servers(&self, numbers: Range<usize>) -> Result<(), Failed> {
        let made =
            futures::stream::iter(numbers).map(|number| self.server(number, 1)).buffer_unordered(AT_ONCE);
        made.collect::<Vec<_>>().await.into_iter().collect()
    }

    async fn server(&self, number: usize, tag: usize) -> Result<(), Failed> {
        let name = format!("server-{number}");
        let manifest = json!({"apiVersion": "portico.dev/v1alpha1", "kind": "McpServer", "metadata": {"name": name},
            "spec": {"source": {"image": {"name": format!("example:{tag}")}}, "replicas": 1}});
        let params = PatchParams::apply("person").force();
        self.api::<McpServer>().patch(&name, &params, &Patch::Apply(manifest)).await?;
        Ok(())
    }

    /// Waits until so many servers are ready.
    pub async fn until_ready(&self, wanted: usize) -> Result<(), Failed> {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            // From the cache of the API server: a look at all of them must not slow what is measured.
            let params = ListParams { resource_version: Some("0".into()), ..ListParams::default() };
            let all = self.api::<McpServer>().list(&params).await?.items;
            if all.iter().filter(|server| is_ready(server)).count() >= wanted {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(if wanted > 500 { 2000 } else { 200 })).await;
        }
        Err(format!("{wanted} servers are not ready after {} minutes", PATIENCE.as_secs() / 60).into())
    }

    /// Edits one server and waits until the edit is rolled out.
    pub async fn edit(&self, number: usize) -> Result<(), Failed> {
        self.server(number, 2 + number + usize::from(rand::random::<u8>())).await?;
        let (api, began) = (self.api::<McpServer>(), Instant::now());
        while began.elapsed() < PATIENCE {
            if is_ready(&api.get(&format!("server-{number}")).await?) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Err("an edited server is not ready".into())
    }

    /// The control: Deployments of one pod, made and rolled out without an operator.
    pub async fn deployments(&self, series: usize, count: usize) -> Result<(), Failed> {
        let api = self.api::<Deployment>();
        let make = async |number: usize| -> Result<(), Failed> {
            let name = format!("control-{series}-{number}");
            let labels = json!({"control": name, "part": "control"});
            let object = json!({"metadata": {"name": name, "labels": labels}, "spec": {
                "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels},
                "spec": {"containers": [{"name": "server", "image": "example:1"}]}}}});
            api.create(&PostParams::default(), &serde_json::from_value(object)?).await?;
            Ok(())
        };
        let made = futures::stream::iter(0..count).map(make).buffer_unordered(AT_ONCE);
        made.collect::<Vec<_>>().await.into_iter().collect::<Result<(), Failed>>()?;
        let ready = |deployment: &Deployment| {
            deployment.status.as_ref().and_then(|status| status.available_replicas) == Some(1)
        };
        self.until_controls(|all| all.iter().filter(|deployment| ready(deployment)).count() == count).await
    }

    pub async fn remove_deployments(&self) -> Result<(), Failed> {
        let own = ListParams::default().labels("part=control");
        self.api::<Deployment>().delete_collection(&DeleteParams::background(), &own).await?;
        self.until_controls(<[Deployment]>::is_empty).await
    }

    async fn until_controls(&self, wanted: impl Fn(&[Deployment]) -> bool) -> Result<(), Failed> {
        let (api, own, began) =
            (self.api::<Deployment>(), ListParams::default().labels("part=control"), Instant::now());
        while began.elapsed() < PATIENCE {
            if wanted(&api.list(&own).await?.items) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Err("the control did not come to its end".into())
    }
}

fn is_ready(server: &McpServer) -> bool {
    let Some(status) = &server.status else { return false };
    status.observed_generation == server.metadata.generation
        && status.conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}
