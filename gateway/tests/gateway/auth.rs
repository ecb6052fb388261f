//! Who gets in.

use portico_gateway::Options;
use serde_json::{Value, json};

use super::issuer::{Issuer, Key, RESOURCE, token};
use super::raw_server::{RawServer, nothing_special};
use super::support::{TestGateway, answer, eventually, post, server as behind};

const TOOL: &str = r#"[{"name":"a","inputSchema":{}}]"#;

struct Guarded {
    gateway: TestGateway,
    server: RawServer,
    _folder: tempfile::TempDir,
}

impl Guarded {
    /// A gateway with this `auth` in its configuration; FOLDER stands for one with the keys of Ada and Bob.
    async fn start(auth: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("keys")).unwrap();
        for name in ["ada", "bob"] {
            std::fs::write(folder.path().join("keys").join(name), format!("{}\n", key(name))).unwrap();
        }
        let keys = folder.path().join("keys").display().to_string();
        let config = folder.path().join("gateway.yaml");
        std::fs::write(&config, format!("auth: {}\n", auth.replace("FOLDER", &keys))).unwrap();
        let server = RawServer::legacy(TOOL, nothing_special).await;
        let gateway = TestGateway::with(Options::default(), vec![behind("raw", &[&server.url()])]).await;
        gateway.until_tools(&["a"]).await;
        gateway.gateway.configure_from(&config).unwrap();
        Self { gateway, server, _folder: folder }
    }

    async fn call(&self, header: Option<(&str, &str)>) -> (u16, String, Value) {
        let mut request = self.gateway.modern_request("tools/call", json!({ "name": "a" }));
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        let response = request.send().await.unwrap();
        let challenge =
            response.headers().get("www-authenticate").map(|value| value.to_str().unwrap().to_owned());
        let (status, body) = answer(response).await;
        (status, challenge.unwrap_or_default(), body)
    }

    async fn status(&self, token: &str) -> u16 {
        self.call(Some(("authorization", &format!("Bearer {token}")))).await.0
    }
}

fn key(name: &str) -> String {
    format!("{name}-has-a-long-key")
}

fn oauth(issuer: &Issuer) -> String {
    format!(
        "{{oauth: {{resource: '{RESOURCE}', issuers: [{{issuer: '{}'}}], scopes: [tools]}}}}",
        issuer.name()
    )
}

#[tokio::test]
async fn without_credentials_nobody_gets_in_and_the_refusal_says_where_they_can_be_had() {
    let issuer = Issuer::start().await;
    let guarded = Guarded::start(&oauth(&issuer)).await;
    let (status, challenge, body) = guarded.call(None).await;
    assert_eq!(status, 401, "{body}");
    let metadata = "https://tools.example.com/.well-known/oauth-protected-resource/mcp";
    assert_eq!(challenge, format!(r#"Bearer resource_metadata="{metadata}", scope="tools""#));
    for path in ["/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/mcp"] {
        let (status, text) = guarded.gateway.get(path).await;
        let document: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((status, document["resource"].as_str()), (200, Some(RESOURCE)));
        assert_eq!(document["authorization_servers"], json!([issuer.name()]));
    }
    assert_eq!(guarded.server.seen("tools/call").len(), 0);
    assert_eq!(guarded.gateway.get("/readyz").await.0, 200, "the cluster asks without credentials");
}

#[tokio::test]
async fn good_tokens_of_each_kind_of_key_are_taken_and_never_passed_on() {
    let (issuer, keys) = (Issuer::start().await, [("r", Key::rsa()), ("p", Key::p256()), ("e", Key::ed())]);
    issuer.set_keys(&keys.each_ref().map(|(kid, key)| (*kid, key)));
    let guarded = Guarded::start(&oauth(&issuer)).await;
    for (kid, key) in &keys {
        assert_eq!(guarded.status(&issuer.token(kid, key)).await, 200, "{kid}");
        let list = issuer.token_with(kid, key, |claims| claims["aud"] = json!(["other", RESOURCE]));
        assert_eq!(guarded.status(&list).await, 200, "{kid}: one audience of several");
    }
    for seen in guarded.server.seen("") {
        assert!(!seen.headers.contains_key("authorization"), "a server got the client's token");
    }
}

#[tokio::test]
async fn whatever_is_wrong_with_a_token_it_is_refused_and_the_reason_is_told() {
    let (issuer, key) = (Issuer::start().await, Key::ed());
    issuer.set_keys(&[("e", &key)]);
    let guarded = Guarded::start(&oauth(&issuer)).await;
    let with = |change: fn(&mut Value)| issuer.token_with("e", &key, change);
    let claims = issuer.claims();
    let mut broken = issuer.token("e", &key);
    broken.replace_range(broken.len() - 4.., "AAAA");
    let none = token(&key, &json!({"alg": "none"}), &claims);
    let shared = token(&key, &json!({"alg": "HS256", "kid": "e"}), &claims);
    let cases = [
        (with(|claims| claims["exp"] = json!(1)), "expired"),
        (with(|claims| claims["nbf"] = json!(9_999_999_999_u64)), "not valid yet"),
        (with(|claims| claims["aud"] = json!("https://other.example.com")), "another audience"),
        (with(|claims| drop(claims.as_object_mut().unwrap().remove("aud"))), "lacks the claim `aud`"),
        (with(|claims| drop(claims.as_object_mut().unwrap().remove("exp"))), ""),
        (with(|claims| claims["iss"] = json!("https://evil.example.com")), "its issuer is not one"),
        (issuer.token("e", &Key::ed()), "signature is wrong"),
        (issuer.token("e", &Key::p256()), "signed with a key that its issuer does not have"),
        (issuer.token("unknown", &key), "signed with a key that its issuer does not have"),
        (broken, "signature is wrong"),
        (none, ""),
        (shared, "HS256 is not taken"),
        ("not-a-token".to_owned(), "neither a known API key nor"),
    ];
    for (token, reason) in cases {
        let (status, challenge, body) =
            guarded.call(Some(("authorization", &format!("Bearer {token}")))).await;
        assert_eq!(status, 401, "{reason}: {body}");
        assert!(challenge.starts_with(r#"Bearer error="invalid_token", resource_metadata="#), "{challenge}");
        let message = body["error"]["message"].as_str().unwrap();
        assert!(message.contains(reason) && !message.contains(&token), "{reason}: {message}");
    }
    let narrow = with(|claims| claims["scope"] = json!("profile"));
    let (status, challenge, _) = guarded.call(Some(("authorization", &format!("Bearer {narrow}")))).await;
    assert_eq!(status, 403);
    assert!(
        challenge.contains(r#"error="insufficient_scope""#) && challenge.contains(r#"scope="tools""#),
        "{challenge}"
    );
    assert_eq!(guarded.server.seen("tools/call").len(), 0);
}

#[tokio::test]
async fn keys_that_an_issuer_changes_are_found_and_those_it_has_known_outlive_its_outage() {
    let (issuer, old, new) = (Issuer::start().await, Key::p256(), Key::p256());
    issuer.set_keys(&[("old", &old)]);
    let guarded = Guarded::start(&oauth(&issuer)).await;
    assert_eq!(guarded.status(&issuer.token("old", &old)).await, 200);
    issuer.set_keys(&[("new", &new)]);
    let token = issuer.token("new", &new);
    eventually("the new key is found", async || guarded.status(&token).await == 200).await;
    issuer.stop();
    let other = issuer.token_with("new", &new, |claims| claims["sub"] = json!("bob"));
    assert_eq!(guarded.status(&other).await, 200);
}

#[tokio::test]
async fn while_an_issuer_was_never_reached_a_token_is_not_called_wrong() {
    let (issuer, key) = (Issuer::start().await, Key::ed());
    issuer.stop();
    let guarded = Guarded::start(&oauth(&issuer)).await;
    for _ in 0..2 {
        let token = format!("Bearer {}", issuer.token("e", &key));
        let (status, challenge, body) = guarded.call(Some(("authorization", &token))).await;
        assert_eq!((status, challenge.as_str()), (503, ""), "{body}");
    }
}

#[tokio::test]
async fn a_key_is_taken_in_either_header_and_anonymous_requests_only_where_that_is_said() {
    let guarded = Guarded::start("{apiKeys: {folder: FOLDER}}").await;
    let bearer = format!("bearer {}", key("ada"));
    assert_eq!(guarded.call(Some(("authorization", &bearer))).await.0, 200);
    assert_eq!(guarded.call(Some(("x-api-key", &key("bob")))).await.0, 200);
    let (status, challenge, _) = guarded.call(None).await;
    assert_eq!((status, challenge.as_str()), (401, "Bearer"));
    for (name, value) in
        [("x-api-key", "eve-has-a-long-key"), ("authorization", "Basic YTpi"), ("authorization", "Bearer ")]
    {
        assert_eq!(guarded.call(Some((name, value))).await.0, 401, "{name}: {value}");
    }
    assert_eq!(guarded.gateway.get("/.well-known/oauth-protected-resource").await.0, 404);
    let open = Guarded::start("{anonymous: true, apiKeys: {folder: FOLDER}}").await;
    assert_eq!(open.call(None).await.0, 200);
    assert_eq!(
        open.call(Some(("x-api-key", "eve-has-a-long-key"))).await.0,
        401,
        "a wrong key is not nobody"
    );
}

#[tokio::test]
async fn a_session_is_good_for_whoever_opened_it_and_for_nobody_else() {
    let guarded = Guarded::start("{anonymous: true, apiKeys: {folder: FOLDER}}").await;
    let url = guarded.gateway.url();
    let params = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "t", "version": "1" } });
    let hello = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params }).to_string();
    let opened =
        post(&guarded.gateway.http, &url, &hello).header("x-api-key", key("ada")).send().await.unwrap();
    let session = opened.headers()["mcp-session-id"].to_str().unwrap().to_owned();
    let list = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    let as_ = async |name: Option<&str>| {
        let request = post(&guarded.gateway.http, &url, list).header("mcp-session-id", &session);
        let request = name.into_iter().fold(request, |request, name| request.header("x-api-key", key(name)));
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!((as_(Some("ada")).await, as_(Some("bob")).await, as_(None).await), (200, 404, 404));
}

#[tokio::test]
async fn clients_of_different_principals_share_no_session_with_a_server() {
    let guarded = Guarded::start("{anonymous: true, apiKeys: {folder: FOLDER}}").await;
    let before = guarded.server.seen("initialize").len();
    for name in ["ada", "bob", "ada"] {
        assert_eq!(guarded.call(Some(("x-api-key", &key(name)))).await.0, 200);
    }
    assert_eq!(guarded.server.seen("initialize").len() - before, 2);
}

#[tokio::test]
async fn an_endpoint_is_for_its_principals_and_looks_unknown_to_others() {
    let auth = "{apiKeys: {folder: FOLDER}}\naccess: {all: ['key:ada']}\ntoolSets: [{name: few, principals: ['key:b*']}, {name: open}]";
    let guarded = Guarded::start(auth).await;
    let status = async |path: &str, name: &str| {
        let request = guarded.gateway.modern_request_at(path, "tools/list", json!({}));
        let (status, body) = answer(request.header("x-api-key", key(name)).send().await.unwrap()).await;
        (status, body["error"]["message"].as_str().unwrap_or_default().to_owned())
    };
    for (path, name) in
        [("/mcp", "ada"), ("/ns/shop/mcp", "ada"), ("/sets/few/mcp", "bob"), ("/sets/open/mcp", "bob")]
    {
        assert_eq!(status(path, name).await.0, 200, "{name} at {path}");
    }
    for path in ["/mcp", "/ns/shop/mcp"] {
        assert_eq!(status(path, "bob").await.0, 403, "{path}");
    }
    let (closed, unknown) = (status("/sets/few/mcp", "ada").await, status("/sets/none/mcp", "ada").await);
    assert_eq!((closed.0, closed.1.replace("few", "none")), unknown);
}
