//! Goods sold by weight: their price is a pound's, and carts count pieces.

use serde_json::{Value, json};

use crate::support::{MILK, World, world};

/// $1.49 a pound on sale where $1.99 is regular; Kroger estimates $0.67 and $0.90 for one.
const APPLES: &str = "0009999041805";

async fn add(world: &World, session: &str, product: &str, quantity: u32) -> Value {
    let add = json!({ "session_id": session, "action": "add", "product_id": product, "quantity": quantity });
    world.ok("manage_cart", add).await
}

#[tokio::test]
async fn a_cart_and_an_order_count_what_kroger_estimates_for_a_piece() {
    let world = world().await;
    let session = world.sign_in("ada").await;
    let cart = add(&world, &session, MILK, 1).await;
    assert_eq!(cart["notes"], json!([]));
    let cart = add(&world, &session, APPLES, 3).await;
    let line = &cart["items"][1];
    assert_eq!(
        (&line["price"]["current"], &line["price"]["unit"], &line["price"]["each_about"]),
        (&json!(1.49), &json!("lb"), &json!(0.67))
    );
    // Three pieces for $2.01 and a milk for $1.59; sales save three times $0.23 and $0.40.
    assert_eq!(
        (&line["line_total"], &cart["estimated_total"], &cart["savings"]),
        (&json!(2.01), &json!(3.6), &json!(1.09))
    );
    assert!(cart["notes"].to_string().contains("estimates for a piece"), "{cart}");
    let mark = json!({ "session_id": session, "action": "mark_ordered" });
    let orders = world.ok("order_history", mark).await;
    let order = &orders["orders"][0];
    assert_eq!((&order["total"], &order["savings"]), (&json!(3.6), &json!(1.09)));
    assert_eq!(
        (&order["items"][0]["estimated"], &order["items"][1]["estimated"], &order["items"][1]["price"]),
        (&json!(false), &json!(true), &json!(0.67))
    );
    assert!(orders["notes"].to_string().contains("estimates for a piece"), "{orders}");
    let text = world.text("order_history", json!({ "session_id": session })).await;
    assert!(text.contains(" about $3.60: "), "{text}");
}

#[tokio::test]
async fn a_weeks_budget_is_compared_with_what_the_pieces_cost() {
    let world = world().await;
    let session = world.sign_in("ada").await;
    let meal = json!({ "session_id": session, "action": "add_meal", "week": "2026-W48", "date": "2026-11-25", "title": "Apples",
        "weekly_budget": 1.4, "ingredients": [{ "text": "fuji apples", "quantity": 2 }] });
    world.ok("meal_planner", meal).await;
    let find = json!({ "session_id": session, "action": "match", "week": "2026-W48" });
    let plan = world.ok("meal_planner", find).await;
    assert_eq!((&plan["estimated_total"], &plan["over_budget"]), (&json!(1.34), &json!(false)), "{plan}");
    assert!(plan["notes"].to_string().contains("estimates for a piece"), "{plan}");
}

#[tokio::test]
async fn a_model_reads_what_the_price_is_for() {
    let world = world().await;
    let session = world.sign_in("ada").await;
    let text = world.text("search_products_advanced", json!({ "query": "fresh bananas" })).await;
    assert!(text.contains("Fresh Bananas, 1 lb: $0.59/lb, about $0.27 each"), "{text}");
    let text = world.text("search_products_advanced", json!({ "query": "fuji apples" })).await;
    assert!(text.contains(": $1.49/lb (regular $1.99/lb), about $0.67 each"), "{text}");
    let made =
        world.ok("shopping_lists", json!({ "session_id": session, "action": "create", "name": "Week" }));
    let list = made.await["lists"][0]["list_id"].clone();
    let add = json!({ "session_id": session, "action": "add_item", "list_id": list, "product_id": APPLES });
    let text = world.text("shopping_lists", add).await;
    assert!(text.contains(" $1.49/lb, about $0.67 each"), "{text}");
}

#[tokio::test]
async fn offers_save_what_a_piece_of_each_saves() {
    let world = world().await;
    let found = world.ok("digital_coupons", json!({ "category": "fuji" })).await;
    assert_eq!(found["offers"].as_array().unwrap().len(), 1, "{found}");
    assert_eq!(found["offered_savings"], json!(0.23));
}
