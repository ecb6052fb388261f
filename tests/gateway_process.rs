//! `portico gateway` as a process, without a cluster.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use portico_gateway::source::{Endpoint, Server, ServerKey};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(90);

/// A running gateway; it is gone when this is dropped.
struct Gateway {
    child: Child,
    log: Receiver<Value>,
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Gateway {
    /// Where no cluster answers, with what is kept in `folder`.
    fn start(folder: &Path) -> Self {
        Self::kept(folder, &[])
    }

    /// The same with these servers.
    fn kept(folder: &Path, servers: &[Server]) -> Self {
        let kept =
            json!({ "format": 2, "namespace": null, "seenUnixSeconds": 1_700_000_000, "servers": servers });
        std::fs::write(folder.join("servers.json"), kept.to_string()).unwrap();
        let kubeconfig = folder.join("kubeconfig");
        let nowhere = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "nowhere",
            "clusters": [{ "name": "nowhere", "cluster": { "server": "http://127.0.0.1:1" } }],
            "users": [{ "name": "nobody", "user": {} }],
            "contexts": [{ "name": "nowhere", "context": { "cluster": "nowhere", "user": "nobody" } }],
        });
        std::fs::write(&kubeconfig, nowhere.to_string()).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_portico"))
            .args([
                "--log-format",
                "json",
                "gateway",
                "--listen",
                "127.0.0.1:0",
                "--admin",
                "0",
                "--no-status",
            ])
            .arg("--state")
            .arg(folder)
            .env("KUBECONFIG", &kubeconfig)
            .env("LOG_LEVEL", "info")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (sender, log) = mpsc::channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                sender.send(serde_json::from_str(&line).unwrap_or(Value::Null)).ok();
            }
        });
        Self { child, log }
    }

    /// The next line of the log that is as `wanted`.
    fn logged(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + PATIENCE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let line = self.log.recv_timeout(left).expect("the line comes in time");
            if wanted(&line) {
                return line;
            }
        }
    }
}

fn says(line: &Value, text: &str) -> bool {
    line["message"].as_str().is_some_and(|message| message.contains(text))
}

fn http(address: &str, method: &str, path: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

fn until_ready(address: &str) {
    let end = Instant::now() + PATIENCE;
    while http(address, "GET", "/readyz", "").0 != 200 {
        assert!(Instant::now() < end, "it is ready in time");
        std::thread::yield_now();
    }
}

/// A client on one connection.
struct Client {
    stream: BufReader<TcpStream>,
    session: String,
}

impl Client {
    fn connect(address: &str) -> Self {
        Self { stream: BufReader::new(TcpStream::connect(address).unwrap()), session: String::new() }
    }

    /// Asks, and keeps the session that the answer names.
    fn ask(&mut self, method: &str, body: &str) -> String {
        let session = match self.session.as_str() {
            "" => String::new(),
            session => format!("mcp-session-id: {session}\r\n"),
        };
        let length = body.len();
        let head = "host: localhost\r\naccept: application/json, text/event-stream\r\ncontent-type: application/json";
        let request =
            format!("{method} /mcp HTTP/1.1\r\n{head}\r\n{session}content-length: {length}\r\n\r\n{body}");
        self.stream.get_mut().write_all(request.as_bytes()).unwrap();
        let (mut length, mut status) = (0, String::new());
        self.stream.read_line(&mut status).unwrap();
        assert!(status.starts_with("HTTP/1.1 2"), "{status}");
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line).unwrap();
            match line.trim_end().split_once(": ") {
                Some(("content-length", value)) => length = value.parse().unwrap(),
                Some(("mcp-session-id", value)) => value.clone_into(&mut self.session),
                Some(_) => {}
                None => break,
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).unwrap();
        String::from_utf8(body).unwrap()
    }
}

/// What of the process is in memory, in KiB.
fn resident(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// The benchmark does it with a hundred thousand, each with a call.
#[test]
fn sessions_that_are_opened_and_dropped_leave_nothing_in_memory() {
    const HELLO: &str = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#;
    let folder = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(folder.path());
    let serving = gateway.logged(|line| says(line, "serving MCP at /mcp"));
    let address = serving["address"].as_str().unwrap();
    until_ready(address);
    let mut client = Client::connect(address);
    let mut sizes = Vec::new();
    for thousand in 1..=3 {
        for number in 0..1000 {
            client.session.clear();
            client.ask("POST", HELLO);
            assert!(
                client.ask("POST", r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#).contains("result"),
                "{thousand}"
            );
            if number % 2 == 0 {
                client.ask("DELETE", "");
            }
        }
        sizes.push(resident(gateway.child.id()));
    }
    assert!(sizes[2] < sizes[0] + 1024, "KiB after each thousand: {sizes:?}");
}

#[test]
fn without_its_cluster_it_serves_what_was_kept_and_its_log_can_be_turned_up_and_down() {
    let folder = tempfile::tempdir().unwrap();
    let key = ServerKey { namespace: "shop".into(), name: "files".into() };
    let server = Server::new(key, vec![Endpoint::pod("http://127.0.0.1:1/mcp")]);
    let gateway = Gateway::kept(folder.path(), &[server]);
    let stale = gateway.logged(|line| says(line, "the cluster cannot be reached"));
    assert_eq!(stale["servers"], 1);
    assert!(stale["seconds"].as_u64().unwrap() > 1_000_000, "it says how old they are: {stale}");
    let admin = gateway.logged(|line| says(line, "serving the admin port"));
    let admin = admin["address"].as_str().unwrap();
    assert!(admin.starts_with("127.0.0.1:"), "a port alone is one on loopback: {admin}");
    until_ready(admin);
    assert!(http(admin, "GET", "/metrics", "").1.contains("portico_gateway_servers_stale 1"));
    let status: Value = serde_json::from_str(&http(admin, "GET", "/status", "").1).unwrap();
    assert_eq!((&status["serversStale"], &status["servers"][0]["name"]), (&json!(true), &json!("files")));
    assert_eq!(http(admin, "GET", "/log", ""), (200, "info\n".to_owned()));
    let (code, reason) = http(admin, "PUT", "/log", "info,portico_gateway=loud");
    assert!(code == 400 && reason.contains("the filter is not taken: "), "{code} {reason}");
    assert_eq!(http(admin, "GET", "/log", "").1, "info\n");
    assert_eq!(
        http(admin, "PUT", "/log", "info,hyper_util=trace\n"),
        (200, "info,hyper_util=trace\n".to_owned())
    );
    gateway.logged(|line| line["target"].as_str().is_some_and(|target| target.starts_with("hyper_util")));
    assert_eq!(http(admin, "PUT", "/log", "off").0, 200);
}
