//! `shopping_lists`.

use std::collections::BTreeSet;

use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{AVOCADO, EGGS, MILK, On, PATIENCE, Plan, World, world};

const LISTS: &str = "shopping_lists";

async fn new_list(world: &World, session: &str, name: &str) -> String {
    let made = world.ok(LISTS, json!({ "session_id": session, "action": "create", "name": name })).await;
    made["lists"][0]["list_id"].as_str().unwrap().to_owned()
}

fn with(session: &str, list: &str, more: impl Into<Value>) -> Value {
    let more: Value = more.into();
    let mut arguments = json!({ "session_id": session, "list_id": list });
    arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    arguments
}

#[rstest]
#[tokio::test]
async fn a_list_is_made_filled_changed_and_deleted(#[values(On::File, On::Postgres)] on: On) {
    let world = World::start(Plan { on, ..Plan::default() }).await;
    let session = world.sign_in("ada").await;
    let list = new_list(&world, &session, "Día 測 👍").await;
    world.ok(LISTS, with(&session, &list, json!({ "action": "add_item", "text": "flowers" }))).await;
    let shown = world
        .ok(LISTS, with(&session, &list, json!({ "action": "add_item", "product_id": MILK, "quantity": 2 })))
        .await;
    let items = &shown["lists"][0]["items"];
    assert_eq!(items[1]["text"], "Kroger 2% Reduced Fat Milk");
    assert_eq!(items[1]["price"]["current"], 1.59);
    let item = items[0]["item_id"].clone();
    let changed = json!({ "action": "update_item", "item_id": item, "checked": true, "text": "tulips" });
    let shown = world.ok(LISTS, with(&session, &list, changed)).await;
    assert_eq!(
        (&shown["lists"][0]["items"][0]["text"], &shown["lists"][0]["items"][0]["checked"]),
        (&json!("tulips"), &json!(true))
    );
    let shown =
        world.ok(LISTS, with(&session, &list, json!({ "action": "remove_item", "item_id": item }))).await;
    assert_eq!(shown["lists"][0]["items"].as_array().unwrap().len(), 1);
    world.ok(LISTS, with(&session, &list, json!({ "action": "rename", "name": "Week" }))).await;
    let text = world.text(LISTS, with(&session, &list, json!({}))).await;
    assert!(text.starts_with("Week [") && text.contains("2 × Kroger 2% Reduced Fat Milk $1.59"), "{text}");
    let left = world.ok(LISTS, with(&session, &list, json!({ "action": "delete" }))).await;
    assert_eq!(left["lists"], json!([]));
}

#[tokio::test]
async fn a_list_belongs_to_its_user() {
    let world = world().await;
    let (ada, bob) = (world.sign_in("ada").await, world.sign_in("bob").await);
    let list = new_list(&world, &ada, "Ada's").await;
    world.fails(LISTS, with(&bob, &list, json!({})), 404).await;
    world.fails(LISTS, with(&bob, &list, json!({ "action": "add_item", "text": "x" })), 404).await;
    world.fails(LISTS, with(&bob, &list, json!({ "action": "delete" })), 404).await;
    assert_eq!(world.ok(LISTS, json!({ "session_id": bob })).await["lists"], json!([]));
    assert_eq!(world.ok(LISTS, json!({ "session_id": ada })).await["lists"][0]["name"], "Ada's");
}

#[tokio::test]
async fn a_list_is_sent_to_the_cart_in_one_call_and_only_once() {
    let world = world().await;
    let session = world.sign_in("ada").await;
    let list = new_list(&world, &session, "Week").await;
    for item in [
        json!({ "product_id": MILK, "quantity": 2 }),
        json!({ "product_id": EGGS }),
        json!({ "text": "flowers" }),
    ] {
        let mut add = with(&session, &list, item);
        add["action"] = json!("add_item");
        world.ok(LISTS, add).await;
    }
    let send = with(&session, &list, json!({ "action": "send_to_cart" }));
    let sent = world.ok(LISTS, send.clone()).await;
    assert_eq!(
        (world.cart_of("ada").await, world.asked("/v1/cart/add").await),
        (json!({ MILK: 2, EGGS: 1 }), 1)
    );
    assert!(sent["notes"][0].as_str().unwrap().starts_with("2 products were sent"), "{sent}");
    world.fails(LISTS, send, 422).await;
    assert_eq!(world.cart_of("ada").await, json!({ MILK: 2, EGGS: 1 }));
}

#[tokio::test]
async fn an_item_that_has_its_products_name_takes_that_of_the_next_product() {
    let world = world().await;
    let session = world.sign_in("ada").await;
    let list = new_list(&world, &session, "Week").await;
    for item in [json!({ "product_id": MILK }), json!({ "product_id": MILK, "text": "for breakfast" })] {
        let mut add = with(&session, &list, item);
        add["action"] = json!("add_item");
        world.ok(LISTS, add).await;
    }
    let shown = world.ok(LISTS, with(&session, &list, json!({}))).await;
    let ids = [0, 1].map(|index| shown["lists"][0]["items"][index]["item_id"].clone());
    let mut texts = Vec::new();
    for id in &ids {
        let change = json!({ "action": "update_item", "item_id": id, "product_id": EGGS });
        let changed = world.ok(LISTS, with(&session, &list, change)).await;
        texts = changed["lists"][0]["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["text"].clone())
            .collect();
    }
    assert_eq!(texts, ["Kroger Grade A Large White Eggs", "for breakfast"]);
    // A text of one's own stays when the product changes again.
    for change in [json!({ "text": "eggs" }), json!({ "product_id": MILK })] {
        let mut change = with(&session, &list, change);
        (change["action"], change["item_id"]) = (json!("update_item"), ids[0].clone());
        let changed = world.ok(LISTS, change).await;
        assert_eq!(changed["lists"][0]["items"][0]["text"], "eggs");
    }
}

/// Kroger lets nobody have more than four of this one.
#[tokio::test]
async fn the_limit_of_a_product_holds_for_all_lines_of_a_list_together() {
    let world = world().await;
    let session = world.sign_in("ada").await;
    let list = new_list(&world, &session, "Week").await;
    for item in [
        json!({ "product_id": AVOCADO, "text": "for the salad", "quantity": 3 }),
        json!({ "product_id": AVOCADO, "text": "for the dip", "quantity": 2 }),
        json!({ "product_id": MILK, "quantity": 1 }),
        json!({ "product_id": MILK, "quantity": 2 }),
    ] {
        let mut add = with(&session, &list, item);
        add["action"] = json!("add_item");
        world.ok(LISTS, add).await;
    }
    let sent = world.ok(LISTS, with(&session, &list, json!({ "action": "send_to_cart" }))).await;
    assert_eq!(world.cart_of("ada").await, json!({ MILK: 3 }));
    assert_eq!(
        sent["notes"][0],
        "1 product was sent to your Kroger cart. Left out: for the salad can be ordered 4 times at most; \
         for the dip can be ordered 4 times at most."
    );
}

#[rstest]
#[case::everybody("false")]
#[case::partner("true")]
#[tokio::test]
async fn the_limit_of_a_product_holds_for_a_list_and_what_was_sent_before_it(#[case] is_partner: &str) {
    let world = World::start(Plan { variables: &[("KROGER_PARTNER", is_partner)], ..Plan::default() }).await;
    world.settings(json!({ "partner": true })).await;
    let session = world.sign_in("ada").await;
    let add = json!({ "session_id": session, "action": "add", "product_id": AVOCADO, "quantity": 3 });
    world.ok("manage_cart", add).await;
    let list = new_list(&world, &session, "Week").await;
    for item in [
        json!({ "action": "add_item", "product_id": AVOCADO, "text": "for the dip", "quantity": 2 }),
        json!({ "action": "add_item", "product_id": MILK }),
    ] {
        world.ok(LISTS, with(&session, &list, item)).await;
    }
    let sent = world.ok(LISTS, with(&session, &list, json!({ "action": "send_to_cart" }))).await;
    assert_eq!(world.cart_of("ada").await, json!({ AVOCADO: 3, MILK: 1 }));
    assert_eq!(
        sent["notes"][0],
        "1 product was sent to your Kroger cart. Left out: for the dip can be ordered 4 times at most, and 3 were sent before."
    );
}

#[tokio::test]
async fn a_list_of_which_nothing_can_be_sent_says_why() {
    let world = world().await;
    let session = world.sign_in("ada").await;
    let list = new_list(&world, &session, "Week").await;
    let add = json!({ "action": "add_item", "product_id": AVOCADO, "text": "for the dip", "quantity": 9 });
    world.ok(LISTS, with(&session, &list, add)).await;
    let problem = world.fails(LISTS, with(&session, &list, json!({ "action": "send_to_cart" })), 422).await;
    let told = problem["detail"].as_str().unwrap();
    assert!(told.contains("for the dip can be ordered 4 times at most"), "{told}");
    let shown = world.ok(LISTS, with(&session, &list, json!({}))).await;
    assert_eq!(shown["lists"][0]["items"][0]["checked"], false);
}

#[tokio::test]
async fn what_kroger_refuses_stays_open_on_the_list() {
    let world = world().await;
    let session = world.sign_in("ada").await;
    let list = new_list(&world, &session, "Week").await;
    world.ok(LISTS, with(&session, &list, json!({ "action": "add_item", "product_id": MILK }))).await;
    world.fault(json!({ "kind": "status", "status": 403, "path": "/v1/cart/add", "times": 1 })).await;
    world.fails(LISTS, with(&session, &list, json!({ "action": "send_to_cart" })), 502).await;
    let shown = world.ok(LISTS, with(&session, &list, json!({}))).await;
    assert_eq!(shown["lists"][0]["items"][0]["checked"], false);
    world.ok(LISTS, with(&session, &list, json!({ "action": "send_to_cart" }))).await;
    assert_eq!(world.cart_of("ada").await, json!({ MILK: 1 }));
}

#[tokio::test]
async fn lists_have_bounds_that_are_told() {
    let world = world().await;
    let session = world.sign_in("ada").await;
    let list = new_list(&world, &session, "Week").await;
    for (more, field) in [
        (json!({ "action": "add_item", "text": "x".repeat(201) }), "text"),
        (json!({ "action": "add_item", "text": "\u{7}" }), "text"),
        (json!({ "action": "add_item", "text": "x", "quantity": 100 }), "quantity"),
        (json!({ "action": "rename", "name": " " }), "name"),
        (json!({ "action": "update_item" }), "item_id"),
        (json!({ "action": "add_item", "product_id": "9999999999999" }), "product_id"),
    ] {
        assert_eq!(world.fails(LISTS, with(&session, &list, more), 400).await["field"], field);
    }
    for number in 1..50 {
        new_list(&world, &session, &number.to_string()).await;
    }
    let problem =
        world.fails(LISTS, json!({ "session_id": session, "action": "create", "name": "51" }), 422).await;
    assert!(problem["detail"].as_str().unwrap().contains("50 already"), "{problem}");
}

#[tokio::test]
async fn devices_and_clients_that_add_at_once_lose_nothing() {
    let world = World::start(Plan { on: On::Postgres, replicas: 2, ..Plan::default() }).await;
    let session = world.sign_in("ada").await;
    let list = new_list(&world, &session, "Week").await;
    let texts: BTreeSet<String> = (0..20).map(|number| format!("item {number}")).collect();
    let adding = texts.iter().enumerate().map(|(number, text)| {
        let mut add = with(&session, &list, json!({ "action": "add_item", "text": text }));
        add["checked"] = json!(false);
        let url = format!("http://{}/tools/{LISTS}", world.servers[number % 2]);
        let http = world.http.clone();
        async move {
            // Who comes too late too often is told, and tries again as a client would.
            loop {
                let status = http.post(&url).json(&add).send().await.unwrap().status().as_u16();
                assert!([200, 422].contains(&status), "{status}");
                if status == 200 {
                    break;
                }
            }
        }
    });
    tokio::time::timeout(PATIENCE, futures::future::join_all(adding)).await.unwrap();
    let shown = world.ok(LISTS, with(&session, &list, json!({}))).await;
    let items = shown["lists"][0]["items"].as_array().unwrap();
    let found: BTreeSet<String> =
        items.iter().map(|item| item["text"].as_str().unwrap().to_owned()).collect();
    assert_eq!((items.len(), found), (texts.len(), texts));
}

#[tokio::test]
async fn who_sends_a_list_at_once_from_two_devices_sends_each_thing_once() {
    let world = World::start(Plan { replicas: 2, ..Plan::default() }).await;
    let session = world.sign_in("ada").await;
    let list = new_list(&world, &session, "Week").await;
    let add = json!({ "action": "add_item", "product_id": MILK, "quantity": 2 });
    world.ok(LISTS, with(&session, &list, add)).await;
    world.fault(json!({ "kind": "delay", "milliseconds": 200, "path": "/v1/products" })).await;
    let send = with(&session, &list, json!({ "action": "send_to_cart" }));
    let sending = world
        .servers
        .iter()
        .map(|server| world.http.post(format!("http://{server}/tools/{LISTS}")).json(&send).send());
    let statuses: Vec<u16> = futures::future::join_all(sending)
        .await
        .into_iter()
        .map(|answer| answer.unwrap().status().as_u16())
        .collect();
    assert!(statuses.contains(&200), "{statuses:?}");
    assert_eq!(world.cart_of("ada").await, json!({ MILK: 2 }), "{statuses:?}");
}

#[tokio::test]
async fn a_sign_in_that_cannot_be_renewed_just_now_leaves_the_list_as_it_was() {
    let world = world().await;
    let session = world.sign_in("ada").await;
    let list = new_list(&world, &session, "Week").await;
    world.ok(LISTS, with(&session, &list, json!({ "action": "add_item", "product_id": MILK }))).await;
    world.switch(reqwest::Method::POST, "tokens/expire", json!({})).await;
    world.fault(json!({ "kind": "status", "status": 503, "path": "/v1/connect/oauth2/token" })).await;
    let (status, _) = world.call(LISTS, with(&session, &list, json!({ "action": "send_to_cart" }))).await;
    assert!(status.is_server_error(), "{status}");
    world.switch(reqwest::Method::DELETE, "faults", json!({})).await;
    let shown = world.ok(LISTS, with(&session, &list, json!({}))).await;
    assert_eq!(shown["lists"][0]["items"][0]["checked"], false, "{shown}");
    assert_eq!(world.cart_of("ada").await, json!({}));
}

#[tokio::test]
async fn a_list_is_sent_the_way_that_the_customer_prefers() {
    let world = world().await;
    let session = world.sign_in("ada").await;
    world.prefers(&session, json!({ "fulfillment": "delivery" })).await;
    let list = new_list(&world, &session, "Week").await;
    world.ok(LISTS, with(&session, &list, json!({ "action": "add_item", "product_id": MILK }))).await;
    world.ok(LISTS, with(&session, &list, json!({ "action": "send_to_cart" }))).await;
    assert_eq!(world.lines_of("ada").await, json!([[MILK, 1, "DELIVERY"]]));
}

/// The stand-in sells some 160 products; a list has room for 200.
#[tokio::test]
async fn a_list_with_more_products_than_an_answer_prices_says_so() {
    let world = world().await;
    let session = world.sign_in("ada").await;
    let list = new_list(&world, &session, "Party").await;
    let catalogue: Vec<Value> =
        serde_json::from_str(include_str!("../../../standins/src/kroger/data/products.json")).unwrap();
    let mut shown = Value::Null;
    for product in &catalogue[..102] {
        let add = json!({ "action": "add_item", "product_id": product["productId"] });
        shown = world.ok(LISTS, with(&session, &list, add)).await;
    }
    let note = "Prices are missing of 2 products: an answer has those of 100, what is not checked first.";
    assert_eq!(shown["notes"], json!([note]));
}
