//! More replicas under more load, and fewer again without a call that fails.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::join_all;
use portico_gateway::scaling::Activity;
use portico_gateway::source::Bounds;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::super::support::eventually;
use super::machine::{Ways, who};
use super::{World, one};

/// Calls from so many clients at once until `stop`; the answers.
async fn load(world: &World, clients: usize, stop: &CancellationToken) -> Vec<Value> {
    let call = || async {
        let mut answers = Vec::new();
        while !stop.is_cancelled() {
            let params = json!({ "name": "a", "arguments": { "number": 0 } });
            let (status, answered) = world.gateway.modern("tools/call", params).await;
            assert_eq!(status, 200, "{answered}");
            answers.push(answered);
        }
        answers
    };
    join_all((0..clients).map(|_| call())).await.into_iter().flatten().collect()
}

fn busy() -> Ways {
    let bounds = Bounds { max: 16, ..Ways::default().bounds };
    // So long that 64 clients are a load for the replicas and not for the machine that the test runs on.
    Ways { call: Duration::from_millis(400), ready: Duration::from_millis(100), bounds, ..Ways::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_follow_a_load_that_swings_and_no_call_fails_while_they_go() {
    let world = one(busy()).await;
    let (mut most, mut answered) = (Vec::new(), 0);
    for clients in [1, 64, 1, 64] {
        let stop = CancellationToken::new();
        let expected = if clients == 1 { 1..=2 } else { 8..=16 };
        let settle = async {
            eventually(&format!("{clients} clients have their replicas"), async || {
                expected.contains(&world.machine.desired("one"))
            })
            .await;
            most.push(world.machine.running("one"));
            stop.cancel();
        };
        let (answers, ()) = tokio::join!(load(&world, clients, &stop), settle);
        answered += answers.iter().map(who).count();
    }
    println!("{answered} calls answered, replicas asked for: {:?}", world.machine.log.lock().unwrap().asked);
    world.until_desired("one", 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_is_under_way_when_its_replica_is_to_go_comes_to_its_end() {
    let world = one(Ways { call: Duration::from_secs(3), ..Ways::default() }).await;
    world.machine.edit("one", |_, desired| *desired = 2);
    eventually("two replicas serve", async || world.machine.running("one") == 2).await;
    let call = || world.gateway.modern("tools/call", json!({ "name": "a", "arguments": { "number": 1 } }));
    let (first, second) = tokio::join!(call(), call());
    // Two calls of three seconds were no load for two replicas, and went on to their ends.
    assert_eq!((first.0, second.0), (200, 200));
    world.until_desired("one", 0).await;
}

#[tokio::test]
async fn sessions_in_use_keep_their_replica_and_the_replica_with_the_fewest_goes_first() {
    let bounds =
        Bounds { session: Duration::from_hours(1), drain: Duration::from_hours(1), ..Ways::default().bounds };
    let ways = Ways { sessions: true, ready: Duration::ZERO, bounds, ..Ways::default() };
    let world = one(ways).await;
    world.machine.edit("one", |_, desired| *desired = 3);
    eventually("three replicas serve", async || world.machine.running("one") == 3).await;
    let mut kept = BTreeSet::new();
    let mut clients = Vec::new();
    for _ in 0..2 {
        let client = world.gateway.legacy("2025-11-25").await;
        let (_, answered) = client.call("tools/call", json!({ "name": "a", "arguments": {} })).await;
        kept.insert(who(&answered));
        clients.push(client);
    }
    world.until_desired("one", u32::try_from(kept.len()).unwrap()).await;
    for client in &clients {
        let (_, answered) = client.call("tools/call", json!({ "name": "a", "arguments": {} })).await;
        assert!(kept.contains(&who(&answered)), "a session has moved");
    }
}

#[tokio::test]
async fn a_number_that_somebody_else_sets_is_left_alone() {
    let world = one(Ways::default()).await;
    world.machine.own("one", Some("kubectl"));
    let (status, refused) = world.gateway.modern("tools/call", json!({ "name": "a", "arguments": {} })).await;
    assert_eq!(status, 200, "{refused}");
    let message = refused["error"]["message"].as_str().unwrap();
    assert!(message.contains("`kubectl` has set its replicas to 0"), "{message}");
    world.machine.edit("one", |_, desired| *desired = 2);
    let owned = world.gateway.until_report("one", |report| {
        let scaling = report.scaling.as_ref();
        scaling
            .is_some_and(|scaling| scaling.desired == 2 && matches!(scaling.activity, Activity::Owned { .. }))
    });
    owned.await;
    // Nothing was asked of it for longer than it may be idle, which was seen, and nothing was done.
    let before = world.decisions("Idle").await;
    eventually("it is seen to be idle", async || world.decisions("Idle").await >= before + 2).await;
    assert_eq!(world.machine.desired("one"), 2);
    world.machine.own("one", None);
    world.until_desired("one", 0).await;
}

#[tokio::test]
async fn a_client_that_begins_a_session_starts_a_server_that_wants_it() {
    let mut bounds = Ways::default().bounds;
    bounds.spec.warm_up = portico_crds::scaling::WarmUp::OnSession;
    let named = [("eager", Ways { bounds, ..Ways::default() }), ("lazy", Ways::default())];
    for legacy in [true, false] {
        let world = World::at_zero(&named).await;
        if legacy {
            world.gateway.legacy("2025-11-25").await;
        } else {
            world.gateway.modern("server/discover", json!({})).await;
        }
        eventually("the eager server runs", async || world.machine.running("eager") == 1).await;
        assert_eq!(world.machine.desired("lazy"), 0);
        world.until_desired("eager", 0).await;
    }
}

#[tokio::test]
async fn a_minimum_is_a_warm_pool() {
    let world = one(Ways::default()).await;
    world.machine.edit("one", |ways, _| ways.bounds.spec.min = 2);
    world.until_desired("one", 2).await;
    eventually("both run", async || world.machine.running("one") == 2).await;
}
