//! A shop's whole day through the gateway: a customer signs in, and every tool of Kroger is called by clients of both eras.

use std::{fs, path::Path};

use reqwest::{Response, header, redirect};
use serde_json::{Value, json};

use super::{
    client::{call, connect, eras},
    running::Up,
    workspace,
};

const SERVER: &str = "groceries-kroger";
const MILK: &str = "0001111041700";

/// Puts a manifest of the example into `folder`, with the gateway at its address of this run.
fn put(folder: &Path, file: &str, gateway: &str) {
    let text = fs::read_to_string(workspace().join("examples/kroger").join(file)).unwrap();
    fs::write(folder.join(file), text.replace("http://127.0.0.1:7300", gateway)).unwrap();
}

fn location(answer: &Response) -> String {
    answer.headers()[header::LOCATION].to_str().unwrap().to_owned()
}

/// Signs in as a browser does; answers the id of the session.
async fn sign_in(gateway: &str) -> String {
    rustls::crypto::ring::default_provider().install_default().ok();
    let http = reqwest::Client::builder().no_proxy().redirect(redirect::Policy::none()).build().unwrap();
    let login = http.get(format!("{gateway}/servers/default/{SERVER}/auth/login")).send().await.unwrap();
    assert_eq!(login.status(), 303, "{}", login.text().await.unwrap());
    let cookie = login.headers()[header::SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
    let consent = http.get(location(&login)).send().await.unwrap();
    let back = location(&consent);
    assert!(back.starts_with(gateway), "the browser comes back through the gateway: {back}");
    let back = http.get(back).header(header::COOKIE, cookie).header(header::ACCEPT, "application/json");
    let session: Value = back.send().await.unwrap().json().await.unwrap();
    session["session_id"].as_str().unwrap_or_else(|| panic!("{session}")).to_owned()
}

#[tokio::test]
async fn a_customer_signs_in_through_the_gateway_and_uses_every_tool_in_both_eras() {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "standin.yaml", "");
    let mut up = Up::start(folder.path()).await;
    let gateway = up.url.trim_end_matches("/mcp").to_owned();
    put(folder.path(), "kroger.yaml", &gateway);
    up.until_ready(&[SERVER]).await;
    let session = sign_in(&gateway).await;
    for era in eras() {
        let client = connect(&up.url, era).await;
        let mine = |more: Value| {
            let mut arguments = more;
            arguments["session_id"] = json!(session);
            arguments
        };
        let found = call(&client, "search_products_advanced", json!({ "query": "milk" })).await;
        assert_eq!(found["structuredContent"]["location_id"], "01400376");
        let stores = call(&client, "store_locator_advanced", json!({ "zip": "45039" })).await;
        assert!(!stores["structuredContent"]["stores"].as_array().unwrap().is_empty(), "{stores}");
        let offers = call(&client, "digital_coupons", json!({ "category": "milk" })).await;
        assert_eq!(offers["structuredContent"]["source"], "offers");
        let add = json!({ "action": "add", "product_id": MILK, "quantity": 2 });
        let cart = call(&client, "manage_cart", mine(add)).await;
        assert_eq!(cart["structuredContent"]["items"][0]["state"], "sent", "{cart}");
        let orders = call(&client, "order_history", mine(json!({ "action": "mark_ordered" }))).await;
        assert_eq!(orders["structuredContent"]["orders"][0]["total"], 3.18);
        let list = call(&client, "shopping_lists", mine(json!({ "action": "create", "name": "Week" }))).await;
        assert_eq!(list["structuredContent"]["lists"][0]["name"], "Week");
        let meal = json!({ "action": "add_meal", "date": "2026-11-25", "title": "Pasta", "ingredients": [{ "text": "spaghetti" }] });
        call(&client, "meal_planner", mine(meal)).await;
        let plan =
            call(&client, "meal_planner", mine(json!({ "action": "match", "week": "2026-W48" }))).await;
        assert!(plan["structuredContent"]["estimated_total"].is_number(), "{plan}");
        let profile = call(&client, "user_profile", mine(json!({}))).await;
        assert_eq!(profile["structuredContent"]["account"], "linked");
        // A tool names its page by the address that the gateway serves it at.
        let tools = client.list_all_tools().await.unwrap();
        let tool =
            serde_json::to_value(tools.iter().find(|tool| tool.name == "manage_cart").unwrap()).unwrap();
        let uri = tool["_meta"]["ui"]["resourceUri"].as_str().unwrap_or_else(|| panic!("{tool}")).to_owned();
        let page =
            client.read_resource(rmcp::model::ReadResourceRequestParams::new(uri.clone())).await.unwrap();
        let page = serde_json::to_value(&page.contents[0]).unwrap();
        assert_eq!((&page["uri"], &page["mimeType"]), (&json!(uri), &json!("text/html;profile=mcp-app")));
    }
    // What is not of the sign-in is reached by nobody from outside.
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    for path in ["tools/manage_cart", "metrics", "openapi.json"] {
        let answer = http.get(format!("{gateway}/servers/default/{SERVER}/{path}")).send().await.unwrap();
        assert_eq!(answer.status(), 404, "{path}");
    }
    assert!(up.interrupt().await.success());
}
