//! Reads a stream of server-sent events (HTML living standard, section 9.2) from a response body.

use bytes::{Buf, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use super::fault::Fault;

/// The byte order mark of UTF-8.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// Splits bytes into events and gives the data of each. Event names and ids are not looked at: MCP sends one JSON-RPC
/// message as the data of each event, and events without data only mark the stream as resumable.
#[derive(Debug)]
pub(crate) struct Parser {
    buffer: BytesMut,
    /// How far `buffer` was searched for the end of a line.
    searched: usize,
    after_cr: bool,
    /// Whether a line was read: before the first one a byte order mark may stand.
    begun: bool,
    data: Option<Vec<u8>>,
    limit: usize,
}

impl Parser {
    /// Reads events of at most `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self { buffer: BytesMut::new(), searched: 0, after_cr: false, begun: false, data: None, limit }
    }

    /// Takes bytes as they arrive.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let held = self.buffer.len() + self.data.as_ref().map_or(0, Vec::len);
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
                if let Some(data) = self.data.take().filter(|data| !data.is_empty()) {
                    return Some(data);
                }
            } else if let Some(value) = data(&line) {
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

/// What `line` adds to an event's data, if it does; a field without a colon has an empty value.
fn data(line: &[u8]) -> Option<&[u8]> {
    if line == b"data" {
        return Some(b"");
    }
    let value = line.strip_prefix(b"data:")?;
    Some(value.strip_prefix(b" ").unwrap_or(value))
}

/// The events of one response.
#[derive(Debug)]
pub(crate) struct Events {
    body: Incoming,
    parser: Parser,
}

impl Events {
    /// Reads events of at most `limit` bytes from `body`.
    pub(crate) fn new(body: Incoming, limit: usize) -> Self {
        Self { body, parser: Parser::new(limit) }
    }

    /// The data of the next event; `None` at the end of the stream.
    pub(crate) async fn next(&mut self) -> Result<Option<String>, Fault> {
        loop {
            if let Some(data) = self.parser.next() {
                let text = String::from_utf8(data);
                return text
                    .map(Some)
                    .map_err(|_| Fault::Malformed { reason: "an event is not UTF-8".into() });
            }
            match self.body.frame().await {
                None => return Ok(None),
                Some(Err(error)) => return Err(Fault::Broken { reason: error.to_string() }),
                Some(Ok(frame)) => {
                    if let Some(bytes) = frame.data_ref() {
                        self.parser.feed(bytes)?;
                    }
                }
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
