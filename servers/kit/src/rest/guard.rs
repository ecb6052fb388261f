//! What stands in front of every path of the REST interface: no page of another site, no foreign host name, no endless body.

use std::net::SocketAddr;

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::Response,
};
use tower_http::limit::RequestBodyLimitLayer;

use super::problem;

/// `router`, guarded.
pub(crate) fn guarded(router: Router, address: SocketAddr, max_body_bytes: usize) -> Router {
    router
        .layer(RequestBodyLimitLayer::new(max_body_bytes))
        .layer(middleware::from_fn_with_state(address.ip().is_loopback(), own_site))
}

/// Lets requests pass that no page sent, or a page of this server itself. On a loopback address the host must be one too: another
/// name means that somebody's name server points here (DNS rebinding).
async fn own_site(State(loopback): State<bool>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    if (loopback && !is_loopback(host)) || !is_own(headers, host) {
        return problem::foreign();
    }
    let mut response = next.run(request).await;
    // The layer below refuses a length that is too great in words of its own.
    if response.status() == StatusCode::PAYLOAD_TOO_LARGE {
        response = problem::too_long();
    }
    let nosniff = HeaderValue::from_static("nosniff");
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
    response
}

fn is_loopback(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, port)| {
        if port.bytes().all(|byte| byte.is_ascii_digit()) { name } else { host }
    });
    matches!(name, "localhost" | "127.0.0.1" | "[::1]")
}

/// Whether no page sent the request, or one of this host, or a local tool. Navigations (such as the way back from a sign-in) have no
/// `Origin` (RFC 6454, 7) with GET. A browser says itself which site asks, and no page can change that; an older one is believed by its
/// `Origin`, also under the name that a gateway in front was called by.
fn is_own(headers: &HeaderMap, host: &str) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if text("sec-fetch-site") == Some("same-origin") || !headers.contains_key(header::ORIGIN) {
        return true;
    }
    let Some((_, name)) = text("origin").and_then(|origin| origin.split_once("://")) else { return false };
    name == host || text("x-forwarded-host") == Some(name) || is_loopback(name)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("localhost:9011", true)]
    #[case("127.0.0.1", true)]
    #[case("[::1]:80", true)]
    #[case("evil.example", false)]
    #[case("localhost.evil.example:9011", false)]
    #[case("", false)]
    fn only_names_of_this_machine_are_its_own(#[case] host: &str, #[case] own: bool) {
        assert_eq!(is_loopback(host), own);
    }

    #[rstest]
    #[case::none(&[], true)]
    #[case::own(&[("origin", "https://shop.example")], true)]
    #[case::tool(&[("origin", "http://localhost:6274")], true)]
    #[case::foreign(&[("origin", "https://evil.example")], false)]
    #[case::opaque(&[("origin", "null")], false)]
    #[case::through_a_gateway(&[("origin", "https://gw.example"), ("x-forwarded-host", "gw.example")], true)]
    #[case::through_another(&[("origin", "https://evil.example"), ("x-forwarded-host", "gw.example")], false)]
    #[case::opaque_of_our_own(&[("origin", "null"), ("sec-fetch-site", "same-origin")], true)]
    #[case::opaque_of_another(&[("origin", "null"), ("sec-fetch-site", "cross-site")], false)]
    fn a_page_of_another_site_is_refused(#[case] pairs: &[(&'static str, &str)], #[case] passes: bool) {
        let headers = pairs
            .iter()
            .map(|(name, value)| (header::HeaderName::from_static(name), value.parse().unwrap()))
            .collect();
        assert_eq!(is_own(&headers, "shop.example"), passes);
    }
}
