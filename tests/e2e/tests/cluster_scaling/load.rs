//! Replicas that follow a load that swings.

use futures::future::join_all;
use portico_cluster::{Level, wait_for, wanted};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::stage::{PATIENCE, Stage};

/// Calls from so many clients at once until `stop`; how many were answered.
pub async fn calls(
    stage: &Stage,
    urls: &[&str],
    (clients, first): (u64, u64),
    stop: &CancellationToken,
) -> u64 {
    let client = async |number: u64| {
        let (url, mut made) = (urls[usize::try_from(number).unwrap() % urls.len()], 0);
        while !stop.is_cancelled() {
            let call = first + number * 1_000_000 + made;
            let (status, answered) = stage.call(url, ("busy", call, 100)).await;
            assert!(status == 200 && answered["result"].is_object(), "call {call}: {status} {answered}");
            made += 1;
        }
        made
    };
    join_all((0..clients).map(client)).await.into_iter().sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_follow_a_load_that_swings_through_two_gateways_and_no_call_fails() {
    if !wanted(Level::Processes) {
        return;
    }
    let mut stage = Stage::start().await;
    let urls = [stage.serve("one"), stage.serve("two")];
    let urls = [urls[0].as_str(), urls[1].as_str()];
    stage.announce("one").await;
    stage.announce("two").await;
    let scaling = json!({ "min": 0, "max": 6, "targetConcurrency": 8, "windowSeconds": 10, "scaleInSeconds": 5,
        "idleSeconds": 10, "sessionSeconds": 0 });
    stage.apply("busy", 200, scaling).await;
    for url in urls {
        stage.until_listed(url, &["busy"]).await;
    }
    let mut answered = 0;
    for (round, clients) in [1, 64, 4, 64, 1].into_iter().enumerate() {
        let stop = CancellationToken::new();
        let expected = match clients {
            64 => 5..=6,
            _ => 1..=2,
        };
        let settled = async {
            wait_for(&format!("the replicas for {clients} clients"), PATIENCE, async || {
                let output = "jsonpath={.status.readyReplicas}";
                let ready = stage.world.kubectl(&["get", "deployment/busy-mcp", "--output", output]).await;
                let ready: u32 = ready.map_err(|error| error.to_string())?.parse().unwrap_or(0);
                if expected.contains(&ready) { Ok(Some(())) } else { Err(format!("{ready} are ready")) }
            })
            .await
            .unwrap();
            stop.cancel();
        };
        let first = u64::try_from(round).unwrap() * 1_000_000_000;
        answered += tokio::join!(calls(&stage, &urls, (clients, first), &stop), settled).0;
    }
    let told = stage.told.lock().unwrap().calls.clone();
    println!("{answered} calls were answered");
    assert_eq!(told.values().sum::<usize>() as u64, answered, "each call was carried out once");
    assert_eq!(told.len() as u64, answered);
    stage.until_replicas("busy", 0).await;
    // It is told a moment after it is done; how many replicas the last client still had depends on when it stopped.
    stage.until("mcpserver/busy", "{.status.scaling.decision}", |said| said.ends_with(" to 0: Idle")).await;
    println!("{}", stage.world.kubectl(&["get", "mcpservers"]).await.unwrap());
    let reasons = "{.items[?(@.involvedObject.kind==\"McpServer\")].reason}";
    stage.until("events", reasons, |said| said.contains("LoadFell") && said.contains("Idle")).await;
}
