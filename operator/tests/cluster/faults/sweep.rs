//! The sweep: every write of a scenario, with every fault.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use futures::future::{join, join_all};
use kube::Api;
use kube::api::{ApiResource, DeleteParams, DynamicObject};
use portico_cluster::wait_for;

use super::client::{Fault, Plan, Write};
use super::scenario::{Act, Run, Scenario};
use super::snapshot::{Leaves, difference, differing, snapshot};
use crate::world::{Operator, SOON, World};

/// Runs at once: more would only wait for the API server.
const WORKERS: usize = 20;
/// With no write for so long a step has come to its end; a state that is not yet as wanted is looked at again.
const QUIET: Duration = Duration::from_millis(300);
/// Between two looks at a state that is to be as wanted: each asks for ten kinds.
const LOOKS: Duration = Duration::from_millis(250);
/// The longest that the operator takes to begin with what a step asks of it.
const REACTION: Duration = Duration::from_secs(3);

/// What a scenario leads to when nothing goes wrong, after each step.
struct Reference {
    states: Vec<Leaves>,
    masked: BTreeSet<String>,
    writes: BTreeSet<Write>,
}

/// A namespace with an operator whose client goes wrong on demand.
struct Worker {
    kind: ApiResource,
    world: World,
    plan: Plan,
    operator: Option<Operator>,
    runs: usize,
}

impl Worker {
    async fn start(kind: &ApiResource) -> Self {
        let (kind, world) = (kind.clone(), World::empty().await);
        let mut worker = Self { kind, world, plan: Plan::default(), operator: None, runs: 0 };
        worker.restart().await;
        worker
    }

    async fn restart(&mut self) {
        drop(self.operator.take());
        let operator = self.world.operator_for(&self.kind, &self.plan).await;
        self.operator = Some(operator);
    }

    /// Of the resource of the present run.
    fn name(&self) -> String {
        format!("r{:04}x", self.runs)
    }

    /// Runs the scenario up to and with the step of `fault`, or to its end; the states after each step.
    async fn run(
        &mut self,
        scenario: &Scenario,
        fault: Option<(Write, Fault)>,
    ) -> Result<Vec<Leaves>, String> {
        self.runs += 1;
        let name = self.name();
        self.plan.begin(self.world.namespace.name(), &name, fault.clone());
        let last = fault.as_ref().map_or(scenario.steps.len(), |(write, _)| write.step + 1);
        let mut states = Vec::new();
        for (step, act) in scenario.steps.iter().take(last).enumerate() {
            self.plan.step(step);
            let here = fault.as_ref().filter(|(write, _)| write.step == step).map(|(_, fault)| *fault);
            states.push(self.step(scenario, &name, act, here).await?);
        }
        Ok(states)
    }

    async fn step(
        &mut self,
        scenario: &Scenario,
        name: &str,
        act: &Act,
        fault: Option<Fault>,
    ) -> Result<Leaves, String> {
        let (client, namespace) = (self.world.client.clone(), self.world.namespace.name().to_owned());
        let run = Run { client: &client, namespace: &namespace, name, scenario };
        run.act(act).await;
        if fault.is_some_and(Fault::is_death) {
            // A write that does not come this time kills nobody.
            if tokio::time::timeout(REACTION, self.plan.clone().death()).await.is_ok() {
                self.restart().await;
            }
        }
        let (quiet, plan) = (if self.plan.is_faulty() { QUIET } else { REACTION }, self.plan.clone());
        let in_time = tokio::select! {
            settled = run.settle(&plan, quiet) => Some(settled),
            // The write came later than that: the machine is busy.
            () = plan.death() => None,
        };
        if let Some(settled) = in_time {
            settled?;
        } else {
            self.restart().await;
            run.settle(&plan, quiet).await?;
        }
        let state = async || {
            snapshot(&client, &namespace, &scenario.kind, name).await.map_err(|error| error.to_string())
        };
        // Where nothing goes wrong nothing is left, and runs that do not agree about that say nothing of it. The garbage collector
        // may take its time.
        if matches!(act, Act::Delete) && !self.plan.is_faulty() {
            let gone = async || Ok::<_, String>(state().await?.is_empty().then_some(()));
            wait_for("the end of everything", SOON * 2, gone).await.map_err(|error| error.to_string())?;
        }
        state().await
    }

    /// Takes away what the last run has left: the pods of all runs together would fill the nodes.
    async fn remove(&self, scenario: &Scenario) {
        let (namespace, name) = (self.world.namespace.name(), self.name());
        let api = Api::<DynamicObject>::namespaced_with(self.world.client.clone(), namespace, &scenario.kind);
        // It is gone already where the run came to its end.
        api.delete(&name, &DeleteParams::background()).await.ok();
    }

    /// How the state after the last step differs from `wanted` in the end: controllers and the garbage collector may take a while.
    async fn compare(&self, scenario: &Scenario, wanted: &Leaves, masked: &BTreeSet<String>) -> Vec<String> {
        let (name, namespace) = (self.name(), self.world.namespace.name());
        let compared = wait_for("the same end", SOON, async || {
            let state = snapshot(&self.world.client, namespace, &scenario.kind, &name).await;
            let found = difference(wanted, &state.map_err(|error| error.to_string())?, masked);
            if found.is_empty() {
                return Ok(Some(()));
            }
            tokio::time::sleep(LOOKS).await;
            Err(found.join("; "))
        });
        compared.await.err().map(|error| error.to_string()).into_iter().collect()
    }
}

async fn reference(worker: &mut Worker, scenario: &Scenario) -> Reference {
    let mut runs = Vec::new();
    // A write that comes in one run and not in the next cannot be met with a fault.
    let mut writes: Option<BTreeSet<Write>> = None;
    for _ in 0..2 {
        runs.push(worker.run(scenario, None).await.unwrap());
        let these: BTreeSet<Write> = worker.plan.writes().into_iter().collect();
        writes = Some(writes.map_or_else(|| these.clone(), |others| &others & &these));
    }
    let writes = writes.unwrap_or_default();
    let masked = runs[0].iter().zip(&runs[1]).flat_map(|(one, other)| differing(one, other)).collect();
    Reference { states: runs.swap_remove(0), masked, writes }
}

/// Runs every write with every fault; answers how many runs there were, and what went wrong.
pub async fn sweep(scenario: Scenario) -> (usize, Vec<String>) {
    let began = Instant::now();
    let mut first = Worker::start(&scenario.kind).await;
    let reference = reference(&mut first, &scenario).await;
    let pairs = reference.writes.iter().flat_map(|write| Fault::ALL.map(|fault| (write.clone(), fault)));
    let queue: Queue = Mutex::new(pairs.collect());
    let all = queue.lock().unwrap().len();
    let others = (1..WORKERS)
        .map(async |_| work(Worker::start(&scenario.kind).await, &scenario, &reference, &queue).await);
    let (one, others) = join(work(first, &scenario, &reference, &queue), join_all(others)).await;
    let (mut wrong, mut missed) = one;
    for (failures, unmet) in others {
        wrong.extend(failures);
        missed += unmet;
    }
    eprintln!(
        "{}: {} writes, {all} runs, {missed} in which the write did not come, {} wrong, {} paths masked, {} s",
        scenario.kind.kind,
        reference.writes.len(),
        wrong.len(),
        reference.masked.len(),
        began.elapsed().as_secs()
    );
    assert!(missed * 5 < all, "{missed} of {all} faults did not happen: the sweep does not sweep");
    (all, wrong)
}

type Queue = Mutex<Vec<(Write, Fault)>>;

async fn work(
    mut worker: Worker,
    scenario: &Scenario,
    reference: &Reference,
    queue: &Queue,
) -> (Vec<String>, usize) {
    let (mut wrong, mut missed) = (Vec::new(), 0);
    loop {
        let next = queue.lock().unwrap().pop();
        let Some((write, fault)) = next else { break };
        let outcome = worker.run(scenario, Some((write.clone(), fault))).await;
        missed += usize::from(worker.plan.is_pending());
        let failures = match outcome {
            Ok(_) => worker.compare(scenario, &reference.states[write.step], &reference.masked).await,
            Err(error) => vec![error],
        };
        worker.remove(scenario).await;
        let place = || format!("{fault:?} at step {} {} #{}", write.step, write.what, write.nth);
        if !failures.is_empty() {
            eprintln!("wrong: {}: {}", place(), failures.join("; "));
            wrong.push(format!("{}: {}", place(), failures.join("; ")));
        }
    }
    (wrong, missed)
}
