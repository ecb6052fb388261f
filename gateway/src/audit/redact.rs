//! Arguments as they may be kept.

use globset::GlobSet;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// Bytes of arguments that are read, and of a text that is kept.
const MAX_READ: usize = 64 * 1024;
const MAX_TEXT: usize = 256;
/// Bytes of what is kept of one call.
const MAX_KEPT: usize = 8 * 1024;
/// Begins of values that are secrets whatever they are called: tokens of OAuth and of well-known services.
const SECRETS: [&str; 8] = ["bearer ", "basic ", "eyj", "sk-", "ghp_", "github_pat_", "xoxb-", "-----begin"];
const REDACTED: &str = "[redacted]";
const TOO_LARGE: &str = "[too large]";

/// The names of the outermost members.
pub(super) fn names(raw: &str) -> Option<Box<RawValue>> {
    let names: Vec<String> = match read(raw)? {
        Value::Object(members) => members.keys().map(|name| shortened(name)).collect(),
        _ => Vec::new(),
    };
    kept(&serde_json::to_string(&names).ok()?)
}

/// All of them, without the values of members that match `redacted` and without what looks like a secret.
pub(super) fn values(raw: &str, redacted: &GlobSet) -> Option<Box<RawValue>> {
    let value = cleaned(read(raw)?, redacted);
    kept(&serde_json::to_string(&value).ok()?)
}

fn read(raw: &str) -> Option<Value> {
    if raw.len() > MAX_READ {
        return Some(Value::String(TOO_LARGE.into()));
    }
    serde_json::from_str(raw).ok()
}

fn kept(text: &str) -> Option<Box<RawValue>> {
    let too_large = text.len() > MAX_KEPT;
    let text = if too_large { format!("\"{TOO_LARGE}\"") } else { text.to_owned() };
    RawValue::from_string(text).ok()
}

fn cleaned(value: Value, redacted: &GlobSet) -> Value {
    match value {
        Value::Object(members) => {
            let clean = |(name, value): (String, Value)| {
                let value = if redacted.is_match(&name) { REDACTED.into() } else { cleaned(value, redacted) };
                (name, value)
            };
            Value::Object(members.into_iter().map(clean).collect::<Map<String, Value>>())
        }
        Value::Array(elements) => elements.into_iter().map(|element| cleaned(element, redacted)).collect(),
        Value::String(text) if is_secret(&text) => REDACTED.into(),
        Value::String(text) => shortened(&text).into(),
        other => other,
    }
}

fn is_secret(text: &str) -> bool {
    let begin: String = text.trim_start().chars().take(16).collect::<String>().to_ascii_lowercase();
    SECRETS.iter().any(|secret| begin.starts_with(secret))
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(MAX_TEXT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::audit::{Arguments, Audit};

    fn values(raw: &str) -> String {
        let audit = Audit { file: "-".into(), arguments: Arguments::Values, redact: vec!["card*".into()] };
        super::values(raw, &audit.redacted()).unwrap().get().to_owned()
    }

    #[test]
    fn secrets_are_left_out_by_their_names_and_by_how_they_look() {
        assert_eq!(
            values(
                r#"{"user":"ada","userPassword":"x","nested":[{"Access_Token":["y"],"CardNumber":4,"n":1}]}"#
            ),
            r#"{"user":"ada","userPassword":"[redacted]","nested":[{"Access_Token":"[redacted]","CardNumber":"[redacted]","n":1}]}"#
        );
        for secret in ["Bearer abc", "eyJhbGciOi", "sk-live-1", "ghp_abc", " -----BEGIN PRIVATE KEY-----"] {
            assert_eq!(values(&format!(r#"{{"a":"{secret}"}}"#)), r#"{"a":"[redacted]"}"#);
        }
    }

    #[test]
    fn what_is_kept_is_bounded_and_always_json() {
        assert!(values(&format!(r#"{{"a":"{}"}}"#, "ä".repeat(1000))).len() < 600);
        assert_eq!(values(&format!(r#"{{"a":"{}"}}"#, "x".repeat(70_000))), r#""[too large]""#);
        let many: Vec<String> = (0..2000).map(|index| format!(r#""m{index}":1"#)).collect();
        assert_eq!(values(&format!("{{{}}}", many.join(","))), r#""[too large]""#);
        assert_eq!(names(r#"{"b":{"c":1},"a":2}"#).unwrap().get(), r#"["b","a"]"#);
        assert_eq!(names("[1]").unwrap().get(), "[]");
        assert!(names("{").is_none());
    }
}
