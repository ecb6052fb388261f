//! How the gateway proves to a server who it is.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::SecretKeyRef;

/// Headers that the transport, MCP or the gateway itself writes.
const OWN_HEADERS: &str = "!self.name.lowerAscii().matches('^(host|accept|content-(type|length)|transfer-encoding|connection|te|trailer|upgrade|keep-alive|expect|cookie|portico-.*|mcp-.*|proxy-.*)$')";
/// Secrets and tokens go over TLS, or stay in the cluster or on the machine.
const SAFE_URL: &str = "isURL(self.tokenUrl) && self.tokenUrl.matches('^(https://[^/?#:@]|http://(localhost|127[.]0[.]0[.]1|[a-z0-9.-]+[.]svc([.]cluster[.]local)?)(:[0-9]+)?(/|$))[^#@]*$')";
const SAFE_URL_MESSAGE: &str = "`tokenUrl` must be an absolute URL with the scheme 'https', or 'http' on this machine or to a Service of the cluster (*.svc), without user and fragment";

/// How the gateway proves to a server who it is: a union of which exactly one member is set.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq, Eq)]
#[x_kube(validation = kube::core::Rule::new("[has(self.header), has(self.clientCredentials), has(self.tokenExchange), has(self.authorizationCode)].exists_one(x, x)")
    .message("`upstreamAuth` must have exactly one of `header`, `clientCredentials`, `tokenExchange` and `authorizationCode`"))]
#[serde(rename_all = "camelCase")]
pub struct UpstreamAuth {
    /// A value of a Secret in a header of every request, such as an API key or a token that somebody gave out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<UpstreamHeader>,
    /// A token that the gateway gets for itself from an OAuth 2 authorization server (RFC 6749, section 4.4). Every caller
    /// shares it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_credentials: Option<UpstreamClient>,
    /// A token for each caller, for which an OAuth 2 authorization server takes the caller's own access token in exchange
    /// (RFC 8693). Callers who came to the gateway without an access token cannot use the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_exchange: Option<UpstreamExchange>,
    /// A token for each caller, which the caller gets by signing in to the server's own authorization server on a page of the
    /// gateway (RFC 6749, section 4.1, with PKCE). The gateway's configuration must say `publicUrl`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization_code: Option<UpstreamUser>,
}

/// A value of a Secret in a header.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq, Eq)]
#[x_kube(validation = kube::core::Rule::new(OWN_HEADERS)
    .message("`name` must not be a header that the gateway or the transport writes itself").field_path(".name"))]
#[serde(rename_all = "camelCase")]
pub struct UpstreamHeader {
    /// Name of the header.
    #[serde(default = "default_header")]
    #[schemars(length(min = 1, max = 128), regex(pattern = r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$"))]
    pub name: String,
    /// What stands before the secret, such as 'Bearer ' with its space.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[!-~][ -~]*$"))]
    pub prefix: Option<String>,
    /// The secret. White space around it is left out.
    pub secret_key_ref: SecretKeyRef,
}

/// A client of an authorization server, which asks for tokens of its own.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq, Eq)]
#[x_kube(validation = kube::core::Rule::new(SAFE_URL).message(SAFE_URL_MESSAGE).field_path(".tokenUrl"))]
#[serde(rename_all = "camelCase")]
pub struct UpstreamClient {
    /// URL of the authorization server's token endpoint.
    #[schemars(length(min = 8, max = 2048))]
    pub token_url: String,
    /// The client's identifier.
    pub client_id_ref: SecretKeyRef,
    /// The client's secret.
    pub client_secret_ref: SecretKeyRef,
    /// How the client shows its secret to the token endpoint: in the header Authorization, or in the form.
    #[serde(default)]
    pub auth_method: ClientAuthMethod,
    /// Scopes that the token should have. Absent or empty: those that the authorization server gives by itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 256), regex(pattern = r"^[!#-\[\]-~]+$")))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Set)]
    pub scopes: Vec<String>,
    /// URL of the server for which the token should be (RFC 8707).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub resource: Option<String>,
    /// Name of the server for which the token should be, for authorization servers that ask for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub audience: Option<String>,
}

/// A client of an authorization server, which exchanges the tokens of callers.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct UpstreamExchange {
    /// The client; a token is for the caller.
    #[serde(flatten)]
    pub client: UpstreamClient,
    /// Which kind of token is asked for.
    #[serde(default)]
    pub requested_token_type: TokenType,
    /// How the gateway asks the server for what belongs to no caller, above all its lists of tools: with a token of its own,
    /// which it gets as the same client, or without any, from a server that gives its lists to everybody.
    #[serde(default)]
    pub own_requests: OwnRequests,
}

/// A client of an authorization server at which callers sign in.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq, Eq)]
#[x_kube(
    validation = kube::core::Rule::new("!has(self.issuer) || (isURL(self.issuer) && self.issuer.matches('^(https://[^/?#:@]|http://(localhost|127[.]0[.]0[.]1|[a-z0-9.-]+[.]svc([.]cluster[.]local)?)(:[0-9]+)?(/|$))[^?#@]*$'))")
        .message("`issuer` must be an absolute URL with the scheme 'https', or 'http' on this machine or to a Service of the cluster (*.svc), without user, query and fragment").field_path(".issuer"),
    validation = kube::core::Rule::new("!has(self.clientSecretRef) || has(self.clientIdRef)")
        .message("`clientSecretRef` needs `clientIdRef`: a secret belongs to a client that is registered").field_path(".clientSecretRef")
)]
#[serde(rename_all = "camelCase")]
pub struct UpstreamUser {
    /// The authorization server's identifier, a URL, exactly as its metadata says. Absent: as the server's own metadata says
    /// (RFC 9728).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 8, max = 2048))]
    pub issuer: Option<String>,
    /// The identifier of a client that is registered there, whose redirect URI is `/connect/callback` of the gateway. Absent:
    /// the gateway shows a document about itself, where the authorization server takes that (Client ID Metadata Document).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id_ref: Option<SecretKeyRef>,
    /// The client's secret. Absent: it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret_ref: Option<SecretKeyRef>,
    /// How the client shows its secret to the token endpoint: in the header Authorization, or in the form.
    #[serde(default)]
    pub auth_method: ClientAuthMethod,
    /// Scopes that the tokens should have. Absent or empty: those that the authorization server gives by itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 256), regex(pattern = r"^[!#-\[\]-~]+$")))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Set)]
    pub scopes: Vec<String>,
    /// URL of the server for which the tokens should be (RFC 8707). Absent: as the server's own metadata says, else the URL at
    /// which it is spoken to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub resource: Option<String>,
}

/// How a client shows its secret to a token endpoint (RFC 6749, section 2.3.1).
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientAuthMethod {
    /// In the header Authorization; `client_secret_basic`.
    #[default]
    Basic,
    /// In the form; `client_secret_post`.
    Post,
}

/// A kind of token (RFC 8693, section 3).
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TokenType {
    /// An access token of whatever form.
    #[default]
    AccessToken,
    /// A JSON Web Token.
    Jwt,
}

impl TokenType {
    /// The identifier that stands in requests.
    #[must_use]
    pub const fn as_urn(self) -> &'static str {
        match self {
            Self::AccessToken => "urn:ietf:params:oauth:token-type:access_token",
            Self::Jwt => "urn:ietf:params:oauth:token-type:jwt",
        }
    }
}

/// How the gateway asks for what belongs to no caller.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OwnRequests {
    /// With a token of its own.
    #[default]
    ClientCredentials,
    /// Without a token.
    Anonymous,
}

fn default_header() -> String {
    "Authorization".to_owned()
}

impl UpstreamAuth {
    /// Every key of a Secret that is read, with the path of its field below `spec`.
    #[must_use]
    pub fn secret_keys(&self) -> Vec<(&'static str, &SecretKeyRef)> {
        let mut keys = Vec::new();
        if let Some(header) = &self.header {
            keys.push(("upstreamAuth.header.secretKeyRef", &header.secret_key_ref));
        }
        if let Some(client) = &self.client_credentials {
            keys.push(("upstreamAuth.clientCredentials.clientIdRef", &client.client_id_ref));
            keys.push(("upstreamAuth.clientCredentials.clientSecretRef", &client.client_secret_ref));
        }
        if let Some(UpstreamExchange { client, .. }) = &self.token_exchange {
            keys.push(("upstreamAuth.tokenExchange.clientIdRef", &client.client_id_ref));
            keys.push(("upstreamAuth.tokenExchange.clientSecretRef", &client.client_secret_ref));
        }
        if let Some(client) = &self.authorization_code {
            let id =
                client.client_id_ref.iter().map(|key| ("upstreamAuth.authorizationCode.clientIdRef", key));
            let secret = client.client_secret_ref.iter();
            keys.extend(id.chain(secret.map(|key| ("upstreamAuth.authorizationCode.clientSecretRef", key))));
        }
        keys
    }
}
