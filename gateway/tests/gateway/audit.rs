//! What is written down of calls.

use std::path::PathBuf;

use portico_gateway::Options;
use serde_json::{Value, json};

use super::questions::{LEGACY, everything};
use super::raw_server::{RawServer, nothing_special};
use super::support::{TestGateway, answer, eventually, server as behind};

const TOOLS: &str = r#"[{"name":"look","inputSchema":{}},{"name":"refund","inputSchema":{}}]"#;

struct Written {
    gateway: TestGateway,
    folder: tempfile::TempDir,
    _server: RawServer,
}

impl Written {
    /// A gateway with these lines in its configuration; FILE stands for the audit log.
    async fn start(lines: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("keys")).unwrap();
        std::fs::write(folder.path().join("keys/ada"), "ada-has-a-long-key").unwrap();
        let server = RawServer::legacy(TOOLS, nothing_special).await;
        let gateway = TestGateway::with(Options::default(), vec![behind("pos", &[&server.url()])]).await;
        gateway.until_tools(&["look", "refund"]).await;
        let written = Self { gateway, folder, _server: server };
        let config = written.folder.path().join("gateway.yaml");
        let keys = written.folder.path().join("keys").display().to_string();
        let lines = lines.replace("FILE", &written.log().display().to_string());
        std::fs::write(&config, format!("auth: {{apiKeys: {{folder: {keys}}}}}\n{lines}")).unwrap();
        written.gateway.gateway.configure_from(&config).unwrap();
        written
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("audit.jsonl")
    }

    async fn call(&self, tool: &str, arguments: Value) -> (u16, Value) {
        let request =
            self.gateway.modern_request("tools/call", json!({ "name": tool, "arguments": arguments }));
        answer(request.bearer_auth("ada-has-a-long-key").send().await.unwrap()).await
    }

    /// The lines of the log once there are so many.
    async fn lines(&self, count: usize) -> Vec<Value> {
        let read = || std::fs::read_to_string(self.log()).unwrap_or_default();
        eventually(&format!("there are {count} lines"), async || read().lines().count() >= count).await;
        read().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

#[tokio::test]
async fn a_line_tells_who_called_what_by_which_rule_and_how_it_ended() {
    let written = Written::start(
        "access: {rules: [{name: large, tools: [refund], when: 'arguments.amount > 100', effect: Deny}]}\naudit: {file: FILE, arguments: Values}\n",
    )
    .await;
    written.call("refund", json!({ "amount": 1, "card": { "token": "tok-1" }, "key": "Bearer abc" })).await;
    written.call("refund", json!({ "amount": 1000 })).await;
    written.call("never-there", json!({})).await;
    let lines = written.lines(2).await;
    assert_eq!(lines.len(), 2, "a name that leads nowhere calls nothing: {lines:?}");
    let first = &lines[0];
    let expected = json!({ "event": "call", "principal": "key:ada", "address": "127.0.0.1", "method": "tools/call",
        "server": "shop/pos", "name": "refund", "rule": "default", "decision": "allow", "outcome": "answered",
        "arguments": { "amount": 1, "card": { "token": "[redacted]" }, "key": "[redacted]" } });
    for (member, value) in expected.as_object().unwrap() {
        assert_eq!(&first[member], value, "{first}");
    }
    assert!(first["time"].as_str().unwrap().ends_with('Z') && first["durationMs"].is_u64(), "{first}");
    assert_eq!(
        (&lines[1]["rule"], &lines[1]["decision"], &lines[1]["outcome"]),
        (&json!("large"), &json!("deny"), &json!("not_made"))
    );
}

#[tokio::test]
async fn refusals_of_credentials_and_the_questions_of_approvals_are_written_too() {
    let written = Written::start(
        "access: {rules: [{name: ask, tools: [refund], effect: Approve}]}\nlimits: {quotas: [{name: two, tools: [look], calls: 1, every: Month}]}\naudit: {file: FILE}\n",
    )
    .await;
    let wrong =
        written.gateway.modern_request("tools/list", json!({})).bearer_auth("a-wrong-key-of-somebody");
    assert_eq!(wrong.send().await.unwrap().status(), 401);
    let asked = written.gateway.modern_request(
        "tools/call",
        json!({ "name": "refund", "arguments": { "amount": 9 },
            "_meta": { "io.modelcontextprotocol/clientCapabilities": everything() } }),
    );
    asked.bearer_auth("ada-has-a-long-key").send().await.unwrap();
    written.call("look", json!({})).await;
    assert_eq!(written.call("look", json!({})).await.0, 429);
    let lines = written.lines(4).await;
    assert_eq!((&lines[0]["event"], &lines[0]["reason"]), (&json!("authentication"), &json!("invalid")));
    assert!(lines[0]["principal"].is_null() && !lines[0].to_string().contains("a-wrong-key"));
    assert_eq!((&lines[1]["decision"], &lines[1]["outcome"]), (&json!("approve"), &json!("not_made")));
    assert_eq!(lines[1]["arguments"], json!(["amount"]), "names alone unless values are asked for");
    assert_eq!((&lines[2]["outcome"], &lines[3]["outcome"]), (&json!("answered"), &json!("not_made")));
}

#[tokio::test]
async fn calls_of_one_session_belong_together_and_the_session_cannot_be_told_from_the_log() {
    let written = Written::start("audit: {file: FILE}\n").await;
    let request = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize",
        "params": { "protocolVersion": LEGACY, "capabilities": {}, "clientInfo": { "name": "t", "version": "1" } } });
    let post = |body: &Value| {
        super::support::post(&written.gateway.http, &written.gateway.url(), &body.to_string())
            .bearer_auth("ada-has-a-long-key")
    };
    let hello = post(&request).send().await.unwrap();
    let session = hello.headers()["mcp-session-id"].clone();
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "look" } });
    for _ in 0..2 {
        post(&call).header("mcp-session-id", &session).send().await.unwrap();
    }
    let lines = written.lines(2).await;
    assert_eq!(lines[0]["session"], lines[1]["session"]);
    assert!(lines[0]["session"].as_str().unwrap().len() == 16);
    assert!(!lines[0].to_string().contains(session.to_str().unwrap()));
}

#[tokio::test]
async fn a_file_that_is_moved_away_is_begun_anew_and_no_line_is_lost_or_cut() {
    let written = Written::start("audit: {file: FILE}\n").await;
    let moved = |number: usize| written.folder.path().join(format!("audit.{number}"));
    for number in 0..3 {
        written.call("look", json!({})).await;
        written.lines(1).await;
        std::fs::rename(written.log(), moved(number)).unwrap();
        // Until the move is seen lines go to the moved file.
        eventually("a new file is begun", async || {
            written.call("look", json!({})).await;
            written.log().exists()
        })
        .await;
    }
    let metrics = written.gateway.get("/metrics").await.1;
    let taken = metrics.split_once(r#"audit_lines_total{outcome="taken"} "#).unwrap().1;
    let taken: usize = taken.lines().next().unwrap().parse().unwrap();
    let lines = || -> Vec<Value> {
        let files = (0..3).map(moved).chain([written.log()]);
        let all: String = files.map(|path| std::fs::read_to_string(path).unwrap()).collect();
        all.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    eventually("every line is there", async || lines().len() == taken).await;
}

#[tokio::test]
async fn a_log_that_cannot_be_written_is_counted_and_calls_go_on() {
    let written = Written::start("audit: {file: FILE/none/audit}\n").await;
    assert_eq!(written.call("look", json!({})).await.0, 200);
    eventually("it is counted", async || {
        written.gateway.get("/metrics").await.1.contains(r#"audit_lines_total{outcome="unwritten"} 1"#)
    })
    .await;
    // A full disk, as the kernel plays it.
    let full = Written::start("audit: {file: /dev/full}\n").await;
    assert_eq!(full.call("look", json!({})).await.0, 200);
    eventually("it is counted", async || {
        full.gateway.get("/metrics").await.1.contains(r#"audit_lines_total{outcome="unwritten"} 1"#)
    })
    .await;
}
