//! How often one user may call, over all replicas.

use std::{num::NonZeroU32, time::Duration};

use portico_kit::{Cache, Hosting, Metrics, Secret};
use portico_services::Redis;
use serde_json::json;

use crate::greeter::{MOST_SESSIONS, World, world_with};

/// Longer than a slow machine needs, so that no answer is given up.
const PATIENT: Duration = Duration::from_mins(1);
/// As servers have it.
const USUAL: Duration = Duration::from_millis(250);

async fn replica(redis: &Redis, patience: Duration, per_minute: u32) -> World {
    let url = Secret::new(redis.url());
    let cache = Cache::redis_within(&url, "portico:greeter:", patience, &Metrics::default()).unwrap();
    world_with(Hosting { per_minute: NonZeroU32::new(per_minute), shared: Some(cache), ..Hosting::default() })
        .await
}

async fn call(world: &World, session: &str) -> reqwest::Response {
    let cookie = format!("greeter_session={session}");
    let request = world.http.post(world.url("/tools/greet")).header("cookie", cookie);
    request.json(&json!({ "name": "Ada" })).send().await.unwrap()
}

#[tokio::test]
async fn replicas_with_one_redis_count_the_calls_of_a_user_together() {
    let redis = Redis::start(&[]).await.unwrap();
    let (one, other) = (replica(&redis, PATIENT, 4).await, replica(&redis, PATIENT, 4).await);
    for world in [&one, &other, &one, &other] {
        assert_eq!(call(world, "a").await.status(), 200);
    }
    for world in [&one, &other] {
        let refused = call(world, "a").await;
        assert_eq!(refused.status(), 429);
        let wait: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=16).contains(&wait), "{wait}");
        assert_eq!(call(world, "b").await.status(), 200);
    }
}

#[tokio::test]
async fn while_redis_is_away_each_replica_counts_for_itself() {
    let redis = Redis::start(&[]).await.unwrap();
    let (one, other) = (replica(&redis, USUAL, 2).await, replica(&redis, USUAL, 2).await);
    redis.pause();
    for world in [&one, &other] {
        let statuses = [call(world, "a").await, call(world, "a").await, call(world, "a").await];
        assert_eq!(statuses.map(|answer| answer.status().as_u16()), [200, 200, 429]);
    }
}

/// An `initialize` that names `version`; its status and whether it came with a session.
async fn initialize(world: &World, version: &str) -> (u16, bool) {
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize",
        "params": { "protocolVersion": version, "capabilities": {}, "clientInfo": { "name": "t", "version": "1" } } });
    let request = world.http.post(world.url("/mcp")).header("mcp-protocol-version", version).json(&body);
    let answer = request.header("accept", "application/json, text/event-stream").send().await.unwrap();
    (answer.status().as_u16(), answer.headers().contains_key("mcp-session-id"))
}

#[tokio::test]
async fn no_more_sessions_are_opened_than_there_is_room_for_whatever_version_is_named() {
    let world = world_with(Hosting::default()).await;
    let openings = (0..MOST_SESSIONS * 2).map(async |number| {
        initialize(&world, if number % 2 == 0 { "2026-07-28" } else { "2025-06-18" }).await
    });
    let opened = futures::future::join_all(openings).await;
    let good = opened.iter().filter(|opened| **opened == (200, true)).count();
    let refused = opened.iter().filter(|opened| **opened == (503, false)).count();
    assert_eq!((good, refused), (MOST_SESSIONS, MOST_SESSIONS), "{opened:?}");
    // Whoever needs no session is served.
    let modern = world.client(true).await;
    assert!(!modern.list_all_tools().await.unwrap().is_empty());
}
