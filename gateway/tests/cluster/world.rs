//! A namespace, gateways that look at it, and a server whose tools a test changes.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use portico_cluster::{AuditEvent, AuditMark, Cluster, Level, Namespace, wait_for, wait_until};
use portico_crds::McpServer;
use portico_crds::mcp_server::ServerCatalog;
use portico_gateway::kubernetes::{self, Claim, ClusterSecrets, Duties, Scope};
use portico_gateway::{Gateway, Options};
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

use crate::raw_server::RawServer;

/// On a machine that also builds something.
pub const SOON: Duration = Duration::from_mins(2);
const LEASE: &str = "portico-gateway";

pub struct World {
    pub cluster: Arc<Cluster>,
    pub namespace: Namespace,
    client: Client,
}

/// A running gateway.
pub struct Running {
    pub gateway: Arc<Gateway>,
    stop: CancellationToken,
    reporting: tokio::task::JoinHandle<()>,
}

impl Running {
    /// Ends it as SIGTERM does.
    pub async fn stop(self) {
        self.stop.cancel();
        self.reporting.await.unwrap();
    }
}

/// What is cluster-wide: the kinds and the roles, as they are shipped.
async fn prepare(cluster: &Cluster) {
    static ONCE: OnceCell<()> = OnceCell::const_new();
    ONCE.get_or_init(async || {
        let file = |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join(name).display().to_string();
        let (kinds, roles) = (file("../crds/yaml"), file("rbac.yaml"));
        kubectl(cluster, &["apply", "--server-side", "--force-conflicts", "-f", &kinds, "-f", &roles]).await;
        kubectl(cluster, &["wait", "--for=condition=Established", "crd", "--all", "--timeout=120s"]).await;
    })
    .await;
}

async fn kubectl(cluster: &Cluster, arguments: &[&str]) {
    let output = cluster.kubectl(arguments).await.unwrap();
    assert!(output.status.success(), "kubectl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

impl World {
    pub async fn start() -> Self {
        let cluster = Cluster::shared(Level::Api).await.unwrap();
        prepare(&cluster).await;
        let namespace = cluster.namespace("gateway").await.unwrap();
        let client = cluster.client().unwrap();
        Self { cluster, namespace, client }
    }

    /// Starts a gateway with an account of its own, which has the shipped rights in this namespace.
    pub async fn gateway(&self, account: &str) -> Running {
        let subject = format!("--serviceaccount={}:{account}", self.namespace.name());
        for role in ["portico-gateway", "portico-gateway-lease", "portico-gateway-secrets"] {
            let (binding, role) = (format!("{account}-{role}"), format!("--clusterrole={role}"));
            let arguments =
                ["--namespace", self.namespace.name(), "create", "rolebinding", &binding, &role, &subject];
            self.cluster.kubectl(&arguments).await.unwrap();
        }
        let client = self.cluster.client_as(&self.user(account), &["system:authenticated"]).unwrap();
        let namespace = self.namespace.name().to_owned();
        let scope = self.scope(client.clone());
        let stop = CancellationToken::new();
        let found = kubernetes::follow(&scope, None, stop.child_token()).await.unwrap();
        let lists = kubernetes::kept_lists(&scope).await;
        let secrets = Some(Arc::new(ClusterSecrets::new(client.clone())) as _);
        let options = Options { refresh: Duration::from_millis(100), secrets, ..Options::default() };
        let gateway = Arc::new(Gateway::with_lists(options, found.servers.clone(), &lists).unwrap());
        let claim = Claim { namespace, name: LEASE.to_owned(), identity: account.to_owned() };
        let duties =
            Duties { claim, lists: Some(lists), peers: tokio::sync::watch::channel(Arc::default()).1 };
        let reporting = kubernetes::report(client, &found, &gateway, duties, stop.child_token());
        Running { gateway, stop, reporting: tokio::spawn(reporting) }
    }

    /// This namespace, seen by `client`.
    pub fn scope(&self, client: Client) -> Scope {
        Scope { client, namespace: Some(self.namespace.name().to_owned()) }
    }

    fn user(&self, account: &str) -> String {
        format!("system:serviceaccount:{}:{account}", self.namespace.name())
    }

    pub fn servers(&self) -> Api<McpServer> {
        self.api()
    }

    pub fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), self.namespace.name())
    }

    /// Applies a server as a person does.
    pub async fn apply(&self, name: &str, annotations: Value, spec: Value) {
        let manifest = json!({
            "apiVersion": "portico.dev/v1alpha1", "kind": "McpServer",
            "metadata": { "name": name, "annotations": annotations }, "spec": spec,
        });
        let params = PatchParams::apply("person").force();
        self.servers().patch(name, &params, &Patch::Apply(manifest)).await.unwrap();
    }

    /// Waits until a server is as wanted; its status is part of the message when it never is.
    pub async fn until(&self, name: &str, what: &str, wanted: impl Fn(&McpServer) -> bool) -> McpServer {
        wait_until(&self.servers(), (name, what), SOON, wanted).await.unwrap()
    }

    /// Waits until a condition is `status reason`.
    pub async fn until_said(&self, name: &str, kind: &str, wanted: &str) -> McpServer {
        self.until(name, &format!("{kind} {wanted}"), |server| said(server, kind) == wanted).await
    }

    /// Waits until the lists of a server are kept, which they are some seconds after they are known.
    pub async fn until_kept(&self, name: &str) -> ConfigMap {
        let (maps, map): (Api<ConfigMap>, _) = (self.api(), format!("{name}-lists"));
        wait_for("the kept lists", SOON, async || maps.get_opt(&map).await).await.unwrap()
    }

    /// How often a gateway wrote anything but the Lease since `mark`, or tried to.
    pub fn writes(&self, mark: AuditMark, account: &str) -> usize {
        self.written(mark, account).len()
    }

    /// The same without what the API server refused, as it does where somebody else was faster.
    pub fn writes_taken(&self, mark: AuditMark, account: &str) -> usize {
        self.written(mark, account).iter().filter(|event| event.code < 300).count()
    }

    fn written(&self, mark: AuditMark, account: &str) -> Vec<AuditEvent> {
        let user = self.user(account);
        let counts = |event: &AuditEvent| event.user == user && event.resource != "leases";
        self.cluster.audit_writes(mark, counts).unwrap()
    }
}

pub fn condition(server: &McpServer, kind: &str) -> Option<Condition> {
    server.status.as_ref()?.conditions.iter().find(|condition| condition.type_ == kind).cloned()
}

pub fn said(server: &McpServer, kind: &str) -> String {
    condition(server, kind).map(|found| format!("{} {}", found.status, found.reason)).unwrap_or_default()
}

pub fn catalog(server: &McpServer) -> ServerCatalog {
    server.status.as_ref().and_then(|status| status.catalog.clone()).unwrap_or_default()
}

/// A server whose tools a test changes.
pub struct Changing {
    pub raw: RawServer,
    tools: Arc<Mutex<&'static str>>,
}

impl Changing {
    pub async fn start(tools: &'static str) -> Self {
        let tools = Arc::new(Mutex::new(tools));
        let now = Arc::clone(&tools);
        let raw = RawServer::legacy("[]", move |seen| {
            let tools = *now.lock().unwrap();
            Box::pin(async move {
                (seen.method() == "tools/list").then(|| seen.result(&format!(r#"{{"tools":{tools}}}"#)))
            })
        })
        .await;
        Self { raw, tools }
    }

    pub fn list(&self, tools: &'static str) {
        *self.tools.lock().unwrap() = tools;
    }

    pub fn spec(&self, tools: &Value) -> Value {
        json!({ "source": { "remote": { "url": self.raw.url() } }, "tools": tools })
    }
}
