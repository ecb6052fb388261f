//! What the paths of the sign-in answer with: small pages without scripts, or JSON for programs.

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use portico_kit::tool::ToolError;
use serde_json::{Value, json};

use super::login::Failure;

/// What a page may do: show itself, and be in nobody's frame.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'";

/// A page: its title and what is below it, as HTML.
pub(super) struct Page {
    pub(super) status: StatusCode,
    pub(super) title: &'static str,
    pub(super) body: String,
}

impl Page {
    pub(super) fn new(title: &'static str, body: impl Into<String>) -> Self {
        Self { status: StatusCode::OK, title, body: body.into() }
    }

    fn text(&self) -> String {
        format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>{title}</title>\
             <style>body{{font:1rem/1.5 system-ui,sans-serif;max-width:36rem;margin:4rem auto;padding:0 1rem}}\
             code{{overflow-wrap:anywhere}}button{{font:inherit;padding:.5rem 1rem}}</style></head>\
             <body><main><h1>{title}</h1>{body}</main></body></html>\n",
            title = self.title,
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

/// Whether a program asks, rather than a browser.
pub(super) fn wants_json(headers: &HeaderMap) -> bool {
    let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    accepted.contains("application/json") && !accepted.contains("text/html")
}

/// A failure, in the form that was asked for.
pub(super) fn refuse(headers: &HeaderMap, status: StatusCode, title: &'static str, detail: &str) -> Response {
    if wants_json(headers) {
        let problem =
            json!({ "type": "about:blank", "title": title, "status": status.as_u16(), "detail": detail });
        return json(status, problem);
    }
    Page { status, title, body: format!("<p>{}</p>", escape(detail)) }.respond()
}

pub(super) fn failed(headers: &HeaderMap, failure: Failure) -> Response {
    match failure {
        Failure::Unknown => refuse(
            headers,
            StatusCode::BAD_REQUEST,
            "This sign-in is not known",
            "It was begun in another browser, took longer than ten minutes, or is finished already. Begin again.",
        ),
        Failure::Linked => refuse(
            headers,
            StatusCode::CONFLICT,
            "An account is linked already",
            "An account at Kroger was linked meanwhile, and nothing was changed. You can go back to your assistant.",
        ),
        Failure::Refused => refuse(
            headers,
            StatusCode::BAD_GATEWAY,
            "Kroger did not finish the sign-in",
            "Kroger does not accept the code that it gave. Begin again.",
        ),
        Failure::Tool(error) => tool_failed(headers, &error),
    }
}

pub(super) fn tool_failed(headers: &HeaderMap, error: &ToolError) -> Response {
    match error {
        ToolError::SignIn { .. } => {
            refuse(headers, StatusCode::UNAUTHORIZED, "Sign in first", &error.to_string())
        }
        ToolError::Upstream(_) => {
            refuse(headers, StatusCode::BAD_GATEWAY, "Kroger did not answer as it should", &error.to_string())
        }
        _ => {
            tracing::error!(%error, "a sign-in failed");
            let detail = "Something failed here. Try again in a moment.";
            refuse(headers, StatusCode::INTERNAL_SERVER_ERROR, "Something failed", detail)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_from_outside_is_text_and_never_markup() {
        assert_eq!(escape("<a b='c'>\"&"), "&lt;a b=&#39;c&#39;&gt;&quot;&amp;");
    }

    #[test]
    fn a_browser_gets_a_page_and_a_program_json() {
        let accepting = |value: &str| [(header::ACCEPT, value.parse().unwrap())].into_iter().collect();
        assert!(wants_json(&accepting("application/json")));
        assert!(!wants_json(&accepting("text/html,application/xhtml+xml,application/json;q=0.9")));
        assert!(!wants_json(&HeaderMap::new()));
    }
}
