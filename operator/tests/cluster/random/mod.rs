//! Random lives of resources: whatever was edited before, the end is that of a fresh create of the last spec.
//!
//! `PORTICO_SOAK_SECONDS` makes it go on for so long, with operators killed on the way (`cargo xtask soak`);
//! `PORTICO_SEED` repeats one life.

mod generate;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures::future::join_all;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use kube::{Api, CustomResourceExt, Resource, ResourceExt as _};
use portico_cluster::{Level, wait_for, wanted};
use portico_crds::{InferenceModel, KrogerIntegration, McpServer, ShopConnector};
use serde_json::{Value, json};

use crate::faults::{Leaves, Plan, difference, snapshot};
use crate::world::{Operator, SOON, World, is_observed};
use generate::Generator;

/// Lives at once, each in a namespace of its own.
const AT_ONCE: usize = 8;
/// Lives of the short run, of each kind.
const SHORT: u64 = 24;
/// With no write for so long an operator has nothing more to do.
const QUIET: Duration = Duration::from_millis(700);

/// A kind, the schema of its spec, and a spec to begin with.
struct Subject {
    kind: ApiResource,
    schema: Value,
    base: Value,
}

fn subject<K: Resource<DynamicType = ()> + CustomResourceExt>(base: Value) -> Subject {
    let (plural, definitions) = (K::plural(&()), portico_crds::definitions());
    let mut found = definitions.into_iter().filter(|definition| definition.spec.names.plural == plural);
    let definition = serde_json::to_value(found.next().unwrap()).unwrap();
    let schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"].clone();
    Subject { kind: ApiResource::erase::<K>(&()), schema, base }
}

impl Subject {
    fn is_valid(&self, spec: &Value) -> bool {
        let manifest = json!({"apiVersion": self.kind.api_version, "kind": self.kind.kind,
            "metadata": {"name": "a", "namespace": "b"}, "spec": spec});
        portico_crds::check::check(&manifest).is_some_and(|faults| faults.is_empty())
    }
}

/// One life: a namespace, an operator, and a generator.
struct Life<'a> {
    subject: &'a Subject,
    world: &'a World,
    plan: Plan,
    operator: Option<Operator>,
    seed: u64,
    taken: usize,
}

impl Life<'_> {
    fn api(&self) -> Api<DynamicObject> {
        Api::namespaced_with(self.world.client.clone(), self.world.namespace.name(), &self.subject.kind)
    }

    /// Applies a spec as a person does; whether the API server took it.
    async fn apply(&self, name: &str, spec: &Value) -> bool {
        self.plan.step(0);
        let body = json!({"apiVersion": self.subject.kind.api_version, "kind": self.subject.kind.kind,
            "metadata": {"name": name}, "spec": spec});
        match self.api().patch(name, &PatchParams::apply("person").force(), &Patch::Apply(body)).await {
            Ok(_) => true,
            // Two items of one key are refused as a failure of the server itself.
            Err(kube::Error::Api(status)) if status.code < 500 || status.message.contains("typed patch") => {
                false
            }
            Err(error) => panic!("seed {}: {error}", self.seed),
        }
    }

    /// Waits until the operator has seen the last spec and has nothing more to do.
    async fn settle(&self, name: &str) -> Result<(), String> {
        let settled = wait_for("settled", SOON, async || {
            let object = self.api().get(name).await.map_err(|error| error.to_string())?;
            let observed = object.data["status"]["observedGeneration"].as_i64() == object.metadata.generation;
            let quiet = observed && self.plan.is_quiet_for(QUIET) && self.are_servers_observed(name).await?;
            tokio::task::yield_now().await;
            if quiet { Ok(Some(())) } else { Err(object.data["status"].to_string()) }
        });
        settled.await.map_err(|error| error.to_string())
    }

    async fn state(&self, name: &str) -> Leaves {
        snapshot(&self.world.client, self.world.namespace.name(), &self.subject.kind, name).await.unwrap()
    }

    /// Lives through `edits`; the last spec that the API server took.
    async fn live(
        &mut self,
        name: &str,
        edits: &[Value],
        pauses: &mut Generator<'_>,
    ) -> Result<Value, String> {
        let mut last = self.subject.base.clone();
        assert!(self.apply(name, &last).await, "the base spec of {} is refused", self.subject.kind.kind);
        for edit in edits {
            if self.apply(name, edit).await {
                last = edit.clone();
                self.taken += 1;
            }
            if pauses.chance(50) {
                self.settle(name).await?;
            }
            if soak().is_some() && pauses.chance(20) {
                self.operator = None;
                self.operator = Some(self.world.operator_for(&self.subject.kind, &self.plan).await);
            }
        }
        self.settle(name).await?;
        // What ran before a refused spec runs on, so only the way back can be compared with a fresh create.
        if self.is_refused(name).await {
            last = self.subject.base.clone();
            assert!(self.apply(name, &last).await, "seed {}: no way back", self.seed);
            self.settle(name).await?;
        }
        Ok(last)
    }

    /// The servers that it is made of.
    async fn servers(&self, name: &str) -> Result<Vec<McpServer>, kube::Error> {
        let mut servers = self.world.api::<McpServer>().list(&ListParams::default()).await?.items;
        servers.retain(|server| server.name_any().starts_with(&format!("{name}-")));
        Ok(servers)
    }

    /// Whether the operator has seen the last spec of each server that it is made of.
    async fn are_servers_observed(&self, name: &str) -> Result<bool, String> {
        let servers = self.servers(name).await.map_err(|error| error.to_string())?;
        let going = |server: &McpServer| server.metadata.deletion_timestamp.is_some();
        Ok(servers.iter().all(|server| going(server) || is_observed(server)))
    }

    /// Whether it, or a server that it is made of, is not applied as its spec says.
    async fn is_refused(&self, name: &str) -> bool {
        let servers = self.servers(name).await.unwrap();
        let statuses = servers.into_iter().map(|server| serde_json::to_value(server.status).unwrap());
        let own = self.api().get(name).await.unwrap().data["status"].clone();
        std::iter::once(own).chain(statuses).any(|status| is_refusal(&status))
    }

    /// What is wrong in the end: how a resource that lived through `edits` differs from a fresh one.
    async fn judge(&mut self, edits: &[Value]) -> Result<(), String> {
        let (old, fresh) = (format!("old{:x}q", self.seed), format!("new{:x}q", self.seed));
        let schema = json!({});
        let last = self.live(&old, edits, &mut Generator::new(&schema, self.seed)).await?;
        assert!(self.apply(&fresh, &last).await, "seed {}: a spec is taken only once", self.seed);
        self.settle(&fresh).await?;
        let alike = wait_for("like a fresh one", SOON, async || {
            let (wanted, found) =
                (comparable(&self.state(&fresh).await, &last), comparable(&self.state(&old).await, &last));
            let all = difference(&wanted, &found, &BTreeSet::new());
            let first: Vec<String> = all.iter().take(6).cloned().collect();
            if all.is_empty() {
                Ok(Some(()))
            } else {
                Err(format!("{} paths: {}", all.len(), first.join("; ")))
            }
        });
        let alike = alike.await.map_err(|error| error.to_string());
        for name in [&old, &fresh] {
            self.api().delete(name, &DeleteParams::background()).await.ok();
        }
        alike
    }
}

fn is_refusal(status: &Value) -> bool {
    let conditions = status["conditions"].as_array().into_iter().flatten();
    conditions
        .filter(|c| c["type"] == "Accepted" || c["type"] == "ResolvedRefs")
        .any(|c| c["status"] != "True")
}

/// Without what a history may leave: times, counts of changes, pods on their way; and the number of pods where the
/// spec leaves it to others. While a rollout does not get on, the pods before it serve: so Available is history, too.
fn comparable(state: &Leaves, spec: &Value) -> Leaves {
    let owned = spec.get("replicas").is_some();
    let history = [
        "Time",
        "eneration",
        "/revision",
        "deployment.kubernetes.io",
        "clusterIP",
        "status.replicas",
        "status.readyReplicas",
        "template-digest",
        "portico.dev/applied",
        ".message",
        "status.instances",
        // The person's own, and not the operator's to write. A default that the API server wrote into a block belongs to
        // nobody, and stays when the block is applied away.
        "/NAME.spec.",
        // Drawn by lot; how many there are is compared.
        "data.keyring.json",
    ];
    // A volume that no server uses any more stays: people's data are on it.
    let has_left_volume = spec.pointer("/storage/postgresql").is_some();
    let available =
        state.iter().find(|(path, value)| path.contains("/NAME.status") && **value == json!("Available"));
    let available =
        available.map_or_else(|| "none".to_owned(), |(path, _)| path.trim_end_matches(".type").to_owned());
    // Until a model's target serves, the revision before it does: that is history as well.
    let switching = state.contains_key("InferenceModel/NAME.status.target.revision");
    let of_switch = |path: &str| {
        let of_serving = [
            "-OTHER",
            "status.active",
            "Service/NAME-model.spec.selector",
            "status.selector",
            "FallbackActive",
        ];
        switching && of_serving.iter().any(|word| path.contains(word))
    };
    let left_out = |path: &str| {
        let pods_on_their_way = path.contains(".status.") && !path.contains("/NAME.status.conditions");
        let replicas = path.ends_with(".spec.replicas") && path.starts_with("Deployment/") && !owned;
        let left_volume = has_left_volume && path.starts_with("PersistentVolumeClaim/");
        pods_on_their_way
            || replicas
            || left_volume
            || of_switch(path)
            || path.starts_with(&available)
            || history.iter().any(|word| path.contains(word))
    };
    state
        .iter()
        .filter(|(path, _)| !left_out(path))
        .map(|(path, value)| (path.clone(), value.clone()))
        .collect()
}

/// Edits, most of which the schema takes; each begins with the last that it took.
fn edits(subject: &Subject, seed: u64) -> Vec<Value> {
    let mut generator = Generator::new(&subject.schema, seed);
    let mut valid = subject.base.clone();
    (0..generator.number(5..21))
        .map(|_| {
            let from = if generator.chance(10) { subject.base.clone() } else { valid.clone() };
            let tries = if generator.chance(20) { 1 } else { 12 };
            let made: Vec<Value> = (0..tries).map(|_| generator.edit(&from)).collect();
            let found =
                made.iter().find(|spec| subject.is_valid(spec)).or(made.last()).cloned().unwrap_or(from);
            if subject.is_valid(&found) {
                valid.clone_from(&found);
            }
            found
        })
        .collect()
}

/// Leaves edits out, one after another, for as long as the rest still fails.
async fn shrink(life: &mut Life<'_>, mut failing: Vec<Value>) -> Vec<Value> {
    let mut at = 0;
    while at < failing.len() && failing.len() > 1 {
        let mut fewer = failing.clone();
        fewer.remove(at);
        if life.judge(&fewer).await.is_err() { failing = fewer } else { at += 1 }
    }
    failing
}

fn soak() -> Option<Duration> {
    std::env::var("PORTICO_SOAK_SECONDS").ok()?.parse().ok().map(Duration::from_secs)
}

fn replay() -> Option<u64> {
    std::env::var("PORTICO_SEED").ok()?.parse().ok()
}

/// What came of many lives.
#[derive(Default)]
struct Tally {
    lives: usize,
    edits: usize,
    taken: usize,
    wrong: Vec<String>,
}

async fn lives(subject: &Subject, seeds: impl Iterator<Item = u64>) -> Tally {
    let (world, mut tally) = (World::empty().await, Tally::default());
    world
        .put::<Secret>(
            "keys",
            json!({"stringData": {"api": "postgres://one", "client-id": "a", "client-secret": "b"}}),
        )
        .await;
    let began = Instant::now();
    for seed in seeds {
        if soak().is_some_and(|time| began.elapsed() > time) {
            break;
        }
        let plan = Plan::default();
        let operator = Some(world.operator_for(&subject.kind, &plan).await);
        let mut life = Life { subject, world: &world, plan, operator, seed, taken: 0 };
        let edits = edits(subject, seed);
        let judged = life.judge(&edits).await;
        (tally.lives, tally.edits, tally.taken) =
            (tally.lives + 1, tally.edits + edits.len(), tally.taken + life.taken);
        if let Err(error) = judged {
            eprintln!("PORTICO_SEED={seed} {}: {error}; leaving edits out", subject.kind.kind);
            let least = shrink(&mut life, edits).await;
            let steps: Vec<String> = least.iter().map(Value::to_string).collect();
            tally.wrong.push(format!(
                "PORTICO_SEED={seed} {}: {error}\nafter:\n{}",
                subject.kind.kind,
                steps.join("\n")
            ));
        }
    }
    tally
}

async fn all_lives(subject: Subject) {
    let began = Instant::now();
    let first: u64 = if soak().is_some() { rand::random::<u32>().into() } else { 1 };
    let workers = (0..AT_ONCE as u64).map(|worker| {
        let most = if soak().is_some() { u64::MAX } else { SHORT / AT_ONCE as u64 };
        let own = (0..most).map(move |turn| first + worker + turn * AT_ONCE as u64);
        let seeds: Box<dyn Iterator<Item = u64> + Send> = match replay() {
            Some(seed) if worker == 0 => Box::new(std::iter::once(seed)),
            Some(_) => Box::new(std::iter::empty()),
            None => Box::new(own),
        };
        lives(&subject, seeds)
    });
    let all = join_all(workers).await;
    let sum = |count: fn(&Tally) -> usize| all.iter().map(count).sum::<usize>();
    let wrong: Vec<String> = all.iter().flat_map(|tally| tally.wrong.clone()).collect();
    eprintln!(
        "{}: {} random lives from seed {first}, {} of {} edits taken, {} wrong, {} s",
        subject.kind.kind,
        sum(|tally| tally.lives),
        sum(|tally| tally.taken),
        sum(|tally| tally.edits),
        wrong.len(),
        began.elapsed().as_secs()
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert!(
        sum(|tally| tally.taken) * 3 > sum(|tally| tally.edits),
        "hardly any edit is taken: nothing is tried"
    );
}

/// Slow, and worth it: nobody thinks of all the ways to edit a spec.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_was_edited_before_an_mcp_server_ends_as_a_fresh_create_of_its_last_spec() {
    if !wanted(Level::Kwok) {
        return;
    }
    let base = json!({"source": {"image": {"name": "example:1"}}, "replicas": 1,
        "env": [{"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "api"}}}]});
    all_lives(subject::<McpServer>(base)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_was_edited_before_an_inference_model_ends_as_a_fresh_create_of_its_last_spec() {
    if !wanted(Level::Kwok) {
        return;
    }
    let base = json!({"source": {"image": {"reference": "example/weights:1", "path": "a.gguf"}}, "replicas": 1,
        "engine": {"llamaCpp": {}},
        "env": [{"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "api"}}}]});
    all_lives(subject::<InferenceModel>(base)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_was_edited_before_a_kroger_integration_ends_as_a_fresh_create_of_its_last_spec() {
    if !wanted(Level::Kwok) {
        return;
    }
    let base = json!({"credentials": {"secretRef": "keys", "clientIdKey": "client-id", "clientSecretKey": "api"},
        "storage": {"postgresql": {"secretRef": "keys", "key": "api"}}, "server": {"replicas": 1}});
    all_lives(subject::<KrogerIntegration>(base)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_was_edited_before_a_shop_connector_ends_as_a_fresh_create_of_its_last_spec() {
    if !wanted(Level::Kwok) {
        return;
    }
    let account = json!({"secretRef": "keys", "apiKeyKey": "api", "apiSecretKey": "api"});
    let base = json!({"platform": {"museo": {"url": "http://museo", "serviceAccount": account}},
        "servers": [{"name": "Storefront", "replicas": 1}]});
    all_lives(subject::<ShopConnector>(base)).await;
}
