//! The least that a gateway can do: reads the envelope, finds the server by the name that is called, passes the bytes
//! on, and the answer as it comes.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HOST};
use http::{HeaderName, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Either, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::net::{TcpListener, TcpStream};

type Failed = Box<dyn std::error::Error + Send + Sync>;

/// Headers that mean something to an MCP server.
const PASSED: [HeaderName; 6] = [
    CONTENT_TYPE,
    ACCEPT,
    HeaderName::from_static("mcp-session-id"),
    HeaderName::from_static("mcp-protocol-version"),
    HeaderName::from_static("mcp-method"),
    HeaderName::from_static("mcp-name"),
];

/// One server and its idle connections, the last used first.
struct Upstream {
    authority: String,
    idle: Mutex<Vec<SendRequest<Full<Bytes>>>>,
}

impl Upstream {
    async fn connection(&self) -> Result<SendRequest<Full<Bytes>>, Failed> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(sender) = idle.filter(SendRequest::is_ready) {
            return Ok(sender);
        }
        let stream = TcpStream::connect(&self.authority).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(sender)
    }
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    params: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Named<'a> {
    name: Option<&'a str>,
}

/// Servers are called `s0`, `s1` and so on, and so begin the names of their tools.
fn route(body: &[u8]) -> Result<usize, Failed> {
    let Envelope { params } = serde_json::from_slice(body)?;
    let named: Option<Named<'_>> = params.map(|params| serde_json::from_str(params.get())).transpose()?;
    let name = named.and_then(|named| named.name).unwrap_or("s0_");
    Ok(name.trim_start_matches('s').split('_').next().unwrap_or_default().parse()?)
}

/// Serves on `listener` until the process ends.
pub fn serve(listener: TcpListener, authorities: Vec<String>) {
    let upstreams = authorities.into_iter().map(|authority| Upstream { authority, idle: Mutex::default() });
    let upstreams: Arc<Vec<Upstream>> = Arc::new(upstreams.collect());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            stream.set_nodelay(true).ok();
            let upstreams = Arc::clone(&upstreams);
            let service = service_fn(move |request| answer(Arc::clone(&upstreams), request));
            let connection =
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            tokio::spawn(connection);
        }
    });
}

type Answer = Response<Either<Incoming, Full<Bytes>>>;

async fn answer(upstreams: Arc<Vec<Upstream>>, request: Request<Incoming>) -> Result<Answer, Failed> {
    let (mut parts, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let Some(upstream) = upstreams.get(route(&body)?) else {
        let mut response = Response::new(Either::Right(Full::default()));
        *response.status_mut() = StatusCode::NOT_FOUND;
        return Ok(response);
    };
    let mut passed = Request::post("/mcp").header(HOST, &upstream.authority).body(Full::new(body))?;
    for name in PASSED {
        if let Some(value) = parts.headers.remove(&name) {
            passed.headers_mut().insert(name, value);
        }
    }
    let mut sender = upstream.connection().await?;
    let response = sender.send_request(passed).await?;
    upstream.idle.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
    let (mut head, body) = response.into_parts();
    head.headers.remove("transfer-encoding");
    Ok(Response::from_parts(head, Either::Left(body)))
}
