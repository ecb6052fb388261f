//! The server against the running stand-in, through an MCP client of each era.

use std::{net::SocketAddr, num::NonZeroU32, time::Duration};

use portico_kit::upstream::{Policy, Retry, Strategy};
use portico_kroger::{Config, run_on};
use portico_standins::kroger::{self as standin, Credentials};
use rmcp::{
    ClientLifecycleMode, ClientServiceExt, RoleClient, ServiceError,
    model::{CallToolRequestParams, CallToolResult, ProtocolVersion},
    service::RunningService,
    transport::{StreamableHttpClientTransport, streamable_http_client::StreamableHttpClientTransportConfig},
};
use rstest::rstest;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

const SEARCH: &str = "search_products_advanced";
const STORES: &str = "store_locator_advanced";
const STORE: &str = "01400376";

#[derive(Clone, Copy, Debug, PartialEq)]
enum Era {
    Legacy,
    Modern,
}

struct World {
    standin: SocketAddr,
    server: SocketAddr,
    client: RunningService<RoleClient, ()>,
    http: reqwest::Client,
    _stop: DropGuard,
}

fn quick() -> Policy {
    Policy {
        // Longer than a busy machine takes to answer: what is given up too early is asked twice.
        attempt_timeout: Duration::from_secs(20),
        call_timeout: Duration::from_mins(1),
        retry: Retry { strategy: Strategy::Fixed(Duration::from_millis(5)), ..Retry::default() },
        per_minute: NonZeroU32::new(6_000).unwrap(),
        ..Policy::default()
    }
}

/// Little where Kroger is too slow.
fn patience_with(fault: &Value) -> Policy {
    let is_slow = fault["kind"] == "delay";
    Policy { attempt_timeout: Duration::from_secs(if is_slow { 3 } else { 20 }), ..quick() }
}

async fn world(era: Era) -> World {
    world_with(era, "standin-secret", quick()).await
}

async fn world_with(era: Era, secret: &str, policy: Policy) -> World {
    rustls::crypto::ring::default_provider().install_default().ok();
    let stop = CancellationToken::new();
    let standin = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (standin_at, server_at) = (standin.local_addr().unwrap(), server.local_addr().unwrap());
    tokio::spawn(standin::run_on(standin, Credentials::from_env(&|_| None), stop.clone()));
    let config = Config::from_env(&|name| match name {
        "KROGER_CLIENT_ID" => Some("standin-client".to_owned()),
        "KROGER_CLIENT_SECRET" => Some(secret.to_owned()),
        "KROGER_BASE_URL" => Some(format!("http://{standin_at}")),
        _ => None,
    });
    tokio::spawn(run_on(server, config.unwrap().with_policy(policy), stop.clone()));
    World {
        standin: standin_at,
        server: server_at,
        client: connect(server_at, era).await,
        http: reqwest::Client::new(),
        _stop: stop.drop_guard(),
    }
}

async fn connect(server: SocketAddr, era: Era) -> RunningService<RoleClient, ()> {
    let config = StreamableHttpClientTransportConfig::with_uri(format!("http://{server}/mcp"));
    let transport = StreamableHttpClientTransport::with_client(reqwest::Client::new(), config);
    let mode = match era {
        Era::Legacy => ClientLifecycleMode::Initialize,
        Era::Modern => {
            ClientLifecycleMode::Discover { preferred_versions: vec![ProtocolVersion::V_2026_07_28] }
        }
    };
    ().serve_with_lifecycle(transport, mode).await.unwrap()
}

impl World {
    async fn try_call(&self, tool: &'static str, arguments: Value) -> Result<CallToolResult, ServiceError> {
        let params = CallToolRequestParams::new(tool).with_arguments(arguments.as_object().cloned().unwrap());
        self.client.call_tool(params).await
    }

    /// The structured answer, after checking it against the tool's output schema.
    async fn call(&self, tool: &'static str, arguments: Value) -> Value {
        let result = self.try_call(tool, arguments).await.unwrap();
        assert_ne!(result.is_error, Some(true), "{:?}", result.content);
        let found = result.structured_content.unwrap();
        let tools = self.client.list_all_tools().await.unwrap();
        let schema = tools.iter().find(|listed| listed.name == tool).unwrap().output_schema.clone().unwrap();
        jsonschema::validate(&Value::Object((*schema).clone()), &found).unwrap();
        found
    }

    async fn switch(&self, fault: Value) {
        let url = format!("http://{}/_standin/faults", self.standin);
        assert_eq!(self.http.post(url).json(&fault).send().await.unwrap().status(), 201);
    }

    async fn count(&self, request: &str) -> u64 {
        let url = format!("http://{}/_standin/requests", self.standin);
        let counts: Value = self.http.get(url).send().await.unwrap().json().await.unwrap();
        counts[request].as_u64().unwrap_or(0)
    }
}

/// Code and class of a failure, in the form that the era gets it.
fn failure(result: Result<CallToolResult, ServiceError>) -> (i64, String, String) {
    let (data, message) = match result {
        Err(ServiceError::McpError(error)) => (error.data.clone().unwrap(), error.message.to_string()),
        Ok(result) => {
            assert_eq!(result.is_error, Some(true), "{result:?}");
            let message = result.content[0].as_text().unwrap().text.clone();
            (result.meta.unwrap().0["portico.dev/error"].clone(), message)
        }
        Err(other) => panic!("{other}"),
    };
    (data["code"].as_i64().unwrap(), data["class"].as_str().unwrap().to_owned(), message)
}

#[rstest]
#[tokio::test]
async fn a_search_with_a_store_tells_prices_as_upstream_gives_them(
    #[values(Era::Legacy, Era::Modern)] era: Era,
) {
    let world = world(era).await;
    let found =
        world.call(SEARCH, json!({"query": "reduced fat milk", "filters": {"location_id": STORE}})).await;
    let first = &found["products"][0];
    assert_eq!(first["name"], "Kroger 2% Reduced Fat Milk");
    assert_eq!(
        first["price"],
        json!({"current": 1.59, "regular": 1.99, "sale": 1.59, "savings": 0.4, "currency": "USD"})
    );
    assert_eq!(first["aisle"], "Aisle 35");
}

#[tokio::test]
async fn without_a_store_prices_are_said_to_be_missing() {
    let world = world(Era::Modern).await;
    let result = world.try_call(SEARCH, json!({"query": "milk", "limit": 2})).await.unwrap();
    let found = result.structured_content.unwrap();
    assert!(found["products"].as_array().unwrap().iter().all(|product| product["price"].is_null()));
    assert!(found["notes"][0].as_str().unwrap().contains("no price"));
    assert!(result.content[0].as_text().unwrap().text.contains("no price given"));
}

#[tokio::test]
async fn prices_sort_and_filter_and_a_product_without_one_is_counted_not_guessed() {
    let world = world(Era::Legacy).await;
    let arguments = json!({"query": "kroger", "sort": "price_low", "limit": 50,
        "filters": {"location_id": STORE, "max_price": 2.49}});
    let found = world.call(SEARCH, arguments).await;
    let prices: Vec<f64> = found["products"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p["price"]["current"].as_f64().unwrap())
        .collect();
    assert!(
        prices.len() > 5 && prices.is_sorted() && prices.iter().all(|price| *price <= 2.49),
        "{prices:?}"
    );

    let found = world
        .call(
            SEARCH,
            json!({"query": "milk", "sort": "price_high", "limit": 50, "filters": {"location_id": STORE}}),
        )
        .await;
    let last = found["products"].as_array().unwrap().last().unwrap();
    assert_eq!((last["name"].as_str(), &last["price"]), (Some("Harbor Lane Chocolate Milk"), &Value::Null));
    let found = world
        .call(SEARCH, json!({"query": "milk", "filters": {"location_id": STORE, "on_sale": true}}))
        .await;
    assert!(found["left_out_without_price"].as_u64().unwrap() >= 1);
    assert!(found["products"].as_array().unwrap().iter().all(|p| p["price"]["sale"].is_number()));
}

#[tokio::test]
async fn a_filter_looks_beyond_the_first_page() {
    let world = world(Era::Modern).await;
    let arguments = json!({"query": "kroger simple truth harbor lane private selection", "sort": "name",
        "limit": 50, "filters": {"location_id": STORE}});
    let found = world.call(SEARCH, arguments).await;
    assert!(found["total"].as_u64().unwrap() > 50);
    assert_eq!(found["considered"], found["total"]);
    assert_eq!(world.count("GET /v1/products").await, 2);
}

#[rstest]
#[case(json!({"query": "ab"}), "query")]
#[case(json!({"query": "a b c d e f g h i"}), "query")]
#[case(json!({}), "query")]
#[case(json!({"query": "milk", "limit": 51}), "limit")]
#[case(json!({"query": "milk", "limit": "ten"}), "limit")]
#[case(json!({"query": "milk", "colour": 1}), "colour")]
#[case(json!({"query": "milk", "filters": {"max_price": "cheap"}}), "filters.max_price")]
#[case(json!({"query": "milk", "filters": {"max_price": 3}}), "filters.max_price")]
#[case(json!({"query": "milk", "filters": {"location_id": "1"}}), "filters.location_id")]
#[case(json!({"query": "milk", "filters": {"location_id": STORE, "min_price": 5, "max_price": 1}}), "filters.min_price")]
#[case(json!({"query": "milk", "sort": "price_low"}), "sort")]
#[tokio::test]
async fn a_wrong_argument_is_named_and_kroger_is_not_asked(#[case] arguments: Value, #[case] field: &str) {
    let world = world(Era::Modern).await;
    let (code, class, message) = failure(world.try_call(SEARCH, arguments).await);
    assert_eq!((code, class.as_str()), (-32602, "validation"));
    assert!(message.starts_with(&format!("{field}: ")), "{message}");
    assert_eq!(world.count("GET /v1/products").await, 0);
}

#[rstest]
#[tokio::test]
async fn stores_have_the_services_asked_for_nearest_first(#[values(Era::Legacy, Era::Modern)] era: Era) {
    let world = world(era).await;
    let arguments = json!({"lat": 39.109, "lon": -84.502, "radius": 20, "services": ["pharmacy", "fuel"]});
    let found = world.call(STORES, arguments).await;
    let stores = found["stores"].as_array().unwrap();
    let miles: Vec<f64> = stores.iter().map(|store| store["distance_miles"].as_f64().unwrap()).collect();
    assert!(miles.len() >= 3 && miles.is_sorted(), "{miles:?}");
    for store in stores {
        let services = store["services"].as_array().unwrap();
        assert!(services.contains(&json!("Pharmacy")) && services.contains(&json!("Fuel Center")));
    }
}

#[tokio::test]
async fn open_now_keeps_the_store_that_never_closes_and_counts_those_without_hours() {
    let world = world(Era::Modern).await;
    let found =
        world.call(STORES, json!({"zip": "45242", "radius": 30, "open_now": true, "limit": 50})).await;
    let stores = found["stores"].as_array().unwrap();
    assert!(stores.iter().any(|store| store["location_id"] == "01400422"));
    assert!(stores.iter().all(|store| store["open_now"] == true && store["distance_miles"].is_null()));
    assert_eq!(found["left_out_without_hours"], 1);
}

#[rstest]
#[case(json!({}), "zip")]
#[case(json!({"zip": "4520"}), "zip")]
#[case(json!({"zip": "45202", "lat": 1.0, "lon": 1.0}), "zip")]
#[case(json!({"lat": 39.1}), "lon")]
#[case(json!({"lat": 99.0, "lon": 0.0}), "lat")]
#[case(json!({"zip": "45202", "radius": 101}), "radius")]
#[case(json!({"zip": "45202", "services": ["pharmacy", "zoo"]}), "services[1]")]
#[tokio::test]
async fn a_wrong_place_or_service_is_named(#[case] arguments: Value, #[case] field: &str) {
    let world = world(Era::Modern).await;
    let (code, _, message) = failure(world.try_call(STORES, arguments).await);
    assert_eq!(code, -32602);
    assert!(message.starts_with(&format!("{field}: ")), "{message}");
}

#[tokio::test]
async fn many_callers_share_one_token_and_one_answer() {
    let world = world(Era::Modern).await;
    let calls = (0..20).map(|n| world.try_call(SEARCH, json!({"query": "bread", "limit": 1 + n % 2})));
    for result in futures::future::join_all(calls).await {
        assert_ne!(result.unwrap().is_error, Some(true));
    }
    assert_eq!(world.count("POST /v1/connect/oauth2/token").await, 1);
    assert_eq!(world.count("GET /v1/products").await, 2);
}

#[tokio::test]
async fn a_token_that_kroger_refuses_early_is_renewed_once() {
    let world = world(Era::Modern).await;
    world
        .switch(
            json!({"path": "/v1/products", "kind": "status", "status": 401, "form": "gateway", "times": 1}),
        )
        .await;
    world.call(SEARCH, json!({"query": "bread"})).await;
    assert_eq!(world.count("POST /v1/connect/oauth2/token").await, 2);
    assert_eq!(world.count("GET /v1/products").await, 2);
}

#[rstest]
#[case::server(json!({"kind": "status", "status": 503, "form": "html", "times": 2}))]
#[case::burst(json!({"kind": "rate_limit", "times": 2}))]
#[case::dropped(json!({"kind": "drop", "times": 2}))]
#[case::slow(json!({"kind": "delay", "milliseconds": 60000, "times": 1}))]
#[tokio::test]
async fn a_passing_fault_is_retried_without_the_caller_noticing(#[case] mut fault: Value) {
    let world = world_with(Era::Modern, "standin-secret", patience_with(&fault)).await;
    fault["path"] = json!("/v1/products");
    let times = fault["times"].as_u64().unwrap();
    world.switch(fault).await;
    world.call(SEARCH, json!({"query": "bread"})).await;
    assert_eq!(world.count("GET /v1/products").await, times + 1);
}

#[rstest]
#[case::down(json!({"kind": "status", "status": 500}), -32001, "server", 3)]
#[case::html(json!({"kind": "status", "status": 503, "form": "html"}), -32001, "server", 3)]
#[case::dropped(json!({"kind": "drop"}), -32001, "network", 3)]
#[case::slow(json!({"kind": "delay", "milliseconds": 60000}), -32001, "timeout", 3)]
#[case::malformed(json!({"kind": "malformed"}), -32001, "malformed", 1)]
#[case::refused(json!({"kind": "status", "status": 400}), -32001, "validation", 1)]
#[case::missing(json!({"kind": "status", "status": 404, "form": "empty"}), -32001, "not_found", 1)]
#[case::forbidden(json!({"kind": "status", "status": 403, "form": "flat"}), -32002, "authorization", 1)]
#[case::unauthorised(json!({"kind": "status", "status": 401, "form": "gateway"}), -32002, "authentication", 2)]
#[case::limited(json!({"kind": "rate_limit", "retry_after": 600}), -32003, "rate_limit", 1)]
#[tokio::test]
async fn a_lasting_fault_is_classed_and_only_what_may_help_is_tried_again(
    #[case] mut fault: Value,
    #[case] code: i64,
    #[case] class: &str,
    #[case] requests: u64,
    #[values(Era::Legacy, Era::Modern)] era: Era,
) {
    let world = world_with(era, "standin-secret", patience_with(&fault)).await;
    fault["path"] = json!("/v1/products");
    world.switch(fault).await;
    let result = world.try_call(SEARCH, json!({"query": "bread"})).await;
    assert_eq!(result.is_err(), era == Era::Legacy, "{result:?}");
    let (found_code, found_class, message) = failure(result);
    assert_eq!((found_code, found_class.as_str()), (code, class), "{message}");
    assert_eq!(world.count("GET /v1/products").await, requests);
}

#[tokio::test]
async fn wrong_credentials_are_an_authentication_error_that_does_not_show_them() {
    let world = world_with(Era::Legacy, "no-such-secret", quick()).await;
    let (code, class, message) = failure(world.try_call(SEARCH, json!({"query": "bread"})).await);
    assert_eq!((code, class.as_str()), (-32002, "authentication"));
    assert!(message.contains("credentials") && !message.contains("no-such-secret"), "{message}");
}

#[tokio::test]
async fn our_own_limit_of_requests_a_minute_is_told_as_a_rate_limit() {
    let policy = Policy { per_minute: NonZeroU32::new(2).unwrap(), ..quick() };
    let world = world_with(Era::Modern, "standin-secret", policy).await;
    world.call(SEARCH, json!({"query": "bread"})).await;
    let (code, class, _) = failure(world.try_call(SEARCH, json!({"query": "milk"})).await);
    assert_eq!((code, class.as_str()), (-32003, "rate_limit"));
}

#[tokio::test]
async fn an_unknown_tool_is_a_protocol_error_and_a_tool_says_whether_it_only_reads() {
    let world = world(Era::Modern).await;
    let error = world.try_call("manage_everything", json!({})).await.unwrap_err();
    assert!(matches!(error, ServiceError::McpError(error) if error.code.0 == -32602));
    let tools = world.client.list_all_tools().await.unwrap();
    assert_eq!(tools.len(), 8);
    for tool in &tools {
        let reads = [SEARCH, STORES].contains(&tool.name.as_ref());
        assert_eq!(tool.annotations.as_ref().unwrap().read_only_hint, Some(reads), "{}", tool.name);
    }
}

#[tokio::test]
async fn metrics_count_calls_by_outcome_and_requests_by_class() {
    let world = world(Era::Modern).await;
    world.call(SEARCH, json!({"query": "bread"})).await;
    failure(world.try_call(SEARCH, json!({"query": "x"})).await);
    let url = format!("http://{}/metrics", world.server);
    let text = world.http.get(url).send().await.unwrap().text().await.unwrap();
    for line in [
        r#"portico_server_tool_calls_total{tool="search_products_advanced",outcome="Ok"} 1"#,
        r#"portico_server_tool_calls_total{tool="search_products_advanced",outcome="Failed"} 1"#,
        r#"portico_server_upstream_requests_total{class="ok",group="products"} 1"#,
        r#"portico_server_upstream_requests_total{class="ok",group="token"} 1"#,
    ] {
        assert!(text.contains(line), "{line} is missing in\n{text}");
    }
}

#[rstest]
#[case::nothing(&[], "KROGER_CLIENT_ID")]
#[case::no_secret(&[("KROGER_CLIENT_ID", "a")], "KROGER_CLIENT_SECRET")]
#[case::both_secrets(&[("KROGER_CLIENT_ID", "a"), ("KROGER_CLIENT_SECRET", "hidden"), ("KROGER_CLIENT_SECRET_FILE", "/x")], "KROGER_CLIENT_SECRET")]
#[case::no_file(&[("KROGER_CLIENT_ID", "a"), ("KROGER_CLIENT_SECRET_FILE", "/no/such/file")], "KROGER_CLIENT_SECRET_FILE")]
#[case::url(&[("KROGER_CLIENT_ID", "a"), ("KROGER_CLIENT_SECRET", "hidden"), ("KROGER_BASE_URL", "ftp://x")], "KROGER_BASE_URL")]
#[case::store(&[("KROGER_CLIENT_ID", "a"), ("KROGER_CLIENT_SECRET", "hidden"), ("KROGER_LOCATION_ID", "1")], "KROGER_LOCATION_ID")]
#[case::rate(&[("KROGER_CLIENT_ID", "a"), ("KROGER_CLIENT_SECRET", "hidden"), ("MAX_REQUESTS_PER_MINUTE", "0")], "MAX_REQUESTS_PER_MINUTE")]
fn a_wrong_setting_names_its_variable_and_how_to_mend_it(
    #[case] set: &[(&str, &str)],
    #[case] variable: &str,
) {
    let lookup =
        |name: &str| set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    let error = Config::from_env(&lookup).err().unwrap();
    assert_eq!(error.variable, variable);
    assert!(!error.mend.is_empty() && !error.to_string().contains("hidden"), "{error}");
}

/// The check `credentials`, once it is known.
async fn credentials(world: &World) -> (Value, String) {
    let url = format!("http://{}/checks", world.server);
    let deadline = tokio::time::Instant::now() + Duration::from_mins(1);
    while tokio::time::Instant::now() < deadline {
        let text = world.http.get(&url).send().await.unwrap().text().await.unwrap();
        let listed: Value = serde_json::from_str(&text).unwrap();
        let check = &listed["checks"][0];
        assert_eq!(check["name"], "credentials", "{text}");
        if check["state"] != "unknown" {
            return (json!([check["state"], check["reason"]]), text);
        }
        tokio::task::yield_now().await;
    }
    panic!("the server has not asked for a token");
}

#[tokio::test]
async fn the_server_asks_for_a_token_by_itself_and_tells_what_came_of_it() {
    let world = world(Era::Modern).await;
    assert_eq!(credentials(&world).await.0, json!(["ok", "Accepted"]));
}

#[tokio::test]
async fn refused_credentials_are_told_and_shown_to_nobody() {
    let world = world_with(Era::Modern, "not-the-secret", quick()).await;
    let (check, text) = credentials(&world).await;
    assert_eq!(check, json!(["failing", "Refused"]));
    assert!(text.contains("invalid credentials") && !text.contains("not-the-secret"), "{text}");
}

#[tokio::test]
async fn an_upstream_that_does_not_answer_is_told_from_one_that_refuses() {
    rustls::crypto::ring::default_provider().install_default().ok();
    let stop = CancellationToken::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = listener.local_addr().unwrap();
    let config = Config::from_env(&|name| match name {
        "KROGER_CLIENT_ID" | "KROGER_CLIENT_SECRET" => Some("a".to_owned()),
        "KROGER_BASE_URL" => Some("http://127.0.0.1:1".to_owned()),
        _ => None,
    });
    let config = config.unwrap().with_policy(Policy { call_timeout: Duration::from_millis(200), ..quick() });
    let serving = tokio::spawn(run_on(listener, config, stop.clone()));
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let asked = async {
        loop {
            let text =
                http.get(format!("http://{server}/checks")).send().await.unwrap().text().await.unwrap();
            let checks: Value = serde_json::from_str(&text).unwrap();
            if checks["checks"][0]["state"] != "unknown" {
                return text;
            }
            tokio::task::yield_now().await;
        }
    };
    let text = tokio::time::timeout(Duration::from_mins(1), asked).await.unwrap();
    assert!(text.contains("\"failing\"") && text.contains("Unreachable"), "{text}");
    stop.cancel();
    serving.await.unwrap().unwrap();
}
