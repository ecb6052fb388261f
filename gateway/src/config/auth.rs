//! Who may use the gateway.

use std::path::PathBuf;

use serde::Deserialize;

use super::{Error, field};

/// Authorization servers and scopes in a configuration.
const MAX_ISSUERS: usize = 16;
const MAX_SCOPES: usize = 32;

/// Who may use the gateway. Without this part everybody may who reaches it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Auth {
    /// Whether requests without credentials are let in as well.
    #[serde(default)]
    pub anonymous: bool,
    /// Keys for machines.
    pub api_keys: Option<ApiKeys>,
    /// Access tokens.
    pub oauth: Option<OAuth>,
}

/// Keys for machines.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ApiKeys {
    /// A folder with a file a key, as a mounted Secret is; the file's name says whose it is.
    pub folder: PathBuf,
}

/// Access tokens of authorization servers.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct OAuth {
    /// The URL under which clients know the gateway, such as `https://tools.example.com/mcp`. With endpoints of namespaces and
    /// tool sets it is the URL without a path.
    pub resource: String,
    /// The servers whose tokens are taken.
    pub issuers: Vec<Issuer>,
    /// The audiences for which tokens may be; absent: `resource` alone.
    #[serde(default)]
    pub audiences: Vec<String>,
    /// The scopes that a token must have, all of them.
    #[serde(default)]
    pub scopes: Vec<String>,
}

/// An authorization server.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Issuer {
    /// Its identifier, a URL, exactly as it stands in tokens.
    pub issuer: String,
    /// Where its keys are; absent: where its metadata says.
    pub jwks_url: Option<String>,
    /// A client of it by which the gateway asks who sits before a browser that signs in to a server; absent: it does not ask.
    pub browser: Option<BrowserClient>,
}

/// A client of an issuer, registered with the redirect URI `/connect/callback` of the gateway.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct BrowserClient {
    /// Its identifier.
    pub client_id: String,
    /// A file with its secret; absent: it has none.
    pub client_secret_file: Option<PathBuf>,
}

impl BrowserClient {
    /// Its secret, as the file says now.
    pub(crate) fn secret(&self) -> Result<Option<String>, String> {
        let read = |path: &PathBuf| {
            let text =
                std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
            Ok(text.trim().to_owned())
        };
        self.client_secret_file.as_ref().map(read).transpose()
    }
}

impl OAuth {
    /// The audiences for which tokens may be.
    pub(crate) fn audiences(&self) -> Vec<String> {
        if self.audiences.is_empty() { vec![self.resource.clone()] } else { self.audiences.clone() }
    }
}

impl Auth {
    pub(super) fn check(&self) -> Result<(), Error> {
        if !self.anonymous && self.api_keys.is_none() && self.oauth.is_none() {
            let rule = "lets nobody in: give `apiKeys` or `oauth`, or say `anonymous: true`";
            return Err(field("auth", rule));
        }
        let Some(oauth) = &self.oauth else { return Ok(()) };
        url("auth.oauth.resource", &oauth.resource)?;
        if oauth.issuers.is_empty() || oauth.issuers.len() > MAX_ISSUERS {
            return Err(field("auth.oauth.issuers", format!("1 to {MAX_ISSUERS} are allowed")));
        }
        for (index, issuer) in oauth.issuers.iter().enumerate() {
            url(&format!("auth.oauth.issuers[{index}].issuer"), &issuer.issuer)?;
            if issuer.browser.as_ref().is_some_and(|client| client.client_id.is_empty()) {
                let path = format!("auth.oauth.issuers[{index}].browser.clientId");
                return Err(field(path, "must name a client of the issuer"));
            }
            if let Some(jwks) = &issuer.jwks_url {
                url(&format!("auth.oauth.issuers[{index}].jwksUrl"), jwks)?;
            }
        }
        if oauth.scopes.len() > MAX_SCOPES {
            return Err(field("auth.oauth.scopes", format!("at most {MAX_SCOPES} are allowed")));
        }
        // RFC 6749 section 3.3.
        let is_token = |scope: &String| {
            !scope.is_empty()
                && scope.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\')
        };
        match oauth.scopes.iter().position(|scope| !is_token(scope)) {
            Some(index) => Err(field(
                format!("auth.oauth.scopes[{index}]"),
                "must be visible ASCII without quotes and spaces",
            )),
            None => Ok(()),
        }
    }
}

/// Plain HTTP only where nobody else can listen.
pub(super) fn url(path: &str, text: &str) -> Result<(), Error> {
    let rule = "must be an absolute URL with the scheme 'https', or 'http' on this machine, without query and fragment";
    let parsed: http::Uri = text.parse().map_err(|_| field(path, rule))?;
    let is_local = matches!(parsed.host(), Some("localhost" | "127.0.0.1" | "[::1]"));
    let good = match parsed.scheme_str() {
        Some("https") => true,
        Some("http") => is_local,
        _ => false,
    };
    let plain = good && parsed.query().is_none() && !text.contains('#') && !text.contains('"');
    if plain { Ok(()) } else { Err(field(path, rule)) }
}
