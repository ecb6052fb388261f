//! What a price was before.

use reqwest::Method;
use rstest::rstest;
use serde_json::json;

use crate::support::{MILK, On, Plan, World};

const SEARCH: &str = "search_products_advanced";

/// The cache would show the old price for five minutes, so another search for the same product is made.
#[rstest]
#[case::remembered(On::File, "false")]
#[case::recorded(On::File, "true")]
#[case::recorded_for_all_replicas(On::Postgres, "true")]
#[tokio::test]
async fn a_price_that_has_fallen_is_told(#[case] on: On, #[case] records: &str) {
    let world =
        World::start(Plan { on, variables: &[("KROGER_RECORD_PRICES", records)], ..Plan::default() }).await;
    let of_milk = |found: &serde_json::Value| {
        let products = found["products"].as_array().unwrap().clone();
        products.into_iter().find(|product| product["product_id"] == MILK).unwrap()
    };
    let first = world.ok(SEARCH, json!({ "query": "reduced fat milk" })).await;
    assert!(of_milk(&first).get("price_change").is_none(), "{first}");
    world.switch(Method::PUT, "prices", json!({ MILK: { "regular": 1.99, "promo": 1.09 } })).await;
    let second = world.ok(SEARCH, json!({ "query": "kroger reduced fat milk" })).await;
    let change = &of_milk(&second)["price_change"];
    if records == "false" {
        assert_eq!((&change["before"], &change["dropped_by"]), (&json!(1.59), &json!(0.5)));
        let text = world.text(SEARCH, json!({ "query": "milk reduced fat kroger" })).await;
        assert!(text.contains("$0.50 less than before"), "{text}");
    } else {
        // Recorded prices are one a day: the last one of today is all that there is of today.
        assert!(change.is_null() || change["before"] == json!(1.59), "{change}");
    }
}

#[tokio::test]
async fn what_is_recorded_outlives_the_process_and_nothing_is_recorded_unasked() {
    for (records, rows) in [("true", true), ("false", false)] {
        let world =
            World::start(Plan { variables: &[("KROGER_RECORD_PRICES", records)], ..Plan::default() }).await;
        world.ok(SEARCH, json!({ "query": "reduced fat milk" })).await;
        let file = format!("sqlite:{}", world.folder.path().join("kroger.db").display());
        sqlx::any::install_default_drivers();
        let pool = sqlx::AnyPool::connect(&file).await.unwrap();
        let count: i64 =
            sqlx::query_scalar("SELECT COUNT(*) FROM kroger_prices").fetch_one(&pool).await.unwrap();
        assert_eq!(count > 0, rows);
    }
}

#[tokio::test]
async fn a_drop_at_the_same_store_is_told_to_who_asked_for_it_and_another_stores_price_is_none() {
    // A second replica has nothing in its cache yet.
    let world = World::start(Plan { replicas: 2, ..Plan::default() }).await;
    let session = world.sign_in("ada").await;
    let made = world
        .ok("shopping_lists", json!({ "session_id": session, "action": "create", "name": "Week" }))
        .await;
    let list = &made["lists"][0]["list_id"];
    let item = json!({ "session_id": session, "action": "add_item", "list_id": list, "product_id": MILK });
    world.ok("shopping_lists", item).await;
    world.switch(Method::PUT, "prices", json!({ MILK: { "regular": 1.99, "promo": 1.09 } })).await;
    let told = async |store: &str| {
        let preferences = json!({ "location_id": store, "notices": { "price_drops": true } });
        let update = json!({ "session_id": session, "action": "update", "preferences": preferences });
        let url = format!("http://{}/tools/user_profile", world.servers[1]);
        let profile: serde_json::Value =
            world.http.post(url).json(&update).send().await.unwrap().json().await.unwrap();
        profile["notices"].to_string()
    };
    assert_eq!(told("01400413").await, "[]");
    let same = told(crate::support::STORE).await;
    assert!(same.contains("$0.50 less than when you put it on your list"), "{same}");
}
