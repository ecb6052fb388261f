//! What the pages of `ui/` are tested with is what the tools really take and answer: their schemas, and an answer of each. With
//! `PORTICO_GENERATE=1` the files are written anew.

use std::{fs, path::PathBuf};

use rmcp::model::Tool;
use serde_json::{Map, Value, json};

use crate::support::{EGGS, Era, MILK, World, eventually, world};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../ui/fixtures/kroger")
}

fn generates() -> bool {
    std::env::var_os("PORTICO_GENERATE").is_some()
}

fn write(file: &str, value: &Value) {
    fs::create_dir_all(folder()).unwrap();
    fs::write(folder().join(file), serde_json::to_string_pretty(value).unwrap() + "\n").unwrap();
}

fn read(file: &str) -> Value {
    let path = folder().join(file);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap()
}

async fn tools(world: &World) -> Vec<Tool> {
    world.client(Era::Modern).await.list_all_tools().await.unwrap()
}

#[tokio::test]
async fn pages_are_tested_against_the_arguments_that_tools_take() {
    let world = world().await;
    let schemas: Map<String, Value> =
        tools(&world).await.iter().map(|tool| (tool.name.to_string(), json!(tool.input_schema))).collect();
    let schemas = Value::Object(schemas);
    if generates() {
        write("schemas.json", &schemas);
    }
    assert_eq!(
        read("schemas.json"),
        schemas,
        "run PORTICO_GENERATE=1 cargo test -p portico-kroger --test tools pages, and commit"
    );
}

/// Something of everything, so that each page has what to show.
async fn live(world: &World) -> String {
    let session = world.sign_in("ada").await;
    let mine = |more: Value| {
        let mut arguments = more;
        arguments["session_id"] = json!(session);
        arguments
    };
    world.ok("manage_cart", mine(json!({ "action": "add", "product_id": MILK, "quantity": 2 }))).await;
    world.ok("order_history", mine(json!({ "action": "mark_ordered" }))).await;
    world.ok("manage_cart", mine(json!({ "action": "add", "product_id": EGGS }))).await;
    let list = world.ok("shopping_lists", mine(json!({ "action": "create", "name": "Week" }))).await;
    let id = &list["lists"][0]["list_id"];
    for item in [json!({ "product_id": MILK }), json!({ "text": "flowers", "checked": true })] {
        let mut add = mine(item);
        add["action"] = json!("add_item");
        add["list_id"] = id.clone();
        world.ok("shopping_lists", add).await;
    }
    let ingredients =
        json!([{ "text": "spaghetti" }, { "text": "chicken breasts" }, { "text": "unicorn horn" }]);
    let meal = json!({ "action": "add_meal", "week": "2026-W48", "date": "2026-11-25", "slot": "dinner", "title": "Pasta",
        "servings": 2, "ingredients": ingredients, "weekly_budget": 20 });
    world.ok("meal_planner", mine(meal)).await;
    let wishes = json!({ "location_id": "01400376", "diets": ["vegetarian"], "household_size": 2 });
    world.ok("user_profile", mine(json!({ "action": "update", "preferences": wishes }))).await;
    session
}

#[tokio::test]
async fn pages_are_tested_with_answers_that_tools_give() {
    let world = world().await;
    let session = live(&world).await;
    let mine = |more: Value| {
        let mut arguments = more;
        arguments["session_id"] = json!(session);
        arguments
    };
    let calls = [
        ("product-grid", "search_products_advanced", json!({ "query": "milk", "limit": 6 })),
        ("store-map", "store_locator_advanced", json!({ "lat": 39.31, "lon": -84.28, "radius": 30 })),
        ("coupons", "digital_coupons", json!({ "category": "cheese" })),
        ("cart", "manage_cart", mine(json!({}))),
        ("orders", "order_history", mine(json!({}))),
        ("lists", "shopping_lists", mine(json!({}))),
        ("planner", "meal_planner", mine(json!({ "action": "match", "week": "2026-W48" }))),
        ("profile", "user_profile", mine(json!({}))),
    ];
    let schemas = tools(&world).await;
    // Where the clock of a store takes over a second the last days are left out, and told the next time.
    let told = async || {
        let offers = world.ok("digital_coupons", json!({ "category": "cheese" })).await;
        offers.to_string().contains("sale_last_day")
    };
    eventually("last days", told).await;
    for (page, tool, arguments) in calls {
        let answer = world.ok(tool, arguments).await;
        let file = format!("{page}.json");
        if generates() {
            write(&file, &answer);
        }
        let kept = read(&file);
        let tool = schemas.iter().find(|known| known.name == tool).unwrap();
        let schema = Value::Object(tool.output_schema.as_ref().unwrap().as_ref().clone());
        let errors: Vec<String> = jsonschema::validator_for(&schema)
            .unwrap()
            .iter_errors(&kept)
            .map(|error| error.to_string())
            .collect();
        assert!(errors.is_empty(), "{file}: {errors:?}; generate it anew");
        assert_eq!(shape(&kept), shape(&answer), "{file}: generate it anew");
    }
}

/// The names of members and the types of values, without what changes from run to run.
fn shape(value: &Value) -> Value {
    match value {
        Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), shape(value))).collect(),
        Value::Array(items) => items.iter().map(shape).collect(),
        Value::String(_) => json!("text"),
        Value::Number(_) => json!("number"),
        // A store is open at some hours of the day.
        Value::Bool(_) => json!("boolean"),
        Value::Null => Value::Null,
    }
}
