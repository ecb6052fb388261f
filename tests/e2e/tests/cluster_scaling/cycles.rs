//! From zero and back.

use std::time::{Duration, Instant};

use futures::future::join_all;
use portico_cluster::{Level, wanted};
use serde_json::json;

use super::stage::Stage;

const SERVERS: usize = 20;
const CYCLES: usize = 10;

/// Times of a wake-up.
struct Wake {
    total: Duration,
    /// After the pod listened.
    after: Duration,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_two_hundred_cycles_from_zero_and_back_no_call_is_lost_and_none_is_made_twice() {
    if !wanted(Level::Processes) {
        return;
    }
    let mut stage = Stage::start().await;
    let url = stage.serve("gateway");
    let names: Vec<String> = (0..SERVERS).map(|number| format!("s{number}")).collect();
    for name in &names {
        stage.apply(name, 300, json!({ "min": 0, "max": 3, "idleSeconds": 1, "sessionSeconds": 1 })).await;
    }
    stage.until_listed(&url, &names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let lives = names.iter().enumerate().map(|(at, name)| live(&stage, &url, (name, at as u64)));
    let lives = join_all(lives).await;
    let made: usize = lives.iter().map(|(made, _)| made).sum();
    let wakes: Vec<&Wake> = lives.iter().flat_map(|(_, wakes)| wakes).collect();
    let told = stage.told.lock().unwrap();
    println!("{made} calls, {} wake-ups", wakes.len());
    print("from call to answer", wakes.iter().map(|wake| wake.total).collect());
    print("of it after the pod listened", wakes.iter().map(|wake| wake.after).collect());
    assert!(wakes.len() >= SERVERS * CYCLES);
    assert_eq!(told.calls.values().filter(|times| **times != 1).count(), 0, "calls made more than once");
    assert_eq!(told.calls.len(), made);
}

/// Calls one server until it has come from zero often enough: at moments around the end of its idle time.
async fn live(stage: &Stage, url: &str, (name, seed): (&str, u64)) -> (usize, Vec<Wake>) {
    let (mut made, mut wakes) = (0, Vec::new());
    let end = Instant::now() + Duration::from_mins(15);
    while wakes.len() < CYCLES {
        assert!(Instant::now() < end, "{name} has come from zero {} times", wakes.len());
        let before = stage.told.lock().unwrap().listening.len();
        let began = Instant::now();
        let (status, answered) = stage.call(url, (name, seed * 1_000_000 + made as u64, 0)).await;
        let now = Instant::now();
        assert_eq!(status, 200, "{answered}");
        let pod = answered["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{answered}"));
        made += 1;
        let (listening, known) = stage.listening(pod);
        if known > before && listening > began {
            wakes.push(Wake { total: now - began, after: now - listening });
        }
        // Numbers that come again in each run, spread over what the last pod takes to go. A busy machine takes longer for it: so every
        // other time the server is at zero in any case.
        let pause = 1_000 + (seed * 7919 + made as u64 * 104_729) % 2_500;
        tokio::time::sleep(Duration::from_millis(pause)).await;
        if made % 2 == 0 {
            stage.until_replicas(name, 0).await;
        }
    }
    (made, wakes)
}

fn print(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |part: usize| times[(times.len() - 1) * part / 100].as_millis();
    println!("{what}: p50 {} ms, p90 {} ms, p99 {} ms, most {} ms", at(50), at(90), at(99), at(100));
}
