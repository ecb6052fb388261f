//! The pages themselves, and the cookie by which a browser is known again.

use axum::body::Body;
use axum::response::Response;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, COOKIE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderValue, StatusCode};

const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'";

/// A cookie under this prefix comes from this host alone, and over TLS.
pub(super) fn cookie_name(secure: bool) -> &'static str {
    if secure { "__Host-portico-connect" } else { "portico-connect" }
}

/// The value of our cookie.
pub(super) fn cookie(headers: &HeaderMap, secure: bool) -> Option<String> {
    let all = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = all.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let (_, value) = pairs.find(|(name, _)| *name == cookie_name(secure))?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (value.len() == 22 && value.bytes().all(plain)).then(|| value.to_owned())
}

/// What went wrong, with the server as its subject.
pub(super) fn failed(reason: &str) -> Response {
    page(StatusCode::BAD_GATEWAY, "It did not work", &format!("The server {reason}"))
}

/// A page with a sentence.
pub(super) fn page(status: StatusCode, title: &str, text: &str) -> Response {
    html(status, title, &format!("<p>{}</p>", escaped(text)))
}

/// A page.
pub(super) fn html(status: StatusCode, title: &str, body: &str) -> Response {
    let text = format!(
        "<!DOCTYPE html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title><style>body{{font:1.1em sans-serif;max-width:32em;margin:4em auto;padding:0 1em}}b{{overflow-wrap:anywhere}}</style><h1>{title}</h1>{body}</html>"
    );
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_FRAME_OPTIONS, "DENY"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-store"),
    ];
    response.headers_mut().extend(headers.map(|(name, value)| (name, HeaderValue::from_static(value))));
    response
}

/// `text` as text of a page.
pub(super) fn escaped(text: &str) -> String {
    text.chars()
        .map(|character| match character {
            '&' => "&amp;".to_owned(),
            '<' => "&lt;".to_owned(),
            '>' => "&gt;".to_owned(),
            '"' => "&quot;".to_owned(),
            '\'' => "&#39;".to_owned(),
            other => other.to_string(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_is_text_on_a_page() {
        assert_eq!(escaped("<a b='c' d=\"e\">&"), "&lt;a b=&#39;c&#39; d=&quot;e&quot;&gt;&amp;");
    }

    #[test]
    fn a_cookie_is_read_that_looks_like_one_of_ours() {
        let of = |text: &str| cookie(&HeaderMap::from_iter([(COOKIE, text.parse().unwrap())]), false);
        let value = "a".repeat(22);
        assert_eq!(of(&format!("x=1; portico-connect={value}")), Some(value.clone()));
        assert_eq!(of(&format!("__Host-portico-connect={value}")), None);
        assert_eq!(of("portico-connect=short"), None);
        assert_eq!(of(&format!("portico-connect={}\"", "a".repeat(21))), None);
    }
}
