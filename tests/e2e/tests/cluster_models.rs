//! A model's file on a real control plane whose pods are processes: the operator's Job runs the real `portico fetch`.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use portico_cluster::{Cluster, Level, Namespace, NodeOptions, wait_for, wanted};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Two cores that also build something else need a minute.
const PATIENCE: Duration = Duration::from_mins(2);
/// What `sha256sum` says of the fixture.
const SUM: &str = "18d850ba1ab442c5194bb75bdecf5aeb284ecbd9114856910d01c54509a8fd4c";

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
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
        let namespace = cluster.namespace("models").await.unwrap();
        Self { namespace, cluster, folder: tempfile::tempdir().unwrap() }
    }

    async fn kubectl(&self, arguments: &[&str]) -> String {
        let all = [&["--namespace", self.namespace.name()], arguments].concat();
        let output = self.cluster.kubectl(&all).await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "kubectl {arguments:?}: {said}");
        String::from_utf8(output.stdout).unwrap()
    }

    async fn apply(&self, manifest: Value) {
        let file = self.folder.path().join("manifest.json");
        std::fs::write(&file, manifest.to_string()).unwrap();
        self.kubectl(&["apply", "-f", &file.display().to_string()]).await;
    }

    /// The operator with the rights of its own service account.
    async fn operator(&self) -> Operator {
        let file = |path: &str| workspace().join(path).display().to_string();
        self.kubectl(&["apply", "-f", &file("crds/yaml"), "-f", &file("operator/rbac.yaml")]).await;
        self.kubectl(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=120s"]).await;
        let account = format!("--serviceaccount={}:operator", self.namespace.name());
        for role in ["portico-operator", "portico-operator-models"] {
            let role_ref = format!("--clusterrole={role}");
            self.kubectl(&["create", "rolebinding", role, &role_ref, &account]).await;
        }
        let text = std::fs::read_to_string(self.cluster.kubeconfig()).unwrap();
        let mut config: Value = serde_json::from_str(&text).unwrap();
        config["users"][0]["user"]["as"] =
            format!("system:serviceaccount:{}:operator", self.namespace.name()).into();
        let kubeconfig = self.folder.path().join("kubeconfig");
        std::fs::write(&kubeconfig, config.to_string()).unwrap();
        let mut command = Command::new(portico_e2e::program());
        command.args([
            "operator",
            "--no-leader-election",
            "--kinds",
            "inferencemodels",
            "--listen",
            "127.0.0.1:0",
            "--portico-image",
            "portico",
        ]);
        command.args(["--namespace", self.namespace.name()]).env("KUBECONFIG", kubeconfig);
        let log = std::fs::File::create(self.folder.path().join("operator.log")).unwrap();
        Operator(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap())
    }
}

/// It ends with the test.
struct Operator(Child);

impl Drop for Operator {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// A web server with one file.
async fn serve(file: Vec<u8>) -> String {
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let head =
                format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", file.len());
            let _request = stream.read(&mut [0; 8192]).await;
            stream.write_all(&[head.as_bytes(), &file].concat()).await.ok();
        }
    });
    format!("http://127.0.0.1:{port}/shop-3m.gguf")
}

#[tokio::test]
async fn the_file_of_a_model_is_downloaded_by_a_job_onto_its_volume_and_verified() {
    if !wanted(Level::Processes) {
        return;
    }
    let world = World::start().await;
    let _operator = world.operator().await;
    let original = std::fs::read(workspace().join("tests/fixtures/shop-3m.gguf")).unwrap();
    let url = serve(original.clone()).await;
    let volume = world.folder.path().join("volume");
    std::fs::create_dir(&volume).unwrap();
    world
        .apply(json!({
            "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "here"},
            "spec": {"storageClassName": "here", "capacity": {"storage": "10Gi"}, "accessModes": ["ReadWriteOnce"],
                "persistentVolumeReclaimPolicy": "Retain", "hostPath": {"path": volume}},
        }))
        .await;
    world
        .apply(json!({
            "apiVersion": "portico.dev/v1alpha1", "kind": "InferenceModel", "metadata": {"name": "shop"},
            "spec": {
                "source": {"url": {"url": url, "sha256": SUM, "sizeBytes": original.len()}},
                "engine": {"llamaCpp": {"image": "absent"}},
                "cache": {"persistentVolumeClaim": {"size": "1Gi", "storageClassName": "here"}},
            },
        }))
        .await;
    let path = "jsonpath={.status.conditions[?(@.type==\"ArtifactReady\")].reason}";
    let stored = wait_for("the stored file", PATIENCE, async || {
        let reason = world.kubectl(&["get", "inferencemodel/shop", "--output", path]).await;
        if reason == "ArtifactStored" { Ok(Some(())) } else { Err(reason) }
    })
    .await;
    if let Err(error) = stored {
        panic!("{error}\n{}", world.cluster.diagnose(world.namespace.name()).await);
    }
    assert!(std::fs::read(volume.join("shop-3m.gguf")).unwrap() == original, "the file is not the original");
    let left: Vec<_> = std::fs::read_dir(&volume).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["shop-3m.gguf"]);
}
