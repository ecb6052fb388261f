//! HTTP with server-sent events, as revision 2024-11-05 has it (transports, "HTTP with SSE"): one long stream carries all that
//! a server says, and what is said to it goes to the address that the stream names first.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use http::HeaderMap;
use http::uri::{Parts, PathAndQuery, Scheme, Uri};
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{self, OwnedPermit};
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::client::Http;
use super::control::refusal;
use super::fault::Fault;
use super::session::{Link, Peer};
use super::sse::Events;
use crate::envelope::{Message, Object};
use crate::meta;
use crate::method::Method;
use crate::rpc::shortened;

/// Messages that wait for whoever reads them; further notifications are lost, and requests refused.
const WAITING: usize = 64;
/// Requests of a server that are refused at a time.
const REFUSING: usize = 16;
/// Time for one refusal.
const REFUSED_WITHIN: Duration = Duration::from_secs(10);
/// Bytes of the address that a stream names.
const MAX_ADDRESS: usize = 4096;

/// One open stream, which is a session with the server; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Line {
    /// Where messages to the server go.
    pub(crate) to: Uri,
    shared: Arc<Shared>,
    _stop: DropGuard,
}

#[derive(Debug, Default)]
struct Shared(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The requests that are not answered, by our ids, which grow.
    waiting: BTreeMap<u64, Waiter>,
    /// Whoever reads what belongs to no request.
    listener: Option<mpsc::Sender<String>>,
    ended: bool,
}

#[derive(Debug)]
struct Waiter {
    messages: mpsc::Sender<String>,
    /// Room for the answer, however many messages wait before it.
    answer: OwnedPermit<String>,
    /// Whether the server may ask the client of this request something.
    may_ask: bool,
}

/// What answers one request: the messages that belong to it, the answer last.
#[derive(Debug)]
pub(crate) struct Answers {
    messages: mpsc::Receiver<String>,
    shared: Arc<Shared>,
    id: u64,
}

impl Answers {
    /// The next message; `None` when the stream has ended.
    pub(crate) async fn next(&mut self) -> Option<String> {
        self.messages.recv().await
    }
}

impl Drop for Answers {
    fn drop(&mut self) {
        self.shared.lock().waiting.remove(&self.id);
    }
}

impl Line {
    /// Opens the stream at the endpoint of `opening`, and gives it as a link.
    pub(crate) async fn open(http: &Http, opening: &Link) -> Result<Link, Fault> {
        let mut events = http.stream(opening).await?;
        let first = events.next_named().await?;
        let (name, data) = first
            .ok_or_else(|| Fault::Broken { reason: "its stream ended before it named an address".into() })?;
        if name != "endpoint" {
            let reason =
                format!("its stream begins with the event `{}`, not with `endpoint`", shortened(&name));
            return Err(Fault::Malformed { reason });
        }
        let (to, stop) = (address(&opening.endpoint.uri, data.trim())?, CancellationToken::new());
        let line = Arc::new(Self { to, shared: Arc::default(), _stop: stop.clone().drop_guard() });
        let reader = Reader {
            shared: Arc::clone(&line.shared),
            http: http.clone(),
            line: Arc::downgrade(&line),
            opening: opening.clone(),
            refusing: Arc::new(Semaphore::new(REFUSING)),
        };
        tokio::spawn(async move {
            stop.run_until_cancelled(reader.read(events)).await;
            reader.shared.end();
        });
        Ok(Link { peer: Peer::Sse { line, version: None }, ..opening.clone() })
    }

    /// Readies what answers the message `text`; `None` for one that asks for no answer.
    ///
    /// # Errors
    /// When the stream has ended, and the session with it.
    pub(crate) fn expect(&self, text: &str) -> Result<Option<Answers>, Fault> {
        let mut state = self.shared.lock();
        if state.ended {
            return Err(Fault::SessionLost);
        }
        let Ok(Message::Request { id, method, .. }) = Message::parse(text) else { return Ok(None) };
        let Ok(id) = id.parse() else { return Ok(None) };
        let (messages, receiver) = mpsc::channel(WAITING);
        let Ok(answer) = messages.clone().try_reserve_owned() else { return Ok(None) };
        let may_ask = Method::named(&method).may_ask();
        state.waiting.insert(id, Waiter { messages, answer, may_ask });
        drop(state);
        Ok(Some(Answers { messages: receiver, shared: Arc::clone(&self.shared), id }))
    }

    /// What the server says that belongs to no request; who listened before hears no more.
    ///
    /// # Errors
    /// When the stream has ended.
    pub(crate) fn listen(&self) -> Result<mpsc::Receiver<String>, Fault> {
        let mut state = self.shared.lock();
        if state.ended {
            return Err(Fault::SessionLost);
        }
        let (sender, receiver) = mpsc::channel(WAITING);
        state.listener = Some(sender);
        Ok(receiver)
    }
}

/// Reads a stream and gives each message to whom it belongs.
struct Reader {
    shared: Arc<Shared>,
    http: Http,
    line: Weak<Line>,
    opening: Link,
    refusing: Arc<Semaphore>,
}

impl Reader {
    async fn read(&self, mut events: Events) {
        loop {
            match events.next_named().await {
                Ok(Some((name, text))) if name.is_empty() || name == "message" => {
                    if let Some(request) = self.shared.route(text) {
                        self.refuse(&request);
                    }
                }
                Ok(Some(_)) => {}
                Ok(None) => return,
                Err(fault) => return tracing::debug!(%fault, "the stream of a server breaks"),
            }
        }
    }

    /// Answers a request that nobody takes, so that the server does not wait.
    fn refuse(&self, request: &str) {
        let (Some(line), Some(body)) = (self.line.upgrade(), refusal(request)) else { return };
        let Ok(permit) = Arc::clone(&self.refusing).try_acquire_owned() else { return };
        let link = Link { peer: Peer::Sse { line, version: None }, ..self.opening.clone() };
        let http = self.http.clone();
        tokio::spawn(async move {
            let sent = timeout(REFUSED_WITHIN, http.post(&link, HeaderMap::new(), body)).await;
            if let Ok(Err(fault)) = sent {
                tracing::debug!(%fault, "a server's request could not be answered");
            }
            drop(permit);
        });
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everybody who waits learns that nothing comes any more.
    fn end(&self) {
        *self.lock() = State { ended: true, ..State::default() };
    }

    /// Passes `text` on; gives it back if it is a request that nobody takes.
    fn route(&self, text: String) -> Option<String> {
        let mut state = self.lock();
        match Message::parse(&text) {
            Ok(Message::Response { id, .. }) => {
                let of = state.answered(id);
                let waiter = of.and_then(|of| state.waiting.remove(&of));
                // What was not asked, or nobody waits for, is for nobody.
                waiter.map(|waiter| waiter.answer.send(text));
                None
            }
            Ok(Message::Notification { method, params }) => {
                let to = match &*method {
                    "notifications/progress" => state.reports_to(params),
                    method if is_news(method) => state.listener.as_ref(),
                    _ => state.newest(),
                };
                // Whoever reads too slowly misses it.
                to.map(|to| to.try_send(text));
                None
            }
            Ok(Message::Request { .. }) => match state.newest() {
                Some(to) => to.try_send(text).err().map(|refused| match refused {
                    mpsc::error::TrySendError::Full(text) | mpsc::error::TrySendError::Closed(text) => text,
                }),
                None => Some(text),
            },
            Err(error) => {
                tracing::debug!(%error, "a server says what is no message");
                None
            }
        }
    }
}

/// Whether it is for all sessions alike, and heard in one.
fn is_news(method: &str) -> bool {
    method.ends_with("/list_changed") || method == "notifications/resources/updated"
}

impl State {
    /// Our id of the request that an answer under `id` is for. Some servers cannot tell the id of what they refuse.
    fn answered(&self, id: Option<&str>) -> Option<u64> {
        match id {
            Some(id) => id.parse().ok(),
            None if self.waiting.len() == 1 => self.waiting.keys().next().copied(),
            None => None,
        }
    }

    /// The request whose progress is told.
    fn reports_to(&self, params: Option<&str>) -> Option<&mpsc::Sender<String>> {
        let params = Object::parse(params?).ok()?;
        let token = params.get(meta::PROGRESS_TOKEN)?.parse().ok()?;
        self.waiting.get(&token).map(|waiter| &waiter.messages)
    }

    /// The client of the newest call; a server cannot say for which of them it asks, or logs. Else who listens.
    fn newest(&self) -> Option<&mpsc::Sender<String>> {
        let call = self.waiting.values().rev().find(|waiter| waiter.may_ask);
        call.map(|waiter| &waiter.messages).or(self.listener.as_ref())
    }
}

/// The address `text` as the stream at `base` means it. It must be of the same origin: credentials and messages go there.
fn address(base: &Uri, text: &str) -> Result<Uri, Fault> {
    let malformed = |what: &str| Fault::Malformed {
        reason: format!("it sends its client to `{}`, {what}", shortened(text)),
    };
    if text.is_empty() || text.len() > MAX_ADDRESS || text.starts_with("//") {
        return Err(malformed("which is no address at the same host"));
    }
    let resolved = if text.contains("://") { text.parse().ok() } else { resolve(base, text) };
    let uri = resolved.ok_or_else(|| malformed("which is no address"))?;
    if origin(&uri) == origin(base) { Ok(uri) } else { Err(malformed("which is another origin")) }
}

fn origin(uri: &Uri) -> (Option<&Scheme>, Option<String>, Option<u16>) {
    let implied = if uri.scheme() == Some(&Scheme::HTTPS) { 443 } else { 80 };
    (uri.scheme(), uri.host().map(str::to_ascii_lowercase), uri.port_u16().or(Some(implied)))
}

/// RFC 3986 section 5.2, for the forms that occur: an absolute path, a query, and a path beside the base.
fn resolve(base: &Uri, text: &str) -> Option<Uri> {
    let path = match text.as_bytes().first()? {
        b'/' => text.to_owned(),
        b'?' => format!("{}{text}", base.path()),
        _ => format!("{}/{text}", base.path().rsplit_once('/').map_or("", |(folder, _)| folder)),
    };
    let mut parts: Parts = base.clone().into_parts();
    parts.path_and_query = Some(path.parse::<PathAndQuery>().ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(base: &str, text: &str) -> Result<String, String> {
        let resolved = address(&base.parse().unwrap(), text);
        resolved.map(|uri| uri.to_string()).map_err(|fault| fault.to_string())
    }

    #[test]
    fn an_address_is_taken_as_the_stream_means_it() {
        let base = "http://a.example:8080/v1/sse?x=1";
        for (text, expected) in [
            ("/message?sessionId=1", "http://a.example:8080/message?sessionId=1"),
            ("?sessionId=1", "http://a.example:8080/v1/sse?sessionId=1"),
            ("messages/1", "http://a.example:8080/v1/messages/1"),
            ("http://A.example:8080/m", "http://A.example:8080/m"),
        ] {
            assert_eq!(said(base, text).as_deref(), Ok(expected), "{text}");
        }
        assert!(said("https://a.example/sse", "https://a.example:443/m").is_ok());
    }

    #[test]
    fn an_address_of_another_origin_is_refused() {
        let base = "http://a.example:8080/sse";
        for text in [
            "http://b.example:8080/m",
            "https://a.example:8080/m",
            "http://a.example/m",
            "//b.example/m",
            "http://a.example:8080@b.example/m",
            "ftp://a.example:8080/m",
            "",
            "http://",
        ] {
            assert!(said(base, text).unwrap_err().contains("it sends its client to"), "{text}");
        }
        assert!(said(base, &format!("/{}", "a".repeat(5000))).is_err());
    }

    fn line() -> Line {
        let (to, stop) = ("http://a.example/m".parse().unwrap(), CancellationToken::new());
        Line { to, shared: Arc::default(), _stop: stop.drop_guard() }
    }

    fn call(line: &Line, id: u64) -> Answers {
        let text = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"a"}}}}"#);
        line.expect(&text).unwrap().unwrap()
    }

    fn answer(id: u64) -> String {
        format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#)
    }

    #[tokio::test]
    async fn an_answer_reaches_its_call_however_slowly_that_is_read() {
        let line = line();
        let (mut first, mut second) = (call(&line, 1), call(&line, 2));
        let progress = r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":1}}"#;
        for _ in 0..1000 {
            line.shared.route(progress.to_owned());
        }
        line.shared.route(answer(1));
        line.shared.route(answer(7));
        line.shared.route("no message".to_owned());
        let mut seen = Vec::new();
        while let Some(message) = first.next().await {
            seen.push(message);
        }
        assert_eq!((seen.len(), seen.last()), (WAITING, Some(&answer(1))));
        line.shared.end();
        assert_eq!(second.next().await, None);
        assert!(matches!(line.expect(&answer(1)), Err(Fault::SessionLost)));
    }

    #[tokio::test]
    async fn what_a_server_asks_goes_to_the_newest_call_and_else_to_who_listens() {
        let (line, ask) = (line(), r#"{"jsonrpc":"2.0","id":"q","method":"roots/list"}"#.to_owned());
        assert_eq!(line.shared.route(ask.clone()), Some(ask.clone()), "nobody is there");
        let mut heard = line.listen().unwrap();
        assert_eq!(line.shared.route(ask.clone()), None);
        assert_eq!(heard.recv().await, Some(ask.clone()));
        let (first, mut second) = (call(&line, 1), call(&line, 2));
        line.shared.route(ask.clone());
        assert_eq!(second.next().await, Some(ask.clone()));
        drop((first, second));
        assert!(line.shared.lock().waiting.is_empty(), "who waits no more is forgotten");
        let news = r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#.to_owned();
        let _call = call(&line, 3);
        line.shared.route(news.clone());
        assert_eq!(heard.recv().await, Some(news), "the lists are everybody's");
    }
}
