//! What rules allow, hide, refuse and have approved.

use portico_gateway::Options;
use serde_json::{Value, json};

use super::issuer::{Issuer, Key, RESOURCE};
use super::raw_server::{RawServer, nothing_special};
use super::support::{TestGateway, answer, server as behind};

const TOOLS: &str = r#"[
    {"name":"delete","inputSchema":{},"annotations":{"destructiveHint":true}},
    {"name":"look","inputSchema":{},"annotations":{"readOnlyHint":true}},
    {"name":"refund","inputSchema":{}}]"#;

struct Ruled {
    gateway: TestGateway,
    server: RawServer,
    folder: tempfile::TempDir,
}

impl Ruled {
    /// A gateway with these lines in its configuration, in front of a server of 2025-11-25; FOLDER stands for one with the keys
    /// of Ada and Bob.
    async fn start(lines: &str) -> Self {
        Self::before(RawServer::legacy(TOOLS, nothing_special).await, lines).await
    }

    async fn before(server: RawServer, lines: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("keys")).unwrap();
        for name in ["ada", "bob"] {
            std::fs::write(folder.path().join("keys").join(name), key(name)).unwrap();
        }
        let gateway = TestGateway::with(Options::default(), vec![behind("pos", &[&server.url()])]).await;
        gateway.until_tools(&["delete", "look", "refund"]).await;
        let ruled = Self { gateway, server, folder };
        ruled.write(lines);
        ruled.gateway.gateway.configure_from(&ruled.folder.path().join("gateway.yaml")).unwrap();
        ruled
    }

    fn write(&self, lines: &str) {
        let keys = self.folder.path().join("keys").display().to_string();
        std::fs::write(self.folder.path().join("gateway.yaml"), lines.replace("FOLDER", &keys)).unwrap();
    }

    async fn ask(&self, who: &str, method: &str, params: Value) -> (u16, Value) {
        let request = self.gateway.modern_request(method, params).bearer_auth(key(who));
        answer(request.send().await.unwrap()).await
    }

    async fn call(&self, who: &str, tool: &str, arguments: Value) -> Value {
        self.ask(who, "tools/call", json!({ "name": tool, "arguments": arguments })).await.1
    }

    async fn sees(&self, who: &str) -> Vec<String> {
        let (_, list) = self.ask(who, "tools/list", json!({})).await;
        let tools = list["result"]["tools"].as_array().unwrap();
        tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
    }

    fn called(&self) -> usize {
        self.server.seen("tools/call").len()
    }
}

fn key(name: &str) -> String {
    format!("{name}-has-a-long-key")
}

const KEYS: &str = "auth: {apiKeys: {folder: FOLDER}}\n";

fn rules(rules: &str) -> String {
    format!("{KEYS}access:\n  rules:\n{rules}")
}

fn is_unknown(answer: &Value) -> bool {
    answer["error"]["message"].as_str().is_some_and(|message| message.starts_with("Unknown tool"))
}

fn refusal(answer: &Value) -> &str {
    assert_eq!(answer["result"]["isError"], true, "{answer}");
    answer["result"]["content"][0]["text"].as_str().unwrap()
}

#[tokio::test]
async fn a_tool_that_somebody_may_not_use_does_not_exist_for_them() {
    let ruled = Ruled::start(&rules(
        "  - {name: ada-only, principals: ['key:[!a]*'], when: 'tool.destructive', effect: Deny}\n",
    ))
    .await;
    assert_eq!(ruled.sees("ada").await, ["delete", "look", "refund"]);
    assert_eq!(ruled.sees("bob").await, ["look"], "what has no hints may be destructive, says MCP");
    assert!(is_unknown(&ruled.call("bob", "delete", json!({})).await));
    assert!(ruled.call("bob", "look", json!({})).await["result"].is_object());
    assert!(ruled.call("ada", "delete", json!({})).await["result"].is_object());
    assert_eq!(ruled.called(), 2);
    let (_, nothing) = ruled.ask("bob", "tools/call", json!({ "name": "never-there" })).await;
    let (_, hidden) = ruled.ask("bob", "tools/call", json!({ "name": "delete" })).await;
    assert_eq!(
        nothing.to_string().replace("never-there", "delete"),
        hidden.to_string(),
        "nobody can tell them apart"
    );
}

#[tokio::test]
async fn a_call_is_refused_by_its_arguments_and_the_model_reads_why() {
    let ruled = Ruled::start(&rules(
        "  - {name: large-refunds, tools: [refund], when: 'arguments.amount > 100', effect: Deny, message: Ask a manager.}\n",
    ))
    .await;
    assert!(ruled.sees("bob").await.contains(&"refund".to_owned()));
    assert!(ruled.call("bob", "refund", json!({ "amount": 100 })).await["result"]["isError"].is_null());
    for arguments in [
        json!({ "amount": 100.01 }),
        json!({}),
        json!({ "amount": "1" }),
        json!({ "amount": 1, "note": "x".repeat(70_000) }),
    ] {
        let answer = ruled.call("bob", "refund", arguments).await;
        assert_eq!(refusal(&answer), "This call is not allowed (rule `large-refunds`): Ask a manager.");
    }
    let twice =
        ruled.gateway.modern_request("tools/call", json!({ "name": "refund", "arguments": { "amount": 1 } }));
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"refund","arguments":{"amount":1,"amount":1000},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;
    let (_, answer) = answer(twice.bearer_auth(key("bob")).body(body).send().await.unwrap()).await;
    refusal(&answer);
    assert_eq!(ruled.called(), 1);
}

#[tokio::test]
async fn where_the_default_is_to_deny_only_what_a_rule_allows_is_there() {
    let ruled = Ruled::start(&format!(
        "{KEYS}access:\n  default: Deny\n  rules:\n  - {{name: lookers, when: 'tool.readOnly', effect: Allow}}\n  - {{name: small, principals: ['key:ada'], tools: ['shop/pos/refund'], when: 'arguments.amount <= 10', effect: Allow}}\n"
    ))
    .await;
    assert_eq!(ruled.sees("bob").await, ["look"]);
    assert_eq!(ruled.sees("ada").await, ["look", "refund"]);
    assert!(is_unknown(&ruled.call("bob", "refund", json!({ "amount": 1 })).await));
    assert!(ruled.call("ada", "refund", json!({ "amount": 1 })).await["result"]["isError"].is_null());
    assert!(refusal(&ruled.call("ada", "refund", json!({ "amount": 11 })).await).contains("`default`"));
}

#[tokio::test]
async fn a_dry_run_refuses_nothing_and_counts_what_it_would_have() {
    let ruled = Ruled::start(&rules(
        "  - {name: trial, tools: [delete], effect: Deny, dryRun: true}\n  - {name: real, tools: [refund], effect: Deny}\n",
    ))
    .await;
    assert_eq!(ruled.sees("bob").await, ["delete", "look"]);
    assert!(ruled.call("bob", "delete", json!({})).await["result"]["isError"].is_null());
    assert!(is_unknown(&ruled.call("bob", "refund", json!({})).await));
    let metrics = ruled.gateway.get("/metrics").await.1;
    for line in [
        r#"policy_decisions_total{rule="trial",decision="deny",dry_run="true"} 1"#,
        r#"policy_decisions_total{rule="real",decision="deny",dry_run="false"} 1"#,
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
}

#[tokio::test]
async fn changed_rules_reach_open_sessions() {
    let ruled = Ruled::start(KEYS).await;
    let request = ruled
        .gateway
        .modern_request("subscriptions/listen", json!({ "notifications": { "toolsListChanged": true } }));
    let response = request.bearer_auth(key("bob")).send().await.unwrap();
    let mut events = super::support::Events::of(response);
    assert_eq!(events.next().await.unwrap()["method"], "notifications/subscriptions/acknowledged");
    ruled.write(&rules("  - {name: none, tools: [refund], effect: Deny}\n"));
    assert_eq!(events.next().await.unwrap()["method"], "notifications/tools/list_changed");
    assert_eq!(ruled.sees("bob").await, ["delete", "look"]);
}

#[tokio::test]
async fn a_token_that_lacks_a_scope_is_sent_to_get_it() {
    let (issuer, signer) = (Issuer::start().await, Key::p256());
    issuer.set_keys(&[("one", &signer)]);
    let ruled = Ruled::start(&format!(
        "auth: {{oauth: {{resource: '{RESOURCE}', issuers: [{{issuer: '{}'}}], scopes: [tools]}}}}\naccess:\n  rules:\n  - {{name: refunds, tools: [refund], effect: RequireScopes, scopes: [refunds]}}\n  - {{name: till, tools: [delete], when: \"!('tills' in principal.claims.groups)\", effect: Deny}}\n",
        issuer.name()
    ))
    .await;
    let with = |more: Value| {
        issuer.token_with("one", &signer, |claims| {
            claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        })
    };
    let send = async |token: &str, tool: &str| {
        let request = ruled.gateway.modern_request("tools/call", json!({ "name": tool }));
        request.bearer_auth(token).send().await.unwrap()
    };
    let response = send(&with(json!({})), "refund").await;
    assert_eq!(response.status(), 403);
    let challenge = response.headers()["www-authenticate"].to_str().unwrap();
    assert!(
        challenge.contains(r#"error="insufficient_scope""#) && challenge.contains(r#"scope="tools refunds""#),
        "{challenge}"
    );
    assert_eq!(send(&with(json!({ "scope": "tools refunds" })), "refund").await.status(), 200);
    let (_, unknown) = answer(send(&with(json!({})), "delete").await).await;
    assert!(is_unknown(&unknown), "without the claim nothing says that it may: {unknown}");
    let (_, answer) = answer(send(&with(json!({ "groups": ["tills"] })), "delete").await).await;
    assert!(answer["result"]["isError"].is_null() && answer["error"].is_null(), "{answer}");
}
