//! Reads a stream of server-sent events (HTML living standard, section 9.2) from a response body.

use std::time::Duration;

use bytes::{Buf, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::sync::mpsc;

use super::client::Http;
use super::fault::Fault;
use super::line::Answers;
use super::session::Link;

/// The byte order mark of UTF-8.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// Splits bytes into events and gives the data of each. Names are looked at only where one stream carries all: MCP sends one
/// JSON-RPC message as the data of each event, and events without data only mark the stream as resumable.
#[derive(Debug)]
pub(crate) struct Parser {
    buffer: BytesMut,
    /// How far `buffer` was searched for the end of a line.
    searched: usize,
    after_cr: bool,
    /// Whether a line was read: before the first one a byte order mark may stand.
    begun: bool,
    data: Option<Vec<u8>>,
    /// The name of the event whose lines are being read, and that of the one that was given last.
    names: (Vec<u8>, Vec<u8>),
    /// The id of the event whose lines are being read, and that from which the stream can be read on.
    ids: (Option<String>, Option<String>),
    /// How long to wait before that.
    retry: Duration,
    limit: usize,
}

/// How long to wait before a stream is read on where the server does not say, and the longest that it can have one wait.
const RETRY: Duration = Duration::from_millis(250);
const MAX_RETRY: Duration = Duration::from_secs(30);
/// Bytes in the id of an event; with a longer one a stream is not read on.
const MAX_ID: usize = 1024;
/// How often a stream is read on without getting anything new.
const MAX_RESUMED: usize = 5;

impl Parser {
    /// Reads events of at most `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            buffer: BytesMut::new(),
            searched: 0,
            after_cr: false,
            begun: false,
            data: None,
            names: Default::default(),
            ids: Default::default(),
            retry: RETRY,
            limit,
        }
    }

    /// Takes bytes as they arrive.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let held = self.buffer.len() + self.data.as_ref().map_or(0, Vec::len) + self.names.0.len();
        if held + bytes.len() > self.limit.saturating_add(64 * 1024) {
            return Err(Fault::TooLarge { limit: self.limit });
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    /// The data of the next whole event.
    pub(crate) fn next(&mut self) -> Option<Vec<u8>> {
        while let Some(line) = self.line() {
            if line.is_empty() {
                self.names.1 = std::mem::take(&mut self.names.0);
                self.ids.1.clone_from(&self.ids.0);
                if let Some(data) = self.data.take().filter(|data| !data.is_empty()) {
                    return Some(data);
                }
            } else if let Some(value) = field(&line, b"event") {
                self.names.0 = value.to_vec();
            } else if let Some(value) = field(&line, b"id") {
                self.take_id(value);
            } else if let Some(value) = field(&line, b"retry") {
                self.take_retry(value);
            } else if let Some(value) = field(&line, b"data") {
                match &mut self.data {
                    Some(data) => {
                        data.push(b'\n');
                        data.extend_from_slice(value);
                    }
                    None => self.data = Some(value.to_vec()),
                }
            }
        }
        None
    }

    fn take_id(&mut self, value: &[u8]) {
        let text = std::str::from_utf8(value);
        let text = text.ok().filter(|text| text.len() <= MAX_ID && !text.contains('\0'));
        self.ids.0 = text.filter(|text| !text.is_empty()).map(str::to_owned);
    }

    fn take_retry(&mut self, value: &[u8]) {
        let text = std::str::from_utf8(value).ok();
        let millis = text.and_then(|text| text.trim().parse::<u64>().ok());
        self.retry = millis.map_or(self.retry, |millis| Duration::from_millis(millis).min(MAX_RETRY));
    }

    /// Forgets what came in part: the stream is read on from the last whole event.
    fn begin_anew(&mut self) {
        self.buffer.clear();
        (self.searched, self.after_cr, self.begun, self.data) = (0, false, false, None);
        self.ids.0 = self.ids.1.clone();
    }

    /// The name of the event that was given last; empty for one without.
    fn name(&self) -> String {
        String::from_utf8_lossy(&self.names.1).into_owned()
    }

    /// The next whole line; lines end in LF, CR or CR LF.
    fn line(&mut self) -> Option<BytesMut> {
        if let Some(first) = self.buffer.first() {
            // One line feed behind a carriage return belongs to it; another is a line of its own.
            if std::mem::take(&mut self.after_cr) && *first == b'\n' {
                self.buffer.advance(1);
            }
        }
        let rest = &self.buffer[self.searched..];
        let Some(found) = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')) else {
            self.searched = self.buffer.len();
            return None;
        };
        let mut line = self.buffer.split_to(self.searched + found + 1);
        self.searched = 0;
        self.after_cr = line.last() == Some(&b'\r');
        line.truncate(line.len() - 1);
        if !std::mem::replace(&mut self.begun, true) && line.starts_with(MARK) {
            line.advance(MARK.len());
        }
        Some(line)
    }
}

/// What `line` says of the field `name`, if it is of that; a field without a colon has an empty value.
fn field<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    match line.strip_prefix(name)? {
        [] => Some(b""),
        [b':', value @ ..] => Some(value.strip_prefix(b" ").unwrap_or(value)),
        _ => None,
    }
}

/// What a server says, message by message.
#[derive(Debug)]
pub(crate) struct Events(Source);

#[derive(Debug)]
enum Source {
    /// One response.
    Body(Box<Read>),
    /// What answers one request over a stream that carries all.
    Line(Answers),
    /// What belongs to no request there.
    Heard(mpsc::Receiver<String>),
}

/// A response being read.
#[derive(Debug)]
struct Read {
    body: Incoming,
    parser: Parser,
    /// How to read on a stream that ended too early; a server may end one whenever it likes (2025-11-25, transports).
    again: Option<(Http, Link)>,
    resumed: usize,
}

impl Events {
    /// Reads events of at most `limit` bytes from `body`.
    pub(crate) fn new(body: Incoming, limit: usize) -> Self {
        Self(Source::Body(Box::new(Read { body, parser: Parser::new(limit), again: None, resumed: 0 })))
    }

    /// The same; when the stream ends it is read on from its last event, if that has an id.
    pub(crate) fn resumable(body: Incoming, limit: usize, again: (Http, Link)) -> Self {
        let (parser, again) = (Parser::new(limit), Some(again));
        Self(Source::Body(Box::new(Read { body, parser, again, resumed: 0 })))
    }

    /// What answers one request.
    pub(crate) fn answers(answers: Answers) -> Self {
        Self(Source::Line(answers))
    }

    /// What belongs to no request.
    pub(crate) fn heard(heard: mpsc::Receiver<String>) -> Self {
        Self(Source::Heard(heard))
    }

    /// The data of the next event; `None` at the end of the stream.
    pub(crate) async fn next(&mut self) -> Result<Option<String>, Fault> {
        match &mut self.0 {
            Source::Body(read) => read.next().await,
            Source::Line(answers) => Ok(answers.next().await),
            Source::Heard(heard) => Ok(heard.recv().await),
        }
    }

    /// The same, and the event's name before it; empty for one without.
    pub(crate) async fn next_named(&mut self) -> Result<Option<(String, String)>, Fault> {
        let data = self.next().await?;
        let name = match &self.0 {
            Source::Body(read) => read.parser.name(),
            Source::Line(_) | Source::Heard(_) => String::new(),
        };
        Ok(data.map(|data| (name, data)))
    }
}

impl Read {
    /// The data of the next event; `None` at the end of the stream. May be dropped while it waits, and called again.
    async fn next(&mut self) -> Result<Option<String>, Fault> {
        loop {
            if let Some(data) = self.parser.next() {
                self.resumed = 0;
                let text = String::from_utf8(data);
                return text
                    .map(Some)
                    .map_err(|_| Fault::Malformed { reason: "an event is not UTF-8".into() });
            }
            let ended = match self.body.frame().await {
                None => Ok(None),
                Some(Err(error)) => Err(Fault::Broken { reason: error.to_string() }),
                Some(Ok(frame)) => {
                    if let Ok(bytes) = frame.into_data() {
                        self.parser.feed(&bytes)?;
                    }
                    continue;
                }
            };
            if !self.resume().await {
                return ended;
            }
        }
    }

    /// Reads on from the last event; whether that could be done.
    async fn resume(&mut self) -> bool {
        let (Some((http, link)), Some(id)) = (&self.again, &self.parser.ids.1) else { return false };
        if self.resumed >= MAX_RESUMED {
            return false;
        }
        self.resumed += 1;
        tokio::time::sleep(self.parser.retry).await;
        match http.resume(link, id).await {
            Ok(body) => {
                self.body = body;
                self.parser.begin_anew();
                true
            }
            Err(fault) => {
                tracing::debug!(%fault, "a stream that ended cannot be read on");
                matches!(fault, Fault::Unreachable { .. } | Fault::Broken { .. })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn events(stream: &[u8], chunk: usize) -> Vec<String> {
        let mut parser = Parser::new(1 << 20);
        let mut events = Vec::new();
        for chunk in stream.chunks(chunk.max(1)) {
            parser.feed(chunk).unwrap();
            while let Some(event) = parser.next() {
                events.push(String::from_utf8(event).unwrap());
            }
        }
        events
    }

    #[test]
    fn comments_names_ids_and_empty_events_are_passed_over() {
        let stream = b": hi\n\nid: 0\ndata:\n\nevent: message\nid: 1\ndata: {\ndata:}\n\nretry: 3\n\n";
        assert_eq!(events(stream, 1000), ["{\n}"]);
    }

    #[test]
    fn an_event_has_its_own_name_and_not_that_of_one_before() {
        let mut parser = Parser::new(100);
        parser
            .feed(b"event: endpoint\ndata: a\n\nevent:lost\n\ndata: b\n\nevent: message\ndata: c\n\n")
            .unwrap();
        let named: Vec<_> = std::iter::from_fn(|| parser.next().map(|data| (parser.name(), data))).collect();
        let expected = [("endpoint", "a"), ("", "b"), ("message", "c")];
        assert_eq!(named, expected.map(|(name, data)| (name.to_owned(), data.as_bytes().to_vec())));
    }

    #[test]
    fn an_event_above_the_limit_is_refused() {
        let mut parser = Parser::new(10);
        assert!(parser.feed(&vec![b'x'; 70_000]).is_err());
    }

    proptest! {
        #[test]
        fn how_the_bytes_are_cut_and_how_lines_end_does_not_matter(
            data in prop::collection::vec("[a-z{}\" ]{1,9}", 1..5),
            ending in prop_oneof![Just("\n"), Just("\r"), Just("\r\n")],
            chunk in 1_usize..9,
        ) {
            let stream: String = data.iter().map(|data| format!("data: {data}{ending}{ending}")).collect();
            // A lone CR at the very end may be half of CR LF, so what follows it decides.
            let stream = format!("{stream}:{ending}");
            prop_assert_eq!(events(stream.as_bytes(), chunk), data);
        }
    }
}
