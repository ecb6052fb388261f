//! Asks the token endpoint of an authorization server (RFC 6749 section 4.4, RFC 8693).

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use form_urlencoded::{Serializer, byte_serialize};
use http::header::HeaderValue;
use http::{StatusCode, Uri};
use portico_crds::mcp_server::{ClientAuthMethod, TokenType, UpstreamClient, UpstreamExchange};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use tokio::time::timeout;

use super::super::client::Http;
use super::super::fault::Fault;
use super::held::Held;
use super::sensitive;
use super::tokens::Token;
use crate::source::ServerKey;

/// Time for one token.
const WITHIN: Duration = Duration::from_secs(10);
/// The life of a token whose answer tells none.
const LIFE: Duration = Duration::from_mins(5);
/// The longest life that is believed.
const MAX_LIFE: Duration = Duration::from_hours(24);
const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

/// A token endpoint, and who asks there for what.
#[derive(Debug)]
pub(super) struct TokenEndpoint {
    /// Path of the field with the URL.
    field: &'static str,
    uri: Uri,
    client: Client,
    /// What every request asks for: scope, resource and audience.
    wanted: Vec<(&'static str, String)>,
    requested: TokenType,
}

/// Who asks at a token endpoint.
#[derive(Debug, Clone)]
pub(super) struct Client {
    pub(super) id: ClientId,
    /// None for one that has no secret.
    pub(super) secret: Option<Arc<Held>>,
    pub(super) method: ClientAuthMethod,
}

/// The identifier of a client.
#[derive(Debug, Clone)]
pub(super) enum ClientId {
    /// It stands in a Secret.
    Held(Arc<Held>),
    /// It is the URL of a document about the client.
    Document(String),
}

impl ClientId {
    /// The identifier itself.
    pub(super) async fn text(&self, http: &Http) -> Result<String, Fault> {
        match self {
            Self::Held(held) => Ok(held.value(http).await?.expose_secret().trim().to_owned()),
            Self::Document(url) => Ok(url.clone()),
        }
    }

    async fn doubt(&self, http: &Http) -> Result<(), Fault> {
        match self {
            Self::Held(held) => held.doubt(http).await,
            Self::Document(_) => Ok(()),
        }
    }
}

/// A token, and what gives the next one.
pub(super) struct Granted {
    pub(super) token: Token,
    pub(super) refresh: Option<SecretString>,
}

/// An answer with a token (RFC 6749 section 5.1, RFC 8693 section 2.2.1).
#[derive(Deserialize)]
struct Given {
    access_token: String,
    token_type: String,
    expires_in: Option<serde_json::Value>,
    refresh_token: Option<String>,
}

/// An answer with an error (RFC 6749 section 5.2).
#[derive(Deserialize)]
struct Refused {
    error: String,
}

/// What an endpoint answers.
type Answer = (StatusCode, bytes::Bytes);

impl TokenEndpoint {
    /// The endpoint at which the gateway asks for itself alone.
    pub(super) fn of_client(server: &ServerKey, client: &UpstreamClient) -> Result<Arc<Self>, String> {
        let fields = [
            "spec.upstreamAuth.clientCredentials.tokenUrl",
            "clientCredentials.clientIdRef",
            "clientCredentials.clientSecretRef",
        ];
        Self::of(server, fields, (client, TokenType::AccessToken))
    }

    /// The endpoint that exchanges the tokens of callers.
    pub(super) fn of_exchange(server: &ServerKey, exchange: &UpstreamExchange) -> Result<Arc<Self>, String> {
        let fields = [
            "spec.upstreamAuth.tokenExchange.tokenUrl",
            "tokenExchange.clientIdRef",
            "tokenExchange.clientSecretRef",
        ];
        Self::of(server, fields, (&exchange.client, exchange.requested_token_type))
    }

    /// The endpoint of a client, with the paths of its fields.
    fn of(
        server: &ServerKey,
        [field, id, secret]: [&'static str; 3],
        (client, requested): (&UpstreamClient, TokenType),
    ) -> Result<Arc<Self>, String> {
        Ok(Arc::new(Self {
            field,
            uri: parse(field, &client.token_url)?,
            client: Client {
                id: ClientId::Held(Held::new(server, id, &client.client_id_ref)),
                secret: Some(Held::new(server, secret, &client.client_secret_ref)),
                method: client.auth_method,
            },
            wanted: wanted(&client.scopes, client.resource.as_ref(), client.audience.as_ref()),
            requested,
        }))
    }

    /// The endpoint at `uri` that callers' own grants lead to, for tokens that `wanted` describes.
    pub(super) fn of_user(uri: Uri, client: Client, wanted: Vec<(&'static str, String)>) -> Arc<Self> {
        let field = "spec.upstreamAuth.authorizationCode";
        Arc::new(Self { field, uri, client, wanted, requested: TokenType::AccessToken })
    }

    /// What `grant` gives: a code, or a token that refreshes.
    pub(super) async fn granted(&self, http: &Http, grant: &[(&str, &str)]) -> Result<Granted, Fault> {
        self.token(http, grant).await
    }

    /// A token for the gateway itself.
    pub(super) async fn own(&self, http: &Http) -> Result<Token, Fault> {
        self.token(http, &[("grant_type", "client_credentials")]).await.map(|granted| granted.token)
    }

    /// A token for whoever has the access token `subject`.
    pub(super) async fn exchanged(&self, http: &Http, subject: &SecretString) -> Result<Token, Fault> {
        let grant = [
            ("grant_type", EXCHANGE),
            ("subject_token", subject.expose_secret()),
            ("subject_token_type", TokenType::AccessToken.as_urn()),
            ("requested_token_type", self.requested.as_urn()),
        ];
        self.token(http, &grant).await.map(|granted| granted.token)
    }

    async fn token(&self, http: &Http, grant: &[(&str, &str)]) -> Result<Granted, Fault> {
        let asked = async {
            let answer = self.ask(http, grant).await?;
            if !is_of_client(&answer) {
                return Ok(answer);
            }
            // The client's secret may have been changed.
            self.client.id.doubt(http).await?;
            if let Some(secret) = &self.client.secret {
                secret.doubt(http).await?;
            }
            self.ask(http, grant).await
        };
        let asked = timeout(WITHIN, asked).await;
        self.given(&asked.unwrap_or_else(|_| Err(self.fault("does not answer in time")))?)
    }

    async fn ask(&self, http: &Http, grant: &[(&str, &str)]) -> Result<Answer, Fault> {
        let id = self.client.id.text(http).await?;
        let secret = match &self.client.secret {
            Some(secret) => Some(secret.value(http).await?),
            None => None,
        };
        let secret = secret.as_ref().map(|secret| secret.expose_secret().trim());
        let (authorization, form) = self.form(grant, (&id, secret));
        let answer = http.form(&self.uri, authorization, form).await;
        answer.map_err(|fault| self.fault(&fault.to_string()))
    }

    /// What a request says in its header and in its form.
    fn form(
        &self,
        grant: &[(&str, &str)],
        (id, secret): (&str, Option<&str>),
    ) -> (Option<HeaderValue>, String) {
        let mut form = Serializer::new(String::new());
        form.extend_pairs(grant).extend_pairs(&self.wanted);
        match (self.client.method, secret) {
            (ClientAuthMethod::Basic, Some(secret)) => return (basic(id, secret), form.finish()),
            (ClientAuthMethod::Post, Some(secret)) => {
                form.append_pair("client_id", id).append_pair("client_secret", secret)
            }
            (_, None) => form.append_pair("client_id", id),
        };
        (None, form.finish())
    }

    /// The token in an answer. Of an error the code alone is told: who wrote the rest may have put anything there.
    fn given(&self, (status, body): &Answer) -> Result<Granted, Fault> {
        if !status.is_success() {
            let code = serde_json::from_slice::<Refused>(body).map(|refused| refused.error);
            let code = code.ok().filter(|code| is_code(code)).map(|code| format!(" ({code})"));
            return Err(self.fault(&format!(
                "answered HTTP {}{}",
                status.as_u16(),
                code.unwrap_or_default()
            )));
        }
        let given: Given =
            serde_json::from_slice(body).map_err(|_| self.fault("gave an answer without a token"))?;
        // `N_A` is what RFC 8693 has for tokens that are not shown as access tokens everywhere.
        let is_bearer = ["bearer", "n_a"].contains(&given.token_type.to_ascii_lowercase().as_str());
        let value = sensitive(&format!("Bearer {}", given.access_token)).filter(|_| is_bearer);
        let value = value.ok_or_else(|| self.fault("gave a token that is no bearer token"))?;
        let refresh = given.refresh_token.map(SecretString::from);
        Ok(Granted { token: Token::new(value, life(given.expires_in.as_ref())), refresh })
    }

    fn fault(&self, reason: &str) -> Fault {
        Fault::Credential(format!("{}: the token endpoint {reason}", self.field))
    }
}

pub(super) fn parse(field: &str, url: &str) -> Result<Uri, String> {
    let uri: Uri = url.parse().map_err(|error| format!("{field}: {error}"))?;
    let is_absolute = matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some();
    if is_absolute { Ok(uri) } else { Err(format!("{field}: is not an absolute URL")) }
}

pub(super) fn wanted(
    scopes: &[String],
    resource: Option<&String>,
    audience: Option<&String>,
) -> Vec<(&'static str, String)> {
    let scope = (!scopes.is_empty()).then(|| ("scope", scopes.join(" ")));
    let resource = resource.map(|resource| ("resource", resource.clone()));
    let audience = audience.map(|audience| ("audience", audience.clone()));
    [scope, resource, audience].into_iter().flatten().collect()
}

/// RFC 6749 section 2.3.1: both parts are encoded as in a form.
fn basic(id: &str, secret: &str) -> Option<HeaderValue> {
    let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
    sensitive(&format!("Basic {}", STANDARD.encode(format!("{}:{}", encoded(id), encoded(secret)))))
}

/// Whether the endpoint refuses the client rather than what it asks for.
fn is_of_client((status, body): &Answer) -> bool {
    let code = || serde_json::from_slice::<Refused>(body).map(|refused| refused.error);
    match *status {
        StatusCode::UNAUTHORIZED => true,
        StatusCode::BAD_REQUEST => code().is_ok_and(|code| code == "invalid_client"),
        _ => false,
    }
}

fn is_code(code: &str) -> bool {
    (1..=64).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Some servers write the seconds as text.
fn life(seconds: Option<&serde_json::Value>) -> Duration {
    let number = seconds.and_then(|given| given.as_u64().or_else(|| given.as_str()?.parse().ok()));
    number.map_or(LIFE, Duration::from_secs).min(MAX_LIFE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_written_as_in_a_form() {
        let value = basic("shop:1", "a b+é").unwrap();
        assert!(value.is_sensitive());
        let decoded = STANDARD.decode(value.to_str().unwrap().strip_prefix("Basic ").unwrap()).unwrap();
        assert_eq!(String::from_utf8(decoded).unwrap(), "shop%3A1:a+b%2B%C3%A9");
    }

    #[test]
    fn the_life_of_a_token_is_read_in_either_form_and_bounded() {
        for (given, expected) in
            [("3600", 3600), (r#""60""#, 60), ("null", 300), ("-1", 300), ("999999999", 86400)]
        {
            let given: serde_json::Value = serde_json::from_str(given).unwrap();
            assert_eq!(life(Some(&given)), Duration::from_secs(expected));
        }
        assert_eq!(life(None), LIFE);
    }

    #[test]
    fn only_codes_of_errors_are_told() {
        assert!(
            is_code("invalid_grant") && !is_code("") && !is_code("token abc") && !is_code(&"a".repeat(65))
        );
    }
}
