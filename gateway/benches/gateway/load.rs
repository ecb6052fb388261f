//! The client: one keep-alive connection a session, the next call when the last one is answered, every answer checked.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderValue, Request, header};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::Failed;
use crate::roles::authority;

/// The longest wait for a gateway to know its servers.
const PATIENCE: Duration = Duration::from_mins(1);

/// Where to send.
#[derive(Clone)]
pub struct Target {
    authority: String,
    token: Option<HeaderValue>,
}

impl Target {
    pub fn new(url: &str) -> Self {
        Self { authority: authority(url).to_owned(), token: None }
    }

    /// The same, with this access token.
    pub fn with_token(self, token: &str) -> Self {
        Self { token: HeaderValue::try_from(format!("Bearer {token}")).ok(), ..self }
    }
}

/// What is sent.
#[derive(Clone, Copy)]
pub struct Load {
    /// Sessions at the same time, one connection each.
    pub sessions: usize,
    /// Bytes of text that a call asks for.
    pub bytes: usize,
    /// Whether client and server speak 2026-07-28, which knows no sessions: then it is connections.
    pub modern: bool,
}

const LISTING: Load = Load { sessions: 1, bytes: 0, modern: false };

/// What a client holds open.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// A connection that asked for something once.
    Connection,
    /// And a session on it, which listed once.
    Session,
    /// And the session's event stream, on a connection of its own.
    Stream,
}

/// What a load came to.
#[derive(Default)]
pub struct Figures {
    /// Time of each call, sorted, in nanoseconds.
    pub times: Vec<u64>,
    /// How long it took in all.
    pub lasted: Duration,
    /// Processor time of what was measured, in nanoseconds.
    pub cpu: Option<u64>,
    /// Bytes of one answer.
    pub bytes: usize,
}

impl Figures {
    pub fn joined_with(mut self, other: Self) -> Self {
        self.times.extend(other.times);
        self.times.sort_unstable();
        self.lasted += other.lasted;
        self
    }

    /// Calls a second.
    pub fn rate(&self) -> f64 {
        self.times.len() as f64 / self.lasted.as_secs_f64()
    }

    /// The time within which this share of the calls was answered, in microseconds.
    pub fn within(&self, share: f64) -> f64 {
        let at = ((self.times.len() as f64 * share) as usize).min(self.times.len().saturating_sub(1));
        self.times.get(at).copied().unwrap_or_default() as f64 / 1000.0
    }

    /// Processor time of each call in microseconds.
    pub fn cpu_per_call(&self) -> Option<f64> {
        Some(self.cpu? as f64 / 1000.0 / self.times.len() as f64)
    }
}

const MODERN: &str = "2026-07-28";
const TOOL: &str = "s0_t3";
const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}},"#;

#[derive(serde::Deserialize)]
struct Answered<'a> {
    id: u64,
    #[serde(borrow)]
    result: Content<'a>,
}

#[derive(serde::Deserialize)]
struct Content<'a> {
    #[serde(borrow)]
    content: [Text<'a>; 1],
}

#[derive(serde::Deserialize)]
struct Text<'a> {
    text: &'a str,
}

struct Session {
    sender: SendRequest<Full<Bytes>>,
    target: Target,
    id: Option<HeaderValue>,
    load: Load,
}

impl Session {
    async fn open(target: &Target, load: Load) -> Result<Self, Failed> {
        let mut session = Self::connect(target, load).await?;
        if !load.modern {
            session.begin().await?;
        }
        Ok(session)
    }

    async fn connect(target: &Target, load: Load) -> Result<Self, Failed> {
        let stream = TcpStream::connect(&target.authority).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self { sender, target: target.clone(), id: None, load })
    }

    async fn begin(&mut self) -> Result<(), Failed> {
        let hello = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"load","version":"1"}}}"#;
        self.send(hello.into()).await?;
        self.send(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#.into()).await?;
        Ok(())
    }

    async fn get(
        &mut self,
        path: &str,
        accept: &str,
    ) -> Result<http::Response<hyper::body::Incoming>, Failed> {
        self.bare(Request::get(path).header(header::ACCEPT, accept)).await
    }

    async fn end(&mut self) -> Result<(), Failed> {
        self.bare(Request::delete("/mcp")).await?.into_body().collect().await?;
        Ok(())
    }

    async fn bare(
        &mut self,
        mut request: http::request::Builder,
    ) -> Result<http::Response<hyper::body::Incoming>, Failed> {
        request =
            request.header(header::HOST, &self.target.authority).header("mcp-protocol-version", "2025-11-25");
        if let Some(id) = &self.id {
            request = request.header("mcp-session-id", id);
        }
        self.sender.ready().await?;
        let response = self.sender.send_request(request.body(Full::default())?).await?;
        if response.status().is_success() {
            Ok(response)
        } else {
            Err(format!("the answer has status {}", response.status()).into())
        }
    }

    async fn send(&mut self, body: String) -> Result<Bytes, Failed> {
        let mut request = Request::post("/mcp")
            .header(header::HOST, &self.target.authority)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, "application/json, text/event-stream")
            .header("mcp-protocol-version", if self.load.modern { MODERN } else { "2025-11-25" });
        if self.load.modern {
            request = request.header("mcp-method", "tools/call").header("mcp-name", TOOL);
        }
        if let Some(id) = &self.id {
            request = request.header("mcp-session-id", id);
        }
        if let Some(token) = &self.target.token {
            request = request.header(header::AUTHORIZATION, token);
        }
        let response = self.sender.send_request(request.body(Full::from(body))?).await?;
        if !response.status().is_success() {
            return Err(format!("the answer has status {}", response.status()).into());
        }
        if let Some(id) = response.headers().get("mcp-session-id") {
            self.id = Some(id.clone());
        }
        Ok(response.into_body().collect().await?.to_bytes())
    }

    async fn call(&mut self, number: u64) -> Result<usize, Failed> {
        let (text, bytes) = ("y".repeat(100), self.load.bytes);
        let meta = if self.load.modern { META } else { "" };
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":{number},"method":"tools/call","params":{{{meta}"name":"{TOOL}","arguments":{{"a":"{text}","bytes":{bytes}}}}}}}"#
        );
        let answer = self.send(body).await?;
        let Answered { id, result } = serde_json::from_slice(&answer)?;
        let right = id == number && result.content[0].text.len() == bytes;
        if right { Ok(answer.len()) } else { Err(format!("a wrong answer to {number}").into()) }
    }

    /// Bytes of the whole list, and the tools in it.
    async fn list(&mut self) -> Result<(usize, usize), Failed> {
        let answer =
            self.send(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}"#.into()).await?;
        let tools = answer.windows(13).filter(|window| window == b"\"inputSchema\"").count();
        Ok((answer.len(), tools))
    }
}

/// Something that a client holds open.
pub struct Open {
    _session: Session,
    _stream: Option<(Session, http::Response<hyper::body::Incoming>)>,
}

/// Opens `count` of these.
pub async fn hold(target: &Target, held: Held, count: usize) -> Result<Vec<Open>, Failed> {
    let mut open = Vec::with_capacity(count);
    for _ in 0..count {
        let mut session = Session::connect(target, LISTING).await?;
        if held == Held::Connection {
            session.get("/healthz", "*/*").await?.into_body().collect().await?;
            open.push(Open { _session: session, _stream: None });
            continue;
        }
        session.begin().await?;
        session.list().await?;
        let mut stream = None;
        if held == Held::Stream {
            let mut own = Session { id: session.id.clone(), ..Session::connect(target, LISTING).await? };
            let mut events = own.get("/mcp", "text/event-stream").await?;
            events.body_mut().frame().await.ok_or("the stream ended")??;
            stream = Some((own, events));
        }
        open.push(Open { _session: session, _stream: stream });
    }
    Ok(open)
}

/// Connections on which sessions come and go.
const CONNECTIONS: usize = 16;

/// Opens `count` sessions, one after the other on each of a few connections, and calls in each; every other one is ended,
/// and the rest forgotten.
pub async fn drop_sessions(target: &Target, count: usize) -> Result<(), Failed> {
    let loops = (0..CONNECTIONS).map(|_| async move {
        let mut session = Session::connect(target, LISTING).await?;
        for number in 0..count / CONNECTIONS {
            session.id = None;
            session.begin().await?;
            session.call(1).await?;
            if number % 2 == 0 {
                session.end().await?;
            }
        }
        Ok::<_, Failed>(())
    });
    futures::future::try_join_all(loops).await.map(drop)
}

/// Calls for a time.
pub async fn calls(target: &Target, load: Load, lasting: Duration) -> Result<Figures, Failed> {
    let mut open = Vec::new();
    for _ in 0..load.sessions {
        open.push(Session::open(target, load).await?);
    }
    let begin = Instant::now();
    let loops = open.into_iter().map(|mut session| async move {
        let (mut times, mut bytes) = (Vec::new(), 0);
        while begin.elapsed() < lasting {
            let sent = Instant::now();
            bytes = session.call(times.len() as u64 + 1).await?;
            times.push(nanoseconds(sent));
        }
        Ok::<_, Failed>((times, bytes))
    });
    let done = futures::future::try_join_all(loops).await?;
    let mut figures = Figures { lasted: begin.elapsed(), ..Figures::default() };
    for (times, bytes) in done {
        figures.times.extend(times);
        figures.bytes = bytes;
    }
    figures.times.sort_unstable();
    Ok(figures)
}

/// Lists in one session for a time; each must hold `wanted` tools.
pub async fn lists(target: &Target, wanted: usize, lasting: Duration) -> Result<Figures, Failed> {
    let mut session = Session::open(target, LISTING).await?;
    let (begin, mut figures) = (Instant::now(), Figures::default());
    while begin.elapsed() < lasting {
        let sent = Instant::now();
        let (bytes, tools) = session.list().await?;
        figures.times.push(nanoseconds(sent));
        figures.bytes = bytes;
        if tools != wanted {
            return Err(format!("a list of {tools} tools instead of {wanted}").into());
        }
    }
    figures.lasted = begin.elapsed();
    figures.times.sort_unstable();
    Ok(figures)
}

/// How long it takes until the list holds `wanted` tools.
pub async fn until_listed(target: &Target, wanted: usize) -> Result<Duration, Failed> {
    let begin = Instant::now();
    while begin.elapsed() < PATIENCE {
        let mut session = Session::open(target, LISTING).await?;
        if session.list().await?.1 == wanted {
            return Ok(begin.elapsed());
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Err(format!("no list of {wanted} tools within {PATIENCE:?}").into())
}

fn nanoseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX)
}
