//! What goes wrong while servers are scaled.

use std::time::Duration;

use portico_cluster::{Level, wait_for, wanted};
use serde_json::json;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::load::calls;
use super::stage::{PATIENCE, Stage};

fn quick() -> serde_json::Value {
    json!({ "min": 0, "max": 6, "targetConcurrency": 8, "windowSeconds": 10, "scaleInSeconds": 5, "idleSeconds": 10, "sessionSeconds": 0 })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_gateway_that_decides_is_killed_under_load_and_the_other_goes_on_without_the_operator() {
    if !wanted(Level::Processes) {
        return;
    }
    let mut stage = Stage::start().await;
    let first = stage.serve("one");
    stage.announce("one").await;
    // The first has the Lease, since it is alone.
    stage.until("lease/portico-gateway", "{.spec.holderIdentity}", |holder| !holder.is_empty()).await;
    let second = stage.serve("two");
    stage.announce("two").await;
    // From now on, so that both see it before it goes to zero.
    stage.apply("busy", 200, quick()).await;
    stage.until_listed(&first, &["busy"]).await;
    stage.until_listed(&second, &["busy"]).await;
    stage.kill("portico-operator");
    let (stop, urls) = (CancellationToken::new(), [second.as_str()]);
    let (answered, ()) = tokio::join!(calls(&stage, &urls, (48, 0), &stop), async {
        stage
            .until("deployment/busy-mcp", "{.spec.replicas}", |said| {
                said.parse().is_ok_and(|count: u32| count >= 2)
            })
            .await;
        stop.cancel();
    });
    stage.kill("one");
    stage.world.kubectl(&["delete", "endpointslice/one"]).await.unwrap();
    let stop = CancellationToken::new();
    let (more, ()) = tokio::join!(calls(&stage, &urls, (48, 1_000_000_000), &stop), async {
        stage
            .until("deployment/busy-mcp", "{.spec.replicas}", |said| {
                said.parse().is_ok_and(|count: u32| count >= 6)
            })
            .await;
        stop.cancel();
    });
    let told = stage.told.lock().unwrap().calls.clone();
    println!("{} calls were answered", answered + more);
    assert_eq!(told.values().sum::<usize>() as u64, answered + more, "each call was carried out once");
    stage.until_replicas("busy", 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_the_api_server_away_for_a_minute_calls_go_on_and_scaling_is_taken_up_again() {
    if !wanted(Level::Processes) {
        return;
    }
    let mut stage = Stage::start().await;
    let mut way = stage.world.way().await.unwrap();
    let url = stage.serve_by("gateway", Some(&way));
    stage.apply("busy", 200, quick()).await;
    stage
        .apply("asleep", 200, json!({ "min": 0, "idleSeconds": 1, "sessionSeconds": 0, "holdSeconds": 300 }))
        .await;
    stage.until_listed(&url, &["busy", "asleep"]).await;
    stage.until_replicas("asleep", 0).await;
    let (stop, urls) = (CancellationToken::new(), [url.as_str()]);
    let outage = async {
        stage
            .until("deployment/busy-mcp", "{.spec.replicas}", |said| {
                said.parse().is_ok_and(|count: u32| count >= 1)
            })
            .await;
        way.cut();
        let end = Instant::now() + Duration::from_mins(1);
        // A call that needs a pod waits for the API server, and is answered once it is back.
        let (held, ()) = tokio::join!(stage.call(&url, ("asleep", 9_000_000_000, 0)), async {
            sleep_until(end).await;
            way.mend().unwrap();
        });
        assert!(held.0 == 200 && held.1["result"].is_object(), "{held:?}");
        println!(
            "the call that needed a pod was answered {} ms after the API server was back",
            end.elapsed().as_millis()
        );
        stage
            .until("deployment/busy-mcp", "{.spec.replicas}", |said| {
                said.parse().is_ok_and(|count: u32| count >= 4)
            })
            .await;
        stop.cancel();
    };
    let (answered, ()) = tokio::join!(calls(&stage, &urls, (40, 0), &stop), outage);
    println!("{answered} calls were answered");
    stage.until_replicas("busy", 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_never_starts_is_told_with_its_pods_reason_goes_back_to_zero_and_harms_nobody() {
    if !wanted(Level::Processes) {
        return;
    }
    let mut stage = Stage::start().await;
    let url = stage.serve("gateway");
    let scaling = json!({ "min": 0, "idleSeconds": 1, "sessionSeconds": 0 });
    let mut in_time = scaling.clone();
    // Long enough for a busy machine to find out about the image, and to start the mended server.
    in_time["startSeconds"] = json!(25);
    stage.apply("broken", 0, in_time).await;
    stage.apply("well", 0, scaling).await;
    stage.until_listed(&url, &["broken", "well"]).await;
    stage.until_replicas("broken", 0).await;
    let image =
        json!([{ "op": "replace", "path": "/spec/source/image/name", "value": "no-such-image" }]).to_string();
    stage.world.kubectl(&["patch", "mcpserver/broken", "--type=json", "--patch", &image]).await.unwrap();
    stage
        .until("deployment/broken-mcp", "{.spec.template.spec.containers[0].image}", |said| {
            said == "no-such-image"
        })
        .await;
    let (status, refused) = stage.call(&url, ("broken", 1, 0)).await;
    let message = refused["error"]["message"].as_str().unwrap_or_default();
    println!("{status} {message}");
    assert_eq!(status, 503, "{refused}");
    assert!(message.contains("could not be started") && message.contains("ErrImage"), "{message}");
    stage.until_replicas("broken", 0).await;
    let path = "{.status.conditions[?(@.type==\"ScalingActive\")].reason}";
    stage.until("mcpserver/broken", path, |said| said == "StartFailed").await;
    stage.until("mcpserver/broken", "{.status.scaling.retryAt}", |said| !said.is_empty()).await;
    let (status, answered) = stage.call(&url, ("well", 2, 0)).await;
    assert!(status == 200 && answered["result"].is_object(), "{answered}");
    // Mended, and tried again after the back-off.
    let image = image.replace("no-such-image", "slow");
    stage.world.kubectl(&["patch", "mcpserver/broken", "--type=json", "--patch", &image]).await.unwrap();
    wait_for("an answer", PATIENCE, async || {
        let (status, answered) = stage.call(&url, ("broken", 3, 0)).await;
        if status == 200 && answered["result"].is_object() { Ok(Some(())) } else { Err(answered.to_string()) }
    })
    .await
    .unwrap();
    stage.until("mcpserver/broken", path, |said| said == "ScaledByLoad").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_number_that_a_person_sets_stays_until_it_is_given_back() {
    if !wanted(Level::Processes) {
        return;
    }
    let mut stage = Stage::start().await;
    let url = stage.serve("gateway");
    stage.apply("mine", 0, json!({ "min": 0, "idleSeconds": 1, "sessionSeconds": 0 })).await;
    stage.until_listed(&url, &["mine"]).await;
    stage.until_replicas("mine", 0).await;
    stage.world.kubectl(&["scale", "deployment/mine-mcp", "--replicas=2"]).await.unwrap();
    let path = "{.status.conditions[?(@.type==\"ScalingActive\")].reason}";
    stage.until("mcpserver/mine", path, |said| said == "ReplicasOwnedByOther").await;
    stage.until("deployment/mine-mcp", "{.status.readyReplicas}", |said| said == "2").await;
    let replicas =
        stage.world.kubectl(&["get", "deployment/mine-mcp", "--output", "jsonpath={.spec.replicas}"]).await;
    assert_eq!(replicas.unwrap(), "2");
    let now = k8s_openapi::jiff::Timestamp::now().to_string();
    let back = format!("portico.dev/take-replicas={now}");
    stage.world.kubectl(&["annotate", "--overwrite", "mcpserver/mine", &back]).await.unwrap();
    stage.until_replicas("mine", 0).await;
    stage.until("mcpserver/mine", path, |said| said == "ScaledByLoad").await;
}
