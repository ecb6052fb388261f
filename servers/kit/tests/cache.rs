//! The cache, in memory and in Redis, by the same tests.

mod support;

use std::{
    future::{pending, ready},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use portico_kit::{
    Cache, Environment, Metrics, Secret,
    cache::{Fetched, Keep, Lookup},
    caller::Correlation,
    upstream::{Class, Error},
};
use portico_services::Redis;
use rstest::rstest;
use tokio::sync::Notify;

use support::eventually;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum In {
    Memory,
    Redis,
}

struct Kept {
    cache: Cache,
    metrics: Metrics,
    redis: Option<Redis>,
}

const LONG: Keep = Keep { fresh: Duration::from_hours(1), stale: Duration::from_hours(1) };
/// Fresh for a moment, and good for emergencies for long.
const BRIEF: Keep = Keep { fresh: Duration::from_millis(1), stale: Duration::from_hours(1) };

/// A cache of which a slow machine makes no miss.
fn patient(redis: &Redis, prefix: &str, metrics: &Metrics) -> Cache {
    Cache::redis_within(&Secret::new(redis.url()), prefix, support::PATIENCE, metrics).unwrap()
}

/// A cache as servers have it.
fn usual(redis: &Redis) -> Cache {
    Cache::redis(&Secret::new(redis.url()), "portico:test:", &Metrics::default()).unwrap()
}

impl Kept {
    async fn new(place: In) -> Self {
        let redis = if place == In::Redis { Some(Redis::start(&[]).await.unwrap()) } else { None };
        Self::over(redis)
    }

    fn over(redis: Option<Redis>) -> Self {
        let metrics = Metrics::default();
        let cache = match &redis {
            None => Cache::memory(1, &metrics),
            Some(redis) => patient(redis, "portico:test:", &metrics),
        };
        Self { cache, metrics, redis }
    }

    fn redis(&self) -> &Redis {
        self.redis.as_ref().unwrap()
    }

    async fn value(&self, key: &str) -> Option<String> {
        self.cache.get(key).await.map(|hit| String::from_utf8(hit.value.to_vec()).unwrap())
    }

    async fn put(&self, key: &str, keep: Keep) {
        self.cache.put(key, Bytes::from(key.to_owned()), keep).await;
    }

    /// A value that is there and not fresh any more.
    async fn put_old(&self, key: &str) {
        self.put(key, BRIEF).await;
        eventually("it is old", async || self.cache.get(key).await.is_some_and(|hit| !hit.is_fresh)).await;
    }
}

fn fails(class: Class) -> impl Future<Output = Result<Bytes, Error>> {
    ready(Err(Error::new("shop", class, "it failed")))
}

fn made(value: &'static str) -> impl Future<Output = Result<Bytes, Error>> {
    ready(Ok(Bytes::from_static(value.as_bytes())))
}

fn text(fetched: &Fetched) -> &str {
    str::from_utf8(&fetched.value).unwrap()
}

#[rstest]
#[tokio::test]
async fn a_value_is_there_until_its_time_is_over(#[values(In::Memory, In::Redis)] place: In) {
    let kept = Kept::new(place).await;
    assert_eq!(kept.value("a").await, None);
    kept.put("a", LONG).await;
    kept.put("b", Keep { fresh: Duration::from_millis(1), stale: Duration::from_millis(1) }).await;
    let hit = kept.cache.get("a").await.unwrap();
    assert!(hit.is_fresh && hit.age < Duration::from_mins(1), "{hit:?}");
    eventually("it is gone", async || kept.value("b").await.is_none()).await;
    kept.cache
        .put("none", Bytes::from_static(b"x"), Keep { fresh: Duration::ZERO, stale: Duration::ZERO })
        .await;
    assert_eq!(kept.value("none").await, None);
    kept.cache.put("a", Bytes::from_static(b"newer"), LONG).await;
    assert_eq!(kept.value("a").await.as_deref(), Some("newer"));
    kept.cache.put("empty", Bytes::new(), LONG).await;
    assert_eq!(kept.value("empty").await.as_deref(), Some(""));
}

#[rstest]
#[tokio::test]
async fn what_begins_alike_is_removed_together_and_nothing_else(#[values(In::Memory, In::Redis)] place: In) {
    let kept = Kept::new(place).await;
    // Letters that mean something in patterns of Redis stand for themselves.
    let gone = ["users/*[a]/lists", "users/*[a]/carts/1"];
    let stays = ["users/a/lists", "users/*[a]", "users/b", "other"];
    for key in gone.iter().chain(&stays) {
        kept.put(key, LONG).await;
    }
    kept.cache.remove_all("users/*[a]/").await;
    for key in gone {
        assert_eq!(kept.value(key).await, None, "{key}");
    }
    for key in stays {
        assert!(kept.value(key).await.is_some(), "{key}");
    }
    kept.cache.remove("other").await;
    assert_eq!(kept.value("other").await, None);
    kept.cache.remove("never was").await;
}

#[rstest]
#[tokio::test]
async fn thousands_of_keys_are_removed_as_well(#[values(In::Memory, In::Redis)] place: In) {
    let kept = Kept::new(place).await;
    let keys: Vec<String> = (0..3_000).map(|number| format!("users/{}/{number}", number % 2)).collect();
    for key in &keys {
        kept.put(key, LONG).await;
    }
    kept.cache.remove_all("users/1/").await;
    let mut left = 0;
    for key in &keys {
        left += usize::from(kept.value(key).await.is_some());
    }
    assert_eq!(left, 1_500);
}

#[rstest]
#[tokio::test]
async fn the_source_is_asked_once_however_many_wait(#[values(In::Memory, In::Redis)] place: In) {
    let kept = Kept::new(place).await;
    let asked = Arc::new(AtomicUsize::new(0));
    let fetching = (0..50).map(|_| {
        let asked = Arc::clone(&asked);
        kept.cache.fetch("a", LONG, async move {
            asked.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            Ok(Bytes::from_static(b"made"))
        })
    });
    let all = futures::future::join_all(fetching).await;
    assert!(all.iter().all(|fetched| text(fetched.as_ref().unwrap()) == "made"));
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    let again = kept.cache.fetch("a", LONG, fails(Class::Server)).await.unwrap();
    assert!(!again.is_stale && text(&again) == "made");
    assert_eq!((kept.metrics.cache_lookups(Lookup::Hit), kept.metrics.cache_lookups(Lookup::Miss)), (1, 50));
}

#[tokio::test]
async fn a_source_is_asked_under_the_id_of_the_call_that_asks_first() {
    let kept = Kept::new(In::Memory).await;
    let id = Correlation::new();
    let seen = kept.cache.fetch("a", LONG, async {
        Ok(Bytes::from(Correlation::current().map(|id| id.to_string()).unwrap_or_default()))
    });
    assert_eq!(text(&id.clone().scope(seen).await.unwrap()), id.to_string());
}

#[rstest]
#[tokio::test]
async fn an_old_value_serves_when_the_source_fails_for_a_while(
    #[values(In::Memory, In::Redis)] place: In,
    #[values(
        Class::Network,
        Class::Server,
        Class::Timeout,
        Class::RateLimited,
        Class::Quota,
        Class::CircuitOpen
    )]
    class: Class,
) {
    let kept = Kept::new(place).await;
    kept.put_old("a").await;
    let fetched = kept.cache.fetch("a", LONG, fails(class)).await.unwrap();
    assert!(fetched.is_stale && text(&fetched) == "a" && !fetched.age.is_zero(), "{fetched:?}");
    assert_eq!(kept.metrics.cache_lookups(Lookup::Stale), 1);
    // And it is asked again the next time.
    let fetched = kept.cache.fetch("a", LONG, made("newer")).await.unwrap();
    assert!(!fetched.is_stale && text(&fetched) == "newer");
    assert_eq!(kept.value("a").await.as_deref(), Some("newer"));
}

#[rstest]
#[tokio::test]
async fn an_old_value_does_not_hide_what_the_source_says(
    #[values(In::Memory, In::Redis)] place: In,
    #[values(
        Class::NotFound,
        Class::Authentication,
        Class::Authorization,
        Class::Validation,
        Class::UnknownOutcome
    )]
    class: Class,
) {
    let kept = Kept::new(place).await;
    kept.put_old("a").await;
    let error = kept.cache.fetch("a", LONG, fails(class)).await.unwrap_err();
    assert_eq!(error.class(), class);
    let error = kept.cache.fetch("nothing", LONG, fails(Class::Server)).await.unwrap_err();
    assert_eq!(error.class(), Class::Server);
}

#[rstest]
#[tokio::test]
async fn a_maker_that_panics_fails_its_callers_and_the_next_one_is_asked(
    #[values(In::Memory, In::Redis)] place: In,
) {
    let kept = Kept::new(place).await;
    let panics = || async { if true { panic!("on purpose") } else { Ok(Bytes::new()) } };
    let (one, other) =
        tokio::join!(kept.cache.fetch("a", LONG, panics()), kept.cache.fetch("a", LONG, panics()));
    assert_eq!((one.unwrap_err().class(), other.unwrap_err().class()), (Class::Server, Class::Server));
    kept.put_old("a").await;
    assert!(kept.cache.fetch("a", LONG, panics()).await.unwrap().is_stale);
    assert_eq!(text(&kept.cache.fetch("a", LONG, made("made")).await.unwrap()), "made");
}

#[rstest]
#[tokio::test]
async fn a_caller_that_goes_away_ends_nothing_for_the_others(#[values(In::Memory, In::Redis)] place: In) {
    let kept = Kept::new(place).await;
    let (begun, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let make = {
        let (begun, go) = (Arc::clone(&begun), Arc::clone(&go));
        async move {
            begun.notify_one();
            go.notified().await;
            Ok(Bytes::from_static(b"made"))
        }
    };
    let (cache, keep) = (kept.cache.clone(), LONG);
    let first = tokio::spawn(async move { cache.fetch("a", keep, make).await });
    begun.notified().await;
    let second = kept.cache.fetch("a", LONG, pending());
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    go.notify_one();
    let second = tokio::time::timeout(support::PATIENCE, second).await.expect("it ends with the first");
    assert_eq!(text(&second.unwrap()), "made");
}

#[rstest]
#[tokio::test]
async fn what_was_asked_for_before_a_removal_is_not_kept_after_it(
    #[values(In::Memory, In::Redis)] place: In,
    #[values(false, true)] by_prefix: bool,
) {
    let kept = Kept::new(place).await;
    let (begun, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let make = {
        let (begun, go) = (Arc::clone(&begun), Arc::clone(&go));
        async move {
            begun.notify_one();
            go.notified().await;
            Ok(Bytes::from_static(b"old"))
        }
    };
    let cache = kept.cache.clone();
    let before = tokio::spawn(async move { cache.fetch("users/ada", LONG, make).await.unwrap() });
    begun.notified().await;
    if by_prefix {
        kept.cache.remove_all("users/").await;
    } else {
        kept.cache.remove("users/ada").await;
    }
    let after = kept.cache.fetch("users/ada", LONG, made("new")).await.unwrap();
    assert_eq!(text(&after), "new", "it does not wait for what was asked for before");
    go.notify_one();
    assert_eq!(text(&before.await.unwrap()), "old", "who asked before gets what was right then");
    assert_eq!(kept.value("users/ada").await.as_deref(), Some("new"));
}

#[tokio::test]
async fn memory_stays_within_its_bytes() {
    let kept = Kept::new(In::Memory).await;
    for number in 0..200 {
        kept.cache.put(&format!("{number}"), Bytes::from(vec![0; 100_000]), LONG).await;
    }
    let mut there = 0;
    for number in 0..200 {
        there += usize::from(kept.cache.get(&format!("{number}")).await.is_some());
    }
    assert!((1..=10).contains(&there), "{there} values of 100 kB in 1 MiB");
    kept.cache.put("large", Bytes::from(vec![0; 9 * 1024 * 1024]), LONG).await;
    assert!(kept.cache.get("large").await.is_none());
    let shown = kept.metrics.render();
    let held = shown.lines().find_map(|line| line.strip_prefix("portico_server_cache_held_bytes ")).unwrap();
    assert!(held.parse::<u64>().unwrap() <= 1024 * 1024, "{held}");
    assert!(shown.contains("portico_server_cache_written_bytes_total 20000000"), "{shown}");
}

#[tokio::test]
async fn replicas_share_what_is_in_redis_and_other_prefixes_do_not() {
    let kept = Kept::new(In::Redis).await;
    let cache = |prefix| patient(kept.redis(), prefix, &Metrics::default());
    let (other, stranger) = (cache("portico:test:"), cache("portico:stranger:"));
    kept.put("a", LONG).await;
    stranger.put("b", Bytes::from_static(b"x"), LONG).await;
    assert!(other.get("a").await.is_some());
    assert!(stranger.get("a").await.is_none());
    other.remove_all("").await;
    assert!(kept.value("a").await.is_none());
    assert!(stranger.get("b").await.is_some());
}

#[tokio::test]
async fn redis_that_was_killed_is_a_miss_and_is_used_again_when_it_is_back() {
    let mut kept = Kept::new(In::Redis).await;
    kept.put("a", LONG).await;
    assert!(kept.value("a").await.is_some());
    let port = kept.redis().port();
    kept.redis = None;
    assert_eq!(kept.value("a").await, None);
    assert_eq!(text(&kept.cache.fetch("a", LONG, made("made")).await.unwrap()), "made");
    assert!(!kept.metrics.render().contains("portico_server_cache_failures_total 0"));
    let _redis = Redis::at(port, &[]).await.unwrap();
    eventually("it is used again", async || {
        kept.put("b", LONG).await;
        kept.value("b").await.is_some()
    })
    .await;
}

#[tokio::test]
async fn redis_that_hangs_holds_up_nobody() {
    let kept = Kept::new(In::Redis).await;
    let cache = usual(kept.redis());
    kept.put("a", LONG).await;
    eventually("it is used", async || cache.get("a").await.is_some()).await;
    kept.redis().pause();
    let since = Instant::now();
    for _ in 0..40 {
        let fetched = cache.fetch("a", LONG, made("made")).await.unwrap();
        assert_eq!(text(&fetched), "made");
    }
    // Without a rest after the first failure it would be 250 ms for each of three commands of each.
    assert!(since.elapsed() < Duration::from_secs(20), "{:?} for 40 calls", since.elapsed());
    kept.redis().resume();
    eventually("it is used again", async || cache.get("a").await.is_some()).await;
}

#[tokio::test]
async fn what_could_not_be_removed_is_not_served_and_removed_later() {
    let kept = Kept::new(In::Redis).await;
    for key in ["users/ada", "users/bob", "shops"] {
        kept.put(key, LONG).await;
    }
    let cache = usual(kept.redis());
    kept.redis().pause();
    cache.remove_all("users/").await;
    kept.redis().resume();
    eventually("it answers again", async || cache.get("shops").await.is_some()).await;
    assert!(cache.get("users/ada").await.is_none());
    eventually("it is gone for others, too", async || {
        cache.get("shops").await;
        kept.value("users/bob").await.is_none()
    })
    .await;
}

#[tokio::test]
async fn what_somebody_else_wrote_into_redis_is_a_miss() {
    let kept = Kept::new(In::Redis).await;
    let client = redis::Client::open(kept.redis().url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let _: () =
        redis::cmd("SET").arg("portico:test:a").arg("not ours").query_async(&mut connection).await.unwrap();
    let _: () =
        redis::cmd("LPUSH").arg("portico:test:b").arg("a list").query_async(&mut connection).await.unwrap();
    assert_eq!(kept.value("a").await, None);
    assert_eq!(kept.value("b").await, None);
}

#[test]
fn the_environment_says_where_and_no_password_is_told() {
    let read = |pairs: &[(&str, &str)]| {
        let lookup =
            |name: &str| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        Cache::from_env(&Environment::new(&lookup), "CACHE_MEBIBYTES", "x:", &Metrics::default()).map(drop)
    };
    assert!(read(&[]).is_ok());
    assert!(read(&[("REDIS_URL", "redis://:secret@localhost:6379/0")]).is_ok());
    let error = read(&[("REDIS_URL", "http://:secret@localhost")]).unwrap_err();
    assert!(error.variable == "REDIS_URL" && !error.to_string().contains("secret"), "{error}");
    assert_eq!(read(&[("CACHE_MEBIBYTES", "0")]).unwrap_err().variable, "CACHE_MEBIBYTES");
}

#[tokio::test]
async fn what_redis_refuses_says_nothing_of_what_it_holds() {
    let redis = Redis::start(&[]).await.unwrap();
    let cache = patient(&redis, "portico:test:", &Metrics::default());
    cache.put("a", Bytes::from_static(b"a"), LONG).await;
    let mut connection =
        redis::Client::open(redis.url()).unwrap().get_multiplexed_async_connection().await.unwrap();
    let full = redis::cmd("CONFIG").arg(&["SET", "maxmemory", "1"]).query_async::<()>(&mut connection).await;
    full.unwrap();
    cache.put("b", Bytes::from_static(b"b"), LONG).await;
    assert!(cache.get("b").await.is_none());
    assert!(cache.get("a").await.is_some(), "a full Redis still has what it has");
}
