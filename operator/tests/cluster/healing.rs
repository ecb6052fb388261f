//! Any damage to a child is undone within ten seconds, whatever the kind of the child.

use std::collections::BTreeSet;
use std::time::Duration;

use kube::Api;
use kube::api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use portico_cluster::{AuditEvent, AuditMark, Error, Level, wait_for, wanted};
use portico_crds::labels;
use serde_json::{Value, json};

use crate::faults::{CHILDREN, Leaves, Plan, Run, Scenario, difference, resource, snapshot};
use crate::world::{SOON, World};

/// What the operator promises for a damaged child.
const HEALED: Duration = Duration::from_secs(10);
/// Times that a damage is done before the operator is called late.
const ATTEMPTS: usize = 3;

/// A hand edit of what the operator has written, by kind.
fn edit(kind: &str) -> Option<Value> {
    Some(match kind {
        "ConfigMap" => json!({"data": {"other": "x"}, "metadata": {"labels": {labels::INSTANCE: "x"}}}),
        "Service" => json!({"spec": {"ports": [{"name": "mcp", "port": 1}]}}),
        "ServiceAccount" => json!({"automountServiceAccountToken": true}),
        "Deployment" => {
            json!({"spec": {"template": {"metadata": {"annotations": {labels::INPUTS_DIGEST: "x"}}}}})
        }
        "NetworkPolicy" => json!({"spec": {"egress": []}}),
        "PodDisruptionBudget" => json!({"spec": {"maxUnavailable": 5}}),
        "McpServer" => json!({"spec": {"port": 9999}}),
        _ => return None,
    })
}

struct Patient<'a> {
    world: &'a World,
    run: Run<'a>,
    healthy: Leaves,
}

/// What is damaged: the plural of its kind, its subresource or nothing, its name.
type Place<'a> = (&'a str, &'a str, &'a str);

impl Patient<'_> {
    async fn state(&self) -> Leaves {
        let Run { client, namespace, name, scenario } = &self.run;
        snapshot(client, namespace, &scenario.kind, name).await.unwrap()
    }

    async fn is_whole(&self) -> Result<Option<()>, String> {
        let all = difference(&lasting(&self.healthy), &lasting(&self.state().await), &BTreeSet::new());
        if all.is_empty() { Ok(Some(())) } else { Err(all.join("; ")) }
    }

    /// Does the damage `hurt`, waits until nothing is to be seen of it, and answers how long the operator has left it. One that was left
    /// for too long is done again: the machine may have been busy, but an operator that is not told of it is late each time.
    async fn healed(
        &self,
        what: &str,
        place: Place<'_>,
        hurt: impl AsyncFn(),
        is_whole: impl AsyncFn() -> Result<Option<()>, String>,
    ) -> Duration {
        let mut took = Duration::MAX;
        for _ in 0..ATTEMPTS {
            let mark = self.world.cluster.audit_mark().unwrap();
            hurt().await;
            wait_for(what, SOON, async || is_whole().await).await.unwrap();
            took = self.left(what, mark, place).await;
            if took < HEALED {
                return took;
            }
        }
        panic!("{what}: {ATTEMPTS} times the operator was late, the last time by {took:?}");
    }

    /// How long the operator has left a damage, by the API server's clock: when this test looked is nothing to it.
    async fn left(&self, what: &str, mark: AuditMark, (resource, subresource, name): Place<'_>) -> Duration {
        let operator = format!("system:serviceaccount:{}:operator", self.run.namespace);
        let of_it = |event: &AuditEvent| {
            event.namespace == self.run.namespace
                && (event.resource.as_str(), event.subresource.as_str(), event.name.as_str())
                    == (resource, subresource, name)
                && event.code < 300
        };
        // The answer comes a moment before it is written down.
        wait_for(&format!("{what} in the audit log"), SOON, async || {
            let all = self.world.cluster.audit_writes(mark, of_it)?;
            // The first is this test's; controllers may write to the same object after it.
            let mut after = all.iter().skip_while(|event| event.user == operator);
            let damage = after.next();
            let (Some(damage), Some(cure)) = (damage, after.find(|event| event.user == operator)) else {
                return Ok(None);
            };
            let between = cure.answered.duration_since(damage.answered);
            Ok::<_, Error>(Some(between.try_into().unwrap()))
        })
        .await
        .unwrap()
    }
}

/// Without statuses and what counts changes; addresses of a Service made anew are others.
fn lasting(state: &Leaves) -> Leaves {
    let passing = [".status", "eneration", "deployment.kubernetes.io", "clusterIP", "other"];
    let kept = |path: &String| !passing.iter().any(|word| path.contains(word));
    state.iter().filter(|(path, _)| kept(path)).map(|(path, value)| (path.clone(), value.clone())).collect()
}

/// Deletes, strips and edits every child of the resource that the scenario makes; answers how long each was left so.
pub async fn heal(scenario: Scenario, steps: usize) -> Vec<Duration> {
    let (world, plan) = (World::empty().await, Plan::default());
    let _operator = world.operator_through("operator", &plan).await;
    let namespace = world.namespace.name();
    let run = Run { client: &world.client, namespace, name: "patient", scenario: &scenario };
    for step in 0..steps {
        plan.step(step);
        run.act(&scenario.steps[step]).await;
        run.settle(&plan, Duration::from_secs(1)).await.unwrap();
    }
    let mut patient = Patient { world: &world, run, healthy: Leaves::new() };
    patient.healthy = patient.state().await;
    let own = ListParams::default().labels(&format!("{}={}", labels::MANAGED_BY, labels::OPERATOR));
    let mut times = Vec::new();
    for child in CHILDREN {
        let api = Api::<DynamicObject>::namespaced_with(world.client.clone(), namespace, &resource(child));
        for object in api.list(&own).await.unwrap() {
            let name = object.metadata.name.unwrap_or_default();
            times.extend(damage(&patient, &api, (child.2, child.3), &name).await);
        }
    }
    times.push(damage_status(&patient).await);
    times
}

/// Somebody takes away what the operator has told.
async fn damage_status(patient: &Patient<'_>) -> Duration {
    let (api, name) = (patient.run.api(), patient.run.name);
    let told = api.get_status(name).await.unwrap().data["status"].clone();
    let emptied = json!({"status": {"conditions": [], "observedGeneration": null}});
    let hurt = async || {
        api.patch_status(name, &by_hand(), &Patch::Merge(&emptied)).await.unwrap();
    };
    let is_whole = async || {
        let now = api.get_status(name).await.map_err(|error| error.to_string())?.data["status"].clone();
        let same = types(&now) == types(&told) && now["observedGeneration"] == told["observedGeneration"];
        if same { Ok(Some(())) } else { Err(now.to_string()) }
    };
    let place = (patient.run.scenario.kind.plural.as_str(), "status", name);
    patient.healed("the emptied status", place, hurt, is_whole).await
}

fn by_hand() -> PatchParams {
    PatchParams { field_manager: Some("hand".into()), ..PatchParams::default() }
}

fn types(status: &Value) -> Vec<(&Value, &Value, &Value)> {
    let conditions = status["conditions"].as_array().into_iter().flatten();
    conditions.map(|condition| (&condition["type"], &condition["status"], &condition["reason"])).collect()
}

async fn damage(
    patient: &Patient<'_>,
    api: &Api<DynamicObject>,
    (kind, plural): (&str, &str),
    name: &str,
) -> Vec<Duration> {
    let (place, whole) = ((plural, "", name), async || patient.is_whole().await);
    let patch = async |change: &Value| {
        api.patch(name, &by_hand(), &Patch::Merge(change)).await.unwrap();
    };
    let mut times = Vec::new();
    if let Some(edit) = edit(kind) {
        let hurt = async || patch(&edit).await;
        times.push(patient.healed(&format!("the edited {kind} {name}"), place, hurt, &whole).await);
    }
    let stripped = json!({"metadata": {"labels": {labels::MANAGED_BY: null}}});
    let hurt = async || patch(&stripped).await;
    times.push(patient.healed(&format!("the label of {kind} {name}"), place, hurt, &whole).await);
    let hurt = async || {
        api.delete(name, &DeleteParams::background()).await.unwrap();
    };
    times.push(patient.healed(&format!("the deleted {kind} {name}"), place, hurt, &whole).await);
    times
}

pub fn tell(kind: &str, mut times: Vec<Duration>) {
    times.sort();
    let (all, worst) = (times.len(), times.last().copied().unwrap_or_default());
    eprintln!("{kind}: {all} damages undone, the slowest after {:.2} s", worst.as_secs_f64());
    assert!(all >= 6, "hardly anything was damaged");
}

#[tokio::test]
async fn every_child_of_a_server_edited_stripped_or_deleted_by_hand_is_whole_within_ten_seconds() {
    if !wanted(Level::Kwok) {
        return;
    }
    tell("McpServer", heal(crate::faults::mcp_server(), 2).await);
}
