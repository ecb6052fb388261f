//! The page at `/`: one file, which asks nobody but this port.

use std::sync::LazyLock;

use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue};
use sha2::{Digest as _, Sha256};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Style and script stand in the page itself.
static PAGE: LazyLock<String> =
    LazyLock::new(|| include_str!("page.html").replace("/*STYLE*/", STYLE).replace("/*SCRIPT*/", SCRIPT));

/// Nothing but this style and this script, by their digests; and nothing is loaded but from this port.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let digest = |text: &str| STANDARD.encode(Sha256::digest(text));
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; connect-src 'self'; img-src data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'",
        digest(STYLE),
        digest(SCRIPT)
    )
});

/// The page.
pub(super) fn response() -> Response {
    let mut response = PAGE.as_str().into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    // The policy is made of visible ASCII.
    headers.extend(HeaderValue::from_str(&POLICY).ok().map(|policy| (CONTENT_SECURITY_POLICY, policy)));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_loads_nothing_from_elsewhere_and_is_whole() {
        assert!(PAGE.contains(STYLE) && PAGE.contains(SCRIPT));
        for outside in ["http://", "https://", "@import", "url(", "innerHTML", "eval("] {
            assert!(!PAGE.contains(outside), "{outside}");
        }
        assert!(HeaderValue::from_str(&POLICY).is_ok() && !POLICY.contains("unsafe"));
    }

    /// A script or style that ends its own element would make its digest that of something else.
    #[test]
    fn style_and_script_do_not_end_their_elements() {
        assert!(!STYLE.contains("</") && !SCRIPT.contains("</"));
    }
}
