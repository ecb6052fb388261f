//! Answers from before, where Kroger cannot be asked.

use std::time::Instant;

use redis::aio::MultiplexedConnection;
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{MILK, PATIENCE, Plan, STORE, World, eventually};

/// Where an entry has the time when it was made.
const MADE: std::ops::Range<usize> = 1..9;

/// Makes everything in Redis older.
async fn age(world: &World, milliseconds: i64) {
    let client = redis::Client::open(world.redis.as_ref().unwrap().url()).unwrap();
    let mut redis: MultiplexedConnection = client.get_multiplexed_async_connection().await.unwrap();
    let keys: Vec<String> = redis::cmd("KEYS").arg("*/*").query_async(&mut redis).await.unwrap();
    assert!(!keys.is_empty());
    for key in keys {
        let mut entry: Vec<u8> = redis::cmd("GET").arg(&key).query_async(&mut redis).await.unwrap();
        let made = i64::from_be_bytes(entry[MADE].try_into().unwrap()) - milliseconds;
        entry[MADE].copy_from_slice(&made.to_be_bytes());
        let mut set = redis::cmd("SET");
        set.arg(&key).arg(entry).arg("KEEPTTL").query_async::<()>(&mut redis).await.unwrap();
    }
}

async fn trouble(world: &World, kind: &str) {
    let path = "/v1/products";
    match kind {
        "quota" => world.settings(json!({ "daily_limits": { "products": 1 } })).await,
        "status" => world.fault(json!({ "path": path, "kind": kind, "status": 500, "times": 1_000 })).await,
        _ => world.fault(json!({ "path": path, "kind": kind, "times": 1_000 })).await,
    }
}

/// Asks for both until Redis answers in Kroger's place: one that is slow to answer is passed over for a second.
async fn kept(world: &World, search: &Value, view: &Value) -> (Value, Value) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let before = world.asked("/v1/products").await;
        let found = world.ok("search_products_advanced", search.clone()).await;
        let cart = world.ok("manage_cart", view.clone()).await;
        if world.asked("/v1/products").await == before {
            return (found, cart);
        }
        assert!(Instant::now() < deadline, "the answers were never kept");
    }
}

/// What `tool` answers once Redis is asked: while it is passed over there is nothing from before.
async fn answered(world: &World, tool: &str, arguments: &Value) -> Value {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let (status, answer) = world.call(tool, arguments.clone()).await;
        if status == 200 {
            return answer;
        }
        assert!(status.is_server_error() && Instant::now() < deadline, "{status} {answer}");
    }
}

#[rstest]
#[tokio::test]
async fn an_answer_from_before_stands_in_and_says_how_old_it_is(
    #[values("rate_limit", "quota", "status", "drop", "malformed")] kind: &str,
) {
    let world = World::start(Plan { redis: true, ..Plan::default() }).await;
    let session = world.sign_in("ada").await;
    let search = json!({ "query": "milk" });
    let view = json!({ "session_id": session, "location_id": STORE });
    let add = json!({ "session_id": session, "action": "add", "product_id": MILK, "quantity": 2 });
    world.ok("manage_cart", add).await;
    let (fresh, cart) = kept(&world, &search, &view).await;
    assert_eq!(fresh["stale_seconds"], Value::Null);
    age(&world, 6 * 60_000).await;
    trouble(&world, kind).await;
    let found = answered(&world, "search_products_advanced", &search).await;
    let seconds = found["stale_seconds"].as_u64().unwrap();
    assert!((360..480).contains(&seconds), "{seconds}");
    assert_eq!(found["products"], fresh["products"]);
    for (language, told) in [("en", "\nAs of "), ("de", "\nStand von vor ")] {
        let ask = world.http.post(world.url("/tools/search_products_advanced")).json(&search);
        let ask = ask.header("accept", "text/plain").header("accept-language", language);
        let is_told = async || {
            let text = ask.try_clone().unwrap().send().await.unwrap().text().await.unwrap();
            text.contains(told)
        };
        eventually(told, is_told).await;
    }
    let view = answered(&world, "manage_cart", &view).await;
    assert!(view["stale_seconds"].as_u64().is_some_and(|seconds| seconds >= 360), "{view}");
    assert_eq!(view["estimated_total"], cart["estimated_total"]);
}
