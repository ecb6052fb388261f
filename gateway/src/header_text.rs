//! Text in header values as MCP 2026-07-28 writes it: plain where it is visible ASCII, else `=?base64?…?=`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;

const OPEN: &str = "=?base64?";
const CLOSE: &str = "?=";

/// The header value that stands for `text`.
pub(crate) fn encode(text: &str) -> HeaderValue {
    let visible = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    let plain = visible && text.trim() == text && !text.starts_with(OPEN) && !text.is_empty();
    let encoded = || format!("{OPEN}{}{CLOSE}", STANDARD.encode(text));
    let value = if plain { HeaderValue::try_from(text) } else { HeaderValue::try_from(encoded()) };
    value.unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// The text that `value` stands for; `None` if it is not ASCII or its base64 is broken.
pub(crate) fn decode(value: &HeaderValue) -> Option<String> {
    let text = value.to_str().ok()?;
    match text.strip_prefix(OPEN).and_then(|rest| rest.strip_suffix(CLOSE)) {
        None => Some(text.to_owned()),
        Some(encoded) => String::from_utf8(STANDARD.decode(encoded).ok()?).ok(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn plain_names_stay_readable() {
        assert_eq!(encode("read_file"), "read_file");
        assert_eq!(encode("größe"), "=?base64?Z3LDtsOfZQ==?=");
        assert_eq!(decode(&HeaderValue::from_static("=?base64?!?=")), None);
    }

    proptest! {
        #[test]
        fn any_text_comes_back(text in ".*") {
            prop_assert_eq!(decode(&encode(&text)), Some(text));
        }
    }
}
