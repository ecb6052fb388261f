//! Any damage to a child is undone within ten seconds, whatever the kind of the child.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use kube::Api;
use kube::api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use portico_cluster::{Level, wait_for, wanted};
use portico_crds::labels;
use serde_json::{Value, json};

use crate::faults::{CHILDREN, Leaves, Plan, Run, Scenario, difference, resource, snapshot};
use crate::world::{HEALED, World};

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
    run: Run<'a>,
    healthy: Leaves,
    times: Vec<Duration>,
}

impl Patient<'_> {
    async fn state(&self) -> Leaves {
        let Run { client, namespace, name, scenario } = &self.run;
        snapshot(client, namespace, &scenario.kind, name).await.unwrap()
    }

    /// Waits until nothing is to be seen of the damage.
    async fn healed(&mut self, what: &str) {
        let began = Instant::now();
        let whole = wait_for(what, HEALED, async || {
            let all = difference(&lasting(&self.healthy), &lasting(&self.state().await), &BTreeSet::new());
            if all.is_empty() { Ok(Some(())) } else { Err(all.join("; ")) }
        });
        whole.await.unwrap();
        self.times.push(began.elapsed());
    }
}

/// Without statuses and what counts changes; addresses of a Service made anew are others.
fn lasting(state: &Leaves) -> Leaves {
    let passing = [".status", "eneration", "deployment.kubernetes.io", "clusterIP", "other"];
    let kept = |path: &String| !passing.iter().any(|word| path.contains(word));
    state.iter().filter(|(path, _)| kept(path)).map(|(path, value)| (path.clone(), value.clone())).collect()
}

/// Deletes, strips and edits every child of the resource that the scenario makes; answers how long each took to heal.
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
    let mut patient = Patient { healthy: Leaves::new(), run, times: Vec::new() };
    patient.healthy = patient.state().await;
    let own = ListParams::default().labels(&format!("{}={}", labels::MANAGED_BY, labels::OPERATOR));
    for child in CHILDREN {
        let api = Api::<DynamicObject>::namespaced_with(world.client.clone(), namespace, &resource(child));
        for object in api.list(&own).await.unwrap() {
            damage(&mut patient, &api, child.2, object.metadata.name.as_deref().unwrap_or_default()).await;
        }
    }
    damage_status(&mut patient).await;
    patient.times
}

/// Somebody takes away what the operator has told.
async fn damage_status(patient: &mut Patient<'_>) {
    let (api, name, began) = (patient.run.api(), patient.run.name, Instant::now());
    let told = api.get_status(name).await.unwrap().data["status"].clone();
    let emptied = json!({"status": {"conditions": [], "observedGeneration": null}});
    let by_hand = PatchParams { field_manager: Some("hand".into()), ..PatchParams::default() };
    api.patch_status(name, &by_hand, &Patch::Merge(emptied)).await.unwrap();
    wait_for("the status", HEALED, async || {
        let now = api.get_status(name).await?.data["status"].clone();
        let same = types(&now) == types(&told) && now["observedGeneration"] == told["observedGeneration"];
        Ok::<_, kube::Error>(same.then_some(()))
    })
    .await
    .unwrap();
    patient.times.push(began.elapsed());
}

fn types(status: &Value) -> Vec<(&Value, &Value, &Value)> {
    let conditions = status["conditions"].as_array().into_iter().flatten();
    conditions.map(|condition| (&condition["type"], &condition["status"], &condition["reason"])).collect()
}

async fn damage(patient: &mut Patient<'_>, api: &Api<DynamicObject>, kind: &str, name: &str) {
    let by_hand = PatchParams { field_manager: Some("hand".into()), ..PatchParams::default() };
    if let Some(edit) = edit(kind) {
        api.patch(name, &by_hand, &Patch::Merge(edit)).await.unwrap();
        patient.healed(&format!("the edited {kind} {name}")).await;
    }
    let stripped = json!({"metadata": {"labels": {labels::MANAGED_BY: null}}});
    api.patch(name, &by_hand, &Patch::Merge(stripped)).await.unwrap();
    patient.healed(&format!("the label of {kind} {name}")).await;
    api.delete(name, &DeleteParams::background()).await.unwrap();
    patient.healed(&format!("the deleted {kind} {name}")).await;
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
