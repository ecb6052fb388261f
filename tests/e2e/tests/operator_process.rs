//! Operators as processes: one that was stopped for longer than its Lease lasts, and goes on, writes nothing any more.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use portico_cluster::{AuditEvent, AuditMark, Cluster, Error, Level, Namespace, wait_for, wanted};
use serde_json::{Value, json};

/// Longer than a Lease lasts, on a machine that also builds something.
const PATIENCE: Duration = Duration::from_mins(2);
/// With no write for so long everything has settled.
const SETTLED: Duration = Duration::from_secs(2);
const ROLES: [&str; 2] = ["portico-operator", "portico-operator-lease"];

struct Operator(Child);

impl Operator {
    fn signal(&self, name: &str) {
        let pid = self.0.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

struct World {
    namespace: Namespace,
    cluster: Arc<Cluster>,
    folder: tempfile::TempDir,
}

impl World {
    async fn start() -> Self {
        let cluster = Cluster::shared(Level::Kwok).await.unwrap();
        let namespace = cluster.namespace("leader").await.unwrap();
        let world = Self { namespace, cluster, folder: tempfile::tempdir().unwrap() };
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
        let files = [format!("{root}/crds/yaml"), format!("{root}/operator/rbac.yaml")];
        world
            .kubectl(&["apply", "--server-side", "--force-conflicts", "-f", &files[0], "-f", &files[1]])
            .await;
        world
    }

    async fn kubectl(&self, arguments: &[&str]) -> String {
        let all = [&["--namespace", self.namespace.name()], arguments].concat();
        let output = self.cluster.kubectl(&all).await.unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// An operator with an account of its own that has the shipped rights.
    async fn operator(&self, account: &str) -> Operator {
        let namespace = self.namespace.name();
        for role in ROLES {
            let (binding, role) = (format!("{account}-{role}"), format!("--clusterrole={role}"));
            let subject = format!("--serviceaccount={namespace}:{account}");
            self.kubectl(&["create", "rolebinding", &binding, &role, &subject]).await;
        }
        let mut config: Value =
            serde_json::from_str(&std::fs::read_to_string(self.cluster.kubeconfig()).unwrap()).unwrap();
        config["users"][0]["user"]["as"] = format!("system:serviceaccount:{namespace}:{account}").into();
        let kubeconfig = self.folder.path().join(account);
        std::fs::write(&kubeconfig, config.to_string()).unwrap();
        let mut command = Command::new(portico_e2e::program());
        command.args(["operator", "--namespace", namespace, "--lease-namespace", namespace]);
        command
            .args(["--listen", "127.0.0.1:0", "--kinds", "mcpservers"])
            .env("KUBECONFIG", kubeconfig)
            .env("HOSTNAME", account);
        Operator(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }

    async fn holder(&self) -> String {
        let path = "jsonpath={.items[*].spec.holderIdentity}";
        self.kubectl(&["get", "leases", "--output", path]).await
    }

    async fn until_held_by(&self, account: &str) {
        wait_for(&format!("{account} as the holder"), PATIENCE, async || {
            let holder = self.holder().await;
            if holder.starts_with(account) { Ok(Some(())) } else { Err(holder) }
        })
        .await
        .unwrap();
    }

    async fn apply(&self, name: &str, tag: usize) {
        let manifest = json!({"apiVersion": "portico.dev/v1alpha1", "kind": "McpServer", "metadata": {"name": name},
            "spec": {"source": {"image": {"name": format!("example:{tag}")}}, "replicas": 1}});
        let file = self.folder.path().join(format!("{name}.json"));
        std::fs::write(&file, manifest.to_string()).unwrap();
        self.kubectl(&["apply", "--server-side", "-f", &file.display().to_string()]).await;
    }

    /// Waits until an operator has nothing more to write.
    async fn settle(&self, account: &str) {
        wait_for("two seconds without a write", PATIENCE, async || {
            let mark = self.cluster.audit_mark()?;
            tokio::time::sleep(SETTLED).await;
            Ok::<_, Error>(lasting(self.writes(mark, account)).is_empty().then_some(()))
        })
        .await
        .unwrap();
    }

    fn writes(&self, mark: AuditMark, account: &str) -> Vec<AuditEvent> {
        let user = format!("system:serviceaccount:{}:{account}", self.namespace.name());
        // One that its author was stopped in the middle of sending, long before, is given up by the API server: it wrote nothing.
        self.cluster.audit_writes(mark, |event| event.user == user && event.code != 504).unwrap()
    }
}

/// Without events, which come after what they tell of.
fn lasting(mut writes: Vec<AuditEvent>) -> Vec<AuditEvent> {
    writes.retain(|event| event.resource != "events");
    writes
}

#[tokio::test]
async fn a_leader_that_was_stopped_past_its_lease_writes_nothing_when_it_goes_on() {
    if !wanted(Level::Kwok) {
        return;
    }
    let world = World::start().await;
    let mut one = world.operator("one").await;
    world.until_held_by("one").await;
    let _two = world.operator("two").await;
    // Stopped in the middle of its work.
    for number in 0..12 {
        world.apply(&format!("server-{number}"), number).await;
    }
    one.signal("-STOP");
    let stopped = Instant::now();
    world.until_held_by("two").await;
    eprintln!(
        "a leader that stops without a word is followed after {:.1} s",
        stopped.elapsed().as_secs_f64()
    );
    world.kubectl(&["wait", "--for=condition=Ready", "mcpservers", "--all", "--timeout=120s"]).await;
    world.settle("two").await;
    let mark = world.cluster.audit_mark().unwrap();
    one.signal("-CONT");
    let ended = wait_for("the end of the one that lost", PATIENCE, || std::future::ready(one.0.try_wait()));
    assert!(!ended.await.unwrap().success(), "it says by its exit code that it did not end as asked");
    assert_eq!(world.writes(mark, "one"), [], "the one that lost wrote");
    assert_eq!(lasting(world.writes(mark, "two")), [], "there was nothing to mend");
}
