//! `manage_cart`.

use portico_kit::Url;
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{EGGS, MILK, On, PATIENCE, Plan, SLOW, World, world};

const CART: &str = "manage_cart";

fn add(session: &str, product: &str, quantity: u32) -> Value {
    json!({ "session_id": session, "action": "add", "product_id": product, "quantity": quantity })
}

#[rstest]
#[tokio::test]
async fn what_is_added_reaches_the_cart_once_and_is_shown_as_what_was_sent(
    #[values(On::File, On::Postgres)] on: On,
) {
    let world = World::start(Plan { on, ..Plan::default() }).await;
    let session = world.sign_in("ada").await;
    world.ok(CART, add(&session, MILK, 2)).await;
    let cart = world.ok(CART, add(&session, MILK, 1)).await;
    assert_eq!(world.cart_of("ada").await, json!({ MILK: 3 }));
    assert_eq!((&cart["source"], &cart["item_count"]), (&json!("local"), &json!(3)));
    let line = &cart["items"][0];
    assert_eq!((&line["quantity"], &line["state"]), (&json!(3), &json!("sent")));
    // 1.59 on sale where 1.99 is regular.
    assert_eq!(
        (&line["line_total"], &cart["estimated_total"], &cart["savings"]),
        (&json!(4.77), &json!(4.77), &json!(1.2))
    );
    assert!(cart["label"].as_str().unwrap().contains("It is not your cart"), "{cart}");
    assert_eq!((&cart["signed_in"], cart.get("sign_in_url")), (&json!(true), None));
}

#[tokio::test]
async fn an_addition_whose_answer_is_lost_is_not_repeated_and_said_to_be_unknown() {
    let world = world().await;
    let session = world.sign_in("ada").await;
    world.fault(json!({ "kind": "drop", "path": "/v1/cart/add", "times": 1 })).await;
    let problem = world.fails(CART, add(&session, MILK, 1), 504).await;
    assert_eq!(problem["class"], "unknown_outcome");
    assert!(problem["detail"].as_str().unwrap().contains("https://www.kroger.com/cart"), "{problem}");
    assert_eq!((world.asked("/v1/cart/add").await, world.cart_of("ada").await), (1, json!({ MILK: 1 })));
    let cart = world.ok(CART, json!({ "session_id": session })).await;
    assert_eq!(cart["items"][0]["state"], "unknown");
    assert!(cart["notes"].to_string().contains("Kroger gave no answer"), "{cart}");
}

#[rstest]
#[case::slow(json!({ "kind": "late", "milliseconds": 60_000 }), 504)]
#[case::failed(json!({ "kind": "status", "status": 500, "served": true }), 504)]
#[tokio::test]
async fn a_cart_that_fails_after_it_may_have_added_is_not_asked_again(
    #[case] mut fault: Value,
    #[case] status: u16,
) {
    let world = World::start(Plan { attempt: SLOW, ..Plan::default() }).await;
    let session = world.sign_in("ada").await;
    fault["path"] = json!("/v1/cart/add");
    world.fault(fault).await;
    world.fails(CART, add(&session, MILK, 1), status).await;
    assert_eq!(world.asked("/v1/cart/add").await, 1);
}

#[tokio::test]
async fn what_kroger_refuses_leaves_nothing_behind() {
    let world = world().await;
    let session = world.sign_in("ada").await;
    world.fault(json!({ "kind": "status", "status": 400, "path": "/v1/cart/add", "times": 1 })).await;
    world.fails(CART, add(&session, MILK, 1), 502).await;
    let cart = world.ok(CART, json!({ "session_id": session })).await;
    assert_eq!(cart["items"], json!([]));
}

#[rstest]
#[case::no_product(json!({ "action": "add" }), "product_id")]
#[case::short(json!({ "action": "add", "product_id": "12" }), "product_id")]
#[case::unknown(json!({ "action": "add", "product_id": "9999999999999" }), "product_id")]
#[case::none(json!({ "action": "add", "product_id": MILK, "quantity": 0 }), "quantity")]
#[case::many(json!({ "action": "add", "product_id": MILK, "quantity": 100 }), "quantity")]
#[case::negative(json!({ "action": "add", "product_id": MILK, "quantity": -1 }), "quantity")]
#[case::way(json!({ "action": "add", "product_id": MILK, "modality": "DRONE" }), "modality")]
#[case::action(json!({ "action": "steal" }), "action")]
#[case::store(json!({ "location_id": "1" }), "location_id")]
#[tokio::test]
async fn a_wrong_argument_is_named_and_nothing_is_sent(#[case] mut arguments: Value, #[case] field: &str) {
    let world = world().await;
    arguments["session_id"] = json!(world.sign_in("ada").await);
    assert_eq!(world.fails(CART, arguments, 400).await["field"], field);
    assert_eq!(world.asked("/v1/cart/add").await, 0);
}

#[tokio::test]
async fn a_number_is_checked_against_what_kroger_tells_of_the_stock() {
    let world = world().await;
    let session = world.sign_in("ada").await;
    let products = world.ok("search_products_advanced", json!({ "query": "avocado" })).await;
    let avocado = products["products"][0]["product_id"].as_str().unwrap();
    let problem = world.fails(CART, add(&session, avocado, 5), 400).await;
    assert!(problem["detail"].as_str().unwrap().contains("4 times at most"), "{problem}");
    world.ok(CART, add(&session, avocado, 4)).await;
}

#[tokio::test]
async fn a_larger_number_sends_the_difference_and_a_smaller_one_changes_only_the_list_here() {
    let world = world().await;
    let session = world.sign_in("ada").await;
    world.ok(CART, add(&session, MILK, 2)).await;
    let update = |quantity: u32| json!({ "session_id": session, "action": "update", "product_id": MILK, "quantity": quantity });
    world.ok(CART, update(5)).await;
    assert_eq!(world.cart_of("ada").await, json!({ MILK: 5 }));
    let cart = world.ok(CART, update(1)).await;
    assert_eq!((&cart["item_count"], world.cart_of("ada").await), (&json!(1), json!({ MILK: 5 })));
    assert!(cart["notes"].to_string().contains("changed only the list here"), "{cart}");
    let removed =
        world.ok(CART, json!({ "session_id": session, "action": "remove", "product_id": MILK })).await;
    assert_eq!(removed["items"], json!([]));
    world.fails(CART, json!({ "session_id": session, "action": "remove", "product_id": MILK }), 404).await;
    world.ok(CART, add(&session, EGGS, 1)).await;
    assert_eq!(world.ok(CART, json!({ "session_id": session, "action": "clear" })).await["item_count"], 0);
}

#[tokio::test]
async fn who_is_not_known_or_has_a_made_up_session_is_told_where_to_sign_in() {
    let world = world().await;
    for arguments in [json!({}), json!({ "session_id": "x".repeat(43) }), json!({ "session_id": "" })] {
        let problem = world.fails(CART, arguments, 401).await;
        let url = Url::parse(problem["sign_in_url"].as_str().unwrap()).unwrap();
        assert_eq!(url.path(), "/auth/login");
    }
}

#[tokio::test]
async fn an_access_token_that_ends_is_renewed_without_a_word_and_a_revoked_one_asks_for_a_sign_in() {
    let world = world().await;
    let session = world.sign_in("ada").await;
    world.switch(Method::POST, "tokens/expire", json!({})).await;
    world.ok(CART, add(&session, MILK, 1)).await;
    world.switch(Method::POST, "tokens/revoke", json!({})).await;
    let problem = world.fails(CART, add(&session, MILK, 1), 401).await;
    assert!(problem["sign_in_url"].as_str().unwrap().contains("/auth/login"), "{problem}");
    assert_eq!(world.cart_of("ada").await, json!({ MILK: 1 }));
    // Nothing of the user is lost with the link to Kroger.
    let cart = world.ok(CART, json!({ "session_id": session })).await;
    assert_eq!(cart["item_count"], 1);
}

#[tokio::test]
async fn when_the_days_calls_are_used_up_the_cart_says_so_and_nothing_is_pending() {
    let world = World::start(Plan { variables: &[("KROGER_DAILY_CART", "1")], ..Plan::default() }).await;
    let session = world.sign_in("ada").await;
    world.ok(CART, add(&session, MILK, 1)).await;
    let problem = world.fails(CART, add(&session, MILK, 1), 503).await;
    assert_eq!((&problem["class"], &problem["code"]), (&json!("quota"), &json!(-32003)));
    let cart = world.ok(CART, json!({ "session_id": session })).await;
    assert_eq!((&cart["item_count"], &cart["items"][0]["state"]), (&json!(1), &json!("sent")));
}

#[tokio::test]
async fn a_cart_is_shown_without_prices_where_kroger_gives_none() {
    let world = world().await;
    let session = world.sign_in("ada").await;
    world.ok(CART, add(&session, MILK, 1)).await;
    let elsewhere = json!({ "session_id": session, "location_id": "01400413" });
    world.fault(json!({ "kind": "status", "status": 503, "form": "html", "path": "/v1/products" })).await;
    let cart = world.ok(CART, elsewhere).await;
    assert_eq!((&cart["item_count"], &cart["estimated_total"]), (&json!(1), &Value::Null));
    assert!(cart["notes"].to_string().contains("Prices are missing"), "{cart}");
}

#[tokio::test]
async fn with_a_partners_rights_the_cart_itself_is_read_and_changed() {
    let world = World::start(Plan { variables: &[("KROGER_PARTNER", "true")], ..Plan::default() }).await;
    world.settings(json!({ "partner": true })).await;
    let session = world.sign_in("ada").await;
    let empty = world.ok(CART, json!({ "session_id": session })).await;
    assert_eq!((&empty["source"], &empty["items"]), (&json!("partner"), &json!([])));
    world.ok(CART, add(&session, MILK, 2)).await;
    world.ok(CART, add(&session, EGGS, 1)).await;
    assert_eq!(world.cart_of("ada").await, json!({ MILK: 2, EGGS: 1 }));
    let update = json!({ "session_id": session, "action": "update", "product_id": MILK, "quantity": 1 });
    let cart = world.ok(CART, update).await;
    assert_eq!(world.cart_of("ada").await, json!({ MILK: 1, EGGS: 1 }));
    assert_eq!((&cart["item_count"], &cart["items"][0]["line_total"]), (&json!(2), &json!(1.59)));
    world.ok(CART, json!({ "session_id": session, "action": "remove", "product_id": EGGS })).await;
    assert_eq!(world.cart_of("ada").await, json!({ MILK: 1 }));
    world.ok(CART, json!({ "session_id": session, "action": "clear" })).await;
    assert_eq!(world.cart_of("ada").await, json!({}));
}

/// A second program that writes into the file keeps the server from writing for as long as it likes.
async fn hold(database: &sqlx::AnyPool) -> sqlx::pool::PoolConnection<sqlx::Any> {
    let mut held = database.acquire().await.unwrap();
    sqlx::query("BEGIN IMMEDIATE").execute(&mut *held).await.unwrap();
    held
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_addition_that_was_made_and_cannot_be_written_down_is_not_said_to_have_failed() {
    let world = world().await;
    let session = world.sign_in("ada").await;
    sqlx::any::install_default_drivers();
    let url = format!("sqlite:{}", world.folder.path().join("kroger.db").display());
    let database = sqlx::AnyPool::connect(&url).await.unwrap();
    // Where the database is held too late, the addition is simply done, and the next one is tried.
    for number in 1..10 {
        world.fault(json!({ "path": "/v1/cart/", "kind": "late", "milliseconds": 1_500, "times": 1 })).await;
        let watch = async {
            let deadline = tokio::time::Instant::now() + PATIENCE;
            while world.cart_of("ada").await != json!({ MILK: number }) {
                assert!(tokio::time::Instant::now() < deadline, "nothing reaches the cart");
            }
            hold(&database).await
        };
        let ((status, problem), held) = tokio::join!(world.call(CART, add(&session, MILK, 1)), watch);
        drop(held);
        assert_eq!(world.cart_of("ada").await, json!({ MILK: number }));
        if status == 504 && problem["detail"].as_str().unwrap().contains("this server failed afterwards") {
            let cart = world.ok(CART, json!({ "session_id": session })).await;
            let unknown = cart["items"].as_array().unwrap().iter().find(|line| line["state"] == "unknown");
            assert_eq!(unknown.unwrap()["quantity"], 1, "{cart}");
            return;
        }
        assert_ne!(status, 500, "{problem}");
    }
    panic!("the database was never held in time");
}

#[tokio::test]
async fn two_calls_at_once_that_bring_a_product_to_a_number_bring_it_there_once() {
    let world = World::start(Plan { replicas: 2, ..Plan::default() }).await;
    let session = world.sign_in("ada").await;
    world.fault(json!({ "kind": "delay", "milliseconds": 200, "path": "/v1/products" })).await;
    let body = json!({ "product_id": MILK, "quantity": 2 });
    let putting = world
        .servers
        .iter()
        .map(|server| world.http.put(format!("http://{server}/cart/{session}/items")).json(&body).send());
    for answer in futures::future::join_all(putting).await {
        assert_eq!(answer.unwrap().status(), 200);
    }
    assert_eq!(world.cart_of("ada").await, json!({ MILK: 2 }));
}

#[tokio::test]
async fn the_most_of_a_product_holds_for_all_additions_together() {
    let world = world().await;
    let session = world.sign_in("ada").await;
    let products = world.ok("search_products_advanced", json!({ "query": "avocado" })).await;
    let avocado = products["products"][0]["product_id"].as_str().unwrap();
    world.ok(CART, add(&session, avocado, 3)).await;
    assert_eq!(world.fails(CART, add(&session, avocado, 2), 400).await["field"], "quantity");
    let update = |quantity: u32| json!({ "session_id": session, "action": "update", "product_id": avocado, "quantity": quantity });
    world.fails(CART, update(5), 400).await;
    world.ok(CART, update(4)).await;
    assert_eq!(world.cart_of("ada").await, json!({ avocado: 4 }));
}

#[rstest]
#[case::everybody("false")]
#[case::partner("true")]
#[tokio::test]
async fn an_update_without_a_number_changes_nothing(#[case] is_partner: &str) {
    let world = World::start(Plan { variables: &[("KROGER_PARTNER", is_partner)], ..Plan::default() }).await;
    world.settings(json!({ "partner": true })).await;
    let session = world.sign_in("ada").await;
    world.ok(CART, add(&session, MILK, 3)).await;
    let update = json!({ "session_id": session, "action": "update", "product_id": MILK });
    assert_eq!(world.fails(CART, update, 400).await["field"], "quantity");
    let path = world.url(&format!("/cart/{session}/items"));
    let put = world.http.put(path).json(&json!({ "product_id": MILK })).send().await.unwrap();
    assert_eq!(
        (put.status().as_u16(), put.json::<Value>().await.unwrap()["field"].clone()),
        (400, json!("quantity"))
    );
    let cart = world.ok(CART, json!({ "session_id": session })).await;
    assert_eq!((&cart["item_count"], world.cart_of("ada").await), (&json!(3), json!({ MILK: 3 })));
    // What is added is one where nobody says how many.
    world.ok(CART, json!({ "session_id": session, "action": "add", "product_id": MILK })).await;
    assert_eq!(world.cart_of("ada").await, json!({ MILK: 4 }));
}

#[tokio::test]
async fn a_line_of_a_partners_cart_changes_its_way_and_keeps_its_number() {
    let world = World::start(Plan { variables: &[("KROGER_PARTNER", "true")], ..Plan::default() }).await;
    world.settings(json!({ "partner": true })).await;
    let session = world.sign_in("ada").await;
    world.ok(CART, add(&session, MILK, 3)).await;
    let deliver =
        json!({ "session_id": session, "action": "update", "product_id": MILK, "modality": "DELIVERY" });
    world.ok(CART, deliver).await;
    assert_eq!(world.lines_of("ada").await, json!([[MILK, 3, "DELIVERY"]]));
}

#[tokio::test]
async fn what_kroger_ships_stays_shipped_when_it_is_changed_and_ordered_again() {
    let world = World::start(Plan { variables: &[("KROGER_PARTNER", "true")], ..Plan::default() }).await;
    world.settings(json!({ "partner": true })).await;
    let session = world.sign_in("ada").await;
    let items = json!({ "items": [{ "upc": MILK, "quantity": 2, "modality": "SHIP" }] });
    world.switch(Method::PUT, "carts?customer=ada", items).await;
    let mine = |more: Value| {
        let mut arguments = more;
        arguments["session_id"] = json!(session);
        arguments
    };
    let cart = world.ok(CART, mine(json!({}))).await;
    assert_eq!(cart["items"][0]["modality"], "SHIP");
    assert!(world.text(CART, mine(json!({}))).await.contains(", shipped ["));
    world.ok(CART, mine(json!({ "action": "update", "product_id": MILK, "quantity": 3 }))).await;
    assert_eq!(world.lines_of("ada").await, json!([[MILK, 3, "SHIP"]]));
    let orders = world.ok("order_history", mine(json!({ "action": "mark_ordered" }))).await;
    world.ok(CART, mine(json!({ "action": "clear" }))).await;
    let again = json!({ "action": "reorder", "order_id": orders["orders"][0]["order_id"] });
    world.ok("order_history", mine(again)).await;
    assert_eq!(world.lines_of("ada").await, json!([[MILK, 3, "SHIP"]]));
    // It is shown, and nobody may ask for it.
    let ask = mine(json!({ "action": "add", "product_id": MILK, "modality": "SHIP" }));
    assert_eq!(world.fails(CART, ask, 400).await["field"], "modality");
}

#[tokio::test]
async fn a_larger_number_comes_the_way_that_the_product_comes() {
    let world = world().await;
    let session = world.sign_in("ada").await;
    let mut delivered = add(&session, MILK, 1);
    delivered["modality"] = json!("DELIVERY");
    world.ok(CART, delivered).await;
    let update = json!({ "session_id": session, "action": "update", "product_id": MILK, "quantity": 3 });
    let cart = world.ok(CART, update).await;
    assert_eq!(world.lines_of("ada").await, json!([[MILK, 3, "DELIVERY"]]));
    assert_eq!(cart["items"].as_array().unwrap().len(), 1, "{cart}");
    let text = world.text(CART, json!({ "session_id": session })).await;
    assert!(text.contains("3 × Kroger 2% Reduced Fat Milk $4.77, by delivery ["), "{text}");
}

#[tokio::test]
async fn what_is_added_comes_as_the_customer_prefers_unless_the_call_says_how() {
    let world = world().await;
    let session = world.sign_in("ada").await;
    world.prefers(&session, json!({ "fulfillment": "delivery" })).await;
    world.ok(CART, add(&session, MILK, 1)).await;
    let mut fetched = add(&session, EGGS, 1);
    fetched["modality"] = json!("PICKUP");
    world.ok(CART, fetched).await;
    assert_eq!(world.lines_of("ada").await, json!([[MILK, 1, "DELIVERY"], [EGGS, 1, "PICKUP"]]));
    // Kroger's cart has no way for who shops in the store.
    world.prefers(&session, json!({ "fulfillment": "in_store" })).await;
    world.ok(CART, add(&session, EGGS, 1)).await;
    assert_eq!(world.lines_of("ada").await, json!([[MILK, 1, "DELIVERY"], [EGGS, 2, "PICKUP"]]));
}

/// Two of a product by pickup, and two by delivery.
async fn in_two_ways(world: &World, session: &str) {
    for way in ["PICKUP", "DELIVERY"] {
        let mut some = add(session, MILK, 2);
        some["modality"] = json!(way);
        world.ok(CART, some).await;
    }
}

fn ways(cart: &Value) -> Vec<(&str, u64)> {
    let lines = cart["items"].as_array().unwrap().iter();
    lines.map(|line| (line["modality"].as_str().unwrap(), line["quantity"].as_u64().unwrap())).collect()
}

#[tokio::test]
async fn of_a_product_in_two_ways_only_what_was_meant_is_lowered_and_taken_out() {
    let world = world().await;
    let session = world.sign_in("ada").await;
    in_two_ways(&world, &session).await;
    let of = |action: &str, way: &str, quantity: u32| json!({ "session_id": session, "action": action, "product_id": MILK, "modality": way, "quantity": quantity });
    let cart = world.ok(CART, of("update", "PICKUP", 3)).await;
    assert_eq!(ways(&cart), [("PICKUP", 1), ("DELIVERY", 2)]);
    let cart = world.ok(CART, of("update", "PICKUP", 4)).await;
    assert_eq!(ways(&cart), [("PICKUP", 2), ("DELIVERY", 2)]);
    let cart = world.ok(CART, of("remove", "DELIVERY", 1)).await;
    assert_eq!(ways(&cart), [("PICKUP", 2)]);
    world.fails(CART, of("remove", "DELIVERY", 1), 404).await;
    assert_eq!(world.lines_of("ada").await, json!([[MILK, 3, "PICKUP"], [MILK, 2, "DELIVERY"]]));
}

#[tokio::test]
async fn what_may_never_have_reached_the_cart_is_lowered_before_what_did() {
    let world = world().await;
    let session = world.sign_in("ada").await;
    world.fault(json!({ "kind": "drop", "path": "/v1/cart/add", "times": 1 })).await;
    world.fails(CART, add(&session, MILK, 1), 504).await;
    world.ok(CART, add(&session, MILK, 2)).await;
    let update = json!({ "session_id": session, "action": "update", "product_id": MILK, "quantity": 2 });
    let cart = world.ok(CART, update).await;
    assert_eq!(cart["items"].as_array().unwrap().len(), 1, "{cart}");
    assert_eq!((&cart["items"][0]["quantity"], &cart["items"][0]["state"]), (&json!(2), &json!("sent")));
}

#[tokio::test]
async fn a_partners_cart_keeps_the_way_of_a_line_and_changes_none_that_it_cannot_tell_apart() {
    let world = World::start(Plan { variables: &[("KROGER_PARTNER", "true")], ..Plan::default() }).await;
    world.settings(json!({ "partner": true })).await;
    let session = world.sign_in("ada").await;
    let mut delivered = add(&session, MILK, 2);
    delivered["modality"] = json!("DELIVERY");
    world.ok(CART, delivered).await;
    let update = |quantity: u32| json!({ "session_id": session, "action": "update", "product_id": MILK, "quantity": quantity });
    world.ok(CART, update(4)).await;
    assert_eq!(world.lines_of("ada").await, json!([[MILK, 4, "DELIVERY"]]));
    world.ok(CART, add(&session, MILK, 1)).await;
    let mut more = update(6);
    more["modality"] = json!("PICKUP");
    world.ok(CART, more).await;
    let both = json!([[MILK, 4, "DELIVERY"], [MILK, 2, "PICKUP"]]);
    assert_eq!(world.lines_of("ada").await, both);
    let mut remove =
        json!({ "session_id": session, "action": "remove", "product_id": MILK, "modality": "PICKUP" });
    for refused in [update(3), remove.clone()] {
        let problem = world.fails(CART, refused, 422).await;
        assert!(
            problem["detail"].as_str().unwrap().contains("change it at https://www.kroger.com"),
            "{problem}"
        );
    }
    assert_eq!(world.lines_of("ada").await, both);
    remove.as_object_mut().unwrap().remove("modality");
    world.ok(CART, remove).await;
    assert_eq!(world.lines_of("ada").await, json!([]));
}
