//! How many tokens a model reads of a tool's answer, beside what Kroger answered for it: counted with the tokenizer of a model in use
//! (o200k), over answers of the stand-in, which are as large as real ones.

use reqwest::header;
use serde_json::{Value, json};

use crate::support::{EGGS, MILK, STORE, World, world};

/// The share that is saved at least, of all tools that ask Kroger.
const SAVED: f64 = 0.9;

struct Counted {
    tool: &'static str,
    raw: usize,
    text: usize,
    data: usize,
}

impl Counted {
    fn saved(&self) -> f64 {
        1.0 - share(self.text, self.raw)
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of a few thousand")]
fn share(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}

/// What Kroger answers to a request, as it came.
async fn raw(world: &World, path: &str) -> String {
    let form = [("grant_type", "client_credentials"), ("scope", "product.compact")];
    let token = world.http.post(format!("http://{}/v1/connect/oauth2/token", world.standin));
    let token: Value = token
        .basic_auth("standin-client", Some("standin-secret"))
        .form(&form)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let request = world
        .http
        .get(format!("http://{}{path}", world.standin))
        .bearer_auth(token["access_token"].as_str().unwrap());
    request.header(header::ACCEPT, "application/json").send().await.unwrap().text().await.unwrap()
}

async fn count(world: &World, tool: &'static str, arguments: Value, paths: &[String]) -> Counted {
    let tokens = tiktoken_rs::o200k_base_singleton();
    let of = |text: &str| tokens.encode_ordinary(text).len();
    let mut answers = 0;
    for path in paths {
        answers += of(&raw(world, path).await);
    }
    let text = world.text(tool, arguments.clone()).await;
    let data = world.ok(tool, arguments).await.to_string();
    Counted { tool, raw: answers, text: of(&text), data: of(&data) }
}

/// A customer with a list, a plan and a cart, and what Kroger was asked for them.
async fn live(world: &World) -> (String, Vec<String>) {
    let session = world.sign_in("ada").await;
    let list = world
        .ok("shopping_lists", json!({ "session_id": session, "action": "create", "name": "Week" }))
        .await;
    let id = &list["lists"][0]["list_id"];
    for product in [MILK, EGGS] {
        world
            .ok(
                "shopping_lists",
                json!({ "session_id": session, "action": "add_item", "list_id": id, "product_id": product }),
            )
            .await;
        world
            .ok("manage_cart", json!({ "session_id": session, "action": "add", "product_id": product }))
            .await;
    }
    world.ok("order_history", json!({ "session_id": session, "action": "mark_ordered" })).await;
    world.ok("manage_cart", json!({ "session_id": session, "action": "add", "product_id": MILK })).await;
    let ingredients = ["spaghetti", "garlic", "grape tomatoes", "parmesan cheese"];
    let meal: Vec<Value> = ingredients.iter().map(|text| json!({ "text": text })).collect();
    let meal = json!({ "session_id": session, "action": "add_meal", "week": "2026-W48", "date": "2026-11-25", "title": "Pasta", "ingredients": meal });
    world.ok("meal_planner", meal).await;
    let term = |text: &&str| {
        format!(
            "/v1/products?filter.term={}&filter.locationId={STORE}&filter.limit=30",
            text.replace(' ', "+")
        )
    };
    (session, ingredients.iter().map(term).collect())
}

#[tokio::test]
async fn a_model_reads_a_tenth_of_what_kroger_answers_or_less() {
    let world = world().await;
    let (session, searches) = live(&world).await;
    let products = |ids: &[&str]| {
        vec![format!(
            "/v1/products?filter.productId={}&filter.locationId={STORE}&filter.limit=50",
            ids.join(",")
        )]
    };
    let term = |term: &str, limit: u32| {
        vec![format!("/v1/products?filter.term={term}&filter.locationId={STORE}&filter.limit={limit}")]
    };
    let mine = |more: Value| {
        let mut arguments = more;
        arguments["session_id"] = json!(session);
        arguments
    };
    let plan = mine(json!({ "action": "match", "week": "2026-W48" }));
    let all = [
        count(&world, "search_products_advanced", json!({ "query": "milk", "limit": 10 }), &term("milk", 10))
            .await,
        count(
            &world,
            "store_locator_advanced",
            json!({ "zip": "45039" }),
            &["/v1/locations?filter.zipCode.near=45039".to_owned()],
        )
        .await,
        count(&world, "digital_coupons", json!({ "category": "cheese" }), &term("cheese", 50)).await,
        count(&world, "manage_cart", mine(json!({})), &products(&[MILK])).await,
        count(&world, "shopping_lists", mine(json!({})), &products(&[MILK, EGGS])).await,
        count(&world, "meal_planner", plan, &searches).await,
        count(&world, "order_history", mine(json!({})), &products(&[MILK, EGGS])).await,
    ];
    println!("{:<26} {:>8} {:>8} {:>8} {:>8}", "tool", "Kroger", "text", "data", "saved");
    for one in &all {
        let saved = one.saved() * 100.0;
        println!("{:<26} {:>8} {:>8} {:>8} {saved:>7.1}%", one.tool, one.raw, one.text, one.data);
    }
    for one in &all {
        assert!(one.saved() >= SAVED, "{}: {:.1} % saved", one.tool, one.saved() * 100.0);
    }
}
