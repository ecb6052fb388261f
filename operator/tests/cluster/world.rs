//! A namespace with an operator at work in it.

use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::authorization::v1::SubjectAccessReview;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::rbac::v1::RoleBinding;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{ApiResource, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, Resource, ResourceExt as _};
use portico_cluster::{AuditEvent, AuditMark, Cluster, Level, Namespace, wait_for, wait_until};
use portico_crds::{McpServer, labels};
use portico_operator::kind::RECHECK;
use portico_operator::lease::Claim;
use portico_operator::mcp_server::validate::Settings;
use portico_operator::{KindName, Options, run};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

use crate::composite::Answers;
use crate::faults::{CHILDREN, Plan, resource};

/// For what takes a moment, on a machine that also builds something.
pub const SOON: Duration = Duration::from_mins(2);
// What is waited for so long was not found by the operator's own look at everything, but told by a watch.
const _: () = assert!(SOON.as_secs() * 4 < RECHECK.as_secs());

/// The kinds of children, as kubectl names them.
pub const KINDS: &str = "deployments,services,serviceaccounts,networkpolicies,poddisruptionbudgets,configmaps,jobs,persistentvolumeclaims";

pub struct World {
    pub client: Client,
    operators: Vec<Operator>,
    pub namespace: Namespace,
    pub cluster: Arc<Cluster>,
    /// What simulated servers say of themselves.
    pub answers: Answers,
}

/// A running operator; dropped, it is killed.
pub struct Operator {
    stop: CancellationToken,
    task: tokio::task::JoinHandle<Result<(), portico_operator::error::Error>>,
}

impl Operator {
    pub fn is_finished(&self) -> bool {
        self.task.is_finished()
    }

    /// Ends it as SIGTERM does.
    pub async fn stop(mut self) {
        self.stop.cancel();
        (&mut self.task).await.unwrap().unwrap();
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// What is cluster-wide: the kinds and the roles, as they are shipped.
async fn prepare(cluster: &Cluster) {
    static ONCE: OnceCell<()> = OnceCell::const_new();
    ONCE.get_or_init(async || {
        let (kinds, roles) = (file("../crds/yaml"), file("rbac.yaml"));
        let files = ["-f", kinds.to_str().unwrap(), "-f", roles.to_str().unwrap()];
        kubectl(cluster, &[&["apply", "--server-side", "--force-conflicts"], &files[..]].concat()).await;
        kubectl(cluster, &["wait", "--for=condition=Established", "crd", "--all", "--timeout=120s"]).await;
    })
    .await;
}

async fn kubectl(cluster: &Cluster, arguments: &[&str]) -> String {
    let output = cluster.kubectl(arguments).await.unwrap();
    assert!(output.status.success(), "kubectl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// How an operator of these tests runs.
struct Setup<'a> {
    account: &'a str,
    lease: Option<&'a str>,
    settings: Settings,
    kinds: Vec<KindName>,
}

impl<'a> Setup<'a> {
    fn of(account: &'a str) -> Self {
        Self { account, lease: None, settings: Settings::default(), kinds: KindName::ALL.to_vec() }
    }
}

impl World {
    /// A namespace with one operator.
    pub async fn start() -> Self {
        let mut world = Self::empty().await;
        let operator = world.operator("operator", None).await;
        world.operators.push(operator);
        world
    }

    /// A namespace without any operator.
    pub async fn empty() -> Self {
        let cluster = Cluster::shared(Level::Kwok).await.unwrap();
        prepare(&cluster).await;
        let namespace = cluster.namespace("operator").await.unwrap();
        let label = "pod-security.kubernetes.io/enforce=restricted";
        kubectl(&cluster, &["label", "namespace", namespace.name(), label]).await;
        let (client, answers) = (cluster.client().unwrap(), Answers::start().await);
        Self { client, operators: Vec::new(), namespace, cluster, answers }
    }

    /// Starts an operator with an account of its own, which has the shipped rights in this namespace.
    pub async fn operator(&self, account: &str, lease: Option<&str>) -> Operator {
        self.bind(account).await;
        self.run(self.client_of(account), Setup { lease, ..Setup::of(account) })
    }

    /// The same, whose every request goes through `plan`.
    pub async fn operator_through(&self, account: &str, plan: &Plan) -> Operator {
        self.bind(account).await;
        self.run(plan.client(self.client_of(account)), Setup::of(account))
    }

    /// The same, which acts on `kind` alone, and on servers where that renders some: many of them run at once.
    pub async fn operator_for(&self, kind: &ApiResource, plan: &Plan) -> Operator {
        self.bind("operator").await;
        let kinds = match kind.plural.as_str() {
            "mcpservers" => vec![KindName::McpServers],
            "inferencemodels" => vec![KindName::InferenceModels],
            "krogerintegrations" => vec![KindName::McpServers, KindName::KrogerIntegrations],
            _ => vec![KindName::McpServers, KindName::ShopConnectors],
        };
        self.run(plan.client(self.client_of("operator")), Setup { kinds, ..Setup::of("operator") })
    }

    /// One whose account has rights already.
    pub fn operator_bound(&self, account: &str) -> Operator {
        self.run(self.client_of(account), Setup::of(account))
    }

    /// Applies any object of this namespace as an administrator does.
    pub async fn put_object<K>(&self, object: &K)
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + Debug
            + DeserializeOwned
            + serde::Serialize,
    {
        let name = object.meta().name.clone().unwrap();
        let params = PatchParams::apply("administrator").force();
        self.api::<K>().patch(&name, &params, &Patch::Apply(object)).await.unwrap();
    }

    /// One with other settings, such as that of another version.
    pub async fn operator_with(&self, account: &str, settings: Settings) -> Operator {
        self.bind(account).await;
        self.run(self.client_of(account), Setup { settings, ..Setup::of(account) })
    }

    /// Gives an account the shipped rights in this namespace.
    async fn bind(&self, account: &str) {
        let subject = json!({"kind": "ServiceAccount", "name": account, "namespace": self.namespace.name()});
        for role in portico_operator::rights::ROLES.map(|role| role.name) {
            let reference =
                json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role});
            let binding = json!({"roleRef": reference, "subjects": [subject]});
            self.put::<RoleBinding>(&format!("{account}-{role}"), binding).await;
        }
        self.until_bound(account).await;
    }

    /// Waits until the API server has heard of the last of these rights: it would refuse the first requests.
    async fn until_bound(&self, account: &str) {
        let user = format!("system:serviceaccount:{}:{account}", self.namespace.name());
        let review: SubjectAccessReview = serde_json::from_value(json!({"spec": {"user": user, "resourceAttributes": {
            "namespace": self.namespace.name(), "group": "coordination.k8s.io", "resource": "leases", "verb": "update",
        }}}))
        .unwrap();
        let reviews = Api::<SubjectAccessReview>::all(self.client.clone());
        wait_for(&format!("the rights of {account}"), SOON, async || {
            let status = reviews.create(&PostParams::default(), &review).await?.status;
            Ok::<_, kube::Error>(status.is_some_and(|status| status.allowed).then_some(()))
        })
        .await
        .unwrap();
    }

    fn client_of(&self, account: &str) -> Client {
        let user = format!("system:serviceaccount:{}:{account}", self.namespace.name());
        self.cluster.client_as(&user, &["system:authenticated"]).unwrap()
    }

    fn run(&self, client: Client, setup: Setup<'_>) -> Operator {
        let Setup { account, lease, settings, kinds } = setup;
        let claim = lease.map(|name| Claim {
            namespace: self.namespace.name().to_owned(),
            name: name.to_owned(),
            identity: account.to_owned(),
        });
        let options = Options {
            namespaces: vec![self.namespace.name().to_owned()],
            kinds,
            settings,
            listen: ([127, 0, 0, 1], 0).into(),
            claim,
            checks: self.answers.checks(),
        };
        let stop = CancellationToken::new();
        let task = tokio::spawn(run(client, options, stop.clone()));
        Operator { stop, task }
    }

    /// Ends the operator that [`World::start`] has started, and starts another in its place.
    pub async fn restart_operator(&mut self) {
        for operator in self.operators.drain(..) {
            operator.stop().await;
        }
        let operator = self.operator("operator", None).await;
        self.operators.push(operator);
    }

    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), self.namespace.name())
    }

    /// Applies a server as a person does.
    pub async fn apply(&self, name: &str, spec: Value) -> McpServer {
        self.try_apply(name, spec).await.unwrap()
    }

    pub async fn try_apply(&self, name: &str, spec: Value) -> Result<McpServer, kube::Error> {
        let manifest = json!({
            "apiVersion": "portico.dev/v1alpha1", "kind": "McpServer", "metadata": {"name": name}, "spec": spec,
        });
        self.api().patch(name, &PatchParams::apply("person").force(), &Patch::Apply(manifest)).await
    }

    /// Creates or changes any other object as a person does.
    pub async fn put<K>(&self, name: &str, mut manifest: Value)
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
    {
        manifest["apiVersion"] = K::api_version(&()).into();
        manifest["kind"] = K::kind(&()).into();
        manifest["metadata"]["name"] = name.into();
        let params = PatchParams::apply("person").force();
        self.api::<K>().patch(name, &params, &Patch::Apply(manifest)).await.unwrap();
    }

    pub async fn delete<K>(&self, name: &str)
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
    {
        self.api::<K>().delete(name, &DeleteParams::background()).await.unwrap();
    }

    /// Waits until a server is as wanted; its status is part of the message when it never is.
    pub async fn until(&self, name: &str, what: &str, wanted: impl Fn(&McpServer) -> bool) -> McpServer {
        wait_until(&self.api::<McpServer>(), (name, what), SOON, wanted).await.unwrap()
    }

    pub async fn until_ready(&self, name: &str) -> McpServer {
        self.until(name, "Ready", is_ready).await
    }

    /// Waits until Ready has this reason, for the present generation.
    pub async fn until_reason(&self, name: &str, reason: &str) -> McpServer {
        let wanted = |server: &McpServer| is_observed(server) && condition(server, "Ready").reason == reason;
        self.until(name, &format!("Ready with reason {reason}"), wanted).await
    }

    pub async fn deployment(&self, server: &str) -> Deployment {
        self.api().get(&format!("{server}-mcp")).await.unwrap()
    }

    pub async fn pods(&self, server: &str) -> Vec<Pod> {
        let own = ListParams::default().labels(&format!("{}={server}", labels::MCP_SERVER));
        self.api::<Pod>().list(&own).await.unwrap().items
    }

    /// The children of all servers and models, as `kind.group/name`.
    pub async fn children(&self) -> Vec<String> {
        let own = ListParams::default().labels(&format!("{}={}", labels::MANAGED_BY, labels::OPERATOR));
        let kinds = CHILDREN.into_iter().filter(|child| KINDS.split(',').any(|plural| plural == child.3));
        let mut names = Vec::new();
        for child in kinds {
            let (kind, of) = (child.2.to_lowercase(), resource(child));
            let kind = if child.0.is_empty() { kind } else { format!("{kind}.{}", child.0) };
            let all = self.dynamic(&of).list_metadata(&own).await.unwrap();
            names.extend(all.iter().map(|object| format!("{kind}/{}", object.name_any())));
        }
        names.sort();
        names
    }

    /// kubectl in this namespace; it must succeed.
    pub async fn kubectl(&self, arguments: &[&str]) -> String {
        self.try_kubectl(arguments).await.unwrap_or_else(|said| panic!("kubectl {arguments:?}: {said}"))
    }

    pub async fn try_kubectl(&self, arguments: &[&str]) -> Result<String, String> {
        let all = [&["--namespace", self.namespace.name()], arguments].concat();
        let output = self.cluster.kubectl(&all).await.unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
    }

    /// What this namespace's operators, or one of them, wrote since `mark`; events and the Lease do not count.
    pub fn writes(&self, mark: AuditMark, account: &str) -> Vec<AuditEvent> {
        let user = format!("system:serviceaccount:{}:{account}", self.namespace.name());
        self.cluster.audit_writes(mark, |event| event.user == user && event.resource != "events").unwrap()
    }
}

pub fn condition(server: &McpServer, name: &str) -> Condition {
    let conditions = server.status.iter().flat_map(|status| &status.conditions);
    let found = conditions.into_iter().find(|condition| condition.type_ == name).cloned();
    found.unwrap_or_else(|| Condition {
        type_: name.to_owned(),
        status: "absent".to_owned(),
        reason: String::new(),
        message: String::new(),
        last_transition_time: k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(
            k8s_openapi::jiff::Timestamp::UNIX_EPOCH,
        ),
        observed_generation: None,
    })
}

pub fn is_observed(server: &McpServer) -> bool {
    server.status.as_ref().is_some_and(|status| status.observed_generation == server.metadata.generation)
}

pub fn is_ready(server: &McpServer) -> bool {
    is_observed(server) && condition(server, "Ready").status == "True"
}

/// What kstatus would say of it: Helm, Argo CD and Flux decide by these words.
pub fn kstatus(server: &McpServer) -> &'static str {
    let holds = |name: &str| condition(server, name).status == "True";
    match () {
        () if !is_observed(server) || holds("Reconciling") => "InProgress",
        () if holds("Stalled") => "Failed",
        () if holds("Ready") => "Current",
        () => "InProgress",
    }
}

/// A server whose pods take `delay` to become ready, from an image.
pub fn image(tag: &str, delay: &str) -> Value {
    json!({
        "source": {"image": {"name": format!("example:{tag}")}},
        "replicas": 1,
        "podTemplate": {"metadata": {"annotations": {"kwok.portico.dev/ready-after": delay}}},
    })
}
