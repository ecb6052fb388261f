//! The stand-in against what the published API documents and what its live answers showed.

mod cart;
mod partner;
mod sign_in;
mod switches;

use std::net::SocketAddr;

use portico_standins::kroger::{Credentials, run_on};
use reqwest::{Client, Response, StatusCode};
use rstest::rstest;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

struct Standin {
    address: SocketAddr,
    http: Client,
    _stop: DropGuard,
}

async fn standin() -> Standin {
    rustls::crypto::ring::default_provider().install_default().ok();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    tokio::spawn(run_on(listener, Credentials::from_env(&|_| None), stop.clone()));
    Standin { address, http: Client::new(), _stop: stop.drop_guard() }
}

impl Standin {
    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    async fn grant(&self, form: &[(&str, &str)], secret: &str) -> Response {
        let url = self.url("/v1/connect/oauth2/token");
        self.http.post(url).basic_auth("standin-client", Some(secret)).form(form).send().await.unwrap()
    }

    async fn token(&self, scope: &str) -> String {
        let form = [("grant_type", "client_credentials"), ("scope", scope)];
        let body: Value = self.grant(&form, "standin-secret").await.json().await.unwrap();
        body["access_token"].as_str().unwrap().to_owned()
    }

    async fn get(&self, path: &str) -> (StatusCode, Value) {
        let token = self.token("product.compact").await;
        let response = self.http.get(self.url(path)).bearer_auth(token).send().await.unwrap();
        let status = response.status();
        (status, serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or(Value::Null))
    }

    async fn set(&self, settings: Value) {
        let response = self.http.post(self.url("/_standin/settings")).json(&settings).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::NO_CONTENT, "{}", response.text().await.unwrap());
    }

    async fn look(&self, path: &str) -> Value {
        self.http.get(self.url(path)).send().await.unwrap().json().await.unwrap()
    }

    async fn switch(&self, fault: Value) {
        let response = self.http.post(self.url("/_standin/faults")).json(&fault).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::CREATED);
    }
}

fn reason(body: &Value) -> &str {
    body["errors"]["reason"].as_str().unwrap_or_default()
}

#[tokio::test]
async fn a_token_needs_the_right_client_and_a_known_scope_and_grant() {
    let standin = standin().await;
    let good = [("grant_type", "client_credentials"), ("scope", "product.compact")];
    assert_eq!(standin.grant(&good, "standin-secret").await.status(), 200);

    let wrong = standin.grant(&good, "wrong").await;
    assert_eq!(wrong.status(), 401);
    let body: Value = wrong.json().await.unwrap();
    assert_eq!(body, json!({"error": "unauthorized", "error_description": "invalid credentials"}));

    let scope = [("grant_type", "client_credentials"), ("scope", "coupon.basic")];
    let body: Value = standin.grant(&scope, "standin-secret").await.json().await.unwrap();
    assert_eq!(body["error_description"], "invalid scope coupon.basic");
    let grant = [("grant_type", "password")];
    let body: Value = standin.grant(&grant, "standin-secret").await.json().await.unwrap();
    assert_eq!(body["error"], "unsupported_grant_type");
}

#[tokio::test]
async fn products_refuse_a_missing_a_foreign_and_an_unscoped_token() {
    let standin = standin().await;
    let url = standin.url("/v1/products?filter.term=milk");
    let missing: Value = standin.http.get(&url).send().await.unwrap().json().await.unwrap();
    assert_eq!(missing["error_description"], "The access_token is missing");
    let foreign = standin.http.get(&url).bearer_auth("invented").send().await.unwrap();
    assert_eq!(foreign.status(), 401);
    assert_eq!(foreign.json::<Value>().await.unwrap()["errors"]["error"], "invalid_token");
    let unscoped = standin.http.get(&url).bearer_auth(standin.token("").await).send().await.unwrap();
    assert_eq!(unscoped.status(), 403);
    assert_eq!(reason(&unscoped.json().await.unwrap()), "missing required scopes");
}

#[tokio::test]
async fn a_token_ends_when_its_time_is_over() {
    let standin = standin().await;
    standin.set(json!({"token_seconds": 1})).await;
    let token = standin.token("product.compact").await;
    let url = standin.url("/v1/products?filter.term=milk");
    let ended = async {
        while standin.http.get(&url).bearer_auth(&token).send().await.unwrap().status() != 401 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_mins(1), ended).await.expect("the token never ended");
}

#[tokio::test]
async fn prices_stock_and_aisles_come_only_with_a_store() {
    let standin = standin().await;
    let (_, without) = standin.get("/v1/products?filter.term=milk").await;
    let first = &without["data"][0];
    assert!(first["description"].as_str().unwrap().contains("Milk"));
    assert!(first["items"][0]["price"].is_null() && first["aisleLocations"].is_null());
    let (_, with) = standin.get("/v1/products/0001111041700?filter.locationId=01400376").await;
    assert_eq!(with["data"]["items"][0]["price"]["regular"], 1.99);
    assert_eq!(with["data"]["items"][0]["inventory"]["stockLevel"], "HIGH");
}

#[rstest]
#[case::short_term("filter.term=ab", "PRODUCT-2017")]
#[case::nine_words("filter.term=a b c d e f g h i", "PRODUCT-2017")]
#[case::no_term("", "PRODUCT-2016")]
#[case::brand_alone("filter.brand=Kroger", "PRODUCT-2016")]
#[case::short_store("filter.term=milk&filter.locationId=1", "PRODUCT-2011")]
#[case::large_limit("filter.term=milk&filter.limit=51", "PRODUCT-2019")]
#[case::far_start("filter.term=milk&filter.start=251", "PRODUCT-2018")]
#[case::bad_id("filter.productId=12", "PRODUCT-2012")]
#[tokio::test]
async fn a_search_outside_the_limits_is_refused(#[case] query: &str, #[case] code: &str) {
    let (status, body) = standin().await.get(&format!("/v1/products?{query}")).await;
    assert_eq!((status.as_u16(), body["errors"]["code"].as_str()), (400, Some(code)), "{body}");
}

#[tokio::test]
async fn what_the_live_api_ignores_is_ignored() {
    let standin = standin().await;
    let total = |body: &Value| body["meta"]["pagination"]["total"].as_u64().unwrap();
    let (_, plain) = standin.get("/v1/products?filter.term=milk").await;
    let (_, fulfilment) = standin.get("/v1/products?filter.term=milk&filter.fulfillment=xyz").await;
    assert_eq!(total(&plain), total(&fulfilment));
    let (_, zero) = standin.get("/v1/products?filter.term=milk&filter.limit=0").await;
    assert_eq!(zero["meta"]["pagination"]["limit"], 10);
    let (status, nowhere) = standin.get("/v1/products?filter.term=milk&filter.locationId=99999999").await;
    assert_eq!((status.as_u16(), total(&nowhere)), (200, 0));
    let ids = "/v1/products?filter.productId=0001111041700,0000000000000&filter.brand=Nobody";
    let (_, ids) = standin.get(ids).await;
    assert_eq!(total(&ids), 1);
    assert_eq!(ids["meta"]["warnings"], json!(["productId 0000000000000 not found"]));
}

#[tokio::test]
async fn pages_of_a_search_do_not_overlap_and_reach_its_end() {
    let standin = standin().await;
    let (_, first) = standin.get("/v1/products?filter.term=kroger&filter.limit=20").await;
    let (_, second) = standin.get("/v1/products?filter.term=kroger&filter.limit=20&filter.start=20").await;
    let ids = |body: &Value| -> Vec<String> {
        body["data"].as_array().unwrap().iter().map(|p| p["productId"].to_string()).collect()
    };
    let total = usize::try_from(first["meta"]["pagination"]["total"].as_u64().unwrap()).unwrap();
    assert_eq!(ids(&first).len(), 20);
    assert_eq!(ids(&second).len(), total - 20);
    assert!(ids(&second).iter().all(|id| !ids(&first).contains(id)));
}

#[tokio::test]
async fn an_unknown_product_is_an_empty_404_and_a_short_id_a_400() {
    let standin = standin().await;
    assert_eq!(standin.get("/v1/products/0000000000000").await, (StatusCode::NOT_FOUND, Value::Null));
    let (status, body) = standin.get("/v1/products/12").await;
    assert_eq!((status.as_u16(), reason(&body)), (400, "UPC must have a length of 13 characters"));
}

#[tokio::test]
async fn stores_are_found_near_a_place_nearest_first_and_by_department() {
    let standin = standin().await;
    let (_, near) = standin.get("/v1/locations?filter.zipCode.near=45202&filter.radiusInMiles=15").await;
    assert_eq!(near["data"][0]["locationId"], "01400413");
    let (_, fuel) = standin
        .get("/v1/locations?filter.zipCode.near=45202&filter.radiusInMiles=15&filter.department=94")
        .await;
    let fuel = fuel["data"].as_array().unwrap();
    assert!(!fuel.is_empty() && fuel.len() < near["data"].as_array().unwrap().len());
    let (_, point) = standin.get("/v1/locations?filter.latLong.near=45.51,-122.62&filter.limit=1").await;
    assert_eq!(point["data"][0]["chain"], "FRED MEYER");
    let (_, none) = standin.get("/v1/locations?filter.zipCode.near=10001").await;
    assert_eq!(none["data"], json!([]));
}

#[rstest]
#[case("filter.zipCode.near=4520", "Field 'filter.zipCode.near' must 5 digits")]
#[case(
    "filter.latLong.near=91,0",
    "Field 'filter.latLong.near' improper coordinate location, must be on Earth"
)]
#[case(
    "filter.zipCode.near=45202&filter.radiusInMiles=101",
    "Field 'filter.radiusInMiles' outside of distance limits, distance range is 1 - 100 miles."
)]
#[case("filter.limit=201", "Field 'limit' must be a number between 1 and 200 (inclusive)")]
#[case("filter.locationId=1", "Field 'locationId' must have a length of 8 characters")]
#[case("filter.department=ZZ", "Field 'filter.department' contains invalid department ID(s)")]
#[tokio::test]
async fn a_store_search_outside_the_limits_is_refused(#[case] query: &str, #[case] expected: &str) {
    let (status, body) = standin().await.get(&format!("/v1/locations?{query}")).await;
    assert_eq!((status.as_u16(), reason(&body)), (400, expected));
}

#[tokio::test]
async fn head_tells_whether_a_store_a_chain_or_a_department_exists() {
    let standin = standin().await;
    let token = standin.token("").await;
    for (path, expected) in [
        ("/v1/locations/01400376", 204),
        ("/v1/locations/00000000", 404),
        ("/v1/chains/KROGER", 204),
        ("/v1/chains/NOBODY", 404),
        ("/v1/departments/09", 204),
        ("/v1/departments/ZZ", 404),
    ] {
        let response = standin.http.head(standin.url(path)).bearer_auth(&token).send().await.unwrap();
        assert_eq!(response.status().as_u16(), expected, "{path}");
    }
    let (status, body) = standin.get("/v1/departments/123").await;
    assert_eq!((status.as_u16(), body["errors"]["code"].as_str()), (400, Some("LOCATION-2119")));
}

#[tokio::test]
async fn an_application_token_opens_no_cart() {
    let standin = standin().await;
    let token = standin.token("product.compact").await;
    let cart = standin.http.put(standin.url("/v1/cart/add")).bearer_auth(token).send().await.unwrap();
    assert_eq!(cart.status(), 403);
    assert_eq!(cart.json::<Value>().await.unwrap()["code"], "AUTH-1007");
}

#[tokio::test]
async fn a_fault_strikes_its_path_as_often_as_asked_and_requests_are_counted() {
    let standin = standin().await;
    standin
        .switch(json!({"path": "/v1/products", "kind": "status", "status": 503, "form": "html", "times": 1}))
        .await;
    assert_eq!(standin.get("/v1/chains").await.0, 200);
    assert_eq!(standin.get("/v1/products?filter.term=milk").await.0, 503);
    assert_eq!(standin.get("/v1/products?filter.term=milk").await.0, 200);
    let counts: Value =
        standin.http.get(standin.url("/_standin/requests")).send().await.unwrap().json().await.unwrap();
    assert_eq!(counts["GET /v1/products"], 2);
    let faults: Value =
        standin.http.get(standin.url("/_standin/faults")).send().await.unwrap().json().await.unwrap();
    assert_eq!(faults[0]["hits"], 1);
}

#[tokio::test]
async fn a_rate_limit_a_broken_body_and_a_dropped_connection_can_be_switched_on() {
    let standin = standin().await;
    let token = standin.token("product.compact").await;
    let url = standin.url("/v1/products?filter.term=milk");
    let send = || standin.http.get(&url).bearer_auth(&token).send();
    standin.switch(json!({"kind": "rate_limit", "retry_after": 7, "times": 1})).await;
    let limited = send().await.unwrap();
    assert_eq!((limited.status().as_u16(), &limited.headers()["retry-after"]), (429, &"7".parse().unwrap()));
    standin.switch(json!({"kind": "malformed", "times": 1})).await;
    assert!(send().await.unwrap().json::<Value>().await.is_err());
    standin.switch(json!({"kind": "drop", "times": 1})).await;
    let broken = match send().await {
        Ok(response) => response.bytes().await.is_err(),
        Err(_) => true,
    };
    assert!(broken);
}

#[tokio::test]
async fn a_daily_limit_ends_one_group_and_leaves_the_others() {
    let standin = standin().await;
    standin.set(json!({"daily_limit": 1})).await;
    assert_eq!(standin.get("/v1/products?filter.term=milk").await.0, 200);
    assert_eq!(standin.get("/v1/products/0001111041700").await.0, 429);
    assert_eq!(standin.get("/v1/locations").await.0, 200);
}

#[tokio::test]
async fn every_answer_says_that_a_stand_in_gave_it() {
    let standin = standin().await;
    for path in ["/healthz", "/v1/products", "/nowhere"] {
        let response = standin.http.get(standin.url(path)).send().await.unwrap();
        assert_eq!(response.headers()["x-portico-standin"], "kroger", "{path}");
        assert_eq!(response.headers()["x-correlation-id"].len(), 32);
    }
}
