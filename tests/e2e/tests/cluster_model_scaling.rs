//! A real model on a real control plane, from zero and back: the pods are the unmodified llama-server with the model of `tests/fixtures`, reached through the
//! gateway as clients of `OpenAI` reach it.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use portico_cluster::{Error, NodeOptions, wait_for};
use portico_e2e::cluster::{Part, World, workspace};
use portico_e2e::llama;
use serde_json::{Value, json};

/// Two cores that also build something else need a minute.
const PATIENCE: Duration = Duration::from_mins(2);
/// Times that the model comes from zero.
const CYCLES: usize = 5;
const FILE: &str = "shop-3m.gguf";
/// Seconds that a model may take to start where it cannot: a busy machine has to try it twice in them.
const START: u64 = 40;
/// A network has room for one cluster.
static ROOM: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

struct Stage {
    world: World,
    http: reqwest::Client,
    /// Where the gateway is.
    base: String,
    _parts: [Part; 2],
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Stage {
    /// A cluster with an operator, a gateway, and a volume with the model's file and one that was cut off.
    async fn start() -> Self {
        let server = llama::server();
        // One that crashes again is in its back-off whenever anybody looks.
        let node = NodeOptions { restart_backoff: Duration::from_mins(2), ..NodeOptions::default() };
        let world = World::start_on("models", &[("llama", &server)], node).await.unwrap();
        world.define().await.unwrap();
        let roles = ["portico-operator", "portico-operator-models"];
        world.give_rights("portico-operator", ("operator/rbac.yaml", &roles)).await.unwrap();
        let roles = ["portico-gateway", "portico-gateway-lease"];
        world.give_rights("portico-gateway", ("gateway/rbac.yaml", &roles)).await.unwrap();
        fill(&world).await;
        let listen = format!("127.0.0.1:{}", free_port());
        let arguments =
            ["operator", "--no-leader-election", "--kinds", "inferencemodels", "--listen", &listen];
        let operator = Part::start(&world, "portico-operator", &arguments).unwrap();
        let listen = format!("127.0.0.1:{}", free_port());
        let arguments = ["gateway", "--listen", &listen, "--lease-namespace", world.namespace.name()];
        let gateway = Part::start(&world, "portico-gateway", &arguments).unwrap();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { world, http, base: format!("http://{listen}"), _parts: [operator, gateway] }
    }

    /// A model from this file of the volume.
    async fn apply(&self, name: &str, (file, scaling): (&str, Value)) {
        let model = json!({
            "apiVersion": "portico.dev/v1alpha1", "kind": "InferenceModel", "metadata": { "name": name },
            "spec": {
                "source": { "claim": { "name": "weights", "path": file } },
                "engine": { "llamaCpp": { "image": "llama", "contextLength": 512 } },
                "resources": { "limits": { "cpu": "1", "memory": "256Mi" } },
                "scaling": scaling,
            },
        });
        self.world.apply(&model).await.unwrap();
    }

    async fn ask(&self, model: &str, stream: bool) -> reqwest::Response {
        let function =
            json!({ "name": "get_sales_data", "parameters": { "type": "object", "properties": {} } });
        let body = json!({
            "model": model, "stream": stream, "temperature": 0, "max_tokens": 64,
            "messages": [{ "role": "user", "content": "Show me revenue for last month by category" }],
            "tools": if stream { json!([]) } else { json!([{ "type": "function", "function": function }]) },
        });
        let request = self.http.post(format!("{}/v1/chat/completions", self.base)).timeout(PATIENCE);
        request.header("content-type", "application/json").body(body.to_string()).send().await.unwrap()
    }

    async fn get(&self, path: &str) -> String {
        match self.http.get(format!("{}{path}", self.base)).send().await {
            Ok(answer) => answer.text().await.unwrap_or_default(),
            Err(error) => error.to_string(),
        }
    }

    /// The ids that the gateway lists.
    async fn listed(&self) -> Vec<String> {
        let list: Value = serde_json::from_str(&self.get("/v1/models").await).unwrap_or_default();
        let ids = list["data"].as_array().into_iter().flatten().map(|model| &model["id"]);
        ids.filter_map(|id| id.as_str().map(str::to_owned)).collect()
    }

    async fn until_listed(&self, models: &[&str]) {
        wait_for("the list of models", PATIENCE, async || {
            let listed = self.listed().await;
            if listed == models { Ok(Some(())) } else { Err(format!("{listed:?}")) }
        })
        .await
        .unwrap();
    }

    /// Waits for something that kubectl tells.
    async fn until(&self, arguments: &[&str], wanted: impl Fn(&str) -> bool) -> String {
        let found = wait_for(&arguments.join(" "), PATIENCE, async || {
            let said = self.world.kubectl(arguments).await.unwrap_or_else(|error| error.to_string());
            if wanted(&said) { Ok(Some(said)) } else { Err(said) }
        })
        .await;
        match found {
            Ok(said) => said,
            Err(error) => {
                panic!("{error}\n{}", self.world.cluster.diagnose(self.world.namespace.name()).await)
            }
        }
    }

    async fn until_zero(&self, model: &str) {
        let label = format!("portico.dev/inference-model={model}");
        let replicas = "jsonpath={.items[*].spec.replicas}";
        let arguments = ["get", "deployments", "--selector", &label, "--output", replicas];
        self.until(&arguments, |said| said == "0").await;
    }

    /// What the gateway measures of a model.
    async fn measured(&self, metric: &str, model: &str) -> Option<f64> {
        let namespace = self.world.namespace.name();
        let name = format!("portico_gateway_{metric}{{namespace=\"{namespace}\",server=\"{model}\"}} ");
        let text = self.get("/metrics").await;
        text.lines().find_map(|line| line.strip_prefix(&name)?.parse().ok())
    }

    /// How long all starts together have taken: each from the first request that waits until the model is loaded.
    async fn starts(&self, model: &str) -> Duration {
        Duration::from_secs_f64(self.measured("server_start_seconds_sum", model).await.unwrap_or_default())
    }

    /// Waits until the gateway knows that a model is deployed.
    async fn until_deployed(&self, model: &str) {
        wait_for("the decision about the model", PATIENCE, async || {
            Ok::<_, Error>(self.measured("server_desired_replicas", model).await.map(drop))
        })
        .await
        .unwrap();
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for name in ["portico-operator", "portico-gateway"] {
                let log = std::fs::read_to_string(self.world.log_of(name)).unwrap_or_default();
                let last: Vec<&str> = log.lines().rev().take(40).collect();
                eprintln!("--- {name}\n{}", last.into_iter().rev().collect::<Vec<_>>().join("\n"));
            }
        }
    }
}

/// Makes the volume with the files.
async fn fill(world: &World) {
    let folder = world.folder.path().join("volume");
    std::fs::create_dir(&folder).unwrap();
    let whole = std::fs::read(workspace().join("tests/fixtures").join(FILE)).unwrap();
    std::fs::write(folder.join(FILE), &whole).unwrap();
    std::fs::write(folder.join("cut.gguf"), &whole[..whole.len() - 1000]).unwrap();
    let size = json!({ "storage": "1Gi" });
    let volume = json!({
        "apiVersion": "v1", "kind": "PersistentVolume", "metadata": { "name": "here" },
        "spec": { "storageClassName": "here", "capacity": size, "accessModes": ["ReadOnlyMany"],
            "persistentVolumeReclaimPolicy": "Retain", "hostPath": { "path": folder } },
    });
    let claim = json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": { "name": "weights" },
        "spec": { "storageClassName": "here", "accessModes": ["ReadOnlyMany"], "resources": { "requests": size } },
    });
    world.apply(&volume).await.unwrap();
    world.apply(&claim).await.unwrap();
}

/// How long the youngest process runs that serves this model.
fn age(model: &str) -> Duration {
    let wanted = format!("\0--alias\0{model}\0");
    let is_one = |folder: &PathBuf| {
        std::fs::read(folder.join("cmdline"))
            .is_ok_and(|line| String::from_utf8_lossy(&line).contains(&wanted))
    };
    // In hundredths of a second since the machine started (proc(5)).
    let began = |folder: PathBuf| {
        let stat = std::fs::read_to_string(folder.join("stat")).ok()?;
        stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse::<u64>().ok()
    };
    let processes = std::fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
    let youngest = processes.filter(is_one).filter_map(began).max().expect("a process serves the model");
    let uptime = std::fs::read_to_string(Path::new("/proc/uptime")).unwrap();
    let uptime: f64 = uptime.split_whitespace().next().unwrap().parse().unwrap();
    Duration::from_secs_f64(uptime).saturating_sub(Duration::from_millis(youngest * 10))
}

/// Asks the model, which has no pod, and tells what took how long.
async fn wake(stage: &Stage, cycle: usize) {
    let before = stage.starts("shop").await;
    let began = Instant::now();
    let response = stage.ask("shop", false).await;
    let status = response.status();
    let answer: Value = response.json().await.unwrap();
    let (total, age) = (began.elapsed(), age("shop"));
    let started = stage.starts("shop").await.saturating_sub(before);
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["model"], "shop", "{answer}");
    let call = &answer["choices"][0]["message"]["tool_calls"][0]["function"]["name"];
    assert_eq!(call, "get_sales_data", "{answer}");
    assert!(!started.is_zero() && started <= total, "it came from zero: {started:?} of {total:?}");
    let answering = total.saturating_sub(started);
    println!(
        "cycle {cycle}: {} ms from request to answer: {} ms until the container started, {} ms until /health was 200, {} ms for the answer",
        total.as_millis(),
        total.saturating_sub(age).as_millis(),
        age.saturating_sub(answering).as_millis(),
        answering.as_millis()
    );
}

/// Asks for an answer in parts, which may not come as one.
async fn stream(stage: &Stage) {
    let mut response = stage.ask("shop", true).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let (mut chunks, mut text) = (0, String::new());
    while let Some(chunk) = response.chunk().await.unwrap() {
        chunks += 1;
        text += std::str::from_utf8(&chunk).unwrap();
    }
    let events: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
    assert!(chunks > 1 && events.len() > 3, "{chunks} chunks: {text}");
    assert_eq!(events.last(), Some(&"[DONE]"), "{text}");
    let first: Value = serde_json::from_str(events[0]).unwrap();
    assert_eq!(first["object"], "chat.completion.chunk");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_model_is_loaded_for_the_request_that_waits_and_goes_to_zero_again() {
    if !llama::wanted() {
        return;
    }
    let _room = ROOM.lock().await;
    let stage = Stage::start().await;
    let scaling = json!({ "min": 0, "max": 1, "idleSeconds": 1, "scaleInSeconds": 1, "drainSeconds": 5 });
    stage.apply("shop", (FILE, scaling)).await;
    stage.until_listed(&["shop"]).await;
    for cycle in 1..=CYCLES {
        stage.until_zero("shop").await;
        assert_eq!(stage.listed().await, ["shop"], "at zero, too");
        wake(&stage, cycle).await;
        stream(&stage).await;
    }
    let unknown = stage.ask("none", false).await;
    let (status, body): (_, Value) = (unknown.status(), unknown.json().await.unwrap());
    assert_eq!(status, 404, "{body}");
    assert!(body["error"]["message"].as_str().unwrap().contains("no model `none`"), "{body}");
    assert_eq!(body["error"]["type"], "invalid_request_error");
    stage.until_zero("shop").await;
    let path = "jsonpath={.status.scaling.idleSince}";
    stage.until(&["get", "inferencemodel/shop", "--output", path], |said| !said.is_empty()).await;
    let table = stage.world.kubectl(&["get", "inferencemodels"]).await.unwrap();
    println!("{table}");
    assert!(table.contains("IDLE") && table.contains("DECISION"), "{table}");
    assert!(table.contains("1 to 0: Idle"), "{table}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_whose_file_is_damaged_is_refused_with_what_is_wrong_and_put_to_zero() {
    if !llama::wanted() {
        return;
    }
    let _room = ROOM.lock().await;
    let stage = Stage::start().await;
    let scaling = json!({ "min": 0, "max": 1, "idleSeconds": 1, "startSeconds": START });
    stage.apply("damaged", ("cut.gguf", scaling)).await;
    stage.until_deployed("damaged").await;
    let began = Instant::now();
    let response = stage.ask("damaged", false).await;
    let (status, retry) = (response.status(), response.headers().get("retry-after").cloned());
    let body: Value = response.json().await.unwrap();
    let took = began.elapsed();
    println!("after {} ms: {status} {retry:?} {body}", took.as_millis());
    assert_eq!(status, 503, "{body}");
    assert_eq!(body["error"]["type"], "server_error");
    let message = body["error"]["message"].as_str().unwrap();
    assert!(message.contains("could not be started (CrashLoopBackOff)"), "{message}");
    assert!(retry.is_some(), "it is told when to come back");
    // They are counted from when the gateway asks for a pod. Held for a model's time it would have been ten minutes.
    assert!(took < 2 * Duration::from_secs(START), "{took:?}");
    let path = "jsonpath={range .status.conditions[?(@.type==\"ScalingActive\")]}{.status} {.reason}: {.message}{end}";
    let said = stage
        .until(&["get", "inferencemodel/damaged", "--output", path], |said| {
            said.starts_with("False StartFailed: ")
        })
        .await;
    println!("{said}");
    stage.until_zero("damaged").await;
    println!("{}", stage.world.kubectl(&["get", "inferencemodels"]).await.unwrap());
}
