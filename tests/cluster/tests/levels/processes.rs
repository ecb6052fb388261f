//! Level `Processes`: pods are processes, and all that Kubernetes makes of pods is real.

use std::fs;
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt};
use portico_cluster::{Cluster, Error, Level, Namespace, wait_for, wanted};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::SOON;

const IMAGE: &str = "localhost/sample";
/// For one request; the next look begins a new one.
const ANSWER: Duration = Duration::from_secs(2);

fn deployment(replicas: u32, greeting: &str) -> Value {
    let get = json!({"path": "/", "port": "http"});
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {
                    "terminationGracePeriodSeconds": 5,
                    "containers": [{
                        "name": "web",
                        "image": format!("{IMAGE}:1"),
                        "ports": [{"name": "http", "containerPort": 8080}],
                        "env": [{"name": "HOST", "value": "0.0.0.0"}, {"name": "PORT", "value": "8080"},
                            {"name": "GREETING", "value": greeting}],
                        "readinessProbe": {"httpGet": get, "periodSeconds": 1},
                        // A container that a busy machine keeps waiting is none that hangs.
                        "livenessProbe": {"httpGet": get, "periodSeconds": 1, "timeoutSeconds": 10},
                    }],
                },
            },
        },
    })
}

struct Test {
    cluster: std::sync::Arc<Cluster>,
    namespace: Namespace,
    client: Client,
}

impl Test {
    async fn begin() -> Self {
        let cluster = Cluster::shared(Level::Processes).await.unwrap();
        cluster.add_image(IMAGE, &[env!("CARGO_BIN_EXE_cluster"), "sample"]).unwrap();
        let namespace = cluster.namespace("proc").await.unwrap();
        let client = cluster.client().unwrap();
        Self { cluster, namespace, client }
    }

    async fn apply(&self, deployment: &Value) {
        let api: Api<Deployment> = Api::namespaced(self.client.clone(), self.namespace.name());
        api.patch("web", &PatchParams::apply("test").force(), &Patch::Apply(deployment)).await.unwrap();
    }

    async fn service(&self) {
        let service: Service = serde_json::from_value(json!({
            "metadata": {"name": "web"},
            "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": "http"}]},
        }))
        .unwrap();
        let api = Api::namespaced(self.client.clone(), self.namespace.name());
        api.create(&PostParams::default(), &service).await.unwrap();
    }

    /// The Service's answer, found by its name.
    async fn ask(&self, path: &str) -> Result<String, String> {
        let host = format!("web.{}", self.namespace.name());
        timeout(ANSWER, get(&host, 80, path)).await.map_err(|_| "no answer".to_owned())?
    }

    async fn answers(&self, expected: &str) -> String {
        wait_for(&format!("an answer with {expected}"), SOON, async || {
            let text = self.ask("/").await?;
            if text.contains(expected) { Ok(Some(text)) } else { Err(text) }
        })
        .await
        .unwrap()
    }

    async fn pods(&self) -> Vec<Pod> {
        let api: Api<Pod> = Api::namespaced(self.client.clone(), self.namespace.name());
        api.list(&ListParams::default()).await.unwrap().items
    }

    /// The processes that have a variable of this namespace's pods in their environment.
    fn processes(&self) -> usize {
        let own = format!("GREETING={}", self.greeting(""));
        let all = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path().join("environ"));
        all.filter(|path| fs::read(path).is_ok_and(|text| String::from_utf8_lossy(&text).contains(&own)))
            .count()
    }

    fn greeting(&self, word: &str) -> String {
        format!("{}-{word}", self.namespace.name())
    }
}

async fn get(host: &str, port: u16, path: &str) -> Result<String, String> {
    let exchange = async {
        let mut stream = TcpStream::connect((host, port)).await?;
        stream
            .write_all(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").as_bytes())
            .await?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await?;
        Ok::<_, std::io::Error>(text)
    };
    exchange.await.map_err(|error| error.to_string())
}

#[tokio::test]
async fn a_deployment_serves_by_name_rolls_scales_to_zero_and_back_and_leaves_nothing() {
    if !wanted(Level::Processes) {
        return;
    }
    let test = Test::begin().await;
    test.service().await;
    test.apply(&deployment(2, &test.greeting("one"))).await;
    test.answers(&test.greeting("one")).await;
    let rollout =
        ["rollout", "status", "deployment/web", "--timeout=120s", "--namespace", test.namespace.name()];
    let rolled_out = test.cluster.kubectl(&rollout).await.unwrap();
    assert!(rolled_out.status.success(), "{}", String::from_utf8_lossy(&rolled_out.stderr));
    test.apply(&deployment(2, &test.greeting("two"))).await;
    test.answers(&test.greeting("two")).await;
    test.apply(&deployment(0, &test.greeting("two"))).await;
    wait_for("zero pods", SOON, async || Ok::<_, Error>(test.pods().await.is_empty().then_some(())))
        .await
        .unwrap();
    assert_eq!(test.processes(), 0);
    assert!(test.ask("/").await.is_err(), "somebody answers for a Service without pods");
    test.apply(&deployment(1, &test.greeting("three"))).await;
    test.answers(&test.greeting("three")).await;
    assert_ne!(test.processes(), 0);
    let deployments: Api<Deployment> = Api::namespaced(test.client.clone(), test.namespace.name());
    deployments.delete("web", &DeleteParams::foreground()).await.unwrap();
    wait_for("the end of the processes", SOON, async || {
        Ok::<_, Error>((test.processes() == 0).then_some(()))
    })
    .await
    .unwrap();
    test.namespace.delete().await.unwrap();
}

#[tokio::test]
async fn a_crashed_container_is_started_anew_and_a_liar_is_killed_by_its_probe() {
    if !wanted(Level::Processes) {
        return;
    }
    let test = Test::begin().await;
    test.service().await;
    let mut manifest = deployment(1, &test.greeting("one"));
    // The new pod's readiness, which it never keeps, must not hold the old one.
    manifest["spec"]["strategy"] = json!({"type": "Recreate"});
    test.apply(&manifest).await;
    test.answers(&test.greeting("one")).await;
    test.ask("/crash").await.ok();
    let restarted = |pod: &Pod| {
        let status = pod.status.as_ref()?.container_statuses.as_ref()?.first()?;
        let code = status.last_state.as_ref()?.terminated.as_ref()?.exit_code;
        (status.ready && status.restart_count > 0).then_some(code)
    };
    let look = async || Ok::<_, Error>(test.pods().await.iter().find_map(restarted));
    assert_eq!(wait_for("the restart", SOON, look).await.unwrap(), 3);
    let container = &mut manifest["spec"]["template"]["spec"]["containers"][0];
    container["livenessProbe"] =
        json!({"exec": {"command": ["false"]}, "periodSeconds": 1, "failureThreshold": 1});
    test.apply(&manifest).await;
    let killed = wait_for("the probe's kill", SOON, async || {
        let restarts =
            |pod: &Pod| Some(pod.status.as_ref()?.container_statuses.as_ref()?.first()?.restart_count);
        Ok::<_, Error>(test.pods().await.iter().filter_map(restarts).find(|count| *count > 1))
    });
    killed.await.unwrap();
}

#[tokio::test]
async fn an_image_that_is_no_program_here_is_a_waiting_reason_that_says_so() {
    if !wanted(Level::Processes) {
        return;
    }
    let test = Test::begin().await;
    let mut manifest = deployment(1, "");
    manifest["spec"]["template"]["spec"]["containers"][0]["image"] = json!("example.org/nothing:1");
    test.apply(&manifest).await;
    let waiting = wait_for("the reason", SOON, async || {
        let pods = test.pods().await;
        let statuses =
            pods.iter().filter_map(|pod| pod.status.as_ref()?.container_statuses.as_ref()?.first().cloned());
        let reasons = statuses.filter_map(|status| status.state?.waiting);
        Ok::<_, Error>(reasons.into_iter().find(|waiting| waiting.reason.as_deref() == Some("ErrImagePull")))
    });
    let message = waiting.await.unwrap().message.unwrap_or_default();
    assert!(message.contains("example.org/nothing:1"), "{message}");
}

/// The pod has the rights of its account, and an init container's volume is there for the next.
#[tokio::test]
async fn a_job_talks_to_the_api_server_as_its_own_account_and_its_log_is_kept() {
    if !wanted(Level::Processes) {
        return;
    }
    let test = Test::begin().await;
    // The cluster's folder, with the link to it, is not to be seen in a container.
    let kubectl = fs::canonicalize(test.cluster.folder().unwrap().join("bin/kubectl")).unwrap();
    test.cluster.add_image("localhost/shell", &["/bin/sh", "-c"]).unwrap();
    let shared = json!([{"name": "shared", "mountPath": "/shared"}]);
    let job: Job = serde_json::from_value(json!({
        "metadata": {"name": "ask"},
        "spec": {"backoffLimit": 0, "template": {"spec": {
            "restartPolicy": "Never",
            "volumes": [{"name": "shared", "emptyDir": {}}],
            "initContainers": [{"name": "first", "image": "localhost/shell", "volumeMounts": shared,
                "args": [format!("ln -s {} /shared/kubectl", kubectl.display())]}],
            "containers": [{"name": "then", "image": "localhost/shell", "volumeMounts": shared,
                "args": ["/shared/kubectl auth whoami; ! /shared/kubectl get secrets"]}],
        }}},
    }))
    .unwrap();
    let jobs: Api<Job> = Api::namespaced(test.client.clone(), test.namespace.name());
    jobs.create(&PostParams::default(), &job).await.unwrap();
    let look = async || {
        let status = jobs.get("ask").await?.status.unwrap_or_default();
        Ok::<_, Error>(status.succeeded.map(Ok).or(status.failed.map(Err)))
    };
    let end = wait_for("the Job's end", SOON, look).await.unwrap();
    let pod = test.pods().await.first().unwrap().name_any();
    let log = test.cluster.container_log(test.namespace.name(), &pod, "then").unwrap();
    assert_eq!(end, Ok(1), "{log}");
    let account = format!("system:serviceaccount:{}:default", test.namespace.name());
    assert!(log.contains(&account) && log.contains("forbidden"), "{log}");
}
