//! The gateway with a real identity provider: as a resource server that takes its tokens, and as its client in front of servers
//! that take them. Such a server is another gateway.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests fail the test")]

mod provider;

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use portico_conformance::{Era, Fixture};
use portico_crds::mcp_server::SecretKeyRef;
use portico_e2e::gateway::InProcess;
use portico_gateway::secret::{Error, SecretString, Secrets};
use portico_gateway::source::{Endpoint, Server, ServerKey};
use portico_gateway::{Gateway, Options};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use provider::Provider;

const PATIENCE: Duration = Duration::from_mins(2);
const INNER: &str = "https://inner.example.com/mcp";
const OUTER: &str = "https://outer.example.com/mcp";

/// The two Secrets of these tests.
#[derive(Debug)]
struct Client;

impl Secrets for Client {
    fn read<'a>(&'a self, _: &'a str, key: &'a SecretKeyRef) -> BoxFuture<'a, Result<SecretString, Error>> {
        let value = match (key.name.as_str(), key.key.as_str()) {
            ("client", "id") => "portico",
            ("client", _) => "s3cr3t",
            (_, "id") => "gateway",
            _ => "gateway-s3cr3t",
        };
        Box::pin(std::future::ready(Ok(value.to_owned().into())))
    }
}

struct Running {
    url: String,
    http: reqwest::Client,
    gateway: InProcess,
    _folder: tempfile::TempDir,
}

impl Running {
    /// A gateway in front of `server` that takes tokens of `issuer` for `resource`, and says `more` in its configuration.
    async fn start(server: Server, oauth: (&str, &str), more: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::start_on(listener, server, oauth, more)
    }

    fn start_on(listener: TcpListener, server: Server, (issuer, resource): (&str, &str), more: &str) -> Self {
        let options = Options { secrets: Some(Arc::new(Client)), ..Options::default() };
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("gateway.yaml");
        // Where people sign in to servers, the issuer is asked who they are.
        std::fs::write(folder.path().join("secret"), "gateway-s3cr3t\n").unwrap();
        let secret = folder.path().join("secret");
        let browser = format!("browser: {{clientId: gateway, clientSecretFile: '{}'}}", secret.display());
        let issuers = format!("[{{issuer: '{issuer}', {browser}}}]");
        let oauth = format!("{{resource: '{resource}', issuers: {issuers}, scopes: [tools]}}");
        std::fs::write(&config, format!("auth: {{oauth: {oauth}}}\n{more}\n")).unwrap();
        let configure = |gateway: &Gateway| Ok(gateway.configure_from(&config)?);
        let gateway = InProcess::on(listener, options, server, configure).unwrap();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { url: gateway.url.clone(), http, gateway, _folder: folder }
    }

    async fn until_connected(&self) {
        self.gateway.until_connected().await.unwrap();
    }

    /// A call of the tool `test_simple_text` with this token.
    async fn call(&self, token: &str) -> (u16, Value) {
        self.call_tool("test_simple_text", token).await
    }

    async fn call_tool(&self, tool: &str, token: &str) -> (u16, Value) {
        let meta = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {},
        });
        let params = json!({"name": tool, "arguments": {}, "_meta": meta});
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
        let request = self.http.post(&self.url).bearer_auth(token).body(body.to_string());
        let headers = [
            ("content-type", "application/json"),
            ("accept", "application/json, text/event-stream"),
            ("mcp-protocol-version", "2026-07-28"),
            ("mcp-method", "tools/call"),
            ("mcp-name", tool),
        ];
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let response = request.send().await.unwrap();
        let (status, text) = (response.status().as_u16(), response.text().await.unwrap());
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }
}

fn server(endpoint: Endpoint) -> Server {
    Server::new(ServerKey { namespace: "tests".into(), name: "server".into() }, vec![endpoint])
}

/// A gateway in front of `inner` that is its client by `spec`.
async fn in_front_of(inner: &Running, provider: &Provider, spec: Value) -> Running {
    let mut outer = server(Endpoint::remote(&inner.url));
    outer.auth = Some(serde_json::from_value(spec).unwrap());
    let outer = Running::start(outer, (&provider.issuer(), OUTER), "").await;
    outer.until_connected().await;
    outer
}

fn client(provider: &Provider) -> Value {
    let key = |key: &str| json!({"name": "client", "key": key});
    json!({"tokenUrl": provider.token_url(), "clientIdRef": key("id"), "clientSecretRef": key("secret"),
        "scopes": ["tools"], "resource": INNER})
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_of_a_real_provider_let_in_whom_they_are_for_also_after_its_keys_have_changed() {
    rustls::crypto::ring::default_provider().install_default().ok();
    let (mut provider, fixture) = (Provider::start().await, Fixture::start(Era::Modern).await.unwrap());
    let fixture_at = server(Endpoint::pod(fixture.url()));
    let gateway = Running::start(fixture_at, (&provider.issuer(), INNER), "").await;
    gateway.until_connected().await;
    let first = provider.sign_in("ada", INNER).await;
    let (status, called) = gateway.call(&first).await;
    assert_eq!(status, 200, "{called}");
    assert_eq!(called["result"]["content"][0]["type"], "text", "{called}");
    let other = provider.sign_in("ada", OUTER).await;
    let (status, refused) = gateway.call(&other).await;
    assert_eq!((status, said(&refused)), (401, "it is for another audience".into()));
    provider.restart(0).await;
    let rotated = provider.sign_in("ada", INNER).await;
    // Keys are asked for no more often than every two seconds.
    let end = tokio::time::Instant::now() + PATIENCE;
    while gateway.call(&rotated).await.0 != 200 {
        assert!(tokio::time::Instant::now() < end, "tokens signed with the new keys are taken");
    }
    provider.restart(3600).await;
    let old = provider.sign_in("ada", INNER).await;
    loop {
        let (status, refused) = gateway.call(&old).await;
        assert_eq!(status, 401, "{refused}");
        if said(&refused) == "it has expired" {
            break;
        }
        assert!(tokio::time::Instant::now() < end, "an old token is told to be old: {refused}");
    }
}

fn said(refused: &Value) -> String {
    let message = refused["error"]["message"].as_str().unwrap_or_default();
    message.rsplit(": ").next().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_takes_the_providers_tokens_is_used_with_the_gateways_own() {
    rustls::crypto::ring::default_provider().install_default().ok();
    let (provider, fixture) = (Provider::start().await, Fixture::start(Era::Legacy).await.unwrap());
    let only = format!("access: {{all: ['{}#portico']}}", provider.issuer());
    let inner =
        Running::start(server(Endpoint::pod(fixture.url())), (&provider.issuer(), INNER), &only).await;
    inner.until_connected().await;
    let outer = in_front_of(&inner, &provider, json!({ "clientCredentials": client(&provider) })).await;
    let ada = provider.sign_in("ada", OUTER).await;
    let (status, called) = outer.call(&ada).await;
    assert_eq!((status, called["result"]["content"][0]["type"].as_str()), (200, Some("text")), "{called}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_takes_the_providers_tokens_sees_each_caller_by_exchange() {
    rustls::crypto::ring::default_provider().install_default().ok();
    let (provider, fixture) = (Provider::start().await, Fixture::start(Era::Modern).await.unwrap());
    let issuer = provider.issuer();
    let few = format!("access: {{all: ['{issuer}#portico', '{issuer}#ada']}}");
    let inner = Running::start(server(Endpoint::pod(fixture.url())), (&issuer, INNER), &few).await;
    inner.until_connected().await;
    let outer = in_front_of(&inner, &provider, json!({ "tokenExchange": client(&provider) })).await;
    let (ada, bob) = (provider.sign_in("ada", OUTER).await, provider.sign_in("bob", OUTER).await);
    assert_eq!(inner.call(&ada).await.0, 401, "the caller's own token is not for the inner server");
    let (status, called) = outer.call(&ada).await;
    assert_eq!((status, called["result"]["content"][0]["type"].as_str()), (200, Some("text")), "{called}");
    let (_, refused) = outer.call(&bob).await;
    assert!(refused["error"].to_string().contains("not for you"), "the inner server sees Bob: {refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_says_where_its_callers_sign_in_and_they_do_after_they_have_shown_who_they_are() {
    rustls::crypto::ring::default_provider().install_default().ok();
    let fixture = Fixture::start(Era::Modern).await.unwrap();
    let (inner, outer) =
        (TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let inner_url = format!("http://{}/mcp", inner.local_addr().unwrap());
    let public_url = format!("http://{}", outer.local_addr().unwrap());
    let provider = Provider::start_with(&format!("{public_url}/connect/callback")).await;
    let issuer = provider.issuer();
    let ada_alone = format!("access: {{all: ['{issuer}#ada']}}");
    let fixture_at = server(Endpoint::pod(fixture.url()));
    let inner = Running::start_on(inner, fixture_at, (&issuer, &inner_url), &ada_alone);
    inner.until_connected().await;
    let key = |key: &str| json!({"name": "gateway", "key": key});
    let spec = json!({"authorizationCode": {"clientIdRef": key("id"), "clientSecretRef": key("secret"), "scopes": ["openid", "tools"]}});
    let mut described = server(Endpoint::remote(&inner.url));
    described.auth = Some(serde_json::from_value(spec).unwrap());
    let outer = Running::start_on(outer, described, (&issuer, OUTER), &format!("publicUrl: '{public_url}'"));
    let ada = provider.sign_in("ada", OUTER).await;
    // Nothing is known of the server before somebody has signed in, but where to do that.
    let end = tokio::time::Instant::now() + PATIENCE;
    let page = loop {
        let (_, led) = outer.call_tool("sign_in", &ada).await;
        let message = led["error"]["message"].as_str().unwrap_or_default().to_owned();
        if let Some(page) = message.split(' ').find(|word| word.starts_with(&public_url)) {
            break page.to_owned();
        }
        assert!(tokio::time::Instant::now() < end, "{led}");
    };
    // Bob is talked into opening Ada's page: he cannot show that he is Ada.
    let (status, page_at_the_end) = agreed(&provider, (&page, &public_url), ["bob", "bob"]).await;
    assert_eq!(status, 403, "{page_at_the_end}");
    assert!(page_at_the_end.contains("signed in as somebody else"), "{page_at_the_end}");
    let (status, page_at_the_end) = agreed(&provider, (&page, &public_url), ["ada", "ada"]).await;
    assert_eq!(status, 200, "{page_at_the_end}");
    outer.until_connected().await;
    let (status, called) = outer.call(&ada).await;
    assert_eq!((status, called["result"]["content"][0]["type"].as_str()), (200, Some("text")), "{called}");
}

/// The page at the end of the way that begins at `page`, on which somebody signs in once as who they are to the gateway, and
/// once to the server.
async fn agreed(provider: &Provider, (page, public_url): (&str, &str), who: [&str; 2]) -> (u16, String) {
    let shown = provider.http.get(page).send().await.unwrap();
    let cookie = shown.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let form = format!("browser={}", cookie.split_once('=').unwrap().1);
    let request = provider.http.post(page).header("content-type", "application/x-www-form-urlencoded");
    let mut answer = request.header("cookie", &cookie).body(form).send().await.unwrap();
    for who in who {
        let Some(location) = answer.headers().get("location") else { break };
        let at = format!("{}&login_hint={who}", location.to_str().unwrap());
        let back = provider.browse(&at, public_url).await;
        answer = provider.http.get(&back).header("cookie", &cookie).send().await.unwrap();
    }
    (answer.status().as_u16(), answer.text().await.unwrap())
}
