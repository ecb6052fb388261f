//! `digital_coupons`.

use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{EGGS, MILK, Plan, World, eventually, world};

const COUPONS: &str = "digital_coupons";

#[tokio::test]
async fn without_a_partners_rights_there_are_products_on_sale_and_nothing_to_clip() {
    let world = world().await;
    let found = world.ok(COUPONS, json!({ "category": "milk" })).await;
    assert_eq!(
        (&found["source"], &found["can_clip"], &found["coupons"]),
        (&json!("offers"), &json!(false), &json!([]))
    );
    let offers = found["offers"].as_array().unwrap();
    assert!(!offers.is_empty());
    let savings: Vec<f64> = offers.iter().map(|offer| offer["price"]["savings"].as_f64().unwrap()).collect();
    assert!(savings.iter().all(|saving| *saving > 0.0) && savings.is_sorted_by(|a, b| a >= b), "{savings:?}");
    let problem = world.fails(COUPONS, json!({ "action": "clip", "coupon_id": "c1" }), 422).await;
    assert!(problem["detail"].as_str().unwrap().contains("public API has no coupons"), "{problem}");
    assert_eq!(world.fails(COUPONS, json!({}), 400).await["field"], "category");
}

#[tokio::test]
async fn with_them_coupons_are_shown_by_their_end_and_clipped_once() {
    let world = World::start(Plan { variables: &[("KROGER_PARTNER", "true")], ..Plan::default() }).await;
    world.settings(json!({ "partner": true })).await;
    let session = world.sign_in("ada").await;
    let found = world.ok(COUPONS, json!({ "session_id": session })).await;
    let days: Vec<i64> = found["coupons"]
        .as_array()
        .unwrap()
        .iter()
        .map(|coupon| coupon["days_left"].as_i64().unwrap())
        .collect();
    assert!(days.len() > 3 && days.is_sorted(), "{days:?}");
    let open = found["coupons"]
        .as_array()
        .unwrap()
        .iter()
        .find(|coupon| coupon["days_left"].as_i64() > Some(0))
        .unwrap();
    let clip = json!({ "session_id": session, "action": "clip", "coupon_id": open["coupon_id"] });
    let clipped = world.ok(COUPONS, clip.clone()).await;
    let of = |id: &serde_json::Value| {
        clipped["coupons"]
            .as_array()
            .unwrap()
            .iter()
            .find(|coupon| &coupon["coupon_id"] == id)
            .unwrap()
            .clone()
    };
    assert_eq!(of(&open["coupon_id"])["clipped"], true);
    let again = world.ok(COUPONS, clip).await;
    assert_eq!(again["notes"], json!(["This coupon is clipped already."]));
    world.fails(COUPONS, json!({ "session_id": session, "action": "clip", "coupon_id": "none" }), 404).await;
    world.fails(COUPONS, json!({}), 401).await;
}

#[tokio::test]
async fn who_asked_for_it_is_told_of_coupons_that_end_soon() {
    let world = World::start(Plan { variables: &[("KROGER_PARTNER", "true")], ..Plan::default() }).await;
    world.settings(json!({ "partner": true })).await;
    let session = world.sign_in("ada").await;
    let wish = json!({ "session_id": session, "action": "update", "preferences": { "notices": { "coupons": true } } });
    let profile = world.ok("user_profile", wish).await;
    let notices = profile["notices"].as_array().unwrap();
    assert!(
        !notices.is_empty() && notices.iter().all(|notice| notice.as_str().unwrap().contains(" ends ")),
        "{profile}"
    );
}

async fn partner() -> World {
    let world = World::start(Plan { variables: &[("KROGER_PARTNER", "true")], ..Plan::default() }).await;
    world.settings(json!({ "partner": true })).await;
    world
}

#[tokio::test]
async fn a_clip_whose_answer_was_lost_ends_as_clipped() {
    let world = partner().await;
    let session = world.sign_in("ada").await;
    let clip = json!({ "session_id": session, "action": "clip", "coupon_id": "800000000002" });
    world.fault(json!({ "kind": "drop", "path": "/v1/coupons/", "times": 1 })).await;
    let clipped = world.ok(COUPONS, clip.clone()).await;
    let coupons = clipped["coupons"].as_array().unwrap();
    let coupon = coupons.iter().find(|coupon| coupon["coupon_id"] == "800000000002").unwrap();
    assert_eq!(coupon["clipped"], true);
    // A conflict about a coupon that is not clipped stays one.
    world.fault(json!({ "kind": "status", "status": 409, "path": "/v1/coupons/", "times": 1 })).await;
    let other = json!({ "session_id": session, "action": "clip", "coupon_id": "800000000004" });
    assert_eq!(world.fails(COUPONS, other, 502).await["class"], "validation");
}

#[rstest]
#[case::several_pages(60, 75, 2)]
#[case::whole_pages(85, 100, 2)]
#[case::too_many(600, 500, 10)]
#[tokio::test]
async fn all_pages_of_coupons_are_read_within_a_bound(
    #[case] more: usize,
    #[case] shown: usize,
    #[case] asked: u64,
) {
    let world = partner().await;
    world.settings(json!({ "more_coupons": more })).await;
    let session = world.sign_in("ada").await;
    let found = world.ok(COUPONS, json!({ "session_id": session })).await;
    let ids: std::collections::HashSet<String> =
        found["coupons"].as_array().unwrap().iter().map(|coupon| coupon["coupon_id"].to_string()).collect();
    assert_eq!((ids.len(), world.asked("/v1/coupons").await), (shown, asked));
    let text = world.text(COUPONS, json!({ "session_id": session })).await;
    assert!(text.contains(&format!("\n{} more end later", shown - 50)), "{text}");
}

#[rstest]
#[case::everybody("false")]
#[case::partner("true")]
#[tokio::test]
async fn who_asked_for_it_is_told_of_sales_on_open_items_of_lists_that_end_soon(#[case] is_partner: &str) {
    let world = World::start(Plan { variables: &[("KROGER_PARTNER", is_partner)], ..Plan::default() }).await;
    world.settings(json!({ "partner": true })).await;
    let session = world.sign_in("ada").await;
    let in_hours = |hours| jiff::Timestamp::now() + jiff::SignedDuration::from_hours(hours);
    let butter = "0009999041756";
    let prices = json!({
        MILK: { "regular": 1.99, "promo": 1.09, "ends": in_hours(30) },
        EGGS: { "regular": 2.99, "promo": 2.09, "ends": in_hours(240) },
        butter: { "regular": 3.99, "promo": 3.09, "ends": in_hours(30) },
    });
    world.switch(reqwest::Method::PUT, "prices", prices).await;
    let made = world
        .ok("shopping_lists", json!({ "session_id": session, "action": "create", "name": "Week" }))
        .await;
    let list = &made["lists"][0]["list_id"];
    for (product, checked) in [(MILK, false), (MILK, false), (EGGS, false), (butter, true)] {
        let item = json!({ "session_id": session, "action": "add_item", "list_id": list, "product_id": product,
            "checked": checked });
        world.ok("shopping_lists", item).await;
    }
    let wish = json!({ "session_id": session, "action": "update", "preferences": { "notices": { "coupons": true } } });
    let profile = world.ok("user_profile", wish).await;
    let of_sales = |notice: &&Value| notice.as_str().unwrap().starts_with("The sale of ");
    let sales: Vec<&Value> = profile["notices"].as_array().unwrap().iter().filter(of_sales).collect();
    assert_eq!(sales.len(), 1, "{profile}");
    let told = sales[0].as_str().unwrap();
    // Thirty hours from now it is tomorrow or the day after, wherever the store is.
    assert!(told.starts_with("The sale of Kroger 2% Reduced Fat Milk at $1.09 ends "), "{told}");
    assert!(told.ends_with(" tomorrow.") || told.ends_with(" in 2 days."), "{told}");
}

/// Five in the morning by UTC is midnight in Cincinnati, where the store is: the day that ends there is the one before.
#[tokio::test]
async fn the_last_day_of_a_sale_and_of_a_coupon_is_one_of_the_stores_calendar() {
    let world = world().await;
    let prices = json!({ MILK: { "regular": 1.99, "promo": 1.09, "ends": "2099-01-10T05:00:00Z" } });
    world.switch(reqwest::Method::PUT, "prices", prices).await;
    let of_milk = |products: &Value| {
        let products = products.as_array().unwrap();
        products.iter().find(|product| product["product_id"] == MILK).unwrap()["price"].clone()
    };
    // Where the store's clock takes over a second it is left out, and known the next time.
    let search = async || world.ok("search_products_advanced", json!({ "query": "reduced fat milk" })).await;
    eventually("a last day", async || !of_milk(&search().await["products"])["sale_last_day"].is_null()).await;
    let found = search().await;
    let price = of_milk(&found["products"]);
    assert_eq!(
        (&price["sale_ends_at"], &price["sale_last_day"]),
        (&json!("2099-01-10T05:00:00Z"), &json!("2099-01-09"))
    );
    let offers = world.ok(COUPONS, json!({ "category": "milk" })).await;
    assert_eq!(of_milk(&offers["offers"])["sale_last_day"], "2099-01-09");
    let partner = partner().await;
    let session = partner.sign_in("ada").await;
    let found = partner.ok(COUPONS, json!({ "session_id": session })).await;
    let zone = jiff::tz::TimeZone::get("America/New_York").unwrap();
    for coupon in found["coupons"].as_array().unwrap() {
        let end: jiff::Timestamp = coupon["expires_at"].as_str().unwrap().parse().unwrap();
        let last = (end - jiff::SignedDuration::from_nanos(1)).to_zoned(zone.clone()).date().to_string();
        assert_eq!(coupon["last_day"], last, "{coupon}");
    }
}

#[tokio::test]
async fn where_the_clock_of_the_store_cannot_be_had_no_last_day_is_told() {
    let world = world().await;
    world.fault(json!({ "kind": "delay", "milliseconds": 60_000, "path": "/v1/locations" })).await;
    let prices = json!({ MILK: { "regular": 1.99, "promo": 1.09, "ends": "2099-01-10T05:00:00Z" } });
    world.switch(reqwest::Method::PUT, "prices", prices).await;
    let found = world.ok("search_products_advanced", json!({ "query": "reduced fat milk" })).await;
    let price = &found["products"][0]["price"];
    assert_eq!((&price["sale_ends_at"], price.get("sale_last_day")), (&json!("2099-01-10T05:00:00Z"), None));
}
