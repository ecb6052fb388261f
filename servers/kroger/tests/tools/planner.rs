//! `meal_planner`.

use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{On, Plan, World, world};

const PLANNER: &str = "meal_planner";
const WEEK: &str = "2026-W48";

fn meal(session: &str, title: &str, ingredients: &[&str]) -> Value {
    let ingredients: Vec<Value> = ingredients.iter().map(|text| json!({ "text": text })).collect();
    json!({ "session_id": session, "action": "add_meal", "week": WEEK, "date": "2026-11-25", "slot": "dinner", "title": title,
        "servings": 4, "ingredients": ingredients })
}

fn of(session: &str, action: &str) -> Value {
    json!({ "session_id": session, "action": action, "week": WEEK })
}

fn ingredients(plan: &Value) -> Vec<Value> {
    let meals = plan["days"].as_array().unwrap().iter().flat_map(|day| day["meals"].as_array().unwrap());
    meals.flat_map(|meal| meal["ingredients"].as_array().unwrap().clone()).collect()
}

#[rstest]
#[tokio::test]
async fn a_week_is_planned_matched_and_sent_in_one_step(#[values(On::File, On::Postgres)] on: On) {
    let world = World::start(Plan { on, ..Plan::default() }).await;
    let session = world.sign_in("ada").await;
    world.ok(PLANNER, meal(&session, "Pasta", &["spaghetti", "2 cloves garlic", "unicorn horn"])).await;
    world.ok(PLANNER, meal(&session, "Salad", &["grape tomatoes"])).await;
    let plan = world.ok(PLANNER, of(&session, "match")).await;
    let states: Vec<(String, String)> = ingredients(&plan)
        .iter()
        .map(|ingredient| {
            (
                ingredient["state"].as_str().unwrap().to_owned(),
                ingredient["product"]["name"].as_str().unwrap_or("-").to_owned(),
            )
        })
        .collect();
    let expected = [
        ("matched", "Kroger Spaghetti Pasta"),
        ("matched", "Garlic Bulb"),
        ("no_match", "-"),
        ("matched", "Grape Tomatoes"),
    ];
    assert_eq!(states, expected.map(|(state, name)| (state.to_owned(), name.to_owned())));
    assert_eq!((&plan["starts_on"], &plan["days"].as_array().unwrap().len()), (&json!("2026-11-23"), &7));
    let prices: f64 = ingredients(&plan)
        .iter()
        .filter_map(|ingredient| ingredient["product"]["price"]["current"].as_f64())
        .sum();
    assert!((plan["estimated_total"].as_f64().unwrap() - prices).abs() < 0.001, "{plan}");
    let sent = world.ok(PLANNER, of(&session, "send_to_cart")).await;
    assert!(sent["notes"].to_string().contains("3 products were sent"), "{sent}");
    assert_eq!(
        (world.asked("/v1/cart/add").await, world.cart_of("ada").await.as_object().unwrap().len()),
        (1, 3)
    );
    // A second time there is nothing left to send.
    world.fails(PLANNER, of(&session, "send_to_cart"), 422).await;
    assert_eq!(world.asked("/v1/cart/add").await, 1);
}

#[rstest]
#[case::vegan("vegan", "chicken breasts", "excluded")]
#[case::vegan_milk("vegan", "firm tofu", "matched")]
#[case::gluten("gluten_free", "white bread", "matched")]
#[case::organic("organic", "garlic", "matched")]
#[tokio::test]
async fn diets_leave_out_what_does_not_fit(
    #[case] diet: &str,
    #[case] ingredient: &str,
    #[case] state: &str,
) {
    let world = world().await;
    let session = world.sign_in("ada").await;
    let preferences =
        json!({ "session_id": session, "action": "update", "preferences": { "diets": [diet] } });
    world.ok("user_profile", preferences).await;
    world.ok(PLANNER, meal(&session, "Dinner", &[ingredient])).await;
    let plan = world.ok(PLANNER, of(&session, "match")).await;
    let found = &ingredients(&plan)[0];
    assert_eq!(found["state"], state, "{found}");
    let name = found["product"]["name"].as_str().unwrap_or_default();
    match diet {
        "gluten_free" => assert!(name.contains("Gluten Free"), "{name}"),
        "organic" => assert!(name.contains("Organic"), "{name}"),
        _ => {}
    }
    assert!(plan["notes"].to_string().contains("Read the label"), "{plan}");
}

/// The stand-in finds something for each of them, and has none of them, or none in stock.
#[tokio::test]
async fn goods_that_were_not_asked_for_are_not_matched_and_not_sent() {
    let world = world().await;
    let session = world.sign_in("ada").await;
    let wanted = [
        "ham",
        "ice",
        "sage",
        "cola",
        "rum",
        "gin",
        "flour tortillas",
        "olive oil",
        "russet potatoes",
        "ground cinnamon",
        "brown sugar",
    ];
    world.ok(PLANNER, meal(&session, "Feast", &wanted)).await;
    let plan = world.ok(PLANNER, of(&session, "match")).await;
    for found in ingredients(&plan) {
        assert_eq!((&found["state"], &found["product"]), (&json!("no_match"), &Value::Null), "{found}");
    }
    let reason = |index: usize| ingredients(&plan)[index]["reason"].as_str().unwrap().to_owned();
    assert_eq!(reason(6), "Kroger Flour Tortillas is out of stock at this store for now");
    let code = |index: usize| ingredients(&plan)[index]["reason_code"].clone();
    let named = |index: usize| ingredients(&plan)[index]["reason_products"].clone();
    assert_eq!((code(6), named(6)), (json!("unavailable"), json!(["Kroger Flour Tortillas"])));
    assert_eq!((code(9), named(9).as_array().unwrap().len()), (json!("only_similar"), 3));
    assert!(reason(9).starts_with("was not found at this store; similar: "), "{}", reason(9));
    world.fails(PLANNER, of(&session, "send_to_cart"), 422).await;
    assert_eq!(world.asked("/v1/cart/add").await, 0);
}

#[rstest]
#[case("milk", "Kroger 2% Reduced Fat Milk")]
#[case("6 large eggs", "Kroger Grade A Large White Eggs")]
#[case("chicken breast", "Kroger Boneless Skinless Chicken Breasts")]
#[case("2 cups flour", "Kroger All Purpose Flour")]
#[case("butter", "Kroger Salted Butter Sticks")]
#[tokio::test]
async fn what_was_asked_for_is_matched_in_its_plain_kind(#[case] text: &str, #[case] name: &str) {
    let world = world().await;
    let session = world.sign_in("ada").await;
    world.ok(PLANNER, meal(&session, "Feast", &[text])).await;
    let plan = world.ok(PLANNER, of(&session, "match")).await;
    assert_eq!(ingredients(&plan)[0]["product"]["name"], name, "{plan}");
}

#[tokio::test]
async fn a_budget_is_compared_with_what_the_products_cost() {
    let world = world().await;
    let session = world.sign_in("ada").await;
    let mut add = meal(&session, "Feast", &["ribeye steak"]);
    add["weekly_budget"] = json!(5.5);
    world.ok(PLANNER, add).await;
    let plan = world.ok(PLANNER, of(&session, "match")).await;
    assert_eq!((&plan["weekly_budget"], &plan["over_budget"]), (&json!(5.5), &json!(true)));
    let text = world.text(PLANNER, of(&session, "view")).await;
    assert!(text.contains("over the budget of $5.50"), "{text}");
}

#[tokio::test]
async fn a_product_can_be_chosen_and_a_meal_taken_out() {
    let world = world().await;
    let session = world.sign_in("ada").await;
    let plan = world.ok(PLANNER, meal(&session, "Breakfast", &["milk"])).await;
    let ingredient = ingredients(&plan)[0]["ingredient_id"].clone();
    let mut choose = of(&session, "choose");
    choose["ingredient_id"] = ingredient;
    choose["product_id"] = json!(crate::support::MILK);
    let plan = world.ok(PLANNER, choose.clone()).await;
    assert_eq!(ingredients(&plan)[0]["product"]["name"], "Kroger 2% Reduced Fat Milk");
    choose["product_id"] = json!("9999999999999");
    assert_eq!(world.fails(PLANNER, choose, 400).await["field"], "product_id");
    let meal_id = plan["days"][2]["meals"][0]["meal_id"].clone();
    let mut remove = of(&session, "remove_meal");
    remove["meal_id"] = meal_id;
    assert_eq!(ingredients(&world.ok(PLANNER, remove).await), Vec::<Value>::new());
}

#[rstest]
#[case(json!({ "action": "view", "week": "48" }), "week")]
#[case(json!({ "action": "add_meal", "title": "x" }), "date")]
#[case(json!({ "action": "add_meal", "title": "x", "date": "2026-11-25", "week": "2026-W47" }), "date")]
#[case(json!({ "action": "add_meal", "title": "x", "date": "tomorrow" }), "date")]
#[case(json!({ "action": "add_meal", "date": "2026-11-25" }), "title")]
#[case(json!({ "action": "add_meal", "title": "x", "date": "2026-11-25", "servings": 0 }), "servings")]
#[case(json!({ "action": "add_meal", "title": "x", "date": "2026-11-25", "ingredients": [{ "text": "" }] }), "ingredients[0].text")]
#[case(json!({ "action": "add_meal", "title": "x", "date": "2026-11-25", "ingredients": [{ "text": "a", "quantity": 0 }] }), "ingredients[0].quantity")]
#[case(json!({ "action": "remove_meal" }), "meal_id")]
#[case(json!({ "action": "view", "diets": ["carnivore"] }), "diets[0]")]
#[case(json!({ "action": "view", "weekly_budget": -1 }), "weekly_budget")]
#[tokio::test]
async fn a_wrong_argument_is_named(#[case] mut arguments: Value, #[case] field: &str) {
    let world = world().await;
    arguments["session_id"] = json!(world.sign_in("ada").await);
    assert_eq!(world.fails(PLANNER, arguments, 400).await["field"], field);
}

#[tokio::test]
async fn the_most_of_a_product_holds_for_all_meals_together() {
    let world = world().await;
    let session = world.sign_in("ada").await;
    for day in ["2026-11-24", "2026-11-25"] {
        let mut add = meal(&session, "Toast", &[]);
        add["date"] = json!(day);
        add["ingredients"] = json!([{ "text": "hass avocado", "quantity": 3 }, { "text": "garlic" }]);
        world.ok(PLANNER, add).await;
    }
    world.ok(PLANNER, of(&session, "match")).await;
    let sent = world.ok(PLANNER, of(&session, "send_to_cart")).await;
    assert!(sent["notes"][0].as_str().unwrap().contains("can be ordered 4 times at most"), "{sent}");
    let cart = world.cart_of("ada").await;
    assert_eq!(cart.as_object().unwrap().values().collect::<Vec<_>>(), [&json!(2)], "{cart}");
}

#[tokio::test]
async fn a_plan_is_judged_by_the_diets_of_now_whenever_it_is_shown_or_sent() {
    let world = world().await;
    let session = world.sign_in("ada").await;
    world.ok(PLANNER, meal(&session, "Dinner", &["organic chicken breasts", "garlic bulb"])).await;
    let plan = world.ok(PLANNER, of(&session, "match")).await;
    assert_eq!(ingredients(&plan)[0]["state"], "matched", "{plan}");
    let garlic = ingredients(&plan)[1]["product"]["price"]["current"].clone();
    let mut view = of(&session, "view");
    view["diets"] = json!(["vegetarian"]);
    let plan = world.ok(PLANNER, view.clone()).await;
    let chicken = &ingredients(&plan)[0];
    assert_eq!((&chicken["state"], &ingredients(&plan)[1]["state"]), (&json!("excluded"), &json!("matched")));
    assert_eq!(chicken["reason"], "the product is meat or fish, or has some of it");
    assert_eq!((&chicken["reason_code"], chicken.get("reason_products")), (&json!("meat"), None));
    assert_eq!(plan["estimated_total"], garlic, "what is not going to be sent costs nothing");
    assert!(plan["notes"].to_string().contains("do not fit the diets and are not sent: 1."), "{plan}");
    let text = world.text(PLANNER, view).await;
    assert!(text.contains("1 of 2 matched; open: organic chicken breasts (the product is meat"), "{text}");
    let preferences =
        json!({ "session_id": session, "action": "update", "preferences": { "diets": ["vegetarian"] } });
    world.ok("user_profile", preferences).await;
    let sent = world.ok(PLANNER, of(&session, "send_to_cart")).await;
    let told = sent["notes"][0].as_str().unwrap();
    assert!(told.contains("Left out: organic chicken breasts is meat or fish"), "{told}");
    assert_eq!(world.cart_of("ada").await.as_object().unwrap().len(), 1);
    assert_eq!(
        (&ingredients(&sent)[0]["sent"], &ingredients(&sent)[1]["sent"]),
        (&json!(false), &json!(true))
    );
    let problem = world.fails(PLANNER, of(&session, "send_to_cart"), 422).await;
    assert!(problem["detail"].as_str().unwrap().contains("organic chicken breasts is meat"), "{problem}");
    let mut send = of(&session, "send_to_cart");
    send["diets"] = json!([]);
    world.ok(PLANNER, send).await;
    assert_eq!(world.cart_of("ada").await.as_object().unwrap().len(), 2);
}

#[tokio::test]
async fn a_plan_is_for_the_household_and_sent_the_way_that_it_prefers() {
    let world = world().await;
    let session = world.sign_in("ada").await;
    world.prefers(&session, json!({ "fulfillment": "delivery", "household_size": 3 })).await;
    let mut add = meal(&session, "Breakfast", &["milk"]);
    add.as_object_mut().unwrap().remove("servings");
    let plan = world.ok(PLANNER, add).await;
    assert_eq!(plan["days"][2]["meals"][0]["servings"], 3);
    assert_eq!(world.ok(PLANNER, meal(&session, "Dinner", &[])).await["days"][2]["meals"][1]["servings"], 4);
    let mut choose = of(&session, "choose");
    choose["ingredient_id"] = ingredients(&plan)[0]["ingredient_id"].clone();
    choose["product_id"] = json!(crate::support::MILK);
    world.ok(PLANNER, choose).await;
    world.ok(PLANNER, of(&session, "send_to_cart")).await;
    assert_eq!(world.lines_of("ada").await, json!([[crate::support::MILK, 1, "DELIVERY"]]));
}
