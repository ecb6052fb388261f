//! What the gateway shows servers to prove who it is.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use futures::FutureExt as _;
use portico_gateway::source::{Endpoint, Server};
use portico_gateway::{Failure, Options, ServerReport, ServerState};
use serde_json::{Value, json};

use super::issuer::{Issuer, Key, RESOURCE};
use super::raw_server::{RawServer, Seen, json_response};
use super::support::{TestGateway, answer, eventually, server};
use super::token_endpoint::{TestSecrets, TokenServer, auth, client};

const TOOL: &str = r#"[{"name":"a","inputSchema":{}}]"#;
const IDP: (&str, &[(&str, &str)]) = ("idp", &[("id", "portico"), ("secret", "s3cr3t-of-client")]);

/// A server that takes only what `good` says, in the header Authorization.
struct Closed {
    raw: RawServer,
    good: Arc<Mutex<Vec<String>>>,
}

impl Closed {
    /// Takes `good`, or with none whatever it is shown.
    async fn start(good: &[&str]) -> Self {
        let good = Arc::new(Mutex::new(good.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>()));
        let taken = Arc::clone(&good);
        let raw = RawServer::legacy(TOOL, move |seen: Seen| {
            let shown = seen.headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
            let good = taken.lock().unwrap();
            let fits = shown.is_some_and(|shown| good.is_empty() || good.contains(&shown));
            let refusal = (!fits).then(|| json_response(401, r#"{"error":"invalid_token"}"#));
            async move { refusal }.boxed()
        })
        .await;
        Self { raw, good }
    }

    fn take(&self, good: &[&str]) {
        *self.good.lock().unwrap() = good.iter().map(|text| (*text).to_owned()).collect();
    }

    fn shown(&self, method: &str) -> Vec<String> {
        let shown =
            |seen: &Seen| seen.headers.get("authorization").map(|value| value.to_str().unwrap().into());
        self.raw.seen(method).iter().filter_map(shown).collect()
    }

    fn behind(&self, spec: Value) -> Server {
        Server { auth: Some(auth(spec)), ..server("raw", &[&self.raw.url()]) }
    }
}

fn options(secrets: &Arc<TestSecrets>) -> Options {
    Options { secrets: Some(Arc::clone(secrets) as _), ..Options::default() }
}

fn header() -> Value {
    json!({"header": {"prefix": "Bearer ", "secretKeyRef": {"name": "key", "key": "token"}}})
}

async fn call(gateway: &TestGateway) -> Value {
    gateway.modern("tools/call", json!({ "name": "a" })).await.1
}

fn failure(report: &ServerReport) -> Option<&str> {
    match &report.state {
        ServerState::Failing { reason, kind: Failure::Unauthorized } => Some(reason),
        _ => None,
    }
}

#[tokio::test]
async fn a_secret_is_shown_to_its_server_with_every_request_and_to_no_other() {
    let closed = Closed::start(&["Bearer sesame"]).await;
    let open =
        RawServer::legacy(r#"[{"name":"b","inputSchema":{}}]"#, super::raw_server::nothing_special).await;
    let secrets = TestSecrets::with(&[("key", &[("token", "sesame\n")])]);
    let servers = vec![closed.behind(header()), server("open", &[&open.url()])];
    let gateway = TestGateway::with(options(&secrets), servers).await;
    gateway.until_tools(&["a", "b"]).await;
    for name in ["a", "b"] {
        let (_, called) = gateway.modern("tools/call", json!({ "name": name })).await;
        assert!(called["result"]["content"].is_array(), "{called}");
    }
    assert_eq!(closed.shown("").len(), closed.raw.seen("").len(), "without a body, as GET");
    assert!(open.seen("").iter().all(|seen| !seen.headers.contains_key("authorization")));
    assert!(!gateway.get("/metrics").await.1.contains("sesame"));
}

#[tokio::test]
async fn another_header_may_carry_the_secret() {
    let raw = RawServer::legacy(TOOL, |seen: Seen| {
        let fits = seen.headers.get("x-api-key").is_some_and(|value| value == "sesame");
        let refusal = (!fits).then(|| json_response(401, ""));
        async move { refusal }.boxed()
    })
    .await;
    let secrets = TestSecrets::with(&[("key", &[("token", "sesame")])]);
    let spec = json!({"header": {"name": "X-API-Key", "secretKeyRef": {"name": "key", "key": "token"}}});
    let behind = Server { auth: Some(auth(spec)), ..server("raw", &[&raw.url()]) };
    let gateway = TestGateway::with(options(&secrets), vec![behind]).await;
    gateway.until_tools(&["a"]).await;
    assert!(call(&gateway).await["result"].is_object());
}

#[tokio::test]
async fn a_missing_secret_is_named_by_its_field_harms_no_other_server_and_is_taken_when_it_comes() {
    let (closed, other) = (Closed::start(&["Bearer sesame"]).await, Closed::start(&["Bearer other"]).await);
    let secrets = TestSecrets::with(&[("key2", &[("token", "other")])]);
    let mut second = other
        .behind(json!({"header": {"prefix": "Bearer ", "secretKeyRef": {"name": "key2", "key": "token"}}}));
    second.key.name = "other".into();
    let gateway = TestGateway::with(options(&secrets), vec![closed.behind(header()), second]).await;
    let failing = gateway.until_report("raw", |report| failure(report).is_some()).await;
    let expected =
        "spec.upstreamAuth.header.secretKeyRef: Secret 'key' does not exist in this namespace; create it";
    assert!(failure(&failing).unwrap().ends_with(expected), "{failing:?}");
    gateway.until_connected("other").await;
    assert_eq!(closed.raw.seen("").len(), 0, "it is not asked without its credential");
    secrets.set("key", &[("word", "sesame")]);
    let failing =
        |report: &ServerReport| failure(report).is_some_and(|why| why.contains("has no key 'token'"));
    gateway.until_report("raw", failing).await;
    secrets.set("key", &[("token", "sesame")]);
    gateway.until_connected("raw").await;
}

#[tokio::test]
async fn a_rotated_secret_is_read_again_when_the_server_refuses_the_old_one() {
    let closed = Closed::start(&["Bearer old-secret"]).await;
    let secrets = TestSecrets::with(&[("key", &[("token", "old-secret")])]);
    let gateway = TestGateway::with(options(&secrets), vec![closed.behind(header())]).await;
    gateway.until_tools(&["a"]).await;
    closed.take(&["Bearer new-secret"]);
    let refused = call(&gateway).await["error"]["message"].to_string();
    assert!(refused.contains("answered HTTP 401: it refuses the credential"), "{refused}");
    assert!(!refused.contains("secret\""), "{refused}");
    secrets.set("key", &[("token", "new-secret")]);
    eventually("the new secret is taken", async || call(&gateway).await["result"].is_object()).await;
    assert_eq!(closed.shown("tools/call").last().unwrap(), "Bearer new-secret");
}

#[tokio::test]
async fn a_server_that_wants_a_credential_and_is_shown_none_says_so() {
    let closed = Closed::start(&["Bearer sesame"]).await;
    let gateway = TestGateway::start(vec![server("raw", &[&closed.raw.url()])]).await;
    let failing = gateway.until_report("raw", |report| failure(report).is_some()).await;
    assert!(failure(&failing).unwrap().contains("give one by `spec.upstreamAuth`"), "{failing:?}");
}

#[tokio::test]
async fn a_client_gets_one_token_for_everybody_in_either_way_of_showing_its_secret() {
    for method in ["Basic", "Post"] {
        let (tokens, closed) = (TokenServer::start().await, Closed::start(&[]).await);
        let more = json!({"authMethod": method, "scopes": ["a:b", "c"], "resource": "https://s.example/mcp", "audience": "s"});
        let spec = json!({"clientCredentials": client(&tokens.url(), &more)});
        let gateway = TestGateway::with(options(&TestSecrets::with(&[IDP])), vec![closed.behind(spec)]).await;
        gateway.until_tools(&["a"]).await;
        let calls = futures::future::join_all((0..10).map(|_| call(&gateway))).await;
        assert!(calls.iter().all(|called| called["result"].is_object()), "{calls:?}");
        assert!(closed.shown("").iter().all(|shown| shown == "Bearer t-1"), "{:?}", closed.shown(""));
        let asked = tokens.asked();
        assert_eq!(asked.len(), 1, "{asked:?}");
        let said = ["grant_type", "scope", "resource", "audience"].map(|name| asked[0].field(name));
        assert_eq!(said, ["client_credentials", "a:b c", "https://s.example/mcp", "s"]);
        let basic = base64::engine::general_purpose::STANDARD.encode("portico:s3cr3t-of-client");
        let (header, form) = (asked[0].authorization.clone(), asked[0].field("client_secret"));
        match method {
            "Basic" => assert_eq!((header, form), (Some(format!("Basic {basic}")), "")),
            _ => assert_eq!((header, form), (None, "s3cr3t-of-client")),
        }
    }
}

#[tokio::test]
async fn a_token_that_the_server_refuses_is_replaced_once() {
    let (tokens, closed) = (TokenServer::start().await, Closed::start(&["Bearer t-1"]).await);
    let spec = json!({"clientCredentials": client(&tokens.url(), &json!({}))});
    let gateway = TestGateway::with(options(&TestSecrets::with(&[IDP])), vec![closed.behind(spec)]).await;
    gateway.until_tools(&["a"]).await;
    assert!(call(&gateway).await["result"].is_object());
    closed.take(&["Bearer t-2"]);
    assert!(call(&gateway).await["result"].is_object());
    assert_eq!(closed.shown("tools/call"), ["Bearer t-1", "Bearer t-1", "Bearer t-2"]);
    closed.take(&["Bearer none"]);
    let refused = futures::future::join_all((0..10).map(|_| call(&gateway))).await;
    assert!(refused.iter().all(|called| called["error"]["data"]["reason"] == "unauthorized"), "{refused:?}");
    assert!(tokens.asked().len() <= 4, "a server that refuses all makes no flood: {}", tokens.asked().len());
}

#[tokio::test]
async fn an_outage_of_the_token_endpoint_is_told_to_callers_and_in_the_servers_state() {
    let (tokens, closed) = (TokenServer::start().await, Closed::start(&[]).await);
    tokens.refuse(Some((
        400,
        json!({"error": "invalid_scope", "error_description": "s3cr3t-of-client is bad"}),
    )));
    let spec = json!({"clientCredentials": client(&tokens.url(), &json!({}))});
    let quick = Options { refresh: Duration::from_millis(100), ..options(&TestSecrets::with(&[IDP])) };
    let gateway = TestGateway::with(quick, vec![closed.behind(spec)]).await;
    let failing = gateway.until_report("raw", |report| failure(report).is_some()).await;
    let expected =
        "spec.upstreamAuth.clientCredentials.tokenUrl: the token endpoint answered HTTP 400 (invalid_scope)";
    assert!(failure(&failing).unwrap().ends_with(expected), "{failing:?}");
    tokens.refuse(None);
    // Beyond the handshake, the lists and the call below.
    tokens.set_life(10);
    gateway.until_connected("raw").await;
    tokens.stop();
    assert!(call(&gateway).await["result"].is_object(), "a known token goes on until it expires");
    let away =
        |report: &ServerReport| failure(report).is_some_and(|why| why.contains("cannot be reached at"));
    gateway.until_report("raw", away).await;
    let said = call(&gateway).await["error"]["message"].to_string();
    assert!(said.contains("the token endpoint cannot be reached at"), "{said}");
    assert!(!said.contains("s3cr3t"), "{said}");
}

#[tokio::test]
async fn a_token_endpoint_within_a_private_network_is_not_asked_unless_that_is_allowed() {
    let (tokens, closed) = (TokenServer::start().await, Closed::start(&[]).await);
    for url in [tokens.url(), format!("http://localhost:{}/token", tokens.address.port())] {
        let spec = json!({"clientCredentials": client(&url, &json!({}))});
        let closed_off = Options { allowed_remotes: Vec::new(), ..options(&TestSecrets::with(&[IDP])) };
        let gateway = TestGateway::with(closed_off, vec![closed.behind(spec)]).await;
        let private = |report: &ServerReport| {
            failure(report)
                .is_some_and(|why| why.contains("which is not public") || why.contains("that is not public"))
        };
        gateway.until_report("raw", private).await;
    }
    assert!(tokens.asked().is_empty());
}

#[tokio::test]
async fn a_changed_client_secret_is_taken_when_the_token_endpoint_refuses_the_old_one() {
    let (tokens, closed) = (TokenServer::start().await, Closed::start(&[]).await);
    let secrets = TestSecrets::with(&[IDP]);
    tokens.refuse(Some((401, json!({"error": "invalid_client"}))));
    let spec = json!({"clientCredentials": client(&tokens.url(), &json!({"authMethod": "Post"}))});
    let gateway = TestGateway::with(options(&secrets), vec![closed.behind(spec)]).await;
    gateway
        .until_report("raw", |report| failure(report).is_some_and(|why| why.contains("invalid_client")))
        .await;
    secrets.set("idp", &[("id", "portico"), ("secret", "fresh")]);
    eventually("the endpoint is shown the new secret", async || {
        tokens.asked().last().unwrap().field("client_secret") == "fresh"
    })
    .await;
    tokens.refuse(None);
    gateway.until_connected("raw").await;
}

#[tokio::test]
async fn exposed_paths_are_shown_nothing() {
    let closed = Closed::start(&["Bearer sesame"]).await;
    let secrets = TestSecrets::with(&[("key", &[("token", "sesame")])]);
    let mut behind = closed.behind(header());
    behind.exposure.mcp = "/mcp".into();
    behind.exposure.paths = serde_json::from_value(json!([{"path": "/hook"}])).unwrap();
    let gateway = TestGateway::with(options(&secrets), vec![behind]).await;
    gateway.until_tools(&["a"]).await;
    let before = closed.shown("").len();
    assert_eq!(gateway.get("/servers/shop/raw/hook").await.0, 401, "the server's own answer");
    assert_eq!(closed.shown("").len(), before);
}

#[tokio::test]
async fn a_server_that_sends_elsewhere_gets_nothing_sent_elsewhere() {
    let thief = RawServer::legacy(TOOL, super::raw_server::nothing_special).await;
    let target = thief.url();
    let raw = RawServer::legacy(TOOL, move |_| {
        let location = [("location", target.clone())];
        async move {
            Some(axum::response::IntoResponse::into_response((
                http::StatusCode::TEMPORARY_REDIRECT,
                location,
            )))
        }
        .boxed()
    })
    .await;
    let secrets = TestSecrets::with(&[("key", &[("token", "sesame")])]);
    let behind = Server {
        auth: Some(auth(header())),
        endpoints: vec![Endpoint::remote(raw.url())],
        ..server("raw", &[])
    };
    let gateway = TestGateway::with(options(&secrets), vec![behind]).await;
    let redirected = |report: &ServerReport| matches!(&report.state, ServerState::Failing { reason, .. } if reason.contains("HTTP 307"));
    gateway.until_report("raw", redirected).await;
    assert!(thief.seen("").is_empty());
}

/// A gateway that takes tokens of `issuer` and the API key of Ada, in front of a server to which callers' tokens are exchanged.
struct Exchanging {
    gateway: TestGateway,
    tokens: TokenServer,
    closed: Closed,
    issuer: Issuer,
    key: Key,
    _folder: tempfile::TempDir,
}

impl Exchanging {
    async fn start(more: Value) -> Self {
        let (issuer, key) = (Issuer::start().await, Key::ed());
        issuer.set_keys(&[("k", &key)]);
        let (tokens, closed) = (TokenServer::start().await, Closed::start(&[]).await);
        let spec = json!({"tokenExchange": client(&tokens.url(), &more)});
        let gateway = TestGateway::with(options(&TestSecrets::with(&[IDP])), vec![closed.behind(spec)]).await;
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("keys")).unwrap();
        std::fs::write(folder.path().join("keys/ada"), "ada-has-a-long-key").unwrap();
        let config = folder.path().join("gateway.yaml");
        let keys = folder.path().join("keys").display().to_string();
        let text = format!(
            "auth: {{apiKeys: {{folder: {keys}}}, oauth: {{resource: '{RESOURCE}', issuers: [{{issuer: '{}'}}]}}}}",
            issuer.name()
        );
        std::fs::write(&config, text).unwrap();
        gateway.until_connected("raw").await;
        gateway.gateway.configure_from(&config).unwrap();
        Self { gateway, tokens, closed, issuer, key, _folder: folder }
    }

    fn token(&self, subject: &str, scope: &str) -> String {
        self.issuer.token_with("k", &self.key, |claims| {
            claims["sub"] = subject.into();
            claims["scope"] = scope.into();
        })
    }

    async fn call(&self, credential: &str) -> Value {
        let request = self.gateway.modern_request("tools/call", json!({ "name": "a" }));
        answer(request.header("authorization", format!("Bearer {credential}")).send().await.unwrap()).await.1
    }

    fn exchanges(&self) -> Vec<super::token_endpoint::Asked> {
        let all = self.tokens.asked().into_iter();
        all.filter(|asked| asked.field("grant_type").ends_with("token-exchange")).collect()
    }
}

#[tokio::test]
async fn each_caller_is_known_to_the_server_by_a_token_in_exchange_for_its_own() {
    let exchanging = Exchanging::start(json!({"audience": "stock", "requestedTokenType": "Jwt"})).await;
    let (ada, bob) = (exchanging.token("ada", "tools"), exchanging.token("bob", "tools"));
    let calls =
        futures::future::join_all((0..10).map(|at| exchanging.call(if at % 2 == 0 { &ada } else { &bob })))
            .await;
    assert!(calls.iter().all(|called| called["result"].is_object()), "{calls:?}");
    let asked = exchanging.exchanges();
    assert_eq!(asked.len(), 2, "one for each: {asked:?}");
    let urn = |what: &str| format!("urn:ietf:params:oauth:token-type:{what}");
    for asked in &asked {
        assert!([&ada, &bob].iter().any(|token| *token == asked.field("subject_token")));
        assert_eq!(asked.field("subject_token_type"), urn("access_token"));
        assert_eq!(
            (asked.field("requested_token_type"), asked.field("audience")),
            (urn("jwt").as_str(), "stock")
        );
    }
    let shown = exchanging.closed.shown("tools/call");
    let of = |token: &str| shown.iter().filter(|shown| shown.contains(&token[token.len() - 6..])).count();
    assert_eq!((of(&ada), of(&bob), shown.len()), (5, 5, 10), "{shown:?}");
    assert!(
        shown.iter().all(|shown| !shown.contains(&ada) && !shown.contains(&bob)),
        "never the caller's own token"
    );
    assert!(
        exchanging.closed.shown("tools/list").iter().all(|shown| shown == "Bearer t-1"),
        "lists are asked for by the gateway itself"
    );
}

#[tokio::test]
async fn a_token_of_one_caller_that_may_less_is_exchanged_by_itself() {
    let exchanging = Exchanging::start(json!({})).await;
    for scope in ["tools write", "tools", "tools write"] {
        assert!(exchanging.call(&exchanging.token("ada", scope)).await["result"].is_object());
    }
    assert_eq!(exchanging.exchanges().len(), 2);
}

#[tokio::test]
async fn who_came_without_a_token_is_refused_and_told_why() {
    let exchanging = Exchanging::start(json!({})).await;
    let refused = exchanging.call("ada-has-a-long-key").await;
    let message = refused["error"]["message"].as_str().unwrap();
    assert!(message.contains("came without an access token; sign in with OAuth"), "{message}");
    assert!(exchanging.exchanges().is_empty() && exchanging.closed.raw.seen("tools/call").is_empty());
}

#[tokio::test]
async fn a_refused_exchange_is_told_without_what_the_endpoint_says_of_it() {
    let exchanging = Exchanging::start(json!({})).await;
    let token = exchanging.token("ada", "tools");
    exchanging.tokens.refuse(Some((400, json!({"error": "invalid_target", "error_description": token}))));
    let refused = exchanging.call(&token).await["error"]["message"].to_string();
    assert!(refused.contains("HTTP 400 (invalid_target)") && !refused.contains(&token), "{refused}");
}

/// Everything that this test's thread logs, also what hyper and others say.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_secret_and_no_token_stands_in_the_log_however_much_is_logged() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let exchanging = Exchanging::start(json!({"authMethod": "Post"})).await;
    let token = exchanging.token("ada", "tools");
    assert!(exchanging.call(&token).await["result"].is_object());
    exchanging.tokens.refuse(Some((401, json!({"error": "invalid_client", "error_description": token}))));
    assert!(exchanging.call(&exchanging.token("bob", "tools")).await["error"].is_object());
    exchanging.closed.take(&["Bearer none"]);
    assert!(exchanging.call(&token).await["error"].is_object());
    let text = String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
    assert!(text.contains("shop/raw"), "something is logged");
    let shown = exchanging.closed.shown("tools/call").pop().unwrap();
    for secret in ["s3cr3t-of-client", &token, shown.strip_prefix("Bearer ").unwrap()] {
        assert!(!text.contains(secret), "{secret} stands in the log");
    }
}

#[tokio::test]
async fn lists_are_asked_for_without_a_token_where_the_server_gives_them_to_everybody() {
    let tokens = TokenServer::start().await;
    let raw = RawServer::legacy(TOOL, super::raw_server::nothing_special).await;
    let spec = json!({"tokenExchange": client(&tokens.url(), &json!({"ownRequests": "Anonymous"}))});
    let behind = Server { auth: Some(auth(spec)), ..server("raw", &[&raw.url()]) };
    let gateway = TestGateway::with(options(&TestSecrets::with(&[IDP])), vec![behind]).await;
    gateway.until_tools(&["a"]).await;
    assert!(raw.seen("").iter().all(|seen| !seen.headers.contains_key("authorization")));
    assert!(tokens.asked().is_empty());
}
