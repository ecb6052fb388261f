//! What the gateway writes into the status of a server.

use kube::api::{Patch, PatchParams};
use portico_cluster::{Level, wait_for, wanted};
use portico_gateway::kubernetes::FIELD_MANAGER;
use serde_json::json;

use crate::world::{Changing, SOON, World, catalog, condition, said};

const AB: &str = r#"[{"name":"a","inputSchema":{}},{"name":"b","inputSchema":{}}]"#;
const A_CHANGED: &str =
    r#"[{"name":"a","inputSchema":{},"description":"New."},{"name":"b","inputSchema":{}}]"#;

#[tokio::test]
async fn what_the_gateway_knows_stands_in_the_status_and_only_a_change_is_written() {
    if !wanted(Level::Api) {
        return;
    }
    let (world, server) = (World::start().await, Changing::start(AB).await);
    world.apply("raw", json!({}), server.spec(&json!({}))).await;
    let gateway = world.gateway("one").await;
    let known = world.until_said("raw", "Connected", "True SpeaksMcp").await;
    let summary = catalog(&known);
    assert_eq!((summary.tools, summary.tool_bytes, summary.tool_tokens), (Some(2), Some(60), Some(15)));
    assert_eq!((summary.server_name.as_deref(), summary.server_version.as_deref()), (Some("raw"), Some("1")));
    assert_eq!(summary.protocol_version.as_deref(), Some("2025-11-25"));
    assert!(condition(&known, "ToolsApproved").is_none() && summary.pinned_tools.is_empty());
    // What it writes beside the status it writes once, before what is counted below.
    world.until_kept("raw").await;
    // The rest of the status is the operator's, and neither takes anything from the other.
    let mark = world.cluster.audit_mark().unwrap();
    let operators = json!({
        "apiVersion": "portico.dev/v1alpha1", "kind": "McpServer",
        "status": { "url": "http://x", "conditions": [{ "type": "Ready", "status": "True", "reason": "Registered",
            "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z" }] },
    });
    let params = PatchParams::apply("portico-operator-status").force();
    world.servers().patch_status("raw", &params, &Patch::Apply(operators)).await.unwrap();
    // An edit is a new generation, which is one write; what the operator wrote was none.
    world.apply("raw", json!({}), server.spec(&json!({ "exclude": ["b"] }))).await;
    let edited = world
        .until("raw", "one tool of the new generation", |server| {
            let seen = condition(server, "Connected").and_then(|connected| connected.observed_generation);
            seen == server.metadata.generation && catalog(server).tools == Some(1)
        })
        .await;
    assert_eq!(
        (said(&edited, "Ready").as_str(), edited.status.unwrap().url.as_deref()),
        ("True Registered", Some("http://x"))
    );
    assert!(
        (1..=2).contains(&world.writes_taken(mark, "one")),
        "one write, or one for each of the two things it shows"
    );
    let managers = edited.metadata.managed_fields.unwrap();
    assert!(managers.iter().any(|entry| entry.manager.as_deref() == Some(FIELD_MANAGER)));
    drop(server);
    let failed = world.until_said("raw", "Connected", "False Unreachable").await;
    assert_eq!(catalog(&failed).tools, Some(1), "the last known list stays");
    gateway.stop().await;
}

#[tokio::test]
async fn a_pin_is_remembered_over_a_new_gateway_and_an_annotation_approves() {
    if !wanted(Level::Api) {
        return;
    }
    let (world, server) = (World::start().await, Changing::start(AB).await);
    let pin = || server.spec(&json!({ "pin": "Quarantine" }));
    world.apply("raw", json!({}), pin()).await;
    let first = world.gateway("one").await;
    let approved = world.until_said("raw", "ToolsApproved", "True ToolsAsApproved").await;
    assert_eq!(catalog(&approved).pinned_tools.len(), 2);
    first.stop().await;
    server.list(A_CHANGED);
    let second = world.gateway("two").await;
    let changed = world.until_said("raw", "ToolsApproved", "False ToolsQuarantined").await;
    let summary = catalog(&changed);
    assert_eq!((summary.tools, summary.unapproved_tools), (Some(1), vec!["a".to_owned()]));
    assert_eq!(summary.pinned_tools, catalog(&approved).pinned_tools);
    let digest = summary.digest.unwrap();
    assert!(condition(&changed, "ToolsApproved").unwrap().message.contains(&digest));
    world.apply("raw", json!({ "portico.dev/approved-tools-digest": digest }), pin()).await;
    let agreed = world.until_said("raw", "ToolsApproved", "True ToolsAsApproved").await;
    assert_eq!(catalog(&agreed).tools, Some(2));
    assert_ne!(catalog(&agreed).pinned_tools, catalog(&approved).pinned_tools);
    second.stop().await;
}

#[tokio::test]
async fn last_known_lists_outlive_every_gateway_in_a_config_map_that_goes_with_the_server() {
    if !wanted(Level::Api) {
        return;
    }
    let (world, server) = (World::start().await, Changing::start(AB).await);
    world.apply("raw", json!({}), server.spec(&json!({}))).await;
    let first = world.gateway("one").await;
    world.until_said("raw", "Connected", "True SpeaksMcp").await;
    let kept = world.until_kept("raw").await;
    let owner = &kept.metadata.owner_references.unwrap()[0];
    assert_eq!((owner.kind.as_str(), owner.name.as_str(), owner.controller), ("McpServer", "raw", None));
    first.stop().await;
    drop(server);
    let mark = world.cluster.audit_mark().unwrap();
    let second = world.gateway("two").await;
    let reports = second.gateway.reports();
    let report = wait_for("the kept list", SOON, async || {
        Ok::<_, String>(reports.borrow().iter().find(|report| report.tools == 2).cloned())
    })
    .await
    .unwrap();
    assert!(!report.confirmed);
    let known = world.until_said("raw", "Connected", "False Unreachable").await;
    assert_eq!(catalog(&known).tools, Some(2));
    let maps_written = world
        .cluster
        .audit_writes(mark, |event| {
            event.resource == "configmaps" && event.namespace == world.namespace.name()
        })
        .unwrap();
    assert_eq!(maps_written.len(), 0, "what is kept already is not written again");
    second.stop().await;
}

#[tokio::test]
async fn one_of_several_gateways_writes_and_another_goes_on_when_it_ends() {
    if !wanted(Level::Api) {
        return;
    }
    let (world, server) = (World::start().await, Changing::start(AB).await);
    let mark = world.cluster.audit_mark().unwrap();
    let one = world.gateway("one").await;
    world.apply("raw", json!({}), server.spec(&json!({}))).await;
    world.until_said("raw", "Connected", "True SpeaksMcp").await;
    let two = world.gateway("two").await;
    server.list(A_CHANGED);
    let old = server.raw.seen("tools/list").len();
    world.until("raw", "the larger list", |server| catalog(server).tool_bytes > Some(60)).await;
    assert!(server.raw.seen("tools/list").len() > old);
    assert_eq!(world.writes(mark, "two"), 0);
    assert!(world.writes(mark, "one") >= 2);
    one.stop().await;
    server.list(AB);
    wait_for("the other gateway to write", SOON, async || {
        Ok::<_, String>((world.writes(mark, "two") > 0).then_some(()))
    })
    .await
    .unwrap();
    two.stop().await;
}
