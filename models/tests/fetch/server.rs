//! A web server with one file and a script of how it behaves.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use futures::{StreamExt as _, stream};

/// How one request is answered.
#[derive(Clone)]
pub enum Act {
    Serve,
    IgnoreRange,
    CutAfter(usize),
    HangAfter(usize),
    Status(u16, &'static [(&'static str, &'static str)]),
    Redirect(String, Option<String>),
}

/// What was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    pub path: String,
    pub range: Option<String>,
    pub if_range: Option<String>,
    pub token: Option<String>,
}

#[derive(Clone)]
pub struct Server {
    pub address: SocketAddr,
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    content: Vec<u8>,
    etag: String,
    acts: VecDeque<Act>,
    asked: Vec<Asked>,
}

impl Server {
    pub async fn start(content: &[u8], acts: impl IntoIterator<Item = Act>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let inner = Inner {
            content: content.to_vec(),
            etag: "\"one\"".into(),
            acts: acts.into_iter().collect(),
            asked: Vec::new(),
        };
        let server = Self { address: listener.local_addr().unwrap(), inner: Arc::new(Mutex::new(inner)) };
        let router = Router::new().fallback(answer).with_state(server.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        server
    }

    pub fn url(&self) -> String {
        format!("http://{}/files/small.gguf?signature=hidden", self.address)
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.inner.lock().unwrap().asked.clone()
    }

    pub fn replace(&self, content: &[u8], etag: &str) {
        let mut inner = self.inner.lock().unwrap();
        (inner.content, inner.etag) = (content.to_vec(), etag.into());
    }
}

async fn answer(State(server): State<Server>, request: Request) -> Response {
    let mut inner = server.inner.lock().unwrap();
    let field = |name: header::HeaderName| Some(request.headers().get(name)?.to_str().unwrap().to_owned());
    let asked = Asked {
        path: request.uri().path().to_owned(),
        range: field(header::RANGE),
        if_range: field(header::IF_RANGE),
        token: field(header::AUTHORIZATION),
    };
    inner.asked.push(asked.clone());
    let act = inner.acts.pop_front().unwrap_or(Act::Serve);
    let start = asked.range.filter(|_| asked.if_range.as_deref() == Some(inner.etag.as_str()));
    let start =
        start.map(|range| range.trim_start_matches("bytes=").trim_end_matches('-').parse::<usize>().unwrap());
    match act {
        Act::Serve => body(&inner, start, None),
        Act::IgnoreRange => body(&inner, None, None),
        Act::CutAfter(bytes) => body(&inner, start, Some((bytes, false))),
        Act::HangAfter(bytes) => body(&inner, start, Some((bytes, true))),
        Act::Status(code, headers) => {
            (StatusCode::from_u16(code).unwrap(), map(headers), "no").into_response()
        }
        Act::Redirect(to, linked) => {
            let mut headers = map(&[]);
            headers.insert(header::LOCATION, to.parse().unwrap());
            if let Some(linked) = linked {
                headers.insert("x-linked-etag", format!("\"{linked}\"").parse().unwrap());
            }
            (StatusCode::FOUND, headers).into_response()
        }
    }
}

fn map(headers: &[(&'static str, &'static str)]) -> HeaderMap {
    headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
}

fn body(inner: &Inner, start: Option<usize>, end: Option<(usize, bool)>) -> Response {
    let total = inner.content.len();
    let rest = &inner.content[start.unwrap_or(0)..];
    let sent = Bytes::copy_from_slice(end.map_or(rest, |(bytes, _)| &rest[..bytes.min(rest.len())]));
    let pieces: Vec<_> =
        sent.chunks(16_384).map(|piece| Ok::<_, std::io::Error>(Bytes::copy_from_slice(piece))).collect();
    let pieces = stream::iter(pieces);
    let body = match end {
        None => Body::from_stream(pieces),
        Some((_, false)) => {
            Body::from_stream(pieces.chain(stream::iter([Err(std::io::Error::other("cut"))])))
        }
        Some((_, true)) => Body::from_stream(pieces.chain(stream::pending())),
    };
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::ETAG, inner.etag.parse().unwrap());
    headers.insert(header::CONTENT_LENGTH, rest.len().into());
    if let Some(start) = start {
        let range = format!("bytes {start}-{}/{total}", total - 1);
        headers.insert(header::CONTENT_RANGE, range.parse().unwrap());
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    response
}
