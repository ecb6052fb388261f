//! Finds the authorization server of a server, and what it can do (RFC 9728, RFC 8414).

use http::Uri;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::super::client::Http;
use super::super::fault::Fault;
use crate::auth::split;
use crate::rpc::shortened;

/// An authorization server.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) issuer: String,
    pub(super) authorization: String,
    pub(super) token: Uri,
    /// Whether its answers name it (RFC 9207).
    pub(super) names_itself: bool,
    /// Whether clients may be documents about themselves.
    pub(super) takes_documents: bool,
    /// For which server tokens are asked.
    pub(super) resource: String,
}

/// What a server says of itself (RFC 9728).
#[derive(Deserialize)]
struct Resource {
    resource: String,
    #[serde(default)]
    authorization_servers: Vec<String>,
}

/// What an authorization server says of itself (RFC 8414).
#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    #[serde(default)]
    code_challenge_methods_supported: Vec<String>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
    #[serde(default)]
    client_id_metadata_document_supported: bool,
}

/// The authorization server `issuer` of the server at `server`, or the one that the server names. Tokens are for `resource`,
/// else for what the server calls itself.
pub(super) async fn find(
    http: &Http,
    server: &str,
    (issuer, resource): (Option<&str>, Option<&str>),
) -> Result<Found, String> {
    let said = match (issuer, resource) {
        (Some(_), Some(_)) => None,
        _ => of_server(http, server).await,
    };
    let named = said.as_ref().and_then(|said| said.authorization_servers.first().cloned());
    let issuer = issuer.map(str::to_owned).or(named);
    let issuer =
        issuer.ok_or("the server does not say which authorization server is its own; give `issuer`")?;
    let resource = resource.map(str::to_owned).or(said.map(|said| said.resource));
    let metadata = of_issuer(http, &issuer).await?;
    // RFC 7636: without it a stolen code would be worth a token.
    if !metadata.code_challenge_methods_supported.iter().any(|method| method == "S256") {
        return Err(format!("{} does not say that it takes PKCE with S256", shortened(&issuer)));
    }
    for url in [&metadata.authorization_endpoint, &metadata.token_endpoint] {
        is_safe(url)?;
    }
    Ok(Found {
        token: metadata.token_endpoint.parse().map_err(|_| "its token endpoint is no URL")?,
        authorization: metadata.authorization_endpoint,
        names_itself: metadata.authorization_response_iss_parameter_supported,
        takes_documents: metadata.client_id_metadata_document_supported,
        resource: resource.unwrap_or_else(|| server.to_owned()),
        issuer,
    })
}

/// What the server says of itself; one that says something of another is not believed.
async fn of_server(http: &Http, server: &str) -> Option<Resource> {
    const PLACE: &str = "/.well-known/oauth-protected-resource";
    let (base, path) = split(server)?;
    for url in [format!("{base}{PLACE}{path}"), format!("{base}{PLACE}")] {
        if let Ok(said) = json::<Resource>(http, &url).await
            && split(&said.resource).is_some_and(|(of, _)| of.eq_ignore_ascii_case(base))
        {
            return Some(said);
        }
    }
    None
}

/// RFC 8414 section 3, then `OpenID` Connect Discovery 1.0 in both forms.
async fn of_issuer(http: &Http, issuer: &str) -> Result<Metadata, String> {
    is_safe(issuer)?;
    let (base, path) = split(issuer).ok_or("the issuer is not a URL")?;
    let places = [
        format!("{base}/.well-known/oauth-authorization-server{path}"),
        format!("{base}/.well-known/openid-configuration{path}"),
        format!("{base}{path}/.well-known/openid-configuration"),
    ];
    let mut last = String::new();
    for place in places {
        match json::<Metadata>(http, &place).await {
            // Another issuer's metadata would let that one speak for this one.
            Ok(found) if found.issuer == issuer => return Ok(found),
            Ok(found) => last = format!("{place} is the metadata of `{}`", shortened(&found.issuer)),
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn json<T: DeserializeOwned>(http: &Http, url: &str) -> Result<T, String> {
    let uri: Uri = url.parse().map_err(|error| format!("{url}: {error}"))?;
    let body = http.get_named(&uri).await.map_err(|fault: Fault| format!("{url} {fault}"))?;
    serde_json::from_slice(&body).map_err(|error| format!("{url}: {error}"))
}

/// Secrets and codes go over TLS, or stay on the machine or in the cluster.
fn is_safe(url: &str) -> Result<(), String> {
    let uri: Uri = url.parse().map_err(|_| format!("`{}` is no URL", shortened(url)))?;
    let host = uri.host().unwrap_or_default();
    let is_service = host.strip_suffix(".cluster.local").unwrap_or(host).rsplit('.').next() == Some("svc");
    let is_near = matches!(host, "localhost" | "127.0.0.1" | "[::1]") || is_service;
    match uri.scheme_str() {
        Some("https") => Ok(()),
        Some("http") if is_near => Ok(()),
        _ => Err(format!("`{}` is reached without TLS", shortened(url))),
    }
}

#[cfg(test)]
mod tests {
    use super::is_safe;

    #[test]
    fn codes_and_secrets_go_over_tls_or_stay_near() {
        for near in ["https://id.example", "http://127.0.0.1:1/a", "http://dex.auth.svc:5556"] {
            assert!(is_safe(near).is_ok(), "{near}");
        }
        for far in ["http://id.example", "javascript:alert(1)", "ftp://a", "", "/a", "http://a.svc.example"] {
            assert!(is_safe(far).is_err(), "{far}");
        }
    }
}
