//! Every tool by MCP in both eras and by REST, and in bad times.

use reqwest::Method;
use rmcp::model::ReadResourceRequestParams;
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{Era, On, Plan, SLOW, World, call, eventually, world};

const TOOLS: [(&str, &str); 8] = [
    ("search_products_advanced", r#"{"query": "milk"}"#),
    ("store_locator_advanced", r#"{"zip": "45039"}"#),
    ("manage_cart", r#"{"action": "add", "product_id": "0001111041700"}"#),
    ("digital_coupons", r#"{"category": "milk"}"#),
    ("user_profile", r#"{"action": "update", "preferences": {"household_size": 2}}"#),
    ("order_history", r#"{"action": "mark_ordered"}"#),
    ("shopping_lists", r#"{"action": "create", "name": "Week"}"#),
    (
        "meal_planner",
        r#"{"action": "add_meal", "date": "2026-11-25", "title": "Pasta", "ingredients": [{"text": "spaghetti"}]}"#,
    ),
];

fn arguments(tool: &str, text: &str, session: &str) -> Value {
    let mut arguments: Value = serde_json::from_str(text).unwrap();
    if tool != "store_locator_advanced" && tool != "search_products_advanced" {
        arguments["session_id"] = json!(session);
    }
    arguments
}

#[rstest]
#[tokio::test]
async fn every_tool_answers_what_its_schema_says_in_both_eras(#[values(Era::Legacy, Era::Modern)] era: Era) {
    let world = world().await;
    let session = world.sign_in("ada").await;
    let client = world.client(era).await;
    let tools = client.list_all_tools().await.unwrap();
    assert_eq!(tools.len(), TOOLS.len());
    for (name, text) in TOOLS {
        let answer = call(&client, name, arguments(name, text, &session)).await;
        let data = answer.structured_content.unwrap();
        assert_ne!(answer.is_error, Some(true), "{name}: {data}");
        let tool = tools.iter().find(|tool| tool.name == name).unwrap();
        let schema = Value::Object(tool.output_schema.as_ref().unwrap().as_ref().clone());
        let errors: Vec<String> = jsonschema::validator_for(&schema)
            .unwrap()
            .iter_errors(&data)
            .map(|error| error.to_string())
            .collect();
        assert!(errors.is_empty(), "{name}: {errors:?} in {data}");
        assert!(!answer.content[0].as_text().unwrap().text.is_empty());
        let page = &serde_json::to_value(tool.meta.as_ref().unwrap()).unwrap()["ui"]["resourceUri"];
        let read =
            client.read_resource(ReadResourceRequestParams::new(page.as_str().unwrap())).await.unwrap();
        assert_eq!(read.contents.len(), 1, "{page}");
    }
}

#[tokio::test]
async fn the_paths_of_the_rest_interface_are_the_same_tools() {
    let world = world().await;
    let session = world.sign_in("ada").await;
    let send = async |method: Method, path: &str, body: Option<Value>| {
        let request = world.http.request(method, world.url(&path.replace("ID", &session)));
        let request = if let Some(body) = body { request.json(&body) } else { request };
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        answer.json::<Value>().await.unwrap()
    };
    let items = json!({ "product_id": "0001111041700", "quantity": 2 });
    assert_eq!(send(Method::PUT, "/cart/ID/items", Some(items.clone())).await["item_count"], 2);
    // Doing it twice is the same as once.
    assert_eq!(send(Method::PUT, "/cart/ID/items", Some(items)).await["item_count"], 2);
    assert_eq!(world.cart_of("ada").await, json!({ "0001111041700": 2 }));
    assert_eq!(send(Method::GET, "/cart/ID", None).await["item_count"], 2);
    let at_store = send(Method::GET, "/cart/ID?location_id=01400376", None).await;
    assert!(at_store["items"][0]["price"]["current"].is_number(), "{at_store}");
    let preferences = json!({ "preferences": { "household_size": 4 } });
    assert_eq!(send(Method::PUT, "/profile/ID", Some(preferences)).await["preferences"]["household_size"], 4);
    assert_eq!(send(Method::GET, "/profile/ID", None).await["account"], "linked");
    assert_eq!(send(Method::GET, "/orders/ID?limit=5", None).await["orders"], json!([]));
    assert_eq!(send(Method::GET, "/lists/ID", None).await["lists"], json!([]));
    let document: Value =
        world.http.get(world.url("/openapi.json")).send().await.unwrap().json().await.unwrap();
    let schema: Value =
        serde_json::from_str(include_str!("../../../kit/tests/data/openapi-3.1.json")).unwrap();
    let errors: Vec<String> = jsonschema::validator_for(&schema)
        .unwrap()
        .iter_errors(&document)
        .map(|error| error.to_string())
        .collect();
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!(document["paths"].as_object().unwrap().len(), 8 + 5);
    let text = document.to_string();
    assert!(!text.contains("#/$defs/") && !text.contains(r#""required":null"#), "{text}");
}

#[rstest]
#[case::everybody(
    "false",
    "changes the list here alone",
    "Empties the list of what was sent",
    "applications."
)]
#[case::partner(
    "true",
    "gone from that cart",
    "Empties the customer's cart at Kroger",
    "before the check-out, which empties it."
)]
#[tokio::test]
async fn tools_say_whether_they_change_the_cart_itself(
    #[case] is_partner: &str,
    #[case] cart: &str,
    #[case] clear: &str,
    #[case] orders: &str,
) {
    let world = World::start(Plan { variables: &[("KROGER_PARTNER", is_partner)], ..Plan::default() }).await;
    let tools = world.client(Era::Modern).await.list_all_tools().await.unwrap();
    let says = |name: &str| {
        let tool = tools.iter().find(|tool| tool.name == name).unwrap();
        tool.description.clone().unwrap().into_owned()
    };
    assert!(says("manage_cart").contains(cart), "{}", says("manage_cart"));
    assert!(says("order_history").ends_with(orders), "{}", says("order_history"));
    let document: Value =
        world.http.get(world.url("/openapi.json")).send().await.unwrap().json().await.unwrap();
    assert_eq!(document["paths"]["/cart/{session_id}"]["delete"]["summary"], clear);
}

/// One call that Kroger answers, then the same in bad times after the answer has become old: it is shown, and said to be old.
#[rstest]
#[case::too_many(json!({ "kind": "rate_limit", "retry_after": 1 }))]
#[case::too_many_without_a_word(json!({ "kind": "rate_limit" }))]
#[case::failing(json!({ "kind": "status", "status": 500 }))]
#[case::page_of_the_network(json!({ "kind": "status", "status": 503, "form": "html" }))]
#[case::slow(json!({ "kind": "delay", "milliseconds": 60_000 }))]
#[case::broken_off(json!({ "kind": "malformed" }))]
#[case::gone(json!({ "kind": "drop" }))]
#[tokio::test]
async fn in_bad_times_a_search_without_an_answer_from_before_fails_in_a_word_that_helps(
    #[case] mut fault: Value,
) {
    let world = World::start(Plan { attempt: SLOW, ..Plan::default() }).await;
    world.ok("search_products_advanced", json!({ "query": "bread" })).await;
    fault["path"] = json!("/v1/products");
    world.fault(fault).await;
    // What is fresh needs nobody.
    world.ok("search_products_advanced", json!({ "query": "bread" })).await;
    let (status, problem) = world.call("search_products_advanced", json!({ "query": "milk" })).await;
    assert!([502, 503, 504].contains(&status.as_u16()), "{status} {problem}");
    assert!(problem["detail"].as_str().unwrap().starts_with("Kroger: "), "{problem}");
    // Others go on.
    world.ok("store_locator_advanced", json!({ "zip": "45039" })).await;
}

#[tokio::test]
async fn while_the_database_is_away_a_call_is_told_to_come_again_and_nothing_inner() {
    let mut world = World::start(Plan { on: On::Postgres, ..Plan::default() }).await;
    let session = world.sign_in("ada").await;
    world.postgres.as_mut().unwrap().kill();
    let url = world.url("/tools/shopping_lists");
    let answer = world.http.post(url).json(&json!({ "session_id": session })).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), &answer.headers()["retry-after"]), (503, &"5".parse().unwrap()));
    let problem: Value = answer.json().await.unwrap();
    assert_eq!((&problem["class"], &problem["code"]), (&json!("unavailable"), &json!(-32000)));
    assert!(
        problem["detail"].as_str().unwrap().starts_with("This server cannot reach its data"),
        "{problem}"
    );
    let page =
        world.http.get(world.url("/auth/login")).header("cookie", format!("portico_session={session}"));
    assert_eq!(page.send().await.unwrap().status(), 503);
    // What needs none of it goes on.
    world.ok("search_products_advanced", json!({ "query": "milk" })).await;
    world.postgres.as_mut().unwrap().start_again().await.unwrap();
    let again = async || world.call("shopping_lists", json!({ "session_id": session })).await.0 == 200;
    eventually("it serves again", again).await;
}

#[tokio::test]
async fn the_gateways_word_makes_a_user_who_needs_no_session() {
    let gateway = Gateway::new();
    let keys = gateway.keys.display().to_string();
    let variables = [
        ("PORTICO_IDENTITY_ISSUER", "https://gateway.example"),
        ("PORTICO_IDENTITY_AUDIENCE", "shop/kroger"),
        ("PORTICO_IDENTITY_KEYS", keys.as_str()),
    ];
    let world = World::start(Plan { variables: &variables, ..Plan::default() }).await;
    let as_user = async |subject: &str, tool: &str, body: Value| {
        let request = world
            .http
            .post(world.url(&format!("/tools/{tool}")))
            .header("portico-identity", gateway.says(subject));
        let answer = request.json(&body).send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    let (status, _) =
        as_user("key:ada", "shopping_lists", json!({ "action": "create", "name": "Ada's" })).await;
    assert_eq!(status, 200);
    assert_eq!(as_user("key:ada", "shopping_lists", json!({})).await.1["lists"][0]["name"], "Ada's");
    assert_eq!(as_user("key:bob", "shopping_lists", json!({})).await.1["lists"], json!([]));
    // The cart needs Kroger; the address to sign in leads back to the same user.
    let (status, problem) =
        as_user("key:ada", "manage_cart", json!({ "action": "add", "product_id": "0001111041700" })).await;
    assert_eq!(status, 401);
    assert!(problem["sign_in_url"].as_str().unwrap().contains("link="), "{problem}");
    // So does the cart that is shown before anything can be sent.
    let (status, cart) = as_user("key:ada", "manage_cart", json!({})).await;
    assert_eq!((status, &cart["signed_in"]), (200, &json!(false)), "{cart}");
    assert!(cart["sign_in_url"].as_str().unwrap().contains("link="), "{cart}");
    let forged = world
        .http
        .post(world.url("/tools/shopping_lists"))
        .header("portico-identity", "a.b.c")
        .json(&json!({}));
    assert_eq!(forged.send().await.unwrap().status(), 401);
}

/// PostgreSQL takes no NUL in a text, so what has one must not get there as it is.
#[tokio::test]
async fn a_control_character_in_an_argument_is_refused_or_finds_nothing() {
    let world = World::start(Plan { on: On::Postgres, ..Plan::default() }).await;
    let session = world.sign_in("ada").await;
    let list = json!({ "session_id": session, "action": "create", "name": "Week" });
    let list = world.ok("shopping_lists", list).await["lists"][0]["list_id"].clone();
    let wrong = [
        ("shopping_lists", json!({ "action": "remove_item", "list_id": list, "item_id": "a\u{0}b" }), 404),
        ("meal_planner", json!({ "action": "remove_meal", "week": "2026-W48", "meal_id": "a\u{0}b" }), 404),
        ("meal_planner", json!({ "action": "choose", "week": "2026-W48", "ingredient_id": "a\u{0}b" }), 404),
        ("meal_planner", json!({ "week": "2026-W4\u{0}" }), 400),
        ("manage_cart", json!({ "action": "add", "product_id": "000111104170\u{0}" }), 400),
        ("order_history", json!({ "action": "mark_ordered", "location_id": "0140037\u{0}" }), 400),
        (
            "user_profile",
            json!({ "action": "update", "preferences": { "location_id": "0140037\u{0}" } }),
            400,
        ),
    ];
    for (tool, mut arguments, status) in wrong {
        arguments["session_id"] = json!(session);
        world.fails(tool, arguments, status).await;
    }
    world.fails("shopping_lists", json!({ "session_id": "a\u{0}b" }), 401).await;
}

/// Signs as the gateway does.
struct Gateway {
    pair: ring::signature::Ed25519KeyPair,
    keys: std::path::PathBuf,
    _folder: tempfile::TempDir,
}

impl Gateway {
    fn new() -> Self {
        use ring::signature::KeyPair as _;
        let der = ring::signature::Ed25519KeyPair::generate_pkcs8(&ring::rand::SystemRandom::new()).unwrap();
        let pair = ring::signature::Ed25519KeyPair::from_pkcs8(der.as_ref()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let keys = folder.path().join("keys.json");
        let set = json!({ "keys": [{ "kid": "one", "kty": "OKP", "crv": "Ed25519", "x": encoded(pair.public_key().as_ref()) }] });
        std::fs::write(&keys, set.to_string()).unwrap();
        Self { pair, keys, _folder: folder }
    }

    fn says(&self, subject: &str) -> String {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let claims = json!({ "iss": "https://gateway.example", "sub": subject, "aud": "shop/kroger", "iat": now, "exp": now + 60 });
        let head = json!({ "alg": "EdDSA", "kid": "one" });
        let text =
            format!("{}.{}", encoded(head.to_string().as_bytes()), encoded(claims.to_string().as_bytes()));
        format!("{text}.{}", encoded(self.pair.sign(text.as_bytes()).as_ref()))
    }
}

fn encoded(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}
