//! What is tried, and what must hold.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use serde_json::Value;

use super::fuzz;
use crate::backend::Backend;
use crate::backend::sse::Parser;
use crate::catalog::{Catalog, kept};
use crate::client::Capabilities;
use crate::envelope::{Edits, Message, Object, check_depth, quoted};
use crate::frontend::session::Keyring;
use crate::header_text;
use crate::meta;
use crate::metrics::Metrics;
use crate::source::{Server, ServerKey};
use crate::trace::Outgoing;
use crate::version::{Era, LEGACY};

/// What is taken as a message is one for any reader of JSON, and an edit changes what it is to change alone.
#[test]
fn messages() {
    fuzz("envelope", Vec::new(), |input| {
        let Ok(text) = std::str::from_utf8(input) else { return };
        let shallow = check_depth(text, 64).is_ok();
        let Ok(message) = Message::parse(text) else { return };
        assert!(serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok());
        let Message::Request { id, method, params } = message else { return };
        // A number that no float holds is none for the reader that this is compared with.
        let Ok(before) = serde_json::from_str::<Value>(text) else { return };
        assert_eq!(before["method"].as_str(), Some(method.as_ref()));
        let mut edits = Edits::of(text);
        edits.replace(id, "987654321");
        if let Some(params) = params.and_then(|params| Object::parse(params).ok()) {
            rewritten(&mut edits, &params);
        }
        let edited = edits.finish();
        let after: Value = serde_json::from_slice(&edited).unwrap();
        assert_eq!(after["id"], 987_654_321);
        assert_eq!(without_meta(before), without_meta(after));
        assert!(!shallow || check_depth(std::str::from_utf8(&edited).unwrap(), 68).is_ok());
    });
}

/// As for a server of the other era, with a trace.
fn rewritten(edits: &mut Edits<'_>, params: &Object<'_>) {
    let trace = Outgoing { parent: "00-1".into(), state: Some("a=\"1\"".into()) };
    meta::rewrite(edits, params, (Era::Legacy, Era::Modern), (7, meta::own, Some(&trace)));
}

fn without_meta(mut message: Value) -> Value {
    message["id"] = Value::Null;
    if let Some(params) = message.get_mut("params").and_then(Value::as_object_mut) {
        params.remove("_meta");
    }
    message
}

/// However the bytes are cut, the events are those of the standard.
#[test]
fn event_streams() {
    fuzz("events", Vec::new(), |input| {
        let expected = by_the_standard(input);
        for size in [1, 3, 7, 4096] {
            let mut parser = Parser::new(1 << 20);
            let mut events = Vec::new();
            for chunk in input.chunks(size) {
                parser.feed(chunk).unwrap();
                while let Some(event) = parser.next() {
                    events.push(event);
                }
            }
            assert_eq!(events, expected, "in pieces of {size}");
        }
    });
}

/// The data of the events in `stream` (HTML living standard, section 9.2.6), read in the plainest way. Events without data
/// are not told.
fn by_the_standard(stream: &[u8]) -> Vec<Vec<u8>> {
    let stream = stream.strip_prefix(b"\xef\xbb\xbf").unwrap_or(stream);
    let (mut lines, mut line, mut after_cr) = (Vec::new(), Vec::new(), false);
    for byte in stream {
        match byte {
            b'\n' if after_cr => {}
            b'\n' | b'\r' => lines.push(std::mem::take(&mut line)),
            other => line.push(*other),
        }
        after_cr = *byte == b'\r';
    }
    let (mut events, mut data) = (Vec::new(), Vec::new());
    for line in lines {
        let colon = line.iter().position(|byte| *byte == b':');
        let (name, value) = colon.map_or((&line[..], &b""[..]), |colon| (&line[..colon], &line[colon + 1..]));
        if line.is_empty() {
            let mut event = std::mem::take(&mut data);
            // The last line's break is none of the data.
            event.pop();
            if !event.is_empty() {
                events.push(event);
            }
        } else if name == b"data" {
            data.extend_from_slice(value.strip_prefix(b" ").unwrap_or(value));
            data.push(b'\n');
        }
    }
    events
}

/// What is read of a header stands for the same when it is written again.
#[test]
fn header_values() {
    fuzz("header_text", Vec::new(), |input| {
        if let Some(text) = HeaderValue::from_bytes(input).ok().and_then(|value| header_text::decode(&value))
        {
            assert_eq!(header_text::decode(&header_text::encode(&text)).as_deref(), Some(text.as_str()));
        }
    });
}

/// No other text than the one that was given opens a session, and it opens it for nobody else.
#[test]
fn session_ids() {
    let keyring = Keyring::new(&[[7; 32], [8; 32]], Duration::from_hours(1));
    let (session, id) = keyring.open_session(LEGACY[0], Capabilities::default(), 5).unwrap();
    let given = id.clone().into_bytes();
    fuzz("session", vec![given.clone()], |input| {
        let Ok(text) = std::str::from_utf8(input) else { return };
        let read = keyring.read(text, 5);
        assert_eq!(read.map(|session| session.id), (input == given).then_some(session.id));
        assert!(keyring.read(text, 6).is_none());
        assert!(keyring.open_for(b"another purpose", text, 4096).is_none());
    });
}

/// A cursor leads to a page of the list, or is refused; and the pages behind it end.
#[test]
fn cursors() {
    let catalog = Catalog::new(Arc::new(Metrics::new()));
    let key = ServerKey { namespace: "shop".into(), name: "s".into() };
    let tools: Vec<String> =
        (0..20).map(|tool| format!(r#"{{"name":"t{tool}","inputSchema":{{}}}}"#)).collect();
    let listing = format!(
        r#"{{"form":1,"era":"modern","version":"2026-07-28","hasResources":false,"tools":[{}],"resources":[],"resourceTemplates":[],"prompts":[]}}"#,
        tools.join(",")
    );
    let backend = Arc::new(Backend::new(&Server::new(key, Vec::new())));
    catalog.put(backend, Arc::new(kept::read(&listing).unwrap()));
    catalog.build();
    let snapshot = catalog.load();
    let tools = &snapshot.all().tools;
    let first = tools.page(None, 3).unwrap().next.unwrap();
    fuzz("cursor", vec![first.into_bytes()], |input| {
        let Ok(cursor) = std::str::from_utf8(input) else { return };
        let (mut next, mut pages) = (Some(cursor.to_owned()), 0);
        while let Some(cursor) = next {
            let Ok(page) = tools.page(Some(&cursor), 3) else {
                assert_eq!(pages, 0, "a cursor that this list gave");
                return;
            };
            let whole = format!("[{}]", String::from_utf8(page.items.to_vec()).unwrap());
            let read: Vec<Value> = serde_json::from_str(&whole).unwrap();
            assert!(read.len() <= 3);
            (next, pages) = (page.next, pages + 1);
            assert!(pages <= 7, "the pages end");
        }
        // Whatever is asked for is a text that can be written as JSON.
        quoted(cursor);
    });
}
