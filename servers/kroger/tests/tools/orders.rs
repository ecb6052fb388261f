//! `order_history`.

use serde_json::{Value, json};

use crate::support::{AVOCADO, EGGS, MILK, Plan, STORE, World, world};

const ORDERS: &str = "order_history";

#[tokio::test]
async fn what_was_sent_becomes_an_order_that_can_be_sent_again() {
    let world = world().await;
    let session = world.sign_in("ada").await;
    world.fails(ORDERS, json!({ "session_id": session, "action": "mark_ordered" }), 422).await;
    world
        .ok(
            "manage_cart",
            json!({ "session_id": session, "action": "add", "product_id": MILK, "quantity": 2 }),
        )
        .await;
    let orders = world.ok(ORDERS, json!({ "session_id": session, "action": "mark_ordered" })).await;
    let order = &orders["orders"][0];
    assert_eq!(
        (&order["total"], &order["savings"], &orders["total_savings"]),
        (&json!(3.18), &json!(0.8), &json!(0.8))
    );
    assert_eq!((&order["state"], &orders["source"]), (&json!("marked_as_ordered"), &json!("local")));
    assert!(orders["notes"][0].as_str().unwrap().contains("Kroger shows no orders"), "{orders}");
    // What was ordered is no longer what is in the cart.
    assert_eq!(world.ok("manage_cart", json!({ "session_id": session })).await["item_count"], 0);
    let again = json!({ "session_id": session, "action": "reorder", "order_id": order["order_id"] });
    let orders = world.ok(ORDERS, again).await;
    assert_eq!(world.cart_of("ada").await, json!({ MILK: 4 }));
    let events = orders["orders"][0]["events"].as_array().unwrap();
    let kinds: Vec<&Value> = events.iter().map(|event| &event["kind"]).collect();
    assert_eq!(kinds, ["marked", "reordered"]);
    let forget = json!({ "session_id": session, "action": "forget", "order_id": order["order_id"] });
    assert_eq!(world.ok(ORDERS, forget.clone()).await["orders"], json!([]));
    world.fails(ORDERS, forget, 404).await;
}

#[tokio::test]
async fn the_limit_of_a_product_holds_for_an_order_that_is_sent_again_and_what_was_sent_since() {
    let world = world().await;
    let session = world.sign_in("ada").await;
    let add = json!({ "session_id": session, "action": "add", "product_id": AVOCADO, "quantity": 3 });
    world.ok("manage_cart", add.clone()).await;
    let orders = world.ok(ORDERS, json!({ "session_id": session, "action": "mark_ordered" })).await;
    world.ok("manage_cart", add).await;
    let again =
        json!({ "session_id": session, "action": "reorder", "order_id": orders["orders"][0]["order_id"] });
    let problem = world.fails(ORDERS, again, 422).await;
    assert!(
        problem["detail"].as_str().unwrap().contains("4 times at most, and 3 were sent before"),
        "{problem}"
    );
    assert_eq!(world.asked("/v1/cart/add").await, 2);
}

#[tokio::test]
async fn an_order_has_the_prices_of_the_store_where_its_goods_were_looked_at() {
    let world = World::start(Plan { variables: &[("KROGER_LOCATION_ID", "")], ..Plan::default() }).await;
    let session = world.sign_in("ada").await;
    let mine = |more: Value| {
        let mut arguments = more;
        arguments["session_id"] = json!(session);
        arguments
    };
    let add = |product: &str| mine(json!({ "action": "add", "product_id": product, "quantity": 2 }));
    let mut at_store = add(MILK);
    at_store["location_id"] = json!(STORE);
    world.ok("manage_cart", at_store).await;
    let orders = world.ok(ORDERS, mine(json!({ "action": "mark_ordered" }))).await;
    assert_eq!(orders["orders"][0]["total"], 3.18, "{orders}");
    // Where no store is known, the one of the call.
    world.ok("manage_cart", add(EGGS)).await;
    let marked = json!({ "action": "mark_ordered", "location_id": STORE });
    let orders = world.ok(ORDERS, mine(marked)).await;
    assert_eq!(orders["orders"][0]["total"], 4.58, "{orders}");
    world.ok("manage_cart", add(EGGS)).await;
    let orders = world.ok(ORDERS, mine(json!({ "action": "mark_ordered" }))).await;
    assert_eq!(orders["orders"][0]["total"], Value::Null);
    assert!(orders["notes"].to_string().contains("no store is known"), "{orders}");
    let wrong = json!({ "action": "mark_ordered", "location_id": "x" });
    assert_eq!(world.fails(ORDERS, mine(wrong), 400).await["field"], "location_id");
}

#[tokio::test]
async fn an_order_whose_prices_cannot_be_had_says_so() {
    let world = world().await;
    let session = world.sign_in("ada").await;
    world.ok("manage_cart", json!({ "session_id": session, "action": "add", "product_id": MILK })).await;
    world.fault(json!({ "kind": "status", "status": 503, "path": "/v1/products" })).await;
    let marked = json!({ "session_id": session, "action": "mark_ordered", "location_id": "01400413" });
    let orders = world.ok(ORDERS, marked).await;
    assert_eq!(orders["orders"][0]["total"], Value::Null);
    assert!(orders["notes"].to_string().contains("Prices are missing"), "{orders}");
}

#[tokio::test]
async fn an_addition_that_may_never_have_been_made_is_no_order() {
    let world = world().await;
    let session = world.sign_in("ada").await;
    world.fault(json!({ "kind": "drop", "path": "/v1/cart/add", "times": 1 })).await;
    world
        .fails("manage_cart", json!({ "session_id": session, "action": "add", "product_id": MILK }), 504)
        .await;
    world.fails(ORDERS, json!({ "session_id": session, "action": "mark_ordered" }), 422).await;
    assert_eq!(
        world.ok("manage_cart", json!({ "session_id": session })).await["items"][0]["state"],
        "unknown"
    );
}

#[tokio::test]
async fn what_the_shop_does_is_counted_and_tells_of_nobody() {
    let world = world().await;
    let session = world.sign_in("ada").await;
    world
        .ok(
            "manage_cart",
            json!({ "session_id": session, "action": "add", "product_id": MILK, "quantity": 3 }),
        )
        .await;
    world.ok(ORDERS, json!({ "session_id": session, "action": "mark_ordered" })).await;
    world.fault(json!({ "kind": "drop", "path": "/v1/cart/add", "times": 1 })).await;
    world
        .fails("manage_cart", json!({ "session_id": session, "action": "add", "product_id": MILK }), 504)
        .await;
    let metrics = world.http.get(world.url("/metrics")).send().await.unwrap().text().await.unwrap();
    for line in [
        "portico_server_kroger_cart_items_total 3",
        "portico_server_kroger_cart_unknown_total 1",
        "portico_server_kroger_orders_marked_total 1",
        "portico_server_kroger_saved_cents_total 120",
        "portico_server_upstream_quota_used{quota=\"cart\"} 2",
        "portico_server_upstream_quota_limit{quota=\"cart\"} 5000",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line}: {metrics}");
    }
    assert!(!metrics.contains(&session) && !metrics.contains("ada"), "{metrics}");
}

#[tokio::test]
async fn of_one_product_what_was_sent_is_ordered_and_what_is_unknown_stays() {
    let world = world().await;
    let session = world.sign_in("ada").await;
    let add = json!({ "session_id": session, "action": "add", "product_id": MILK });
    world.ok("manage_cart", add.clone()).await;
    world.fault(json!({ "kind": "drop", "path": "/v1/cart/add", "times": 1 })).await;
    world.fails("manage_cart", add, 504).await;
    let marking = || world.call(ORDERS, json!({ "session_id": session, "action": "mark_ordered" }));
    let statuses = futures::future::join(marking(), marking()).await;
    let mut statuses = [statuses.0.0.as_u16(), statuses.1.0.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 422], "two at once make one order");
    let orders = world.ok(ORDERS, json!({ "session_id": session })).await;
    assert_eq!(orders["orders"].as_array().unwrap().len(), 1);
    assert_eq!(orders["orders"][0]["items"][0]["quantity"], 1);
    let cart = world.ok("manage_cart", json!({ "session_id": session })).await;
    assert_eq!((&cart["item_count"], &cart["items"][0]["state"]), (&json!(1), &json!("unknown")));
}

#[tokio::test]
async fn a_partners_cart_is_marked_once_and_an_empty_one_is_said_to_be_empty() {
    let world = World::start(Plan { variables: &[("KROGER_PARTNER", "true")], ..Plan::default() }).await;
    world.settings(json!({ "partner": true })).await;
    let session = world.sign_in("ada").await;
    let mark = json!({ "session_id": session, "action": "mark_ordered" });
    let problem = world.fails(ORDERS, mark.clone(), 422).await;
    assert!(problem["detail"].as_str().unwrap().contains("your cart at Kroger is empty"), "{problem}");
    let add = |product: &str| json!({ "session_id": session, "action": "add", "product_id": product });
    world.ok("manage_cart", add(MILK)).await;
    let marking = || world.call(ORDERS, mark.clone());
    let statuses = futures::future::join(marking(), marking()).await;
    let mut statuses = [statuses.0.0.as_u16(), statuses.1.0.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 422], "two at once make one order");
    let problem = world.fails(ORDERS, mark.clone(), 422).await;
    assert!(problem["detail"].as_str().unwrap().contains("marked as ordered already"), "{problem}");
    let orders = world.ok(ORDERS, json!({ "session_id": session })).await;
    assert_eq!((&orders["total"], &orders["total_savings"]), (&json!(1), &json!(0.4)));
    // Another cart is another order.
    world.ok("manage_cart", add(EGGS)).await;
    let orders = world.ok(ORDERS, mark.clone()).await;
    assert_eq!(orders["total"], 2);
    let forget =
        json!({ "session_id": session, "action": "forget", "order_id": orders["orders"][0]["order_id"] });
    world.ok(ORDERS, forget).await;
    assert_eq!(world.ok(ORDERS, mark).await["total"], 2);
}

#[tokio::test]
async fn who_sees_some_of_the_orders_is_told_how_many_there_are() {
    let world = world().await;
    let session = world.sign_in("ada").await;
    for _ in 0..2 {
        world.ok("manage_cart", json!({ "session_id": session, "action": "add", "product_id": MILK })).await;
        world.ok(ORDERS, json!({ "session_id": session, "action": "mark_ordered" })).await;
    }
    let some = json!({ "session_id": session, "limit": 1 });
    let orders = world.ok(ORDERS, some.clone()).await;
    assert_eq!((orders["orders"].as_array().unwrap().len(), &orders["total"]), (1, &json!(2)));
    let text = world.text(ORDERS, some).await;
    assert!(text.contains("The last 1 of 2 orders"), "{text}");
    let text = world.text(ORDERS, json!({ "session_id": session })).await;
    assert!(!text.contains(" of 2 orders"), "{text}");
}
