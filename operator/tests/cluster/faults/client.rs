//! A client that goes wrong at one chosen write, and remembers what was asked.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::StreamExt as _;
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, BodyStream, StreamBody};
use kube::Client;
use kube::client::Body;
use serde_json::json;
use tokio::sync::{Notify, watch};
use tower::{BoxError, Service};

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The operator dies before it sends the write.
    DieBefore,
    /// The operator dies when the write is committed and not yet answered.
    DieAfter,
    /// Somebody else wrote first.
    Conflict,
    /// Come back later.
    TooManyRequests,
    /// The API server fails.
    ServerError,
    /// The write is committed, and the answer is that it took too long.
    GatewayTimeout,
    /// The write is committed, and the connection breaks.
    Reset,
    /// The operator may not.
    Forbidden,
}

impl Fault {
    pub const ALL: [Self; 8] = [
        Self::DieBefore,
        Self::DieAfter,
        Self::Conflict,
        Self::TooManyRequests,
        Self::ServerError,
        Self::GatewayTimeout,
        Self::Reset,
        Self::Forbidden,
    ];

    pub const fn is_death(self) -> bool {
        matches!(self, Self::DieBefore | Self::DieAfter)
    }
}

/// One write of a scenario: the step in which it happens, and the how-manieth of its kind it is there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Write {
    pub step: usize,
    /// Method and path, with the resource's name as NAME and its namespace as NAMESPACE.
    pub what: String,
    pub nth: usize,
}

/// A right that was made use of: verb, API group, and resource with its subresource.
pub type Used = (String, String, String);

/// What becomes of the events of watches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Events {
    /// They come.
    #[default]
    Pass,
    /// Those of kinds whose path holds this word wait.
    Hold(&'static str),
    /// Those of kinds whose path holds this word are lost, and so is the connection.
    Cut(&'static str),
}

#[derive(Default)]
struct State {
    name: String,
    namespace: String,
    step: usize,
    writes: Vec<Write>,
    fault: Option<(Write, Fault)>,
    faulty: bool,
    used: std::collections::BTreeSet<Used>,
    refused: Vec<String>,
    last: Option<Instant>,
    /// Every request fails while the API server is "away".
    away: bool,
}

/// Steers a [`FaultyClient`] from outside.
#[derive(Clone)]
pub struct Plan {
    state: Arc<Mutex<State>>,
    died: Arc<Notify>,
    events: watch::Sender<Events>,
    cuts: Arc<AtomicUsize>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            state: Arc::default(),
            died: Arc::default(),
            events: watch::Sender::new(Events::Pass),
            cuts: Arc::default(),
        }
    }
}

impl Plan {
    /// Begins a run over the resource `name`, in which `fault` happens.
    pub fn begin(&self, namespace: &str, name: &str, fault: Option<(Write, Fault)>) {
        let mut state = self.state.lock().unwrap();
        let (name, namespace) = (name.to_owned(), namespace.to_owned());
        let faulty = fault.is_some();
        *state = State { name, namespace, fault, faulty, ..State::default() };
    }

    /// The next step begins; quiet is counted from now.
    pub fn step(&self, step: usize) {
        let mut state = self.state.lock().unwrap();
        (state.step, state.last) = (step, Some(Instant::now()));
    }

    pub fn writes(&self) -> Vec<Write> {
        self.state.lock().unwrap().writes.clone()
    }

    /// Whether anything is to go wrong in this run.
    pub fn is_faulty(&self) -> bool {
        self.state.lock().unwrap().faulty
    }

    /// Whether the fault has not happened (yet).
    pub fn is_pending(&self) -> bool {
        self.state.lock().unwrap().fault.is_some()
    }

    /// The rights that were used, and the requests that were refused for the lack of one.
    pub fn rights(&self) -> (std::collections::BTreeSet<Used>, Vec<String>) {
        let state = self.state.lock().unwrap();
        (state.used.clone(), state.refused.clone())
    }

    fn record(&self, method: &Method, path: &str, is_watch: bool, code: StatusCode) {
        let mut state = self.state.lock().unwrap();
        if code == StatusCode::FORBIDDEN {
            state.refused.push(format!("{method} {path}"));
        }
        let Some((group, resource, named)) = object_of(path) else { return };
        let verb = match (method.as_str(), named) {
            ("GET", _) if is_watch => "watch",
            ("GET", true) => "get",
            ("GET", false) => "list",
            ("POST", _) => "create",
            ("PUT", _) => "update",
            ("DELETE", _) => "delete",
            _ => "patch",
        };
        let mut use_of = |verb: &str| {
            state.used.insert((verb.to_owned(), group.clone(), resource.clone()));
        };
        use_of(verb);
        // An apply that makes the object needs the right to create it as well.
        if verb == "patch" && code == StatusCode::CREATED {
            use_of("create");
        }
    }

    /// Whether nothing was written for `time`.
    pub fn is_quiet_for(&self, time: Duration) -> bool {
        self.state.lock().unwrap().last.is_none_or(|last| last.elapsed() >= time)
    }

    /// Waits until a watch was cut.
    pub async fn until_cut(&self) {
        let cuts = self.cuts.load(Ordering::Relaxed);
        portico_cluster::wait_for("a cut watch", crate::world::SOON, async || {
            Ok::<_, portico_cluster::Error>((self.cuts.load(Ordering::Relaxed) > cuts).then_some(()))
        })
        .await
        .unwrap();
    }

    /// From now on events are treated so.
    pub fn set_events(&self, events: Events) {
        self.events.send_replace(events);
    }

    /// From now on the API server answers nobody, or answers again.
    pub fn set_away(&self, away: bool) {
        self.state.lock().unwrap().away = away;
    }

    /// Waits until the operator has died.
    pub async fn death(&self) {
        self.died.notified().await;
    }

    /// `client`, which goes wrong as planned.
    pub fn client(&self, client: Client) -> Client {
        let namespace = client.default_namespace().to_owned();
        Client::new(FaultyClient { inner: client, plan: self.clone() }, namespace)
    }

    /// Notes a request; the fault that it meets.
    fn note(&self, method: &Method, path: &str) -> Result<Option<Fault>, BoxError> {
        let mut state = self.state.lock().unwrap();
        if state.away {
            return Err(std::io::Error::from(std::io::ErrorKind::ConnectionRefused).into());
        }
        if *method == Method::GET || path.contains("/events") || path.contains("/leases") {
            return Ok(None);
        }
        state.last = Some(Instant::now());
        let path = path.replace(&state.name, "NAME").replace(&state.namespace, "NAMESPACE");
        let what = format!("{method} {}", without_digest(&path));
        let step = state.step;
        let nth = state.writes.iter().filter(|write| write.step == step && write.what == what).count();
        let write = Write { step, what, nth };
        state.writes.push(write.clone());
        let hit = state.fault.take_if(|(wanted, _)| *wanted == write);
        Ok(hit.map(|(_, fault)| fault))
    }
}

/// The names of a model's children hold digests in which the model's name is: another in each run.
fn without_digest(path: &str) -> String {
    let (before, name) = path.rsplit_once('/').unwrap_or(("", path));
    let prefix = ["NAME-model-", "NAME-fetch-"].into_iter().find(|prefix| name.starts_with(prefix));
    prefix.map_or_else(|| path.to_owned(), |prefix| format!("{before}/{prefix}DIGEST"))
}

#[derive(Clone)]
struct FaultyClient {
    inner: Client,
    plan: Plan,
}

type Stream = UnsyncBoxBody<Bytes, BoxError>;
type Answer = Result<Response<Stream>, BoxError>;

impl Service<Request<Body>> for FaultyClient {
    type Response = Response<Stream>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Answer> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (inner, plan) = (self.inner.clone(), self.plan.clone());
        Box::pin(async move {
            match plan.note(request.method(), request.uri().path())? {
                None => {
                    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
                    let watches = is_watch(&request);
                    let answer = if watches {
                        plan.watch(inner, request).await?
                    } else {
                        inner.send(request).await?.map(plain)
                    };
                    plan.record(&method, &path, watches, answer.status());
                    Ok(answer)
                }
                Some(fault) => meet(fault, &plan, inner, request).await,
            }
        })
    }
}

fn is_watch(request: &Request<Body>) -> bool {
    request.uri().query().is_some_and(|query| query.split('&').any(|pair| pair == "watch=true"))
}

/// API group, resource with its subresource, and whether one object is named.
fn object_of(path: &str) -> Option<(String, String, bool)> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let (group, rest) = match parts.as_slice() {
        ["api", _, rest @ ..] => ("", rest),
        ["apis", group, _, rest @ ..] => (*group, rest),
        _ => return None,
    };
    let rest = if let ["namespaces", _, rest @ ..] = rest { rest } else { rest };
    match rest {
        [resource] => Some((group.to_owned(), (*resource).to_owned(), false)),
        [resource, _] => Some((group.to_owned(), (*resource).to_owned(), true)),
        [resource, _, sub] => Some((group.to_owned(), format!("{resource}/{sub}"), true)),
        _ => None,
    }
}

fn plain(body: Body) -> Stream {
    body.map_err(Into::into).boxed_unsync()
}

impl Plan {
    /// A watch whose events come as [`Events`] says.
    async fn watch(&self, inner: Client, request: Request<Body>) -> Answer {
        let path = request.uri().path().to_owned();
        let response = inner.send(request).await?;
        let status = response.status();
        let (events, cuts) = (self.events.subscribe(), Arc::clone(&self.cuts));
        let frames = BodyStream::new(plain(response.into_body())).then(move |frame| {
            let (path, mut events, cuts) = (path.clone(), events.clone(), Arc::clone(&cuts));
            async move {
                let concerned = |now: &Events| matches!(now, Events::Hold(word) if path.contains(word));
                // The sender is gone only when the test is.
                drop(events.wait_for(|now| !concerned(now)).await);
                match &*events.borrow() {
                    Events::Cut(word) if path.contains(word) => {
                        cuts.fetch_add(1, Ordering::Relaxed);
                        Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset).into())
                    }
                    _ => frame,
                }
            }
        });
        let mut response = Response::new(StreamBody::new(frames).boxed_unsync());
        *response.status_mut() = status;
        Ok(response)
    }
}

async fn meet(fault: Fault, plan: &Plan, inner: Client, request: Request<Body>) -> Answer {
    match fault {
        Fault::DieBefore => die(plan).await,
        Fault::DieAfter => {
            inner.send(request).await?;
            die(plan).await
        }
        Fault::Conflict => Ok(answer(StatusCode::CONFLICT, "Conflict")),
        Fault::TooManyRequests => Ok(answer(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests")),
        Fault::ServerError => Ok(answer(StatusCode::INTERNAL_SERVER_ERROR, "InternalError")),
        Fault::Forbidden => Ok(answer(StatusCode::FORBIDDEN, "Forbidden")),
        Fault::GatewayTimeout => {
            inner.send(request).await?;
            Ok(answer(StatusCode::GATEWAY_TIMEOUT, "Timeout"))
        }
        Fault::Reset => {
            inner.send(request).await?;
            Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset).into())
        }
    }
}

async fn die(plan: &Plan) -> Answer {
    plan.died.notify_one();
    std::future::pending().await
}

fn answer(code: StatusCode, reason: &str) -> Response<Stream> {
    let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": format!("planted: {reason}"), "reason": reason, "code": code.as_u16()});
    let builder = Response::builder().status(code).header("content-type", "application/json");
    builder.header("retry-after", "1").body(plain(Body::from(status.to_string().into_bytes()))).unwrap()
}
