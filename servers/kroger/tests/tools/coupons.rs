//! `digital_coupons`.

use serde_json::json;

use crate::support::{Plan, World, world};

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
    assert_eq!(world.fails(COUPONS, clip, 502).await["class"], "validation");
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
