//! What customers ask for.

use std::net::SocketAddr;

use rand::Rng as _;
use reqwest::{Client, Request, Response, header, redirect};
use serde_json::{Value, json};

const USERS: usize = 100;
const PRODUCTS: [&str; 4] = ["0001111041700", "0009999041707", "0009999041714", "0009999041742"];
const WORDS: [&str; 40] = [
    "milk",
    "eggs",
    "bread",
    "butter",
    "cheese",
    "yogurt",
    "apple",
    "banana",
    "orange",
    "grape",
    "tomato",
    "potato",
    "onion",
    "garlic",
    "carrot",
    "lettuce",
    "spinach",
    "chicken",
    "beef",
    "pork",
    "bacon",
    "salmon",
    "rice",
    "pasta",
    "spaghetti",
    "beans",
    "soup",
    "cereal",
    "oats",
    "flour",
    "sugar",
    "salt",
    "pepper",
    "oil",
    "coffee",
    "tea",
    "juice",
    "water",
    "chips",
    "cookies",
];

/// Kinds of requests, for the times by part.
pub const KINDS: [&str; 7] =
    ["search", "stores", "cart view", "cart add", "lists view", "lists add", "profile"];

/// A way to make the next request: its kind, and itself.
pub type Make = Box<dyn Fn(&Client) -> (&'static str, Request) + Send + Sync>;

/// A customer who has signed in.
struct User {
    session: String,
    list: String,
}

/// Customers, and the server that they ask.
pub struct Mix {
    server: SocketAddr,
    users: std::sync::Arc<Vec<User>>,
}

impl Mix {
    /// Signs everybody in and gives each a list and something in the cart.
    pub async fn prepare(server: SocketAddr, standin: SocketAddr) -> Self {
        let http = Client::builder().redirect(redirect::Policy::none()).build().unwrap();
        let mut users = Vec::new();
        for number in 0..USERS {
            let session = sign_in(&http, server, standin, &format!("customer-{number}")).await;
            let create = json!({ "session_id": session, "action": "create", "name": "Week" });
            let lists = call(&http, server, "shopping_lists", &create).await;
            let list = lists["lists"][0]["list_id"].as_str().unwrap().to_owned();
            let add = json!({ "session_id": session, "action": "add", "product_id": PRODUCTS[0] });
            call(&http, server, "manage_cart", &add).await;
            users.push(User { session, list });
        }
        Self { server, users: std::sync::Arc::new(users) }
    }

    /// The same arrivals with as little as can be behind them.
    pub fn control(&self) -> Make {
        let url = format!("http://{}/healthz", self.server);
        Box::new(move |http| ("healthz", http.get(&url).build().unwrap()))
    }

    /// 60 % searches, 10 % stores, 10 % views of the cart, 5 % additions to it, 10 % lists (half of them additions), 5 % profiles.
    pub fn requests(&self) -> Make {
        let (server, users) = (self.server, std::sync::Arc::clone(&self.users));
        Box::new(move |http| {
            let mut random = rand::rng();
            let user = &users[random.random_range(0..users.len())];
            let (kind, tool, mut arguments) = match random.random_range(0..100) {
                0..60 => {
                    let word = WORDS[random.random_range(0..WORDS.len())];
                    ("search", "search_products_advanced", json!({ "query": word }))
                }
                60..70 => ("stores", "store_locator_advanced", json!({ "zip": "45039" })),
                70..80 => ("cart view", "manage_cart", json!({})),
                80..85 => {
                    let product = PRODUCTS[random.random_range(0..PRODUCTS.len())];
                    ("cart add", "manage_cart", json!({ "action": "add", "product_id": product }))
                }
                85..90 => ("lists view", "shopping_lists", json!({})),
                90..95 => {
                    let text = format!("{:x}", random.random::<u32>());
                    let add = json!({ "action": "add_item", "list_id": user.list, "text": text });
                    ("lists add", "shopping_lists", add)
                }
                _ => ("profile", "user_profile", json!({})),
            };
            if !matches!(kind, "search" | "stores") {
                arguments["session_id"] = json!(user.session);
            }
            let url = format!("http://{server}/tools/{tool}");
            (kind, http.post(url).json(&arguments).build().unwrap())
        })
    }
}

async fn call(http: &Client, server: SocketAddr, tool: &str, arguments: &Value) -> Value {
    let answer = http.post(format!("http://{server}/tools/{tool}")).json(arguments).send().await.unwrap();
    let (status, body): (_, Value) = (answer.status(), answer.json().await.unwrap());
    assert!(status.is_success(), "{tool}: {body}");
    body
}

async fn sign_in(http: &Client, server: SocketAddr, standin: SocketAddr, customer: &str) -> String {
    let settings = http.post(format!("http://{standin}/_standin/settings"));
    settings.json(&json!({ "customer": customer })).send().await.unwrap();
    let login = http.get(format!("http://{server}/auth/login")).send().await.unwrap();
    let cookie = login.headers()[header::SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
    let back = location(&http.get(location(&login)).send().await.unwrap());
    let (_, tail) = back.split_once("/auth/callback").unwrap();
    let request = http.get(format!("http://{server}/auth/callback{tail}")).header(header::COOKIE, cookie);
    let answer = request.header(header::ACCEPT, "application/json").send().await.unwrap();
    let body: Value = answer.json().await.unwrap();
    body["session_id"].as_str().unwrap_or_else(|| panic!("{body}")).to_owned()
}

fn location(answer: &Response) -> String {
    answer.headers()[header::LOCATION].to_str().unwrap().to_owned()
}
