//! What servers are told of who asks, checked as a server would check it.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{DecodingKey, Validation, decode, decode_header};
use portico_gateway::Options;
use portico_gateway::source::{Endpoint, Server};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair};
use serde_json::{Value, json};

use super::issuer::{Issuer, RESOURCE};
use super::raw_server::{RawServer, Seen, nothing_special};
use super::support::{TestGateway, answer, eventually, server};

const ISSUER: &str = "https://tools.example.com";
const HEADER: &str = "portico-identity";

struct Told {
    gateway: TestGateway,
    near: RawServer,
    far: RawServer,
    folder: tempfile::TempDir,
    _issuer: Issuer,
}

impl Told {
    /// A gateway with these further lines about `identity`, a server beside it and a remote one; FOLDER stands for that of
    /// the keys.
    async fn start(more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for part in ["api", "keys"] {
            std::fs::create_dir(folder.path().join(part)).unwrap();
        }
        for name in ["ada", "bob"] {
            std::fs::write(folder.path().join("api").join(name), format!("{name}-has-a-long-key")).unwrap();
        }
        put(folder.path(), "1.pem", &ed25519());
        let near = RawServer::legacy(r#"[{"name":"near","inputSchema":{}}]"#, nothing_special).await;
        let far = RawServer::legacy(r#"[{"name":"far","inputSchema":{}}]"#, nothing_special).await;
        let remote = Server { endpoints: vec![Endpoint::remote(far.url())], ..server("far", &[]) };
        let mut local = server("near", &[&near.url()]);
        local.exposure.mcp = "/mcp".into();
        local.exposure.paths = serde_json::from_value(json!([{"path": "/hook"}])).unwrap();
        let gateway = TestGateway::with(Options::default(), vec![local, remote]).await;
        gateway.until_tools(&["far", "near"]).await;
        // Tokens are taken as well, so that what checks them is there for the test too.
        let issuer = Issuer::start().await;
        let at = folder.path().display();
        let auth = format!(
            "{{anonymous: true, apiKeys: {{folder: {at}/api}}, oauth: {{resource: '{RESOURCE}', issuers: [{{issuer: '{}'}}]}}}}",
            issuer.name()
        );
        let more = more.replace("FOLDER", &format!("{at}/keys"));
        let config = folder.path().join("gateway.yaml");
        std::fs::write(&config, format!("auth: {auth}\nidentity: {{issuer: '{ISSUER}'{more}}}\n")).unwrap();
        gateway.gateway.configure_from(&config).unwrap();
        Self { gateway, near, far, folder, _issuer: issuer }
    }

    async fn call(&self, tool: &str, who: Option<&str>) {
        let request = self.gateway.modern_request("tools/call", json!({ "name": tool }));
        let request = who
            .into_iter()
            .fold(request, |request, who| request.header("x-api-key", format!("{who}-has-a-long-key")));
        let (_, called) = answer(request.header(HEADER, "forged").send().await.unwrap()).await;
        assert!(called["result"].is_object(), "{called}");
    }

    async fn keys(&self) -> JwkSet {
        let (status, text) = self.gateway.get("/.well-known/jwks.json").await;
        assert_eq!(status, 200);
        serde_json::from_str(&text).unwrap()
    }

    /// The claims of the last call of `raw`, checked as a server called `audience` does.
    async fn claims(&self, raw: &RawServer, audience: &str) -> Result<Value, jsonwebtoken::errors::Error> {
        check(&shown(raw).pop().unwrap(), &self.keys().await, audience)
    }
}

fn put(folder: &Path, name: &str, der: &[u8]) {
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(der));
    std::fs::write(folder.join("keys").join(name), pem).unwrap();
}

fn ed25519() -> Vec<u8> {
    Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap().as_ref().to_vec()
}

fn p256() -> Vec<u8> {
    let der = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
    der.unwrap().as_ref().to_vec()
}

fn shown(raw: &RawServer) -> Vec<String> {
    let shown = |seen: &Seen| seen.headers.get(HEADER).map(|value| value.to_str().unwrap().to_owned());
    raw.seen("tools/call").iter().filter_map(shown).collect()
}

fn check(token: &str, keys: &JwkSet, audience: &str) -> Result<Value, jsonwebtoken::errors::Error> {
    let header = decode_header(token)?;
    let key =
        keys.find(header.kid.as_deref().unwrap()).ok_or(jsonwebtoken::errors::ErrorKind::InvalidToken)?;
    let mut validation = Validation::new(header.alg);
    validation.set_issuer(&[ISSUER]);
    validation.set_audience(&[audience]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    decode(token, &DecodingKey::from_jwk(key)?, &validation).map(|found| found.claims)
}

#[tokio::test]
async fn a_server_learns_who_asks_from_a_token_that_is_good_for_it_alone() {
    let told = Told::start(", keys: FOLDER").await;
    for (who, name) in [(Some("ada"), "key:ada"), (Some("bob"), "key:bob"), (None, "anonymous")] {
        told.call("near", who).await;
        let claims = told.claims(&told.near, "shop/near").await.unwrap();
        assert_eq!(claims["sub"], name);
        assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 60);
        assert!(claims["jti"].as_str().unwrap().len() > 20, "{claims}");
        assert!(told.claims(&told.near, "shop/other").await.is_err(), "it is for another server");
    }
    told.call("near", Some("ada")).await;
    let all = shown(&told.near);
    assert_eq!((all.len(), &all[0]), (4, &all[3]), "it is shown again while it is young");
    told.call("far", Some("ada")).await;
    assert!(shown(&told.far).is_empty(), "a remote server is not told by itself");
    assert!(!told.gateway.get("/metrics").await.1.contains(&all[0]));
}

#[tokio::test]
async fn who_is_told_can_be_chosen_and_a_key_be_made_up() {
    let told = Told::start(", servers: ['shop/f*']").await;
    told.call("far", Some("ada")).await;
    assert_eq!(told.claims(&told.far, "shop/far").await.unwrap()["sub"], "key:ada");
    told.call("near", Some("ada")).await;
    assert!(shown(&told.near).is_empty());
}

#[tokio::test]
async fn the_gateway_itself_asks_under_its_own_name() {
    let told = Told::start(", keys: FOLDER").await;
    told.gateway.servers.send_modify(|servers| {
        let mut near = servers[0].clone();
        // Another address of the same server: its lists are fetched again.
        near.endpoints = vec![Endpoint::pod(told.near.url() + "?again")];
        *servers = vec![near].into();
    });
    let asked =
        || told.near.seen("tools/list").into_iter().rev().find_map(|seen| seen.headers.get(HEADER).cloned());
    eventually("the list is asked for again", async || asked().is_some()).await;
    let token = asked().unwrap().to_str().unwrap().to_owned();
    assert_eq!(check(&token, &told.keys().await, "shop/near").unwrap()["sub"], "gateway");
}

#[tokio::test]
async fn keys_are_rotated_by_the_folder_and_what_was_signed_before_can_be_checked_as_long_as_its_key_is_there()
 {
    let told = Told::start(", keys: FOLDER").await;
    told.call("near", Some("ada")).await;
    let before = shown(&told.near).pop().unwrap();
    put(told.folder.path(), "0.pem", &p256());
    eventually("both keys are published", async || told.keys().await.keys.len() == 2).await;
    told.call("near", Some("ada")).await;
    let after = shown(&told.near).pop().unwrap();
    let keys = told.keys().await;
    for token in [&before, &after] {
        assert_eq!(check(token, &keys, "shop/near").unwrap()["sub"], "key:ada");
    }
    assert_eq!(format!("{:?}", decode_header(&after).unwrap().alg), "ES256");
    std::fs::remove_file(told.folder.path().join("keys/1.pem")).unwrap();
    eventually("the old key is gone", async || told.keys().await.keys.len() == 1).await;
    assert!(check(&before, &told.keys().await, "shop/near").is_err());
    assert!(check(&after, &told.keys().await, "shop/near").is_ok());
}

#[tokio::test]
async fn an_identity_that_a_client_made_up_is_passed_on_no_path() {
    let told = Told::start(", servers: ['nobody/at-all']").await;
    told.call("near", Some("ada")).await;
    let hook = format!("http://{}/servers/shop/near/hook", told.gateway.address);
    told.gateway.http.get(hook).header(HEADER, "forged").send().await.unwrap();
    let reached = told
        .near
        .seen("")
        .iter()
        .filter(|seen| seen.http_method == "GET" && seen.headers.contains_key("x-forwarded-prefix"))
        .count();
    assert_eq!(reached, 1);
    assert!(
        told.near
            .seen("")
            .iter()
            .chain(&told.near.seen("tools/call"))
            .all(|seen| !seen.headers.contains_key(HEADER))
    );
}

#[tokio::test]
async fn without_identity_there_are_no_keys() {
    let raw = RawServer::legacy("[]", nothing_special).await;
    let gateway = TestGateway::start(vec![server("raw", &[&raw.url()])]).await;
    assert_eq!(gateway.get("/.well-known/jwks.json").await.0, 404);
}
