//! The whole server with a customer: from the sign-in in a browser to the cart at Kroger, on one server and on two over one database.

use std::{net::SocketAddr, num::NonZeroU32, path::Path, time::Duration};

use portico_kit::upstream::Policy;
use portico_kroger::{Config, run_on};
use portico_standins::kroger::{self as standin, Credentials};
use reqwest::{Response, redirect};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::{CancellationToken, DropGuard};

const MILK: &str = "0001111041700";

struct Server {
    address: SocketAddr,
    stop: CancellationToken,
    running: JoinHandle<()>,
}

struct World {
    standin: SocketAddr,
    http: reqwest::Client,
    folder: tempfile::TempDir,
    _stop: DropGuard,
}

fn client() -> reqwest::Client {
    rustls::crypto::ring::default_provider().install_default().ok();
    reqwest::Client::builder().redirect(redirect::Policy::none()).build().unwrap()
}

async fn world() -> World {
    let http = client();
    let stop = CancellationToken::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let standin = listener.local_addr().unwrap();
    tokio::spawn(standin::run_on(listener, Credentials::from_env(&|_| None), stop.clone()));
    World { standin, http, folder: tempfile::tempdir().unwrap(), _stop: stop.drop_guard() }
}

async fn serve(standin: SocketAddr, database: &Path, per_minute: &str) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let config = Config::from_env(&|name| match name {
        "KROGER_CLIENT_ID" => Some("standin-client".to_owned()),
        "KROGER_CLIENT_SECRET" => Some("standin-secret".to_owned()),
        "KROGER_BASE_URL" => Some(format!("http://{standin}")),
        "KROGER_REDIRECT_URI" => Some(format!("http://{address}/auth/callback")),
        "DATABASE_URL" => Some(format!("sqlite:{}", database.display())),
        "MAX_REQUESTS_PER_MINUTE" => Some(per_minute.to_owned()),
        _ => None,
    });
    let policy = Policy {
        attempt_timeout: Duration::from_secs(20),
        call_timeout: Duration::from_mins(1),
        per_minute: NonZeroU32::new(6_000).unwrap(),
        ..Policy::default()
    };
    let stop = CancellationToken::new();
    let serving = run_on(listener, config.unwrap().with_policy(policy), stop.clone());
    let running = tokio::spawn(async move { serving.await.unwrap() });
    Server { address, stop, running }
}

impl World {
    /// A server over the database of this test.
    async fn server(&self) -> Server {
        self.server_with("60").await
    }

    /// The same, where a user may call so often a minute.
    async fn server_with(&self, per_minute: &str) -> Server {
        serve(self.standin, &self.folder.path().join("data.db"), per_minute).await
    }

    async fn at_standin(&self, method: &str, path: &str, body: Value) -> Value {
        let url = format!("http://{}/_standin/{path}", self.standin);
        let response = self.http.request(method.parse().unwrap(), url).json(&body).send().await.unwrap();
        assert!(response.status().is_success(), "{}", response.status());
        response.json().await.unwrap_or_default()
    }

    async fn asked(&self, what: &str) -> u64 {
        self.at_standin("GET", "requests", json!({})).await[what].as_u64().unwrap_or(0)
    }

    /// Signs in as a program does; the id of the session.
    async fn sign_in(&self, server: &Server) -> String {
        let login = self.http.get(format!("http://{}/auth/login", server.address)).send().await.unwrap();
        let cookie = login.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
        let back = location(&self.http.get(location(&login)).send().await.unwrap());
        let request = self.http.get(back).header("cookie", cookie).header("accept", "application/json");
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        answer["session_id"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
    }

    async fn call(&self, server: &Server, tool: &str, arguments: Value) -> (u16, Value) {
        let url = format!("http://{}/tools/{tool}", server.address);
        let response = self.http.post(url).json(&arguments).send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    async fn add(&self, server: &Server, session: &str) -> (u16, Value) {
        let arguments = json!({"session_id": session, "action": "add", "product_id": MILK, "quantity": 2});
        self.call(server, "manage_cart", arguments).await
    }

    async fn carts(&self) -> Value {
        self.at_standin("GET", "carts", json!({})).await
    }
}

impl Server {
    async fn end(self) {
        self.stop.cancel();
        self.running.await.unwrap();
    }
}

fn location(response: &Response) -> String {
    response.headers()["location"].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn whoever_has_signed_in_fills_the_own_cart_at_kroger() {
    let world = world().await;
    let server = world.server().await;
    let ada = world.sign_in(&server).await;
    world.at_standin("POST", "settings", json!({"customer": "grace"})).await;
    let grace = world.sign_in(&server).await;
    let (status, cart) = world.add(&server, &ada).await;
    assert_eq!((status, &cart["items"][0]["quantity"]), (200, &json!(2)), "{cart}");
    world.add(&server, &grace).await;
    world.add(&server, &grace).await;
    let carts = world.carts().await;
    assert_eq!((&carts["ada"][0]["quantity"], &carts["grace"][0]["quantity"]), (&json!(2), &json!(4)));
    let (_, profile) = world.call(&server, "user_profile", json!({"session_id": ada})).await;
    assert_eq!((&profile["account"], &profile["devices"]), (&json!("linked"), &json!(1)), "{profile}");
    server.end().await;
}

#[tokio::test]
async fn the_cookie_alone_tells_who_calls() {
    let world = world().await;
    let server = world.server().await;
    let session = world.sign_in(&server).await;
    let url = format!("http://{}/tools/user_profile", server.address);
    let request =
        world.http.post(url).header("cookie", format!("portico_session={session}")).json(&json!({}));
    let profile: Value = request.send().await.unwrap().json().await.unwrap();
    assert_eq!(profile["signed_in"], true, "{profile}");
    server.end().await;
}

#[tokio::test]
async fn whoever_has_not_is_told_where_to_sign_in_and_kroger_is_not_asked() {
    let world = world().await;
    let server = world.server().await;
    for session in ["", "invented"] {
        let (status, problem) = world.add(&server, session).await;
        assert_eq!(
            (status, &problem["class"], &problem["code"]),
            (401, &json!("authentication"), &json!(-32002))
        );
        let url = format!("http://{}/auth/login", server.address);
        assert_eq!(problem["sign_in_url"], url, "{problem}");
    }
    assert_eq!(world.asked("PUT /v1/cart/add").await, 0);
    server.end().await;
}

#[tokio::test]
async fn a_session_outlives_the_server_and_is_good_on_another() {
    let world = world().await;
    let (first, second) = (world.server().await, world.server().await);
    let session = world.sign_in(&first).await;
    assert_eq!(world.add(&second, &session).await.0, 200);
    first.end().await;
    second.end().await;
    let third = world.server().await;
    assert_eq!(world.add(&third, &session).await.0, 200);
    assert_eq!(world.carts().await["ada"][0]["quantity"], 4);
    third.end().await;
}

#[tokio::test]
async fn two_servers_renew_a_token_once_between_them_and_lose_no_call() {
    let world = world().await;
    let (first, second) = (world.server().await, world.server().await);
    let session = world.sign_in(&first).await;
    let (token, put) = ("POST /v1/connect/oauth2/token", "PUT /v1/cart/add");
    // Both have their application's token by now.
    for server in [&first, &second] {
        assert_eq!(world.add(server, &session).await.0, 200);
    }
    world.at_standin("POST", "tokens/expire?customer=ada", json!({})).await;
    let (tokens, puts) = (world.asked(token).await, world.asked(put).await);
    let calls = (0..8).map(|n| world.add(if n % 2 == 0 { &first } else { &second }, &session));
    for (status, answer) in futures::future::join_all(calls).await {
        assert_eq!(status, 200, "{answer}");
    }
    assert_eq!(world.asked(token).await, tokens + 1);
    assert_eq!(world.carts().await["ada"][0]["quantity"], 2 * (2 + 8));
    // Each call is made again once at most: what a token that is refused asks for is not done.
    assert!(world.asked(put).await <= puts + 16);
    first.end().await;
    second.end().await;
}

#[tokio::test]
async fn an_addition_whose_answer_is_lost_is_sent_once_and_not_said_to_have_failed() {
    let world = world().await;
    let server = world.server().await;
    let session = world.sign_in(&server).await;
    world.at_standin("POST", "faults", json!({"path": "/v1/cart/", "kind": "drop", "times": 1})).await;
    let (status, problem) = world.add(&server, &session).await;
    assert_eq!((status, &problem["class"]), (504, &json!("unknown_outcome")), "{problem}");
    assert_eq!(world.asked("PUT /v1/cart/add").await, 1);
    assert_eq!(world.carts().await["ada"][0]["quantity"], 2);
    server.end().await;
}

#[tokio::test]
async fn an_addition_before_which_the_sign_in_could_not_be_renewed_is_not_said_to_be_made_perhaps() {
    let world = world().await;
    let server = world.server().await;
    let session = world.sign_in(&server).await;
    // The server has its application's token by now.
    assert_eq!(world.add(&server, &session).await.0, 200);
    world.at_standin("POST", "tokens/expire?customer=ada", json!({})).await;
    let down = json!({"path": "/v1/connect/", "kind": "status", "status": 503, "form": "html"});
    world.at_standin("POST", "faults", down).await;
    let (status, problem) = world.add(&server, &session).await;
    assert_eq!((status, &problem["class"]), (502, &json!("server")), "{problem}");
    assert_eq!(world.carts().await["ada"][0]["quantity"], 2);
    world.at_standin("DELETE", "faults", json!({})).await;
    assert_eq!(world.add(&server, &session).await.0, 200);
    assert_eq!(world.carts().await["ada"][0]["quantity"], 4);
    server.end().await;
}

#[tokio::test]
async fn a_permission_taken_back_at_kroger_leads_to_signing_in_again_as_the_same_user() {
    let world = world().await;
    let server = world.server().await;
    let session = world.sign_in(&server).await;
    let list = json!({"session_id": session, "action": "create", "name": "Sunday"});
    assert_eq!(world.call(&server, "shopping_lists", list).await.0, 200);
    world.at_standin("POST", "tokens/revoke?customer=ada", json!({})).await;
    let (status, problem) = world.add(&server, &session).await;
    assert_eq!((status, &problem["class"]), (401, &json!("authentication")), "{problem}");
    let link = problem["sign_in_url"].as_str().unwrap();
    let code = link.split_once("link=").unwrap().1;

    let url = format!("http://{}/auth/login", server.address);
    let sent = world.http.post(url).form(&[("link", code)]).send().await.unwrap();
    let cookie = sent.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let back = location(&world.http.get(location(&sent)).send().await.unwrap());
    assert_eq!(world.http.get(back).header("cookie", cookie).send().await.unwrap().status(), 200);

    assert_eq!(world.add(&server, &session).await.0, 200);
    let lists = world.call(&server, "shopping_lists", json!({"session_id": session})).await.1;
    assert_eq!(lists["lists"][0]["name"], "Sunday", "{lists}");
    server.end().await;
}

#[tokio::test]
async fn a_form_of_our_own_passes_as_browsers_send_it_and_one_of_another_site_does_not() {
    let world = world().await;
    let server = world.server().await;
    let session = world.sign_in(&server).await;
    let logout = async |site: &str, origin: &str| {
        let url = format!("http://{}/auth/logout", server.address);
        let request = world.http.post(url).header("cookie", format!("portico_session={session}"));
        request.header("sec-fetch-site", site).header("origin", origin).send().await.unwrap().status()
    };
    assert_eq!(logout("cross-site", "https://evil.example").await, 403);
    assert_eq!(logout("cross-site", "http://localhost:1").await, 403);
    assert_eq!(world.add(&server, &session).await.0, 200);
    // Through a gateway the origin is the gateway's.
    assert_eq!(logout("same-origin", "https://gw.example").await, 200);
    assert_eq!(world.add(&server, &session).await.0, 401);
    server.end().await;
}

#[tokio::test]
async fn whoever_deletes_what_is_kept_is_signed_out_everywhere() {
    let world = world().await;
    let server = world.server().await;
    let session = world.sign_in(&server).await;
    let delete = json!({"session_id": session, "action": "delete", "confirm": true});
    let (status, answer) = world.call(&server, "user_profile", delete).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(world.add(&server, &session).await.0, 401);
    server.end().await;
}

#[tokio::test]
async fn what_a_user_does_in_the_browser_counts_as_calls_and_nobody_keeps_others_from_signing_in() {
    let world = world().await;
    // The next call is allowed after twenty seconds.
    let server = world.server_with("3").await;
    for _ in 0..20 {
        let sent = world.http.get(format!("http://{}/auth/login", server.address)).send().await.unwrap();
        assert_eq!(sent.status(), 303);
    }
    let session = world.sign_in(&server).await;
    let cookie = format!("portico_session={session}");
    let link = || world.http.post(format!("http://{}/auth/link", server.address)).header("cookie", &cookie);
    let mut statuses = Vec::new();
    while statuses.len() < 10 && !statuses.contains(&429) {
        statuses.push(link().send().await.unwrap().status().as_u16());
    }
    assert!((4..10).contains(&statuses.len()), "{statuses:?}");
    let refused = link().send().await.unwrap();
    assert!(refused.headers().contains_key("retry-after"));
    let other = world.sign_in(&server).await;
    assert_ne!(other, session);
    server.end().await;
}
