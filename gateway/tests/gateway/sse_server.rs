//! A server of revision 2024-11-05 written by hand: one event stream a session, and an address for messages.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use futures::StreamExt as _;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

/// What the server does with a message of a session.
type Answer = dyn Fn(&Shared, u64, &Value) -> bool + Send + Sync;

pub struct Shared {
    next: AtomicU64,
    /// What a POST to the address of the stream gets.
    refusal: AtomicU16,
    /// The first event of a stream; SESSION stands for the session.
    greeting: Mutex<String>,
    sessions: Mutex<HashMap<u64, mpsc::UnboundedSender<String>>>,
    seen: Mutex<Vec<(u64, Value)>>,
    headers: Mutex<Vec<(String, HeaderMap)>>,
    refused: AtomicU64,
    answer: Box<Answer>,
}

impl Shared {
    /// Says something in a session.
    pub fn say(&self, session: u64, message: &Value) {
        if let Some(sender) = self.sessions.lock().unwrap().get(&session) {
            sender.send(format!("event: message\ndata: {message}\n\n")).ok();
        }
    }

    pub fn result(&self, session: u64, request: &Value, result: &Value) {
        self.say(session, &json!({"jsonrpc": "2.0", "id": request["id"], "result": result}));
    }

    /// Ends the stream of a session.
    pub fn cut(&self, session: u64) {
        self.sessions.lock().unwrap().remove(&session);
    }
}

pub struct SseServer {
    pub address: SocketAddr,
    pub shared: Arc<Shared>,
    _stop: DropGuard,
}

const TOOLS: &str = r#"[{"name":"a","inputSchema":{}},{"name":"reads","inputSchema":{},"annotations":{"readOnlyHint":true}}]"#;

impl SseServer {
    /// `answer` comes first; where it gives `false` the server answers as usual.
    pub async fn start(answer: impl Fn(&Shared, u64, &Value) -> bool + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            next: AtomicU64::new(1),
            refusal: AtomicU16::new(405),
            greeting: Mutex::new("event: endpoint\ndata: /message?session=SESSION\n\n".to_owned()),
            sessions: Mutex::default(),
            seen: Mutex::default(),
            headers: Mutex::default(),
            refused: AtomicU64::new(0),
            answer: Box::new(answer),
        });
        let router = Router::new()
            .route("/sse", get(stream).post(refuse))
            .route("/message", post(message))
            .with_state(Arc::clone(&shared));
        let stop = CancellationToken::new();
        let token = stop.clone();
        tokio::spawn(
            async move { token.run_until_cancelled(axum::serve(listener, router).into_future()).await },
        );
        Self { address, shared, _stop: stop.drop_guard() }
    }

    pub fn url(&self) -> String {
        format!("http://{}/sse", self.address)
    }

    pub fn greet(&self, first: &str) {
        first.clone_into(&mut self.shared.greeting.lock().unwrap());
    }

    pub fn refuse_with(&self, status: u16) {
        self.shared.refusal.store(status, Ordering::Relaxed);
    }

    /// How many messages were sent to the address of the stream.
    pub fn refused(&self) -> u64 {
        self.shared.refused.load(Ordering::Relaxed)
    }

    /// The messages for `method` so far, each with its session.
    pub fn seen(&self, method: &str) -> Vec<(u64, Value)> {
        let seen = self.shared.seen.lock().unwrap();
        seen.iter()
            .filter(|(_, message)| message["method"].as_str().unwrap_or_default() == method)
            .cloned()
            .collect()
    }

    /// The headers of all requests so far, each with its HTTP method.
    pub fn headers(&self) -> Vec<(String, HeaderMap)> {
        self.shared.headers.lock().unwrap().clone()
    }

    pub fn sessions(&self) -> Vec<u64> {
        self.shared.sessions.lock().unwrap().keys().copied().collect()
    }
}

async fn stream(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    shared.headers.lock().unwrap().push(("GET".into(), headers));
    let session = shared.next.fetch_add(1, Ordering::Relaxed);
    let (sender, receiver) = mpsc::unbounded_channel();
    sender.send(shared.greeting.lock().unwrap().replace("SESSION", &session.to_string())).ok();
    shared.sessions.lock().unwrap().insert(session, sender);
    let events =
        futures::stream::unfold(receiver, async |mut receiver| Some((receiver.recv().await?, receiver)));
    let body = Body::from_stream(events.map(|event| Ok::<_, std::io::Error>(Bytes::from(event))));
    Response::builder().header("content-type", "text/event-stream").body(body).unwrap()
}

async fn refuse(State(shared): State<Arc<Shared>>) -> Response {
    shared.refused.fetch_add(1, Ordering::Relaxed);
    StatusCode::from_u16(shared.refusal.load(Ordering::Relaxed)).unwrap().into_response()
}

async fn message(
    State(shared): State<Arc<Shared>>,
    Query(query): Query<HashMap<String, u64>>,
    headers: HeaderMap,
    text: String,
) -> Response {
    shared.headers.lock().unwrap().push(("POST".into(), headers));
    let session = query["session"];
    if !shared.sessions.lock().unwrap().contains_key(&session) {
        return StatusCode::NOT_FOUND.into_response();
    }
    let message: Value = serde_json::from_str(&text).unwrap();
    shared.seen.lock().unwrap().push((session, message.clone()));
    if !(shared.answer)(&shared, session, &message) {
        usual(&shared, session, &message);
    }
    (StatusCode::ACCEPTED, "Accepted").into_response()
}

fn usual(shared: &Shared, session: u64, message: &Value) {
    let result = match message["method"].as_str() {
        Some("initialize") => {
            json!({"protocolVersion": "2024-11-05", "capabilities": {"tools": {"listChanged": true}},
            "serverInfo": {"name": "old", "version": "1"}})
        }
        Some("tools/list") => json!({"tools": serde_json::from_str::<Value>(TOOLS).unwrap()}),
        Some("tools/call") => {
            json!({"content": [{"type": "text", "text": message["params"]["arguments"].to_string()}]})
        }
        Some("ping") => json!({}),
        _ => return,
    };
    shared.result(session, message, &result);
}
