//! How often one user may call, over all replicas.

use std::{num::NonZeroU32, time::Duration};

use portico_kit::{Cache, Hosting, Metrics, Secret};
use portico_services::Redis;
use serde_json::json;

use crate::greeter::{World, world_with};

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
