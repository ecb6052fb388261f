//! What people and their tools see: columns, `kubectl wait`, kstatus.

use portico_cluster::{Level, wanted};

use crate::world::{World, image, is_ready, kstatus};

#[tokio::test]
async fn kubectl_wait_returns_when_and_only_when_the_edit_is_rolled_out() {
    if !wanted(Level::Kwok) {
        return;
    }
    let world = World::start().await;
    let wait = ["wait", "--for=condition=Ready", "mcpserver/a", "--timeout=120s"];
    // The second round starts from Ready=True of the round before, which must not be taken for the edit's.
    for tag in ["1", "2"] {
        world.apply("a", image(tag, "2s")).await;
        world.kubectl(&wait).await;
        let pods = world.pods("a").await;
        let serving = pods.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none());
        let images: Vec<_> =
            serving.map(|pod| pod.spec.as_ref().unwrap().containers[0].image.clone().unwrap()).collect();
        assert_eq!(images, [format!("example:{tag}")]);
        let status = world.deployment("a").await.status.unwrap();
        assert_eq!((status.updated_replicas, status.available_replicas), (Some(1), Some(1)));
    }
}

#[tokio::test]
async fn a_server_is_in_progress_until_it_serves_and_current_after() {
    if !wanted(Level::Kwok) {
        return;
    }
    let world = World::start().await;
    // Long enough for a busy machine to see that it is on its way.
    let server = world.apply("a", image("1", "6s")).await;
    // What kstatus sees before the operator has seen it: the schema's default, not an empty status.
    assert_eq!(server.status.as_ref().and_then(|status| status.observed_generation), Some(-1));
    assert_eq!(kstatus(&server), "InProgress");
    let server = world.until_reason("a", "RollingOut").await;
    assert_eq!(kstatus(&server), "InProgress");
    assert_eq!(kstatus(&world.until_ready("a").await), "Current");
}

#[tokio::test]
async fn the_columns_say_how_it_stands() {
    if !wanted(Level::Kwok) {
        return;
    }
    let world = World::start().await;
    world.apply("a", image("1", "0s")).await;
    world.until_ready("a").await;
    let text = world.kubectl(&["get", "mcpservers", "--output", "wide"]).await;
    let words = |line: &str| line.split_whitespace().map(ToOwned::to_owned).collect::<Vec<_>>();
    let lines: Vec<Vec<String>> = text.lines().map(words).collect();
    assert_eq!(
        lines[0],
        ["NAME", "READY", "REASON", "INSTANCES", "IDLE", "DECISION", "AGE", "MESSAGE", "URL"]
    );
    let url = format!("http://a-mcp.{}.svc:8080/mcp", world.namespace.name());
    assert_eq!(lines[1][..4], ["a", "True", "RolledOut", "1/1"]);
    assert_eq!(lines[1].last(), Some(&url));
    assert!(text.contains("1 of 1 pods serve"), "{text}");
    let events = world.kubectl(&["events", "--for", "mcpserver/a"]).await;
    assert!(events.contains("RolledOut"), "{events}");
    assert!(world.kubectl(&["get", "portico"]).await.contains("RolledOut"));
}

#[tokio::test]
async fn pods_that_cannot_start_say_why_in_the_servers_own_status() {
    if !wanted(Level::Kwok) {
        return;
    }
    let world = World::start().await;
    let mut spec = image("none", "0s");
    spec["podTemplate"]["metadata"]["annotations"]["kwok.portico.dev/waiting"] = "ErrImagePull".into();
    world.apply("a", spec).await;
    let server = world.until_reason("a", "ImagePullFailed").await;
    assert!(!is_ready(&server));
    assert_eq!(kstatus(&server), "InProgress");
}
