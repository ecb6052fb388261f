//! The whole of it on a real control plane whose pods are processes: kubectl applies the quickstart, the operator makes
//! workloads of it, and the gateway serves their tools. Worth its minute: nothing else shows that the parts fit.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use portico_cluster::{Cluster, Level, Namespace, NodeOptions, wait_for};
use rmcp::model::{CallToolRequestParams, ProtocolVersion};
use rmcp::service::{ClientLifecycleMode, ClientServiceExt as _, RoleClient, RunningService};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use serde_json::{Value, json};

/// Two cores that also build something else need a minute.
const PATIENCE: Duration = Duration::from_mins(2);

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// A part of Portico that runs beside the cluster; it ends with the test.
struct Part(Child);

impl Part {
    /// Starts it with the rights of its own service account, and nothing more.
    fn start(world: &World, account: &str, arguments: &[&str]) -> Self {
        let kubeconfig = world.folder.path().join(format!("{account}.kubeconfig"));
        std::fs::write(&kubeconfig, impersonating(&world.cluster, world.namespace.name(), account)).unwrap();
        let log = std::fs::File::create(world.folder.path().join(format!("{account}.log"))).unwrap();
        let mut command = Command::new(portico_e2e::program());
        command.args(arguments).args(["--namespace", world.namespace.name()]).env("KUBECONFIG", kubeconfig);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        Self(command.spawn().unwrap())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn impersonating(cluster: &Cluster, namespace: &str, account: &str) -> String {
    let text = std::fs::read_to_string(cluster.kubeconfig()).unwrap();
    let mut config: Value = serde_json::from_str(&text).unwrap();
    config["users"][0]["user"]["as"] = format!("system:serviceaccount:{namespace}:{account}").into();
    config.to_string()
}

struct World {
    namespace: Namespace,
    cluster: Cluster,
    folder: tempfile::TempDir,
}

impl World {
    async fn start() -> Self {
        rustls::crypto::ring::default_provider().install_default().ok();
        let images = [("portico".to_owned(), vec![portico_e2e::program().display().to_string()])].into();
        let cluster = Cluster::start_with(Level::Processes, NodeOptions { images, ..NodeOptions::default() });
        let cluster = cluster.await.unwrap();
        let namespace = cluster.namespace("shop").await.unwrap();
        let world = Self { namespace, cluster, folder: tempfile::tempdir().unwrap() };
        world.give_rights("portico-operator", "operator/rbac.yaml").await;
        world.give_rights("portico-gateway", "gateway/rbac.yaml").await;
        let subject = format!("--serviceaccount={}:portico-gateway", world.namespace.name());
        let lease = [
            "create",
            "rolebinding",
            "portico-gateway-lease",
            "--clusterrole=portico-gateway-lease",
            &subject,
        ];
        world.kubectl(&lease).await;
        world
    }

    /// Applies a part's rights as they are shipped, and binds them to its account in the namespace.
    async fn give_rights(&self, account: &str, file: &str) {
        self.kubectl(&["apply", "-f", &workspace().join(file).display().to_string()]).await;
        let subject = format!("--serviceaccount={}:{account}", self.namespace.name());
        self.kubectl(&["create", "serviceaccount", account]).await;
        self.kubectl(&["create", "rolebinding", account, &format!("--clusterrole={account}"), &subject])
            .await;
    }

    /// kubectl in the namespace; it must succeed.
    async fn kubectl(&self, arguments: &[&str]) -> String {
        let (success, output) = self.try_kubectl(arguments).await;
        assert!(success, "kubectl {arguments:?}: {output}");
        output
    }

    async fn try_kubectl(&self, arguments: &[&str]) -> (bool, String) {
        let mut all = vec!["--namespace", self.namespace.name()];
        all.extend(arguments);
        let output = self.cluster.kubectl(&all).await.unwrap();
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        (output.status.success(), text)
    }

    /// Waits for a server to be ready, as a person would.
    async fn until_ready(&self, server: &str) {
        let wait = ["wait", "--for=condition=Ready", "--timeout=120s", &format!("mcpserver/{server}")];
        let (ready, said) = self.try_kubectl(&wait).await;
        assert!(ready, "{said}\n{}", self.cluster.diagnose(self.namespace.name()).await);
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

async fn connect(url: &str, mode: ClientLifecycleMode) -> RunningService<RoleClient, ()> {
    let config = StreamableHttpClientTransportConfig::with_uri(url.to_owned());
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    ().serve_with_lifecycle(StreamableHttpClientTransport::with_client(client, config), mode).await.unwrap()
}

/// Calls a tool until it answers: the cluster may take a while to let pods reach a Service that is new.
async fn until_answered(client: &RunningService<RoleClient, ()>, tool: &str, arguments: Value) -> Value {
    let params =
        CallToolRequestParams::new(tool.to_owned()).with_arguments(arguments.as_object().cloned().unwrap());
    wait_for(&format!("an answer of {tool}"), PATIENCE, async || {
        let result = client.call_tool(params.clone()).await.unwrap();
        if result.is_error == Some(true) { Err(format!("{:?}", result.content)) } else { Ok(Some(result)) }
    })
    .await
    .map(|result| serde_json::to_value(result).unwrap())
    .unwrap()
}

#[tokio::test]
async fn the_quickstart_applied_with_kubectl_serves_its_tools_through_the_gateway() {
    if !portico_cluster::wanted(Level::Processes) {
        return;
    }
    let world = World::start().await;
    let (health, mcp) = (free_port(), free_port());
    world.kubectl(&["apply", "-f", &workspace().join("crds/yaml").display().to_string()]).await;
    let defined = ["wait", "--for=condition=Established", "--timeout=120s", "crd/mcpservers.portico.dev"];
    world.kubectl(&defined).await;
    world.kubectl(&["apply", "-f", &workspace().join("examples/quickstart").display().to_string()]).await;
    let listen = format!("127.0.0.1:{health}");
    let _operator = Part::start(
        &world,
        "portico-operator",
        &["operator", "--no-leader-election", "--kinds", "mcpservers", "--listen", &listen],
    );
    let listen = format!("127.0.0.1:{mcp}");
    let _gateway = Part::start(
        &world,
        "portico-gateway",
        &["gateway", "--listen", &listen, "--lease-namespace", world.namespace.name()],
    );
    bridged(&world).await;
    // At first: it goes to zero after a while without calls.
    world.until_ready("files").await;
    let connected = ["wait", "--for=condition=Connected", "--timeout=120s", "mcpserver/files"];
    world.kubectl(&connected).await;
    for server in ["kroger", "bridged"] {
        world.until_ready(server).await;
    }
    let url = format!("http://127.0.0.1:{mcp}/mcp");
    let modern = ClientLifecycleMode::Discover { preferred_versions: vec![ProtocolVersion::V_2026_07_28] };
    for mode in [ClientLifecycleMode::Initialize, modern] {
        let client = until_listed(&url, &mode).await;
        let found = until_answered(&client, "search_products_advanced", json!({ "query": "milk" })).await;
        assert!(
            found["structuredContent"]["products"].as_array().is_some_and(|all| !all.is_empty()),
            "{found}"
        );
    }
    until_told(&world).await;
    world.kubectl(&["delete", "mcpservers", "--all", "--wait"]).await;
    nothing_is_left(&world).await;
}

/// Waits until the table says of the servers how they are: no image of Node.js can be had here.
async fn until_told(world: &World) {
    let table = wait_for("the rows of files and everything", PATIENCE, async || {
        let table = world.kubectl(&["get", "mcpservers"]).await;
        let row = |name: &str| table.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        let (files, everything) = (row("files"), row("everything"));
        let failed = everything.contains("False") && everything.contains("ImagePullFailed");
        let serves = files.contains("True") && (files.contains("1/1") || files.contains("0/0"));
        if failed && serves { Ok(Some(table)) } else { Err(table) }
    })
    .await
    .unwrap();
    println!("{table}");
}

/// A stdio server in a pod: the shipped files server, spoken to through the bridge.
async fn bridged(world: &World) {
    let server = json!({
        "apiVersion": "portico.dev/v1alpha1", "kind": "McpServer", "metadata": { "name": "bridged" },
        "spec": {
            "transport": "Stdio",
            "source": { "image": {
                "name": "portico", "command": [portico_e2e::program(), "serve", "files", "--stdio"],
            } },
            "env": [{ "name": "FILES_ALLOWED_DIRS", "value": "/tmp" }],
        },
    });
    let file = world.folder.path().join("bridged.json");
    std::fs::write(&file, server.to_string()).unwrap();
    world.kubectl(&["apply", "-f", &file.display().to_string()]).await;
}

/// Connects until the tools of all servers are listed; those that two servers have are prefixed.
async fn until_listed(url: &str, mode: &ClientLifecycleMode) -> RunningService<RoleClient, ()> {
    let wanted =
        ["search_products_advanced", "store_locator_advanced", "files__read_file", "bridged__read_file"];
    wait_for("the tools of all servers", PATIENCE, async || {
        let client = connect(url, mode.clone()).await;
        let tools = client.list_all_tools().await.unwrap();
        let all = wanted.iter().all(|name| tools.iter().any(|tool| tool.name == *name));
        Ok::<_, portico_cluster::Error>(all.then_some(client))
    })
    .await
    .unwrap()
}

async fn nothing_is_left(world: &World) {
    const KINDS: &str =
        "deployments,pods,services,serviceaccounts,networkpolicies,poddisruptionbudgets,configmaps";
    let label =
        ["get", KINDS, "--selector", "app.kubernetes.io/managed-by=portico-operator", "--output", "name"];
    wait_for("the end of everything the operator made", PATIENCE, async || {
        let left = world.kubectl(&label).await;
        Ok::<_, portico_cluster::Error>((!left.contains('/')).then_some(()))
    })
    .await
    .unwrap();
}
