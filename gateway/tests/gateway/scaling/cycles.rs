//! From zero and back, over and over.

use std::time::Duration;

use futures::future::join_all;
use rand::Rng as _;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::super::support::answer;
use super::World;
use super::machine::Ways;

/// Calls at random moments, many of them just when the last replica goes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_two_hundred_cycles_from_zero_and_back_no_call_is_lost_and_none_is_made_twice() {
    cycles(40, 5, Ways::default()).await;
}

/// A call that opens a session first is under way for longer than a replica takes to go.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_open_a_session_first_are_not_lost_when_the_last_replica_is_to_go() {
    cycles(40, 2, Ways { sessions: true, handshake: Duration::from_millis(700), ..Ways::default() }).await;
}

async fn cycles(servers: usize, cycles: usize, ways: Ways) {
    let names: Vec<String> = (0..servers).map(|number| format!("s{number}")).collect();
    let named: Vec<(&str, Ways)> = names.iter().map(|name| (name.as_str(), ways.clone())).collect();
    let world = World::at_zero(&named).await;
    let lives = names.iter().enumerate().map(|(at, name)| live(&world, name, (at as u64, cycles)));
    let made: Vec<u64> = join_all(lives).await.into_iter().flatten().collect();
    let log = world.machine.log.lock().unwrap();
    let starts = log.asked.iter().filter(|to| **to > 0).count();
    println!("{} calls, {starts} starts, {} stops", made.len(), log.asked.len() - starts);
    // A replica that was to go and stays after all is no start.
    assert!(10 * starts >= 9 * servers * cycles, "{starts} starts");
    assert_eq!(log.calls.values().filter(|times| **times != 1).count(), 0);
    assert_eq!(log.calls.len(), made.len());
}

/// Calls one server until it has gone to zero and come back often enough.
async fn live(world: &World, name: &str, (seed, wanted): (u64, usize)) -> Vec<u64> {
    let (mut random, mut made, mut cycles, mut was_up) = (StdRng::seed_from_u64(seed), Vec::new(), 0, false);
    let deadline = Instant::now() + Duration::from_mins(10);
    while cycles < wanted {
        assert!(Instant::now() < deadline, "{name} has made {cycles} cycles");
        let number = seed * 1_000_000 + made.len() as u64;
        // Names clash, so that each tool has its server before it.
        let params = json!({ "name": format!("{name}__a"), "arguments": { "number": number } });
        let response = world.gateway.modern_request("tools/call", params).send().await.unwrap();
        let (status, answered) = answer(response).await;
        assert!(status == 200 && answered["result"].is_object(), "{answered}");
        made.push(number);
        cycles += usize::from(!was_up);
        was_up = true;
        sleep(Duration::from_millis(random.random_range(0..2600))).await;
        was_up &= world.machine.desired(name) > 0;
    }
    made
}
