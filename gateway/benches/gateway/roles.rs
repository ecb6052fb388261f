//! What the processes beside the load do. Each prints its addresses and ends when its input ends.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse as _;
use axum::routing::post;
use portico_gateway::source::{Endpoint, Server, ServerKey, Servers};
use portico_gateway::{Gateway, Options};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::Failed;
use crate::cpu::{self, Cpu};
use crate::{floor, guard, scaling};

/// Tools of each server.
pub const TOOLS: usize = 10;
const FLAG: &str = "--role";

/// One process.
pub struct Role(Vec<String>);

impl Role {
    /// The role that the arguments name, if any.
    pub fn from_arguments(arguments: &[String]) -> Option<Self> {
        let at = arguments.iter().position(|argument| argument == FLAG)?;
        Some(Self(arguments[at + 1..].to_vec()))
    }

    /// Does it until the input ends.
    pub fn run(self) -> Result<(), Failed> {
        let (name, rest) = self.0.split_first().ok_or("a role needs a name")?;
        let measured = matches!(name.as_str(), "floor" | "gateway" | "guarded" | "current" | "watching");
        cpu::pin(if measured { cpu::MEASURED } else { cpu::LOAD });
        let runtime = if name == "current" {
            tokio::runtime::Builder::new_current_thread().enable_all().build()?
        } else {
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?
        };
        runtime.block_on(async {
            match name.as_str() {
                "server" => servers(rest[0].parse()?, rest.get(1).is_some_and(|era| era == "modern")).await?,
                "silent" => silent().await?,
                "floor" => {
                    floor::serve(listen().await?, rest.iter().map(|url| authority(url).to_owned()).collect());
                }
                "issuer" => guard::issuer().await?,
                "gateway" | "current" => gateway(rest, None).await?,
                "guarded" => gateway(&rest[2..], Some((&rest[0], &rest[1]))).await?,
                "watching" => scaling::watching(&rest[0], rest[1].parse()?, rest[2] == "scaled").await?,
                other => return Err(format!("no role is called {other}").into()),
            }
            std::io::stdout().write_all(b"\n")?;
            std::io::stdout().flush()?;
            tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
            Ok::<_, Failed>(())
        })?;
        runtime.shutdown_background();
        Ok(())
    }
}

/// A running role; it ends when this is dropped.
pub struct Running {
    child: Child,
    /// URLs it answers at.
    pub addresses: Vec<String>,
}

impl Running {
    /// Its processor time.
    pub fn cpu(&self) -> Cpu {
        Cpu(self.child.id())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        self.child.wait().ok();
    }
}

/// Starts this program in a role.
pub fn start(role: &[&str]) -> Result<Running, Failed> {
    let mut child = Command::new(std::env::current_exe()?)
        .arg(FLAG)
        .args(role)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let output = child.stdout.take().ok_or("the role has no output")?;
    let lines = BufReader::new(output).lines().map_while(Result::ok);
    let addresses: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    let running = Running { child, addresses };
    if running.addresses.is_empty() {
        Err(format!("role {role:?} did not start").into())
    } else {
        Ok(running)
    }
}

/// `http://HOST:PORT/mcp` without what is around the authority.
pub fn authority(url: &str) -> &str {
    url.trim_start_matches("http://").split('/').next().unwrap_or_default()
}

/// A listener whose URL is printed.
pub async fn listen() -> Result<TcpListener, Failed> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}/mcp", listener.local_addr()?);
    Ok(listener)
}

async fn servers(count: usize, modern: bool) -> Result<(), Failed> {
    for number in 0..count {
        let listener = listen().await?;
        let tools: Arc<str> = tools(number).into();
        let router = Router::new()
            .route("/mcp", post(move |body: Bytes| std::future::ready(answer(&tools, modern, &body))));
        tokio::spawn(axum::serve(listener, router).into_future());
    }
    Ok(())
}

/// Definitions of some 700 bytes each, as servers of the field have them.
fn tools(server: usize) -> String {
    let property = r#"{"type":"string","description":"What to look for, in words as a person would say them","maxLength":200}"#;
    let tool = |number: usize| {
        format!(
            r#"{{"name":"s{server}_t{number}","title":"Tool {number}","description":"Finds what was asked for and says where it is","inputSchema":{{"type":"object","properties":{{"a":{property},"b":{property},"c":{property}}},"required":["a"]}},"annotations":{{"readOnlyHint":true,"openWorldHint":false}},"_meta":{{"example.com/rank":{number}}}}}"#
        )
    };
    (0..TOOLS).map(tool).collect::<Vec<_>>().join(",")
}

#[derive(Deserialize)]
struct Asked<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    method: &'a str,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
}

fn answer(tools: &str, modern: bool, body: &Bytes) -> axum::response::Response {
    let Ok(Asked { id, method, params }) = serde_json::from_slice(body) else {
        return http::StatusCode::BAD_REQUEST.into_response();
    };
    let Some(id) = id else { return http::StatusCode::ACCEPTED.into_response() };
    let complete = if modern { r#""resultType":"complete","# } else { "" };
    let cached = if modern { r#""ttlMs":0,"cacheScope":"public","# } else { "" };
    let result = match method {
        "initialize" => r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"bench","version":"1"}}"#.to_owned(),
        "server/discover" if modern => format!(r#"{{{complete}{cached}"supportedVersions":["2026-07-28"],"capabilities":{{"tools":{{}}}}}}"#),
        "tools/list" => format!(r#"{{{complete}{cached}"tools":[{tools}]}}"#),
        "tools/call" => {
            format!(r#"{{{complete}"content":[{{"type":"text","text":"{}"}}]}}"#, "x".repeat(wanted(params)))
        }
        "ping" => "{}".to_owned(),
        _ => {
            let error = format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32601,"message":"no such method"}}}}"#);
            return ([(CONTENT_TYPE, "application/json")], error).into_response();
        }
    };
    ([(CONTENT_TYPE, "application/json")], format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#))
        .into_response()
}

/// How many bytes of text a call asks for.
fn wanted(params: Option<&RawValue>) -> usize {
    let params: Option<serde_json::Value> = params.and_then(|params| serde_json::from_str(params.get()).ok());
    let number = params.and_then(|params| params["arguments"]["bytes"].as_u64());
    usize::try_from(number.unwrap_or_default()).unwrap_or_default()
}

/// Takes connections and says nothing, for ever.
async fn silent() -> Result<(), Failed> {
    let listener = listen().await?;
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    });
    Ok(())
}

async fn gateway(urls: &[String], guarded: Option<(&str, &str)>) -> Result<(), Failed> {
    let server = |(number, url): (usize, &String)| {
        let key = ServerKey { namespace: "bench".into(), name: format!("s{number}") };
        Server::new(key, vec![Endpoint::pod(url)])
    };
    let servers: Vec<Server> = urls.iter().enumerate().map(server).collect();
    let (sender, servers) = tokio::sync::watch::channel(Servers::new(servers));
    let gateway = Gateway::new(Options::default(), servers)?;
    if let Some((file, issuer)) = guarded {
        gateway.configure_from(file.as_ref())?;
        gateway.trace(guard::tracing(issuer)?);
    }
    let listener = listen().await?;
    tokio::spawn(async move {
        // The servers stay as they are as long as the sender lives.
        let _sender = sender;
        gateway.serve(listener, CancellationToken::new()).await
    });
    Ok(())
}
