//! `user_profile`: preferences, export and deletion.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Mutex, Once, PoisonError};
use std::time::Instant;

use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{Era, MILK, On, PATIENCE, Plan, World, call, world};

const PROFILE: &str = "user_profile";

#[tokio::test]
async fn preferences_stay_and_steer_other_tools() {
    let world = world().await;
    let session = world.sign_in("ada").await;
    let update =
        |preferences: Value| json!({ "session_id": session, "action": "update", "preferences": preferences });
    world.ok(PROFILE, update(json!({ "location_id": "01400413", "store_name": "Corner", "household_size": 3, "weekly_budget": 80.5 }))).await;
    let profile =
        world.ok(PROFILE, update(json!({ "household_size": null, "diets": ["vegan", "vegan"] }))).await;
    let preferences = &profile["preferences"];
    assert_eq!(
        (&preferences["location_id"], &preferences["household_size"]),
        (&json!("01400413"), &Value::Null)
    );
    assert_eq!((&preferences["weekly_budget"], &preferences["diets"]), (&json!(80.5), &json!(["vegan"])));
    assert_eq!(
        (&profile["account"], &profile["devices"], &profile["loyalty"]),
        (&json!("linked"), &json!(1), &Value::Null)
    );
    let found = world.ok("search_products_advanced", json!({ "query": "milk", "session_id": session })).await;
    assert_eq!(found["location_id"], "01400413");
}

#[rstest]
#[case(json!({}), "preferences")]
#[case(json!({ "shoe_size": 43 }), "preferences.shoe_size")]
#[case(json!({ "location_id": "1" }), "preferences.location_id")]
#[case(json!({ "diets": ["carnivore"] }), "preferences.diets[0]")]
#[case(json!({ "household_size": 21 }), "preferences.household_size")]
#[case(json!({ "household_size": "three" }), "preferences.household_size")]
#[case(json!({ "weekly_budget": -5 }), "preferences.weekly_budget")]
#[case(json!({ "store_name": "" }), "preferences.store_name")]
#[tokio::test]
async fn a_wrong_preference_is_named(#[case] preferences: Value, #[case] field: &str) {
    let world = world().await;
    let session = world.sign_in("ada").await;
    let update = json!({ "session_id": session, "action": "update", "preferences": preferences });
    assert_eq!(world.fails(PROFILE, update, 400).await["field"], field);
}

#[tokio::test]
async fn a_notice_that_is_switched_leaves_the_others_as_they_are() {
    let world = world().await;
    let session = world.sign_in("ada").await;
    let notices = async |given: Value| {
        world.prefers(&session, json!({ "notices": given })).await["preferences"]["notices"].clone()
    };
    notices(json!({ "coupons": true })).await;
    assert_eq!(
        notices(json!({ "price_drops": true })).await,
        json!({ "coupons": true, "price_drops": true })
    );
    assert_eq!(notices(json!({ "coupons": null })).await, json!({ "coupons": false, "price_drops": true }));
    assert_eq!(notices(Value::Null).await, json!({ "coupons": false, "price_drops": false }));
    let wrong =
        json!({ "session_id": session, "action": "update", "preferences": { "notices": { "rain": true } } });
    assert!(
        world.fails(PROFILE, wrong, 400).await["field"].as_str().unwrap().starts_with("preferences.notices")
    );
}

#[tokio::test]
async fn who_is_not_signed_in_sees_where_to() {
    let world = world().await;
    let profile = world.ok(PROFILE, json!({})).await;
    assert_eq!(profile["signed_in"], false);
    assert!(profile["sign_in_url"].as_str().unwrap().ends_with("/auth/login"), "{profile}");
}

/// Fills every kind of thing that is kept, with words that can be looked for.
async fn live(world: &World, session: &str) {
    world.ok(PROFILE, json!({ "session_id": session, "action": "update", "preferences": { "store_name": "Zanzibar-store" } })).await;
    let list = world
        .ok("shopping_lists", json!({ "session_id": session, "action": "create", "name": "Zanzibar-list" }))
        .await;
    let id = &list["lists"][0]["list_id"];
    world
        .ok(
            "shopping_lists",
            json!({ "session_id": session, "action": "add_item", "list_id": id, "text": "Zanzibar-item" }),
        )
        .await;
    world.ok("manage_cart", json!({ "session_id": session, "action": "add", "product_id": MILK })).await;
    world.ok("order_history", json!({ "session_id": session, "action": "mark_ordered" })).await;
    world.ok("manage_cart", json!({ "session_id": session, "action": "add", "product_id": MILK })).await;
    let meal = json!({ "session_id": session, "action": "add_meal", "date": "2026-11-25", "title": "Zanzibar-meal" });
    world.ok("meal_planner", meal).await;
}

#[tokio::test]
async fn an_export_holds_everything_that_is_kept() {
    let world = world().await;
    let session = world.sign_in("ada").await;
    live(&world, &session).await;
    let export =
        world.ok(PROFILE, json!({ "session_id": session, "action": "export" })).await["export"].to_string();
    for word in ["Zanzibar-store", "Zanzibar-list", "Zanzibar-item", "Zanzibar-meal", MILK, "signed_in"] {
        assert!(export.contains(word), "{word}: {export}");
    }
    assert!(!export.contains(&session), "the session's id stays a secret");
}

/// Every line that is logged while these tests run, of all of them.
static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct Log;

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOG.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Begins to log as much as there is.
fn log_everything() {
    static BEGUN: Once = Once::new();
    BEGUN.call_once(|| {
        let all = tracing_subscriber::fmt().json().with_max_level(tracing::Level::TRACE).with_writer(|| Log);
        all.init();
    });
}

/// What stands in Redis, keys and values.
async fn in_redis(world: &World) -> String {
    let Some(redis) = &world.redis else { return String::new() };
    let mut connection =
        redis::Client::open(redis.url()).unwrap().get_multiplexed_async_connection().await.unwrap();
    let keys: Vec<Vec<u8>> = redis::cmd("KEYS").arg("*").query_async(&mut connection).await.unwrap();
    let mut all = String::new();
    for key in keys {
        let value: redis::Value =
            redis::cmd("GET").arg(&key).query_async(&mut connection).await.unwrap_or(redis::Value::Nil);
        all.push_str(&String::from_utf8_lossy(&key));
        all.extend(format!(" {value:?} ").chars());
    }
    all
}

/// On a busy machine Redis is given up for a moment, and what could not be removed is when it answers again.
async fn until_gone_from_redis(world: &World, told: &[&str]) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        world.ok("search_products_advanced", json!({ "query": "milk" })).await;
        let kept = in_redis(world).await;
        if !kept.is_empty() && !told.iter().any(|told| kept.contains(told)) {
            return;
        }
        assert!(Instant::now() < deadline, "in the cache stands: {kept}");
    }
}

#[rstest]
#[case::file(On::File, false)]
#[case::database_and_redis(On::Postgres, true)]
#[tokio::test]
async fn a_deletion_leaves_no_trace_but_its_record(#[case] on: On, #[case] redis: bool) {
    log_everything();
    let world = World::start(Plan { on, redis, ..Plan::default() }).await;
    let (ada, bob) = (world.sign_in("ada").await, world.sign_in("bob").await);
    live(&world, &ada).await;
    live(&world, &bob).await;
    assert_eq!(
        world.fails(PROFILE, json!({ "session_id": ada, "action": "delete" }), 400).await["field"],
        "confirm"
    );
    let gone = world.ok(PROFILE, json!({ "session_id": ada, "action": "delete", "confirm": true })).await;
    assert_eq!(gone["signed_in"], false);
    assert!(gone["deleted"]["documents"].as_u64() >= Some(5), "{gone}");
    world.fails("shopping_lists", json!({ "session_id": ada }), 401).await;
    let rows = rows(&world).await;
    // What is left is bob's, and of ada the record alone.
    for table in ["kit_documents", "kroger_accounts", "kroger_sessions"] {
        let users: Vec<&str> =
            rows.iter().filter(|(name, _)| *name == table).map(|(_, user)| user.as_str()).collect();
        assert!(!users.is_empty() && users.iter().all(|user| *user == users[0]), "{table}: {users:?}");
    }
    let records = rows.iter().filter(|(name, event)| *name == "kit_audit" && event == "data_deleted").count();
    assert_eq!(records, 1, "{rows:?}");
    let told = ["Zanzibar", ada.as_str(), bob.as_str()];
    if redis {
        until_gone_from_redis(&world, &told).await;
    }
    let log = String::from_utf8_lossy(&LOG.lock().unwrap_or_else(PoisonError::into_inner)).into_owned();
    assert!(log.contains("cart_updated") && log.contains("data_deleted"), "the log is written");
    for told in told {
        assert!(!log.contains(told), "{told} stands in the log");
    }
    assert_eq!(
        world.ok("shopping_lists", json!({ "session_id": bob })).await["lists"][0]["name"],
        "Zanzibar-list"
    );
}

#[rstest]
#[tokio::test]
async fn what_nobody_can_reach_any_more_is_deleted_and_what_somebody_can_stays(
    #[values(On::File, On::Postgres)] on: On,
) {
    let mut world = World::start(Plan { on, ..Plan::default() }).await;
    let (ada, bob) = (world.sign_in("ada").await, world.sign_in("bob").await);
    live(&world, &ada).await;
    live(&world, &bob).await;
    let cookie = format!("portico_session={ada}");
    let out = world.http.post(world.url("/auth/logout")).header("cookie", cookie).send().await.unwrap();
    assert_eq!(out.status(), 200);
    // A server looks when it starts, and every hour.
    world.serve(Plan::default()).await;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let rows = rows(&world).await;
        let users: BTreeSet<&str> = rows
            .iter()
            .filter(|(table, _)| *table == "kit_documents")
            .map(|(_, user)| user.as_str())
            .collect();
        if users.len() == 1 && rows.contains(&("kit_audit", "data_deleted".to_owned())) {
            break;
        }
        assert!(!users.is_empty() && Instant::now() < deadline, "{rows:?}");
        tokio::task::yield_now().await;
    }
    assert_eq!(
        world.ok("shopping_lists", json!({ "session_id": bob })).await["lists"][0]["name"],
        "Zanzibar-list"
    );
}

/// Whose rows there are, and which events.
async fn rows(world: &World) -> Vec<(&'static str, String)> {
    sqlx::any::install_default_drivers();
    let url = match &world.postgres {
        Some(postgres) => postgres.url("postgres"),
        None => format!("sqlite:{}", world.folder.path().join("kroger.db").display()),
    };
    let pool = sqlx::AnyPool::connect(&url).await.unwrap();
    let mut rows = Vec::new();
    for (table, query) in [
        ("kit_documents", "SELECT user_id FROM kit_documents"),
        ("kroger_accounts", "SELECT user_id FROM kroger_accounts"),
        ("kroger_sessions", "SELECT user_id FROM kroger_sessions"),
        ("kit_audit", "SELECT event FROM kit_audit"),
    ] {
        let found: Vec<String> = sqlx::query_scalar(query).fetch_all(&pool).await.unwrap();
        rows.extend(found.into_iter().map(|text| (table, text)));
    }
    rows
}

#[tokio::test]
async fn the_name_of_a_store_does_not_outlive_its_choice() {
    let world = world().await;
    let session = world.sign_in("ada").await;
    world.prefers(&session, json!({ "location_id": "01400413", "store_name": "Corner" })).await;
    let same = world.prefers(&session, json!({ "location_id": "01400413" })).await;
    assert_eq!(same["preferences"]["store_name"], "Corner");
    let other = world.prefers(&session, json!({ "location_id": "01400376" })).await;
    assert_eq!(other["preferences"]["store_name"], Value::Null);
    let named = json!({ "location_id": "01400413", "store_name": "Hill" });
    assert_eq!(world.prefers(&session, named).await["preferences"]["store_name"], "Hill");
}

#[rstest]
#[tokio::test]
async fn every_answer_names_the_language_that_the_user_chose_for_its_page(
    #[values(Era::Legacy, Era::Modern)] era: Era,
) {
    let world = world().await;
    let session = world.sign_in("ada").await;
    let client = world.client(era).await;
    let language = async |tool: &'static str, arguments: Value| {
        let answer = call(&client, tool, arguments).await;
        assert_ne!(answer.is_error, Some(true), "{tool}");
        answer.meta.and_then(|meta| meta.get("portico.dev/locale").cloned())
    };
    let mine = |more: Value| {
        let mut arguments = more;
        arguments["session_id"] = json!(session);
        arguments
    };
    let choose = |locale: Value| mine(json!({ "action": "update", "preferences": { "locale": locale } }));
    assert_eq!(language(PROFILE, choose(json!("de"))).await, Some(json!("de")));
    for (tool, arguments) in [
        ("search_products_advanced", json!({ "query": "milk" })),
        ("manage_cart", json!({})),
        ("digital_coupons", json!({ "category": "milk" })),
        ("order_history", json!({})),
        ("shopping_lists", json!({})),
        ("meal_planner", json!({})),
    ] {
        assert_eq!(language(tool, mine(arguments)).await, Some(json!("de")), "{tool}");
    }
    assert_eq!(
        language("search_products_advanced", json!({ "query": "milk" })).await,
        None,
        "whose page is not known"
    );
    assert_eq!(language(PROFILE, choose(Value::Null)).await, None);
}
