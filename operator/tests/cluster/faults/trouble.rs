//! Old caches, lost events, an API server that comes and goes, two operators at once: the end is the same, and nothing
//! is made twice or deleted wrongly.

use std::time::Duration;

use kube::ResourceExt as _;
use kube::api::DeleteParams;
use portico_cluster::{Level, wait_for, wanted};
use serde_json::json;

use super::client::{Events, Fault, Plan, Write};
use super::mcp_server;
use super::scenario::{Act, Run, Scenario};
use super::snapshot::{Leaves, difference, snapshot};
use crate::world::{Operator, SOON, World};

/// A world with an operator that goes wrong on demand.
pub struct Scene {
    pub world: World,
    pub plan: Plan,
    operator: Operator,
    pub scenario: Scenario,
}

impl Scene {
    pub async fn start() -> Self {
        let (world, plan) = (World::empty().await, Plan::default());
        let operator = world.operator_through("operator", &plan).await;
        Self { world, plan, operator, scenario: mcp_server() }
    }

    pub fn run<'a>(&'a self, name: &'a str) -> Run<'a> {
        let namespace = self.world.namespace.name();
        Run { client: &self.world.client, namespace, name, scenario: &self.scenario }
    }

    /// Does the first two steps, after which the resource is there.
    pub async fn create(&self, name: &str) {
        self.act(name, 0..2).await;
    }

    async fn act(&self, name: &str, steps: std::ops::Range<usize>) {
        for step in steps {
            self.begin(name, step).await;
            self.settle(name).await;
        }
    }

    /// Asks for a step, and does not wait for its end.
    pub async fn begin(&self, name: &str, step: usize) {
        self.plan.step(step);
        self.run(name).act(&self.scenario.steps[step]).await;
    }

    pub async fn settle(&self, name: &str) {
        self.run(name).settle(&self.plan, Duration::from_secs(1)).await.unwrap();
    }

    async fn state(&self, name: &str) -> Result<Leaves, String> {
        let (client, namespace) = (&self.world.client, self.world.namespace.name());
        snapshot(client, namespace, &self.scenario.kind, name).await.map_err(|error| error.to_string())
    }

    /// Waits until `name` is as `wanted`, but for times and the fields that count changes.
    async fn until_like(&self, name: &str, wanted: &Leaves) {
        wait_for("the same end", SOON, async || {
            let found = self.state(name).await?;
            let all = difference(&timeless(wanted), &timeless(&found), &std::collections::BTreeSet::new());
            if all.is_empty() { Ok(Some(())) } else { Err(all.join("; ")) }
        })
        .await
        .unwrap();
    }

    /// Waits until `name` is like `fresh`, which was made and edited without trouble.
    async fn until_like_fresh(&self, name: &str) {
        wait_for("the same end as of a fresh one", SOON, async || {
            let (wanted, found) = (timeless(&self.state("fresh").await?), timeless(&self.state(name).await?));
            let all = difference(&wanted, &found, &std::collections::BTreeSet::new());
            if all.is_empty() { Ok(Some(())) } else { Err(all.join("; ")) }
        })
        .await
        .unwrap();
    }

    /// How often each object was created and deleted by any operator of this world, by its audited path.
    fn created_and_deleted(&self, mark: portico_cluster::AuditMark) -> (Vec<String>, Vec<String>) {
        let mine = |event: &portico_cluster::AuditEvent| event.namespace == self.world.namespace.name();
        let events = self.world.cluster.audit_writes(mark, mine).unwrap();
        let by_operator = events
            .iter()
            .filter(|event| event.user.contains(":serviceaccount:") && event.resource != "events");
        let path = |event: &portico_cluster::AuditEvent| format!("{}/{}", event.resource, event.name);
        let created = by_operator.clone().filter(|event| event.code == 201).map(path).collect();
        let deleted = by_operator.filter(|event| event.verb == "delete").map(path).collect();
        (created, deleted)
    }
}

/// Without what a later history of the same spec may differ in.
fn timeless(state: &Leaves) -> Leaves {
    let differs = [
        "Time",
        "generation",
        "Generation",
        "/revision",
        "deployment.kubernetes.io",
        ".status.conditions[",
        "status.replicas",
        "clusterIP",
        "portico.dev/applied",
    ];
    let of_deployment = |path: &str| path.starts_with("Deployment/") && path.contains(".status.");
    let kept = |path: &str| !of_deployment(path) && !differs.iter().any(|word| path.contains(word));
    state.iter().filter(|(path, _)| kept(path)).map(|(path, value)| (path.clone(), value.clone())).collect()
}

#[tokio::test]
async fn edits_made_while_the_caches_of_children_stand_still_end_as_a_fresh_create() {
    if !wanted(Level::Kwok) {
        return;
    }
    let scene = Scene::start().await;
    scene.act("fresh", 0..5).await;
    scene.create("stale").await;
    let mark = scene.world.cluster.audit_mark().unwrap();
    for word in ["/deployments", "/services", "/configmaps"] {
        scene.plan.set_events(Events::Hold(word));
        for step in 2..5 {
            scene.begin("stale", step).await;
        }
        let server = scene.world.until("stale", "the last edit seen", crate::world::is_observed).await;
        // What was just written is newer than the cache, and nothing of it runs yet as far as anybody here can know.
        let ready = crate::world::condition(&server, "Ready").status;
        assert!(word != "/deployments" || ready != "True", "an old Deployment is taken for the new one");
        scene.plan.set_events(Events::Pass);
        scene.settle("stale").await;
    }
    scene.until_like_fresh("stale").await;
    assert_eq!(scene.created_and_deleted(mark), (vec![], vec![]), "nothing was to be made or deleted");
}

#[tokio::test]
async fn a_resource_deleted_and_made_again_unseen_gets_children_of_its_own() {
    if !wanted(Level::Kwok) {
        return;
    }
    let scene = Scene::start().await;
    scene.act("fresh", 0..5).await;
    scene.create("again").await;
    let old = scene.run("again").api().get("again").await.unwrap().uid();
    scene.plan.set_events(Events::Hold("/mcpservers"));
    let run = scene.run("again");
    run.api().delete("again", &DeleteParams::background()).await.unwrap();
    for step in 1..5 {
        run.act(&scene.scenario.steps[step]).await;
    }
    scene.plan.set_events(Events::Pass);
    let server = scene.world.until_ready("again").await;
    assert_ne!(server.uid(), old);
    scene.until_like_fresh("again").await;
    let deployment = scene.world.deployment("again").await;
    assert_eq!(deployment.owner_references()[0].uid, server.uid().unwrap());
}

#[tokio::test]
async fn events_lost_with_their_connection_are_made_up_for() {
    if !wanted(Level::Kwok) {
        return;
    }
    let scene = Scene::start().await;
    scene.act("fresh", 0..5).await;
    scene.create("lost").await;
    for (word, step) in [("/mcpservers", 2), ("/deployments", 3), ("/secrets", 4)] {
        scene.plan.set_events(Events::Cut(word));
        tokio::join!(scene.plan.until_cut(), scene.begin("lost", step));
        scene.plan.set_events(Events::Pass);
    }
    scene.until_like_fresh("lost").await;
}

#[tokio::test]
async fn an_api_server_that_comes_and_goes_costs_no_child_and_no_readiness() {
    if !wanted(Level::Kwok) {
        return;
    }
    let scene = Scene::start().await;
    scene.act("fresh", 0..5).await;
    scene.create("solo").await;
    let before = scene.world.deployment("solo").await.uid();
    for round in 2..5 {
        scene.plan.set_away(true);
        scene.begin("solo", round).await;
        tokio::time::timeout(Duration::from_secs(1), std::future::pending::<()>()).await.unwrap_err();
        scene.plan.set_away(false);
    }
    scene.until_like_fresh("solo").await;
    assert_eq!(scene.world.deployment("solo").await.uid(), before);
    assert!(!scene.operator.is_finished(), "the operator outlives an API server that is away");
}

/// The cache shows the status of before, to which things come back while nobody knows that another was written between.
#[tokio::test]
async fn a_status_that_was_written_without_an_answer_is_written_over_once_it_is_old() {
    if !wanted(Level::Kwok) {
        return;
    }
    let scene = Scene::start().await;
    scene.create("unsure").await;
    scene.plan.set_events(Events::Hold("/mcpservers"));
    let what = "PATCH /apis/portico.dev/v1alpha1/namespaces/NAMESPACE/mcpservers/NAME/status";
    let write = Write { step: 4, what: what.to_owned(), nth: 0 };
    scene.plan.begin(scene.world.namespace.name(), "unsure", Some((write, Fault::GatewayTimeout)));
    scene.begin("unsure", 4).await;
    wait_for("the rollout over, and all passes after it", SOON, async || {
        let rolled_out = portico_operator::workload::rolled_out(&scene.world.deployment("unsure").await);
        let (quiet, met) = (scene.plan.is_quiet_for(Duration::from_secs(2)), !scene.plan.is_pending());
        if rolled_out && quiet && met { Ok(Some(())) } else { Err(format!("{rolled_out}, {quiet}, {met}")) }
    })
    .await
    .unwrap();
    scene.plan.set_events(Events::Pass);
    scene.settle("unsure").await;
}

#[tokio::test]
async fn two_operators_that_do_not_know_of_each_other_end_as_one() {
    if !wanted(Level::Kwok) {
        return;
    }
    let scene = Scene::start().await;
    scene.act("fresh", 0..5).await;
    let other = scene.world.operator_through("other", &Plan::default()).await;
    let mark = scene.world.cluster.audit_mark().unwrap();
    scene.act("both", 0..5).await;
    scene.until_like_fresh("both").await;
    let (mut created, deleted) = scene.created_and_deleted(mark);
    let all = created.len();
    created.sort();
    created.dedup();
    assert_eq!(
        (created.len(), deleted),
        (all, vec![]),
        "each child is made once, and none deleted: {created:?}"
    );
    drop(other);
}

#[tokio::test]
async fn a_bad_edit_and_its_revert_leave_no_trace() {
    if !wanted(Level::Kwok) {
        return;
    }
    let scene = Scene::start().await;
    scene.create("solo").await;
    let (before, good) = (scene.state("solo").await.unwrap(), scene.scenario.steps[1].clone());
    let Act::Apply(spec) = good.clone() else { unreachable!("the second step applies the spec") };
    let bad = [
        json!({"env": [{"name": "PORT", "value": "1"}]}),
        json!({"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "gone", "key": "x"}}}]}),
        json!({"podTemplate": {"spec": {"containers": "none"}}}),
        json!({"placement": {"affinity": {"nodeAffinity": 7}}}),
        json!({"resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}}),
        json!({"resourceClaims": [{"name": "gpu", "claimTemplateName": "none"}]}),
        json!({"source": {"builtin": {"name": "storefront"}}}),
    ];
    for change in bad {
        let mut edited = spec.clone();
        edited.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        scene.run("solo").act(&Act::Apply(edited)).await;
        let refused = |server: &portico_crds::McpServer| {
            crate::world::is_observed(server) && crate::world::condition(server, "Ready").status == "False"
        };
        scene.world.until("solo", &format!("{change} is refused"), refused).await;
        scene.run("solo").act(&good).await;
        scene.world.until_ready("solo").await;
        scene.until_like("solo", &before).await;
        let conditions = scene.world.until_ready("solo").await;
        assert_eq!(crate::world::condition(&conditions, "Stalled").status, "False", "{change}");
    }
}
