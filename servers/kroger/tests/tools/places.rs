//! Stores that Kroger does not have: asked for products there, Kroger finds none and says no more.

use serde_json::{Value, json};

use crate::support::{MILK, Plan, STORE, World, world};

/// Of the right form, and no store.
const NOWHERE: &str = "01499999";

async fn is_refused(world: &World, tool: &str, arguments: Value, field: &str) {
    let problem = world.fails(tool, arguments, 400).await;
    let said = problem["detail"].as_str().unwrap();
    assert!(said.contains(&format!("Kroger has no store {NOWHERE}")), "{tool}: {problem}");
    assert_eq!(problem["field"], field, "{tool}: {problem}");
}

#[tokio::test]
async fn a_store_that_does_not_exist_is_named_where_nothing_is_found_there() {
    let world = world().await;
    let session = world.sign_in("ada").await;
    let search = json!({ "query": "milk", "filters": { "location_id": NOWHERE } });
    is_refused(&world, "search_products_advanced", search, "filters.location_id").await;
    let sorted = json!({ "query": "milk", "sort": "price_low", "filters": { "location_id": NOWHERE } });
    is_refused(&world, "search_products_advanced", sorted, "filters.location_id").await;
    let offers = json!({ "category": "dairy", "location_id": NOWHERE });
    is_refused(&world, "digital_coupons", offers, "location_id").await;
    let add = json!({ "session_id": session, "action": "add", "product_id": MILK, "location_id": NOWHERE });
    is_refused(&world, "manage_cart", add, "location_id").await;
    assert_eq!(world.cart_of("ada").await, json!({}), "nothing was sent");
}

#[tokio::test]
async fn a_store_that_does_not_exist_is_nobodys_preference() {
    let world = world().await;
    let session = world.sign_in("ada").await;
    world.prefers(&session, json!({ "location_id": STORE })).await;
    let update =
        json!({ "session_id": session, "action": "update", "preferences": { "location_id": NOWHERE } });
    is_refused(&world, "user_profile", update, "preferences.location_id").await;
    let profile = world.ok("user_profile", json!({ "session_id": session })).await;
    assert_eq!(profile["preferences"]["location_id"], STORE);
}

#[tokio::test]
async fn a_store_is_believed_where_kroger_cannot_be_asked_about_it() {
    let world = world().await;
    let session = world.sign_in("ada").await;
    world.fault(json!({ "path": "/v1/locations", "kind": "status", "status": 503, "times": 100 })).await;
    let profile = world.prefers(&session, json!({ "location_id": NOWHERE })).await;
    assert_eq!(profile["preferences"]["location_id"], NOWHERE);
    let found = world.ok("search_products_advanced", json!({ "query": "milk", "session_id": session })).await;
    assert_eq!((&found["location_id"], &found["products"]), (&json!(NOWHERE), &json!([])));
}

#[tokio::test]
async fn words_that_no_product_has_are_no_reason_to_doubt_the_store() {
    let world = world().await;
    let found = world.ok("search_products_advanced", json!({ "query": "unobtainium" })).await;
    assert_eq!((&found["location_id"], &found["products"]), (&json!(STORE), &json!([])));
}

/// A replica whose key is another one stands for one that has lost the key.
#[tokio::test]
async fn where_no_key_opens_the_preferences_searches_go_on_and_a_plan_does_not_take_them_for_none() {
    let mut world = world().await;
    let session = world.sign_in("ada").await;
    world.prefers(&session, json!({ "diets": ["nut_free"] })).await;
    let other = world.folder.path().join("other.json");
    let keys = std::fs::read_to_string(world.folder.path().join("keyring.json")).unwrap();
    std::fs::write(&other, keys.replace("k1", "k2").replace("AAEC", "BBEC")).unwrap();
    let variables = [("KROGER_KEYRING_FILE", other.to_str().unwrap())];
    world.serve(Plan { variables: &variables, ..Plan::default() }).await;
    world.servers.swap(0, 1);
    let found = world.ok("search_products_advanced", json!({ "query": "milk", "session_id": session })).await;
    assert!(!found["products"].as_array().unwrap().is_empty(), "{found}");
    let profile = world.ok("user_profile", json!({ "session_id": session })).await;
    assert!(profile["notes"].to_string().contains("key that is not there"), "{profile}");
    let find = json!({ "session_id": session, "action": "match", "week": "2026-W48" });
    world.fails("meal_planner", find, 422).await;
}
