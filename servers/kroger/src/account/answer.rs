//! What the paths of the sign-in answer with: small pages without scripts, or JSON for programs.

use axum::{
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::Value;

/// What a page may do: show itself, and be in nobody's frame.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'";

/// A page: its title and what is below it, as HTML.
pub(super) struct Page {
    pub(super) status: StatusCode,
    /// Its language tag (BCP 47).
    pub(super) language: &'static str,
    pub(super) title: String,
    pub(super) body: String,
}

impl Page {
    fn text(&self) -> String {
        format!(
            "<!doctype html>\n<html lang=\"{language}\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>{title}</title>\
             <style>body{{font:1rem/1.5 system-ui,sans-serif;max-width:36rem;margin:4rem auto;padding:0 1rem}}\
             code{{overflow-wrap:anywhere}}button{{font:inherit;padding:.5rem 1rem}}</style></head>\
             <body><main><h1>{title}</h1>{body}</main></body></html>\n",
            language = self.language,
            title = escape(&self.title),
            body = self.body,
        )
    }

    /// The page.
    pub(super) fn respond(&self) -> Response {
        self.under(&format!("{POLICY}; form-action 'self'"))
    }

    /// The page, whose form leads to Kroger in the end. By which of its hosts is not known, and browsers hold all of them to the policy.
    pub(super) fn respond_leading_away(&self) -> Response {
        self.under(POLICY)
    }

    fn under(&self, policy: &str) -> Response {
        let kind = (header::CONTENT_TYPE, "text/html; charset=utf-8");
        let mut response = (self.status, [kind], self.text()).into_response();
        set(&mut response, header::CONTENT_SECURITY_POLICY, policy);
        private(response)
    }
}

/// Text within a page.
pub(super) fn escape(text: &str) -> String {
    text.chars()
        .map(|letter| match letter {
            '&' => "&amp;".to_owned(),
            '<' => "&lt;".to_owned(),
            '>' => "&gt;".to_owned(),
            '"' => "&quot;".to_owned(),
            '\'' => "&#39;".to_owned(),
            other => other.to_string(),
        })
        .collect()
}

/// Marks a response as nobody's but the browser's that asked.
pub(super) fn private(mut response: Response) -> Response {
    set(&mut response, header::CACHE_CONTROL, "no-store");
    // With `no-referrer` browsers send `Origin: null` with our own forms.
    set(&mut response, header::REFERRER_POLICY, "same-origin");
    set(&mut response, header::X_FRAME_OPTIONS, "DENY");
    response
}

pub(super) fn set(response: &mut Response, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().append(name, value);
    }
}

/// Sends the browser on. 303: whatever it asked with, it goes on with GET.
pub(super) fn go_to(address: &str) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    set(&mut response, header::LOCATION, address);
    private(response)
}

#[expect(clippy::needless_pass_by_value, reason = "each caller makes it for this")]
pub(super) fn json(status: StatusCode, body: Value) -> Response {
    let kind = if status.is_success() { "application/json" } else { "application/problem+json" };
    private((status, [(header::CONTENT_TYPE, kind)], body.to_string()).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_from_outside_is_text_and_never_markup() {
        assert_eq!(escape("<a b='c'>\"&"), "&lt;a b=&#39;c&#39;&gt;&quot;&amp;");
    }
}
