//! Servers whose callers sign in, each for themselves.

use futures::FutureExt as _;
use portico_gateway::source::Server;
use portico_gateway::{Options, ServerState};
use serde_json::{Value, json};

use super::questions::{LEGACY, everything};
use super::raw_server::{RawServer, Seen, json_response};
use super::sign_in_server::{Browser, SignInServer};
use super::support::{TestGateway, answer, eventually, post, server};
use super::token_endpoint::auth;

struct Personal {
    gateway: TestGateway,
    raw: RawServer,
    identities: SignInServer,
    folder: tempfile::TempDir,
}

impl Personal {
    /// A gateway that knows Ada and Bob by their keys, in front of a server that lets nobody in without a token, or gives its
    /// lists to everybody.
    async fn start(open_lists: bool) -> Self {
        let identities = SignInServer::start().await;
        let raw = RawServer::legacy(r#"[{"name":"a","inputSchema":{}}]"#, move |seen: Seen| {
            let shown = seen.headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
            let is_open = open_lists && seen.method() != "tools/call";
            let refused = !is_open && !shown.is_some_and(|shown| shown.starts_with("Bearer u-"));
            let refusal = refused.then(|| json_response(401, ""));
            async move { refusal }.boxed()
        })
        .await;
        let spec = json!({"authorizationCode": {"issuer": identities.issuer(), "scopes": ["read"]}});
        let behind = Server { auth: Some(auth(spec)), ..server("raw", &[&raw.url()]) };
        let gateway = TestGateway::with(Options::default(), vec![behind]).await;
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("keys")).unwrap();
        for name in ["ada", "bob"] {
            std::fs::write(folder.path().join("keys").join(name), format!("{name}-has-a-long-key")).unwrap();
        }
        let this = Self { gateway, raw, identities, folder };
        this.configure(&format!("publicUrl: 'http://{}'\n", this.gateway.address));
        this
    }

    fn configure(&self, more: &str) {
        let folder = self.folder.path();
        let text = format!(
            "auth: {{anonymous: true, apiKeys: {{folder: '{}'}}}}\n{more}",
            folder.join("keys").display()
        );
        std::fs::write(folder.join("gateway.yaml"), text).unwrap();
        self.gateway.gateway.configure_from(&folder.join("gateway.yaml")).unwrap();
    }

    /// A call of a client that can lead its user to a page.
    async fn call(&self, who: Option<&str>, mut params: Value) -> Value {
        params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({"elicitation": {"url": {}}});
        let request = self.gateway.modern_request("tools/call", params);
        let request = who
            .into_iter()
            .fold(request, |request, who| request.header("x-api-key", format!("{who}-has-a-long-key")));
        answer(request.send().await.unwrap()).await.1
    }

    /// The page to which `who` is led by a call of `tool`, and the call to make after that.
    async fn led(&self, who: &str, tool: &str) -> (String, Value) {
        let asked = self.call(Some(who), json!({ "name": tool })).await;
        let question = &asked["result"]["inputRequests"]["input-1"];
        assert_eq!(
            (&question["method"], &question["params"]["mode"]),
            (&json!("elicitation/create"), &json!("url")),
            "{asked}"
        );
        let again = json!({"name": tool, "requestState": asked["result"]["requestState"], "inputResponses": {"input-1": {"action": "accept"}}});
        (question["params"]["url"].as_str().unwrap().to_owned(), again)
    }

    fn shown(&self) -> Vec<String> {
        let shown =
            |seen: &Seen| seen.headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
        self.raw.seen("tools/call").iter().filter_map(shown).collect()
    }
}

#[tokio::test]
async fn callers_are_led_to_a_page_sign_in_there_and_are_known_by_tokens_of_their_own() {
    let personal = Personal::start(false).await;
    personal.gateway.until_tools(&["sign_in"]).await;
    let (url, _) = personal.led("ada", "sign_in").await;
    assert!(url.starts_with(&format!("http://{}/connect/", personal.gateway.address)), "{url}");
    let (status, page) = Browser::new().sign_in(&url, "ada").await;
    assert_eq!(status, 200, "{page}");
    personal.gateway.until_tools(&["a"]).await;
    assert!(personal.call(Some("ada"), json!({"name": "a"})).await["result"]["content"].is_array());
    let (url, again) = personal.led("bob", "a").await;
    Browser::new().sign_in(&url, "bob").await;
    assert!(personal.call(Some("bob"), again).await["result"]["content"].is_array());
    assert_eq!(personal.shown(), ["Bearer u-ada-1", "Bearer u-bob-2"]);
    let asked = personal.identities.asked();
    assert_eq!(asked[0]["client_id"], format!("http://{}/connect/client.json", personal.gateway.address));
    assert_eq!(asked[0]["resource"], personal.raw.url());
    let (_, document) = personal.gateway.get("/connect/client.json").await;
    let document: Value = serde_json::from_str(&document).unwrap();
    assert_eq!(
        (&document["client_id"], &document["redirect_uris"][0]),
        (&json!(asked[0]["client_id"]), &json!(asked[0]["redirect_uri"]))
    );
}

#[tokio::test]
async fn a_page_tells_whose_account_it_is_about_and_cannot_be_framed() {
    let personal = Personal::start(true).await;
    personal.gateway.until_tools(&["a"]).await;
    let (url, _) = personal.led("ada", "a").await;
    let response = personal.gateway.http.get(&url).send().await.unwrap();
    let headers = response.headers().clone();
    assert!(headers["content-security-policy"].to_str().unwrap().contains("frame-ancestors 'none'"));
    assert!(headers["cache-control"] == "no-store" && headers["referrer-policy"] == "no-referrer");
    let cookie = headers["set-cookie"].to_str().unwrap();
    assert!(cookie.contains("HttpOnly; SameSite=Lax"), "{cookie}");
    let page = response.text().await.unwrap();
    assert!(page.contains("<b>key:ada</b>") && page.contains("<b>shop/raw</b>"), "{page}");
}

#[tokio::test]
async fn a_client_with_a_session_is_sent_to_the_page_by_an_error_and_told_of_the_end() {
    let personal = Personal::start(true).await;
    personal.gateway.until_tools(&["a"]).await;
    let params = json!({"protocolVersion": LEGACY, "capabilities": everything(), "clientInfo": {"name": "t", "version": "1"}});
    let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}).to_string();
    let (http, url) = (&personal.gateway.http, personal.gateway.url());
    let key = ("x-api-key", "ada-has-a-long-key");
    let opened = post(http, &url, &hello).header(key.0, key.1).send().await.unwrap();
    let session = opened.headers()["mcp-session-id"].clone();
    let stream = http
        .get(&url)
        .header("accept", "text/event-stream")
        .header(key.0, key.1)
        .header("mcp-session-id", &session);
    let mut stream = super::support::Events::of(stream.send().await.unwrap());
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"}}"#;
    let call = async || {
        answer(
            post(http, &url, call)
                .header(key.0, key.1)
                .header("mcp-session-id", &session)
                .send()
                .await
                .unwrap(),
        )
        .await
        .1
    };
    let refused = call().await;
    assert_eq!(refused["error"]["code"], -32042, "{refused}");
    super::schemas::check(LEGACY, "URLElicitationRequiredError", &refused);
    let page = &refused["error"]["data"]["elicitations"][0];
    Browser::new().sign_in(page["url"].as_str().unwrap(), "ada").await;
    let told = stream.next().await.unwrap();
    assert_eq!(
        (&told["method"], &told["params"]["elicitationId"]),
        (&json!("notifications/elicitation/complete"), &page["elicitationId"])
    );
    assert!(call().await["result"]["content"].is_array());
}

#[tokio::test]
async fn a_client_that_cannot_lead_its_user_is_told_the_address_and_one_that_nobody_knows_is_refused() {
    let personal = Personal::start(true).await;
    personal.gateway.until_tools(&["a"]).await;
    let request = personal.gateway.modern_request("tools/call", json!({"name": "a"}));
    let (_, told) = answer(request.header("x-api-key", "ada-has-a-long-key").send().await.unwrap()).await;
    let message = told["error"]["message"].as_str().unwrap();
    assert!(message.contains("open http://") && message.contains("/connect/"), "{message}");
    let unknown = personal.call(None, json!({"name": "a"})).await;
    assert!(
        unknown["error"]["message"].as_str().unwrap().contains("nobody knows who this one is"),
        "{unknown}"
    );
}

#[tokio::test]
async fn another_browser_another_issuer_and_a_refusal_sign_nobody_in() {
    let personal = Personal::start(true).await;
    personal.gateway.until_tools(&["a"]).await;
    let (url, _) = personal.led("ada", "a").await;
    let mut browser = Browser::new();
    let (_, _, location) = browser.agree(&url).await;
    let (_, _, back) = browser.get(&location.unwrap()).await;
    let back = back.unwrap();
    let (status, page, _) = Browser::new().get(&back).await;
    assert_eq!(status, 403, "{page}");
    let cookieless = personal
        .gateway
        .http
        .post(&url)
        .header("content-type", "application/x-www-form-urlencoded")
        .body("browser=a");
    assert_eq!(cookieless.send().await.unwrap().status(), 403);
    for altered in [url.replace("/connect/", "/connect/a"), format!("{url}a")] {
        assert_eq!(browser.get(&altered).await.0, 404);
    }
    assert_eq!(browser.get(&back.replace("state=", "state=a")).await.0, 404);
    personal.identities.name("http://evil.example");
    let (status, page) = browser.sign_in(&url, "ada").await;
    assert!(status == 502 && page.contains("another authorization server"), "{page}");
    personal.identities.refuse();
    let (status, page) = browser.sign_in(&url, "ada").await;
    assert!(status == 502 && page.contains("(access_denied)"), "{page}");
    assert!(personal.identities.asked().is_empty(), "no code was ever used");
    personal.led("ada", "a").await;
}

#[tokio::test]
async fn tokens_are_refreshed_and_who_is_withdrawn_is_asked_again() {
    let personal = Personal::start(true).await;
    personal.gateway.until_tools(&["a"]).await;
    personal.identities.set_life(0);
    let (url, again) = personal.led("ada", "a").await;
    Browser::new().sign_in(&url, "ada").await;
    assert!(personal.call(Some("ada"), again).await["result"]["content"].is_array());
    eventually("a token is refreshed", async || {
        personal.call(Some("ada"), json!({"name": "a"})).await;
        personal.identities.asked().iter().any(|asked| asked["grant_type"] == "refresh_token")
    })
    .await;
    personal.identities.withdraw();
    eventually("Ada is asked again", async || {
        personal.call(Some("ada"), json!({"name": "a"})).await["result"]["inputRequests"].is_object()
    })
    .await;
}

#[tokio::test]
async fn without_an_address_of_its_own_the_gateway_says_what_is_missing() {
    let personal = Personal::start(false).await;
    personal.configure("");
    personal.gateway.until_tools(&["sign_in"]).await;
    let refused = personal.call(Some("ada"), json!({"name": "sign_in"})).await;
    assert!(refused["error"]["message"].as_str().unwrap().contains("must say `publicUrl`"), "{refused}");
    let report = personal
        .gateway
        .until_report("raw", |report| matches!(report.state, ServerState::Failing { .. }))
        .await;
    assert_eq!(report.tools, 1);
}
