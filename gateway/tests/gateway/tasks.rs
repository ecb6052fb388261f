//! Tasks: answers that a client asks about later. The official suite tests most of it (`tests/e2e/tests/conformance`).

use portico_conformance::Era;
use portico_gateway::Options;
use serde_json::{Value, json};

use super::questions::{LEGACY, everything, in_front_of};
use super::support::{TestGateway, answer, eventually};

async fn ask(gateway: &TestGateway, method: &str, mut params: Value) -> (u16, Value) {
    let extensions = json!({ "extensions": { "io.modelcontextprotocol/tasks": {} } });
    params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = extensions;
    let mut request = gateway.modern_request(method, params.clone());
    if let Some(id) = params["taskId"].as_str() {
        request = request.header("mcp-name", id);
    }
    answer(request.send().await.unwrap()).await
}

#[tokio::test]
async fn a_task_is_known_by_an_id_that_is_good_for_one_principal_and_any_replica() {
    let key = Options { session_keys: vec![[7; 32]], ..Options::default() };
    let (fixture, gateway) = in_front_of(Era::Modern, key.clone()).await;
    let call = json!({ "name": "slow_compute", "arguments": { "seconds": 0.2, "label": "sums" } });
    let created = ask(&gateway, "tools/call", call).await.1["result"].clone();
    assert_eq!(created["resultType"], "task", "{created}");
    let id = created["taskId"].as_str().unwrap();
    assert!(!id.starts_with("task-"), "the server's own id is not told: {id}");

    let behind = super::support::server("fixture", &[&fixture.url()]);
    let other = TestGateway::with(key, vec![behind]).await;
    other.until_connected("fixture").await;
    eventually("it is done", async || {
        ask(&other, "tasks/get", json!({ "taskId": id })).await.1["result"]["status"] == "completed"
    })
    .await;
    let done = ask(&other, "tasks/get", json!({ "taskId": id })).await.1;
    assert_eq!(
        (&done["result"]["taskId"], &done["result"]["result"]["content"][0]["text"]),
        (&json!(id), &json!("Done: sums"))
    );

    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("keys")).unwrap();
    std::fs::write(folder.path().join("keys/ada"), "ada-has-a-long-key").unwrap();
    let config = folder.path().join("gateway.yaml");
    let keys = folder.path().join("keys").display().to_string();
    std::fs::write(&config, format!("auth: {{anonymous: true, apiKeys: {{folder: {keys}}}}}")).unwrap();
    gateway.gateway.configure_from(&config).unwrap();
    let params = json!({ "taskId": id, "_meta": { "io.modelcontextprotocol/clientCapabilities": { "extensions": { "io.modelcontextprotocol/tasks": {} } } } });
    let request = gateway.modern_request("tasks/get", params).header("mcp-name", id);
    let (_, stranger) = answer(request.bearer_auth("ada-has-a-long-key").send().await.unwrap()).await;
    assert!(stranger["error"]["message"].as_str().unwrap().starts_with("Unknown task"), "{stranger}");
    assert_eq!(ask(&gateway, "tasks/get", json!({ "taskId": "task-1" })).await.1["error"]["code"], -32602);
}

#[tokio::test]
async fn a_task_goes_on_whose_call_was_allowed_and_uses_up_no_quota() {
    let (_fixture, gateway) = in_front_of(Era::Modern, Options::default()).await;
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("gateway.yaml");
    let rules = "access: {default: Deny, rules: [{name: jobs, tools: [slow_compute], effect: Allow}]}
limits: {quotas: [{name: one, calls: 1, every: Month}]}
";
    std::fs::write(&config, rules).unwrap();
    gateway.gateway.configure_from(&config).unwrap();
    let call = json!({ "name": "slow_compute", "arguments": { "seconds": 0.2, "label": "sums" } });
    let created = ask(&gateway, "tools/call", call.clone()).await.1["result"].clone();
    eventually("it is done", async || {
        ask(&gateway, "tasks/get", json!({ "taskId": created["taskId"] })).await.1["result"]["status"]
            == "completed"
    })
    .await;
    assert_eq!(ask(&gateway, "tools/call", call).await.0, 429);
}

#[tokio::test]
async fn who_knows_no_tasks_is_answered_at_once_and_servers_with_sessions_have_none() {
    let (_fixture, gateway) = in_front_of(Era::Modern, Options::default()).await;
    let call = json!({ "name": "slow_compute", "arguments": { "seconds": 0.1 } });
    let client = gateway.legacy_that_can(LEGACY, &everything()).await;
    let (_, answer) = client.call("tools/call", call.clone()).await;
    assert_eq!(answer["result"]["content"][0]["text"], "Done: ", "{answer}");
    assert!(gateway.modern("tools/call", call.clone()).await.1["result"]["content"].is_array());
    let (_, discovered) = gateway.modern("server/discover", json!({})).await;
    assert!(discovered["result"]["capabilities"]["extensions"]["io.modelcontextprotocol/tasks"].is_object());
    let (_fixture, gateway) = in_front_of(Era::Legacy, Options::default()).await;
    let call = json!({ "name": "test_simple_text", "arguments": {} });
    assert_eq!(ask(&gateway, "tools/call", call).await.1["result"]["resultType"], "complete");
}
