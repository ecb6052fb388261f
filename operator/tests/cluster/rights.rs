//! The shipped roles hold what the operator uses: no right is missing, and none is there that nothing uses.

use std::collections::BTreeSet;
use std::time::Duration;

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::api::ListParams;
use kube::{Api, ResourceExt as _};
use portico_cluster::{Level, wait_for, wanted};
use portico_operator::rights::ROLES;
use serde_json::{Value, json};

use crate::faults::{
    Act, Plan, Run, Scenario, Used, inference_model, kroger_integration, mcp_server, shop_connector,
};
use crate::world::{SOON, World};

/// No request of the operator shows this right: the API server looks for it when a child names its owner. The test
/// cluster has the admission plugin that does (`OwnerReferencesPermissionEnforcement`).
fn is_for_owners(right: &Used) -> bool {
    right.2.ends_with("/finalizers")
}

/// The Lease's rights are those of the election, which has tests of its own.
fn granted() -> BTreeSet<Used> {
    let rights = ROLES.iter().filter(|role| !role.name.ends_with("-lease")).flat_map(|role| role.rights);
    rights
        .flat_map(|right| {
            right.resources.iter().flat_map(move |resource| {
                right
                    .verbs
                    .iter()
                    .map(move |verb| ((*verb).to_owned(), right.group.to_owned(), (*resource).to_owned()))
            })
        })
        .collect()
}

/// Lives through a scenario, with `more` specs before its last step, which deletes the resource.
async fn live(world: &World, plan: &Plan, mut scenario: Scenario, more: Vec<Value>) {
    let last = scenario.steps.len() - 1;
    scenario.steps.splice(last..last, more.into_iter().map(Act::Apply));
    let name = format!("life-of-{}", scenario.kind.plural);
    for (number, act) in scenario.steps.iter().enumerate() {
        plan.step(number);
        let run = Run {
            client: &world.client,
            namespace: world.namespace.name(),
            name: &name,
            scenario: &scenario,
        };
        run.act(act).await;
        until_looked_at(&run, plan).await;
    }
}

/// Waits until the operator has seen the last edit, whatever it thinks of it, and rests; what it replaces a volume by must serve
/// before that goes.
async fn until_looked_at(run: &Run<'_>, plan: &Plan) {
    let claims = Api::<PersistentVolumeClaim>::namespaced(run.client.clone(), run.namespace);
    wait_for("the last edit looked at", SOON, async || {
        let found = run.api().get_opt(run.name).await.map_err(|error| error.to_string())?;
        let seen = found.is_none_or(|object| {
            object.data["status"]["observedGeneration"].as_i64() == object.metadata.generation
        });
        let claims = claims.list(&ListParams::default()).await.map_err(|error| error.to_string())?;
        let one_each = claims.iter().filter(|claim| claim.name_any().starts_with(run.name)).count() <= 1;
        Ok::<_, String>((seen && one_each && plan.is_quiet_for(Duration::from_secs(1))).then_some(()))
    })
    .await
    .unwrap();
}

/// Everything that a server can name, the end of its workload, and one event twice.
fn servers() -> Vec<Value> {
    let source = json!({"image": {"name": "example:1"}});
    let named = json!({"source": source,
        "envFrom": [{"configMapRef": "none"}, {"secretRef": "none"}],
        "volumes": [{"name": "v", "mountPath": "/v", "claimRef": "none"}],
        "resourceClaims": [{"name": "a", "claimName": "none"}, {"name": "b", "claimTemplateName": "none"}]});
    let remote = json!({"source": {"remote": {"url": "https://mcp.example.com/mcp"}}});
    let service = json!({"source": {"service": {"name": "none", "port": 80}}});
    vec![named.clone(), remote.clone(), named, remote, service]
}

fn with_volume() -> Vec<Value> {
    vec![json!({"credentials": {"secretRef": "keys", "clientIdKey": "api", "clientSecretKey": "api"},
        "storage": {"embedded": {"size": "1Gi"}}, "server": {"replicas": 1}})]
}

/// Another source: the first one's download and volume go. And a fallback, which is looked for.
fn other_source(scenario: &Scenario) -> Vec<Value> {
    let Act::Apply(spec) = &scenario.steps[1] else { unreachable!("the second step applies the spec") };
    let mut other = spec.clone();
    other["source"]["url"]["url"] = json!("https://models.example.com/two.gguf");
    let mut fallback = other.clone();
    fallback["fallbacks"] = json!([{"modelRef": "none", "on": ["Unavailable"]}]);
    vec![other, fallback]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_roles_hold_exactly_the_rights_that_a_life_of_every_kind_uses() {
    if !wanted(Level::Kwok) {
        return;
    }
    let (world, plan) = (World::empty().await, Plan::default());
    let _operator = world.operator_through("operator", &plan).await;
    let models = inference_model();
    let sources = other_source(&models);
    live(&world, &plan, mcp_server(), servers()).await;
    live(&world, &plan, kroger_integration(), with_volume()).await;
    live(&world, &plan, shop_connector(), Vec::new()).await;
    live(&world, &plan, models, sources).await;
    let granted: BTreeSet<Used> = granted().into_iter().filter(|right| !is_for_owners(right)).collect();
    // An annotation and a Secret have no generation by which it would be known when the operator has looked at them, and events
    // come after what they tell of.
    wait_for("the use of every right", SOON, async || {
        let used = plan.rights().0;
        let idle: Vec<&Used> = granted.difference(&used).collect();
        if idle.is_empty() { Ok(Some(())) } else { Err(format!("nothing uses {idle:?}")) }
    })
    .await
    .unwrap();
    let (used, refused) = plan.rights();
    assert_eq!(refused, Vec::<String>::new(), "rights that are missing");
    let beyond: Vec<&Used> = used.difference(&granted).filter(|right| right.2 != "leases").collect();
    assert_eq!(beyond, Vec::<&Used>::new(), "rights that the roles do not name");
    eprintln!("{} rights, all of them used, none missing", granted.len());
}

#[tokio::test]
async fn an_operator_of_one_namespace_needs_no_cluster_role_and_goes_on_once_a_right_is_given() {
    if !wanted(Level::Kwok) {
        return;
    }
    let world = World::empty().await;
    let namespace = world.namespace.name();
    let account = (namespace, "team");
    for role in &ROLES {
        let mut object = role.role(namespace);
        if role.name == "portico-operator" {
            // All but the right to write Services.
            for rule in object.rules.iter_mut().flatten() {
                if let Some(resources) = &mut rule.resources {
                    resources.retain(|resource| resource != "services");
                }
            }
        }
        world.put_object(&object).await;
        world.put_object(&role.binding(namespace, account)).await;
    }
    let _operator = world.operator_bound(account.1);
    world.apply("a", json!({"source": {"builtin": {"name": "files"}}, "replicas": 1})).await;
    let user = format!("system:serviceaccount:{namespace}:team");
    let may = world.try_kubectl(&["auth", "can-i", "list", "services", "--as", &user]).await;
    assert!(may.is_err(), "the role was not narrowed");
    let whole = ROLES[0].role(namespace);
    world.put_object(&whole).await;
    world.until_ready("a").await;
}
