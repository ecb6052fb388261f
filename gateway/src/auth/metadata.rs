//! How a client finds out where it gets a token: RFC 9728, and the challenge of RFC 6750.

use bytes::Bytes;
use http::HeaderValue;
use serde_json::json;

use super::Denied;
use crate::config::auth::OAuth;

/// The path of the metadata; that of the resource may follow.
const PATH: &str = "/.well-known/oauth-protected-resource";

/// Where the metadata of `resource` is: between the host and the path (RFC 9728 section 3.1).
fn url(resource: &str) -> String {
    let after = resource.find("://").map_or(0, |at| at + 3);
    let path = resource[after..].find('/').map_or(resource.len(), |at| after + at);
    format!("{}{PATH}{}", &resource[..path], resource[path..].trim_end_matches('/'))
}

/// The metadata.
pub(super) fn document(oauth: &OAuth) -> Bytes {
    let issuers: Vec<&str> = oauth.issuers.iter().map(|issuer| issuer.issuer.as_str()).collect();
    let document = json!({
        "resource": oauth.resource,
        "authorization_servers": issuers,
        "scopes_supported": oauth.scopes,
        "bearer_methods_supported": ["header"],
        "resource_name": "Portico",
    });
    document.to_string().into()
}

/// The `WWW-Authenticate` of a refusal; `further` scopes are wanted besides those that every token must have.
pub(crate) fn challenge(oauth: Option<&OAuth>, denied: &Denied, further: &[String]) -> Option<HeaderValue> {
    let mut parts = Vec::new();
    match denied {
        Denied::Missing => {}
        Denied::Invalid(_) => parts.push(r#"error="invalid_token""#.to_owned()),
        Denied::Scope(_) => parts.push(r#"error="insufficient_scope""#.to_owned()),
        Denied::Unavailable(_) => return None,
    }
    if let Some(oauth) = oauth {
        parts.push(format!(r#"resource_metadata="{}""#, url(&oauth.resource)));
        let scopes = [oauth.scopes.as_slice(), further].concat();
        if !scopes.is_empty() {
            parts.push(format!(r#"scope="{}""#, scopes.join(" ")));
        }
    }
    HeaderValue::try_from(format!("Bearer {}", parts.join(", ")).trim_end()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_metadata_lies_between_host_and_path() {
        assert_eq!(
            url("https://a.example/mcp"),
            "https://a.example/.well-known/oauth-protected-resource/mcp"
        );
        assert_eq!(url("https://a.example"), "https://a.example/.well-known/oauth-protected-resource");
        assert_eq!(url("https://a.example/"), "https://a.example/.well-known/oauth-protected-resource");
    }
}
