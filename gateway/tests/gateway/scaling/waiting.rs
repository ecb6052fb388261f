//! Calls to a server that has no replica.

use std::time::Duration;

use portico_gateway::Options;
use portico_gateway::source::Bounds;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::super::support::{Events, answer, eventually};
use super::machine::{Gate, Ways, who};
use super::{World, one};

fn call(number: u64) -> Value {
    json!({ "name": "a", "arguments": { "number": number } })
}

async fn waiting(world: &World) -> usize {
    let (_, text) = world.gateway.get("/metrics").await;
    let line = text.lines().find(|line| line.starts_with("portico_gateway_calls_held{"));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_at_zero_stays_listed_and_its_first_call_waits_for_it_and_no_longer() {
    let ways = Ways { start: Duration::from_millis(400), ready: Duration::from_hours(1), ..Ways::default() };
    let world = one(ways).await;
    assert_eq!(world.gateway.tools().await, ["a"]);
    assert_eq!(world.machine.desired("one"), 0);
    let (_, answered) = world.gateway.modern("tools/call", call(1)).await;
    let now = Instant::now();
    who(&answered);
    // It is called ready an hour later; the call has not waited for that.
    assert!(world.machine.serving("one").is_empty());
    let listening = world.machine.log.lock().unwrap().listening.clone();
    assert_eq!(listening.len(), 1);
    println!("answered {} ms after the replica listened", now.duration_since(listening[0]).as_millis());
    assert_eq!(world.machine.log.lock().unwrap().calls[&1], 1);
    world.until_gone("one").await;
}

#[tokio::test]
async fn a_replica_that_serves_before_it_is_called_ready_does_not_go_while_calls_are_sent_to_it() {
    let (open, answers) = Gate::shut();
    let world = one(Ways { ready: Duration::from_hours(1), answers, ..Ways::default() }).await;
    let answering = world.gateway.modern("tools/call", call(1));
    let opening = async {
        eventually("the call is there", async || world.machine.log.lock().unwrap().calls.contains_key(&1))
            .await;
        open.send(true).unwrap();
    };
    let ((_, answered), ()) = tokio::join!(answering, opening);
    world.until_gone("one").await;
    let url = format!("http://{}/mcp", who(&answered));
    assert!(world.machine.log.lock().unwrap().drained.contains(&url), "it was marked before it went");
}

#[tokio::test]
async fn a_client_that_gave_a_progress_token_is_told_that_the_server_starts() {
    for legacy in [true, false] {
        let (open, starts) = Gate::shut();
        let world = one(Ways { starts, ..Ways::default() }).await;
        let params = json!({ "name": "a", "arguments": {}, "_meta": { "progressToken": "p-1" } });
        let mut events = if legacy {
            world.gateway.legacy("2025-11-25").await.open("tools/call", params).await
        } else {
            Events::of(world.gateway.modern_request("tools/call", params).send().await.unwrap())
        };
        let (mut times, mut last) = (0, 0.0);
        let answered = loop {
            let told = events.next().await.unwrap();
            if told["method"] != "notifications/progress" {
                break told;
            }
            assert_eq!(told["params"]["progressToken"], "p-1");
            let progress = told["params"]["progress"].as_f64().unwrap();
            assert!(progress > last, "{told}");
            assert!(told["params"]["message"].as_str().unwrap().contains("shop/one is starting"), "{told}");
            (times, last) = (times + 1, progress);
            // As often as it is told before, it is told on.
            open.send_replace(times >= 2);
        };
        who(&answered);
        assert!(times >= 2, "{times}");
    }
}

#[tokio::test]
async fn a_callers_patience_shortens_the_wait_and_the_start_goes_on_without_it() {
    let (open, starts) = Gate::shut();
    let world = one(Ways { starts, ..Ways::default() }).await;
    let request = world.gateway.modern_request("tools/call", call(1)).header("prefer", "wait=1");
    let response = request.send().await.unwrap();
    let retry_after: u64 = response.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    let (status, refused) = answer(response).await;
    assert_eq!(status, 503, "{refused}");
    assert!(retry_after >= 1);
    let message = refused["error"]["message"].as_str().unwrap();
    assert!(message.contains("shop/one had no ready pod for 1 s"), "{message}");
    assert_eq!(refused["error"]["data"]["reason"], "no_endpoint");
    open.send_replace(true);
    eventually("the replica has started", async || world.machine.running("one") == 1).await;
    let (_, answered) = world.gateway.modern("tools/call", call(2)).await;
    who(&answered);
    assert!(!world.machine.log.lock().unwrap().calls.contains_key(&1));
}

#[tokio::test]
async fn the_start_goes_on_when_the_caller_goes_away() {
    let (open, starts) = Gate::shut();
    let world = one(Ways { starts, ..Ways::default() }).await;
    let caller = tokio::spawn(world.gateway.modern_request("tools/call", call(1)).send());
    let asked = async || waiting(&world).await == 1 && world.machine.desired("one") == 1;
    eventually("the call waits, and a replica is asked for", asked).await;
    caller.abort();
    eventually("the call is given up", async || waiting(&world).await == 0).await;
    open.send_replace(true);
    eventually("the replica has started", async || world.machine.running("one") == 1).await;
    world.until_gone("one").await;
    assert_eq!(world.machine.log.lock().unwrap().calls.len(), 0);
}

#[tokio::test]
async fn calls_beyond_the_bounds_are_refused_with_a_time_to_come_back() {
    let options = Options { max_waiting: 3, max_waiting_bytes: 4000, ..Options::default() };
    let (open, starts) = Gate::shut();
    let world = World::with(options, &[("one", Ways { starts, ..Ways::default() })]).await;
    let first: Vec<_> = (1..=3)
        .map(|number| tokio::spawn(world.gateway.modern_request("tools/call", call(number)).send()))
        .collect();
    eventually("three calls wait", async || waiting(&world).await == 3).await;
    let response = world.gateway.modern_request("tools/call", call(4)).send().await.unwrap();
    assert!(response.headers()["retry-after"].to_str().unwrap().parse::<u64>().unwrap() >= 1);
    let (status, refused) = answer(response).await;
    assert_eq!(status, 503, "{refused}");
    assert!(
        refused["error"]["message"].as_str().unwrap().contains("3 calls wait for one already"),
        "{refused}"
    );
    open.send_replace(true);
    for call in first {
        let (status, answered) = answer(call.await.unwrap().unwrap()).await;
        assert_eq!(status, 200, "{answered}");
    }
    world.until_gone("one").await;
    let large = json!({ "name": "a", "arguments": { "number": 5, "text": "x".repeat(5000) } });
    let (status, refused) = world.gateway.modern("tools/call", large).await;
    assert_eq!(status, 503, "{refused}");
}

#[tokio::test]
async fn a_server_with_as_many_calls_as_it_may_have_answers_429() {
    let options = Options { max_server_calls: 2, ..Options::default() };
    let (open, answers) = Gate::shut();
    let world = World::with(options, &[("one", Ways { answers, ..Ways::default() })]).await;
    let first: Vec<_> = (1..=2)
        .map(|number| tokio::spawn(world.gateway.modern_request("tools/call", call(number)).send()))
        .collect();
    eventually("two calls are open", async || world.machine.log.lock().unwrap().calls.len() == 2).await;
    let response = world.gateway.modern_request("tools/call", call(3)).send().await.unwrap();
    assert!(response.headers().contains_key("retry-after"));
    let (status, refused) = answer(response).await;
    assert_eq!((status, &refused["error"]["data"]["reason"]), (429, &json!("saturated")), "{refused}");
    open.send_replace(true);
    for call in first {
        assert_eq!(call.await.unwrap().unwrap().status(), 200);
    }
}

#[tokio::test]
async fn a_server_that_does_not_start_is_given_up_with_the_reason_and_tried_again_later() {
    let bounds = Bounds { start_within: Duration::from_secs(2), ..Ways::default().bounds };
    let world = one(Ways { broken: true, bounds, ..Ways::default() }).await;
    let (status, refused) = world.gateway.modern("tools/call", call(1)).await;
    assert_eq!(status, 503, "{refused}");
    let message = refused["error"]["message"].as_str().unwrap();
    assert!(message.contains("could not be started (no pod was ready in time)"), "{message}");
    world.until_gone("one").await;
    let asked = world.machine.log.lock().unwrap().asked.clone();
    // Refused at once now, without another start.
    let (status, refused) = world.gateway.modern("tools/call", call(2)).await;
    assert_eq!(status, 503, "{refused}");
    assert!(refused["error"]["message"].as_str().unwrap().contains("it is tried again in"), "{refused}");
    assert_eq!(world.machine.log.lock().unwrap().asked, asked);
}

#[tokio::test]
async fn a_machine_that_cannot_start_replicas_now_is_asked_again() {
    let world = one(Ways::default()).await;
    *world.machine.failing.lock().unwrap() = Some("the API server is away".into());
    let request = world.gateway.modern_request("tools/call", call(1)).send();
    let pending = tokio::spawn(request);
    eventually("the call waits", async || waiting(&world).await == 1).await;
    *world.machine.failing.lock().unwrap() = None;
    let (status, answered) = answer(pending.await.unwrap().unwrap()).await;
    assert_eq!(status, 200, "{answered}");
}
