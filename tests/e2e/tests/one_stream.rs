//! The gateway in front of a server of the official TypeScript SDK that speaks HTTP+SSE, the transport of revision 2024-11-05:
//! `server-everything` of npm, as `tests/e2e/node` pins it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail the test")]

use std::process::Stdio;
use std::time::Duration;

use portico_e2e::gateway::InProcess;
use portico_gateway::source::{Endpoint, Server, ServerKey, Transport};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

const PATIENCE: Duration = Duration::from_mins(1);

async fn everything(port: u16) -> Child {
    let programs = tokio::task::block_in_place(|| portico_e2e::node::programs(env!("CARGO_TARGET_TMPDIR")));
    let mut command = Command::new(programs.join("node"));
    command.arg(programs.join("mcp-server-everything")).arg("sse").env("PORT", port.to_string());
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let started = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if line.contains("is running on port") {
                return;
            }
        }
        panic!("the server ends");
    };
    tokio::time::timeout(PATIENCE, started).await.expect("the server starts in time");
    // What it says further is of no interest, but must go somewhere.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    child
}

struct Running {
    http: reqwest::Client,
    gateway: InProcess,
    port: u16,
    server: Child,
}

impl Running {
    async fn start(transport: Transport) -> Self {
        // The port is free again as soon as it is known.
        let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        let server = everything(port).await;
        let key = ServerKey { namespace: "tests".into(), name: "everything".into() };
        let endpoint = Endpoint::pod(format!("http://127.0.0.1:{port}/sse"));
        let described = Server { transport, ..Server::new(key, vec![endpoint]) };
        let gateway = InProcess::connected(described).await.unwrap();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { http, gateway, port, server }
    }

    fn post(&self, session: Option<&str>, body: &Value) -> reqwest::RequestBuilder {
        let request = self.http.post(&self.gateway.url).body(body.to_string());
        let request = session.into_iter().fold(request, |request, id| request.header("mcp-session-id", id));
        request
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
    }

    /// A session of a client that can be asked everything.
    async fn session(&self) -> String {
        let capabilities = json!({"elicitation": {}, "sampling": {}, "roots": {}});
        let params = json!({"protocolVersion": "2025-11-25", "capabilities": capabilities, "clientInfo": {"name": "t", "version": "1"}});
        let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params});
        let response = self.post(None, &hello).send().await.unwrap();
        response.headers()["mcp-session-id"].to_str().unwrap().to_owned()
    }

    /// The messages that answer a call, the answer last; `answer` gives the results of what the server asks.
    async fn call(&self, session: &str, params: &Value, answer: impl Fn(&Value) -> Value) -> Vec<Value> {
        let call = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params});
        let mut response = self.post(Some(session), &call).send().await.unwrap();
        let is_stream = response.headers()["content-type"] == "text/event-stream";
        let (mut text, mut messages) = (String::new(), Vec::new());
        let chunk = async |response: &mut reqwest::Response| {
            tokio::time::timeout(PATIENCE, response.chunk()).await.expect("it goes on in time").unwrap()
        };
        while let Some(bytes) = chunk(&mut response).await {
            text.push_str(std::str::from_utf8(&bytes).unwrap());
            while let Some((event, rest)) = text.clone().split_once("\n\n") {
                rest.clone_into(&mut text);
                let data = event.lines().filter_map(|line| line.strip_prefix("data: ")).collect::<String>();
                let Ok(message) = serde_json::from_str::<Value>(&data) else { continue };
                if !message["id"].is_null() && !message["method"].is_null() {
                    // It asks for the roots of every client, whenever that is new to it.
                    let is_roots = message["method"] == "roots/list";
                    let result = if is_roots { json!({"roots": []}) } else { answer(&message) };
                    let reply = json!({"jsonrpc": "2.0", "id": message["id"], "result": result});
                    assert_eq!(self.post(Some(session), &reply).send().await.unwrap().status(), 202);
                }
                messages.push(message);
            }
        }
        if is_stream { messages } else { vec![serde_json::from_str(&text).unwrap()] }
    }
}

fn nothing(question: &Value) -> Value {
    panic!("nothing is asked: {question}")
}

fn text(message: &Value) -> String {
    message["result"]["content"].to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_server_of_one_stream_is_found_and_its_calls_progress_and_questions_pass() {
    for transport in [Transport::Auto, Transport::Sse] {
        let running = Running::start(transport).await;
        let report = running.gateway.until(|report| report.tools >= 10).await.unwrap();
        assert!(report.resources > 0 && report.prompts > 0, "{report:?}");
        let session = running.session().await;
        let echoed =
            running.call(&session, &json!({"name": "echo", "arguments": {"message": "hi"}}), nothing).await;
        assert!(text(echoed.last().unwrap()).contains("Echo: hi"), "{echoed:?}");
        let slow = json!({"name": "trigger-long-running-operation", "arguments": {"duration": 1, "steps": 4}, "_meta": {"progressToken": "p"}});
        let told = running.call(&session, &slow, nothing).await;
        let progress = told.iter().filter(|message| message["method"] == "notifications/progress");
        assert!(progress.clone().all(|message| message["params"]["progressToken"] == "p"), "{told:?}");
        assert_eq!(progress.count(), 4, "{told:?}");
        let ask = json!({"name": "trigger-elicitation-request", "arguments": {}});
        let asked = running
            .call(&session, &ask, |question| {
                assert_eq!(question["method"], "elicitation/create");
                json!({"action": "accept", "content": {"name": "Ada Lovelace"}})
            })
            .await;
        assert!(text(asked.last().unwrap()).contains("Ada Lovelace"), "{asked:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_server_of_one_stream_that_is_started_again_serves_the_same_client() {
    let mut running = Running::start(Transport::Auto).await;
    let session = running.session().await;
    let echo = json!({"name": "echo", "arguments": {"message": "hi"}});
    let before = running.call(&session, &echo, nothing).await;
    assert!(text(before.last().unwrap()).contains("Echo: hi"), "{before:?}");
    running.server.kill().await.unwrap();
    running.server = everything(running.port).await;
    let after = running.call(&session, &echo, nothing).await;
    assert!(text(after.last().unwrap()).contains("Echo: hi"), "{after:?}");
}
