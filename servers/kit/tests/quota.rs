//! Daily quotas that replicas share.

mod support;

use std::time::Duration;

use portico_kit::{
    store::{Store, now},
    upstream::{DailyQuota, Taken},
};
use rstest::rstest;

use support::{Database, On, PATIENCE, eventually};

const HOUR: i64 = 3_600_000;

async fn granted(quota: &DailyQuota, times: usize) -> usize {
    let mut granted = 0;
    for _ in 0..times {
        granted += usize::from(matches!(quota.take().await, Taken::Granted { .. }));
    }
    granted
}

/// Moves the window into the past.
async fn pass(store: &Store, milliseconds: i64) {
    let query = sqlx::query("UPDATE kit_quotas SET opened_at = opened_at - $1").bind(milliseconds);
    query.execute(store.write()).await.unwrap();
}

async fn written(store: &Store) -> i64 {
    sqlx::query_scalar::<_, i64>("SELECT used FROM kit_quotas").fetch_one(store.write()).await.unwrap()
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_take_no_more_than_the_allowance_together(#[values(On::File, On::Postgres)] on: On) {
    let database = Database::new(on).await;
    let (one, other) = (database.open(&[]).await.unwrap(), database.open(&[]).await.unwrap());
    let quota = |store| DailyQuota::stored(store, "products", 50).with_patience(PATIENCE);
    let quotas = [quota(&one), quota(&other)];
    let taking = (0..60).map(|number| quotas[number % 2].take());
    let taken = futures::future::join_all(taking).await;
    let granted = taken.iter().filter(|taken| matches!(taken, Taken::Granted { .. })).count();
    assert_eq!(granted, 50);
    let mut numbers: Vec<u64> = taken
        .iter()
        .filter_map(|taken| if let Taken::Granted { used } = taken { Some(*used) } else { None })
        .collect();
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(1..=50), "each is given out once");
    assert_eq!(
        DailyQuota::stored(&one, "stores", 50).with_patience(PATIENCE).take().await,
        Taken::Granted { used: 1 },
        "another is another's"
    );
}

#[rstest]
#[tokio::test]
async fn a_restart_forgets_nothing_and_a_new_day_begins_with_its_first_request(
    #[values(On::Memory, On::File, On::Postgres)] on: On,
) {
    let database = Database::new(on).await;
    let store = database.open(&[]).await.unwrap();
    let quota = || DailyQuota::stored(&store, "products", 3).with_patience(PATIENCE);
    assert_eq!(granted(&quota(), 2).await, 2);
    let restarted = quota();
    assert_eq!(granted(&restarted, 3).await, 1);
    pass(&store, 23 * HOUR).await;
    let Taken::Exhausted(wait) = restarted.take().await else { panic!("none was left") };
    assert!(wait <= Duration::from_hours(1) && wait > Duration::from_mins(59), "{wait:?}");
    assert_eq!(restarted.used(), 3);
    pass(&store, HOUR).await;
    assert_eq!(restarted.take().await, Taken::Granted { used: 1 });
    let opened =
        sqlx::query_scalar::<_, i64>("SELECT opened_at FROM kit_quotas").fetch_one(store.write()).await;
    assert!((opened.unwrap() - now()).abs() < HOUR / 60);
}

/// A window that stays where a wrong clock has put it would be full for a month.
#[rstest]
#[tokio::test]
async fn a_window_that_a_clock_ahead_of_its_time_has_opened_is_over(
    #[values(On::File, On::Postgres)] on: On,
) {
    let database = Database::new(on).await;
    let store = database.open(&[]).await.unwrap();
    let quota = DailyQuota::stored(&store, "products", 3).with_patience(PATIENCE);
    assert_eq!(granted(&quota, 4).await, 3);
    pass(&store, -30 * 24 * HOUR).await;
    assert_eq!(granted(&quota, 4).await, 3);
    let Taken::Exhausted(wait) = quota.take().await else { panic!("some was left") };
    assert!(wait <= Duration::from_hours(24), "{wait:?}");
    // Clocks of replicas may differ by a little.
    pass(&store, -HOUR / 2).await;
    assert_eq!(granted(&quota, 1).await, 0);
}

#[tokio::test]
async fn while_the_database_is_away_it_counts_on_and_adds_up_later() {
    let mut database = Database::new(On::Postgres).await;
    let store = database.open(&[]).await.unwrap();
    let quota = DailyQuota::stored(&store, "products", 10).with_patience(PATIENCE);
    assert_eq!(granted(&quota, 4).await, 4);
    let postgres = database.postgres.as_mut().unwrap();
    postgres.kill();
    assert_eq!(granted(&quota, 9).await, 6, "from the four that it knows of");
    assert!(matches!(quota.take().await, Taken::Exhausted(_)));
    postgres.start_again().await.unwrap();
    eventually("what was taken meanwhile is added", async || {
        quota.take().await;
        written(&store).await == 10
    })
    .await;
    assert!(matches!(quota.take().await, Taken::Exhausted(_)));
    assert_eq!(quota.used(), 10);
}

#[tokio::test]
async fn a_database_that_hangs_holds_up_no_request_for_long() {
    let database = Database::new(On::Postgres).await;
    let store = database.open(&[]).await.unwrap();
    let quota = DailyQuota::stored(&store, "products", 100);
    assert_eq!(granted(&quota, 1).await, 1);
    database.postgres.as_ref().unwrap().pause();
    let since = std::time::Instant::now();
    assert_eq!(granted(&quota, 20).await, 20);
    assert!(since.elapsed() < Duration::from_secs(7), "{:?}", since.elapsed());
    database.postgres.as_ref().unwrap().resume();
}
