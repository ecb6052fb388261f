//! Messages as text with a known shape: members are found, never re-written; an edit replaces a piece of the text and
//! leaves every other byte as it came.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Why a text is not a message.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Not JSON.
    #[error("the body is not valid JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// JSON nested too deep.
    #[error("the body is nested deeper than {0} levels")]
    Depth(usize),
    /// A batch; revision 2025-06-18 took batches out of the protocol.
    #[error("JSON-RPC batches are not accepted; send each message in its own POST")]
    Batch,
    /// Valid JSON that is no JSON-RPC 2.0 message.
    #[error("the body is not a JSON-RPC 2.0 message: {0}")]
    NotRpc(&'static str),
}

/// The members of one JSON object in order, values unparsed. A member named twice is an error: two readers of one message
/// must not see different requests.
#[derive(Debug, Clone)]
pub(crate) struct Object<'a> {
    raw: &'a str,
    members: Vec<(Cow<'a, str>, &'a str)>,
}

impl<'a> Object<'a> {
    /// Reads the object `raw`, one level deep.
    pub(crate) fn parse(raw: &'a str) -> Result<Self, serde_json::Error> {
        let Members(members) = serde_json::from_str(raw)?;
        Ok(Self { raw, members })
    }

    /// The object as it was written.
    pub(crate) fn raw(&self) -> &'a str {
        self.raw
    }

    /// The members in order.
    pub(crate) fn members(&self) -> &[(Cow<'a, str>, &'a str)] {
        &self.members
    }

    /// The value of `key` as it was written.
    pub(crate) fn get(&self, key: &str) -> Option<&'a str> {
        self.members.iter().find(|(name, _)| name == key).map(|(_, value)| *value)
    }

    /// The value of `key` if it is a string.
    pub(crate) fn string(&self, key: &str) -> Option<Cow<'a, str>> {
        text(self.get(key)?)
    }

    /// The value of `key` if it is an object.
    pub(crate) fn object(&self, key: &str) -> Option<Object<'a>> {
        Object::parse(self.get(key)?).ok()
    }
}

/// The string that the JSON text `raw` denotes, if it is one.
pub(crate) fn text(raw: &str) -> Option<Cow<'_, str>> {
    let Text(text) = serde_json::from_str(raw).ok()?;
    Some(text)
}

/// A JSON string literal denoting `text`.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

#[derive(serde::Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

struct Members<'a>(Vec<(Cow<'a, str>, &'a str)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members: Vec<(Cow<'de, str>, &'de str)> = Vec::with_capacity(4);
        while let Some((Text(key), value)) = map.next_entry::<Text<'de>, &'de RawValue>()? {
            if members.iter().any(|(known, _)| *known == key) {
                return Err(A::Error::custom(format_args!("member `{key}` stands twice")));
            }
            if members.len() == MAX_MEMBERS {
                return Err(A::Error::custom(format_args!("an object has more than {MAX_MEMBERS} members")));
            }
            members.push((key, value.get()));
        }
        Ok(Members(members))
    }
}

/// Members in an object whose members are looked at (an envelope, `params`, `_meta`); the search for doubles is quadratic.
const MAX_MEMBERS: usize = 256;

/// One JSON-RPC message.
#[derive(Debug)]
pub(crate) enum Message<'a> {
    /// Asks for an answer.
    Request {
        /// The id as it was written: a string or an integer.
        id: &'a str,
        /// The method.
        method: Cow<'a, str>,
        /// The parameters as they were written.
        params: Option<&'a str>,
    },
    /// Asks for none.
    Notification {
        /// The method.
        method: Cow<'a, str>,
        /// The parameters as they were written.
        params: Option<&'a str>,
    },
    /// An answer.
    Response {
        /// The id as it was written, unless it was null or absent.
        id: Option<&'a str>,
        /// What was asked for, or why not.
        outcome: Result<&'a str, &'a str>,
    },
}

impl<'a> Message<'a> {
    /// Reads the message `raw`.
    pub(crate) fn parse(raw: &'a str) -> Result<Self, Error> {
        if raw.trim_start().starts_with('[') {
            serde_json::from_str::<serde::de::IgnoredAny>(raw)?;
            return Err(Error::Batch);
        }
        let object = Object::parse(raw)?;
        if object.string("jsonrpc").as_deref() != Some("2.0") {
            return Err(Error::NotRpc("`jsonrpc` must be \"2.0\""));
        }
        if object.get("method").is_some() { Self::call(&object) } else { Self::response(&object) }
    }

    fn call(object: &Object<'a>) -> Result<Self, Error> {
        let method = object.string("method").ok_or(Error::NotRpc("`method` must be a string"))?;
        let params = object.get("params");
        if params.is_some_and(|params| !params.starts_with('{')) {
            return Err(Error::NotRpc("`params` must be an object"));
        }
        match object.get("id") {
            None => Ok(Self::Notification { method, params }),
            Some(id) if is_id(id) => Ok(Self::Request { id, method, params }),
            Some(_) => Err(Error::NotRpc("`id` must be a string or an integer")),
        }
    }

    fn response(object: &Object<'a>) -> Result<Self, Error> {
        let id = object.get("id").filter(|id| is_id(id));
        match (object.get("result"), object.get("error")) {
            (Some(result), None) if id.is_some() => Ok(Self::Response { id, outcome: Ok(result) }),
            (None, Some(error)) => Ok(Self::Response { id, outcome: Err(error) }),
            _ => Err(Error::NotRpc("it has neither `method` nor exactly one of `result` and `error`")),
        }
    }
}

/// Whether `raw` may be an id: a string, or an integer (1.0 and 1e3 denote integers and are accepted).
fn is_id(raw: &str) -> bool {
    raw.len() <= MAX_ID
        && raw.starts_with(|first: char| first == '"' || first == '-' || first.is_ascii_digit())
}

/// Bytes in an id; it is repeated in answers and kept while the call is in flight.
const MAX_ID: usize = 512;

/// Errs if `raw` nests objects and arrays deeper than `limit`. Reads bytes, not JSON: it is right for all valid JSON and
/// harmless for the rest, which the parser refuses afterwards.
pub(crate) fn check_depth(raw: &str, limit: usize) -> Result<(), Error> {
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for byte in raw.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => depth += 1,
            b'}' | b']' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > limit {
            return Err(Error::Depth(limit));
        }
    }
    Ok(())
}

/// Replacements of pieces of one text.
#[derive(Debug)]
pub(crate) struct Edits<'a> {
    raw: &'a str,
    pieces: Vec<(usize, usize, Cow<'a, str>)>,
}

impl<'a> Edits<'a> {
    /// No replacement yet in `raw`.
    pub(crate) fn of(raw: &'a str) -> Self {
        Self { raw, pieces: Vec::with_capacity(4) }
    }

    /// Replaces `part`, which must be a slice of the text; another string changes nothing.
    pub(crate) fn replace(&mut self, part: &str, with: impl Into<Cow<'a, str>>) {
        if let Some(start) = self.position(part) {
            self.pieces.push((start, start + part.len(), with.into()));
        }
    }

    /// Puts `text` behind `part`, which must be a slice of the text.
    pub(crate) fn append(&mut self, part: &str, text: impl Into<Cow<'a, str>>) {
        if let Some(start) = self.position(part) {
            let end = start + part.len();
            self.pieces.push((end, end, text.into()));
        }
    }

    /// Puts `member` (`"key":value`) first into `object`, which must be an object in the text.
    pub(crate) fn prepend(&mut self, object: &str, member: &str) {
        let Some(start) = self.position(object).filter(|_| object.starts_with('{')) else { return };
        let empty = object[1..].trim_start().starts_with('}');
        let member = if empty { member.to_owned() } else { format!("{member},") };
        self.pieces.push((start + 1, start + 1, member.into()));
    }

    /// The text with all replacements made.
    pub(crate) fn finish(mut self) -> Bytes {
        self.pieces.sort_by_key(|(start, _, _)| *start);
        let grown: usize = self.pieces.iter().map(|(_, _, with)| with.len()).sum();
        let mut out = String::with_capacity(self.raw.len() + grown);
        let mut done = 0;
        for (start, end, with) in &self.pieces {
            out.push_str(&self.raw[done..*start]);
            out.push_str(with);
            done = *end;
        }
        out.push_str(&self.raw[done..]);
        out.into()
    }

    /// Where `part` lies, if it is a slice of the text.
    fn position(&self, part: &str) -> Option<usize> {
        let start = part.as_ptr().addr().checked_sub(self.raw.as_ptr().addr())?;
        (start + part.len() <= self.raw.len()).then_some(start)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[test]
    fn members_keep_the_text_they_were_written_in() {
        let object = Object::parse(r#"{ "a" : 1.0, "b\u0063": [ 1e400 ] }"#).unwrap();
        assert_eq!(object.get("a"), Some("1.0"));
        assert_eq!(object.get("bc"), Some("[ 1e400 ]"));
    }

    #[test]
    fn a_member_named_twice_is_refused_also_when_escaped() {
        assert!(Object::parse(r#"{"name":1,"n\u0061me":2}"#).is_err());
    }

    #[test]
    fn a_message_is_told_by_its_members() {
        let parse = |raw| Message::parse(raw);
        assert!(matches!(
            parse(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#),
            Ok(Message::Request { id: "1", .. })
        ));
        assert!(matches!(parse(r#"{"jsonrpc":"2.0","method":"x"}"#), Ok(Message::Notification { .. })));
        assert!(matches!(
            parse(r#"{"jsonrpc":"2.0","id":"a","result":{}}"#),
            Ok(Message::Response { outcome: Ok("{}"), .. })
        ));
        assert!(matches!(parse("[]"), Err(Error::Batch)));
        assert!(matches!(parse(r#"{"id":1,"method":"x"}"#), Err(Error::NotRpc(_))));
        assert!(matches!(parse(r#"{"jsonrpc":"2.0","id":null,"method":"x"}"#), Err(Error::NotRpc(_))));
        assert!(matches!(
            parse(r#"{"jsonrpc":"2.0","id":1,"method":"x","params":[]}"#),
            Err(Error::NotRpc(_))
        ));
        assert!(matches!(parse("{"), Err(Error::Json(_))));
    }

    #[test]
    fn depth_is_counted_outside_strings_only() {
        assert!(check_depth(r#"{"a":"[[[[[\"[["}"#, 1).is_ok());
        assert!(matches!(check_depth("[[[]]]", 2), Err(Error::Depth(2))));
    }

    #[test]
    fn a_member_can_be_put_into_an_empty_object() {
        let raw = r#"{"a":{ },"b":{"c":1}}"#;
        let object = Object::parse(raw).unwrap();
        let mut edits = Edits::of(raw);
        edits.prepend(object.get("a").unwrap(), r#""x":1"#);
        edits.prepend(object.get("b").unwrap(), r#""x":1"#);
        assert_eq!(edits.finish(), r#"{"a":{"x":1 },"b":{"x":1,"c":1}}"#);
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".*".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::hash_map(".*", inner, 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn replacing_one_member_changes_no_other_byte(value in json(), name in ".*", new in ".*", pretty: bool) {
            let whole = serde_json::json!({ "before": value, "name": name, "after": value });
            let raw = if pretty { serde_json::to_string_pretty(&whole) } else { serde_json::to_string(&whole) }.unwrap();
            let object = Object::parse(&raw).unwrap();
            let old = object.get("name").unwrap();
            let (head, tail) = {
                let start = old.as_ptr().addr() - raw.as_ptr().addr();
                (&raw[..start], &raw[start + old.len()..])
            };
            let mut edits = Edits::of(&raw);
            edits.replace(old, quoted(&new));
            let out = edits.finish();
            let expected = format!("{head}{}{tail}", quoted(&new));
            prop_assert_eq!(&out[..], expected.as_bytes());
            let read: Value = serde_json::from_slice(&out).unwrap();
            prop_assert_eq!(read["name"].as_str(), Some(new.as_str()));
        }

        #[test]
        fn no_text_makes_the_reader_panic(raw in ".*") {
            check_depth(&raw, 8).ok();
            Message::parse(&raw).ok();
        }
    }
}
